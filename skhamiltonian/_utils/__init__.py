"""Checks, compilation and bridges to scikit-learn."""
