"""Compiled sweeps of Markov chains on a network's energy."""
