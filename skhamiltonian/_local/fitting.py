"""Fit a plan to checked data, and return the fitted attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.exceptions import ConvergenceWarning

from .._utils.checks import seed_sequence
from .._utils.torch_state import plain_torch
from .._utils.warn import warn
from .clusters import Clusters, clusters_of, window_group
from .network import WindowNetwork
from .observations import Neighbourhoods, Observations, Rows, counted, each_site, neighbourhoods, tiles
from .parameters import MOST_HELD_OUT, MOST_PATTERNS, MOST_SITES, Plan
from .problem import NOTHING, Blocks, Problem, Summary
from .reading import Data
from .sparse import fit_sparse

_OTHER_SHAPE = (
    "training cannot continue with other states, window_shape, symmetries or hidden_layer_sizes than before: "
    "call fit with warm_start=False"
)
_OF_NETWORK = ("coefs_", "intercepts_", "site_coef_", "pair_coef_", "permutations_", "even_", "unit_")
_OF_CLUSTERS = ("couplings_", "covariance_", "table_errors_", "clusters_", "summary_")
_PULL, _MAX_PULL = 2.0, 0.3  # in standard errors of the gradient; in learning rates an update
_FALSE = 0.05  # probability that noise alone yields a coupling
_MOST_SITES, _MOST_DISTINCT_SITES = 2**24, 2**22
_ENOUGH_BLOCKS = 200  # rows, groups, or tiles of fewer rows, that measure the variance of the gradient
_MOST_ROWS_OF_VARIANCE, _MOST_SITES_OF_VARIANCE = 2000, 2**19
# Tables that carry the error of the couplings; random ones of them know a variance to 18 %.
_MOST_ERRORS = 64


Attributes = dict[str, Any]
Report = Callable[[int, float], bool]
_Symmetry = Callable[[np.random.Generator], tuple[NDArray[np.intp], bool]]


def learn(
    local: Any, plan: Plan, data: Data, states: NDArray[Any], past: Attributes | None, report: Report
) -> Attributes:
    """Return the fitted attributes of a LocalHamiltonian by name, and whether the fit has "converged".

    `local` does not change. `past` are the attributes of an earlier fit. They are the start of this fit; if
    past["adds"] is true, they also stand for the rows seen so far.
    """
    rng = np.random.default_rng(seed_sequence(local.random_state, "LocalHamiltonian.fit"))
    if past and (past["coefs_"] is None) == bool(plan.hidden):
        raise ValueError(_OTHER_SHAPE)
    if plan.hidden:
        return _learn_network(local, plan, data, states, past, report, rng)
    return _learn_clusters(plan, data, states, past, report, rng)


def _learn_clusters(
    plan: Plan, data: Data, states: NDArray[Any], past: Attributes | None, report: Report, rng: np.random.Generator
) -> Attributes:
    geometry = plan.geometry
    clusters = clusters_of(geometry.window_shape, len(states), _group(plan, geometry.window_shape), even=plan.even)
    unit, summary, start = _past(past, clusters, data)
    seen, blocks = _observations(plan, data, states, unit, rng)
    if not seen.counts.any():
        raise ValueError("X must have sites with a positive weight and no masked site in their windows, got none")
    problem = Problem(clusters, seen, geometry.powers, blocks, summary, rng)
    free = _degrees_of_freedom(data, past)
    threshold = plan.sparsity
    if threshold is None:
        threshold = float(student.isf(_FALSE / 2 / max(1, clusters.n_clusters), free))
    fit = fit_sparse(problem, threshold, plan.max_iter, start, report)
    covariance = fit.covariance * student.isf(norm.sf(1.0), free) ** 2
    return {
        "converged": fit.converged,
        "table_": unit * clusters.table(fit.couplings),
        "couplings_": -unit * fit.couplings[fit.selected],
        "covariance_": unit**2 * covariance,
        "table_errors_": unit * _table_errors(clusters, fit.selected, covariance),
        "clusters_": clusters.degrees[fit.selected].reshape(-1, *geometry.window_shape),
        "summary_": {**vars(fit.summary), "temperature": unit, "n_clusters": clusters.n_clusters, "free": free},
        **dict.fromkeys(_OF_NETWORK),
        "loss_curve_": fit.loss,
        "validation_scores_": None,
        "n_iter_": len(fit.loss),
    }


def _degrees_of_freedom(data: Data, past: Attributes | None) -> float:
    """Return the number of all groups minus 1; infinity without groups."""
    free = math.inf if data.group is None else float(data.group.max())
    return free + 1 + past["summary_"]["free"] if past and past["adds"] else free


def _table_errors(
    clusters: Clusters, selected: NDArray[np.intp], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return changes e of the table with sum_k e_k e_k^T its covariance; random ones if the couplings are many."""
    variance, direction = np.linalg.eigh(covariance)
    root = direction * np.sqrt(np.maximum(variance, 0))
    if len(root) > _MOST_ERRORS:
        root = root @ np.random.default_rng(0).normal(size=(len(root), _MOST_ERRORS)) / math.sqrt(_MOST_ERRORS)
    couplings = np.zeros((root.shape[1], clusters.n_clusters))
    couplings[:, selected] = root.T
    return np.reshape([clusters.table(each) for each in couplings], (len(couplings), len(clusters.share)))


def _past(past: Attributes | None, clusters: Clusters, data: Data) -> tuple[float, Summary, NDArray[np.float64] | None]:
    """Return the unit of the couplings, the summary of earlier rows, and the couplings to start from."""
    unit = data.mean_temperature()
    if not past:
        return unit, NOTHING, None
    known = past["summary_"]
    if known["n_clusters"] != clusters.n_clusters or len(past["table_"]) != len(clusters.share):
        raise ValueError(_OTHER_SHAPE)
    if not past["adds"]:
        return unit, NOTHING, clusters.couplings(past["table_"]) / unit
    unit = known["temperature"]
    summary = Summary(*(known[name] for name in ("columns", "slope", "information", "variance")))
    return unit, summary, clusters.couplings(past["table_"]) / unit


def _observations(
    plan: Plan, data: Data, states: NDArray[Any], unit: float, rng: np.random.Generator
) -> tuple[Observations, Blocks]:
    """Return the inner sites of all rows, and those of some blocks that measure the variance of the gradient."""
    geometry = plan.geometry
    n_inner = math.prod(geometry.inner_shape(plan.lattice_shape))
    ratios = unit / np.unique(data.temperature)[::-1]
    small = geometry.n_states ** (len(geometry.neighbours) + 1) * len(ratios) < 2**32 and len(ratios) <= 64
    n_rows = max(1, (_MOST_SITES if small else _MOST_DISTINCT_SITES) // n_inner)
    rows = None if len(data) <= n_rows else np.sort(rng.choice(len(data), n_rows, replace=False))
    seen = counted((block for _, block in data.blocks(states, plan.lattice_shape, unit, rows)), geometry, ratios)
    n_used = min(n_rows, len(data))
    n_some = min(n_used, _MOST_ROWS_OF_VARIANCE, max(1, _MOST_SITES_OF_VARIANCE // n_inner))
    if data.group is not None:
        return seen, _some_groups(plan, data, states, unit, np.arange(len(data)) if rows is None else rows)
    some = np.linspace(0, n_used - 1, n_some).astype(int)
    some = some if rows is None else rows[some]
    least = tuple(2 * width for width in geometry.window_shape)
    tile = tiles(geometry.inner_shape(plan.lattice_shape), math.ceil(_ENOUGH_BLOCKS / n_some), least)
    parts = [
        each_site(block, geometry, first, tile) for first, block in data.blocks(states, plan.lattice_shape, unit, some)
    ]
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in ("bases", "counts", "ratio", "row"))
    return seen, Blocks([Observations(*joined)], n_some / n_used)


def _some_groups(plan: Plan, data: Data, states: NDArray[Any], unit: float, rows: NDArray[np.intp]) -> Blocks:
    """Return the inner sites of enough groups, or of all."""
    assert data.group is not None
    groups = np.unique(data.group[rows])
    n_some = max(_ENOUGH_BLOCKS, math.ceil(_MOST_ROWS_OF_VARIANCE * len(groups) / len(rows)))
    chosen = groups[np.unique(np.linspace(0, len(groups) - 1, n_some).astype(int))]
    some = rows[np.isin(data.group[rows], chosen)]
    some = some[np.argsort(data.group[some], kind="stable")]
    return Blocks(_SitesOfGroups(plan, data, states, unit, some), len(chosen) / len(groups), grouped=True)


@dataclass(frozen=True)
class _SitesOfGroups:
    """The inner sites of some rows with the group of each, read anew in every loop."""

    plan: Plan
    data: Data
    states: NDArray[Any]
    unit: float
    rows: NDArray[np.intp]

    def __iter__(self) -> Iterator[Observations]:
        assert self.data.group is not None
        for first, block in self.data.blocks(self.states, self.plan.lattice_shape, self.unit, self.rows):
            seen = each_site(block, self.plan.geometry, first)
            yield replace(seen, row=self.data.group[self.rows[seen.row]].astype(np.int32))


def _group(plan: Plan, shape: tuple[int, ...]) -> list[NDArray[np.intp]]:
    """Return the elements of the point group as permutations of the sites of a block."""
    group = window_group(shape, plan.lattice_shape, plan.geometry.periodic)
    return group if "point-group" in plan.symmetries else [np.arange(math.prod(shape))]


@plain_torch()
def _learn_network(
    local: Any,
    plan: Plan,
    data: Data,
    states: NDArray[Any],
    past: Attributes | None,
    report: Report,
    rng: np.random.Generator,
) -> Attributes:
    from .training import Course, DivergedError, WindowModule, train

    geometry = plan.geometry
    unit = data.mean_temperature() if not past else past["unit_"]
    sites, held_out = _split(local, plan, data, states, unit, rng)
    module = WindowModule(geometry, plan.hidden, int(rng.integers(2**31)))
    if past:
        module.load(stored_network(past))
    sparsity = _PULL if plan.sparsity is None else plan.sparsity
    batch_size = min(plan.batch_size, len(sites))
    pull = min(_MAX_PULL, sparsity * math.sqrt(batch_size / len(sites)))
    course = Course(batch_size, plan.learning_rate, plan.max_iter, pull)
    try:
        arrays, history = train(module, sites, held_out, _symmetry(plan), course, report, rng)
    except DivergedError as error:
        raise DivergedError(f"the loss became NaN or infinite in {error}: lower learning_rate_init") from None
    if history.stopped:
        warn(
            f"the loss became NaN or infinite in {history.stopped}, so the best epoch before is kept: "
            "lower learning_rate_init",
            ConvergenceWarning,
        )
    group = np.array(_group(plan, geometry.window_shape))
    attributes = dict(zip(_OF_NETWORK, (*arrays, group, plan.even, unit), strict=True))
    table = None
    if geometry.n_states ** math.prod(geometry.window_shape) <= MOST_PATTERNS:
        clusters = clusters_of(geometry.window_shape, len(states), list(group), even=plan.even)
        table = clusters.table(clusters.couplings(stored_network(attributes).table()))
    return attributes | {
        "converged": True,
        "table_": table,
        **dict.fromkeys(_OF_CLUSTERS),
        "loss_curve_": history.loss,
        "validation_scores_": history.validation or None,
        "n_iter_": len(history.loss),
    }


def stored_network(attributes: Mapping[str, Any]) -> WindowNetwork:
    """Return the network that is stored in fitted attributes."""
    arrays = (attributes[name] for name in _OF_NETWORK[:-2])
    weights, biases, site_coef, pair_coef, permutations = arrays
    n_states = len(site_coef) // permutations.shape[1] + 1
    even, unit = attributes["even_"], attributes["unit_"]
    return WindowNetwork(tuple(weights), tuple(biases), site_coef, pair_coef, permutations, even, n_states, unit)


def _symmetry(plan: Plan) -> _Symmetry:
    """Return a function that draws a symmetry: a permutation of a neighbourhood, and whether to flip the states."""
    block = tuple(2 * width - 1 for width in plan.geometry.window_shape)
    middle = math.prod(block) // 2
    order = np.r_[middle, :middle, middle + 1 : 2 * middle + 1]
    rank = np.argsort(order)
    permutations = [rank[permutation[order]] for permutation in _group(plan, block)]
    return lambda rng: (permutations[rng.integers(len(permutations))], plan.even and bool(rng.random() < 0.5))


def _split(
    local: Any, plan: Plan, data: Data, states: NDArray[Any], unit: float, rng: np.random.Generator
) -> tuple[Neighbourhoods, Neighbourhoods]:
    """Return the inner sites to train on, and the inner sites of the rows held back."""
    n_held_out = math.ceil(local.validation_fraction * len(data))
    rows = rng.permutation(len(data))
    if data.group is not None:  # groups are held back as a whole
        n_groups = int(data.group.max()) + 1
        is_out = rng.permutation(n_groups)[data.group[rows]] < math.ceil(local.validation_fraction * n_groups)
        rows, n_held_out = np.append(rows[is_out], rows[~is_out]), int(is_out.sum())
    held_out = _some_sites(plan, data, states, unit, rows[:n_held_out], MOST_HELD_OUT, rng)
    sites = _some_sites(plan, data, states, unit, rows[n_held_out:], MOST_SITES, rng)
    if not len(sites):
        raise ValueError(
            f"X must have sites with a positive weight and no masked site in their windows, got none in the "
            f"{len(data) - n_held_out} of {len(data)} rows that validation_fraction leaves for training"
        )
    return sites, held_out


def _some_sites(
    plan: Plan,
    data: Data,
    states: NDArray[Any],
    unit: float,
    rows: NDArray[np.intp],
    most: int,
    rng: np.random.Generator,
) -> Neighbourhoods:
    """Return about `most` inner sites of these rows, or all if they are fewer."""
    n_inner = math.prod(plan.geometry.inner_shape(plan.lattice_shape))
    rows = np.sort(rows[: max(1, 4 * most // n_inner)])
    share = min(1.0, most / max(1, n_inner * len(rows)))
    nothing = Rows(np.zeros((0, *plan.lattice_shape), np.int8), np.zeros(0), np.zeros(0))
    parts = [neighbourhoods(nothing, plan.geometry)]
    for first, block in data.blocks(states, plan.lattice_shape, unit, rows):
        part = neighbourhoods(block, plan.geometry, first)
        parts.append(part if share == 1 else part.part(np.flatnonzero(rng.random(len(part)) < share)))
    names = ("codes", "ratio", "weight", "row")
    return Neighbourhoods(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
