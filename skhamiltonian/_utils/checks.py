"""Checks of public arguments, before any arithmetic."""

from __future__ import annotations

import math
import numbers
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .repeatable import check_repeatable

COLDEST = 1e-100  # temperature whose square, and that of energies in its units, are finite


def check_number(
    value: Any,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    include_low: bool = True,
    include_high: bool = True,
) -> float:
    """Return `value` as a float in the given range, or raise an error that shows the value."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {_range_text(low, high, include_low, include_high)}, got {_text(value)}")
    number = float(value)
    above = number >= low if include_low else number > low
    below = number <= high if include_high else number < high
    if not (above and below):  # NaN fails both comparisons
        raise ValueError(f"{name} must be {_range_text(low, high, include_low, include_high)}, got {_text(value)}")
    return number


def _text(value: Any) -> str:
    """Return a number as text: -1.0 instead of np.float64(-1.0)."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _range_text(low: float, high: float, include_low: bool, include_high: bool) -> str:
    if high == math.inf and low in (0, -math.inf):
        kind = "a number" if low else "a non-negative number" if include_low else "a positive number"
        return kind if include_high else kind.replace("number", "finite number")
    return f"a number in {'[' if include_low else '('}{low}, {high}{']' if include_high else ')'}"


def check_temperature(temperature: Any, name: str = "temperature", *, allow_infinite: bool = True) -> float:
    """Return a temperature as a float > 0, ``inf`` included unless `allow_infinite` is False."""
    T = check_number(temperature, name, low=0.0, include_low=False, include_high=allow_infinite)
    if not allow_infinite and not COLDEST <= T <= 1 / COLDEST:  # its squares overflow
        raise ValueError(
            f"{name} must be between {COLDEST:g} and {1 / COLDEST:g}, got {_text(temperature)}: rescale energies"
        )
    return T


def check_temperatures(
    temperatures: Any, name: str = "temperatures", *, ndim: int | None = None
) -> NDArray[np.float64]:
    """Return temperatures as a float array of the given shape, each value > 0 (``inf`` included)."""
    values = as_array(temperatures)
    if ndim == 1 and values.ndim == 0 and np.iterable(temperatures) and not isinstance(temperatures, (str, bytes)):
        kind = type(temperatures).__name__
        raise TypeError(
            f"{name} must be a list of positive numbers, such as list(...) of this {kind}, got {temperatures!r}"
        )
    if values.ndim == 0 and values.dtype.kind in "OM":
        check_temperature(temperatures, name)
    if isinstance(temperatures, np.ma.MaskedArray) or (values.ndim and values.dtype.kind in "mM"):
        refuse_misread(temperatures, name)
    if ndim is not None and values.ndim != ndim:
        shown = f": write [{temperatures!r}]" if ndim == 1 and values.ndim == 0 else ""
        raise ValueError(f"{name} must be {ndim}-dimensional, got an array of shape {values.shape}{shown}")
    each = [
        check_temperature(value, f"each value in {name}" if values.ndim else name) for value in values.ravel().tolist()
    ]
    return np.reshape(each, values.shape)


def check_integer(value: Any, name: str, *, minimum: int = 0) -> int:
    """Return `value` as an int >= `minimum`; floats and bools are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer >= {minimum}, got {_text(value)}")
    if value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {_text(value)}")
    return int(value)


def check_verbose(value: Any) -> int:
    """Return `verbose` as an int: 0, 1, 2 or a bool."""
    return check_integer(int(value) if isinstance(value, bool) else value, "verbose")


def check_count(value: Any, name: str, automatic: str | None, minimum: int) -> None:
    """Check an integer, or `automatic`, the value for an automatic choice."""
    if value is not automatic and not (isinstance(value, str) and value == automatic):
        check_integer(value, name, minimum=minimum)


def check_choice(value: Any, name: str, choices: Sequence[Any]) -> str:
    """Return `value` if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_flag(value: Any, name: str) -> bool:
    """Return `value` as a bool; strings are refused, because bool("False") is True."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_names(value: Any, name: str, choices: Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple; each is one of `choices`."""
    check_repeatable(value, name)
    names = (value,) if isinstance(value, str) else value
    if not np.iterable(names) or isinstance(names, bytes):
        raise TypeError(f"{name} must be a tuple of {', '.join(map(repr, choices))}, got {value!r}")
    return tuple(check_choice(one, f"each of {name}", choices) for one in names)


def check_lattice_shape(lattice_shape: Any, n_sites: int | None = None, name: str = "lattice_shape") -> tuple[int, ...]:
    """Return `lattice_shape` as a tuple of ints; its product must be `n_sites` if that is given."""
    check_repeatable(lattice_shape, name)
    if isinstance(lattice_shape, (str, bytes, set, frozenset)) or not np.iterable(lattice_shape):
        raise TypeError(f"{name} must be a tuple of positive integers, such as (16, 16), got {lattice_shape!r}")
    shape = tuple(check_integer(length, f"each length in {name}", minimum=1) for length in lattice_shape)
    if not shape:
        raise ValueError(f"{name} must name at least one axis, got {lattice_shape!r}")
    if n_sites is not None and math.prod(shape) != n_sites:
        raise ValueError(f"{name}={shape} has {math.prod(shape)} sites, but X has {n_sites} features (columns)")
    return shape


def check_lengths(value: Any, name: str, n_axes: int) -> tuple[int, ...]:
    """Return one positive integer per axis, from a tuple of them or from one integer for all axes."""
    check_repeatable(value, name)
    if not np.iterable(value) or isinstance(value, (str, bytes, set, frozenset)):
        return (check_integer(value, name, minimum=1),) * n_axes
    lengths = tuple(check_integer(length, f"each length in {name}", minimum=1) for length in value)
    if len(lengths) != n_axes:
        raise ValueError(f"{name} must be an integer or have one for each of the {n_axes} axes, got {value!r}")
    return lengths


def seed_sequence(random_state: Any, purpose: str) -> np.random.SeedSequence:
    """Return the root of all random streams of one call.

    `random_state` is scikit-learn's (None, int, RandomState) or a numpy Generator. `purpose` makes the streams of two
    objects with the same seed different. A SeedSequence is returned as it is.
    """
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if isinstance(random_state, np.random.Generator):
        entropy = random_state.integers(2**32, size=4, dtype=np.uint32)
    else:
        entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    return np.random.SeedSequence([*map(int, entropy), zlib.crc32(purpose.encode())])


def check_field(field: Any, n_sites: int | None = None) -> Any:
    """Return a field as a finite float, or as an array of them, one for each site."""
    check_repeatable(field, "field")
    if isinstance(field, np.ma.MaskedArray):
        refuse_misread(field, "field")
    h = as_array(field)
    if h.ndim == 0:
        return check_number(field, "field", include_low=False, include_high=False)
    if h.ndim != 1 or h.dtype.kind not in "iuf" or not np.isfinite(h).all() or len(h) != (n_sites or len(h)):
        each = "one" if n_sites is None else f"{n_sites}, one"
        raise ValueError(f"field must be a finite number, or {each} for each site, got {field!r}")
    return h.astype(np.float64)


def refuse_misread(values: Any, name: str) -> None:
    """Raise TypeError for what numpy would read as other numbers: masked values, dates, text, imaginary parts."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise TypeError(f"{name} has masked values, whose mask would be ignored: leave out their rows")
    dtype = as_array(values).dtype
    if dtype.kind not in "biufO":
        raise TypeError(f"{name} must hold numbers, got an array of dtype {dtype}")


def as_array(value: Any) -> NDArray[Any]:
    """Return `value` as an array; lists of different lengths give an array of objects, which every check refuses."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.array(None)


def check_ordering(ordering: Any, n_sites: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the order of drawing as a permutation of the sites."""
    if isinstance(ordering, str):
        check_choice(ordering, "ordering", ("natural", "random"))
        return np.arange(n_sites) if ordering == "natural" else rng.permutation(n_sites)
    permutation = as_array(ordering)
    if permutation.shape != (n_sites,) or not np.array_equal(np.sort(permutation), np.arange(n_sites)):
        raise ValueError(f"ordering must be 'natural', 'random' or a permutation of range({n_sites}), got {ordering!r}")
    return permutation.astype(np.intp)


def check_order_parameter(order_parameter: Any, n_sites: int) -> NDArray[np.float64] | None:
    """Return the weights of the order parameter as floats, None for "auto"."""
    if isinstance(order_parameter, str) and order_parameter == "auto":
        return None
    weights = as_array(order_parameter)
    if weights.shape != (n_sites,) or weights.dtype.kind not in "iufb" or not np.isfinite(weights).all():
        raise ValueError(
            f"order_parameter must be 'auto' or the {n_sites} finite weights of the sites, got {order_parameter!r}"
        )
    return weights.astype(np.float64)
