"""Checks that arguments can be read more than once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def check_repeatable(value: Any, name: str) -> None:
    """Raise TypeError if `value` can be read only once, such as a generator: a second read would find it empty."""
    if isinstance(value, Iterator):
        raise TypeError(f"{name} must be a list or a tuple, got {value!r}, which can be read only once")


def check_parameters_repeatable(estimator: Any) -> None:
    """Raise TypeError if a parameter of an estimator can be read only once."""
    for name, value in estimator.get_params(deep=False).items():
        check_repeatable(value, name)
