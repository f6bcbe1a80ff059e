"""The classes of chains of each method."""

from __future__ import annotations

import math

import numpy as np

from .chain_groups import (
    ClusterGroup,
    CodeGroup,
    HeatBathGroup,
    MetropolisGroup,
    NetworkHeatBathGroup,
    NetworkMetropolisGroup,
)
from .swendsen_wang import pair_terms
from .system import LocalSystem
from .tempering import tempered_group

METHODS = ("auto", "heat-bath", "metropolis", "cluster", "parallel-tempering")
_TABLE: dict[str, type[CodeGroup]] = {
    "heat-bath": HeatBathGroup,
    "metropolis": MetropolisGroup,
    "cluster": ClusterGroup,
}
_NETWORK: dict[str, type[CodeGroup]] = {"heat-bath": NetworkHeatBathGroup, "metropolis": NetworkMetropolisGroup}


def candidates(method: str, system: LocalSystem) -> tuple[str, ...]:
    """Return the methods that `method` may take, in the order of their trials.

    Clusters suit two states with pair terms that do not compete. Otherwise single sites are tried first, and parallel
    tempering if their trial has not converged.
    """
    has_table = system.energy.table is not None
    if method in ("cluster", "parallel-tempering") and not has_table:
        n = math.prod(system.energy.window_shape)
        raise ValueError(f"method={method!r} needs a table, and {system.n_states}^{n} patterns are too many for one")
    if method == "cluster" and system.n_states != 2:
        raise ValueError(f"method='cluster' turns over sites of two states, got {system.n_states}")
    if method != "auto":
        return (method,)
    single = "metropolis" if system.n_states == 2 else "heat-bath"
    if not has_table:
        return (single,)
    if system.n_states == 2 and not pair_terms(system.energy, system.windows().sites).compete:
        return ("cluster", single)
    return (single, "parallel-tempering")


def group_class(method: str, system: LocalSystem, temperature: float, seed: np.random.SeedSequence) -> type[CodeGroup]:
    """Return the class of chains that moves by this method."""
    if method == "parallel-tempering":
        return tempered_group(system, temperature, seed)
    return (_NETWORK if system.energy.table is None else _TABLE)[method]
