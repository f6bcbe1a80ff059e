"""Settings of the whole suite."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from skhamiltonian._made.calibration import N_FEATURES, N_NOISE, Calibration
from skhamiltonian._made.network import Network, masks
from skhamiltonian._utils.alphabet import Alphabet

collect_ignore = ["fuzz_loaders.py"]  # a program, which needs atheris

os.environ.setdefault("MPLBACKEND", "Agg")
# Tests run side by side (pytest -n auto): threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: a failure is a change of the code, not of the dice.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def spins():
    """Make free spins of +-1."""

    def make(n_samples, n_sites, seed=0):
        return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (n_samples, n_sites))

    return make


@pytest.fixture(scope="session")
def random_network():
    """Make a masked network with normal weights, sites drawn in a random order."""

    def make(n_sites, n_states, hidden=(7, 5), skip=True, activation="relu", seed=0, scale=1.0, calibrated=False):
        rng = np.random.default_rng(seed)
        alphabet = Alphabet.of_numbers(2 * np.arange(n_states) - n_states + 1)
        *layers, skip_mask = masks(n_sites, alphabet.n_inputs, alphabet.n_outputs, hidden)
        weights = tuple(scale * rng.normal(size=m.shape) * m for m in layers)
        biases = tuple(scale * rng.normal(size=m.shape[1]) for m in layers)
        skip = scale * rng.normal(size=skip_mask.shape) * skip_mask if skip else None
        network = Network(weights, biases, skip, rng.permutation(n_sites), alphabet, activation)
        return replace(network, calibration=random_calibration(n_sites, n_states, rng)) if calibrated else network

    return make


def random_calibration(n_sites, n_states, rng):
    """A correction of log p by about one, whose limits to the data are met by some configurations."""
    scales = np.array([-n_sites * np.log(n_states), 1 / n_sites, -0.5, 1.0, 0.3, 0.5, 1.5])
    coef = np.append(0.4 * rng.normal(size=N_FEATURES), 0.2)
    errors = np.zeros((N_NOISE, 0)), np.zeros(0)
    return Calibration(rng.normal(size=n_sites), np.sort(rng.normal(size=n_states)), scales, coef, *errors)
