"""Checks of arguments about the sites and axes of a lattice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.checks import check_choice, check_number


def periodic_axes(boundary: Any, n_axes: int) -> tuple[bool, ...]:
    """Return whether each axis is periodic."""
    names = [boundary] * n_axes if isinstance(boundary, str) else boundary
    if not isinstance(names, (list, tuple)) or len(names) != n_axes:
        raise ValueError(
            f"boundary must be 'periodic', 'open' or one of these for each of the {n_axes} axes, got {boundary!r}"
        )
    return tuple(check_choice(name, "boundary", ("periodic", "open")) == "periodic" for name in names)


def check_sites(sites: Any, n_sites: int, name: str) -> NDArray[np.int64]:
    """Return one term or a table of terms as a table of sites, (n_terms, order)."""
    table = np.atleast_1d(sites)
    if table.dtype.kind not in "iu" or table.ndim > 2 or table.shape[-1] == 0:
        raise TypeError(f"sites in {name} must be integers, one term or a table of terms, got {sites!r}")
    table = np.atleast_2d(table).astype(np.int64)
    if table.size and (table.min() < 0 or table.max() >= n_sites):
        raise ValueError(f"sites in {name} must be in 0 ... {n_sites - 1}, got {sites!r}")
    return table


def axis_couplings(coupling: Any, n_axes: int) -> tuple[float, ...]:
    """Return the coupling of each axis, from one number for all axes or a tuple with one for each."""
    if not isinstance(coupling, (tuple, list)):
        if isinstance(coupling, np.ndarray) and coupling.ndim:
            raise TypeError(f"coupling must be a number or a tuple of numbers, one per axis, got {coupling!r}")
        return (check_number(coupling, "coupling", include_low=False, include_high=False),) * n_axes
    if len(coupling) != n_axes:
        raise ValueError(f"coupling must be a number or one for each of the {n_axes} axes, got {coupling!r}")
    return tuple(check_number(J, "each coupling", include_low=False, include_high=False) for J in coupling)
