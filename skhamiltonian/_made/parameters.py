"""What "auto" means for the size of a network and the length of its training."""

import math
import numbers
from dataclasses import dataclass

import numpy as np

from .._lattice.symmetry import order
from .._utils.checks import check_choice, check_integer, check_number

# More updates brought little on 8 x 8 to 16 x 16 Ising and many-body data of 500 to 60 000 rows. On larger lattices
# each costs more, and teaches more.
_MIN_UPDATES, _MAX_UPDATES, _MANY_SITES = 2500, 8000, 64
_BATCH_SIZE, _MIN_BATCH_SIZE = 469, 16
# How often a row may be seen in one and the same image before the network knows it by heart, where rows are
# fewer than pairs of sites.
_MAX_PASSES = 30
# Standard errors of its gradient below which a weight vanishes: those of the updates' minibatches, of which another
# run would draw others, and those of the data, where more than half would cost the weights that count too much.
_SIGNIFICANT_IN_UPDATES, _SIGNIFICANT_IN_DATA = 2.6, 1.3
# Rows seen a weight, over all epochs, above which noise is no longer what limits the fit, and small weights count: with
# 20 the 16 x 16 Ising model is 0.007 nats nearer at T0, and energies, entropies and heat capacities elsewhere farther.
_ENOUGH_ROWS_A_WEIGHT = 8
# Adam moves a weight by one learning rate at most, and some of that must be left.
_MAX_SPARSITY = 0.3
# An update of Adam moves an output by the learning rate times the width of the layer below: 512 units stand 8e-3 on
# 16 x 16, 1024 units half of that (many-body data). On 32 x 32 of 512 units 6e-3 is better than 8e-3.
_MAX_LEARNING_RATE, _WIDE = 8e-3, 512


@dataclass(frozen=True)
class Plan:
    """Numbers in the place of every "auto"."""

    hidden: tuple[int, ...]
    batch_size: int
    learning_rate: float
    max_iter: int
    sparsity: float


def check_numbers(made):
    """Check the parameters that may be "auto" and need no data."""
    for name in ("batch_size", "max_iter"):
        _integer(made, name)
    _hidden_layers(made.hidden_layer_sizes, 1)
    check_number(made.alpha, "alpha", low=0, include_high=False)
    if not _is_auto(made.learning_rate_init, "learning_rate_init", "a positive number"):
        check_number(made.learning_rate_init, "learning_rate_init", low=0, include_low=False, include_high=False)
    if not _is_auto(made.sparsity, "sparsity", "a non-negative number"):
        check_number(made.sparsity, "sparsity", low=0, include_high=False)
    if not isinstance(made.whiten, (bool, np.bool_)):
        check_choice(made.whiten, "whiten", ("auto", True, False))


def plan(made, n_samples, n_sites, lattice_shape, symmetries, n_iter=0):
    """Return the size and length of training for so many rows, each with as many images as there are symmetries.

    `n_iter` epochs have gone before.
    """
    n_images, n_pairs = order(lattice_shape, symmetries), n_sites**2
    max_passes = int(_MAX_PASSES * n_images * max(1, n_samples / n_pairs))
    batch_size = _integer(made, "batch_size")
    if batch_size is None:
        batch_size = min(_BATCH_SIZE, max(_MIN_BATCH_SIZE, max_passes * n_samples // _MIN_UPDATES))
    batch_size = min(batch_size, n_samples)
    max_iter = _integer(made, "max_iter")
    if max_iter is None:
        n_updates = _MIN_UPDATES * math.sqrt(n_samples / 2000 * min(1, _MANY_SITES / n_sites))
        n_updates = min(_MAX_UPDATES, max(_MIN_UPDATES, n_updates))
        max_iter = min(max_passes, math.ceil(n_updates * batch_size / n_samples))
    hidden, sparsity = _hidden_layers(made.hidden_layer_sizes, n_sites), made.sparsity
    learning_rate = made.learning_rate_init
    if isinstance(learning_rate, str):
        learning_rate = _MAX_LEARNING_RATE / max(1, max(hidden, default=1) / _WIDE, math.sqrt(n_sites / _WIDE))
    if isinstance(sparsity, str):
        n_updates = (n_iter + max_iter) * math.ceil(n_samples / batch_size)
        # In units of its noise in one minibatch, the gradient is known to 1 / sqrt(number of minibatches).
        n_weights = n_sites * (sum(hidden) + n_sites / 2)
        known = n_updates * batch_size / (_ENOUGH_ROWS_A_WEIGHT * n_weights)
        of_updates = _SIGNIFICANT_IN_UPDATES / math.sqrt(n_updates) / max(1, known)
        of_data = _SIGNIFICANT_IN_DATA * math.sqrt(batch_size / (n_samples * n_images))
        sparsity = min(_MAX_SPARSITY, math.hypot(of_updates, of_data))
    return Plan(hidden, batch_size, learning_rate, max_iter, sparsity)


def whitens(made, n_states):
    """Return whether innovations are inputs of the network: they are one input more than a site has anyway."""
    return n_states > 2 if isinstance(made.whiten, str) else bool(made.whiten)


def _integer(made, name):
    """Return a parameter as an integer, or None for "auto"."""
    value = getattr(made, name)
    return None if _is_auto(value, name, "an integer >= 1") else check_integer(value, name, minimum=1)


def _hidden_layers(sizes, n_sites):
    """Return the widths of the hidden layers; "auto" is one wide layer, as many-body terms need it."""
    if _is_auto(sizes, "hidden_layer_sizes", "a tuple of integers >= 1"):
        return (min(16 * n_sites, 1024, max(512, 2**17 // n_sites)),)
    sizes = (sizes,) if isinstance(sizes, numbers.Integral) else sizes
    if not isinstance(sizes, (list, tuple, np.ndarray)):
        raise TypeError(f"hidden_layer_sizes must be 'auto' or a tuple of integers >= 1, got {sizes!r}")
    return tuple(check_integer(size, "each of hidden_layer_sizes", minimum=1) for size in sizes)


def _is_auto(value, name, otherwise):
    """Return whether a parameter is "auto"; another string is nothing that it may be."""
    if isinstance(value, str) and value != "auto":
        raise ValueError(f"{name} must be 'auto' or {otherwise}, got {value!r}")
    return isinstance(value, str)
