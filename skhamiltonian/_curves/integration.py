"""Absolute free energy and entropy of a sampler without ln Z: the integral of the energy from T = infinity."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._montecarlo.draws import Draws, Estimate
from .._montecarlo.sampler import ThermalSampler
from .._montecarlo.statistics import autocorrelation_time, jackknife, leave_one_out, normalised_weights, unit_starts
from .._utils.progress import Progress
from .measure import ROUNDING, Point, Request

_TOLERANCE = 1e-3  # largest uncertainty of the rule in one interval, in nats per site
_MOST_NODES = 64  # largest number of added temperatures


class Estimates(NamedTuple):
    """Values and their standard errors."""

    value: np.ndarray
    error: np.ndarray


class EnergyPoint(NamedTuple):
    """Mean and variance of the total energy at one temperature, with their standard errors."""

    energy: Estimate
    variance: Estimate


def with_entropy(
    sampler: ThermalSampler,
    temperatures: np.ndarray,
    points: list[Point],
    request: Request,
    seed: np.random.SeedSequence,
) -> list[Point]:
    """Return the points of one sampler with `free_energy` and `entropy` per site added to their observables.

    T = infinity is measured too, and further temperatures if the integral needs them. The sampler needs `states_`: at
    T = infinity ln Z is the number of sites times the logarithm of the number of states; for angles, times ln 2 pi.
    """
    N, log_states = points[0].n_sites, sampler._log_states()
    if log_states is None or "energy" not in points[0].observables:
        raise TypeError(f"entropy=True needs a sampler with `states_` and energies, got {sampler!r}")

    progress = Progress(request.verbose, "phase_curve", "added temperature", None)

    def energy_at(beta: float) -> EnergyPoint:
        key = int(np.float64(beta).view(np.uint64))  # the stream depends on the temperature, not on the order
        child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, key >> 32, key & 0xFFFFFFFF))
        T = math.inf if beta == 0 else 1 / beta
        n_samples, field, method = request.n_samples, request.field, request.method
        draws = sampler.draws(T, n_samples=n_samples, field=field, method=method, random_state=child)
        progress.done(note="for the entropy")
        return energy_point(draws)

    known = {}
    for T, point in zip(temperatures, points, strict=True):
        if T < 1e100:  # its square is finite
            U, C = (_by_draws(point, name) for name in ("energy", "heat_capacity"))
            known[1 / T] = EnergyPoint(
                Estimate(N * U.value, N * U.error), Estimate(N * T**2 * C.value, N * T**2 * C.error)
            )
    log_z, S = integrate_energy(1 / np.asarray(temperatures), known, energy_at, N, N * log_states)
    with np.errstate(invalid="ignore"):  # T = inf
        F = Estimates(-temperatures * log_z.value / N, temperatures * log_z.error / N)
    per_site = {"free_energy": F, "entropy": Estimates(S.value / N, S.error / N)}
    return [
        replace(point, observables=point.observables | _added(per_site, i, point)) for i, point in enumerate(points)
    ]


def _by_draws(point: Point, name: str) -> Estimate:
    """Return an estimate with the error of the draws alone; that by parameters is common to all temperatures."""
    value, error = point.observables[name]
    return Estimate(value, math.sqrt(max(0.0, error**2 - point.parameter_error(name) ** 2)))


def _added(per_site: dict[str, Estimates], i: int, point: Point) -> dict[str, Estimate]:
    """Return the estimates of point i, with the errors by parameters of the energy added to those by draws."""
    errors = {name: point.parameter_error(name) for name in per_site}
    return {name: Estimate(x.value[i], math.hypot(x.error[i], errors[name])) for name, x in per_site.items()}


def energy_point(draws: Draws) -> EnergyPoint:
    """Return mean and variance of the energy of draws."""
    E, weight = np.asarray(draws.energy, dtype=float), normalised_weights(draws)
    tau = math.inf if draws.log_partition is not None else autocorrelation_time(E)
    starts = unit_starts(E.shape[0], E.shape[1], tau)
    centre = (weight * E).sum()
    mean = leave_one_out(E - centre, weight, starts)
    variance = leave_one_out((E - centre) ** 2, weight, starts) - mean**2
    return EnergyPoint(jackknife(mean + centre), jackknife(variance))


def integrate_energy(
    betas: np.ndarray,
    known: dict[float, EnergyPoint],
    energy_at: Callable[[float], EnergyPoint],
    n_sites: int,
    log_n_configurations: float,
) -> tuple[Estimates, Estimates]:
    r"""Return ln Z and the entropy :math:`S = \ln Z + \beta U` of the whole system at each inverse temperature.

    .. math:: \ln Z(\beta) = \ln Z(0) - \int_0^\beta U d\beta', \quad
       \int_a^b U d\beta = \frac{h}{2} (U_a + U_b) + \frac{h^2}{12} (V_b - V_a) + ...

    with h = b - a, because :math:`dU/d\beta = -V`, the variance of the energy. An interval is halved while one of its
    two :func:`_corrections` is larger than 0.001 nats per site. A tenth of the first and a quarter of the second count
    as the error of the rule. Energies at different temperatures are independent.
    """
    nodes = dict(known)
    for beta in {0.0, *np.asarray(betas, dtype=float)} - set(nodes):
        nodes[beta] = energy_at(beta)
    grid = sorted(nodes)
    intervals = list(pairwise(grid))[::-1]
    while intervals and len(nodes) < len(grid) + _MOST_NODES:
        a, b = intervals.pop()
        if max(_corrections(b - a, nodes[a], nodes[b])) > _TOLERANCE * n_sites:
            middle = (a + b) / 2
            nodes[middle] = energy_at(middle)
            intervals += [(middle, b), (a, middle)]
    return _integrals(np.asarray(betas, dtype=float), nodes, log_n_configurations)


def _corrections(h: float, a: EnergyPoint, b: EnergyPoint) -> tuple[float, float]:
    """Return the difference to the trapezoidal rule, and the change of the energy that the variances do not explain.

    A peak of the variance inside the interval shows in the second, but not always in the first.
    """
    missed = b.energy.value - a.energy.value + h / 2 * (a.variance.value + b.variance.value)
    return abs(h**2 / 12 * (b.variance.value - a.variance.value)), abs(h / 6 * missed)


def _integrals(
    betas: np.ndarray, nodes: dict[float, EnergyPoint], log_n_configurations: float
) -> tuple[Estimates, Estimates]:
    x = np.array(sorted(nodes))
    (U, dU), (V, dV) = (np.array([nodes[beta][k] for beta in x], dtype=float).T for k in (0, 1))
    h, n = np.diff(x), len(x)
    of_U, of_V = np.zeros((2, n, n))  # coefficients of U and V in the integral up to each node
    for k in range(n - 1):
        of_U[k + 1], of_V[k + 1] = of_U[k], of_V[k]
        of_U[k + 1, k : k + 2] += h[k] / 2
        of_V[k + 1, k : k + 2] += h[k] ** 2 / 12 * np.array([-1, 1])
    rule = [_corrections(h[k], nodes[x[k]], nodes[x[k + 1]]) for k in range(n - 1)]
    squared = np.array([(0.1 * first) ** 2 + (0.25 * second) ** 2 for first, second in rule])
    of_rule = np.append(0.0, np.cumsum(squared))
    place = np.searchsorted(x, betas)
    log_z = log_n_configurations - of_U @ U - of_V @ V

    def error(coefficients: np.ndarray) -> np.ndarray:
        by_draws = ((coefficients * dU) ** 2).sum(axis=1) + ((of_V * dV) ** 2).sum(axis=1)
        return np.sqrt(by_draws + of_rule + (ROUNDING * x * U) ** 2)[place]

    entropy = log_z + x * U
    return Estimates(log_z[place], error(-of_U)), Estimates(entropy[place], error(np.diag(x) - of_U))
