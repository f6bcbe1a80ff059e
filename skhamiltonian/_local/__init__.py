"""A local energy shared by all windows of a lattice: learned, and sampled at every size."""
