"""Bonds and symmetries of lattices, and checks of configurations on them."""
