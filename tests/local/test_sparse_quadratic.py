"""Sparse couplings of losses whose penalised minimum is known: firm thresholds, exchanges, entries and steps."""

from types import SimpleNamespace

import numpy as np
import pytest

from skhamiltonian._local.problem import NOTHING, PseudoLikelihood
from skhamiltonian._local.sparse import _first, _Newton, _Penalty, _supported, fit_sparse


class Quadratic(PseudoLikelihood):
    """A loss of 7 + (x - best) A (x - best) / 2, whose gradient has `scale` times the covariance A."""

    past, share, grouped = NOTHING, 1.0, False

    def __init__(self, A, best, scale=1.0, order=1, n_products=1.0, n_seen=50.0):
        self.A, self.best, self.scale, self.seen = (
            np.asarray(A, dtype=float),
            np.asarray(best, dtype=float),
            scale,
            n_seen,
        )
        n = len(self.best)
        order, n_products = np.broadcast_to(order, n), np.broadcast_to(n_products, n)
        self.basis = SimpleNamespace(n_clusters=n, order=order, n_products=n_products)

    @property
    def n_seen(self):
        return self.seen

    def loss_and_gradient(self, couplings):
        d = couplings - self.best
        return 7 + d @ self.A @ d / 2, self.A @ d

    def information(self, couplings, columns, dtype=None):
        return self.A[np.ix_(columns, columns)].copy()

    def variance(self, couplings, columns):
        return self.scale * self.information(couplings, columns)

    def _loss_and_gradient(self, couplings): ...
    def _information(self, couplings, columns, dtype): ...
    def block_scores(self, couplings, columns): ...


def fitted(problem, threshold, start=None, max_iter=200):
    return fit_sparse(problem, threshold, max_iter, start, lambda step, loss: False)


@pytest.mark.kernel
@pytest.mark.parametrize(("n_seen", "loss"), [(50.0, 0.14), (0.5, 7.0)])
def test_without_threshold_the_fit_is_the_minimum(n_seen, loss):
    """The first step reaches it, the second measures the variance, the third stays."""
    rng = np.random.default_rng(0)
    A, best = np.cov(rng.normal(size=(6, 30))) * 100, rng.normal(size=6)
    problem = Quadratic(A, best, scale=3.0, n_seen=n_seen)
    fit = fitted(problem, 0.0)
    np.testing.assert_allclose(fit.couplings, best, atol=1e-4)
    assert fit.selected.tolist() == list(range(6))
    np.testing.assert_allclose(fit.covariance, 3 * np.linalg.inv(A), rtol=1e-3)
    assert fit.converged
    assert fit.loss == pytest.approx([loss] * 3)
    summary = fit.summary
    assert summary.columns.tolist() == list(range(6))
    np.testing.assert_allclose(summary.slope, -A @ best, rtol=1e-9)
    np.testing.assert_allclose(summary.information, A)
    np.testing.assert_allclose(summary.variance, 3 * A)
    assert len(fitted(problem, 0.0, start=best).loss) == 2
    cut = fitted(problem, 0.0, max_iter=1)
    assert (len(cut.loss), cut.converged) == (1, False)


@pytest.mark.kernel
@pytest.mark.parametrize(("threshold", "reach"), [(1.0, 2.0), (2.24, 4.48), (7.0, 10.0)])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_uncorrelated_couplings_have_a_firm_threshold(threshold, reach, scale):
    """In standard errors, with the threshold t and the reach r: 0 up to t, then (z - t) / (1 - t / r), z from r on."""
    z = np.array([0.5, 0.99, -1.01, 1.2, -1.4, 1.42, 0.0, -2.01, 5.0]) * threshold
    error = np.sqrt(scale) / np.arange(1, 10)
    size = np.clip((np.abs(z) - threshold) / (1 - threshold / reach), 0, np.abs(z))
    fit = fitted(Quadratic(np.diag(np.arange(1.0, 10) ** 2), z * error, scale), threshold)
    np.testing.assert_allclose(fit.couplings / error, np.sign(z) * size, atol=2e-3)
    assert fit.selected.tolist() == [2, 3, 4, 5, 7, 8]
    assert fit.converged
    assert len(fit.loss) <= 5


def imitated(n_triples, gain):
    """Columns a, b and almost a + b; a is 27 errors and b 12. The last column in place of b costs `gain`, in nats."""
    sin = np.sqrt(2 * gain) / 12
    slope = sin / np.sqrt(2 * (1 - sin**2))  # of the last column, out of the plane of the others
    columns = np.array([[1, 0, 0], [0, 1, 0], np.array([np.sqrt(0.5), np.sqrt(0.5), slope]) / np.hypot(1, slope)])
    A, best = columns @ columns.T, np.array([27.0, 12.0, 0.0])
    other = np.linalg.solve(A[::2, ::2], A[::2] @ best)
    return Quadratic(np.kron(np.eye(n_triples), A), np.tile(best, n_triples)), [other[0], 0.0, other[1]]


@pytest.mark.kernel
@pytest.mark.parametrize(("gain", "exchanged"), [(1.0, True), (0.02, True), (0.005, False)])
def test_a_coupling_gives_way_to_one_that_fits_better(gain, exchanged):
    """By a hundredth of a nat. The penalty prefers the third column to two, and its minimum is one of two."""
    problem, other = imitated(1, gain)
    fit = fitted(problem, 2.24)
    np.testing.assert_allclose(fit.couplings, problem.best if exchanged else other, atol=1e-3)
    assert fit.converged
    theta = np.array(other)
    newton = _Newton(problem, np.arange(3), theta, *problem.loss_and_gradient(theta))
    newton.information, newton.weight = problem.A, np.array([0.0, 1.0, 0.0])
    assert newton.exchange(2.24) == exchanged
    assert not newton.exchange(2.24)


@pytest.mark.kernel
def test_at_most_twenty_couplings_are_exchanged():
    problem, other = imitated(23, 1.0)
    fit = fitted(problem, 2.24)
    found = fit.couplings.reshape(23, 3)
    exchanged = found[:, 1] != 0
    assert exchanged.sum() == 20
    np.testing.assert_allclose(found[exchanged], problem.best.reshape(23, 3)[exchanged], atol=1e-3)
    np.testing.assert_allclose(found[~exchanged], np.tile(other, (3, 1)), atol=1e-3)
    assert fit.converged


@pytest.mark.kernel
def test_the_best_of_two_exchanges_is_tried_first():
    """Columns a, v, b, c and d; y = 27 a + 12 v + r + 1.5 d. Both b and c fit better than v, and b better than c."""
    r = 1.5 / 12
    b, c = ([0, np.cos(angle), np.sin(angle), 0] for angle in (np.arctan(r), 0.035))
    columns, y = np.array([[1, 0, 0, 0], [0, 1, 0, 0], b, c, [0, 0, 0, 1]]), np.array([27, 12, 12 * r, 1.5])
    problem = Quadratic(columns @ columns.T, np.linalg.lstsq(columns.T, y)[0])
    theta = np.array([27.0, 12.0, 0.0, 0.0, 0.5])
    newton = _Newton(problem, np.arange(5), theta, *problem.loss_and_gradient(theta))
    newton.information, newton.weight = problem.A, np.array([0.0, 0.0, 1.0, 1.0, 0.5])
    assert newton.exchange(2.24)
    np.testing.assert_allclose(newton.theta, [27, 0, np.hypot(12, 1.5), 0, 1.5], atol=1e-9)  # nothing is pulled
    np.testing.assert_allclose(newton.weight, [0, 1, 0, 1, 1 - 1.5 / 4.48])


@pytest.mark.kernel
def test_many_couplings_start_with_those_of_two_sites():
    order, theta = np.arange(321) % 5, np.zeros(321)
    theta[[3, 4]] = 0.1
    assert _first(SimpleNamespace(n_clusters=320, order=order[1:]), theta[1:]).tolist() == list(range(320))
    found = _first(SimpleNamespace(n_clusters=321, order=order), theta)
    assert found.tolist() == [k for k in range(321) if k % 5 <= 2 or k in (3, 4)]


@pytest.mark.kernel
def test_the_64_strongest_gradients_above_the_threshold_enter():
    """Strength counts for each product of spins; those that are free already have no place among the 64."""
    rng = np.random.default_rng(1)
    n, scale, t = 400, 4.0, 2.24
    free, at_zero = np.arange(0, n, 5), np.zeros(n)
    own, n_products = rng.uniform(1, 2, n), rng.choice([1e4, 4e4], n)

    def supported(z):
        problem = Quadratic(np.diag(own), z / np.sqrt(own), scale, 3, n_products)
        return sorted(_supported(problem, _Newton(problem, free, at_zero, *problem.loss_and_gradient(at_zero)), t))

    z = np.where(np.arange(n) % 4 == 1, rng.uniform(10, 90, n), 0)
    strength = np.where(np.isin(np.arange(n), free), 0, z * np.sqrt(own / n_products))
    assert supported(z) == sorted(np.argsort(-strength)[:64])
    assert (strength > 0).sum() > 64
    z = np.append(2 * t * np.array([0.0, 1.04, 1.06, -1.04, -1.06]), np.zeros(n - 5))
    assert supported(z) == [2, 4]


@pytest.mark.kernel
def test_couplings_of_more_sites_enter_until_none_is_left():
    """Of 400, 3 are of one or two sites; 80 others are strong, and 64 enter at a time."""
    strong = np.arange(400) % 5 == 4
    fit = fitted(Quadratic(np.eye(400), np.where(strong, 20.0, 1.0), 1.0, np.where(np.arange(400) < 3, 2, 4)), 2.24)
    np.testing.assert_allclose(fit.couplings, np.where(strong, 20.0, 0.0), atol=1e-3)
    assert fit.converged
    assert len(fit.loss) < 12


class Steep(Quadratic):
    """Far from the minimum the second derivative of 100 log cosh(x - best) is too small for Newton's step."""

    def loss_and_gradient(self, couplings):
        d = couplings - self.best
        return 100 * np.log(np.cosh(d)).sum(), 100 * np.tanh(d)

    def information(self, couplings, columns, dtype=None):
        return np.diag(100 / np.cosh(couplings - self.best)[columns] ** 2)


@pytest.mark.kernel
def test_steps_that_are_too_long_are_halved():
    problem = Steep(np.eye(2), [0.3, -0.4])
    fit = fitted(problem, 0.0, start=np.array([3.0, 0.0]))
    np.testing.assert_allclose(fit.couplings, problem.best, atol=1e-4)
    assert fit.converged
    assert (np.diff(fit.loss) <= 1e-9).all()


@pytest.mark.kernel
def test_steps_under_a_fixed_penalty_end_at_its_firm_threshold():
    """x + pull (1 - x / reach) = best for a coupling between pull and reach, in units of the error."""
    own, pull, reach = np.array([1.0, 4.0, 4.0, 9.0]), np.array([3.0, 2.0, 4.0, 5.0]), np.array([9.0, 4.0, 4.0, 7.0])
    best = np.array([5.0, -2.5, 6.0, 0.5])
    problem = Quadratic(np.diag(own), best)
    newton = _Newton(problem, np.arange(4), np.zeros(4), *problem.loss_and_gradient(np.zeros(4)))
    newton.penalty, newton.variance = _Penalty(pull, reach), problem.A
    assert any(newton.advance(2.24) for _ in range(100))
    between = (np.abs(best) - pull / own) / (1 - pull / own / reach)
    np.testing.assert_allclose(newton.theta, [between[0], -between[1], 6.0, 0.0], atol=2e-3)
    assert newton.move < 1e-3


@pytest.mark.kernel
def test_a_step_is_halved_until_the_loss_does_not_rise():
    """(x - 1)^2 / 2 + 0.6 |x| is 0.5 at 0, 0.6 at 1 and 0.425 at 1/2. A step uphill is not made."""
    problem = Quadratic([[1.0]], [1.0])
    newton = _Newton(problem, np.arange(1), np.zeros(1), *problem.loss_and_gradient(np.zeros(1)))
    assert newton._move_to(np.ones(1), np.array([0.6])) == 0.5
    assert (newton.theta, newton.loss, newton.gradient) == (0.5, 7.125, -0.5)
    newton._move_to(np.zeros(1), np.zeros(1))
    assert newton.theta == pytest.approx(0.5, abs=1e-6)


class Quartic(Quadratic):
    """Newton's method takes a third of the way to the minimum in each step."""

    def loss_and_gradient(self, couplings):
        return float((couplings**4).sum()), 4 * couplings**3

    def information(self, couplings, columns, dtype=None):
        return np.diag(12 * couplings[columns] ** 2)


@pytest.mark.kernel
def test_the_penalty_follows_errors_for_less_than_twenty_steps():
    problem, theta = Quartic([[1.0]], [0.0]), np.array([1e6])
    newton = _Newton(problem, np.arange(1), theta, *problem.loss_and_gradient(theta))
    follows = []
    for _ in range(25):
        assert not newton.advance(2.0)
        follows.append(newton.penalty is None)
    assert follows == [True] * 19 + [False] * 6
