"""What the data say against the model asked for, in one warning each."""

import numpy as np

from .._lattice.conserved import conserved
from .._lattice.refuted import warn_of_refuted
from .._utils.warn import warn
from .sampling.resampling import equal_weight_codes

_N_DRAWS = 1000


def warn_of_doubts(X, counts, plan, network):
    """Warn of symmetries that the data refute, and of conserved sums that the draws of the model do not conserve.

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
    """
    if plan.symmetries:
        warn_of_refuted(X if counts is None else _drawn(X, counts), plan.lattice_shape, plan.symmetries)
    states = plan.states
    laws = conserved(X, states, plan.lattice_shape)
    if laws:
        draws = states[equal_weight_codes(network, _N_DRAWS, 1.0, np.zeros(len(states)), np.random.SeedSequence(0))]
        leak = 1 - np.mean(np.all([law.holds(draws) for law in laws], axis=0))
        values = " and ".join(f"{law.what} ({law.value:g})" for law in laws)
        warn(
            f"all rows of X have the same value of {values}, which no model here conserves: {100 * leak:.2g} % of the "
            f"draws at the temperature of X break it, and more at others. Keep the draws that have it; averages over "
            "them are right"
        )


def _drawn(X, counts):
    """Return rows drawn by their counts, as many as these are worth."""
    share = counts / counts.sum()
    n = int(min(_N_DRAWS, 1 / np.sum(share**2)))
    return X[np.sort(np.random.default_rng(0).choice(len(X), n, p=share))]
