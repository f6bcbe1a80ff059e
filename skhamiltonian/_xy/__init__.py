"""XY models, whose spins are angles."""
