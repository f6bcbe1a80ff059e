"""What "auto" and the defaults choose: how many updates, and units that learn many-body interactions."""

import numpy as np
import pytest
from laws import numbers

from skhamiltonian import IsingSampler, MADEHamiltonian
from skhamiltonian._made.parameters import make_plan
from skhamiltonian._utils.alphabet import enumerate_states

SYMMETRIES = ("translation", "point-group", "spin-flip")


def default_schedule(n_samples, L, symmetries, **changed):
    parameters = MADEHamiltonian(lattice_shape=(L, L), symmetries=symmetries, **changed).get_params()
    return make_plan(parameters, n_samples, L * L, numbers(2)).schedule


@pytest.mark.parametrize(
    ("n_samples", "L", "expected"),
    [(1000, 8, 2500), (2000, 8, 2500), (8000, 8, 5000), (60_000, 8, 8000), (60_000, 16, 6847), (60_000, 32, 3423)],
)
def test_updates_grow_with_the_root_of_the_rows_and_fall_with_that_of_the_sites(n_samples, L, expected):
    todo = default_schedule(n_samples, L, SYMMETRIES, calibrate="smooth")
    assert todo.max_iter == np.ceil(expected * todo.batch_size / n_samples)


@pytest.mark.parametrize("calibrate", ["auto", "local"])
def test_a_network_that_only_proposes_is_trained_for_2500_updates(calibrate):
    for n_samples, L in ((1000, 8), (60_000, 8), (60_000, 32)):
        todo = default_schedule(n_samples, L, SYMMETRIES, calibrate=calibrate)
        assert todo.max_iter == np.ceil(2500 * todo.batch_size / n_samples)


def test_few_rows_of_many_sites_are_not_seen_more_often_than_known_by_heart():
    assert default_schedule(500, 16, ()).max_iter == 30
    assert default_schedule(500, 16, ("spin-flip",)).max_iter == 60


def test_the_default_units_learn_a_plaquette_early():
    """Products of three spins are odd, and so are the units: ReLU leaves 0.11 to 0.12 nats here."""
    system = IsingSampler(lattice_shape=(4, 4), temperature=3.0, coupling=0.6, plaquette_coupling=0.5, random_state=0)
    states = enumerate_states(np.array([-1, 1]), 16)
    log_p = -system.energy(states) / 3.0
    log_p -= np.logaddexp.reduce(log_p)
    made = MADEHamiltonian(3.0, lattice_shape=(4, 4), symmetries=SYMMETRIES, max_iter=20, calibrate=False)
    made.set_params(random_state=0).fit(system.sample(n_samples=10_000))
    assert np.exp(log_p) @ (log_p - made.score_samples(states)) < 0.08
