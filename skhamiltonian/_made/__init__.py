"""The masked autoregressive network and its Hamiltonian."""
