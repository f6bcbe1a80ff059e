"""From an estimator's parameters and checked data to fitted attributes."""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from .._utils.checks import seed_sequence
from .clusters import clusters_of, window_group
from .sparse import NOTHING, Problem, Summary, fit_sparse
from .windows import Observations, counted, each_site

_FALSE = 0.05  # probability that noise alone yields a coupling
_MOST_SITES, _MOST_DISTINCT_SITES = 2**24, 2**22
_MOST_ROWS_OF_VARIANCE, _MOST_SITES_OF_VARIANCE = 2000, 2**19


def learn(local, plan, data, states, past, report):
    """Return the fitted attributes of a LocalHamiltonian by name; `local` itself is only read.

    `past` are fitted attributes to go on from, as a start or (partial_fit) as the rows seen so far.
    """
    rng = np.random.default_rng(seed_sequence(local.random_state, "LocalHamiltonian.fit"))
    return _learn_clusters(plan, data, states, past, report, rng)


def _learn_clusters(plan, data, states, past, report, rng):
    geometry = plan.geometry
    group = window_group(geometry.window_shape, plan.lattice_shape, geometry.periodic)
    even, identity = "spin-flip" in plan.symmetries, group[:1]
    clusters = clusters_of(
        geometry.window_shape, len(states), group if "point-group" in plan.symmetries else identity, even=even
    )
    unit, summary, start = _past(past, clusters, data)
    seen, some_rows, share = _observations(plan, data, states, unit, rng)
    if not seen.counts.any():
        raise ValueError("no site has a weight and all its windows unmasked: there is nothing to learn from")
    problem = Problem(clusters, seen, geometry.powers, some_rows, share, summary, rng)
    threshold = plan.sparsity
    if threshold is None:
        threshold = float(norm.isf(_FALSE / 2 / max(1, clusters.n_clusters)))
    fit = fit_sparse(problem, threshold, plan.max_iter, start, report)
    if not fit.converged:
        message = f"Newton's method has not converged in max_iter={plan.max_iter} steps"
        warnings.warn(message, ConvergenceWarning, stacklevel=5)
    return {
        "table_": unit * clusters.table(fit.couplings),
        "couplings_": -unit * fit.couplings[fit.selected],
        "covariance_": unit**2 * fit.covariance,
        "clusters_": clusters.degrees[fit.selected].reshape(-1, *geometry.window_shape),
        "summary_": {**vars(fit.summary), "temperature": unit, "n_clusters": clusters.n_clusters},
        "coefs_": None,
        "intercepts_": None,
        "loss_curve_": fit.loss,
        "validation_scores_": None,
        "n_iter_": len(fit.loss),
    }


def _past(past, clusters, data):
    """Return the unit of couplings, what earlier rows said, and where to start."""
    unit = data.mean_temperature()
    if not past:
        return unit, NOTHING, None
    known = past["summary_"]
    if known is None or known["n_clusters"] != clusters.n_clusters or len(past["table_"]) != len(clusters.share):
        raise ValueError(
            "training can't go on with other states, window_shape, symmetries or hidden_layer_sizes than before: "
            "call fit with warm_start=False"
        )
    if not past["adds"]:
        return unit, NOTHING, clusters.couplings(past["table_"]) / unit
    unit = known["temperature"]
    summary = Summary(*(known[name] for name in ("columns", "slope", "information", "variance")))
    return unit, summary, clusters.couplings(past["table_"]) / unit


def _observations(plan, data, states, unit, rng):
    """Return the inner sites of all rows, those of some rows one by one, and the share of these rows."""
    geometry = plan.geometry
    n_inner = math.prod(geometry.inner_shape(plan.lattice_shape))
    ratios = unit / np.unique(data.temperature)[::-1]
    small = geometry.n_states ** (len(geometry.neighbours) + 1) * len(ratios) < 2**32 and len(ratios) <= 64
    n_rows = max(1, (_MOST_SITES if small else _MOST_DISTINCT_SITES) // n_inner)
    rows = None if len(data) <= n_rows else np.sort(rng.choice(len(data), n_rows, replace=False))
    seen = counted((block for _, block in data.blocks(states, plan.lattice_shape, unit, rows)), geometry, ratios)
    n_used = min(n_rows, len(data))
    n_some = min(n_used, _MOST_ROWS_OF_VARIANCE, max(1, _MOST_SITES_OF_VARIANCE // n_inner))
    some = np.linspace(0, n_used - 1, n_some).astype(int)
    some = some if rows is None else rows[some]
    parts = [each_site(block, geometry, first) for first, block in data.blocks(states, plan.lattice_shape, unit, some)]
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in ("bases", "counts", "ratio", "row"))
    return seen, Observations(*joined), n_some / n_used
