"""Learn the Hamiltonian of a lattice system from configurations at one temperature."""

from ._block_spin import BlockSpinTransformer
from ._critical import crossing_temperature, peak_temperature
from ._display import PhaseCurveDisplay
from ._display_fit import EnergyDisplay, LossCurveDisplay
from ._exact import ising_exact
from ._hamiltonian import MADEHamiltonian
from ._interactions import InteractionExpansion
from ._ising import IsingSampler
from ._phase import PhaseCurve, phase_curve

__version__ = "0.1.0.dev0"

__all__ = [
    "BlockSpinTransformer",
    "EnergyDisplay",
    "InteractionExpansion",
    "IsingSampler",
    "LossCurveDisplay",
    "MADEHamiltonian",
    "PhaseCurve",
    "PhaseCurveDisplay",
    "crossing_temperature",
    "ising_exact",
    "peak_temperature",
    "phase_curve",
]
