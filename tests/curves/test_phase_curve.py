"""Phase curves of samplers whose distribution is known state by state."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skhamiltonian import IndependentSites, IsingSampler, LocalHamiltonian, MADEHamiltonian
from skhamiltonian._curves.phase_curve import phase_curve
from skhamiltonian._curves.result import PhaseCurve
from skhamiltonian._ising.exact import ising_exact
from skhamiltonian._montecarlo.draws import Draws
from skhamiltonian._montecarlo.sampler import ThermalSampler
from skhamiltonian._utils.alphabet import enumerate_states


class SmallIsing(ThermalSampler):
    """Enumerated 3 x 3 Ising torus. Its Markov chains stay with probability 3/4 (tau = 7), or are drawn anew."""

    temperature = 2.5

    def __init__(self, n_chains=4, spin=1):
        self.n_chains, self.states_ = n_chains, np.array([-spin, spin])
        self.configurations = enumerate_states(self.states_, 9).astype(np.int8)

    def __str__(self):
        return f"{type(self).__name__}({self.n_chains})"

    def energy(self, X):
        s = (X / self.states_[1]).reshape(-1, 3, 3)
        return -np.sum(s * np.roll(s, 1, axis=1) + s * np.roll(s, 1, axis=2), axis=(1, 2))

    def probabilities(self, T, field):
        H = self.energy(self.configurations) - field * self.configurations.sum(axis=1)
        w = np.exp(-(H - H.min()) / T)
        return H, w / w.sum(), np.log(w.sum()) - H.min() / T

    def _draw(self, temperature, n_samples, field, method, seed):
        rng, shape = np.random.default_rng(seed), (self.n_chains, -(-n_samples // self.n_chains))
        H, p, _ = self.probabilities(temperature, field)
        state = rng.choice(len(p), p=p, size=shape)
        stays = rng.random(shape) < 0.75
        for t in range(1, shape[1]):
            state[stays[:, t], t] = state[stays[:, t], t - 1]
        return Draws(self.configurations[state], H[state], acceptance=0.25)

    def exact(self, T, field=0.0):
        H, p, log_z = self.probabilities(T, field)
        m = self.configurations.mean(axis=1) / self.states_[1]
        return {
            "magnetization": p @ m,
            "abs_magnetization": p @ abs(m),
            "energy": p @ H / 9,
            "susceptibility": 9 * (p @ m**2 - (p @ abs(m)) ** 2) / T,
            "heat_capacity": (p @ H**2 - (p @ H) ** 2) / (9 * T**2),
            "binder_cumulant": 1 - p @ m**4 / (3 * (p @ m**2) ** 2),
            "free_energy": -T * log_z / 9,
            "entropy": -p @ np.log(p) / 9,
            "corner": p @ (m > 0.5),
        }


class WeightedIsing(SmallIsing):
    """Populations drawn at T = 3.5 and weighted, with an estimate of ln Z from each."""

    def _draw(self, temperature, n_samples, field, method, seed):
        rng, shape = np.random.default_rng(seed), (self.n_chains, -(-n_samples // self.n_chains))
        H, proposal, log_z = self.probabilities(3.5, field)
        state = rng.choice(len(H), p=proposal, size=shape)
        log_weight = H[state] / 3.5 - H[state] / temperature
        log_partition = log_z + logsumexp(log_weight, axis=1) - np.log(shape[1])
        return Draws(self.configurations[state], H[state], log_weight, log_partition)


class LearnedIsing(SmallIsing):
    def _support(self, temperature, field, seed):
        return 1000 / temperature

    @property
    def _data_temperature(self):
        return self.temperature


class ForeignChain:
    """Somebody else's sampler: nothing but sample and energy."""

    def __init__(self):
        self._ising = SmallIsing(n_chains=1)
        self.energy = self._ising.energy

    def __str__(self):
        return "ForeignChain"

    def sample(self, temperature, n_samples, random_state=None):
        return self._ising.sample(temperature, n_samples=n_samples, random_state=random_state)


CORNER = {"corner": lambda X: X.mean(axis=1) > 0.5}


@pytest.mark.parametrize("field", [0.0, 0.3])
@pytest.mark.parametrize("sampler", [SmallIsing(), SmallIsing(n_chains=64), WeightedIsing(n_chains=16)], ids=str)
def test_all_observables_agree_with_enumeration_within_honest_errors(sampler, field):
    """The z-scores of 100 independent curves have mean 0 and variance 1."""
    T = np.repeat(2.5, 100)
    curve = phase_curve(sampler, T, field=field, observables=CORNER, n_samples=6400, random_state=0)
    assert list(curve.observables) == [name for name in sampler.exact(2.5) if name in curve.observables]
    assert ("entropy" in curve.observables) == isinstance(sampler, WeightedIsing)
    for name, (value, error) in curve.observables.items():
        z = (value - sampler.exact(2.5, field)[name]) / error
        assert abs(z.mean()) < 0.45, name
        assert 0.6 < z.var() < 1.5, name


def test_each_point_is_at_its_own_temperature():
    sampler, T = SmallIsing(n_chains=16), [4.0, 1.0, 2.0]
    curve = phase_curve(sampler, T, n_samples=8000, random_state=1)
    np.testing.assert_array_equal(curve.temperatures, T)
    for i, temperature in enumerate(T):
        for name, (value, error) in curve.observables.items():
            assert abs(value[i] - sampler.exact(temperature)[name]) < 4.5 * error[i], (name, temperature)


def test_energy_and_heat_capacity_are_kaufmans():
    T = np.array([1.5, 2.27, 4.0])
    curve, exact = phase_curve(SmallIsing(64), T, n_samples=20_000, random_state=2), ising_exact((3, 3), T)
    for name, total in {"energy": exact.energy, "heat_capacity": exact.heat_capacity}.items():
        np.testing.assert_array_less(abs(curve[name].value - total / 9), 4 * curve[name].error)


def test_magnetization_is_per_spin_whatever_the_size_of_a_spin():
    one, four = (phase_curve(SmallIsing(spin=spin), [2.0], n_samples=4000, random_state=0) for spin in (1, 4))
    assert one["abs_magnetization"] == four["abs_magnetization"]


def test_a_field_that_aligns_all_spins_leaves_no_fluctuations():
    """Also in the last digits of energies of a million."""
    curve = phase_curve(WeightedIsing(16), [2.5], field=1e5, n_samples=3200, random_state=0)
    np.testing.assert_allclose(curve["magnetization"], [[1], [0]], atol=1e-14)
    np.testing.assert_allclose([*curve["heat_capacity"], *curve["susceptibility"]], 0, atol=1e-12)


def test_infinite_temperature():
    """Equally likely states: S = ln 2 a site; F has no finite value."""
    curve = phase_curve(WeightedIsing(16), [np.inf], n_samples=6400, random_state=0)
    value, error = curve["entropy"]
    assert abs(value[0] - np.log(2)) < 5 * error[0]
    assert curve["heat_capacity"].value[0] == curve["susceptibility"].value[0] == 0
    assert curve["free_energy"].value[0] == -np.inf


@pytest.mark.parametrize("sampler", [SmallIsing(), WeightedIsing(16), ForeignChain()], ids=str)
def test_results_do_not_depend_on_n_jobs(sampler):
    one, two = (
        phase_curve(sampler, [2.0, 2.5, 3.0], n_samples=2000, n_jobs=n_jobs, random_state=0) for n_jobs in (1, 2)
    )
    for name in one.observables:
        np.testing.assert_array_equal(one[name], two[name])


def test_seeds_differ_between_temperatures_and_calls():
    values = phase_curve(SmallIsing(), [2.5, 2.5], n_samples=2000, random_state=0)["energy"].value
    again = phase_curve(SmallIsing(), [2.5, 2.5], n_samples=2000, random_state=1)["energy"].value
    assert len({*values, *again}) == 4


class Last(LearnedIsing, BaseEstimator):
    def fit(self, X):
        return self


WRAPPED = {
    "a pipeline": make_pipeline(FunctionTransformer(), Last()),
    "a pipeline of a pipeline": make_pipeline(make_pipeline(FunctionTransformer(), Last())),
    "a frozen model": FrozenEstimator(Last()),
    "a frozen pipeline": FrozenEstimator(make_pipeline(Last())),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_model_is_found_in_what_ends_in_it(kind):
    """A frozen model has the methods of its model, but as a foreign sampler it has no temperature of its data."""
    wrapped, direct = (phase_curve(one, [2.0, 3.0], n_samples=2000, random_state=0) for one in (WRAPPED[kind], Last()))
    np.testing.assert_array_equal(wrapped["energy"], direct["energy"])
    np.testing.assert_array_equal(wrapped.support, direct.support)
    assert wrapped.data_temperature == 2.5


def test_support_and_data_temperature_belong_to_learned_models():
    learned, plain = (
        phase_curve(s, [2.0, 4.0], n_samples=2000, random_state=0) for s in (LearnedIsing(), SmallIsing())
    )
    np.testing.assert_array_equal(learned.support, [500, 250])
    assert learned.data_temperature == 2.5
    assert np.isnan(plain.support).all()
    assert plain.data_temperature is None


def test_a_field_costs_support():
    """Free spins: a configuration in a field is worth (cosh^2 x / cosh 2x)^N of those without, with x = h / T."""
    X = np.random.default_rng(0).choice([-1, 1], (400, 6))
    made = MADEHamiltonian(2.0, hidden_layer_sizes=(4,), max_iter=1, calibrate=False, random_state=0).fit(X)
    curve = phase_curve(made, [2.0], field=1.0, n_samples=2000, random_state=0)
    assert curve.support[0] / 400 == pytest.approx((np.cosh(0.5) ** 2 / np.cosh(1)) ** 6, rel=0.2)
    assert phase_curve(made, [2.0], n_samples=200, random_state=0).support[0] == 400


def test_a_foreign_sampler_is_one_markov_chain():
    """tau = 7 of the redrawing chain with probability 3/4 to stay; the error bars know it."""
    curve = phase_curve(ForeignChain(), np.repeat(2.5, 60), n_samples=4000, random_state=0)
    assert np.median(curve.effective_sample_size) == pytest.approx(4000 / 7, rel=0.15)
    value, error = curve["energy"]
    z = (value - SmallIsing().exact(2.5)["energy"]) / error
    assert 0.5 < z.var() < 1.6


def test_a_sampler_without_energy_has_no_thermal_observables():
    class Spins:
        def sample(self, temperature, n_samples):
            return np.random.default_rng(0).choice([-1, 1], size=(n_samples, 100))

    curve = phase_curve(Spins(), [2.0], n_samples=5000)
    assert list(curve.observables) == ["magnetization", "abs_magnetization", "susceptibility", "binder_cumulant"]
    assert curve["abs_magnetization"].value[0] == pytest.approx(0.0796, abs=3e-3)  # sqrt(2 / (100 pi))
    with pytest.raises(KeyError, match="'energy' was not measured; there are magnetization"):
        curve["energy"]


def test_a_foreign_field_is_passed_on_and_counted_in_the_energy():
    class Tilted(ForeignChain):
        def sample(self, temperature, n_samples, field=0.0, random_state=None):
            return self._ising.sample(temperature, n_samples=n_samples, field=field, random_state=random_state)

    curve, exact = (
        phase_curve(Tilted(), [2.5], field=0.3, n_samples=20_000, random_state=0),
        SmallIsing().exact(2.5, 0.3),
    )
    for name in ("magnetization", "energy", "heat_capacity"):
        assert abs(curve[name].value[0] - exact[name]) < 4 * curve[name].error[0]
    with pytest.raises(ValueError, match=r"ForeignChain.sample has no argument field, got field=0.3"):
        phase_curve(ForeignChain(), [2.5], field=0.3)


class Network(LearnedIsing):
    """Learned with an error of its own: its draws are those of another temperature."""

    def __init__(self, seed, disagreement):
        super().__init__(n_chains=64)
        self._factor = 1 + disagreement * np.random.default_rng(seed).normal()

    def _draw(self, temperature, n_samples, *options):
        return super()._draw(temperature * self._factor, n_samples, *options)


@pytest.mark.parametrize("disagreement", [0.0, 0.03])
def test_several_models_have_an_error_that_counts_their_disagreement(disagreement):
    """z-scores of 60 ensembles of 3 networks; by the spread of 2 % of T, not by their draws."""
    z, ratio = [], []
    for k in range(60):
        networks = [Network(3 * k + i, disagreement) for i in range(3)]
        curve = phase_curve(networks, [2.5], n_samples=6400, random_state=k)
        value, error = curve["energy"]
        z.append((value[0] - networks[0].exact(2.5)["energy"]) / error[0])
        alone = phase_curve(networks[0], [2.5], n_samples=6400, random_state=k)
        ratio.append(curve.spread["energy"][0] / alone["energy"].error[0])
    assert 0.55 < np.mean(np.abs(z) < 1) < (0.8 if disagreement else 0.95)
    # About 0.8 for networks that agree (the median spread of three draws), and 2 for these that do not.
    assert (np.median(ratio) > 1.4) == (disagreement > 0)


def test_a_curve_of_several_models_is_their_mean(tmp_path):
    networks = [Network(i, 0.1) for i in range(3)]
    curve = phase_curve(networks, [2.0, 3.0], n_samples=6400, random_state=0, n_jobs=2)
    values = np.array([[n.exact(T * n._factor)["energy"] for T in (2.0, 3.0)] for n in networks])
    np.testing.assert_allclose(curve["energy"].value, values.mean(axis=0), atol=0.04)
    np.testing.assert_allclose(curve.spread["energy"], values.std(axis=0, ddof=1), atol=0.04)
    np.testing.assert_allclose(curve.effective_sample_size, 3 * 6400 / 7, rtol=0.4)
    np.testing.assert_array_equal(curve.support, [500, 1000 / 3])
    assert (curve.data_temperature, curve.n_sites) == (2.5, 9)
    np.testing.assert_array_equal(curve.to_frame()["energy_spread"], curve.spread["energy"])
    curve.save(tmp_path / "curve.npz")
    loaded = PhaseCurve.load(tmp_path / "curve.npz")
    for name in curve.observables:
        np.testing.assert_array_equal(loaded.spread[name], curve.spread[name])


def test_models_of_one_curve_must_belong_together():
    warm, small = LearnedIsing(), LearnedIsing()
    warm.temperature = 3.0
    small._draw = lambda *request: Draws(np.ones((4, 2000, 4)), np.zeros((4, 2000)))
    with pytest.raises(ValueError, match=r"learned at the same temperature, got \{(2.5, 3.0|3.0, 2.5)\}"):
        phase_curve([LearnedIsing(), warm], [2.0])
    with pytest.raises(ValueError, match=r"same number of sites, got \{(9, 4|4, 9)\}"):
        phase_curve([LearnedIsing(), small], [2.0])
    with pytest.raises(ValueError, match=r"must be a temperature and a sampler.*\[\]$"):
        phase_curve([], [2.0])


@pytest.mark.parametrize("sampler", [None, 3, SmallIsing, make_pipeline(FunctionTransformer())], ids=str)
def test_what_cannot_sample_is_refused(sampler):
    with pytest.raises(TypeError, match="sampler must have a method sample"):
        phase_curve(sampler, [2.0])


def test_a_local_energy_is_told_to_make_a_sampler():
    with pytest.raises(TypeError, match=r"got LocalHamiltonian\(\): pass its to_sampler\(\)"):
        phase_curve(LocalHamiltonian(), [2.0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"temperatures": [2.0, -1.0]}, ValueError, "each value in temperatures must be a positive number, got -1.0"),
        ({"temperatures": [2.0, np.nan]}, ValueError, "positive number, got nan"),
        ({"temperatures": 2.0}, ValueError, r"temperatures must be 1-dimensional.*: write \[2.0\]"),
        ({"temperatures": [[2.0]]}, ValueError, r"1-dimensional, got an array of shape \(1, 1\)"),
        ({"temperatures": {2.0}}, TypeError, r"a list of positive numbers, such as list\(...\) of this set, got {2.0}"),
        ({"temperatures": {2.0: 1}.keys()}, TypeError, "a list of positive numbers, .* of this dict_keys"),
        ({"temperatures": []}, ValueError, r"must be a temperature and a sampler, got temperatures=array\(\[\]"),
        ({"temperatures": ["2"]}, TypeError, "got '2'"),
        ({"field": np.inf}, ValueError, "field must be a finite number, got inf"),
        ({"n_samples": 0}, ValueError, "n_samples must be an integer >= 1, got 0"),
        ({"observables": [len]}, TypeError, "observables must be a dict"),
        ({"observables": {"a": 3}}, TypeError, "'a': 3"),
        ({"observables": {"energy": len}}, ValueError, "'energy', which is a built-in observable"),
        (
            {"observables": {"sum": lambda X: X.sum()}},
            ValueError,
            r"'sum' must return one number or array.*\(2000, ...\), got \(\)",
        ),
        ({"observables": {"bad": lambda X: np.full(len(X), np.nan)}}, ValueError, "'bad' must be finite, got nan"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        phase_curve(SmallIsing(), **({"temperatures": [2.0], "n_samples": 2000} | arguments))


def test_a_method_is_for_samplers_that_know_methods():
    with pytest.raises(ValueError, match="method must be one of 'auto', got 'tempered'"):
        phase_curve(ForeignChain(), [2.0], method="tempered")


def test_draws_too_few_for_their_error_bar_are_reported_with_the_way_out():
    with pytest.warns(
        ConvergenceWarning, match=r"2 of 3 temperatures.*T = 2, 3;.*draw more than n_samples=100"
    ) as record:
        curve = phase_curve(MixedLengths(), [2.0, 2.5, 3.0], n_samples=100, random_state=0)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert np.all(curve.effective_sample_size[[0, 2]] < 50)


class MixedLengths(SmallIsing):
    def _draw(self, temperature, n_samples, *options):
        return super()._draw(temperature, n_samples * (100 if temperature == 2.5 else 1), *options)


def test_chains_that_disagree_are_reported():
    class Stuck(SmallIsing):
        def _draw(self, temperature, n_samples, *options):
            cold, hot = (SmallIsing._draw(self, T, n_samples, *options) for T in (1.5, 4.0))
            return Draws(*(np.concatenate([getattr(d, a) for d in (cold, hot)]) for a in ("configurations", "energy")))

    with pytest.warns(ConvergenceWarning, match="r_hat up to 1."):
        curve = phase_curve(Stuck(64), [2.5], n_samples=20_000, random_state=0)
    assert curve.r_hat[0] > 1.05


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("sampler", [SmallIsing(1), SmallIsing(8), WeightedIsing(1)], ids=str)
def test_a_handful_of_draws_gets_no_error_bar(sampler):
    curve = phase_curve(sampler, [2.5], n_samples=8, random_state=0)
    assert all(np.isnan(error).all() and np.isfinite(value).all() for value, error in curve.observables.values())


def test_an_observable_may_be_an_array(tmp_path):
    """Each of its numbers has the value and the error that it has alone."""
    both = {"moments": lambda X: np.stack([X.mean(axis=1) ** 2, X[:, 0] * X[:, 1]], axis=1)}
    alone = {"m2": lambda X: X.mean(axis=1) ** 2, "bond": lambda X: X[:, 0] * X[:, 1]}
    array, scalars = (
        phase_curve(SmallIsing(), [2.0, 3.0], observables=o, n_samples=4000, random_state=0) for o in (both, alone)
    )
    for k, name in enumerate(alone):
        np.testing.assert_array_equal(array["moments"].value[:, k], scalars[name].value)
        np.testing.assert_array_equal(array["moments"].error[:, k], scalars[name].error)
    np.testing.assert_array_equal(array.to_frame()["moments_error[1]"], scalars["bond"].error)
    array.save(tmp_path / "curve.npz")
    np.testing.assert_array_equal(PhaseCurve.load(tmp_path / "curve.npz")["moments"].value, array["moments"].value)
    assert array.to_xarray()["moments"].shape == (2, 2)
    ensemble = phase_curve([Network(i, 0.1) for i in range(3)], [2.0], observables=both, n_samples=4000, random_state=0)
    assert ensemble.spread["moments"].shape == (1, 2)


def test_products_of_observables_do_not_overflow():
    """All 256 aligned spins of +-1: the sum of their products is 256, also for observables of narrow integers."""
    ising = IsingSampler((16, 16), 0.5, random_state=0)
    curve = phase_curve(ising, [0.5], n_samples=200, observables={"norm": lambda X: np.einsum("ni,ni->n", X, X)})
    assert curve["norm"].value[0] == 256


@pytest.mark.parametrize("temperature", [1e150, 1e160, 1e300, np.inf])
def test_heat_capacity_vanishes_at_huge_temperatures(temperature):
    curve = phase_curve(SmallIsing(), [temperature], n_samples=2000, random_state=0)
    value, error = curve["heat_capacity"]
    assert 0 <= value[0] < 1e-200
    assert 0 <= error[0] < 1e-200


def test_measured_rows_become_a_curve():
    """Rows in the order of a Markov chain, whose correlation is counted in the errors: tau is 7."""
    system = SmallIsing(n_chains=1)
    z = []
    for seed in range(60):
        X = system.sample(2.0, n_samples=4000, random_state=seed)
        measured = PhaseCurve.from_samples({2.0: X, 3.0: X}, energy=system.energy, observables=CORNER)
        value, error = measured["energy"]
        z.append((value[0] - system.exact(2.0)["energy"]) / error[0])
    np.testing.assert_array_equal(measured.temperatures, [2.0, 3.0])
    assert measured["corner"].value[0] == pytest.approx(system.exact(2.0)["corner"], abs=0.1)
    assert 0.7 < np.std(z) < 1.3
    assert abs(np.mean(z)) < 4 / np.sqrt(60)
    for wrong, error in (({}, TypeError), ([X], TypeError), ({-1.0: X}, ValueError), ({2.0: X[0]}, ValueError)):
        with pytest.raises(error):
            PhaseCurve.from_samples(wrong)


def test_a_field_may_differ_from_site_to_site(tmp_path):
    """Against enumeration; samplers of a uniform field refuse it, and the file keeps it."""
    h = np.array([0.4, -0.3, 0.0, 0.2])
    ising = IsingSampler((2, 2), 3.0, random_state=0)
    states = enumerate_states((-1, 1), 4)
    log_w = (-ising.energy(states) + states @ h) / 3.0
    p = np.exp(log_w - logsumexp(log_w))
    rows = np.repeat(states, np.round(4000 * np.exp(-ising.energy(states) / 3.0) / 8).astype(int), axis=0)
    made = MADEHamiltonian(3.0, hidden_layer_sizes=(8,), max_iter=40, random_state=0).fit(rows.astype(np.int8))
    log_q = (-made.energy(states) + states @ h) / 3.0
    q = np.exp(log_q - logsumexp(log_q))
    site = {"site": lambda X: X}
    for sampler, law in ((ising, p), (made, q)):
        curve = phase_curve(sampler, [3.0], field=h, observables=site, n_samples=20_000, random_state=0)
        value, error = curve["site"]
        assert np.all(abs(value[0] - law @ states) < 5 * error[0])
    curve.save(tmp_path / "curve.npz")
    np.testing.assert_array_equal(PhaseCurve.load(tmp_path / "curve.npz").field, h)
    assert "a field on each site" in repr(curve)
    free = IndependentSites(3.0).fit(rows).sample(3.0, n_samples=20_000, field=h, random_state=0)
    np.testing.assert_allclose(free.mean(axis=0), np.tanh(h / 3), atol=0.04)
    for wrong in (h[:3], [np.nan] * 4, ["a"] * 4):
        with pytest.raises((ValueError, TypeError), match="field must be"):
            phase_curve(ising, [3.0], field=wrong)
    with pytest.raises(ValueError, match="field must be one number for SmallIsing"):
        phase_curve(SmallIsing(), [2.0], field=np.zeros(9))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"coupling": np.nan}, "coupling must be a finite number, got nan"),
        ({"couplings": [(np.nan, [0, 1])]}, "each strength in couplings must be a finite number, got nan"),
        ({"n_sweeps": -3}, "n_sweeps must be an integer >= 1, got -3"),
        ({"burn_in": -1}, "burn_in must be an integer >= 0, got -1"),
        ({"n_chains": 0}, "n_chains must be an integer >= 1, got 0"),
        ({"method": "foo"}, "method must be one of .* got 'foo'"),
    ],
)
def test_a_sampler_is_checked_at_this_entrance_too(wrong, message):
    with pytest.raises(ValueError, match=message):
        phase_curve(IsingSampler((4, 4), 2.5, **wrong), [2.0], n_samples=100)
