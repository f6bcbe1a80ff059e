"""Warnings of a fit: the data contradict an assumption of the energy."""

from __future__ import annotations

import numpy as np

from .._lattice.conserved import warn_of_conserved
from .._lattice.looks_folded import warn_if_folded
from .._lattice.refuted import warn_of_refuted
from .._utils.alphabet import Alphabet
from .parameters import Plan
from .reading import Data


def warn_of_doubts(data: Data, plan: Plan, alphabet: Alphabet, is_chain_by_default: bool) -> None:
    """Warn of refuted symmetries, of sums that all rows have in common, and of lattices that are taken as chains.

    Parameters
    ----------
    data : Data
        Rows without masked sites.
    plan : Plan
        The plan of the fit, with the lattice and its symmetries.
    alphabet : Alphabet
        The states.
    is_chain_by_default : bool
        Whether rows are chains because nothing was said about their shape.
    """
    are_angles = alphabet.period > 0
    weight = data.weight if np.ptp(data.weight) else None
    assumed = ("translation",) if all(plan.geometry.periodic) else ()
    warn_of_refuted(data.X, plan.lattice_shape, (*plan.symmetries, *assumed), weight, are_angles)
    if not are_angles:  # angles have no sum
        warn_of_conserved(data.X, alphabet.states, plan.lattice_shape)
    if is_chain_by_default:
        warn_if_folded(data.X, are_angles)
