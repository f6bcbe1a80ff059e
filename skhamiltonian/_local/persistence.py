"""Checks of a stored model before any kernel reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._utils.alphabet import ANGLES, MAX_STATES
from .._utils.checks import check_lattice_shape, check_temperature
from .fitting import stored_network


def check_stored(attributes: Mapping[str, Any]) -> None:
    """Raise ValueError unless the fitted attributes of a LocalHamiltonian fit together."""
    try:
        _check(attributes)
    except Exception as error:  # a damaged part may be of any type and raise any error
        raise ValueError(f"the stored LocalHamiltonian is damaged: {error}") from error


def _check(stored: Mapping[str, Any]) -> None:
    states, shape = stored["states_"], check_lattice_shape(stored["lattice_shape_"], stored["n_features_in_"])
    window = check_lattice_shape(stored["window_shape_"], name="window_shape_")
    _expect(states.ndim == 1 and 2 <= len(states) <= MAX_STATES and states.dtype.kind in "if", "states_")
    _expect(np.isfinite(states).all() and (np.diff(states.astype(float)) > 0).all(), "states_")
    _expect(len(window) == len(shape) == len(stored["periodic_"]), "window_shape_")
    _expect(all(n >= w for n, w in zip(shape, window, strict=True)), "window_shape_")
    check_temperature(stored["temperature_"], "temperature_", allow_infinite=False)
    _expect(stored["n_samples_seen_"] >= 1, "n_samples_seen_")
    n_patterns = len(states) ** math.prod(window)
    if stored["offsets_"] is not None:
        _expect(np.array_equal(states, ANGLES.states), "states_")
        n_patterns = _size_of_tables(stored["offsets_"], window)
    if stored["table_"] is not None:
        _expect(_is_real(stored["table_"], (n_patterns,)), "table_")
    if stored["table_"] is None or stored["coefs_"] is not None:
        _check_network(stored, math.prod(window), len(states))
    else:
        _check_summary(stored["summary_"])
        _expect(_is_real(stored["table_errors_"], (len(stored["table_errors_"]), n_patterns)), "table_errors_")


def _size_of_tables(offsets: Any, window: tuple[int, ...]) -> int:
    """Return the number of entries of the tables of sites and pairs of angles."""
    _expect(offsets.ndim == 2 and offsets.shape[1] == len(window) and offsets.dtype.kind == "i", "offsets_")
    _expect((abs(offsets) < np.array(window)).all(), "offsets_")
    return sum(ANGLES.n_states ** (1 + bool(offset.any())) for offset in offsets)


def _check_network(stored: Mapping[str, Any], n_sites: int, n_states: int) -> None:
    network = stored_network(stored)
    n_inputs = n_sites * (n_states - 1)
    _expect(
        _is_real(network.site_coef, (n_inputs,)) and _is_real(network.pair_coef, (n_inputs, n_inputs)), "pair_coef_"
    )
    sizes = [n_inputs, *map(len, network.biases)]
    _expect(len(network.weights) == len(network.biases) >= 2 and sizes[-1] == 1, "intercepts_")
    for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        _expect(_is_real(weight, (sizes[k], sizes[k + 1])) and _is_real(bias, (sizes[k + 1],)), "coefs_")
    permutations = network.permutations
    _expect(permutations.ndim == 2 and permutations.dtype.kind == "i", "permutations_")
    _expect((np.sort(permutations, axis=1) == np.arange(n_sites)).all(), "permutations_")


def _check_summary(summary: Mapping[str, Any]) -> None:
    n, n_all = len(summary["columns"]), len(summary["couplings"])
    _expect(_is_real(summary["couplings"], (n_all,)), "summary_")
    _expect(_is_real(summary["slope"], (n,)), "summary_")
    _expect(all(_is_real(summary[name], (n, n)) for name in ("information", "variance")), "summary_")
    _expect(n == 0 or 0 <= min(summary["columns"]) <= max(summary["columns"]) < n_all, "summary_")


def _is_real(array: Any, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(array, np.ndarray)
        and array.shape == shape
        and array.dtype in (np.float32, np.float64)
        and bool(np.isfinite(array).all())
    )


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} is not valid")
