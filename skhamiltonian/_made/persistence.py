"""What a stored model must hold before any kernel sees it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._utils.alphabet import MAX_STATES, Alphabet
from .._utils.checks import check_choice, check_temperature
from .calibration import N_FEATURES, N_NOISE
from .network import layer_masks, skip_mask


def check_stored(attributes: dict[str, Any]) -> None:
    """Raise ValueError unless the fitted attributes of a MADEHamiltonian are those of a masked network."""
    try:
        _check(attributes)
    except Exception as error:  # a damaged part may be of any type, and fail in any way
        raise ValueError(f"the stored MADEHamiltonian is damaged: {error}") from error


def _check(stored: dict[str, Any]) -> None:
    ordering, states = stored["ordering_"], stored["states_"]
    n_sites, n_states = len(ordering), len(states)
    _expect(ordering.dtype.kind == "i" and np.array_equal(np.sort(ordering), np.arange(n_sites)), "ordering_")
    _expect(states.ndim == 1 and 2 <= n_states <= MAX_STATES and states.dtype.kind in "if", "states_")
    _expect(np.isfinite(states).all() and (np.diff(states.astype(float)) > 0).all(), "states_")
    _expect(stored["n_features_in_"] == n_sites, "n_features_in_")
    check_temperature(stored["temperature_"], "temperature_", allow_infinite=False)
    check_choice(stored["activation_"], "activation_", ("relu", "tanh", "logistic", "silu"))
    _expect(isinstance(stored["is_angle_"], (bool, np.bool_)), "is_angle_")
    alphabet = Alphabet.of_angles() if stored["is_angle_"] else Alphabet.of_numbers(states)
    _expect(np.array_equal(alphabet.states, states), "states_")
    _check_arrays(stored, n_sites, alphabet)
    never = stored["unseen_states_"]
    _expect(
        never.dtype == bool and never.shape == (n_sites, n_states) and not never.all(axis=1).any(), "unseen_states_"
    )
    _expect(stored["n_samples_seen_"] >= 1, "n_samples_seen_")
    if stored["calibration_"] is not None:
        vectors = (n_states, 2) if stored["is_angle_"] else (n_states,)
        _check_calibration(stored["calibration_"], n_sites, n_states, vectors)


def _check_calibration(numbers: dict[str, Any], n_sites: int, n_states: int, vectors: tuple[int, ...]) -> None:
    check_choice(numbers["method"], "calibration_['method']", ("smooth", "local"))
    n_parameters = len(numbers["mean_errors"])
    shapes: dict[str, tuple[int, ...]] = {
        "direction": (n_sites,),
        "states": vectors,
        "scales": (N_FEATURES,),
        "coef": (N_FEATURES + 1,),
        "errors": (N_NOISE, n_parameters),
        "mean_errors": (n_parameters,),
    }
    if numbers["method"] == "local":
        for sites in numbers["sites"]:
            _expect(sites.ndim == 2 and sites.dtype.kind == "i" and 0 < n_states ** sites.shape[1] < 2**31, "sites")
            _expect(sites.size == 0 or 0 <= sites.min() <= sites.max() < n_sites, "calibration_['sites']")
        size = sum(n_states ** each.shape[1] for each in numbers["sites"])
        shapes = {"table": (size,), "errors": (n_parameters, size), "mean_errors": (n_parameters,)}
        _expect(math.isfinite(numbers["log_normalizer"]), "calibration_['log_normalizer']")
    for name, shape in shapes.items():
        array = numbers[name]
        _expect(_is_real(array, len(shape)) and array.shape == shape, f"calibration_[{name!r}]")


def _check_arrays(stored: dict[str, Any], n_sites: int, alphabet: Alphabet) -> None:
    weights, biases, skip = stored["coefs_"], stored["intercepts_"], stored["skip_coef_"]
    for array in (*weights, *([] if skip is None else [skip])):
        _expect(_is_real(array, 2), "an array of weights")
    _expect(len(weights) == len(biases) >= 1 and all(_is_real(bias, 1) for bias in biases), "intercepts_")
    hidden = [len(bias) for bias in biases[:-1]]
    width = alphabet.n_inputs, alphabet.n_outputs
    layers = layer_masks(n_sites, *width, hidden)
    _expect(len(biases[-1]) == n_sites * alphabet.n_outputs, "intercepts_")
    skips = [] if skip is None else [(skip, skip_mask(n_sites, *width))]
    for weight, mask in [*zip(weights, layers, strict=True), *skips]:
        _expect(weight.shape == mask.shape, f"shape {weight.shape} of weights instead of {mask.shape}")
        _expect(not weight[~mask].any(), "a weight against the order of the sites")


def _is_real(array: Any, ndim: int) -> bool:
    return (
        isinstance(array, np.ndarray)
        and array.ndim == ndim
        and array.dtype in (np.float32, np.float64)
        and bool(np.isfinite(array).all())
    )


def _expect(holds: Any, what: str) -> None:
    if not holds:
        raise ValueError(f"{what} cannot be")
