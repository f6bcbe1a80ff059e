"""States that a site never had are not drawn, and `fit` warns if its draws differ from the data."""

import contextlib
import pickle
import re
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from laws import all_codes
from sklearn.exceptions import ConvergenceWarning

from skhamiltonian import IsingSampler, MADEHamiltonian, phase_curve
from skhamiltonian._lattice.terms import TermSum
from skhamiltonian._made.calibration_fit import drawn_sample, local_calibration
from skhamiltonian._made.doubts import _N_COMPARED, some_rows, warn_of_unlike_draws
from skhamiltonian._made.network import log_prob
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._utils.alphabet import enumerate_states

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
UNLIKE = "Draws at the temperature of X do not resemble X"


def pinned(n_samples=500):
    """Return coins, of which number 3 always lands on one side."""
    X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (n_samples, 8))
    X[:, 3] = 1
    return X


def diluted(n_samples=500):
    """Return three-state sites of which the first four are never 0."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.choice([-1, 1], (n_samples, 4)), rng.choice([-1, 0, 1], (n_samples, 4))], axis=1)


@pytest.mark.parametrize("method", ["tempered", "metropolis", "heat-bath"])
@pytest.mark.parametrize("data", [pinned, diluted])
def test_states_that_a_site_never_had_stay_away_at_every_temperature(data, method):
    X = data()
    made = MADEHamiltonian(1.0, **SMALL).fit(X)
    for temperature in (1.0, 0.5, 20.0, np.inf):
        draws = made.sample(temperature, n_samples=400, method=method, random_state=1)
        for site in range(8):
            assert set(draws[:, site]) <= set(X[:, site])
        assert (draws != draws[0]).any()


def test_the_entropy_of_a_pinned_site_is_zero_also_at_infinite_temperature():
    curve = phase_curve(MADEHamiltonian(1.0, **SMALL).fit(pinned()), [1e6], n_samples=4000, random_state=0)
    assert curve["entropy"].value[0] == pytest.approx(7 / 8 * np.log(2), abs=1e-4)


def test_an_integrated_entropy_starts_from_the_states_that_each_site_had():
    """Four sites have two states, four have three: at T = infinity the entropy of a site is the mean logarithm."""
    made = MADEHamiltonian(1.0, **SMALL).fit(diluted())
    assert made._log_states() == pytest.approx((4 * np.log(2) + 4 * np.log(3)) / 8, abs=1e-12)


def test_draws_are_compared_with_rows_by_their_weights(random_network):
    """A network of free spins proposes, and the energy of a ring decides: unweighted draws are those of free spins."""
    network, ring = random_network(6, 2, scale=0.0), np.array([[i, (i + 1) % 6] for i in range(6)], np.int32)
    energy = TermSum(2, (ring,), np.array([-0.6, 0.6, 0.6, -0.6]), np.zeros((0, 4)))
    drawn = drawn_sample(network, 0, np.random.SeedSequence(0))
    network = replace(network, calibration=local_calibration(network, energy, drawn)[0])
    codes = all_codes(network)
    free, coupled = (np.random.default_rng(0).choice(64, 3000, p=p) for p in (None, np.exp(log_prob(network, codes))))
    order = partial(np.mean, axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unlike_draws(2 * codes[coupled] - 1, None, 1.0, (network, Law(1.0)), order)
    with pytest.warns(ConvergenceWarning, match=UNLIKE):
        warn_of_unlike_draws(2 * codes[free] - 1, None, 1.0, (network, Law(1.0)), order)


def test_rows_are_compared_with_draws_by_their_counts(random_network):
    """A network of free spins, and all of its states; half of the rows do not count."""
    free, order = random_network(6, 2, scale=0.0), partial(np.mean, axis=-1)
    X = np.concatenate([2 * np.tile(all_codes(free), (10, 1)) - 1, np.ones((640, 6), int)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unlike_draws(X, np.repeat([2, 0], 640), 1.0, (free, Law(1.0)), order)
    with pytest.warns(ConvergenceWarning, match=UNLIKE):
        warn_of_unlike_draws(X, None, 1.0, (free, Law(1.0)), order)


def test_the_error_of_unlike_draws_is_that_of_two_means(random_network):
    """Free spins against rows whose last spins agree: of m^2 the variance is known, and draws are as many as rows."""
    network = random_network(6, 2, scale=0.0)
    X = 2 * np.random.default_rng(0).integers(2, size=(_N_COMPARED, 6)) - 1
    X[:, 5] = X[:, 4]
    with pytest.warns(ConvergenceWarning, match=UNLIKE) as caught:
        warn_of_unlike_draws(X, None, 1.0, (network, Law(1.0)), partial(np.mean, axis=-1))
    stated = float(re.search(r"difference is (\S+)\.", str(caught[0].message))[1])
    m_squared = (2 * all_codes(network) - 1).mean(axis=1) ** 2
    variance = m_squared.var() + (X.mean(axis=1) ** 2).var()
    assert stated == pytest.approx(np.sqrt(variance / _N_COMPARED), rel=0.35)


def test_given_states_and_symmetries_are_possible_everywhere():
    given = MADEHamiltonian(1.0, states=(-1, 1), **SMALL).fit(pinned())
    assert not given.unseen_states_.any()
    assert (given.sample(100.0, n_samples=200, random_state=0)[:, 3] == -1).any()


def test_a_state_seen_later_is_possible():
    made = MADEHamiltonian(1.0, **SMALL).partial_fit(pinned())
    assert np.argwhere(made.unseen_states_).tolist() == [[3, 0]]
    made.partial_fit(-pinned())
    assert not made.unseen_states_.any()


def test_a_stored_model_without_a_possible_state_is_damaged():
    made = MADEHamiltonian(1.0, **SMALL).fit(pinned())
    made.unseen_states_[3] = True
    with pytest.raises(ValueError, match="unseen_states_"):
        pickle.loads(pickle.dumps(made))


@pytest.fixture(scope="module")
def rows():
    return IsingSampler((4, 4), 2.5, random_state=0).sample(n_samples=3000)


@pytest.mark.filterwarnings(f"error:{UNLIKE}")
def test_a_fit_that_has_not_converged_says_what_is_unlike_the_data(rows):
    with pytest.raises(
        ConvergenceWarning, match=r"mean (energy per configuration|squared magnetization) is .* raise max_iter"
    ):
        MADEHamiltonian(2.5, calibrate=False, max_iter=1, learning_rate_init=1e-5, random_state=0).fit(rows)


@pytest.mark.filterwarnings(f"error:{UNLIKE}")
@pytest.mark.parametrize("calibrate", ["local", "smooth"])
def test_a_field_that_the_calibration_misses_is_said(calibrate):
    """No coupling exceeds the threshold, but the rows are magnetized by ten errors."""
    system, rng = {"field": 0.05, "lattice_shape": (4, 4)}, np.random.default_rng(1)
    states = enumerate_states((-1, 1), 16)
    p = np.exp(-IsingSampler(**system).energy(states) / 2.2)
    X = states[rng.choice(len(p), 1000, p=p / p.sum())].astype(int)
    made = MADEHamiltonian(
        2.2, lattice_shape=(4, 4), symmetries=("translation", "point-group"), calibrate=calibrate, random_state=1
    )
    misses = pytest.raises(
        ConvergenceWarning, match=r"mean magnetization is 0\.0.* instead of 0\.2.* calibrate='smooth'"
    )
    with misses if calibrate == "local" else contextlib.nullcontext():
        made.fit(X)


@pytest.mark.filterwarnings(f"error:{UNLIKE}")
@pytest.mark.parametrize("calibrate", ["smooth", False])
def test_a_fit_that_has_converged_says_nothing(calibrate, rows):
    MADEHamiltonian(2.5, calibrate=calibrate, max_iter=30, hidden_layer_sizes=(64,), random_state=0).fit(rows)


def test_a_network_that_proposes_badly_says_so(rows):
    X = IsingSampler((8, 8), 2.5, random_state=0).sample(n_samples=400)
    made = MADEHamiltonian(
        2.5,
        lattice_shape=(8, 8),
        symmetries=("translation", "spin-flip"),
        calibrate="local",
        max_iter=1,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match=r"poor proposal for the local energy: .* % of them count") as seen:
        made.set_params(learning_rate_init=1e-6).fit(X)
    assert made.calibration_["effective_share"] < 0.05
    assert seen[-1].filename == __file__
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Draws .* are a poor proposal")
        made.set_params(lattice_shape=(4, 4), learning_rate_init="auto", max_iter=20).fit(rows)
    assert made.calibration_["effective_share"] > 0.5


def test_one_warning_that_points_to_the_caller(rows):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        MADEHamiltonian(2.5, calibrate=False, max_iter=1, learning_rate_init=1e-5, random_state=0).fit(rows)
    assert [one.filename for one in seen if UNLIKE in str(one.message)] == [__file__]


def test_rows_are_compared_in_proportion_to_their_counts():
    chosen = some_rows(3, np.array([6000, 0, 3000]))
    assert set(chosen) == {0, 2}
    assert np.mean(chosen == 2) == pytest.approx(1 / 3, abs=0.05)
    assert some_rows(3, np.array([1, 0, 2])).tolist() == [0, 2, 2]
    assert some_rows(5, None).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("error")
def test_rows_that_are_all_alike_are_compared_too():
    up = np.ones((300, 4), np.int8)
    with pytest.warns(ConvergenceWarning, match=UNLIKE):
        MADEHamiltonian(1.0, states=(-1, 1), calibrate=False, learning_rate_init=1e-5, **SMALL).fit(up)


def test_unseen_states_of_a_histogram_are_those_of_its_rows():
    made = MADEHamiltonian(**SMALL, calibrate=False).fit(pinned(24), sample_weight=np.full(24, 20))
    assert np.argwhere(made.unseen_states_).tolist() == [[3, 0]]
