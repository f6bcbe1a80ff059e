"""Exact laws of small systems, and comparisons with them that several tests share."""

import copy

import numpy as np
from scipy import stats

from skhamiltonian._made.network import log_prob
from skhamiltonian._utils.alphabet import Alphabet, enumerate_states


def numbers(n_states):
    """Return the alphabet of so many numbers, symmetric about zero: -1 and 1, or -2, 0 and 2."""
    return Alphabet.of_numbers(2 * np.arange(n_states) - n_states + 1)


def taken_as_true(made):
    """Return a model whose law is not in doubt: its curves have the errors of the draws alone."""
    made = copy.deepcopy(made)
    made.calibration_ |= {"errors": made.calibration_["errors"][:, :0], "mean_errors": np.zeros(0)}
    return made


def all_codes(network):
    """Return every configuration of a network, (n_states^n_sites, n_sites)."""
    return enumerate_states(np.arange(network.n_states), network.n_sites).astype(np.int8)


def enumerated_law(network, law):
    """Return the chance of every configuration under a law of the network, and the logarithm of their sum."""
    codes = all_codes(network)
    log_weight = law.log_weight(log_prob(network, codes), codes)
    log_z = np.logaddexp.reduce(log_weight)
    return np.exp(log_weight - log_z), log_z


def g_test(codes, network, expected):
    """Return the p-value of independent draws against a law; rare states form one class."""
    counts = np.bincount(codes @ network.n_states ** np.arange(network.n_sites)[::-1], minlength=len(expected))
    enough = expected * counts.sum() > 5
    observed = np.append(counts[enough], counts[~enough].sum())
    wanted = np.append(expected[enough], expected[~enough].sum()) * counts.sum()
    keep = wanted > 0
    return stats.power_divergence(observed[keep], wanted[keep], lambda_="log-likelihood").pvalue
