"""Couplings, with errors, out of any energy."""
