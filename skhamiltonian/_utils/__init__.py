"""Checks of arguments, compilation, memory, and compatibility with scikit-learn and torch."""
