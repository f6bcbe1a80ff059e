"""The terms of H of an Ising model on a lattice, from the couplings and fields of the user."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.bonds import axis_bonds, next_nearest_neighbours, plaquettes
from .._lattice.checks import axis_couplings, check_sites, periodic_axes
from .._utils.checks import check_field, check_number
from .._utils.memory import check_memory
from .._utils.repeatable import check_repeatable
from .terms import SpinSystem, spin_system

METHODS = ("auto", "heat-bath", "swendsen-wang", "parallel-tempering")


def lattice_system(
    shape: tuple[int, ...], boundary: Any, coupling: Any, diagonal: Any, plaquette: Any, field: Any, couplings: Any
) -> SpinSystem:
    """Check the couplings of a lattice and return the terms of H."""
    n_sites = math.prod(shape)
    check_memory((n_sites, 2 * len(shape)), np.int64, "the list of bonds")
    periodic = periodic_axes(boundary, len(shape))
    along_axes = axis_couplings(coupling, len(shape))
    across = [
        (_finite(diagonal, "next_nearest_coupling"), next_nearest_neighbours),
        (_finite(plaquette, "plaquette_coupling"), plaquettes),
    ]
    fields = site_fields(field, n_sites)
    others = list(coupling_tables(couplings, n_sites))
    nearest = zip(along_axes, axis_bonds(shape, periodic), strict=True) if any(along_axes) else ()
    rest = [(strength, table(shape, periodic)) for strength, table in across if strength]
    return spin_system(n_sites, [*nearest, *rest, *fields, *others])


def check_couplings(coupling: Any, diagonal: Any, plaquette: Any, field: Any) -> None:
    """Check couplings and fields as far as possible before the lattice is known."""
    axis_couplings(coupling, len(coupling) if isinstance(coupling, (tuple, list)) else 1)
    _finite(diagonal, "next_nearest_coupling")
    _finite(plaquette, "plaquette_coupling")
    check_field(field)


def site_fields(field: Any, n_sites: int) -> list[tuple[float, NDArray[np.int64]]]:
    """Return the terms of a field, which is one number or one number for each site."""
    sites, h = np.arange(n_sites)[:, None], check_field(field, n_sites)
    if np.ndim(h) == 0:
        return [(h, sites)]
    values, which = np.unique(h, return_inverse=True)
    return [(float(value), sites[which == k]) for k, value in enumerate(values)]


def coupling_tables(couplings: Any, n_sites: int) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Yield (strength, table of sites) of each entry of `couplings`."""
    if couplings is None:
        return
    check_repeatable(couplings, "couplings")
    if not isinstance(couplings, (list, tuple, np.ndarray)):
        raise TypeError(f"couplings must be a list of (strength, sites), got {couplings!r}")
    for entry in couplings:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            raise TypeError(f"each of couplings must be (strength, sites), got {entry!r}")
        strength = _finite(entry[0], "each strength in couplings")
        table = check_sites(entry[1], n_sites, "couplings")
        if (np.diff(np.sort(table, axis=1), axis=1) == 0).any():
            raise ValueError(f"the sites of each term in couplings must differ, got {entry[1]!r}")
        yield strength, table


def _finite(value: Any, name: str) -> float:
    return check_number(value, name, include_low=False, include_high=False)
