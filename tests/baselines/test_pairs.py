"""Baselines: pair couplings by pseudo-likelihood, and independent sites."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import (
    BlockSpinTransformer,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    MADEHamiltonian,
    PseudolikelihoodIsing,
    phase_curve,
    pseudo_log_likelihood,
)
from skhamiltonian._baselines import logistic
from skhamiltonian._lattice.bonds import nearest_neighbours
from skhamiltonian._utils.alphabet import enumerate_states

RNG = np.random.default_rng(0)
BONDS = nearest_neighbours((3, 3), (True, True))
COUPLING, FIELD = RNG.normal(size=len(BONDS)), RNG.normal(size=9) * 0.3
TERMS = [
    *zip(COUPLING.tolist(), BONDS, strict=True),
    *((float(h), [i]) for i, h in enumerate(FIELD)),
]
GLASS = IsingSampler((3, 3), 2.0, coupling=0.0, couplings=TERMS)
STATES = enumerate_states((-1, 1), 9).astype(np.int8)


class Parity:
    """Spins from integers, for the checks that bring integers of their own; test names show it without an address."""

    def __call__(self, X):
        return 1 - 2 * (np.round(X) % 2)

    def __repr__(self):
        return "parity"


def expected_failures(estimator):
    reason = "a Pipeline fits its steps in place"
    checks = ("check_estimators_overwrite_params", "check_dont_overwrite_parameters")
    return dict.fromkeys(checks, reason) if hasattr(estimator, "steps") else {}


SPINS_OF_INTEGERS = FunctionTransformer(Parity(), validate=True)


@pytest.mark.filterwarnings("ignore:these rows hardly determine")
@parametrize_with_checks(
    [make_pipeline(SPINS_OF_INTEGERS, PseudolikelihoodIsing())],
    expected_failed_checks=expected_failures,
)
def test_sklearn_contract(estimator, check):
    check(estimator)


def probabilities(system=GLASS, temperature=2.0):
    log_p = -system.energy(STATES) / temperature
    return np.exp(log_p - np.logaddexp.reduce(log_p))


def draws(n_samples, seed):
    return STATES[np.random.default_rng(seed).choice(len(STATES), n_samples, p=probabilities())]


def true_matrix():
    J = np.zeros((9, 9))
    J[tuple(BONDS.T)] = COUPLING
    return J + J.T


def test_couplings_of_the_whole_law_are_the_true_ones():
    """Each configuration as often as the law wants it, to one part in 10^5."""
    X = np.repeat(STATES, np.round(probabilities() * 2e5).astype(int), axis=0)
    pairs = PseudolikelihoodIsing(2.0, C=np.inf).fit(X)
    np.testing.assert_allclose(pairs.coupling_, true_matrix(), atol=0.005)
    np.testing.assert_allclose(pairs.field_, FIELD, atol=0.005)
    difference = pairs.energy(STATES) - GLASS.energy(STATES)
    assert np.abs(difference).max() < 0.05


@pytest.mark.parametrize("n_samples", [500, pytest.param(5000, marks=pytest.mark.slow)])
def test_intervals_of_couplings_cover_the_truth(n_samples):
    """40 data sets of 36 couplings and 9 fields: 68 % intervals hold them in 55-80 %, and z-scores have size 1."""
    upper = np.triu_indices(9, 1)
    z = []
    for seed in range(40):
        pairs = PseudolikelihoodIsing(2.0, C=np.inf).fit(draws(n_samples, seed))
        z.append((pairs.coupling_ - true_matrix())[upper] / pairs.coupling_std_[upper])
        z.append((pairs.field_ - FIELD) / pairs.field_std_)
    z = np.concatenate(z)
    assert 0.64 < np.mean(np.abs(z) < 1) < 0.72
    assert 0.94 < np.sqrt(np.mean(z**2)) < 1.08


def test_couplings_are_symmetric_and_scale_with_the_temperature():
    X = draws(500, 0)
    one, two = PseudolikelihoodIsing(2.0).fit(X), PseudolikelihoodIsing(4.0).fit(X)
    np.testing.assert_array_equal(one.coupling_, one.coupling_.T)
    assert not np.diag(one.coupling_).any()
    for name in ("coupling_", "coupling_std_", "field_", "field_std_"):
        np.testing.assert_allclose(getattr(two, name), 2 * getattr(one, name))


def test_a_strong_penalty_leaves_nothing():
    weak, strong = (PseudolikelihoodIsing(2.0, C=C).fit(draws(500, 0)) for C in (1.0, 1e-6))
    assert np.abs(strong.coupling_).max() < 1e-3 < np.abs(weak.coupling_).max()


def test_a_spin_that_never_changes():
    X = draws(500, 0)
    X[:, 3] = 1
    with pytest.warns(UserWarning, match="hardly determine 8 of 36 couplings"):
        pairs = PseudolikelihoodIsing(2.0).fit(X)
    assert not pairs.coupling_[3].any()
    assert pairs.field_[3] == pytest.approx(2.0 * np.log(500.5 / 0.5) / 2)
    assert pairs.field_std_[3] == np.inf
    assert np.isinf(pairs.coupling_std_).sum() == 16
    rest = PseudolikelihoodIsing(2.0).fit(np.delete(X, 3, axis=1))
    np.testing.assert_allclose(np.delete(np.delete(pairs.coupling_, 3, 0), 3, 1), rest.coupling_, atol=1e-6)


def test_energy_and_sampler_are_those_of_the_couplings():
    pairs = PseudolikelihoodIsing(2.0, random_state=0).fit(draws(2000, 0))
    s = STATES.astype(float)
    wanted = -np.einsum("ni,ij,nj->n", s, np.triu(pairs.coupling_), s) - s @ pairs.field_
    np.testing.assert_allclose(pairs.energy(STATES), wanted, atol=1e-12)
    np.testing.assert_allclose(pairs.to_sampler().energy(STATES), wanted, atol=1e-12)
    X = pairs.sample(n_samples=20_000)
    p = probabilities(pairs)
    assert X.shape == (20_000, 9)
    np.testing.assert_allclose(X.mean(axis=0), p @ s, atol=0.04)
    curve = phase_curve(pairs, [1.5, 3.0], n_samples=4000, random_state=1)
    for T, value, error in zip(curve.temperatures, *curve["abs_magnetization"], strict=True):
        exact = probabilities(pairs, T) @ np.abs(s.mean(axis=1))
        assert abs(value - exact) < 4 * error


def conditional_score(energy, temperature, states, X):
    """The mean over X of sum_i ln p(s_i | rest), from the whole law by brute force."""
    total = 0.0
    for s in X:
        for i in range(len(s)):
            others = np.repeat(s[None], len(states), axis=0)
            others[:, i] = states
            log_p = -energy(others) / temperature
            total += log_p[list(states).index(s[i])] - np.logaddexp.reduce(log_p)
    return total / len(X)


def test_the_score_is_the_pseudo_likelihood():
    X = draws(300, 0)
    pairs = PseudolikelihoodIsing(2.0).fit(X)
    wanted = conditional_score(pairs.energy, 2.0, (-1, 1), X[:50])
    assert pairs.score(X[:50]) == pytest.approx(wanted, abs=1e-10)
    assert pseudo_log_likelihood(pairs, X[:50]) == pytest.approx(wanted, abs=1e-10)
    assert pseudo_log_likelihood(GLASS, X[:50]) == pytest.approx(
        conditional_score(GLASS.energy, 2.0, (-1, 1), X[:50]), abs=1e-10
    )


def test_pseudo_likelihood_of_any_alphabet_and_of_a_pipeline():
    X = np.random.default_rng(0).choice([-1, 1], (200, 16)).astype(np.int8)
    blocks = BlockSpinTransformer(block_size=2, lattice_shape=(4, 4))
    network = MADEHamiltonian(3.0, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    coarse = make_pipeline(blocks, network).fit(X)
    S = blocks.transform(X[:20])
    wanted = conditional_score(coarse[-1].energy, 3.0, coarse[-1].states_.tolist(), S)
    assert pseudo_log_likelihood(coarse, X[:20]) == pytest.approx(wanted, abs=1e-9)
    sites = IndependentSites(temperature=3.0).fit(S)
    assert pseudo_log_likelihood(sites, S) == pytest.approx(sites.score(S), abs=1e-10)


def test_one_table_for_all_models():
    """On data with pair couplings alone the true law is best, pairs next, sites without interaction last."""
    X = draws(4000, 1)
    models = [IndependentSites(temperature=2.0), PseudolikelihoodIsing(2.0)]
    search = GridSearchCV(
        make_pipeline("passthrough"), {"steps": [[("model", model)] for model in models]}, scoring=pseudo_log_likelihood
    ).fit(X)
    sites, pairs = search.cv_results_["mean_test_score"]
    assert sites + 0.5 < pairs < pseudo_log_likelihood(GLASS, X) + 0.01
    assert cross_val_score(PseudolikelihoodIsing(2.0), X, cv=3).mean() == pytest.approx(pairs, abs=0.02)


def test_pairs_cannot_learn_plaquettes():
    """The negative control: four-spin interactions are beyond pair couplings, which then are wrong."""
    system = IsingSampler((3, 3), coupling=1.0, plaquette_coupling=1.0)
    p = probabilities(system, 4.0)
    X = STATES[np.random.default_rng(0).choice(len(p), 20_000, p=p)]
    pairs = PseudolikelihoodIsing(4.0).fit(X)
    assert pairs.coupling_[tuple(BONDS.T)].mean() > 1.3
    assert pairs.score(X) < pseudo_log_likelihood(IsingSampler((3, 3), 4.0, plaquette_coupling=1.0), X) - 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"temperature": -1.0}, "got -1.0"), ({"C": 0}, "C must be .*got 0"), ({"temperature": np.inf}, "got inf")],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        PseudolikelihoodIsing(**parameters).fit(draws(50, 0))


def test_other_values_than_spins_are_refused():
    X = draws(50, 0)
    X[3, 7] = 0
    with pytest.raises(ValueError, match=r"spins -1 and 1, got 0 in row 3, column 7"):
        PseudolikelihoodIsing().fit(X)


# ---------------------------------------------------------------------------------------------- independent sites


@pytest.mark.parametrize("alphabet", [(-1, 1), (0, 1, 3)])
def test_independent_sites_are_normalised_and_count(alphabet):
    X = np.random.default_rng(0).choice(
        alphabet, (400, 4), p=np.arange(1, len(alphabet) + 1) / sum(range(len(alphabet) + 1))
    )
    sites = IndependentSites(1.5).fit(X)
    everything = enumerate_states(alphabet, 4)
    assert np.exp(sites.score_samples(everything)).sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(sites.energy(X), -1.5 * sites.score_samples(X))
    share = np.mean(X[:, [0]] == np.array(alphabet), axis=0)
    np.testing.assert_allclose(np.exp(sites.log_prob_[0]), share, atol=0.003)


@pytest.mark.parametrize(("temperature", "field"), [(None, 0.0), (0.7, 0.0), (3.0, 0.4), (np.inf, 0.0)])
def test_draws_of_independent_sites_have_their_law(temperature, field):
    X = np.random.default_rng(0).choice([0, 1, 3], (400, 3), p=[0.5, 0.2, 0.3])
    sites = IndependentSites(1.5, random_state=0).fit(X)
    everything = enumerate_states((0, 1, 3), 3)
    T = 1.5 if temperature is None else temperature
    log_p = (-sites.energy(everything) + field * everything.sum(axis=1)) / T
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    drawn = sites.sample(temperature, n_samples=20_000, field=field)
    counts = np.array([(drawn == state).all(axis=1).sum() for state in everything])
    chi2 = ((counts - 20_000 * p) ** 2 / (20_000 * p)).sum()
    assert chi2 < 26 + 4 * np.sqrt(2 * 26)


def test_independent_sites_have_a_phase_curve():
    sites = IndependentSites(2.0, random_state=0).fit(draws(500, 0))
    curve = phase_curve(clone(sites).fit(draws(500, 0)), [2.0], n_samples=4000, random_state=0)
    value, error = curve["magnetization"]
    exact = (np.exp(sites.log_prob_) @ [-1, 1]).mean()
    assert abs(value[0] - exact) < 4 * error[0]
    assert sites.sample(n_samples=0).shape == (0, 9)


# ---------------------------------------------------------------------------------------------- errors of few rows


def two_spins(n_samples, seed, temperature):
    """Rows of two spins with J = 1."""
    rng = np.random.default_rng(seed)
    s, aligned = rng.choice([-1, 1], n_samples), rng.random(n_samples) < 1 / (1 + np.exp(-2 / temperature))
    return np.stack([s, np.where(aligned, s, -s)], axis=1)


@pytest.mark.parametrize(("n_samples", "temperature"), [(40, 2.0), (200, 1.0), (1000, 0.5)])
def test_intervals_of_two_spins_cover_their_coupling(n_samples, temperature):
    fits = [PseudolikelihoodIsing(temperature).fit(two_spins(n_samples, seed, temperature)) for seed in range(200)]
    J, error = np.transpose([(fit.coupling_[0, 1], fit.coupling_std_[0, 1]) for fit in fits])
    assert 0.60 < np.mean(np.abs(J - 1) < error) < 0.76
    assert abs(np.mean(J) - 1) < 4 * np.std(J) / np.sqrt(200)


def test_two_spins_that_never_differ_have_a_wide_error():
    X = two_spins(100, 0, 0.5)
    X[:, 1] = X[:, 0]
    with pytest.warns(UserWarning, match="hardly determine 1 of 1 couplings") as log:
        pairs = PseudolikelihoodIsing(0.5).fit(X)
    assert len(log) == 1
    up = np.log((np.sum(X[:, 0] > 0) + 0.5) / 0.5) + np.log((np.sum(X[:, 0] < 0) + 0.5) / 0.5)
    assert pairs.coupling_[0, 1] == pytest.approx(0.5 * up / 4, rel=1e-4)  # half a row of each kind more
    assert abs(pairs.coupling_[0, 1] - 1) < pairs.coupling_std_[0, 1]


def test_what_a_penalty_takes_off_is_in_the_error():
    X = two_spins(1000, 0, 0.5)
    free, shrunk = PseudolikelihoodIsing(0.5).fit(X), PseudolikelihoodIsing(0.5, C=0.1).fit(X)
    taken = free.coupling_ - shrunk.coupling_
    assert taken[0, 1] > 2 * free.coupling_std_[0, 1]
    np.testing.assert_allclose(shrunk.coupling_std_, np.hypot(free.coupling_std_, taken), rtol=1e-4)


def test_what_a_penalty_on_couplings_does_to_a_field_is_in_its_error():
    """Without its coupling the field of a spin grows: far more than the noise of these rows."""
    X = IsingSampler((2,), 2.0, coupling=1.0, field=0.5, boundary="open", random_state=0).sample(n_samples=4000)
    free, held = PseudolikelihoodIsing(2.0).fit(X), PseudolikelihoodIsing(2.0, C=1e-5).fit(X)
    shift = held.field_ - free.field_
    assert np.all(shift > 5 * free.field_std_)
    assert np.all(held.field_std_ >= shift)
    assert np.all(held.field_std_ < 1.1 * np.hypot(shift, free.field_std_))


def test_more_couplings_than_rows_have_no_finite_error(spins):
    with pytest.warns(UserWarning, match="hardly determine 66 of 66 couplings"):
        pairs = PseudolikelihoodIsing().fit(spins(8, 12))
    assert np.isinf(pairs.coupling_std_[np.triu_indices(12, k=1)]).all()


@pytest.mark.parametrize("group", [None, np.arange(60) ** 2 // 600])
def test_errors_are_the_dense_formula(group):
    """Jeffreys' prior, influences over the root of 1 - h, and the information's own variance, written out.

    Six groups of 25 to 5 rows: sums over rows are those over groups, times G / (G - 1) and Student's t^2.
    """
    X, T = draws(60, 3)[:, :4], 2.0
    with_ones = np.column_stack([X, np.ones(len(X))]).astype(float)
    u, psi, own = np.zeros((4, 5)), np.zeros((60, 4, 5)), np.zeros((4, 5))
    for i in range(4):
        others = [j for j in range(5) if j != i]
        z, y, w = with_ones[:, others], X[:, i] > 0, np.zeros(4)
        for _ in range(200):
            p = 1 / (1 + np.exp(-z @ w))
            inverse = np.linalg.inv((z.T * p * (1 - p)) @ z)
            h = p * (1 - p) * np.einsum("na,ab,nb->n", z, inverse, z)
            w = w + 0.5 * inverse @ z.T @ (y - p + h * (0.5 - p))
        u[i, others], own[i, others] = w, np.diag(inverse)
        psi[:, i, others] = z @ inverse * ((y - p) / np.sqrt(1 - h))[:, None]
    if group is not None:
        sums = np.array([psi[group == g].sum(axis=0) for g in range(6)])
        sums *= np.sqrt(6 / 5) * student.isf(norm.sf(1), 5)
        own *= (sums**2).sum(axis=0) / np.maximum((psi**2).sum(axis=0), 1e-300)
        psi = sums
    pairs = PseudolikelihoodIsing(T).fit(X, groups=group)
    spread = np.sqrt(np.maximum((psi[:, :, 4] ** 2).sum(axis=0), own[:, 4])) / 2
    np.testing.assert_allclose(pairs.field_std_, T * spread, rtol=1e-3)
    np.testing.assert_allclose(pairs.field_, T * u[:, 4] / 2, atol=1e-4)
    for i, j in [(0, 1), (1, 3), (2, 3)]:
        a, b = psi[:, i, j], psi[:, j, i]
        rho = a @ b / np.sqrt(a @ a * (b @ b))
        model = own[i, j] + own[j, i] + 2 * rho * np.sqrt(own[i, j] * own[j, i])
        assert pairs.coupling_[i, j] == pytest.approx(T * (u[i, j] + u[j, i]) / 4, abs=1e-4)
        assert pairs.coupling_std_[i, j] == pytest.approx(T * np.sqrt(max(((a + b) ** 2).sum(), model)) / 4, rel=1e-3)


def test_weights_are_counts_of_rows():
    X, counts = draws(300, 0)[:, :5], np.random.default_rng(0).integers(0, 4, 300)
    weighted = PseudolikelihoodIsing(2.0).fit(X, sample_weight=counts)
    repeated = PseudolikelihoodIsing(2.0).fit(np.repeat(X, counts, axis=0))
    for name in ("coupling_", "coupling_std_", "field_", "field_std_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("symmetries", [(), ("translation", "point-group")])
def test_copies_in_groups_have_the_errors_of_single_rows(symmetries):
    X = IsingSampler((3, 3), 4.0, field=0.1, random_state=0).sample(n_samples=600)
    copies = np.random.default_rng(0).permutation(np.tile(np.arange(600), 4))
    pairs = PseudolikelihoodIsing(4.0, lattice_shape=(3, 3), symmetries=symmetries)
    once, grouped = clone(pairs).fit(X), clone(pairs).fit(X[copies], groups=copies)
    for name in ("coupling_std_", "field_std_"):
        np.testing.assert_allclose(
            getattr(grouped, name), getattr(once, name), rtol=0.03
        )  # Jeffreys' prior counts once


@pytest.mark.slow
def test_a_group_in_several_blocks_counts_as_with_weights():
    """30 x 30 influences of a row: a block has 4660 rows."""
    X, groups = np.random.default_rng(0).choice([-1, 1], (500, 30)).astype(np.int8), np.arange(500) // 200
    pairs = PseudolikelihoodIsing(symmetries="spin-flip")
    weighted = clone(pairs).fit(X, sample_weight=np.full(500, 10), groups=groups)
    repeated = clone(pairs).fit(np.repeat(X, 10, axis=0), groups=np.repeat(groups, 10))
    np.testing.assert_allclose(repeated.coupling_std_, weighted.coupling_std_, rtol=1e-5)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_size_of_blocks_of_rows_has_no_effect(monkeypatch, grouped):
    """Blocks of 7 rows, which end inside of groups of 1 to 19 rows; the last one is not full."""
    X, groups = draws(100, 1)[:, :4], np.arange(100) ** 2 // 1000
    wanted = PseudolikelihoodIsing(2.0).fit(X, groups=groups if grouped else None)
    monkeypatch.setattr(logistic, "_BLOCK", 7 * 4 * 5)
    found = PseudolikelihoodIsing(2.0).fit(X, groups=groups if grouped else None)
    np.testing.assert_allclose(found.coupling_std_, wanted.coupling_std_, rtol=1e-12)
    np.testing.assert_allclose(found.field_std_, wanted.field_std_, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:these rows hardly determine 3 of 6")
def test_a_spin_that_never_changes_has_the_field_of_as_many_rows_as_count():
    rows = np.concatenate([enumerate_states((-1, 1), 3), np.ones((8, 1), int)[:, ::-1]], axis=1)
    weighted = PseudolikelihoodIsing(2.0).fit(rows, sample_weight=np.full(8, 30))
    repeated = PseudolikelihoodIsing(2.0).fit(np.tile(rows, (30, 1)))
    for name in ("coupling_", "coupling_std_", "field_", "field_std_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-4, atol=1e-6)
    assert weighted.field_[3] == pytest.approx(np.log(240.5 / 0.5))  # T / 2 is one


# ---------------------------------------------------------------------------------------------- shared couplings


def test_shared_couplings_know_more_than_single_ones():
    ising = IsingSampler((4, 4), 4.0, field=0.2, random_state=0)
    X = ising.sample(n_samples=2000)
    symmetries = ("translation", "point-group")
    single = PseudolikelihoodIsing(4.0).fit(X)
    shared = PseudolikelihoodIsing(4.0, lattice_shape=(4, 4), symmetries=symmetries).fit(X)
    J = np.zeros((16, 16))
    np.add.at(J, tuple(nearest_neighbours((4, 4), (True, True)).T), 1.0)
    off = np.triu_indices(16, k=1)
    z = ((shared.coupling_ - J - J.T) / shared.coupling_std_.clip(1e-9))[off]
    assert np.abs(z).max() < 4
    assert shared.coupling_std_[off].max() < single.coupling_std_[off].min() / 2
    assert np.ptp(shared.field_) == 0
    assert abs(shared.field_[0] - 0.2) < 4 * shared.field_std_[0]
    np.testing.assert_allclose(shared.energy(X[:50]), shared.to_sampler().energy(X[:50]), atol=1e-9)
    larger = shared.to_sampler((8, 8), 3.0)
    up = np.ones((1, 64))
    assert larger.energy(up)[0] == pytest.approx(4 * shared.energy(np.ones((1, 16)))[0])
    assert larger.temperature == 3.0
    even = PseudolikelihoodIsing(4.0, lattice_shape=(4, 4), symmetries=symmetries, max_distance=1.0)
    with pytest.warns(UserWarning, match="refute the symmetry 'spin-flip'"):
        even.set_params(symmetries=(*symmetries, "spin-flip")).fit(X)
    assert not even.field_.any()


def test_spin_flip_alone_leaves_out_fields():
    pairs = PseudolikelihoodIsing(2.0, symmetries=("spin-flip",)).fit(draws(800, 0))
    assert not pairs.field_.any()
    assert not pairs.field_std_.any()
    assert pairs.coupling_.any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"symmetries": ("translation",)}, "need lattice_shape"),
        ({"symmetries": ("point-group",), "lattice_shape": (3, 3)}, "need 'translation'"),
        ({"symmetries": ("translation",), "lattice_shape": (3, 3), "C": 1.0}, "C must be inf"),
        ({"symmetries": "rotation"}, "got 'rotation'"),
        ({"boundary": "open"}, "boundary='open' needs"),
        ({"lattice_shape": (2, 3)}, "6 sites, but X has 9"),
    ],
)
def test_bad_symmetries_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        PseudolikelihoodIsing(**parameters).fit(draws(50, 0))


def test_couplings_of_their_own_have_no_other_lattice():
    with pytest.raises(ValueError, match=r"'translation' are defined on another lattice, got \(4, 4\)"):
        PseudolikelihoodIsing(2.0).fit(draws(800, 0)).to_sampler((4, 4))


def test_a_model_without_temperature_has_no_pseudo_likelihood():
    X = draws(100, 0)
    expansion = InteractionExpansion(sparse=False).fit(X, GLASS.energy(X))
    with pytest.raises(ValueError, match="must have a temperature"):
        pseudo_log_likelihood(expansion, X[:5])


def test_a_site_that_hardly_ever_changes_does_not_stop_the_fit():
    """A neuron of 5 spikes in 20 000 words is silent in the rows that give the start of Newton's method."""
    X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (20_000, 4), p=[0.8, 0.2])
    X[:, 3] = -1
    X[7:20_000:4000, 3] = 1
    pairs = PseudolikelihoodIsing().fit(X)
    assert np.abs(pairs.coupling_[:3, :3]).max() < 0.05
    assert pairs.coupling_std_[3, 0] > 10 * pairs.coupling_std_[1, 0]
