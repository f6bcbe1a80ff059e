"""What the data say against the model asked for, in one warning each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from .._lattice.conserved import conserved
from .._lattice.refuted import warn_of_refuted
from .._lattice.unseen import unseen_states
from .._utils.warn import warn
from .network import Network
from .parameters import TrainingPlan
from .sampling.chains import R_HAT_LIMIT, ChainDraws
from .sampling.law import Law
from .sampling.tempered import equal_weight_codes

_N_DRAWS = 1000


def warn_of_doubts(
    X: NDArray[Any], counts: NDArray[np.intp] | None, plan: TrainingPlan, network: Network, learned: bool
) -> None:
    """Warn of symmetries that the data refute, and of what all rows have in common and draws have not.

    These are conserved sums, and states that a site never had if the alphabet was learned from all sites.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations that the model was fitted to.
    counts : ndarray of shape (n_samples,) or None
        How often each row counts.
    plan : TrainingPlan
        The plan of training, with the lattice, its symmetries and the alphabet.
    network : Network
        The model.
    learned : bool
        Whether the alphabet was learned from X.
    """
    if plan.symmetries:
        warn_of_refuted(X, plan.lattice_shape, plan.symmetries, counts, plan.alphabet.period > 0)
    states = plan.alphabet.states
    laws = conserved(X, states, plan.lattice_shape)
    unseen = unseen_states(X, states) if learned and not plan.symmetries else np.zeros((1, 1), bool)
    if laws or unseen.any():
        draws = states[equal_weight_codes(network, _N_DRAWS, Law(1.0), np.random.SeedSequence(0))]
    if laws:
        breaks = ~np.all([law.holds(draws) for law in laws], axis=0)
        values = " and ".join(f"{law.what} ({law.value:g})" for law in laws)
        _warn_of_leaks(f"all rows of X have the same value of {values}", breaks, "have it")
    if unseen.any():
        breaks = np.any([(draws == a)[:, unseen[:, k]].any(axis=1) for k, a in enumerate(states)], axis=0)
        sites = np.flatnonzero(unseen.any(axis=1))
        some = "; ".join(f"site {i} never {states[unseen[i]].tolist()}" for i in sites[:4].tolist())
        what = f"{len(sites)} sites never had states that others have ({some}{'; ...' if len(sites) > 4 else ''})"
        _warn_of_leaks(
            what, breaks, "have none of them, leave out sites that are constant, or pass states= to allow all"
        )


def _warn_of_leaks(what: str, breaks: NDArray[np.bool_], way_out: str) -> None:
    warn(
        f"{what}, which the model does not know: {100 * np.mean(breaks):.2g} % of its draws at the temperature of X "
        f"break it, and up to all at others; averages over the draws that keep it are right, but entropies are not. "
        f"Keep draws that {way_out}"
    )


def warn_of_chains(draws: ChainDraws, temperature: float, method: str) -> None:
    """Warn of chains that hardly move, or do not agree."""
    if draws.frozen:
        ways = [repr(way) for way in ("window", "tempered") if way != method]
        message = (
            f"The chains at temperature={temperature:g} are frozen: method={method!r} accepts "
            f"{100 * draws.acceptance:.2g} % of its proposals, and energies are still those of the start "
            f"(correlation {draws.memory:.2f}): choose method={' or '.join(ways)}"
        )
    elif draws.r_hat > R_HAT_LIMIT:
        message = (
            f"The chains at temperature={temperature:g} do not agree after the longest burn-in (r_hat = "
            f"{draws.r_hat:.2f}, limit {R_HAT_LIMIT}): choose another method, or a larger burn_in"
        )
    else:
        return
    warn(message, ConvergenceWarning)
