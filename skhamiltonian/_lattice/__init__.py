"""Bonds, symmetries and checks of periodic lattices."""
