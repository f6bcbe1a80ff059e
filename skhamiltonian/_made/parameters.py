"""From the parameters of a MADEHamiltonian to its plan of training, with numbers in the place of every "auto"."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._lattice.symmetry import OF_ANGLES, OF_STATES, SYMMETRIES, check_symmetries, group_size
from .._lattice.terms import KnownEnergy, TermSum
from .._local.parameters import MOST_PATTERNS
from .._utils.alphabet import Alphabet
from .._utils.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_lattice_shape,
    check_names,
    check_number,
    check_order_parameter,
    check_ordering,
    check_temperature,
    check_verbose,
)
from .._utils.memory import check_memory
from .local_energy import window_width

# Updates of Adam, for 64 sites: fewer do not suffice, more bring little. On larger lattices each teaches more.
_MIN_UPDATES, _MAX_UPDATES, _MANY_SITES = 2500, 8000, 64
_BATCH_SIZE, _MIN_BATCH_SIZE = 469, 16
# Times that a row may be seen in the same form before the network memorises it, if rows are fewer than pairs of sites.
_MAX_PASSES = 30
# Thresholds, in standard errors of the mean gradient: 2.6 for minibatch noise, 1.3 for sampling noise.
_SIGNIFICANT_IN_UPDATES, _SIGNIFICANT_IN_DATA = 2.6, 1.3
# Rows seen for each weight, over all epochs, above which small weights count and the threshold falls.
_ENOUGH_ROWS_A_WEIGHT = 8
# Adam moves a weight by one learning rate at most, and some of that must be left.
_MAX_SPARSITY = 0.3
# The weight, its mask, its gradient, two moments of Adam and the best weight so far.
_COPIES_OF_A_WEIGHT = 6
# An update of Adam moves an output by the learning rate times the width of the layer below.
_MAX_LEARNING_RATE, _WIDE = 8e-3, 512


@dataclass(frozen=True)
class Schedule:
    """How the weights are updated."""

    batch_size: int
    learning_rate: float
    max_iter: int
    alpha: float = 0.0
    sparsity: float = 0.0
    patience: int | None = None
    tol: float = 0.0


@dataclass(frozen=True)
class TrainingPlan:
    """All that training needs to know beside the rows: made once, at the beginning of a fit."""

    temperature: float
    alphabet: Alphabet
    lattice_shape: tuple[int, ...]
    symmetries: tuple[str, ...]
    hidden: tuple[int, ...]
    activation: str
    skip_connections: bool
    whiten: bool
    schedule: Schedule
    validation_fraction: float
    calibrate: str | TermSum | None
    order_parameter: np.ndarray | None
    device: str
    verbose: int

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return math.prod(self.lattice_shape)


def check_parameters(p: dict[str, Any]) -> None:
    """Check all parameters, a dict, as far as that needs no data."""
    check_temperature(p["temperature"], allow_infinite=False)
    check_choice(p["activation"], "activation", ("relu", "tanh", "logistic", "silu"))
    for name in ("skip_connections", "early_stopping", "warm_start"):
        check_flag(p[name], name)
    _check_calibrate(p)
    check_verbose(p["verbose"])
    check_integer(p["n_iter_no_change"], "n_iter_no_change", minimum=1)
    for name in ("batch_size", "max_iter"):
        _integer(p, name)
    _hidden_layers(p["hidden_layer_sizes"], 1)
    check_number(p["alpha"], "alpha", low=0, include_high=False)
    if not _is_auto(p["learning_rate_init"], "learning_rate_init", "a positive number"):
        check_number(p["learning_rate_init"], "learning_rate_init", low=0, include_low=False, include_high=False)
    if not _is_auto(p["sparsity"], "sparsity", "a non-negative number"):
        check_number(p["sparsity"], "sparsity", low=0, include_high=False)
    if not isinstance(p["whiten"], (bool, np.bool_)):
        check_choice(p["whiten"], "whiten", ("auto", True, False))
    check_number(p["tol"], "tol", low=0, include_high=False)
    check_number(p["validation_fraction"], "validation_fraction", low=0, high=1, include_low=False, include_high=False)
    names = check_names(p["symmetries"], "symmetries", (*SYMMETRIES, *OF_STATES, *OF_ANGLES))
    if p["lattice_shape"] is not None:
        check_lattice_shape(p["lattice_shape"])
    elif {"translation", "point-group"} & set(names):
        raise ValueError(f"symmetries={names} need lattice_shape, such as (16, 16), got None")
    if isinstance(p["ordering"], str):
        check_ordering(p["ordering"], 1, np.random.default_rng(0))


def make_plan(p: dict[str, Any], n_samples: int, n_sites: int, alphabet: Alphabet, n_iter: int = 0) -> TrainingPlan:
    """Return the plan of training for so many rows, from checked parameters `p`, after `n_iter` earlier epochs."""
    shape = (n_sites,) if p["lattice_shape"] is None else check_lattice_shape(p["lattice_shape"], n_sites)
    names = check_names(p["symmetries"], "symmetries", (*SYMMETRIES, *OF_STATES, *OF_ANGLES))
    states = alphabet.states
    check_symmetries(names, states, are_angles=alphabet.period > 0)
    hidden = _hidden_layers(p["hidden_layer_sizes"], n_sites)
    whiten = len(states) > 2 and not alphabet.period if isinstance(p["whiten"], str) else bool(p["whiten"])
    if whiten and alphabet.period:
        raise ValueError("whiten must be 'auto' or False for angles, which have no linear prediction, got True")
    _check_weights(p, n_samples, n_sites * alphabet.n_inputs, n_sites * alphabet.n_outputs, hidden)
    calibrate = _calibrate(p["calibrate"], shape, names, alphabet, float(p["temperature"]))
    proposes = calibrate not in (None, "smooth")
    if whiten:
        check_memory((n_sites, n_sites), np.float64, "the covariance of whiten", copies=3, n_samples=n_samples)
    return TrainingPlan(
        temperature=float(p["temperature"]),
        alphabet=alphabet,
        lattice_shape=shape,
        symmetries=names,
        hidden=hidden,
        activation=p["activation"],
        skip_connections=bool(p["skip_connections"]),
        whiten=whiten,
        schedule=_schedule(p, n_samples, n_sites, group_size(shape, names, len(states)), hidden, n_iter, proposes),
        validation_fraction=p["validation_fraction"],
        calibrate=calibrate,
        order_parameter=check_order_parameter(p["order_parameter"], n_sites),
        device=str(p["device"]),
        verbose=int(p["verbose"]),
    )


def _check_calibrate(p: dict[str, Any]) -> None:
    value = p["calibrate"]
    value = value.estimator if isinstance(value, FrozenEstimator) else value
    if isinstance(value, KnownEnergy):
        return check_is_fitted(
            value,
            msg="calibrate=%(name)s is not fitted. clone and cross-validation forget fits: wrap a fitted estimator in "
            "sklearn.frozen.FrozenEstimator",
        )
    if not (isinstance(value, str) and value in ("auto", "smooth", "local")) and value is not False:
        raise ValueError(
            "calibrate must be 'auto', 'smooth', 'local', False, or a fitted LocalHamiltonian or "
            f"InteractionExpansion, got {value!r}"
        )
    if isinstance(value, str) and value == "local" and "translation" not in p["symmetries"]:
        raise ValueError(f"calibrate='local' needs 'translation' in symmetries, got {p['symmetries']!r}")


def _calibrate(
    value: Any, shape: tuple[int, ...], symmetries: tuple[str, ...], alphabet: Alphabet, temperature: float
) -> str | TermSum | None:
    """Return None, "smooth", "local", "auto" if a local energy is possible, or a given energy in units of T0."""
    value = value.estimator if isinstance(value, FrozenEstimator) else value
    if isinstance(value, KnownEnergy):
        given = value._term_sum(shape, alphabet.states)
        if any(each.max(initial=0) >= math.prod(shape) for each in given.sites):
            raise ValueError(f"the energy of calibrate is that of another lattice than {shape}")
        return replace(given, table=given.table / temperature, errors=given.errors / temperature)
    if value is False:
        return None
    width = window_width(alphabet, len(shape))
    if value == "local" and width is None:
        raise ValueError(
            f"calibrate='local' needs windows of at most {MOST_PATTERNS} patterns, and {alphabet.n_states} states are "
            "too many"
        )
    return "smooth" if value == "auto" and ("translation" not in symmetries or width is None) else str(value)


def _check_weights(p: dict[str, Any], n_samples: int, n_inputs: int, n_outputs: int, hidden: tuple[int, ...]) -> None:
    """Raise MemoryError if the weights do not fit into this machine."""
    if p["skip_connections"] or not hidden:
        what = "an array of weights of skip_connections"
        check_memory((n_inputs, n_outputs), np.float32, what, copies=_COPIES_OF_A_WEIGHT, n_samples=n_samples)
    for pair in pairwise((n_inputs, *hidden, n_outputs)) if hidden else ():
        what = f"an array of weights of hidden_layer_sizes={p['hidden_layer_sizes']!r}"
        check_memory(pair, np.float32, what, copies=_COPIES_OF_A_WEIGHT)


def _schedule(
    p: dict[str, Any], n_samples: int, n_sites: int, n_copies: int, hidden: tuple[int, ...], n_iter: int, proposes: bool
) -> Schedule:
    """Return the schedule for rows of which each has `n_copies` under the symmetries.

    If the network probably only `proposes`, for a local energy to decide, it need not be trained for long.
    """
    max_passes = int(_MAX_PASSES * n_copies * max(1, n_samples / n_sites**2))
    batch_size = _integer(p, "batch_size")
    if batch_size is None:
        batch_size = min(_BATCH_SIZE, max(_MIN_BATCH_SIZE, max_passes * n_samples // _MIN_UPDATES))
    batch_size = min(batch_size, n_samples)
    max_iter = _integer(p, "max_iter")
    if max_iter is None:
        n_updates = _MIN_UPDATES * math.sqrt(n_samples / 2000 * min(1, _MANY_SITES / n_sites))
        n_updates = _MIN_UPDATES if proposes else min(_MAX_UPDATES, max(_MIN_UPDATES, n_updates))
        max_iter = min(max_passes, math.ceil(n_updates * batch_size / n_samples))
    learning_rate, sparsity = p["learning_rate_init"], p["sparsity"]
    if isinstance(learning_rate, str):
        learning_rate = _MAX_LEARNING_RATE / max(1, max(hidden, default=1) / _WIDE, math.sqrt(n_sites / _WIDE))
    if isinstance(sparsity, str):
        n_updates = (n_iter + max_iter) * math.ceil(n_samples / batch_size)
        # In units of its noise in one minibatch, the gradient is known to 1 / sqrt(number of minibatches).
        n_weights = n_sites * (sum(hidden) + n_sites / 2)
        known = n_updates * batch_size / (_ENOUGH_ROWS_A_WEIGHT * n_weights)
        of_updates = _SIGNIFICANT_IN_UPDATES / math.sqrt(n_updates) / max(1, known)
        of_data = _SIGNIFICANT_IN_DATA * math.sqrt(batch_size / (n_samples * n_copies))
        sparsity = min(_MAX_SPARSITY, math.hypot(of_updates, of_data))
    patience = p["n_iter_no_change"] if p["early_stopping"] else None
    return Schedule(batch_size, learning_rate, max_iter, p["alpha"], sparsity, patience, p["tol"])


def _integer(p: dict[str, Any], name: str) -> int | None:
    """Return a parameter as an integer, or None for "auto"."""
    value = p[name]
    return None if _is_auto(value, name, "an integer >= 1") else check_integer(value, name, minimum=1)


def _hidden_layers(sizes: Any, n_sites: int) -> tuple[int, ...]:
    """Return the widths of the hidden layers; "auto" is one wide layer, as many-body terms need it."""
    if _is_auto(sizes, "hidden_layer_sizes", "a tuple of integers >= 1"):
        return (min(16 * n_sites, 1024, max(512, 2**17 // n_sites)),)
    sizes = (sizes,) if isinstance(sizes, numbers.Integral) else sizes
    if not isinstance(sizes, (list, tuple, np.ndarray)):
        raise TypeError(f"hidden_layer_sizes must be 'auto' or a tuple of integers >= 1, got {sizes!r}")
    return tuple(check_integer(size, "each of hidden_layer_sizes", minimum=1) for size in sizes)


def _is_auto(value: Any, name: str, otherwise: str) -> bool:
    """Return whether a parameter is "auto"; another string is nothing that it may be."""
    if isinstance(value, str) and value != "auto":
        raise ValueError(f"{name} must be 'auto' or {otherwise}, got {value!r}")
    return isinstance(value, str)
