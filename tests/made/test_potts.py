"""States that can be renamed, as those of a Potts model: one order of the names teaches all."""

import numpy as np
import pytest

from skhamiltonian import LocalHamiltonian, MADEHamiltonian
from skhamiltonian._utils.alphabet import enumerate_states

STATES, COUPLING = (0, 2, 3), 0.8
ALL = enumerate_states(STATES, 5)
LOG_P = COUPLING * np.sum(np.roll(ALL, 1, axis=1) == ALL, axis=1)
LOG_P = LOG_P - np.log(np.exp(LOG_P).sum())


def one_order_of_names(n_rows):
    """Draw rings of five sites; the states of each have names in the order in which they appear in the row."""
    X = ALL[np.random.default_rng(0).choice(len(ALL), n_rows, p=np.exp(LOG_P))]
    for row in X:
        seen = list(dict.fromkeys(row.tolist()))
        row[:] = [STATES[seen.index(s)] for s in row]
    return X


@pytest.mark.filterwarnings("ignore:the data refute symmetries")
@pytest.mark.parametrize(
    ("symmetries", "calibrate"), [(("permutation",), False), (("translation", "permutation"), "local")]
)
def test_renamed_states_have_the_same_energy(symmetries, calibrate):
    made = MADEHamiltonian(
        lattice_shape=(5,),
        symmetries=symmetries,
        hidden_layer_sizes=(32,),
        calibrate=calibrate,
        max_iter=40,
        random_state=0,
    ).fit(one_order_of_names(6000))
    off = made.score_samples(ALL) - LOG_P
    assert abs(np.exp(LOG_P) @ off) < 0.01
    assert np.sqrt(np.exp(LOG_P) @ off**2) < 0.1


def test_a_permutation_is_refuted_by_one_order_of_names():
    made = MADEHamiltonian(lattice_shape=(5,), symmetries=("permutation",), hidden_layer_sizes=(8,), max_iter=1)
    with pytest.warns(UserWarning, match="'permutation': the share of a state"):
        made.fit(one_order_of_names(500))


def test_a_local_energy_has_no_permutation_of_states():
    with pytest.raises(ValueError, match="'permutation'"):
        LocalHamiltonian(lattice_shape=(5,), symmetries=("permutation",)).fit(ALL)
