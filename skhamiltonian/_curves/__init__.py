"""Thermal averages at many temperatures, and the critical temperatures that follow."""
