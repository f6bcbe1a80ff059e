"""Names of the sites, for models inside other models."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from .configurations import unwrap_tensor, wide


def rows_for(model: Any, rows: Any, X: NDArray[Any] | None = None) -> Any:
    """Return the user's rows if `model`, or the owner of this method, was fitted with names; else an array.

    The array is X, the validated rows, if it is given; it is wide for a function or a model of the user.
    """
    owner = getattr(model, "__self__", model)
    if hasattr(owner, "feature_names_in_"):
        return rows
    X = np.asarray(unwrap_tensor(rows)) if X is None else X
    return X if isinstance(owner, BaseEstimator) else wide(X)


def without_names(model: Any) -> Any:
    """Return a fitted model that accepts rows without names, such as its own draws."""
    if "feature_names_in_" not in getattr(model, "__dict__", {}):
        return model
    model = copy.copy(model)
    del model.feature_names_in_
    return model


def method_without_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function; a method of a model that was fitted with names becomes one that accepts draws."""
    owner = getattr(function, "__self__", None)
    if "feature_names_in_" not in getattr(owner, "__dict__", {}):
        return function
    return types.MethodType(getattr(function, "__func__", function), without_names(owner))
