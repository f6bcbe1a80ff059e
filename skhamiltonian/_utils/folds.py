"""Folds of a cross-validation that the user may have made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_fold(fold: Any, n_samples: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on and those held out as indices, from indices or from masks of all rows."""
    try:
        train, test = (np.arange(n_samples)[np.asarray(part)] for part in fold)
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"cv must yield pairs of indices or of masks of the {n_samples} rows: {error}") from None
    if not (len(train) and len(test)):
        raise ValueError(f"cv must yield rows to train on and rows to hold out, got {len(train)} and {len(test)}")
    if len(both := np.intersect1d(train, test)):
        raise ValueError(f"cv must hold out rows that are not trained on, got row {both[0]} in both parts")
    return train, test
