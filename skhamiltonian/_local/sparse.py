"""Couplings of clusters by maximum pseudo-likelihood; couplings that the data do not support are exactly zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .problem import RIDGE, Basis, PseudoLikelihood, Summary
from .pseudolikelihood import soft_threshold_descent
from .quadratic import exchanges, sandwich, variance_of_rare_residuals

Floats = NDArray[np.float64]
_MAX_FREE, _MAX_NEW = 320, 64
# A coupling of this many thresholds, or of so many standard errors, is not pulled towards zero. With few groups the
# threshold is far above the errors, and pulled couplings would be biased.
_FREE_FROM, _FREE_FROM_ERRORS = 2.0, 10.0
_SINGLE = 1e-6  # share of the information that is rounding, in single precision
_SMALL_MOVE, _LARGE_MOVE = 1e-3, 3.0  # standard errors
_SAME_WEIGHT, _REWEIGHTINGS = 1e-5, 100
# Steps in which the penalty follows the errors, which depend on the couplings; then it is fixed, or steps might cycle.
_ADAPTING_STEPS, _REFRESHING_STEPS = 20, 5
_ENTERS = 1.05  # in thresholds: a coupling that enters should stay
# An exchange of two couplings must lower the loss by more than its rounding, in nats.
_BETTER, _MOST_EXCHANGES, _STEPS_OF_EXCHANGE = 0.01, 20, 30


@dataclass(frozen=True)
class SparseFit:
    """Couplings of all clusters, in units of T0; most are zero."""

    couplings: Floats
    selected: NDArray[np.intp]
    covariance: Floats  # of the selected couplings, with rows as independent blocks
    summary: Summary
    loss: list[float]
    converged: bool


def fit_sparse(
    problem: PseudoLikelihood,
    threshold: float,
    max_iter: int,
    start: Floats | None,
    report: Callable[[int, float], bool],
) -> SparseFit:
    """Minimise the loss plus a penalty under which a coupling below `threshold` standard errors is zero.

    The penalty is concave (MCP, Zhang 2010, as reweighted soft thresholds): it does not act on couplings beyond twice
    the threshold. Each iteration is a step of Newton's method. The penalised loss has several minima if clusters are
    correlated; so a minimum is left if the loss falls when one selected coupling is exchanged for another.
    """
    basis, n_seen = problem.basis, max(1.0, problem.n_seen)
    theta = np.zeros(basis.n_clusters) if start is None else start.copy()
    newton = _Newton(problem, _first(basis, theta), theta, *problem.loss_and_gradient(theta))
    losses: list[float] = []
    converged, n_exchanges = False, 0
    while not converged and len(losses) < max_iter:
        done = newton.advance(threshold)
        losses.append(newton.loss / n_seen)
        stopped = report(len(losses) - 1, losses[-1])
        if not done:
            if stopped:
                break
            continue
        fresh = _supported(problem, newton, threshold)
        if len(fresh):
            newton = newton.beside(fresh)
        elif n_exchanges < _MOST_EXCHANGES and newton.exchange(threshold):
            n_exchanges += 1
        else:
            converged = True
    return _result(problem, newton, losses, converged)


class _Newton:
    """Newton's method on some of the couplings."""

    def __init__(self, problem: PseudoLikelihood, free: NDArray[np.intp], theta: Floats, loss: float, gradient: Floats):
        self.problem, self.free, self.theta = problem, free, theta
        self.loss, self.gradient = loss, gradient
        self.weight = np.ones(len(free))
        self.information: Floats | None = None
        self.variance: Floats | None = None
        self.move = math.inf
        self.n_steps = 0
        self.penalty: _Penalty | None = None  # None: it still adapts to the errors
        self.exchanged: set[tuple[int, int]] = set()

    def advance(self, threshold: float) -> bool:
        """Take one step; return whether it was the last one."""
        self.n_steps += 1
        if self.information is None or self.move > _LARGE_MOVE or self.n_steps % _REFRESHING_STEPS == 0:
            self.information = self.problem.information(self.theta, self.free)
        if self.n_steps == _ADAPTING_STEPS:
            self.penalty = _penalty(self.theta[self.free], self.information, self.scatter(), threshold, self.variance)
        step = self._adapting_step if self.penalty is None else self._safe_step
        x, pull = step(threshold)
        information, change = self.information, self._move_to(x, pull)
        self.move = math.sqrt(max(0.0, float(change @ information @ change)))
        settled = self.move < _SMALL_MOVE
        if settled and self.variance is None:
            self._measure()
            return False
        return settled

    def _adapting_step(self, threshold: float) -> tuple[Floats, Floats]:
        """Return the minimum under a penalty in units of the errors at the minimum, and the pull there."""
        assert self.information is not None
        information, sd, old = self.information, self.scatter(), self.theta[self.free]
        x = old
        for _ in range(_REWEIGHTINGS):
            x, weight = x.copy(), self.weight
            self._descend(x, threshold * sd * weight)
            self.weight = _penalty(x, information, sd, threshold, self.variance).weight(x)
            if np.abs(self.weight - weight).max(initial=0.0) < _SAME_WEIGHT:
                break
        return x, threshold * sd * weight

    def _safe_step(self, threshold: float) -> tuple[Floats, Floats]:
        """Return the minimum under the tangent of the penalty, and its pull; so the penalised loss never rises."""
        assert self.penalty is not None
        x = self.theta[self.free]
        self.weight = self.penalty.weight(x)
        pull = self.penalty.pull * self.weight
        self._descend(x, pull)
        return x, pull

    def _descend(self, x: Floats, pull: Floats) -> None:
        """Move x to the minimum of the second-order expansion of the loss, plus pull |x|."""
        assert self.information is not None
        linear = self.information @ self.theta[self.free] - self.gradient[self.free]
        soft_threshold_descent(self.information, linear, pull, x)

    def beside(self, fresh: NDArray[np.intp]) -> _Newton:
        """Return Newton's method for the same state, with other couplings beside the selected ones and the pairs."""
        free, theta = self.free, self.theta
        kept = free[(theta[free] != 0) | (self.problem.basis.order[free] <= 2)]
        return _Newton(self.problem, np.union1d(kept, fresh), theta, self.loss, self.gradient)

    def exchange(self, threshold: float) -> bool:
        """Exchange two couplings without penalty, one selected and one not, if the loss falls; return whether it did.

        No exchange is made twice.
        """
        assert self.information is not None
        information, on = self.information, np.flatnonzero(self.theta[self.free])
        linear = information @ self.theta[self.free] - self.gradient[self.free]
        strong = np.flatnonzero(self.weight == 0)
        found = [pair for pair in exchanges(information, linear, on, strong) if pair not in self.exchanged]
        least = self._least(on, information, linear).loss - _BETTER if found else -math.inf
        for leaves, enters in found:
            self.exchanged.add((leaves, enters))
            other = self._least(np.append(on[on != leaves], enters), information, linear)
            if other.loss < least and other.is_strong(-1, threshold):
                self.theta, self.loss, self.gradient = other.theta, other.loss, other.gradient
                self._measure()
                here = self.theta[self.free]
                self.weight = _penalty(here, self.information, self.scatter(), threshold, self.variance).weight(here)
                return True
        return False

    def is_strong(self, k: int, threshold: float) -> bool:
        """Return whether the penalty would not act on a coupling."""
        assert self.information is not None
        here = self.theta[self.free]
        return bool(_penalty(here, self.information, self.scatter(), threshold, self.variance).weight(here)[k] == 0)

    def _least(self, on: NDArray[np.intp], information: Floats, linear: Floats) -> _Newton:
        """Return the minimum of the loss over some of the free couplings."""
        theta = np.zeros_like(self.theta)
        theta[self.free[on]] = np.linalg.solve(information[np.ix_(on, on)], linear[on])
        newton = _Newton(self.problem, self.free[on], theta, *self.problem.loss_and_gradient(theta))
        for _ in range(_STEPS_OF_EXCHANGE):
            if newton.advance(0.0) or newton.move < _SMALL_MOVE:
                break
        return newton

    def _measure(self) -> None:
        self.n_steps, self.penalty = 0, None
        self.information = self.problem.information(self.theta, self.free)
        self.variance = self.problem.variance(self.theta, self.free)

    def scatter(self) -> Floats:
        """Return the standard error of the gradient by each coupling."""
        assert self.information is not None
        fisher = np.diag(self.information)
        return np.sqrt(fisher) if self.variance is None else self.problem.scatter(fisher, np.diag(self.variance))

    def _move_to(self, x: Floats, penalty: Floats) -> Floats:
        """Move to x, or halve the step until the penalised loss does not rise; return the change."""
        old, free = self.theta[self.free], self.free
        before = self.loss + penalty @ np.abs(old)
        for halving in range(30):
            theta = self.theta.copy()
            theta[free] = old + (x - old) / 2**halving
            loss, gradient = self.problem.loss_and_gradient(theta)
            if loss + penalty @ np.abs(theta[free]) <= before + 1e-9 * abs(before):
                self.theta, self.loss, self.gradient = theta, loss, gradient
                return theta[free] - old
        return np.zeros_like(x)


def _first(basis: Basis, theta: Floats) -> NDArray[np.intp]:
    """Return the couplings to start with: all if they are few, else those of one and two sites."""
    if basis.n_clusters <= _MAX_FREE:
        return np.arange(basis.n_clusters)
    return np.flatnonzero((basis.order <= 2) | (theta != 0))


@dataclass(frozen=True)
class _Penalty:
    """The MCP penalty: `pull` at zero, linearly less with |x|, and none beyond `reach`."""

    pull: Floats
    reach: Floats

    def weight(self, x: Floats) -> Floats:
        """Return the slope of the penalty by |x| as a share of `pull`; 1 at zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(x == 0, 1.0, np.maximum(0.0, 1 - np.abs(x) / self.reach))


def _penalty(x: Floats, information: Floats, sd: Floats, threshold: float, variance: Floats | None = None) -> _Penalty:
    """Return the penalty whose reach is `_FREE_FROM` thresholds times the error beside the other couplings at x.

    If the `variance` of the gradient is known, the error is that which the fit states, by the sandwich. It may be half
    of that of independent sites, such as that of a field, and a coupling of ten stated errors must not be pulled.
    """
    if threshold == 0:
        return _Penalty(np.zeros(len(x)), np.full(len(x), np.inf))
    own, on = np.diag(information), np.flatnonzero(x)
    error = sd / own
    scale = 1 / np.sqrt(own[on])
    square, scales = np.ix_(on, on), np.outer(scale, scale)
    values, vectors = np.linalg.eigh(information[square] * scales)
    # Clusters that coincide on short axes have eigenvalues of rounding, which may be negative.
    inverse = vectors / np.maximum(values, _SINGLE) @ vectors.T
    if variance is None:
        squares = sd[on] ** 2 / own[on] * np.diag(inverse)
    else:
        stated = variance_of_rare_residuals(information[square], variance[square], RIDGE)
        squares = np.diag(inverse @ (stated * scales) @ inverse)
    error[on] = scale * np.sqrt(np.maximum(squares, 0.0))
    return _Penalty(threshold * sd, min(_FREE_FROM * threshold, _FREE_FROM_ERRORS) * error)


def _supported(problem: PseudoLikelihood, newton: _Newton, threshold: float) -> NDArray[np.intp]:
    """Return the couplings that were not free and whose gradient exceeds the threshold."""
    if len(newton.free) == problem.basis.n_clusters:
        return newton.free[:0]
    strength = np.abs(newton.gradient) / np.sqrt(problem.basis.n_products)
    strength[newton.free] = 0
    first = np.argsort(-strength, kind="stable")[:_MAX_NEW]
    fisher = np.diag(problem.information(newton.theta, first))
    sd = problem.scatter(fisher, np.diag(problem.variance(newton.theta, first)))
    return first[np.abs(newton.gradient[first]) > threshold * sd * _ENTERS]


def _result(problem: PseudoLikelihood, newton: _Newton, losses: list[float], converged: bool) -> SparseFit:
    free, theta = newton.free, newton.theta
    information, variance = problem.information(theta, free, np.float64), problem.variance(theta, free)
    slope = newton.gradient[free] - information @ theta[free]
    summary = Summary(free, slope, information, variance)
    on = np.flatnonzero(theta[free])
    square = np.ix_(on, on)
    information, variance = information[square], variance[square]
    covariance = sandwich(information, variance_of_rare_residuals(information, variance, RIDGE), RIDGE)
    return SparseFit(theta, free[on], covariance, summary, losses, converged)
