"""How chains start, which symmetries they have, and what a trial run of tempering measures."""

import numpy as np
import pytest

from skhamiltonian import IsingSampler
from skhamiltonian._ising import planning
from skhamiltonian._ising.chain_groups import HeatBathGroup, TemperedGroup, new_engine
from skhamiltonian._ising.chains import _starting_states
from skhamiltonian._ising.ground_state import landscape
from skhamiltonian._ising.kernels import energies
from skhamiltonian._ising.multispin import uniform_couplings
from skhamiltonian._ising.terms import spin_system

SEED = np.random.SeedSequence(0)


def ring(n, *others):
    return spin_system(n, [(1.0, np.stack([np.arange(n), np.roll(np.arange(n), -1)], axis=1)), *others])


def test_a_ground_state_is_known_if_it_is_the_only_one():
    """Up to the flip of all spins: parts without a bond between them have relative signs, and terms may compete."""
    assert landscape(ring(5)).ground_state.tolist() == [1] * 5
    assert landscape(ring(5, (-0.3, np.array([[2]])))).ground_state.tolist() == [-1] * 5
    two = spin_system(4, [(1.0, np.array([[0, 1], [2, 3]]))])
    assert landscape(two).ground_state is None
    assert landscape(two).has_clusters
    held = landscape(spin_system(4, [(1.0, np.array([[0, 1], [2, 3], [1, 2]])), (-1.0, np.array([[0, 3]]))]))
    assert held == (None, False)
    three = landscape(ring(4, (0.5, np.array([[0, 1, 2]]))))
    assert three.ground_state.tolist() == [1] * 4
    assert not three.has_clusters


@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_chains_start_from_the_two_ordered_states_by_their_boltzmann_weights(temperature):
    system = ring(5, (0.1, np.arange(5)[:, None]))
    s = np.ones(5, np.int8)
    starts = _starting_states(20_000, system, s, temperature, np.random.default_rng(0))
    weight = np.exp(-energies(np.stack([s, -s]), system) / temperature)
    assert set(map(tuple, starts.tolist())) == {(1,) * 5, (-1,) * 5}
    assert np.mean(starts[:, 0] == 1) == pytest.approx(weight[0] / weight.sum(), abs=0.015)


def test_a_system_is_even_if_all_terms_have_an_even_number_of_spins():
    terms = {k: (0.5, np.arange(k)[None]) for k in (1, 2, 3, 4)}
    for orders, even in (((), True), ((2,), True), ((2, 4), True), ((1, 2), False), ((2, 3), False), ((3,), False)):
        assert spin_system(4, [terms[k] for k in orders]).is_even == even


def test_a_field_is_uniform_if_every_site_has_it_once():
    assert uniform_couplings(ring(4, (0.3, np.arange(4)[:, None]))).field == 0.3
    assert uniform_couplings(ring(4)).field == 0
    for sites in ([0, 0, 1, 2], [0, 1, 2]):
        assert uniform_couplings(ring(4, (0.3, np.array(sites)[:, None]))) is None


def test_each_draw_of_a_chain_is_flipped_by_itself():
    group = HeatBathGroup(np.ones((4, 3), np.int8), ring(3), SEED)
    states = np.ones((4, 2000, 3), np.int8)
    group.apply_symmetry(states)
    signs = states[..., 0].astype(float)
    assert (states == states[..., :1]).all()
    assert np.abs(signs.mean(axis=1)).max() < 0.1
    assert np.abs(np.mean(signs[:, 1:] * signs[:, :-1], axis=1)).max() < 0.1
    assert np.abs(np.corrcoef(signs) - np.eye(4)).max() < 0.1


def test_the_field_of_a_call_adds_to_fields_of_sites():
    h = np.array([0.5, -0.2, 0.0, 0.1])
    ising = IsingSampler((4,), 0.8, field=h, n_sweeps=1, burn_in=30, random_state=0)
    for extra in (0.7, np.array([0.0, 1.0, -1.0, 0.2])):
        draws = ising.draws(n_samples=2000, field=extra)
        X = draws.configurations.reshape(-1, 4).astype(float)
        H = -(X * np.roll(X, 1, axis=1)).sum(axis=1) - X @ (h + extra)
        np.testing.assert_allclose(draws.energy.ravel(), H, atol=1e-12)


def test_calls_of_tempering_may_be_cut_anywhere():
    """Pairs of rungs exchange in turn, whatever the number of sweeps in a call."""
    system, ladder = ring(6, (-0.7, np.array([[0, 3]]))), np.array([1.0, 0.7, 0.5, 0.3, 0.1])
    spins = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (3, 6))
    whole, parts = (TemperedGroup(spins, system, np.random.SeedSequence(1), ladder) for _ in range(2))
    whole.advance(12, 1.0)
    for n in (1, 4, 2, 5):
        parts.advance(n, 1.0)
    np.testing.assert_array_equal(whole.replicas.column, parts.replicas.column)
    np.testing.assert_array_equal(whole.states(), parts.states())
    assert whole.arrivals == parts.arrivals
    assert set(whole.replicas.column[:, 0] % 5) != {0}


def test_the_time_between_arrivals_is_that_of_a_chain():
    group = TemperedGroup(np.ones((3, 6), np.int8), ring(6), SEED, np.array([1.0, 0.1]))
    group.n_done, group.arrivals = 100, 12
    assert group.renewal_time() == 100 * 3 / 12
    group.arrivals = 0
    assert group.renewal_time() == 300


def test_a_trial_of_tempering_runs_ten_times_between_arrivals(monkeypatch):
    """Observables forget sooner here, but a replica that has not been hot is no independent draw."""
    monkeypatch.setattr(TemperedGroup, "renewal_time", lambda self: 77.0)
    engine = new_engine("parallel-tempering", ring(6, (-3.0, np.array([[0, 3]]))), 2.0)
    trial = planning._run_trial(engine, 4, 1e12, np.random.SeedSequence(2))
    assert trial.converged
    assert trial.tau < 20
    assert trial.n_forget == 77.0
    assert trial.n_run >= 770
