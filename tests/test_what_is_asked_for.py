"""Temperature, field and method that are asked for arrive at every place that uses them, and in every chain."""

import numpy as np
import pytest
from sklearn.base import clone

from skhamiltonian import (
    Draws,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    PhaseCurve,
    PhaseCurveDisplay,
    PseudolikelihoodIsing,
    ThermalSampler,
    XYSampler,
    phase_curve,
)
from skhamiltonian._local.energy import LocalEnergy
from skhamiltonian._local.sampler import LocalSampler

SHAPE, SITES = (2, 3), np.array([0.3, -0.2, 0.1, 0.4, -0.5, 0.2])
RNG = np.random.default_rng(0)
ROWS = RNG.choice(np.array([-1, 1], np.int8), (300, 6), p=[0.35, 0.65])
SWEEPS = {"burn_in": 6, "n_sweeps": 2}
TABLE = RNG.normal(size=3**4)


class Recorder(ThermalSampler):
    """Free spins that remember what they are asked for."""

    _METHODS, _SITE_FIELDS, states_ = ("auto", "other"), True, np.array([-1, 1])

    def __init__(self):
        self.asked, self.supports = [], []

    def _draw(self, temperature, n_samples, field, method, seed):
        self.asked.append((temperature, n_samples, np.ravel(field).tolist(), method))
        up = 1 / (1 + np.exp(-2 * np.asarray(field) / temperature))
        X = np.where(np.random.default_rng(seed).random((16, n_samples // 16, 6)) < up, 1, -1)
        return Draws(X, energy=-(X * field).sum(axis=2))

    def _support(self, temperature, field, seed):
        self.supports.append((temperature, np.ravel(field).tolist()))
        return 70.0 * temperature


def test_a_curve_asks_for_the_same_at_every_temperature():
    """With the temperatures that the entropy adds, T = infinity among them, for each of several models."""
    models = [Recorder(), Recorder()]
    curve = phase_curve(models, [3.0, 0.2], field=SITES, method="other", n_samples=160, entropy=True, random_state=0)
    for model in models:
        T, *rest = zip(*model.asked, strict=True)
        assert T[:2] == (3.0, 0.2)
        assert np.inf in T
        assert set(map(str, zip(*rest, strict=True))) == {str((160, SITES.tolist(), "other"))}
        assert model.supports == [(3.0, SITES.tolist()), (0.2, SITES.tolist())]
    np.testing.assert_array_equal(curve.support, [210.0, 14.0])
    np.testing.assert_array_equal(curve.field, SITES)


def test_a_display_asks_for_what_a_curve_does():
    pytest.importorskip("matplotlib")
    model = Recorder()
    PhaseCurveDisplay.from_estimator(
        model, [3.0, 0.2], observable="magnetization", field=SITES, method="other", n_samples=160, random_state=0
    )
    assert model.asked == [(T, 160, SITES.tolist(), "other") for T in (3.0, 0.2)]


# ---------------------------------------------------------------------------------- what is asked and what is owned


def ising(method, **options):
    return lambda T, h: IsingSampler(SHAPE, T, coupling=(0.7, -0.3), field=h, method=method, **SWEEPS, **options)


def angles(method):
    return lambda T, h: XYSampler(SHAPE, T, coupling=(0.7, 0.3), field=h, method=method, **SWEEPS)


OWNED = {
    "ising, heat bath": ising("heat-bath"),
    "ising, plaquettes": ising("heat-bath", plaquette_coupling=0.4),
    "ising, clusters": ising("swendsen-wang"),
    "ising, replicas": ising("parallel-tempering"),
    "angles, heat bath": angles("heat-bath"),
    "angles, clusters": angles("wolff"),
}


@pytest.mark.parametrize("h", [0.6, SITES], ids=["one field", "fields"])
@pytest.mark.parametrize("entry", OWNED)
def test_what_is_asked_for_is_as_good_as_what_is_owned(entry, h):
    """Temperature and field of a call, or those of the sampler: the same rows and energies from every method."""
    own, asked = OWNED[entry](3.0, h), OWNED[entry](0.7, 0.0)
    options = {"n_samples": 40, "random_state": 1}
    one, other = own.draws(**options), asked.draws(3.0, field=h, **options)
    np.testing.assert_array_equal(one.configurations, other.configurations)
    np.testing.assert_allclose(one.energy, other.energy)
    np.testing.assert_allclose(one.energy.ravel(), own.energy(one.configurations.reshape(-1, 6)))
    assert one.autocorrelation_time == pytest.approx(other.autocorrelation_time)
    np.testing.assert_array_equal(own.sample(**options), asked.sample(3.0, field=h, **options))
    blocks = (
        list(own.iter_sample(block_size=16, **options)),
        list(asked.iter_sample(3.0, block_size=16, field=h, **options)),
    )
    assert [len(block) for block in blocks[0]] == [16, 16, 8]
    np.testing.assert_array_equal(*map(np.concatenate, blocks))


SMALL = {"hidden_layer_sizes": (4,), "max_iter": 1, "calibrate": False, "random_state": 0}
MADE_METHODS = ("metropolis", "heat-bath", "window", "independence", "parallel-tempering", "tempered", "auto")
UNIFORM = {
    **{name: (lambda make=make: make(1.5, 0.2), "auto") for name, make in OWNED.items()},
    "free sites": (lambda: IndependentSites(1.5).fit(ROWS), "auto"),
    "pairs": (lambda: PseudolikelihoodIsing(1.5).fit(ROWS), "heat-bath"),
    **{f"network, {method}": (lambda: MADEHamiltonian(1.5, **SMALL).fit(ROWS), method) for method in MADE_METHODS},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("entry", UNIFORM)
def test_one_field_is_as_many_equal_ones(entry):
    make, method = UNIFORM[entry]
    sampler, options = make(), {"n_samples": 30, "method": method, "random_state": 1}
    one, many = (sampler.draws(2.5, field=h, **options) for h in (0.4, np.full(6, 0.4)))
    np.testing.assert_array_equal(one.configurations, many.configurations)
    np.testing.assert_allclose(one.energy, many.energy)
    rows = (sampler.sample(2.5, field=h, **options) for h in (0.4, np.full(6, 0.4)))
    np.testing.assert_array_equal(*rows)
    supports = [sampler._support(2.5, h, np.random.SeedSequence(0)) for h in (0.4, np.full(6, 0.4))]
    np.testing.assert_allclose(*supports)


def test_methods_of_fitted_pairs_are_those_of_their_sampler():
    pairs = PseudolikelihoodIsing(1.5, random_state=0).fit(ROWS)
    for method in ("heat-bath", "swendsen-wang"):
        assert pairs.draws(n_samples=10, method=method).method == method


def test_an_expansion_hands_its_sampler_what_it_is_given():
    expansion = InteractionExpansion(
        ["field", "pairs"], lattice_shape=SHAPE, method="pseudolikelihood", temperature=1.5
    )
    expansion.fit(ROWS)
    pairs = PseudolikelihoodIsing(1.5, lattice_shape=SHAPE).fit(ROWS)
    for model in (expansion, pairs):
        sampler = model.to_sampler(temperature=2.5, n_jobs=2, random_state=7)
        assert (sampler.temperature, sampler.n_jobs, sampler.random_state) == (2.5, 2, 7)
        assert model.to_sampler().temperature == 1.5


# ---------------------------------------------------------------------------------------------------- every chain

LONG = 40
THREE_STATES = LocalEnergy(np.array([-1, 0, 2]), (2,), np.zeros(9))
CHAINS = {
    "ising, heat bath": (IsingSampler((LONG,), np.inf, field=np.linspace(1, 2, LONG), method="heat-bath"), 520),
    "ising, words": (IsingSampler((LONG,), np.inf, coupling=1.0, method="heat-bath"), 1100),
    "ising, clusters": (IsingSampler((LONG,), np.inf, method="swendsen-wang"), 40),
    "angles, heat bath": (XYSampler((LONG,), np.inf, method="heat-bath"), 520),
    "angles, clusters": (XYSampler((LONG,), np.inf, method="wolff"), 40),
    "windows, heat bath": (LocalSampler(THREE_STATES, (LONG,), np.inf, method="heat-bath"), 520),
    "windows, metropolis": (LocalSampler(THREE_STATES, (LONG,), np.inf, method="metropolis"), 520),
}


@pytest.mark.parametrize("entry", CHAINS)
def test_no_two_chains_and_no_two_rows_are_alike(entry):
    """More chains than a group holds, at T = infinity; then as many equal rows that are moved."""
    sampler, n = CHAINS[entry]
    sampler.set_params(burn_in=2, n_sweeps=2, n_chains=n, random_state=0)
    X = sampler.sample(n_samples=2 * n)
    assert len(np.unique(X, axis=0)) == 2 * n
    moved = sampler.fit_transform(np.repeat(X[:1], n, axis=0))
    assert len(np.unique(moved, axis=0)) == n


@pytest.mark.parametrize("h", [3.0, -3.0])
@pytest.mark.parametrize("entry", CHAINS)
def test_every_row_and_every_chain_feels_a_field(entry, h):
    """A field of 3 T: the first, the last, and all rows between."""
    sampler, n = CHAINS[entry]
    frozen = sampler.set_params(burn_in=4, n_sweeps=2, n_chains=n, random_state=0).sample(1e-3, n_samples=n, field=h)
    s = np.cos(frozen) if frozen.dtype.kind == "f" else np.where(frozen == (2 if frozen.max() > 1 else 1), 1, -1)
    least = np.where(h > 0, s, -s).min(axis=1)
    assert len(frozen) == n
    assert least.min() > 0.9


def test_magnetization_of_measured_rows_is_over_the_largest_state_of_all():
    """At one temperature a state is absent, and the largest state is negative."""
    measured = PhaseCurve.from_samples(
        {1.0: np.full((60, 4), -3), 2.0: np.tile([-3, -3, -3, 1], (60, 1)), 3.0: np.ones((60, 4))}
    )
    np.testing.assert_allclose(measured["magnetization"].value, [-1, -2 / 3, 1 / 3])


@pytest.mark.parametrize(
    "model",
    [
        MADEHamiltonian(1.5, lattice_shape=SHAPE, calibrate=False, max_iter=2, random_state=0),
        LocalHamiltonian(1.5, lattice_shape=SHAPE, boundary="periodic", random_state=0),
        PseudolikelihoodIsing(1.5, lattice_shape=SHAPE),
        IndependentSites(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_fitted_model_answers_by_what_it_has_learned(model):
    """Parameters that are set after the fit wait for the next one."""
    model = clone(model).fit(ROWS)
    energies, score = model.energy(ROWS), model.score(ROWS)
    draws = model.sample(2.0, n_samples=5, random_state=0) if hasattr(model, "sample") else None
    for name, value in model.get_params(deep=False).items():
        setattr(model, name, "relu" if name == "activation" else object())
        np.testing.assert_array_equal(model.energy(ROWS), energies)
        assert model.score(ROWS) == score
        if draws is not None and name not in ("lattice_shape", "verbose"):  # what sampling asks for
            np.testing.assert_array_equal(model.sample(2.0, n_samples=5, random_state=0), draws)
        setattr(model, name, value)
