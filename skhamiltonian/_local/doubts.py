"""Warnings of a fit: the data contradict an assumption of the energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._lattice.conserved import warn_of_conserved
from .._lattice.looks_folded import warn_if_folded
from .._lattice.refuted import warn_of_refuted
from .parameters import Plan
from .reach import warn_if_farther
from .reading import Data


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


def _warn_of_rows(data: Data, plan: Plan, are_angles: bool, is_chain_by_default: bool) -> None:
    weight = data.weight if np.ptp(data.weight) else None
    assumed = ("translation",) if all(plan.geometry.periodic) else ()
    warn_of_refuted(data.X, plan.lattice_shape, (*plan.symmetries, *assumed), weight, are_angles)
    if not are_angles:  # angles have no sum
        warn_of_conserved(data.X, plan.alphabet.states, plan.lattice_shape)
    if is_chain_by_default:
        warn_if_folded(data.X, are_angles)
