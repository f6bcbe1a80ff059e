"""Learn the Hamiltonian of a lattice system from configurations at one temperature."""

from ._block_spin import BlockSpinTransformer

__version__ = "0.1.0.dev0"

__all__ = ["BlockSpinTransformer"]
