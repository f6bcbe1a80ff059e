"""Peaks of a phase curve, and crossings of two curves: estimates of the critical temperature."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from .._montecarlo.draws import Estimate
from .result import PhaseCurve, one_number_each

_N_POINTS = 6
_SIGNIFICANT = 3.0  # standard errors by which two curves differ on either side of a crossing
_PEAK_HEIGHT = 0.8  # the part of a peak above this fraction of its height is a quartic to about 1e-3 in T

Floats = NDArray[np.float64]


def peak_temperature(curve: PhaseCurve, observable: str = "heat_capacity") -> Estimate:
    r"""Find the temperature at which an observable is largest.

    A quartic p(T), weighted by the errors, is fitted to the points around the largest one; :math:`p'(T^*) = 0`. The
    error of T* is that of :math:`p'(T^*) / p''(T^*)`. Errors of draws are those of single points; a parameter of a
    learned energy moves all points together. Two terms are added in quadrature: half the distance to the
    maximum of a cubic, because the peak is no polynomial; and a tenth of the spacing of the temperatures if fewer
    than 6 points are above 80 % of the peak.

    Parameters
    ----------
    curve : PhaseCurve
        At least 6 temperatures, closely spaced around the peak.
    observable : str, default="heat_capacity"
        An observable of the curve, such as ``"susceptibility"``.

    Returns
    -------
    Estimate
        Named tuple ``(value, error)``: the temperature of the peak.

    Raises
    ------
    ValueError
        If the curve has fewer than 6 points with error bars, has its largest value at one of its ends, or has no peak
        that is significant compared with its errors.

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import IsingSampler, peak_temperature, phase_curve
    >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5)
    >>> curve = phase_curve(ising, np.linspace(2.0, 3.0, 11), n_samples=4000, random_state=0)
    >>> value, error = peak_temperature(curve)
    >>> bool(abs(value - 2.43895) < 4 * error)
    True
    """
    T, y, sigma, shift = _points(curve, observable)
    top = int(np.argmax(y)) if len(y) else 0
    if len(T) < _N_POINTS or top in (0, len(T) - 1):
        raise ValueError(
            f"{observable} must have a peak inside at least {_N_POINTS} temperatures, got {_text(T, y)}: "
            f"{'measure more temperatures' if len(T) < _N_POINTS else _beyond(T, top)}"
        )
    gain = _peak_gain(y, _floored(sigma, y))
    # 99 % of flat curves of 6 to 41 points gain less if the errors have 20 degrees of freedom.
    if not gain > (limit := 8 + len(T) / 2):
        raise ValueError(
            f"{observable} has no significant peak, got {_text(T, y)}: a rise followed by a fall improves chi^2 by "
            f"{gain:.1f} only (limit {limit:.1f}): {_beyond(T, top) or 'draw more configurations'}"
        )
    low = np.flatnonzero(y < _PEAK_HEIGHT * y[top])
    start, stop = np.max(low[low < top], initial=-1) + 1, np.min(low[low > top], initial=len(T))
    spacing = (T[top + 1] - T[top - 1]) / 2 if stop - start < _N_POINTS else 0
    while stop - start < _N_POINTS:  # too few points are above the limit: add the higher neighbour
        if start > 0 and (stop == len(T) or y[start - 1] > y[stop]):
            start -= 1
        else:
            stop += 1
    unit = _unit(T[start:stop])
    near = _Points((T[start:stop] - T[top]) / unit, y[start:stop], sigma[start:stop], shift[start:stop])
    quartic, cubic = (_maximum(near, degree) for degree in (4, 3))
    error = math.hypot(unit * quartic.error, unit * (quartic.value - cubic.value) / 2, spacing / 10)
    return Estimate(float(T[top] + unit * quartic.value), error)


def crossing_temperature(curve: PhaseCurve, other: PhaseCurve, observable: str = "binder_cumulant") -> Estimate:
    r"""Find the temperature at which two systems, such as two lattice sizes, have the same value of an observable.

    Cubics, weighted by the errors, are fitted to the 6 points of each curve nearest to the crossing. Their difference
    d(T) has the root :math:`d(T^*) = 0`. The error of T* is that of :math:`d(T^*) / d'(T^*)`; half the distance to the
    crossing of two parabolas is added in quadrature. Errors of draws are those of single points; a parameter of a
    learned energy moves all points of a curve together, and those of two sizes of the same energy. The crossing of the
    Binder cumulant hardly depends on the sizes (K. Binder, Z. Phys. B 43, 119 (1981)).

    Parameters
    ----------
    curve, other : PhaseCurve
        Curves of at least 6 temperatures each, over a common range around the crossing.
    observable : str, default="binder_cumulant"
        Name of the observable.

    Returns
    -------
    Estimate
        Named tuple ``(value, error)``: the temperature of the crossing.

    Raises
    ------
    ValueError
        If a curve has fewer than 6 points with error bars, or the curves do not cross significantly: they must differ
        by at least 3 standard errors on both sides of the crossing.

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import IsingSampler, crossing_temperature, phase_curve
    >>> T = np.linspace(2.0, 2.6, 7)
    >>> small, large = (phase_curve(IsingSampler((L, L), 2.5), T, n_samples=4000, random_state=0) for L in (4, 8))
    >>> value, error = crossing_temperature(small, large)
    >>> bool(abs(value - 2.269) < 0.1)
    True
    """
    points = [_points(one, observable) for one in (curve, other)]
    if curve is other:
        raise ValueError("curve and other are the same curve: pass those of two systems, such as two lattice sizes")
    is_common = curve.parameters is not None and curve.parameters == other.parameters
    (T, y, sigma), (T_other, y_other, sigma_other) = ((p.T, p.y, p.error(of_draws=is_common)) for p in points)
    low, high = np.min(T_other, initial=np.inf), np.max(T_other, initial=-np.inf)
    common = np.clip(T, low, high) == T
    d = y[common] - np.interp(T[common], T_other, y_other) if common.any() else np.zeros(1)
    contrast = 2 * np.cumsum(d) - d.sum()  # largest if d has one sign before and the other after
    k = int(np.argmax(np.abs(contrast)))
    if min(len(T), len(T_other)) < _N_POINTS or k == len(d) - 1:
        raise ValueError(
            f"{observable} must cross inside a common range of at least {_N_POINTS} temperatures each, "
            f"got {_text(T, y)} and {_text(T_other, y_other)}: measure at more temperatures, over a wider range"
        )
    sigma_other = np.interp(T[common], T_other, _floored(sigma_other, y_other))
    sigma_d = np.hypot(_floored(sigma, y)[common], sigma_other)
    sides = _contrast(d[k::-1], sigma_d[k::-1]), _contrast(d[k + 1 :], sigma_d[k + 1 :])
    z = max(min(before, after) for before, after in zip(sides[0], sides[1][::-1], strict=True))
    if z < _SIGNIFICANT:
        raise ValueError(
            f"{observable} has no significant crossing, got {_text(T, y)} and {_text(T_other, y_other)}. On one side "
            f"of the crossing the curves differ by {max(z, 0):.1f} standard errors only (limit {_SIGNIFICANT:g}): "
            "measure over a wider range of temperatures, or draw more configurations"
        )
    center = T[common][k : k + 2].mean()
    near = [_nearest(center, one) for one in points]
    unit = max(_unit(one.T) for one in near)
    first, second = (one._replace(T=one.T / unit) for one in near)
    cubic, parabola = (_crossing(first, second, degree, is_common) for degree in (3, 2))
    error = unit * math.hypot(cubic.error, (cubic.value - parabola.value) / 2)
    return Estimate(float(center + unit * cubic.value), error)


class _Points(NamedTuple):
    """Temperatures, values, errors of the draws, and changes by one standard error of each parameter."""

    T: Floats
    y: Floats
    sigma: Floats
    shift: Floats  # (n, n_parameters)

    def error(self, *, of_draws: bool) -> Floats:
        """Return the errors, or those of the draws alone, if parameters are common to all that is compared."""
        return self.sigma if of_draws else np.hypot(self.sigma, np.linalg.norm(self.shift, axis=1))


def _points(curve: PhaseCurve, observable: str) -> _Points:
    """Return ascending points at finite temperatures that have an error.

    Points at the same temperature are one point, their mean: a polynomial needs as many temperatures as coefficients.
    """
    if not hasattr(curve, "temperatures"):
        raise TypeError(f"curves must be PhaseCurve objects, whole and not one observable, got {type(curve).__name__}")
    value, error = map(np.asarray, one_number_each(curve, observable))
    shifts = (curve.parameter_shifts or {}).get(observable, np.zeros((len(value), 0)))
    order = np.argsort(curve.temperatures)
    order = order[np.isfinite(curve.temperatures[order]) & np.isfinite(value[order]) & np.isfinite(error[order])]
    value, error, shift = (each[order] for each in (value, error, shifts))
    sigma = np.sqrt(np.maximum(error**2 - np.sum(shift**2, axis=1), 0.0))
    T, start, count = np.unique(curve.temperatures[order], return_index=True, return_counts=True)
    if not len(T):
        return _Points(T, value, sigma, shift)
    y, shift = (np.add.reduceat(each, start).T / count for each in (value, shift))
    return _Points(T, y, np.hypot.reduceat(sigma, start) / count, shift.T)


def _unit(T: Floats) -> float:
    """Return the range of temperatures. In this unit no power of them is lost in the least squares by rounding."""
    return float(np.ptp(T)) or 1.0


def _nearest(center: float, points: _Points) -> _Points:
    """Return the points nearest to a temperature, which is subtracted."""
    near = np.sort(np.argsort(np.abs(points.T - center))[:_N_POINTS])
    return _Points(points.T[near] - center, *(each[near] for each in points[1:]))


def _floored(sigma: Floats, y: Floats) -> Floats:
    """Return errors for a test of significance, with the smallest nonzero error in place of an error of zero.

    An error of zero, up to rounding, only means that a rare event has not been drawn yet.
    """
    rounding = 1e-12 * np.max(np.abs(y))
    return np.maximum(sigma, np.min(sigma[sigma > rounding], initial=np.max(np.abs(y)) or 1.0))


def _peak_gain(y: Floats, sigma: Floats) -> float:
    """Return by how much a rise followed by a fall has a smaller chi^2 than either alone."""
    rise = _rising_misfit(y, sigma)
    fall = _rising_misfit(y[::-1], sigma[::-1])[::-1]
    return float(min(rise[-1], fall[0]) - np.min(rise + fall))


def _rising_misfit(y: Floats, sigma: Floats) -> Floats:
    """Return chi^2 of the best non-decreasing fit to the first 0, 1, ... n points, by pooling adjacent violators."""
    blocks: list[tuple[float, float, float]] = []
    misfit = [0.0]
    for value, weight in zip(y.tolist(), (1 / sigma**2).tolist(), strict=True):
        cost = 0.0
        while blocks and blocks[-1][0] > value:
            mean, w, c = blocks.pop()
            cost += c + w * weight / (w + weight) * (mean - value) ** 2
            value, weight = (w * mean + weight * value) / (w + weight), w + weight
        blocks.append((value, weight, cost))
        misfit.append(sum(c for *_, c in blocks))
    return np.array(misfit)


def _contrast(d: Floats, sigma: Floats) -> tuple[float, float]:
    """Return by how many errors the sum of the first 1, 2, ... points lies above and below zero, at most."""
    z = np.cumsum(d) / np.sqrt(np.cumsum(sigma**2))
    return float(z.max()), float(-z.min())


def _text(T: Floats, y: Floats) -> str:
    """Describe a curve in an error message."""
    if not len(T):
        return "no points with error bars"
    return f"{len(T)} points from T = {T[0]:g} to {T[-1]:g}, the largest value at {T[np.argmax(y)]:g}"


def _beyond(T: Floats, i: int) -> str:
    """Return where to measure if point i is at an end of the temperatures or next to it; else an empty string."""
    if i <= 1:
        return f"measure below T = {T[0]:g}, too"
    return f"measure above T = {T[-1]:g}, too" if i >= len(T) - 2 else ""


def _fit(points: _Points, degree: int) -> Floats:
    """Return the linear map G from y to the coefficients of the weighted least-squares polynomial."""
    sigma = np.maximum(points.sigma, 1e-9 * np.max(np.abs(points.y)))
    return np.asarray(
        np.linalg.pinv(polynomial.polyvander(points.T, degree) / sigma[:, None]) / sigma, dtype=np.float64
    )


def _maximum(points: _Points, degree: int) -> Estimate:
    """Return the maximum of p inside the points, p'(x) = 0, with the error of p' / p''."""
    slope = polynomial.polyder(_fit(points, degree))
    problem = f"a polynomial of degree {degree} has no maximum among them"
    x_top = _root(slope @ points.y, points.T, problem, downward=True)
    curvature = polynomial.polyval(x_top, polynomial.polyder(slope) @ points.y)
    at_top = polynomial.polyval(x_top, slope)
    sigma = math.hypot(*map(np.linalg.norm, (at_top * points.sigma, at_top @ points.shift)))
    return Estimate(x_top, float(sigma / abs(curvature)))


def _crossing(first: _Points, second: _Points, degree: int, is_common: bool) -> Estimate:
    """Return the crossing of the polynomials of both curves, d(x) = 0, with the error of d / d'."""
    G, H = _fit(first, degree), _fit(second, degree)
    d = G @ first.y - H @ second.y
    x_cross = _root(d, first.T, "the fitted polynomials do not meet among them")
    g, h = polynomial.polyval(x_cross, G), polynomial.polyval(x_cross, H)
    by_first, by_second = g @ first.shift, h @ second.shift
    by_parameters = by_first - by_second if is_common else np.append(by_first, by_second)
    sigma = math.hypot(*map(np.linalg.norm, (g * first.sigma, h * second.sigma, by_parameters)))
    return Estimate(x_cross, float(sigma / abs(polynomial.polyval(x_cross, polynomial.polyder(d)))))


def _root(c: Floats, x: Floats, problem: str, downward: bool = False) -> float:
    """Return the root of a polynomial that is inside the points `x` and nearest to 0."""
    roots = polynomial.polyroots(c)
    roots, dc = roots[np.abs(roots.imag) < 1e-9].real, polynomial.polyder(c)
    roots = roots[(roots > x[0]) & (roots < x[-1])]
    if downward:
        roots = roots[polynomial.polyval(roots, dc) < 0]
    if not len(roots):
        raise ValueError(f"the points are too noisy or too far apart: {problem}")
    root = roots[np.argmin(np.abs(roots))]
    for _ in range(3):  # Newton: eigenvalues lose digits if the leading coefficient is nearly zero
        root -= polynomial.polyval(root, c) / polynomial.polyval(root, dc)
    return float(root)
