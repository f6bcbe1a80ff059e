"""Couplings with errors, from any energy or from data."""
