"""From images and spins to coarser spins."""
