"""Warnings of a fit: the data contradict an assumption of the energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from .._lattice.conserved import warn_of_conserved
from .._lattice.looks_folded import warn_if_folded
from .._lattice.refuted import spread_rows, warn_of_refuted
from .._utils.warn import warn
from .clusters import clusters_of
from .parameters import Plan
from .reach import warn_if_farther
from .reading import Data

_MAX_ROWS, _FALSE = 2048, 1e-5


def warn_of_doubts(data: Data, plan: Plan, summary: Mapping[str, Any] | None, is_chain_by_default: bool) -> None:
    """Warn of refuted symmetries, of sums that all rows have in common, and of interactions beyond the window.

    Parameters
    ----------
    data : Data
        The rows of the fit.
    plan : Plan
        The plan of the fit, with the lattice and its symmetries.
    summary : dict or None
        The fitted `summary_`; None for a network.
    is_chain_by_default : bool
        Whether rows are chains because nothing was said about their shape; lattices that are taken so are named.
    """
    are_angles = plan.alphabet.period > 0
    if data.measured is None:
        _warn_of_rows(data, plan, are_angles, is_chain_by_default)
    if summary is not None and not are_angles:
        warn_if_farther(plan, data, summary["temperature"], summary["couplings"])
        _warn_of_a_missed_field(data, plan, summary["couplings"])


def _warn_of_a_missed_field(data: Data, plan: Plan, couplings: NDArray[np.float64]) -> None:
    """Warn of rows with a mean spin if the energy treats a state and its opposite alike, and nobody said so."""
    states, geometry = plan.alphabet.states, plan.geometry
    if plan.even or data.measured is not None or not np.array_equal(states, -np.flip(states)):
        return
    group = plan.group(geometry.window_shape)
    degrees = clusters_of(geometry.window_shape, geometry.n_states, group, even=False).degrees[couplings != 0]
    if (degrees.sum(axis=1) % 2).any():
        return
    rows = spread_rows(len(data), _MAX_ROWS)
    label = np.unique(rows if data.group is None else data.group[rows], return_inverse=True)[1]
    weight, m = data.weight[rows], data.X[rows].mean(axis=1, dtype=np.float64)
    each = np.bincount(label, weight * m) / np.bincount(label, weight)
    mean, error = np.mean(each), np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.inf
    if abs(mean) > student.isf(_FALSE / 2, max(1, len(each) - 1)) * error:
        warn(
            f"the mean state of the rows is {mean:.2g} +- {error:.1g}, but no coupling is found that tells up from "
            "down, so that of draws is 0. In a field, use more rows or a lower sparsity; if the rows have chosen a "
            'side below a transition, pass "spin-flip"'
        )


def _warn_of_rows(data: Data, plan: Plan, are_angles: bool, is_chain_by_default: bool) -> None:
    weight = data.weight if np.ptp(data.weight) else None
    assumed = ("translation",) if all(plan.geometry.periodic) else ()
    warn_of_refuted(data.X, plan.lattice_shape, (*plan.symmetries, *assumed), weight, are_angles)
    if not are_angles:  # angles have no sum
        warn_of_conserved(data.X, plan.alphabet.states, plan.lattice_shape)
    if is_chain_by_default:
        warn_if_folded(data.X, are_angles)
