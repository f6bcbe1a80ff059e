"""The door: every public argument is checked here, before any arithmetic."""

import math
import numbers
import zlib

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from .mapped import release_pages
from .memory import check_memory as check_memory
from .repeatable import check_repeatable


def check_number(value, name, *, low=-math.inf, high=math.inf, include_low=True, include_high=True):
    """Return `value` as a float inside the given range, or raise with the value in the message."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {_range_text(low, high, include_low, include_high)}, got {value!r}")
    number = float(value)
    above = number >= low if include_low else number > low
    below = number <= high if include_high else number < high
    if not (above and below):  # NaN fails both comparisons
        raise ValueError(f"{name} must be {_range_text(low, high, include_low, include_high)}, got {value!r}")
    return number


def _range_text(low, high, include_low, include_high):
    if high == math.inf and low in (0, -math.inf):
        kind = {(0, True): "a non-negative number", (0, False): "a positive number"}.get((low, include_low), "a number")
        return kind if include_high else kind.replace("number", "finite number")
    return f"a number in {'[' if include_low else '('}{low}, {high}{']' if include_high else ')'}"


def check_temperature(temperature, name="temperature", *, allow_infinite=True):
    """Return a temperature as a float > 0 (``inf`` where it has a meaning)."""
    return check_number(temperature, name, low=0.0, include_low=False, include_high=allow_infinite)


def check_temperatures(temperatures, name="temperatures", *, ndim=None):
    """Return temperatures as a float array of the given shape, each value > 0 (``inf`` included)."""
    values = _as_array(temperatures)
    if values.dtype == object and values.ndim == 0:
        check_temperature(temperatures, name)
    if ndim is not None and values.ndim != ndim:
        raise ValueError(f"{name} must be {ndim}-dimensional, got an array of shape {values.shape}: {temperatures!r}")
    each = [
        check_temperature(value, f"each value in {name}" if values.ndim else name) for value in values.ravel().tolist()
    ]
    return np.reshape(each, values.shape)


def check_integer(value, name, *, minimum=0):
    """Return `value` as an int >= `minimum`; floats and bools are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer >= {minimum}, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}")
    return int(value)


def check_choice(value, name, choices):
    """Return `value` if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_flag(value, name):
    """Return `value` as a bool; the string "False" is none, though it counts as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_names(value, name, choices):
    """Return one name or several as a tuple of names out of `choices`."""
    check_repeatable(value, name)
    names = (value,) if isinstance(value, str) else value
    if not np.iterable(names) or isinstance(names, bytes):
        raise TypeError(f"{name} must be a tuple out of {', '.join(map(repr, choices))}, got {value!r}")
    return tuple(check_choice(one, f"each of {name}", choices) for one in names)


def check_lattice_shape(lattice_shape, n_sites=None, name="lattice_shape"):
    """Return `lattice_shape` as a tuple of ints, whose product is `n_sites` where that is given."""
    check_repeatable(lattice_shape, name)
    if isinstance(lattice_shape, (str, bytes, set, frozenset)) or not np.iterable(lattice_shape):
        raise TypeError(f"{name} must be a tuple of positive integers, such as (16, 16), got {lattice_shape!r}")
    shape = tuple(check_integer(length, f"each length in {name}", minimum=1) for length in lattice_shape)
    if not shape:
        raise ValueError(f"{name} must name at least one axis, got {lattice_shape!r}")
    if n_sites is not None and math.prod(shape) != n_sites:
        raise ValueError(f"{name}={shape} has {math.prod(shape)} sites, but X has {n_sites} features (columns)")
    return shape


def seed_sequence(random_state, purpose):
    """Return the root of all random streams of one call.

    `random_state` is scikit-learn's (None, int, RandomState) or a numpy Generator. `purpose`
    keeps apart the streams of two objects that were given the same seed. A SeedSequence is such a root already.
    """
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if isinstance(random_state, np.random.Generator):
        entropy = random_state.integers(2**32, size=4, dtype=np.uint32)
    else:
        entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    return np.random.SeedSequence([*map(int, entropy), zlib.crc32(purpose.encode())])


def validate_configurations(estimator, X, *, reset):
    """Return configurations as a 2-D, C-ordered, native array of integers or floats.

    Nothing is copied where X is such an array already (a memmap stays on disk). An estimator that was never fitted
    has no names to compare with. Raises TypeError or ValueError, naming the way out, for everything that is not a
    table of numbers.
    """
    if not reset and not hasattr(estimator, "n_features_in_"):
        estimator, reset = BaseEstimator(), True
    X = unwrap_tensor(X)
    _refuse_what_would_be_misread(X)
    X = validate_data(estimator, X, reset=reset, dtype=None, order="C", ensure_all_finite=False)
    if X.dtype.kind == "O":
        X = _numbers_from_objects(X)
    if X.dtype.kind == "b":
        return X.astype(np.int8)
    if X.dtype.kind not in "iuf":
        raise TypeError(f"X must hold numbers (spin values), got an array of dtype {X.dtype}")
    if X.dtype.kind == "f":
        _refuse_non_finite(X)
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def unwrap_tensor(X):
    """Return a CPU tensor of torch (or another array with ``detach``) as a numpy array."""
    return np.asarray(X.detach()) if hasattr(X, "detach") else X


def _refuse_what_would_be_misread(X):
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(
            "X is a masked array, and its mask would be dropped without a word: "
            "fill the masked sites (X.filled) or drop the configurations that hold them"
        )
    if sparse.issparse(X):
        raise TypeError("Sparse data was passed for X, but dense data is required: use X.toarray()")
    for name, dtype in _column_dtypes(X):
        if str(dtype) in ("category", "Categorical", "Enum"):
            raise TypeError(
                f"column {name!r} of X is a category: convert it to integer states, for instance with .cat.codes"
            )
        if np.dtype(dtype).kind in "mM" if isinstance(dtype, np.dtype) else "date" in str(dtype).lower():
            raise TypeError(f"X holds dates or durations (dtype {dtype}); spin values must be numbers")
    shape = getattr(X, "shape", ())
    if len(shape) > 2:
        raise ValueError(
            f"Expected 2D array, got an array with dim {len(shape)} of shape {tuple(shape)}: "
            f"pass X.reshape(len(X), -1) and lattice_shape={tuple(shape[1:])}"
        )


def _column_dtypes(X):
    """Yield (column, dtype) of a data frame or an array."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is not None and hasattr(X, "columns"):
        yield from zip(X.columns, dtypes, strict=True)
    elif isinstance(getattr(X, "dtype", None), np.dtype):
        yield "X", X.dtype


def _numbers_from_objects(X):
    if any(isinstance(value, str) for value in X.ravel()):
        raise TypeError(
            "X holds strings; spin values must be numbers (sklearn.preprocessing.OrdinalEncoder makes them)"
        )
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"X must hold numbers (spin values): {error}") from error


def _refuse_non_finite(X):
    for start in range(0, len(X), 4096):
        rows = X[start : start + 4096]
        bad = ~np.isfinite(rows)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value = rows[row, column]
            kind = "NaN" if np.isnan(value) else "infinity"
            raise ValueError(
                f"Input X contains {kind} ({value!r} in row {start + row}, column {column}): "
                "crop the configurations to the measured region, or impute the missing sites"
            )


MAX_STATES = 64


def learn_states(X, states="auto"):
    """Return the alphabet of X, ascending, in the smallest integer type (or float64 where it is not integers)."""
    if isinstance(states, str):
        if states != "auto":
            raise ValueError(f"states must be 'auto' or the values a site may take, got {states!r}")
        found = _unique(X)
        if np.any(found != np.round(found)):
            raise ValueError(
                f"X holds {found[found != np.round(found)][0]!r}, which is no integer: pass states=, or make states of "
                "continuous values with sklearn.preprocessing.KBinsDiscretizer or of images with a threshold"
            )
        if len(found) == 1:
            raise ValueError(f"X holds one state only, {found[0]!r}: pass all a site may take, such as states=(-1, 1)")
    else:
        found = np.unique(_as_array(states))
        if found.dtype.kind not in "iufb" or len(found) < 2 or not np.all(np.isfinite(found)):
            raise ValueError(f"states must be 'auto' or at least two finite numbers, got {states!r}")
    if len(found) > MAX_STATES:
        raise ValueError(
            f"a site may take at most {MAX_STATES} states, got {len(found)}: "
            "bin X with sklearn.preprocessing.KBinsDiscretizer"
        )
    if np.all(found == np.round(found)):
        found = found.astype(_smallest_integer(found))
    if not isinstance(states, str):
        for start in range(0, len(X), _BLOCK):
            encode_states(X[start : start + _BLOCK], found, first_row=start)
    return found


_BLOCK = 4096


def _smallest_integer(values):
    low, high = int(values.min()), int(values.max())
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise ValueError(f"states must be integers of at most 64 bits, got {values.tolist()}: number them 0, 1, ...")


def _as_array(value):
    """Return `value` as an array; nested lists of different lengths become one of objects, which no check passes."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.array(None)


def _unique(X):
    """Return the sorted distinct values of X, read block by block."""
    found = np.empty(0, X.dtype)
    for start in range(0, len(X), _BLOCK):
        found = np.union1d(found, X[start : start + _BLOCK])
        release_pages(X)
        if len(found) > 2**16:
            break
    return found


def encode_states(X, states, first_row=0):
    """Return X as codes 0 ... n_states - 1 (int8), or raise naming the first value that is no state."""
    codes = encode(X, states)
    unseen = states[codes] != X
    if unseen.any():
        row, column = np.argwhere(unseen)[0]
        raise ValueError(
            f"X holds {X[row, column].item()!r} (row {first_row + row}, column {column}), "
            f"which is none of the states {states.tolist()}"
        )
    return codes


def encode(X, states):
    """Return X, which has been checked, as codes 0 ... n_states - 1 (int8)."""
    if len(states) == 2:
        return np.equal(X, states[1]).astype(np.int8)
    return np.minimum(np.searchsorted(states, X), len(states) - 1).astype(np.int8)


def check_ordering(ordering, n_sites, rng):
    """Return the order of drawing as a permutation of the sites."""
    if isinstance(ordering, str):
        check_choice(ordering, "ordering", ("natural", "random"))
        return np.arange(n_sites) if ordering == "natural" else rng.permutation(n_sites)
    permutation = _as_array(ordering)
    if permutation.shape != (n_sites,) or not np.array_equal(np.sort(permutation), np.arange(n_sites)):
        raise ValueError(f"ordering must be 'natural', 'random' or a permutation of range({n_sites}), got {ordering!r}")
    return permutation.astype(np.intp)


def check_order_parameter(order_parameter, n_sites):
    """Return the weights of the order parameter as floats, None for "auto"."""
    if isinstance(order_parameter, str) and order_parameter == "auto":
        return None
    weights = _as_array(order_parameter)
    if weights.shape != (n_sites,) or weights.dtype.kind not in "iufb" or not np.isfinite(weights).all():
        raise ValueError(
            f"order_parameter must be 'auto' or the {n_sites} finite weights of the sites, got {order_parameter!r}"
        )
    return weights.astype(np.float64)


def check_counts(sample_weight, n_samples):
    """Return how often each row counts, as integers; None if each counts once."""
    if sample_weight is None:
        return None
    counts = _as_array(sample_weight)
    if counts.shape != (n_samples,) or counts.dtype.kind not in "iufb":
        raise ValueError(f"sample_weight must have shape ({n_samples},), got {counts.shape}: {sample_weight!r}")
    bad = ~(np.isfinite(counts) & (counts >= 0) & (counts == np.round(counts)))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"sample_weight must hold counts of rows, integers >= 0, got {counts[row].item()!r} in row {row}"
        )
    counts = counts.astype(np.intp)
    if not counts.any():
        raise ValueError("sample_weight leaves no rows: all counts are 0")
    return counts


def enumerate_states(states: np.ndarray, n_sites: int) -> np.ndarray:
    """Return all len(states)^n_sites configurations, the last site changing fastest."""
    states = np.asarray(states)
    return states[np.indices((len(states),) * n_sites).reshape(n_sites, -1).T]


def first_stray(X):
    """Return (row, column) of the first value that is neither -1 nor 1, None without one."""
    for start in range(0, len(X), 4096):
        stray = np.abs(X[start : start + 4096]) != 1
        if stray.any():
            row, column = np.argwhere(stray)[0]
            return start + row, column
    return None
