"""Names of the sites, on the way from a table of the user to a model inside."""

import copy

import numpy as np

from .configurations import unwrap_tensor


def rows_for(model, rows, X=None):
    """Return the user's rows if a model, or the owner of a method, was fitted to rows with names; else an array.

    The array is X, the rows after validation, if there is one.
    """
    if hasattr(getattr(model, "__self__", model), "feature_names_in_"):
        return rows
    return np.asarray(unwrap_tensor(rows)) if X is None else X


def without_names(model):
    """Return a fitted model for rows that have no names, such as its own draws."""
    if "feature_names_in_" not in getattr(model, "__dict__", {}):
        return model
    model = copy.copy(model)
    del model.feature_names_in_
    return model
