"""Errors of local energies against their formulas, written out: groups, shares, parts, weights and temperatures."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.base import clone

from skhamiltonian import IsingSampler, LocalHamiltonian, XYSampler
from skhamiltonian._local.choice_of_rows import _groups
from skhamiltonian._local.fitting import _independent_errors
from skhamiltonian._local.premise import common_hamiltonian_gain
from skhamiltonian._local.problem import NOTHING, RIDGE, PseudoLikelihood, Summary
from skhamiltonian._local.quadratic import sandwich, variance_of_rare_residuals
from skhamiltonian._local.reading import read

CHAIN = LocalHamiltonian(2.0, boundary="periodic", window_shape=2, sparsity=0.0, random_state=0)


class Blocks(PseudoLikelihood):
    """Known gradients of blocks; the Fisher information is a known matrix."""

    def __init__(self, scores, counts, grouped, share=1.0, past=NOTHING):
        self.scores, self.counts, self.grouped, self.share, self.past = scores, counts, grouped, share, past
        self.fisher = np.array([[7.0, 1.0], [1.0, 5.0]])

    n_seen = 1.0

    def _loss_and_gradient(self, couplings):
        return 0.0, np.zeros(2)

    def _information(self, couplings, columns, dtype):
        return self.fisher.copy()

    def block_scores(self, couplings, columns):
        return self.scores, self.counts


@pytest.mark.parametrize("n", [40, 5])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_variance_of_the_gradient_is_that_of_blocks(n, grouped):
    """A share of the rows stands for all. Groups are centred in proportion to their sites, with G / (G - 1).

    Of few blocks only groups tell variances; correlations are those of the information, with the ridge.
    """
    rng = np.random.default_rng(0)
    scores, counts = rng.normal(size=(n, 2)) + 1, rng.integers(1, 9, n).astype(float)
    problem = Blocks(scores, counts, grouped, share=0.25)
    each = scores - counts[:, None] / counts.sum() * scores.sum(axis=0) if grouped else scores
    wanted = sum(np.outer(one, one) for one in each) / 0.25 * (n / (n - 1) if grouped else 1)
    if n == 5:
        ridged = problem.fisher + RIDGE * np.eye(2)
        factor = np.sqrt(np.diag(wanted) / np.diag(ridged)) if grouped else np.ones(2)
        wanted = ridged * np.outer(factor, factor)
    np.testing.assert_allclose(problem.variance(np.zeros(2), np.arange(2)), wanted)
    past = Summary(np.arange(2), np.zeros(2), np.eye(2), np.array([[3.0, 1.0], [1.0, 2.0]]))
    later = Blocks(scores, counts, grouped, share=0.25, past=past)
    np.testing.assert_allclose(later.variance(np.zeros(2), np.arange(2)), wanted + past.variance)


def test_groups_raise_the_errors_of_all_gradients():
    """By their median effect on a variance, or by more where a coupling shows it; without groups by what shows.

    A variance that nearly vanishes says nothing: residuals of other rows may not vanish.
    """
    fisher, variance = np.ones(3), np.array([0.1, 4.0, 9.0])
    assert Blocks(None, None, True).scatter(fisher, variance).tolist() == [2, 2, 3]
    assert Blocks(None, None, False).scatter(fisher, np.array([0.09, 0.25, 9.0])).tolist() == [1, 0.5, 3]


def test_whole_groups_measure_the_variance_and_count_as_groups():
    """Groups of 1 and of 19 rows in turn, of which some are enough."""
    sizes = np.where(np.arange(400) % 2, 19, 1)
    group = np.repeat(np.arange(400), sizes)
    chosen = _groups(group, None)
    used = np.unique(chosen.group)
    assert 200 <= len(used) < 400
    assert chosen.share == len(used) / 400
    np.testing.assert_array_equal(np.bincount(chosen.group, minlength=400)[used], sizes[used])


def rows(n, T=2.0, seed=0):
    return IsingSampler((8,), T, random_state=seed).sample(n_samples=n)


def of_sandwich(local, free):
    summary = local.summary_
    on = np.flatnonzero(summary["couplings"][summary["columns"]])
    square = np.ix_(on, on)
    unit = summary["temperature"] * student.isf(norm.sf(1.0), free)
    return unit**2 * sandwich(summary["information"][square], summary["variance"][square], RIDGE)


def test_errors_from_few_groups_have_students_quantile_of_all_parts():
    """Six groups, and four more of a second part: 5, then 9 degrees of freedom."""
    first, second = (np.arange(600) % n for n in (6, 4))
    local = clone(CHAIN).partial_fit(rows(600), groups=first)
    np.testing.assert_allclose(local.covariance_, of_sandwich(local, 5), rtol=1e-6)
    local.partial_fit(rows(600, seed=1), groups=second)
    assert local.summary_["free"] == 9
    np.testing.assert_allclose(local.covariance_, of_sandwich(local, 9), rtol=1e-6)
    single = clone(CHAIN).fit(rows(600))
    np.testing.assert_allclose(single.covariance_, of_sandwich(single, np.inf), rtol=1e-6)


@pytest.mark.parametrize("n", [3, 200])
def test_tables_of_errors_add_up_to_the_covariance(n):
    """Exactly for few couplings; of many, 64 random combinations know each variance to a sixth."""
    A = np.random.default_rng(0).normal(size=(n, 2 * n))
    fit = SimpleNamespace(covariance=A @ A.T, couplings=np.zeros(n + 2), selected=np.arange(1, n + 1))
    errors = _independent_errors(fit)
    assert len(errors) == min(n, 64)
    assert not errors[:, [0, -1]].any()
    found = (errors.T @ errors)[1:-1, 1:-1]
    if n == 3:
        np.testing.assert_allclose(found, fit.covariance)
    else:
        assert np.mean(np.diag(found) / np.diag(fit.covariance)) == pytest.approx(1, abs=0.05)


class Scored(LocalHamiltonian):
    """Each row scores its first column, and its second one more if the fit is to all temperatures."""

    def fit(self, X, T):
        self.is_common_ = len(set(T)) > 1
        return self

    def _row_scores(self, X, T):
        return X[:, 0] + self.is_common_ * X[:, 1], X[:, 2]


def test_a_gain_is_a_ratio_with_the_error_of_independent_rows():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=90), rng.normal(5, 1, 90), rng.integers(3, 9, 90)])
    value, error = common_hamiltonian_gain(Scored(), X, np.repeat([1.0, 2.0, 3.0], 30), cv=3)
    gain, n = X[:, 1], X[:, 2]
    assert value == pytest.approx(gain.sum() / n.sum())
    assert error == pytest.approx(np.sqrt(((gain - value * n) ** 2).sum()) / n.sum())


def test_the_mean_temperature_counts_rows_by_weight_and_parts_by_rows():
    X, T = rows(300), np.repeat([1.0, 4.0], [100, 200])
    weight = np.repeat([3, 1], [100, 200])
    weighted = clone(CHAIN).fit(X, T, sample_weight=weight)
    assert weighted.temperature_ == pytest.approx((300 + 800) / 500)
    assert clone(CHAIN).fit(X, T).temperature_ == pytest.approx(3.0)
    parts = clone(CHAIN).partial_fit(X[:100], T[:100])
    parts.partial_fit(X[100:], T[100:])
    assert parts.temperature_ == pytest.approx(3.0)


def test_parts_at_two_temperatures_know_one_energy():
    """As one fit to all rows does; what the first part has learned counts at its own temperature."""
    X, T = np.concatenate([rows(400, 2.0), rows(400, 4.0, seed=1)]), np.repeat([2.0, 4.0], 400)
    parts, whole = clone(CHAIN), clone(CHAIN).fit(X, T)
    for part in (slice(0, 400), slice(400, None)):
        parts.partial_fit(X[part], T[part])
    sigma = np.sqrt(np.diag(whole.covariance_))
    np.testing.assert_allclose(parts.couplings_ / sigma, whole.couplings_ / sigma, atol=0.5)
    np.testing.assert_allclose(np.sqrt(np.diag(parts.covariance_)), sigma, rtol=0.2)


def test_parts_of_a_histogram_are_parts_of_its_rows():
    X, T, counts = rows(200), np.repeat([1.0, 4.0], 100), np.repeat([3, 1], 100)
    parts, whole = clone(CHAIN), clone(CHAIN).fit(np.repeat(X, counts, axis=0), np.repeat(T, counts))
    for part in (slice(0, 100), slice(100, None)):
        parts.partial_fit(X[part], T[part], sample_weight=counts[part])
    assert parts.n_samples_seen_ == whole.n_samples_seen_ == 400
    assert parts.temperature_ == whole.temperature_ == 1.75


@pytest.mark.filterwarnings("ignore:sites .* apart have a coupling")  # rows are repeated
@pytest.mark.parametrize("n_rows", [400, 2600])
def test_a_histogram_has_the_errors_of_its_rows(n_rows):
    """A row that counts n times is n independent rows; 2000 rows, a part of the most, measure the variance."""
    rng = np.random.default_rng(0)
    X, counts = rows(n_rows), rng.integers(1, 30, n_rows)
    models = clone(CHAIN).fit(np.repeat(X, counts, axis=0)), clone(CHAIN).fit(X, sample_weight=counts)
    np.testing.assert_allclose(models[1].couplings_, models[0].couplings_, rtol=1e-5)
    np.testing.assert_allclose(models[1].covariance_, models[0].covariance_, rtol=0.15)
    if n_rows == 400:
        weighted = clone(CHAIN).fit(X, sample_weight=counts / 7)
        assert np.sqrt(weighted.covariance_ / models[0].covariance_) == pytest.approx(np.sqrt(counts.mean()), rel=0.3)


def test_a_histogram_of_angles_has_the_errors_of_its_rows():
    X, counts = XYSampler((6,), 1.0, random_state=0).sample(n_samples=250), np.arange(250) % 5 + 1
    model = LocalHamiltonian(lattice_shape=(6,), boundary="periodic", states="angle", symmetries="rotation")
    whole, weighted = clone(model).fit(np.repeat(X, counts, axis=0)), clone(model).fit(X, sample_weight=counts)
    np.testing.assert_allclose(weighted.covariance_, whole.covariance_, rtol=1e-3)


def test_rows_without_weight_are_as_if_they_were_not_there():
    """Weights that are no counts have the mean 1 over the other rows."""
    X, weight = rows(60), np.random.default_rng(0).uniform(0.1, 2, 60)
    weight[::3] = 0
    data = read(clone(CHAIN), X, None, weight, 2.0, reset=True)
    assert data.weight.mean() == pytest.approx(1)
    with_zeros, without = (
        clone(CHAIN).fit(X[rows_], sample_weight=weight[rows_]) for rows_ in (slice(None), weight > 0)
    )
    np.testing.assert_allclose(with_zeros.couplings_, without.couplings_)
    np.testing.assert_allclose(with_zeros.covariance_, without.covariance_)


def test_a_masked_site_and_its_neighbours_are_not_learned_from():
    """Whatever stands at the masked sites; of 8 sites in a ring, 5 are left beside one that is masked."""
    X = rows(400)
    mask = np.zeros(X.shape, bool)
    mask[:, 2] = True
    models = []
    for value in (-1, 1):
        filled = np.where(mask, value, X)
        models.append(clone(CHAIN).fit(np.ma.array(filled, mask=mask)))
    np.testing.assert_allclose(models[0].couplings_, models[1].couplings_)
    scores, n_sites = models[0]._row_scores(np.ma.array(X, mask=mask), None)
    assert (n_sites == 5).all()
    assert models[0].score(np.ma.array(X, mask=mask)) == pytest.approx(scores.sum() / 2000)


@pytest.mark.parametrize("n_rows", [40, 1000])
def test_rows_without_a_flip_have_a_wide_error_and_one_warning(n_rows):
    """A field on N spins that are all up: N (1 - tanh x) = RIDGE x, and the error is that of N (1 - tanh^2 x)."""
    local = LocalHamiltonian(2.0, boundary="periodic", window_shape=1, sparsity=0.0, states=(-1, 1))
    with pytest.warns(
        UserWarning, match="hardly determine 1 of 1 couplings, and the errors of these are wide"
    ) as record:
        local.fit(np.ones((n_rows, 4)))
    assert len(record) == 1
    assert record[0].filename == __file__
    N = 4 * n_rows
    x = brentq(lambda x: N * (1 - np.tanh(x)) - RIDGE * x, 0, 20)
    of_rows = N / np.cosh(x) ** 2
    assert local.couplings_[0] == pytest.approx(2 * x, rel=1e-3)
    assert np.sqrt(local.covariance_[0, 0]) == pytest.approx(2 * np.sqrt(of_rows) / (of_rows + RIDGE), rel=0.02)


def test_the_information_stands_in_for_a_variance_that_vanishes():
    information, variance = np.array([[7.0, 1.0], [1.0, 5.0]]), np.array([[3.0, 0.1], [0.1, 0.2]])
    found = variance_of_rare_residuals(information + 0.5 * np.eye(2), variance, 0.5)
    np.testing.assert_allclose(found, [[3.0, 0.1], [0.1, 5.2]])
    np.testing.assert_array_equal(
        variance_of_rare_residuals(information, variance + np.eye(2), 0.5), variance + np.eye(2)
    )
    np.testing.assert_allclose(variance_of_rare_residuals(information, 0 * variance, 0.0), information)


def test_flips_that_are_seen_bound_a_field():
    """One spin of a hundred is down: the error is 1 / sqrt(N p (1 - p)) / 2, and there is no warning."""
    X = np.where(np.arange(4000) % 100 == 0, -1, 1).reshape(-1, 4)
    local = LocalHamiltonian(boundary="periodic", window_shape=1, sparsity=0.0).fit(X)
    assert local.couplings_[0] == pytest.approx(np.log(99) / 2, rel=1e-3)
    assert np.sqrt(local.covariance_[0, 0]) == pytest.approx(0.5 / np.sqrt(4000 * 0.01 * 0.99), rel=0.05)
