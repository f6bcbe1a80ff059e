"""Check the arguments of the user, and return blocks of codes with the temperature and the weight of each row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight

from .._utils.alphabet import Alphabet
from .._utils.checks import refuse_misread
from .._utils.configurations import check_groups, validate_configurations
from .._utils.mapped import release_pages
from .observations import Rows

_BLOCK = 2**20  # sites
_LARGEST_COUNT = 2**24  # larger ones are not exact in single precision


@dataclass(frozen=True)
class Data:
    """Checked configurations of some states, with the temperature, the weight and the group of each row."""

    X: NDArray[Any]
    measured: NDArray[np.bool_] | None
    temperature: NDArray[np.float64]
    weight: NDArray[np.float64]
    group: NDArray[np.intp] | None = None  # from 0; None: rows are independent

    def __len__(self) -> int:
        return len(self.X)

    def mean_temperature(self) -> float:
        """Return the weighted mean of the rows' temperatures."""
        if (self.temperature == self.temperature[0]).all():
            return float(self.temperature[0])
        return float(np.average(self.temperature, weights=self.weight))

    def for_variance(self) -> Data:
        """Return the data with weights whose squares are to be added.

        A row that counts n times stands for n independent rows, whose variances add up. Weights that are no counts
        multiply one row each, and the rows of a group are not independent.
        """
        if self.group is not None or (self.weight != np.round(self.weight)).any():
            return self
        return replace(self, weight=np.sqrt(self.weight))

    def part(self, rows: NDArray[np.intp]) -> Data:
        """Return some of the rows; their groups are numbered anew."""
        measured = None if self.measured is None else self.measured[rows]
        group = None if self.group is None else np.unique(self.group[rows], return_inverse=True)[1]
        return Data(self.X[rows], measured, self.temperature[rows], self.weight[rows], group)

    def blocks(
        self, alphabet: Alphabet, shape: tuple[int, ...], unit: float, rows: NDArray[np.intp] | None = None
    ) -> Iterator[tuple[int, Rows]]:
        """Yield the number of the first row of each block, and the block as `Rows` with the ratios unit / T."""
        n = len(self.X) if rows is None else len(rows)
        step = max(1, _BLOCK // math.prod(shape))
        for start in range(0, n, step):
            chosen: Any = slice(start, min(start + step, n)) if rows is None else rows[start : start + step]
            codes = alphabet.encode_checked(self.X[chosen], start).reshape(-1, *shape)
            measured = None if self.measured is None else self.measured[chosen].reshape(-1, *shape)
            yield start, Rows(codes, unit / self.temperature[chosen], self.weight[chosen], measured)
            release_pages(self.X)


def read(
    estimator: Any, X: Any, y: Any, sample_weight: Any, temperature: float, *, reset: bool, groups: Any = None
) -> Data:
    """Return the checked data of the rows that have a weight.

    If y is None, all rows have the temperature `temperature`.
    """
    X, measured = _split_mask(X)
    X = validate_configurations(estimator, X, reset=reset)
    weight = np.broadcast_to(1.0, len(X))
    if sample_weight is not None:
        refuse_misread(sample_weight, "sample_weight")
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weight.any():
            raise ValueError("sample_weight must have a positive entry, got only zeros")
        if weight.max() > _LARGEST_COUNT or (weight != np.round(weight)).any():
            weight = weight / weight[weight > 0].mean()
    each = np.broadcast_to(float(temperature), len(X)) if y is None else _temperatures(y, len(X))
    data = Data(X, measured, each, weight, check_groups(groups, len(X)))
    return data if weight.all() else data.part(np.flatnonzero(weight))  # other rows are as if they were not there


def _split_mask(X: Any) -> tuple[Any, NDArray[np.bool_] | None]:
    """Return X with a valid state at its masked sites, and whether each site is measured (None: all are)."""
    if not isinstance(X, np.ma.MaskedArray):
        return X, None
    mask = np.ma.getmaskarray(X)
    if not mask.any():
        return np.ma.getdata(X), None
    if mask.all():
        raise ValueError("every site of X is masked")
    return X.filled(X.compressed()[0]), ~mask


def _temperatures(y: Any, n_samples: int) -> NDArray[np.float64]:
    try:
        refuse_misread(y, "y")
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"y must hold one temperature for each row: {error}") from error
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.shape != (n_samples,):
        raise ValueError(f"y must hold one temperature for each of the {n_samples} rows, got shape {values.shape}")
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"y must hold positive finite temperatures, got {values[row].item()!r} in row {row}")
    return values
