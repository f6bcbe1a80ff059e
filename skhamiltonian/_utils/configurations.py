"""Checks of configurations: tables of numbers become arrays, and all other objects are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, validate_data

from .checks import as_array, refuse_misread
from .memory import check_memory

_MOST_ROWS = 2**53  # so many are counted exactly


def validate_configurations(estimator: Any, X: Any, *, reset: bool) -> NDArray[Any]:
    """Return configurations as a 2-D, C-ordered, native array of integers or floats.

    X is not copied if it is such an array (a memmap stays on disk). Column names are compared only if the estimator was
    fitted. If X is not a table of numbers, the TypeError or ValueError names a remedy.
    """
    if not reset and not hasattr(estimator, "n_features_in_"):
        estimator, reset = BaseEstimator(), True
    X = unwrap_tensor(X)
    _refuse_what_would_be_misread(X)
    X = validate_data(estimator, X, reset=reset, dtype=None, order="C", ensure_all_finite=False)
    if X.dtype.kind in "OUS":
        X = _numbers_from_objects(X)
    if X.dtype.kind == "b":
        return X.astype(np.int8)
    if X.dtype.kind not in "iuf":
        raise TypeError(f"X must hold numbers (spin values), got an array of dtype {X.dtype}")
    if X.dtype.kind == "f":
        _refuse_non_finite(X)
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def unwrap_tensor(X: Any) -> Any:
    """Return a CPU tensor of torch (or another array with ``detach``) as a numpy array."""
    return np.asarray(X.detach()) if hasattr(X, "detach") else X


def wide(X: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of configurations in 64-bit numbers, for a function of the user.

    Products of narrow numbers would overflow, and the function may write into its argument.
    """
    if X.dtype.kind not in "biuf":
        return X
    dtype = np.float64 if X.dtype.kind == "f" else np.int64
    check_memory(X.shape, dtype, "the configurations of a function")
    return X.astype(dtype)


def _refuse_what_would_be_misread(X: Any) -> None:
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(
            "X is a masked array, whose mask would be ignored: "
            "fill the masked sites (X.filled) or remove the configurations that hold them"
        )
    if sparse.issparse(X):
        raise TypeError("Sparse data was passed for X, but dense data is required: use X.toarray()")
    for name, dtype in _column_dtypes(X):
        if str(dtype) in ("category", "Categorical", "Enum"):
            raise TypeError(
                f"column {name!r} of X is a category: give all columns one map to numbers, such as "
                f"{_encoder(len(X.columns))}. Codes of single columns differ, and are -1 for a missing value"
            )
        if np.dtype(dtype).kind in "mM" if isinstance(dtype, np.dtype) else "date" in str(dtype).lower():
            raise TypeError(f"X holds dates or durations (dtype {dtype}); spin values must be numbers")
    shape = getattr(X, "shape", ())
    if isinstance(X, list) and X and np.ndim(X[0]) > 1:  # images of one shape, for instance
        shape = (len(X), *np.shape(X[0]))
    if len(shape) > 2:
        rows = "" if len(shape) == 3 else ". If several axes count configurations, join these first"
        raise ValueError(
            f"Expected 2D array, got an array with dim {len(shape)} of shape {tuple(shape)}: "
            f"pass {'X' if hasattr(X, 'shape') else 'np.array(X)'}.reshape(len(X), -1) and "
            f"lattice_shape={tuple(shape[1:])}{rows}"
        )


def _column_dtypes(X: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (column, dtype) of a data frame or an array."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is not None and hasattr(X, "columns"):
        yield from zip(X.columns, dtypes, strict=True)
    elif isinstance(getattr(X, "dtype", None), np.dtype):
        yield "X", X.dtype


def _numbers_from_objects(X: NDArray[Any]) -> NDArray[Any]:
    if any(isinstance(value, (str, bytes)) for value in X.ravel()):
        raise TypeError(
            "X holds strings, but spin values must be numbers: convert digits with X.astype(int), and names by one map "
            f"for all columns, such as {_encoder(X.shape[1])}. An encoder without categories numbers each column by "
            "itself"
        )
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"X must hold numbers (spin values): {error}") from error


def _encoder(n_sites: int) -> str:
    return f"sklearn.preprocessing.OrdinalEncoder(categories=[['down', 'up']] * {n_sites})"


def _refuse_non_finite(X: NDArray[Any]) -> None:
    for start in range(0, len(X), 4096):
        rows = X[start : start + 4096]
        bad = ~np.isfinite(rows)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value = rows[row, column].item()
            kind = "NaN" if np.isnan(value) else "infinity"
            raise ValueError(
                f"Input X contains {kind} ({value!r} in row {start + row}, column {column}): "
                "crop the configurations to the measured region, or impute the missing sites"
            )


def first_stray(X: NDArray[Any]) -> tuple[int, int] | None:
    """Return (row, column) of the first value that is neither -1 nor 1; None if there is none."""
    for start in range(0, len(X), 4096):
        stray = np.abs(X[start : start + 4096]) != 1
        if stray.any():
            row, column = np.argwhere(stray)[0]
            return start + row, column
    return None


def refuse_other_spins(X: NDArray[Any]) -> None:
    """Raise ValueError with the first value that is neither -1 nor 1."""
    if (stray := first_stray(X)) is not None:
        row, column = stray
        raise ValueError(
            f"X must hold spins -1 and 1, got {X[row, column]} in row {row}, column {column}. For other states there "
            "are LocalHamiltonian and MADEHamiltonian"
        )


def check_counts(sample_weight: Any, n_samples: int) -> NDArray[np.intp] | None:
    """Return the number of times that each row counts, as integers; None if each counts once."""
    if sample_weight is None:
        return None
    refuse_misread(sample_weight, "sample_weight")
    counts = as_array(sample_weight)
    if counts.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), got {counts.shape}: {sample_weight!r}")
    if counts.dtype.kind not in "iufb":
        raise ValueError(f"sample_weight must hold counts of rows, integers >= 0, got {counts.dtype} {sample_weight!r}")
    bad = ~(np.isfinite(counts) & (counts >= 0) & (counts == np.round(counts)))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"sample_weight must hold counts of rows, integers >= 0, got {counts[row].item()!r} in row {row}"
        )
    if counts.sum(dtype=np.float64) > _MOST_ROWS:
        raise ValueError(f"sample_weight must hold counts of rows, at most 2^53 in all, got {counts.max().item()!r}")
    counts = counts.astype(np.intp)
    if not counts.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")  # the message of scikit-learn
    return counts


def mean_score(score_samples: Callable[[Any], NDArray[Any]], X: Any, sample_weight: Any) -> float:
    """Return the mean score of rows that count `sample_weight` times each; None: once."""
    X = unwrap_tensor(X)
    counts = None if sample_weight is None else check_counts(sample_weight, _num_samples(X))
    if counts is None:
        return float(np.mean(score_samples(X)))
    rows = np.flatnonzero(counts)  # others are as if they were not there
    return float(np.average(score_samples(_safe_indexing(X, rows)), weights=counts[rows]))


def check_groups(groups: Any, n_samples: int) -> NDArray[np.intp] | None:
    """Return the number of the group of each row, from 0; None without groups."""
    if groups is None:
        return None
    if isinstance(groups, np.ma.MaskedArray):
        refuse_misread(groups, "groups")
    labels = as_array(groups)
    if labels.shape != (n_samples,):
        raise ValueError(f"groups must hold one label for each of the {n_samples} rows, got shape {labels.shape}")
    if labels.dtype.kind in "US" and not all(isinstance(label, (str, bytes)) for label in groups):
        labels = np.array(groups, dtype=object)  # numpy made text of other labels, such as NaN
    try:
        names, number = np.unique(labels, return_inverse=True)
        missing = np.flatnonzero(labels != labels)  # NaN and NaT
    except TypeError as error:
        raise TypeError(f"groups must hold labels of one type, such as integers: {error}") from error
    if len(missing):
        raise ValueError(f"groups must hold one label for each row, got {labels[missing[0]]} in row {missing[0]}")
    if len(names) < 2:
        raise ValueError(f"groups must hold at least two different labels, got only {names.tolist()}")
    return number.astype(np.intp)
