"""The magnetization of a configuration: a mean of numbers, or the length of a mean vector of angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean_state(configurations: NDArray[Any], states: Any = None) -> NDArray[np.float64]:
    """Return the mean of every configuration (..., n_sites) over the largest absolute state.

    The largest state is that of `states`, the values of a site, or of the configurations if `states` is None.
    """
    values = np.asarray(configurations) if states is None else np.asarray(states)
    largest = max(abs(float(values.min())), abs(float(values.max()))) or 1.0  # abs(np.int8(-128)) is -128
    return configurations.mean(axis=-1, dtype=float) / largest


def mean_vector_length(angles: NDArray[Any]) -> NDArray[np.float64]:
    r"""Return :math:`\left| \sum_i e^{i \theta_i} \right| / N` of every configuration (..., n_sites) of angles."""
    return np.hypot(np.cos(angles).mean(axis=-1), np.sin(angles).mean(axis=-1))
