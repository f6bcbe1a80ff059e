"""Learn the Hamiltonian of a lattice system from configurations at one temperature."""

from ._baselines.independent import IndependentSites
from ._baselines.pairs import PseudolikelihoodIsing, pseudo_log_likelihood
from ._coarse.binarizer import DomainBinarizer
from ._coarse.blocks import BlockSpinTransformer
from ._coarse.images import extract_windows
from ._curves.angle_observables import helicity_modulus, vortex_density
from ._curves.critical import crossing_temperature, peak_temperature
from ._curves.entropy import EntropyTable, entropy
from ._curves.phase_curve import phase_curve
from ._curves.potts import potts_order_parameter
from ._curves.result import PhaseCurve
from ._curves.worldlines import Worldlines, action_couplings, quantum_couplings, trotter_extrapolate
from ._interactions.estimator import InteractionExpansion
from ._interactions.operators import Operator as _Operator
from ._ising.exact import ising_exact
from ._ising.sampler import IsingSampler
from ._local.estimator import LocalHamiltonian
from ._local.premise import common_hamiltonian_gain
from ._made.estimator import MADEHamiltonian
from ._montecarlo.draws import Draws, Estimate
from ._montecarlo.sampler import ThermalSampler
from ._plotting.curves import PhaseCurveDisplay
from ._plotting.fit import EnergyDisplay, LossCurveDisplay
from ._plotting.interactions import InteractionDisplay
from ._xy.sampler import XYSampler

#: For ``skops.io.load(file, trusted=SKOPS_TRUSTED_TYPES)``: the library's own types, none of which runs foreign code.
SKOPS_TRUSTED_TYPES = tuple(
    f"{kind.__module__}.{kind.__name__}"
    for kind in (
        BlockSpinTransformer,
        DomainBinarizer,
        IndependentSites,
        InteractionExpansion,
        IsingSampler,
        LocalHamiltonian,
        MADEHamiltonian,
        _Operator,
        PseudolikelihoodIsing,
        XYSampler,
    )
)

__version__ = "0.1.0"

__all__ = [
    "SKOPS_TRUSTED_TYPES",
    "BlockSpinTransformer",
    "DomainBinarizer",
    "Draws",
    "EnergyDisplay",
    "EntropyTable",
    "Estimate",
    "IndependentSites",
    "InteractionDisplay",
    "InteractionExpansion",
    "IsingSampler",
    "LocalHamiltonian",
    "LossCurveDisplay",
    "MADEHamiltonian",
    "PhaseCurve",
    "PhaseCurveDisplay",
    "PseudolikelihoodIsing",
    "ThermalSampler",
    "Worldlines",
    "XYSampler",
    "action_couplings",
    "common_hamiltonian_gain",
    "crossing_temperature",
    "entropy",
    "extract_windows",
    "helicity_modulus",
    "ising_exact",
    "peak_temperature",
    "phase_curve",
    "potts_order_parameter",
    "pseudo_log_likelihood",
    "quantum_couplings",
    "trotter_extrapolate",
    "vortex_density",
]
