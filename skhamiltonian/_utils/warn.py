"""Warnings at the line of the user's code."""

import sys
import warnings
from pathlib import Path

import joblib
import sklearn

_INSIDE = (str(Path(__file__).parents[1]), *(str(Path(package.__file__).parent) for package in (joblib, sklearn)))


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that belongs neither to this package nor to scikit-learn or joblib."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
