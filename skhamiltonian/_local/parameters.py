"""The plan of a fit: the parameters of a LocalHamiltonian for given data."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.checks import periodic_axes
from .._lattice.symmetry import OF_ANGLES, SYMMETRIES, check_symmetries
from .._utils.alphabet import Alphabet
from .._utils.checks import (
    check_flag,
    check_integer,
    check_lattice_shape,
    check_names,
    check_number,
    check_temperature,
    check_verbose,
)
from .._utils.memory import check_memory
from .clusters import window_group
from .observations import WindowGeometry

# Up to this many patterns every function of a window is a sum of clusters, whose couplings are a convex problem.
MOST_PATTERNS = 2**16
_HIDDEN, _LEARNING_RATE, _BATCH_SIZE, _UPDATES = (32, 32), 1e-2, 512, 3000
# Most inner sites that train a network, and most that are held back.
MOST_SITES, MOST_HELD_OUT = 2**19, 2**15
_NEWTON_STEPS = 200


@dataclass(frozen=True)
class Plan:
    """The windows of the lattice, and a number for every parameter that may be "auto"."""

    lattice_shape: tuple[int, ...]
    geometry: WindowGeometry
    alphabet: Alphabet
    symmetries: tuple[str, ...]
    hidden: tuple[int, ...]
    batch_size: int
    learning_rate: float
    max_iter: int
    sparsity: float | None  # None: from the number of clusters or weights

    @property
    def even(self) -> bool:
        """Whether exchange of first and last state is a symmetry."""
        return "spin-flip" in self.symmetries

    def group(self, shape: tuple[int, ...]) -> list[NDArray[np.intp]]:
        """Return the elements of the point group as permutations of the sites of a block."""
        group = window_group(shape, self.lattice_shape, self.geometry.periodic)
        return group if "point-group" in self.symmetries else [np.arange(math.prod(shape))]


def check_parameters(local: Any) -> None:
    """Check every parameter that needs no data."""
    check_temperature(local.temperature, allow_infinite=False)
    check_flag(local.warm_start, "warm_start")
    check_verbose(local.verbose)
    check_number(local.validation_fraction, "validation_fraction", low=0, high=1, include_high=False)
    for name in ("batch_size", "max_iter"):
        if not _is_auto(local, name, "an integer >= 1"):
            check_integer(getattr(local, name), name, minimum=1)
    if not _is_auto(local, "learning_rate_init", "a positive number"):
        check_number(local.learning_rate_init, "learning_rate_init", low=0, include_low=False, include_high=False)
    if not _is_auto(local, "sparsity", "a non-negative number"):
        check_number(local.sparsity, "sparsity", low=0, include_high=False)
    check_names(local.symmetries, "symmetries", (*SYMMETRIES, *OF_ANGLES))
    _layers(local.hidden_layer_sizes)


def plan(local: Any, n_samples: int, n_sites: int, alphabet: Alphabet, *, one_pass: bool = False) -> Plan:
    """Return the plan of a fit to `n_samples` rows; with `one_pass` a network is trained for one epoch."""
    shape = (n_sites,) if local.lattice_shape is None else check_lattice_shape(local.lattice_shape, n_sites)
    symmetries = check_names(local.symmetries, "symmetries", (*SYMMETRIES, *OF_ANGLES))
    check_symmetries(symmetries, alphabet.states, are_angles=alphabet.period > 0)
    periodic = periodic_axes(local.boundary, len(shape))
    geometry = WindowGeometry(_window(local.window_shape, shape, periodic), alphabet.n_states, periodic)
    if min(geometry.inner_shape(shape)) < 1:
        needed = tuple(2 * w - 1 if not wraps else w for w, wraps in zip(geometry.window_shape, periodic, strict=True))
        raise ValueError(
            f"no site of lattice_shape={shape} has all its windows of shape {geometry.window_shape} inside: pass "
            "boundary='periodic' if rows are whole periodic lattices; with open boundaries pass rows of "
            f"{needed} sites or more, or a smaller window_shape"
        )
    n_patterns = geometry.n_states ** math.prod(geometry.window_shape)
    hidden, are_angles = _layers(local.hidden_layer_sizes), alphabet.period > 0
    if hidden is None:
        hidden = () if are_angles or n_patterns <= MOST_PATTERNS else _HIDDEN
    if hidden and are_angles:
        raise ValueError(f"angles have no network: hidden_layer_sizes must be 'auto' or (), got {hidden}")
    if not hidden and not are_angles and n_patterns > MOST_PATTERNS:
        raise ValueError(
            f"windows of shape {geometry.window_shape} have {n_patterns} patterns, but without hidden layers at most "
            f"{MOST_PATTERNS} are possible: pass hidden_layer_sizes='auto' or a smaller window_shape"
        )
    for pair in pairwise((math.prod(geometry.window_shape), *hidden)):
        check_memory(pair, np.float32, f"an array of weights of hidden_layer_sizes={local.hidden_layer_sizes!r}")
    _refuse_parameters_without_effect(local, hidden)
    return Plan(
        shape,
        geometry,
        alphabet,
        symmetries,
        hidden,
        **_training(local, n_samples * math.prod(geometry.inner_shape(shape)), hidden, one_pass),
    )


def _training(local: Any, n_inner_sites: int, hidden: tuple[int, ...], one_pass: bool) -> dict[str, Any]:
    n_inner_sites = min(n_inner_sites, MOST_SITES)
    batch_size = _BATCH_SIZE if _is_auto(local, "batch_size") else int(local.batch_size)
    batch_size = min(batch_size, n_inner_sites)
    max_iter = _NEWTON_STEPS
    if hidden:
        max_iter = math.ceil(_UPDATES * batch_size / n_inner_sites)
    if not _is_auto(local, "max_iter"):
        max_iter = int(local.max_iter)
    return {
        "batch_size": batch_size,
        "learning_rate": _LEARNING_RATE if _is_auto(local, "learning_rate_init") else float(local.learning_rate_init),
        "max_iter": 1 if hidden and one_pass else max_iter,
        "sparsity": None if _is_auto(local, "sparsity") else float(local.sparsity),
    }


def _refuse_parameters_without_effect(local: Any, hidden: tuple[int, ...]) -> None:
    for name in ("batch_size", "learning_rate_init"):
        if not hidden and not _is_auto(local, name):
            raise ValueError(
                f"{name}={getattr(local, name)!r} has no effect without hidden layers (hidden_layer_sizes="
                f"{local.hidden_layer_sizes!r} means Newton's method here): pass {name}='auto'"
            )


def _window(window_shape: Any, lattice_shape: tuple[int, ...], periodic: tuple[bool, ...]) -> tuple[int, ...]:
    """Return the length of the window along each axis; one number is cut to the length of shorter periodic axes."""
    if isinstance(window_shape, numbers.Integral):
        width = check_integer(window_shape, "window_shape", minimum=1)
        pairs = zip(lattice_shape, periodic, strict=True)
        return tuple(min(width, length) if wraps or length == 1 else width for length, wraps in pairs)
    widths = check_lattice_shape(window_shape, name="window_shape")
    if len(widths) != len(lattice_shape):
        raise ValueError(f"window_shape={widths} needs one length for each axis of lattice_shape={lattice_shape}")
    if any(width > length for width, length in zip(widths, lattice_shape, strict=True)):
        raise ValueError(f"window_shape={widths} is longer than an axis of lattice_shape={lattice_shape}")
    return widths


def _layers(sizes: Any) -> tuple[int, ...] | None:
    """Return the widths of the hidden layers, None for "auto"."""
    if isinstance(sizes, str) and sizes == "auto":
        return None
    sizes = (sizes,) if isinstance(sizes, numbers.Integral) else sizes
    if not isinstance(sizes, (list, tuple, np.ndarray)):
        raise TypeError(f"hidden_layer_sizes must be 'auto' or a tuple of integers >= 1, got {sizes!r}")
    return tuple(check_integer(size, "each of hidden_layer_sizes", minimum=1) for size in sizes)


def _is_auto(local: Any, name: str, otherwise: str = "a number") -> bool:
    value = getattr(local, name)
    if isinstance(value, str) and value != "auto":
        raise ValueError(f"{name} must be 'auto' or {otherwise}, got {value!r}")
    return isinstance(value, str)
