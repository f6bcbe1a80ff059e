"""Calibration by a local energy: exact by enumeration, chosen by held-out rows, the same in every sampler."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from laws import all_codes, enumerated_law, g_test
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator

from skhamiltonian import InteractionExpansion, IsingSampler, LocalHamiltonian, MADEHamiltonian, phase_curve
from skhamiltonian._lattice.terms import TermSum
from skhamiltonian._made import calibration_choice, calibration_fit, fitting
from skhamiltonian._made.calibration_fit import drawn_sample, local_calibration
from skhamiltonian._made.network import log_prob, uncalibrated_log_prob
from skhamiltonian._made.sampling.chains import ChainPlan, chain_draws, parted_codes
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.sweeps import Chains
from skhamiltonian._made.sampling.tempered import tempered_draws
from skhamiltonian._utils.alphabet import enumerate_states

SYMMETRIES = ("translation", "point-group", "spin-flip")
METHODS = ["metropolis", "heat-bath", "window", "independence", "parallel-tempering", "tempered"]


def random_terms(n_sites, n_states, seed=0, scale=0.2):
    """Pairs, triples with a site that occurs twice, and single sites, all with random energies; two parameters."""
    rng = np.random.default_rng(seed)
    pairs = np.array([[i, (i + 1) % n_sites] for i in range(n_sites)], np.int32)
    triples = np.array([[i, (i + 2) % n_sites, i] for i in range(0, n_sites, 2)], np.int32)
    sites = pairs, triples, np.arange(n_sites, dtype=np.int32)[:, None]
    size = sum(n_states ** each.shape[1] for each in sites)
    return TermSum(n_states, sites, scale * rng.normal(size=size), 0.1 * rng.normal(size=(2, size)))


def slow_energy(terms, codes, table):
    """The sum of table entries, term by term."""
    total, start = np.zeros(len(codes)), 0
    for sites in terms.sites:
        for row in range(len(codes)):
            for term in sites:
                total[row] += table[start + sum(int(codes[row, i]) * terms.n_states**j for j, i in enumerate(term))]
        start += terms.n_states ** sites.shape[1]
    return total


@pytest.fixture
def proposing(random_network):
    """Make a random network whose law is that of random terms."""

    def make(n_sites, n_states):
        network, terms = random_network(n_sites, n_states, scale=0.15), random_terms(n_sites, n_states)
        drawn = drawn_sample(network, 0, np.random.SeedSequence(0))
        return replace(network, calibration=local_calibration(network, terms, drawn)[0])

    return make


@pytest.mark.parametrize("n_states", [2, 3])
def test_energies_are_sums_over_terms(n_states):
    terms = random_terms(7, n_states)
    codes = np.random.default_rng(1).integers(n_states, size=(70, 7)).astype(np.int8)
    wanted = slow_energy(terms, codes, terms.table)
    np.testing.assert_allclose(terms.energies(codes), wanted, rtol=1e-12)
    np.testing.assert_allclose(terms.table[terms.patterns(codes)].sum(axis=1), wanted, rtol=1e-12)
    errors = np.stack([slow_energy(terms, codes, error) for error in terms.errors], axis=1)
    np.testing.assert_allclose(terms.energy_errors(codes), errors, rtol=1e-12)


@pytest.mark.parametrize(("n_sites", "n_states"), [(9, 2), (9, 3)])
def test_the_law_is_that_of_the_energy_and_is_normalised(proposing, n_sites, n_states):
    network = proposing(n_sites, n_states)
    codes, calibration = all_codes(network), network.calibration
    energy = calibration.energy.energies(codes)
    log_z = np.logaddexp.reduce(-energy)
    np.testing.assert_allclose(log_prob(network, codes), -energy - log_z, atol=1e-10)
    assert calibration.log_normalizer == pytest.approx(log_z, abs=1e-10)
    p = np.exp(-energy - log_z)
    np.testing.assert_allclose(calibration.mean_errors, p @ calibration.energy.energy_errors(codes), atol=1e-12)
    np.testing.assert_allclose(p @ calibration.energy_errors(np.zeros(len(codes)), codes), 0, atol=1e-12)


def test_ln_z_by_draws_covers_the_enumerated_one(random_network, monkeypatch):
    """Over 40 independent sets of draws, z-scores of ln Z have unit variance, and the share of draws is theirs."""
    network, terms = random_network(10, 2, (6,), activation="tanh", scale=0.3), random_terms(10, 2)
    codes = all_codes(network)
    log_z = np.logaddexp.reduce(-terms.energies(codes))
    log_p = uncalibrated_log_prob(network, codes)
    p = np.exp(-terms.energies(codes) - log_z)
    share = 1 / (p @ np.exp(-terms.energies(codes) - log_z - log_p))
    monkeypatch.setattr(calibration_fit, "_MAX_ENUMERATED", 0)
    monkeypatch.setattr(calibration_fit, "_MIN_DRAWS", 4000)
    z, shares = [], []
    for seed in range(40):
        found, error, part = local_calibration(network, terms, drawn_sample(network, 0, np.random.SeedSequence(seed)))
        z.append((found.log_normalizer - log_z) / error)
        shares.append(part)
    assert 0.4 < np.mean(np.square(z)) < 1.9
    assert np.mean(shares) == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_sites", "n_states"), [(9, 2), (6, 3)])
@pytest.mark.parametrize("exponent", [0.6, 2.0])
def test_every_method_draws_from_the_local_law_in_a_field(proposing, n_sites, n_states, exponent, method):
    network = proposing(n_sites, n_states)
    tilt = exponent * np.random.default_rng(5).normal(0, 0.2, (n_sites, n_states))
    law, seed = Law(exponent, tilt), np.random.SeedSequence(1)
    if method == "tempered":
        codes = np.concatenate([parted_codes(network, 100, law, child) for child in seed.spawn(60)])
    else:
        codes = chain_draws(network, law, ChainPlan(64, 60, 20, 5, method), seed).codes.reshape(-1, n_sites)
    assert g_test(codes, network, enumerated_law(network, law)[0]) > 1e-4


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 2.0])
def test_partition_sum_of_tempered_draws_is_that_of_the_energy(proposing, exponent):
    network = proposing(9, 2)
    log_z = [tempered_draws(network, 500, Law(exponent), np.random.default_rng(i)).log_partition for i in range(40)]
    z = np.exp(log_z - enumerated_law(network, Law(exponent))[1])
    assert abs(z.mean() - 1) < 4 * z.std() / np.sqrt(40) + 1e-5


@pytest.mark.parametrize("n_states", [2, 3])
def test_running_energies_of_chains_equal_full_sums(proposing, n_states):
    network = proposing(8, n_states)
    codes = np.random.default_rng(0).integers(n_states, size=(10, 8)).astype(np.int8)
    chains = Chains(network, codes, Law(0.7), [np.random.default_rng(i) for i in range(10)])
    before = chains.codes
    chains.sweep(30)
    np.testing.assert_allclose(chains.log_prob, -network.calibration.energy.energies(chains.codes), atol=1e-10)
    assert 0 < chains.n_accepted < chains.n_proposed
    assert (chains.codes != before).any()


def ring_rows(distance, n_rows, coupling=0.5, n_sites=12):
    """Rows of a ring of spins, each coupled to those at a distance, drawn from the enumerated law."""
    states = enumerate_states((-1, 1), n_sites).astype(np.int8)
    log_p = coupling * (states * np.roll(states, distance, axis=1)).sum(axis=1, dtype=float)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    return states[np.random.default_rng(0).choice(len(states), n_rows, p=p)], states, np.log(p)


RING = MADEHamiltonian(
    1.0, lattice_shape=(12,), symmetries=SYMMETRIES, hidden_layer_sizes=(24,), max_iter=10, random_state=0
)


def test_rows_with_short_interactions_get_the_local_energy():
    X, states, log_p = ring_rows(1, 4000)
    model = clone(RING).fit(X)
    numbers = model.calibration_
    assert numbers["method"] == "local"
    assert numbers["margin"] > 2 * numbers["margin_error"] > 0
    p = np.exp(log_p)
    gained = p @ (model.score_samples(states) - clone(RING).set_params(calibrate="smooth").fit(X).score_samples(states))
    assert numbers["margin"] == pytest.approx(gained, abs=4 * numbers["margin_error"])
    assert p @ (log_p - model.score_samples(states)) < 2e-3
    assert np.logaddexp.reduce(model.score_samples(states)) == pytest.approx(0, abs=1e-9)


def test_interactions_beyond_the_window_keep_the_smooth_calibration():
    X, *_ = ring_rows(4, 4000)
    numbers = clone(RING).fit(X).calibration_
    assert numbers["method"] == "smooth"
    assert numbers["margin"] > 4 * numbers["margin_error"] > 0


def test_where_auto_means_smooth():
    """Without translations, and for states too many for a table of windows."""
    X = ring_rows(1, 1000)[0]
    for few in ({"symmetries": ("spin-flip",)}, {"symmetries": ()}):
        numbers = clone(RING).set_params(**few).fit(X).calibration_
        assert numbers is None or (numbers["method"] == "smooth" and "margin" not in numbers)
    many = np.random.default_rng(0).integers(0, 20, (500, 16))
    model = MADEHamiltonian(lattice_shape=(4, 4), symmetries="translation", hidden_layer_sizes=(8,), max_iter=2)
    numbers = model.fit(many).calibration_
    assert numbers is None or numbers["method"] == "smooth"
    with pytest.raises(ValueError, match="20 states are too many"):
        model.set_params(calibrate="local").fit(many)


@pytest.fixture(params=["expansion", "local"])
def energy(request):
    """A fitted estimator that knows the energy of a 3 x 3 lattice."""
    ising = IsingSampler((3, 3), 2.5, coupling=0.8, plaquette_coupling=0.3, random_state=0)
    X = ising.sample(n_samples=1000)
    if request.param == "expansion":
        return InteractionExpansion(lattice_shape=(3, 3)).fit(X, ising.energy)
    return LocalHamiltonian(2.5, lattice_shape=(3, 3), boundary="periodic", symmetries=SYMMETRIES).fit(X)


def test_a_given_hamiltonian_is_normalised(energy):
    """The network knows rows of another system; its draws give ln Z and the law of the given one."""
    X = IsingSampler((3, 3), 3.0, random_state=1).sample(n_samples=1000)
    states = enumerate_states((-1, 1), 9).astype(np.int8)
    H = energy.energy(states)
    H = H - H.mean()  # an expansion has a constant
    frozen = FrozenEstimator(energy)
    model = MADEHamiltonian(
        3.0, lattice_shape=(3, 3), hidden_layer_sizes=(16,), max_iter=5, calibrate=frozen, random_state=0
    )
    model = clone(model).fit(X)
    log_z = np.logaddexp.reduce(-H / 3.0)
    np.testing.assert_allclose(model.score_samples(states), -H / 3.0 - log_z, atol=1e-9)
    assert model.calibration_["log_normalizer"] == pytest.approx(log_z, abs=1e-9)
    curve = phase_curve(model, [2.0], random_state=0)
    p = np.exp(-H / 2.0 - np.logaddexp.reduce(-H / 2.0))
    value, error = curve["abs_magnetization"]
    assert abs(value[0] - p @ np.abs(states.mean(axis=1))) < 4 * error[0]
    model.set_params(calibrate=energy).fit(X)
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        clone(model).fit(X)


@pytest.mark.parametrize("energy", ["local"], indirect=True)
def test_errors_of_a_given_hamiltonian_are_in_units_of_the_temperature(energy):
    X = IsingSampler((3, 3), 3.0, random_state=1).sample(n_samples=300)
    model = MADEHamiltonian(3.0, lattice_shape=(3, 3), hidden_layer_sizes=(4,), max_iter=1, calibrate=energy).fit(X)
    np.testing.assert_allclose(model.calibration_["table"], energy.table_ / 3.0)
    np.testing.assert_allclose(model.calibration_["errors"], energy.table_errors_ / 3.0)
    assert len(energy.table_errors_) > 0


@pytest.mark.parametrize("energy", ["local"], indirect=True)
def test_an_energy_that_contradicts_the_rows_is_noticed(energy):
    """The couplings of a system at temperature 3 are given in another unit, ten times too small."""
    X = IsingSampler((3, 3), 3.0, random_state=1).sample(n_samples=2000)
    wrong = clone(energy).set_params(temperature=0.25).fit(X)
    model = MADEHamiltonian(3.0, lattice_shape=(3, 3), hidden_layer_sizes=(4,), max_iter=20, calibrate=wrong)
    with (
        pytest.warns(UserWarning, match="lowers the log-likelihood of held-out rows by"),
        pytest.warns(ConvergenceWarning, match="do not resemble X"),
    ):
        model.fit(X)
    assert model.calibration_["gain"] < -5 * model.calibration_["gain_error"]


def test_ln_z_has_no_error_if_the_network_has_the_law_of_the_energy(random_network, monkeypatch):
    """Else the relative error of the mean weight, by the share (sum w)^2 / (n sum w^2)."""
    monkeypatch.setattr(calibration_fit, "_MAX_ENUMERATED", 0)
    network, terms = random_network(6, 2, scale=0.0), random_terms(6, 2)
    drawn = drawn_sample(network, 0, np.random.SeedSequence(0))
    flat = replace(terms, table=np.zeros_like(terms.table))
    found, error, share = local_calibration(network, flat, drawn)
    assert found.log_normalizer == pytest.approx(6 * np.log(2))
    assert error == pytest.approx(0, abs=1e-9)
    assert share == pytest.approx(1)
    _, error, share = local_calibration(network, terms, drawn)
    w = np.exp(-terms.energies(drawn.codes))
    assert share == pytest.approx(w.sum() ** 2 / (w**2).sum() / len(w))
    assert error == pytest.approx(w.std() / w.mean() / np.sqrt(len(w)))


def test_a_hamiltonian_of_other_states_is_refused(energy):
    X = np.random.default_rng(0).integers(0, 2, (50, 9))
    with pytest.raises(ValueError, match=r"the energy is for states \[-1, 1\], got \[0, 1\]"):
        MADEHamiltonian(lattice_shape=(3, 3), calibrate=energy).fit(X)


def test_few_rows_are_enough_for_a_local_energy():
    model = clone(RING).set_params(calibrate="local").fit(ring_rows(1, 100)[0])
    assert model.calibration_["method"] == "local"
    assert np.isnan(model.calibration_["gain"])
    assert clone(RING).fit(ring_rows(1, 100)[0]).calibration_ is None


@pytest.mark.parametrize("value", [True, None, "Auto", 1, np.ones(12), LocalHamiltonian])
def test_other_values_of_calibrate_are_refused_by_name(value):
    with pytest.raises(ValueError, match="calibrate must be 'auto', 'smooth', 'local', False, or a fitted"):
        clone(RING).set_params(calibrate=value).fit(ring_rows(1, 100)[0])


def test_local_needs_translations():
    with pytest.raises(ValueError, match="calibrate='local' needs 'translation' in symmetries"):
        clone(RING).set_params(calibrate="local", symmetries="spin-flip").fit(ring_rows(1, 100)[0])


def test_a_pickle_knows_the_local_energy():
    X, states, _ = ring_rows(1, 500)
    model = clone(RING).set_params(calibrate="local").fit(X)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.score_samples(states), model.score_samples(states))
    for method in ("tempered", "metropolis"):
        request = {"n_samples": 20, "method": method, "random_state": 0}
        np.testing.assert_array_equal(other.sample(1.5, **request), model.sample(1.5, **request))


def test_errors_of_curves_hold_the_error_of_the_couplings():
    """Averages of the system of one standard error more coupling differ by the error that draws do not explain."""
    X, states, _ = ring_rows(1, 500)
    model = clone(RING).set_params(calibrate="local").fit(X)
    T, numbers = 0.7, model.calibration_
    assert len(numbers["errors"]) >= 1
    bonds = -(states * np.roll(states, 1, axis=1)).sum(axis=1, dtype=float)
    local = LocalHamiltonian(1.0, lattice_shape=(12,), boundary="periodic", symmetries=SYMMETRIES)
    codes = (states > 0).astype(np.int8)
    shift = TermSum(2, tuple(numbers["sites"]), numbers["errors"][0], np.zeros((0, 8))).energies(codes)
    sigma = shift @ bonds / (bonds @ bonds)
    np.testing.assert_allclose(shift, sigma * bonds, atol=1e-9)  # the coupling of neighbours alone
    assert abs(sigma) == pytest.approx(np.sqrt(local.fit(X).covariance_[0, 0]), rel=0.1)
    of = {}
    for sign in (-1, 0, 1):
        H = -model.score_samples(states) + sign * (shift - numbers["mean_errors"][0])
        log_z = np.logaddexp.reduce(-H / T)
        p = np.exp(-H / T - log_z)
        of[sign] = {"energy": p @ H / 12, "free_energy": -T * log_z / 12, "entropy": (log_z + p @ H / T) / 12}
        of[sign]["abs_magnetization"] = p @ np.abs(states.mean(axis=1))
    curve = phase_curve(model, [T], random_state=0, n_samples=20_000)
    for name in of[0]:
        by_coupling = abs(of[1][name] - of[-1][name]) / 2
        value, error = (x[0] for x in curve[name])
        assert abs(value - of[0][name]) < 4 * error
        assert by_coupling > 0
        assert error > 0.99 * by_coupling


@pytest.mark.parametrize(("errors", "kept"), [(-2.1, "smooth"), (-1.9, "local"), (1.9, "local"), (2.1, "local")])
def test_a_tie_goes_to_the_local_energy(errors, kept, monkeypatch):
    """Held-out rows gain so many standard errors by it, beside the smooth correction."""
    found, chosen = [], calibration_choice.chosen_calibration

    def gains(network, energy, drawn, unseen):
        n = len(unseen.codes)
        return {"method": "local"}, np.tile([1.0, -1.0], n)[:n] + errors / np.sqrt(n - 1)

    monkeypatch.setattr(calibration_choice, "_local", gains)
    monkeypatch.setattr(
        calibration_choice, "smooth_calibration", lambda *given: ({"method": "smooth"}, np.zeros(len(given[1].codes)))
    )
    monkeypatch.setattr(fitting, "chosen_calibration", lambda *given: found.append(chosen(*given)))
    X = IsingSampler((4, 4), 2.5, random_state=0).sample(n_samples=1000)
    MADEHamiltonian(2.5, lattice_shape=(4, 4), symmetries=SYMMETRIES, max_iter=2, random_state=0).fit(X)
    assert found[0]["method"] == kept
    assert found[0]["margin"] / found[0]["margin_error"] == pytest.approx(abs(errors) if kept == "smooth" else errors)
