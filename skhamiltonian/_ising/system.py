"""From the parameters of IsingSampler to the terms of its energy."""

import math

import numpy as np

from .._lattice.bonds import nearest_neighbours, next_nearest_neighbours, plaquettes, spin_system
from .._lattice.checks import check_sites, periodic_axes
from .._utils.checks import (
    check_choice,
    check_integer,
    check_lattice_shape,
    check_memory,
    check_number,
    check_temperature,
)
from .._utils.repeatable import check_repeatable

ALGORITHMS = ("auto", "heat-bath", "swendsen-wang", "parallel-tempering")
_STRENGTHS = {
    "coupling": nearest_neighbours,
    "next_nearest_coupling": next_nearest_neighbours,
    "plaquette_coupling": plaquettes,
}
_COUNTS = {"n_sweeps": ("auto", 1), "burn_in": ("auto", 0), "n_chains": (None, 1)}  # default and smallest number


def check_parameters(sampler):
    """Check everything that can be checked without data."""
    check_temperature(sampler.temperature)
    for name in (*_STRENGTHS, "field"):
        check_number(getattr(sampler, name), name, include_low=False, include_high=False)
    check_choice(sampler.algorithm, "algorithm", ALGORITHMS)
    for name, (default, minimum) in _COUNTS.items():
        value = getattr(sampler, name)
        if value is not None if default is None else not isinstance(value, str) or value != default:
            check_integer(value, name, minimum=minimum)
    if sampler.lattice_shape is not None:
        shape = check_lattice_shape(sampler.lattice_shape)
        periodic_axes(sampler.boundary, len(shape))
        list(_coupling_tables(sampler.couplings, math.prod(shape)))


def lattice_of(sampler):
    """Return the shape of the lattice, given or taken from data."""
    if sampler.lattice_shape is not None:
        return check_lattice_shape(sampler.lattice_shape)
    if not hasattr(sampler, "lattice_shape_"):
        raise ValueError("lattice_shape must be given, such as (16, 16), or taken from data by fit, got None")
    return sampler.lattice_shape_


def ising_system(sampler, field=0.0):
    """Return the terms of H with an external field added."""
    shape = lattice_of(sampler)
    n_sites = math.prod(shape)
    check_memory((n_sites, 2 * len(shape)), np.int64, "the list of bonds")
    periodic = periodic_axes(sampler.boundary, len(shape))
    strengths = ((getattr(sampler, name), table) for name, table in _STRENGTHS.items())
    on_lattice = [(strength, table(shape, periodic)) for strength, table in strengths if strength != 0.0]
    fields = (sampler.field + field, np.arange(n_sites)[:, None])
    return spin_system(n_sites, [*on_lattice, fields, *_coupling_tables(sampler.couplings, n_sites)])


def _coupling_tables(couplings, n_sites):
    """Yield (strength, table of sites) of each entry of `couplings`."""
    if couplings is None:
        return
    check_repeatable(couplings, "couplings")
    if isinstance(couplings, (str, bytes, dict)) or not np.iterable(couplings):
        raise TypeError(f"couplings must be a list of (strength, sites), got {couplings!r}")
    for entry in couplings:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            raise TypeError(f"each of couplings must be (strength, sites), got {entry!r}")
        strength = check_number(entry[0], "each strength in couplings", include_low=False, include_high=False)
        table = check_sites(entry[1], n_sites, "couplings")
        if (np.diff(np.sort(table, axis=1), axis=1) == 0).any():
            raise ValueError(f"the sites of a term in couplings must differ, got {entry[1]!r}")
        yield strength, table
