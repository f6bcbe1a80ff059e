"""Snapshots of a quantum ground state: the learned density against |psi|^2, and averages in another basis."""

import numpy as np
import pytest

from skhamiltonian import MADEHamiltonian
from skhamiltonian._utils.alphabet import enumerate_states


@pytest.mark.slow
def test_defaults_learn_the_snapshots_of_a_ground_state():
    """10 000 snapshots of ten critical spins, whose own frequencies are 0.05 nats from the truth."""
    s = enumerate_states((-1, 1), 10)
    bonds = (s[:, 1:] * s[:, :-1]).sum(axis=1)
    flips = (10 - s.astype(int) @ s.T.astype(int)) // 2 == 1
    psi = np.abs(np.linalg.eigh(-np.diag(bonds.astype(float)) - flips)[1][:, 0])
    p = psi**2
    rows = np.random.default_rng(1).choice(len(s), size=10_000, p=p / p.sum())
    log_q = MADEHamiltonian(random_state=0).fit(s[rows]).score_samples(s)
    frequency = np.bincount(rows, minlength=len(s)) / len(rows)
    seen = frequency > 0
    noise = frequency[seen] @ np.log(frequency[seen] / p[seen])
    assert 0.04 < noise < 0.06
    assert p @ (np.log(p) - log_q) < 0.01
    sx = np.exp(log_q / 2) @ flips @ np.exp(log_q / 2) / 10  # psi is the root of p: no element of -H is negative
    each = flips @ psi / psi / 10
    error = np.sqrt((p @ each**2 - (p @ each) ** 2) / len(rows))  # of 10 000 snapshots, at best
    assert abs(sx - p @ each) < 3 * error < 0.01
