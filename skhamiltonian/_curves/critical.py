"""Where a phase curve peaks, and where those of two sizes cross: estimates of the critical temperature."""

import math

import numpy as np
from numpy.polynomial import polynomial

from .._montecarlo.draws import Estimate

_N_POINTS = 6
_SIGNIFICANT = 3.0  # standard errors by which two curves differ on either side of a crossing
_PEAK_HEIGHT = 0.8  # the part of a peak above this fraction of its height is a quartic to about 1e-3 in T


def peak_temperature(curve, observable="heat_capacity"):
    r"""Find the temperature at which an observable is largest.

    A quartic p(T), weighted by the errors, is fitted to the points around the largest one. With
    :math:`p'(T^*) = 0` the error of T* is that of :math:`p'(T^*) / p''(T^*)`, to which half the distance to
    the maximum of a cubic is added in quadrature, for the shape that no polynomial has, and a tenth of the
    spacing of the temperatures where fewer than 6 of them are above 80 % of the peak.

    Parameters
    ----------
    curve : PhaseCurve
        At least 6 temperatures, closely spaced around the peak.
    observable : str, default="heat_capacity"
        Also ``"susceptibility"`` or an observable of your own.

    Returns
    -------
    Estimate
        Named tuple ``(value, error)``: the temperature of the peak.

    Raises
    ------
    ValueError
        If the curve has fewer than 6 points with error bars, its largest value at one of its ends, or no peak that
        stands out of its errors.

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
    T, y, sigma = _points(curve, observable)
    top = int(np.argmax(y)) if len(y) else 0
    if len(T) < _N_POINTS or top in (0, len(T) - 1):
        raise ValueError(f"{observable} must have a peak inside at least {_N_POINTS} temperatures, got {_text(T, y)}")
    gain = _peak_gain(y, _floored(sigma, y))
    # 99 % of flat curves gain less, of 6 to 41 points, with errors known to 20 degrees of freedom.
    if not gain > (limit := 8 + len(T) / 2):
        raise ValueError(
            f"{observable} has no significant peak, got {_text(T, y)}: a rise and a fall fit it better than either "
            f"alone by chi^2 = {gain:.1f} only (limit {limit:.1f}): draw more configurations"
        )
    low = np.flatnonzero(y < _PEAK_HEIGHT * y[top])
    start, stop = np.max(low[low < top], initial=-1) + 1, np.min(low[low > top], initial=len(T))
    spacing = (T[top + 1] - T[top - 1]) / 2 if stop - start < _N_POINTS else 0
    while stop - start < _N_POINTS:  # too far apart for the peak: the higher neighbour comes in
        if start > 0 and (stop == len(T) or y[start - 1] > y[stop]):
            start -= 1
        else:
            stop += 1
    x, y, sigma = T[start:stop] - T[top], y[start:stop], sigma[start:stop]
    quartic, cubic = (_maximum(x, y, sigma, degree) for degree in (4, 3))
    error = math.hypot(quartic.error, (quartic.value - cubic.value) / 2, spacing / 10)
    return Estimate(float(T[top] + quartic.value), error)


def crossing_temperature(curve, other, observable="binder_cumulant"):
    r"""Find the temperature at which an observable of two systems, as of two lattice sizes, is the same.

    Cubics, weighted by the errors, are fitted to the 6 points of each curve nearest to the crossing. With
    d(T) the difference of the cubics and :math:`d(T^*) = 0` the error of T* is that of :math:`d(T^*) / d'(T^*)`,
    to which half the distance to the crossing of two parabolas is added in quadrature. The crossing of the
    Binder cumulant hardly depends on the sizes (K. Binder, Z. Phys. B 43, 119 (1981)).

    Parameters
    ----------
    curve, other : PhaseCurve
        At least 6 temperatures each, over a common range around the crossing.
    observable : str, default="binder_cumulant"
        What is compared.

    Returns
    -------
    Estimate
        Named tuple ``(value, error)``: the temperature of the crossing.

    Raises
    ------
    ValueError
        If a curve has fewer than 6 points with error bars, or the curves do not cross: on both sides of the
        crossing they must differ by 3 standard errors and more.

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
    (T, y, sigma), (T_other, y_other, sigma_other) = points
    low, high = np.min(T_other, initial=np.inf), np.max(T_other, initial=-np.inf)
    common = np.clip(T, low, high) == T
    d = y[common] - np.interp(T[common], T_other, y_other) if common.any() else np.zeros(1)
    contrast = 2 * np.cumsum(d) - d.sum()  # largest where d has one sign before, the other after
    k = int(np.argmax(np.abs(contrast)))
    if min(len(T), len(T_other)) < _N_POINTS or k == len(d) - 1:
        raise ValueError(
            f"{observable} must cross inside a common range of at least {_N_POINTS} temperatures each, "
            f"got {_text(T, y)} and {_text(T_other, y_other)}"
        )
    sigma_other = np.interp(T[common], T_other, _floored(sigma_other, y_other))
    sigma_d = np.hypot(_floored(sigma, y)[common], sigma_other)
    sides = _contrast(d[k::-1], sigma_d[k::-1]), _contrast(d[k + 1 :], sigma_d[k + 1 :])
    z = max(min(before, after) for before, after in zip(sides[0], sides[1][::-1], strict=True))
    if z < _SIGNIFICANT:
        raise ValueError(
            f"{observable} has no significant crossing, got {_text(T, y)} and {_text(T_other, y_other)}: before or "
            f"after it the curves differ by {max(z, 0):.1f} standard errors (limit {_SIGNIFICANT:g}): "
            "draw more configurations, or measure farther from the crossing"
        )
    center = T[common][k : k + 2].mean()
    near = [
        tuple(a[np.sort(np.argsort(np.abs(T - center))[:_N_POINTS])] for a in (T - center, *rest))
        for T, *rest in points
    ]
    cubic, parabola = (_crossing(*near, degree) for degree in (3, 2))
    return Estimate(float(center + cubic.value), math.hypot(cubic.error, (cubic.value - parabola.value) / 2))


def _points(curve, observable):
    """Return temperatures in order, values and errors, of the points that have an error."""
    value, error = curve[observable]
    order = np.argsort(curve.temperatures)
    order = order[np.isfinite(value[order]) & np.isfinite(error[order])]
    return curve.temperatures[order], value[order], error[order]


def _floored(sigma, y):
    """Return errors for a test of significance: a point at which nothing was seen to vary has the least of the others.

    Its own error, zero up to rounding, only says that a rare event has not happened yet.
    """
    rounding = 1e-12 * np.max(np.abs(y))
    return np.maximum(sigma, np.min(sigma[sigma > rounding], initial=np.max(np.abs(y)) or 1.0))


def _peak_gain(y, sigma):
    """Return by how much chi^2 falls where a rise and then a fall are fitted to points instead of either alone."""
    rise = _rising_misfit(y, sigma)
    fall = _rising_misfit(y[::-1], sigma[::-1])[::-1]
    return min(rise[-1], fall[0]) - np.min(rise + fall)


def _rising_misfit(y, sigma):
    """Return chi^2 of the best non-decreasing fit to the first 0, 1, ... n points, by pooling adjacent violators."""
    blocks, misfit = [], [0.0]
    for value, weight in zip(y.tolist(), (1 / sigma**2).tolist(), strict=True):
        cost = 0.0
        while blocks and blocks[-1][0] > value:
            mean, w, c = blocks.pop()
            cost += c + w * weight / (w + weight) * (mean - value) ** 2
            value, weight = (w * mean + weight * value) / (w + weight), w + weight
        blocks.append((value, weight, cost))
        misfit.append(sum(c for *_, c in blocks))
    return np.array(misfit)


def _contrast(d, sigma):
    """Return by how many errors d lies above and below zero, each over the next points that show it best."""
    z = np.cumsum(d) / np.sqrt(np.cumsum(sigma**2))
    return z.max(), -z.min()


def _text(T, y):
    """Return what a curve looks like, for an error message."""
    if not len(T):
        return "no points with error bars"
    return f"{len(T)} from T = {T[0]:g} to {T[-1]:g}, the largest value at {T[np.argmax(y)]:g}"


def _fit(x, y, sigma, degree):
    """Return the linear map G from `y` to the coefficients of the weighted least-squares polynomial."""
    sigma = np.maximum(sigma, 1e-9 * np.max(np.abs(y)))
    return np.linalg.pinv(polynomial.polyvander(x, degree) / sigma[:, None]) / sigma


def _maximum(x, y, sigma, degree):
    """Return where p(x) is largest inside the points, p'(x) = 0, with the error of p' / p''."""
    G = _fit(x, y, sigma, degree)
    slope = polynomial.polyder(G)
    x_top = _root(slope @ y, x, f"a polynomial of degree {degree} has no maximum there", downward=True)
    curvature = polynomial.polyval(x_top, polynomial.polyder(slope) @ y)
    return Estimate(x_top, float(np.linalg.norm(polynomial.polyval(x_top, slope) * sigma) / abs(curvature)))


def _crossing(first, second, degree):
    """Return where the polynomials of both curves meet, d(x) = 0, with the error of d / d'."""
    G, H = _fit(*first, degree), _fit(*second, degree)
    d = G @ first[1] - H @ second[1]
    x_cross = _root(d, first[0], "the fitted polynomials do not meet there")
    sigma = math.hypot(
        *(np.linalg.norm(polynomial.polyval(x_cross, map_) * s) for map_, s in ((G, first[2]), (H, second[2])))
    )
    return Estimate(x_cross, float(sigma / abs(polynomial.polyval(x_cross, polynomial.polyder(d)))))


def _root(c, x, problem, downward=False):
    """Return the root of a polynomial that is inside the points `x` and nearest to 0."""
    roots = polynomial.polyroots(c)
    roots, dc = roots[np.abs(roots.imag) < 1e-9].real, polynomial.polyder(c)
    roots = roots[(roots > x[0]) & (roots < x[-1])]
    if downward:
        roots = roots[polynomial.polyval(roots, dc) < 0]
    if not len(roots):
        raise ValueError(f"the points are too noisy or too far apart between x = {x[0]:g} and {x[-1]:g}: {problem}")
    root = roots[np.argmin(np.abs(roots))]
    for _ in range(3):  # eigenvalues lose digits where the leading coefficient is next to nothing: Newton restores them
        root -= polynomial.polyval(root, c) / polynomial.polyval(root, dc)
    return float(root)
