"""Thermal averages at many temperatures, and what is read off them."""
