"""Fit a plan to checked data, and return the fitted attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from .choice_of_rows import Chosen, all_sites, choose_rows, some_sites
from .clusters import Clusters, clusters_of
from .network import WindowNetwork
from .observations import Neighbourhoods, Observations, counted, each_site
from .parameters import MOST_HELD_OUT, MOST_PATTERNS, MOST_SITES, Plan
from .problem import NOTHING, Problem, PseudoLikelihood, Summary
from .reading import Data
from .sparse import SparseFit, fit_sparse
from .wave_problem import WaveProblem
from .waves import Waves, waves_of

_OTHER_SHAPE = (
    "training cannot continue with other states, window_shape, symmetries or hidden_layer_sizes than before: "
    "call fit with warm_start=False"
)
_OF_NETWORK = ("coefs_", "intercepts_", "site_coef_", "pair_coef_", "permutations_", "even_", "unit_")
_OF_ANGLES = ("phases_", "offsets_")
_OF_CLUSTERS = ("couplings_", "covariance_", "table_errors_", "clusters_", "summary_", *_OF_ANGLES)
_PULL, _MAX_PULL = 2.0, 0.3  # in standard errors of the gradient; in learning rates an update
_WIDE = 0.4  # error of a coupling in units of T0
_FALSE = 0.05  # probability that noise alone yields a coupling
_HIGH = 10.0  # threshold in standard errors that interactions of much data may fail to reach; for 4 groups or less
_MOST_SITES, _MOST_DISTINCT_SITES, _MOST_SITES_OF_ANGLES = 2**24, 2**22, 2**20
# Tables that carry the error of the couplings; random ones of them know a variance to 18 %.
_MOST_ERRORS = 64


Attributes = dict[str, Any]
Report = Callable[[int, float], bool]
_Symmetry = Callable[[np.random.Generator], tuple[NDArray[np.intp], bool]]


def learn(local: Any, plan: Plan, data: Data, past: Attributes | None, report: Report) -> Attributes:
    """Return the fitted attributes of a LocalHamiltonian by name, and whether the fit has "converged".

    `local` does not change. `past` are the attributes of an earlier fit. They are the start of this fit; if
    past["adds"] is true, they also stand for the rows seen so far.
    """
    rng = np.random.default_rng(seed_sequence(local.random_state, "LocalHamiltonian.fit"))
    if past and (past["coefs_"] is None) == bool(plan.hidden):
        raise ValueError(_OTHER_SHAPE)
    if plan.hidden:
        return _learn_network(local, plan, data, past, report, rng)
    return _learn_couplings(plan, data, past, report, rng)


def _learn_couplings(
    plan: Plan, data: Data, past: Attributes | None, report: Report, rng: np.random.Generator
) -> Attributes:
    shape = plan.geometry.window_shape
    basis: Clusters | Waves
    if plan.alphabet.period:
        basis = waves_of(shape, plan.group(shape), plan.symmetries)
    else:
        basis = clusters_of(shape, plan.alphabet.n_states, plan.group(shape), even=plan.even)
    unit, summary, start = _past(past, basis, data, shape)
    problem: PseudoLikelihood
    if isinstance(basis, Waves):
        problem = _wave_problem(plan, data, basis, unit, summary, rng)
    else:
        problem = _cluster_problem(plan, data, basis, unit, summary, rng)
    if not problem.n_seen:
        raise ValueError("X must have sites with a positive weight and no masked site in their windows, got none")
    threshold, free = plan.sparsity, _degrees_of_freedom(data, past)
    if threshold is None:
        threshold = float(student.isf(_FALSE / 2 / max(1, basis.n_clusters), free))
    if start is None and isinstance(problem, WaveProblem) and (part := problem.first_part()):
        start = fit_sparse(part, threshold, plan.max_iter, None, lambda iteration, loss: False).couplings
    fit = fit_sparse(problem, threshold, plan.max_iter, start, report)
    if plan.sparsity is None and threshold > _HIGH and not len(fit.selected):
        warn(
            f"no coupling is kept: with {free + 1:.0f} groups, one must exceed {threshold:.0f} standard errors. Fit "
            "more groups, or pass a lower threshold, such as sparsity=3.3"
        )
    fit = replace(fit, covariance=fit.covariance * student.isf(norm.sf(1.0), free) ** 2)
    _warn_if_undetermined(fit)
    known = {"couplings": fit.couplings, "temperature": unit, "free": free}
    return {
        "converged": fit.converged,
        **_tables(basis, unit, fit),
        "couplings_": -unit * fit.couplings[fit.selected],
        "covariance_": unit**2 * fit.covariance,
        "clusters_": basis.patterns()[fit.selected],
        "summary_": {**vars(fit.summary), **known},
        **dict.fromkeys(_OF_NETWORK),
        "loss_curve_": fit.loss,
        "validation_scores_": None,
        "n_iter_": len(fit.loss),
    }


def _warn_if_undetermined(fit: SparseFit) -> None:
    """Warn of couplings that are kept, although their errors are large and as large as they are."""
    error, size = np.sqrt(np.diag(fit.covariance)), np.abs(fit.couplings[fit.selected])
    wide = int(((error > _WIDE) & (error > size / 2)).sum())
    if wide:
        warn(
            f"these rows hardly determine {wide} of {len(size)} couplings, and the errors of these are wide: a site "
            "nearly always follows from all others. Use more rows, or rows at a higher temperature"
        )


def _degrees_of_freedom(data: Data, past: Attributes | None) -> float:
    """Return the number of all groups minus 1; infinity without groups."""
    free = math.inf if data.group is None else float(data.group.max())
    return free + 1 + past["summary_"]["free"] if past and past["adds"] else free


def _tables(basis: Clusters | Waves, unit: float, fit: SparseFit) -> Attributes:
    """Return tables of the energy and of its errors; for angles also what their parts and the couplings stand for."""
    couplings = [fit.couplings, *_independent_errors(fit)]
    of_angles: Attributes = dict.fromkeys(_OF_ANGLES)
    if isinstance(basis, Waves):
        offsets = basis.offsets(fit.selected)
        of_angles = {
            "phases_": basis.phases()[fit.selected],
            "offsets_": np.reshape(offsets, (len(offsets), len(basis.window_shape))).astype(np.int64),
        }
        tables = np.stack([basis.table(each, offsets) for each in couplings])
    else:
        tables = np.stack([basis.table(each) for each in couplings])
    return of_angles | {"table_": unit * tables[0], "table_errors_": unit * tables[1:]}


def _independent_errors(fit: SparseFit) -> NDArray[np.float64]:
    """Return changes e of all couplings with sum_k e_k e_k^T their covariance; random ones if they are many."""
    variance, direction = np.linalg.eigh(fit.covariance)
    root = direction * np.sqrt(np.maximum(variance, 0))
    if len(root) > _MOST_ERRORS:
        root = root @ np.random.default_rng(0).normal(size=(len(root), _MOST_ERRORS)) / math.sqrt(_MOST_ERRORS)
    couplings = np.zeros((root.shape[1], len(fit.couplings)))
    couplings[:, fit.selected] = root.T
    return couplings


def _past(
    past: Attributes | None, basis: Clusters | Waves, data: Data, window_shape: tuple[int, ...]
) -> tuple[float, Summary, NDArray[np.float64] | None]:
    """Return the unit of the couplings, the summary of earlier rows, and the couplings to start from."""
    unit = data.mean_temperature()
    if not past:
        return unit, NOTHING, None
    known = past["summary_"]
    if len(known["couplings"]) != basis.n_clusters or past["clusters_"].shape[1:] != window_shape:
        raise ValueError(_OTHER_SHAPE)
    start = known["couplings"]
    if not past["adds"]:
        return unit, NOTHING, start * (known["temperature"] / unit)
    summary = Summary(*(known[name] for name in ("columns", "slope", "information", "variance")))
    return known["temperature"], summary, start


def _cluster_problem(
    plan: Plan, data: Data, clusters: Clusters, unit: float, past: Summary, rng: np.random.Generator
) -> Problem:
    """Return the problem of the inner sites of all rows."""
    geometry, alphabet = plan.geometry, plan.alphabet
    ratios = unit / np.unique(data.temperature)[::-1]
    small = geometry.n_states ** (len(geometry.neighbours) + 1) * len(ratios) < 2**32 and len(ratios) <= 64
    chosen = choose_rows(plan, data, _MOST_SITES if small else _MOST_DISTINCT_SITES, rng)
    blocks = data.blocks(alphabet, plan.lattice_shape, unit, chosen.rows)
    seen = counted((block for _, block in blocks), geometry, ratios)
    sites: Iterable[Observations] = _SitesOfBlocks(plan, data.for_variance(), unit, chosen)
    if chosen.group is None:  # few enough to be kept
        sites = list(sites)
    return Problem(clusters, seen, geometry.powers, sites, chosen.share, data.group is not None, past, rng)


@dataclass(frozen=True)
class _SitesOfBlocks:
    """The inner sites of some rows with the number of their block, read anew in every loop."""

    plan: Plan
    data: Data
    unit: float
    chosen: Chosen

    def __iter__(self) -> Iterator[Observations]:
        plan, some, group = self.plan, self.chosen.some, self.chosen.group
        for first, block in self.data.blocks(plan.alphabet, plan.lattice_shape, self.unit, some):
            seen = each_site(block, plan.geometry, first, self.chosen.tile)
            yield seen if group is None else replace(seen, row=group[seen.row].astype(np.int32))


def _wave_problem(
    plan: Plan, data: Data, waves: Waves, unit: float, past: Summary, rng: np.random.Generator
) -> WaveProblem:
    """Return the problem of the inner sites of all rows."""
    chosen = choose_rows(plan, data, _MOST_SITES_OF_ANGLES, rng)
    sites = all_sites(plan, data, unit, chosen.rows)
    of_blocks = all_sites(plan, data.for_variance(), unit, chosen.some, chosen.tile)
    if chosen.group is not None:
        of_blocks = replace(of_blocks, row=chosen.group[of_blocks.row])
    grouped = data.group is not None
    return WaveProblem(waves, plan.geometry.neighbourhood, sites, of_blocks, chosen.share, grouped, past)


@plain_torch()
def _learn_network(
    local: Any,
    plan: Plan,
    data: Data,
    past: Attributes | None,
    report: Report,
    rng: np.random.Generator,
) -> Attributes:
    from .training import Course, DivergedError, WindowModule, train

    geometry = plan.geometry
    unit = data.mean_temperature() if not past else past["unit_"]
    sites, held_out = _split(local, plan, data, unit, rng)
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
    group = np.array(plan.group(geometry.window_shape))
    attributes = dict(zip(_OF_NETWORK, (*arrays, group, plan.even, unit), strict=True))
    table = None
    if geometry.n_states ** math.prod(geometry.window_shape) <= MOST_PATTERNS:
        clusters = clusters_of(geometry.window_shape, geometry.n_states, list(group), even=plan.even)
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
    permutations = [rank[permutation[order]] for permutation in plan.group(block)]
    return lambda rng: (permutations[rng.integers(len(permutations))], plan.even and bool(rng.random() < 0.5))


def _split(
    local: Any, plan: Plan, data: Data, unit: float, rng: np.random.Generator
) -> tuple[Neighbourhoods, Neighbourhoods]:
    """Return the inner sites to train on, and the inner sites of the rows held back."""
    n_held_out = math.ceil(local.validation_fraction * len(data))
    rows = rng.permutation(len(data))
    if data.group is not None:  # groups are held back as a whole
        n_groups = int(data.group.max()) + 1
        is_out = rng.permutation(n_groups)[data.group[rows]] < math.ceil(local.validation_fraction * n_groups)
        rows, n_held_out = np.append(rows[is_out], rows[~is_out]), int(is_out.sum())
    held_out = some_sites(plan, data, unit, rows[:n_held_out], MOST_HELD_OUT, rng)
    sites = some_sites(plan, data, unit, rows[n_held_out:], MOST_SITES, rng)
    if not len(sites):
        raise ValueError(
            f"X must have sites with a positive weight and no masked site in their windows, got none in the "
            f"{len(data) - n_held_out} of {len(data)} rows that validation_fraction leaves for training"
        )
    return sites, held_out
