"""Learn the Hamiltonian of a lattice system from configurations at one temperature."""

from ._block_spin import BlockSpinTransformer
from ._critical import crossing_temperature, peak_temperature
from ._display import PhaseCurveDisplay
from ._display_fit import EnergyDisplay, LossCurveDisplay
from ._display_interactions import InteractionDisplay
from ._exact import ising_exact
from ._hamiltonian import MADEHamiltonian
from ._images import DomainBinarizer
from ._independent_sites import IndependentSites
from ._interactions import InteractionExpansion
from ._ising import IsingSampler
from ._phase import PhaseCurve, phase_curve
from ._pseudolikelihood import PseudolikelihoodIsing, pseudo_log_likelihood
from ._stored import SKOPS_TRUSTED_TYPES
from ._windows import extract_windows

__version__ = "0.1.0.dev0"

__all__ = [
    "SKOPS_TRUSTED_TYPES",
    "BlockSpinTransformer",
    "DomainBinarizer",
    "EnergyDisplay",
    "IndependentSites",
    "InteractionDisplay",
    "InteractionExpansion",
    "IsingSampler",
    "LossCurveDisplay",
    "MADEHamiltonian",
    "PhaseCurve",
    "PhaseCurveDisplay",
    "PseudolikelihoodIsing",
    "crossing_temperature",
    "extract_windows",
    "ising_exact",
    "peak_temperature",
    "phase_curve",
    "pseudo_log_likelihood",
]
