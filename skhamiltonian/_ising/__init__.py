"""Ising systems with a known energy, and their exact answers."""
