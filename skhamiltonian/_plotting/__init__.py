"""Displays, in the manner of scikit-learn."""
