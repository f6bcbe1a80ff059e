"""Couplings of clusters by maximum pseudo-likelihood; couplings that the data do not support are exactly zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .problem import RIDGE, Basis, PseudoLikelihood, Summary
from .pseudo import soft_threshold_descent
from .quadratic import exchanges, sandwich

Floats = NDArray[np.float64]
_MAX_FREE, _MAX_NEW = 320, 64
# A coupling of this many thresholds is not pulled towards zero.
_FREE_FROM = 2.0
_SMALL_MOVE, _LARGE_MOVE = 1e-3, 3.0  # standard errors
_SAME_WEIGHT, _REWEIGHTINGS = 1e-3, 100
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
        self.exchanged: set[tuple[int, int]] = set()

    def advance(self, threshold: float) -> bool:
        """Take one step; return whether it was the last one."""
        if self.information is None or self.move > _LARGE_MOVE:
            self.information = self.problem.information(self.theta, self.free)
        information, free, sd = self.information, self.free, self.scatter()
        old = x = self.theta[free]
        for _ in range(_REWEIGHTINGS):
            x, weight = x.copy(), self.weight
            soft_threshold_descent(information, information @ old - self.gradient[free], threshold * sd * weight, x)
            self.weight = _weights(x, information, sd, threshold)
            if np.abs(self.weight - weight).max(initial=0.0) < _SAME_WEIGHT:
                break
        change = self._move_to(x, threshold * sd * weight)
        self.move = math.sqrt(max(0.0, float(change @ information @ change)))
        settled = self.move < _SMALL_MOVE
        if settled and self.variance is None:
            self._measure()
            return False
        return settled

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
                self.weight = _weights(self.theta[self.free], self.information, self.scatter(), threshold)
                return True
        return False

    def is_strong(self, k: int, threshold: float) -> bool:
        """Return whether the penalty would not act on a coupling."""
        assert self.information is not None
        return bool(_weights(self.theta[self.free], self.information, self.scatter(), threshold)[k] == 0)

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
        self.information = self.problem.information(self.theta, self.free)
        self.variance = self.problem.variance(self.theta, self.free)

    def scatter(self) -> Floats:
        """Return the standard error of the gradient by each coupling."""
        assert self.information is not None
        fisher = np.diag(self.information)
        return np.sqrt(fisher if self.variance is None else np.maximum(fisher, np.diag(self.variance)))

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


def _weights(x: Floats, information: Floats, sd: Floats, threshold: float) -> Floats:
    """Return the weight of the penalty of each coupling: 1 at zero, 0 beyond `_FREE_FROM` thresholds."""
    weight = np.ones(len(x))
    on = np.flatnonzero(x)
    if threshold == 0 or not len(on):
        return weight
    covariance = np.linalg.inv(information[np.ix_(on, on)])
    error = np.sqrt(np.diag(covariance)) * sd[on] / np.sqrt(np.diag(information)[on])
    weight[on] = np.maximum(0, 1 - np.abs(x[on]) / (_FREE_FROM * threshold * error))
    return weight


def _supported(problem: PseudoLikelihood, newton: _Newton, threshold: float) -> NDArray[np.intp]:
    """Return the couplings that were not free and whose gradient exceeds the threshold."""
    if len(newton.free) == problem.basis.n_clusters:
        return newton.free[:0]
    strength = np.abs(newton.gradient) / np.sqrt(problem.basis.n_products)
    strength[newton.free] = 0
    first = np.argsort(-strength, kind="stable")[:_MAX_NEW]
    fisher = np.diag(problem.information(newton.theta, first))
    sd = np.sqrt(np.maximum(fisher, np.diag(problem.variance(newton.theta, first))))
    return first[np.abs(newton.gradient[first]) > threshold * sd * _ENTERS]


def _result(problem: PseudoLikelihood, newton: _Newton, losses: list[float], converged: bool) -> SparseFit:
    free, theta = newton.free, newton.theta
    information, variance = problem.information(theta, free, np.float64), problem.variance(theta, free)
    slope = newton.gradient[free] - information @ theta[free]
    summary = Summary(free, slope, information, variance)
    on = np.flatnonzero(theta[free])
    square = np.ix_(on, on)
    covariance = sandwich(information[square], variance[square], RIDGE)
    return SparseFit(theta, free[on], covariance, summary, losses, converged)
