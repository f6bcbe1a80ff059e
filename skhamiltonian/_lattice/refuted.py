"""Symmetries that the data refute: a symmetry makes some averages zero, and the data show that they are not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import norm, pearson3, t

from .._utils.mapped import release_pages
from .._utils.warn import warn
from .symmetry import OF_ANGLES

Array = NDArray[np.floating]
_SIGMAS = 5.0
_MAX_ROWS, _MAX_VALUES, _MIN_ROWS = 2048, 2**22, 50
_MAX_SITES = 64
_SIGNIFICANT_CORRELATION = 4.0  # in standard errors; a smaller autocorrelation counts as zero


@dataclass(frozen=True)
class Refutation:
    """An average over the rows that a symmetry makes zero, with its standard error."""

    name: str
    what: str
    value: float
    error: float


def warn_of_refuted(
    X: NDArray[Any],
    shape: tuple[int, ...],
    names: Sequence[str],
    weight: NDArray[Any] | None = None,
    are_angles: bool = False,
) -> None:
    """Give one warning of all symmetries that the rows refute by more than five standard errors.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations, as numbers; at most 2048 rows are read.
    shape : tuple of int
        Shape of the lattice.
    names : collection of str
        Names of symmetries.
    weight : ndarray of shape (n_samples,), default=None
        How much each row counts; None: all rows count the same.
    are_angles : bool, default=False
        Whether X holds angles, which are judged by their sines and cosines.

    Warns
    -----
    UserWarning
        If a symmetry is refuted.
    """
    found = refuted(X, shape, names, weight, are_angles)
    if found:
        each = "; ".join(f"{r.name!r}: {r.what} is {r.value:.3g} +- {r.error:.2g} and must be 0" for r in found)
        more, names_found = "", {r.name for r in found}
        if names_found & {"translation", "point-group"}:
            more += (
                f". Or the columns of X are not the sites of lattice_shape={shape} in C order: names such as s0, s1, "
                "s10, s2 are sorted as text"
            )
        if "translation" in names_found:
            more += (
                ". A LocalHamiltonian of periodic rows always assumes translations; windows of something larger have "
                "none, and open boundaries are its default"
            )
        warn(
            f"the data refute symmetries ({each}): remove the names from `symmetries`, or add missing configurations, "
            f"such as those of the other phases{more}"
        )


def refuted(
    X: NDArray[Any],
    shape: tuple[int, ...],
    names: Sequence[str],
    weight: NDArray[Any] | None = None,
    are_angles: bool = False,
) -> list[Refutation]:
    """Return the strongest evidence against each symmetry that is refuted; with too few rows there is none.

    The error of an average contains the autocorrelation of the rows at all distances. So rows of many slow chains
    count as chains, in any order.
    """
    most = min(_MAX_ROWS, max(_MIN_ROWS, _MAX_VALUES // X.shape[1]))
    rows = spread_rows(len(X), most) if weight is None else weighted_rows(weight, most)
    if len(rows) < _MIN_ROWS:
        return []
    values: Array = X[rows].astype(np.float64)
    if not are_angles and "spin-flip" not in names:  # a large offset would leave no digits to single precision
        values -= (values.min() + values.max()) / 2
    v = (values if are_angles else values.astype(np.float32)).reshape(len(rows), *shape)
    release_pages(X)
    if are_angles:
        parts = np.cos(v).astype(np.float32), np.sin(v).astype(np.float32)
        of_sites = [r for name in names if name not in OF_ANGLES for part in parts if (r := _strongest(name, part))]
        return of_sites + [r for name in OF_ANGLES if name in names if (r := _strongest(name, v)) is not None]
    of_numbers = [name for name in _FEATURES if name in names and name not in OF_ANGLES]
    return [r for name in of_numbers if (r := _strongest(name, v)) is not None]


def spread_rows(n_samples: int, most: int) -> NDArray[np.intp]:
    """Return at most `most` rows in order: one from each of as many equal parts, at a random place in the part.

    Rows at equal distances would mislead: every second row of an enumeration has the same last site.
    """
    edges = np.arange(min(n_samples, most) + 1) * n_samples // max(1, min(n_samples, most))
    return edges[:-1] + np.random.default_rng(0).integers(np.diff(edges))


def weighted_rows(weight: NDArray[Any], most: int) -> NDArray[np.intp]:
    """Return rows drawn by their weights, in order: at most `most`, and as many as independent rows are worth."""
    share = weight / weight.sum()
    rows = min(most, int(1 / np.sum(share**2) + 1e-6))
    return np.sort(np.random.default_rng(0).choice(len(share), rows, p=share))


def _strongest(name: str, v: Array) -> Refutation | None:
    each, columns = zip(*_FEATURES[name](v), strict=True)
    a = np.concatenate(columns, axis=1).astype(np.float64)
    feature = np.repeat(np.arange(len(each)), [c.shape[1] for c in columns])
    mean, (error, n_eff) = a.mean(axis=0), error_of_mean(a)
    skew: Array = np.zeros(len(mean))
    if name == "translation":
        error, skew = _of_all_sites(a, error, n_eff, feature)
    varies = error > 1e-6 * np.abs(v).max() / math.sqrt(len(a))
    certain = ~varies & (np.abs(mean) > 1e-3 * np.abs(v).max())  # a constant that is not zero
    error = np.where(varies, error, np.abs(v).max() / len(a))
    # A t-test, with Bonferroni's factor for the number of averages.
    z = np.abs(mean) / error
    log_p = np.maximum(t.logsf(z, np.maximum(n_eff - 1, 1)), pearson3.logsf(z, np.sign(mean) * skew))
    log_p += math.log(len(mean))
    log_p[~(varies | certain)] = 0.0
    best = int(np.argmin(log_p))
    if log_p[best] > norm.logsf(_SIGMAS):
        return None
    return Refutation(name, each[feature[best]], float(mean[best]), float(error[best]))


def _of_all_sites(a: Array, error: Array, n_eff: Array, feature: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return error and skewness of the mean of a column, from all columns of its feature.

    If translations hold, all sites have one law. A site that happens to show no flip, where three of 2048 are
    expected, has hardly a variance of its own.
    """
    n_columns = np.bincount(feature)

    def pooled(values: Array) -> Array:
        return (np.bincount(feature, values) / n_columns)[feature]

    d = a - a.mean(axis=0)
    variance = np.maximum(pooled(np.mean(d**2, axis=0)), 1e-100)
    skew = pooled(np.mean(d**3, axis=0)) / variance**1.5 / np.sqrt(pooled(n_eff))
    return np.sqrt(pooled(error**2)), skew


def error_of_mean(a: Array) -> tuple[Array, Array]:
    """Return the standard error of the mean of every column, and the effective number of independent rows."""
    n = len(a)
    d = a - a.mean(axis=0)
    size = next_fast_len(2 * n, real=True)
    spectrum = rfft(d, size, axis=0)
    covariance = irfft(np.abs(spectrum) ** 2, size, axis=0)[:n] / np.arange(n, 0, -1)[:, None]
    variance = np.maximum(covariance[0], 1e-300)
    correlation = covariance[1 : n // 2] / variance
    counts = correlation > _SIGNIFICANT_CORRELATION / np.sqrt(np.arange(n - 1, n - len(correlation) - 1, -1))[:, None]
    tau = 1 + 2 * np.sum(np.where(counts, correlation, 0.0), axis=0)
    return np.sqrt(variance * tau / n), n / tau


Features = Iterator[tuple[str, Array]]


def _spin_flip(v: Array) -> Features:
    axes = tuple(range(1, v.ndim))
    yield "the mean of all sites", v.mean(axis=axes).reshape(-1, 1)
    yield "the mean of a site", _some_sites(v)
    for axis in axes:
        triple = v * np.roll(v, -1, axis) * np.roll(v, -2, axis)
        yield "the mean product of three neighbours", triple.mean(axis=axes).reshape(-1, 1)


def _rotation(v: Array) -> Features:
    for k in (1, 2):
        yield from _harmonic("cos", np.cos(k * v), k)
        yield from _harmonic("sin", np.sin(k * v), k)


def _reflection(v: Array) -> Features:
    for k in (1, 2):
        yield from _harmonic("sin", np.sin(k * v), k)


def _harmonic(name: str, wave: Array, k: int) -> Features:
    yield f"the mean {name} of {k} theta", wave.mean(axis=tuple(range(1, wave.ndim))).reshape(-1, 1)
    yield f"the mean {name} of {k} theta at a site", _some_sites(wave)


def _permutation(v: Array) -> Features:
    states, axes = np.unique(v), tuple(range(1, v.ndim))
    for state in states:
        here = (v == state).astype(np.float32)
        yield "the share of a state, minus that of all,", here.mean(axis=axes)[:, None] - 1 / len(states)
        for axis in axes:
            alike = here * np.roll(here, -1, axis)
            everywhere = (v == np.roll(v, -1, axis)).mean(axis=axes) / len(states)
            yield (
                "the share of equal neighbours in a state, minus that in all,",
                (alike.mean(axis=axes) - everywhere)[:, None],
            )


def _translation(v: Array) -> Features:
    for what, x in _densities(v):
        centred = x - x.mean(axis=tuple(range(1, x.ndim)), keepdims=True)
        for axis in range(1, x.ndim):
            yield f"the mean {what} in a layer, minus that in all", _layers(centred, axis)
        yield f"the mean {what} at a site, minus that at all", _some_sites(centred)


def _point_group(v: Array) -> Features:
    for g, axes, signs in _generators(v.shape[1:]):
        copy = np.flip(v.transpose(0, *(1 + a for a in axes)), tuple(1 + a for a, s in enumerate(signs) if s < 0))
        yield "the mean of a site, minus that of its copy,", _some_sites(v - copy)
        for r in itertools.product(*(range(-2, 3) if n > 4 else range(-1, 2) for n in v.shape[1:])):
            copy_of_r = tuple(signs[b] * r[a] for b, a in enumerate(axes))
            if r < copy_of_r and any(r):
                difference = _pair(v, r) - _pair(v, copy_of_r)
                yield f"the mean product at distance {r}, minus that at {copy_of_r} ({g}),", difference[:, None]


def _generators(shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Yield (what, axes, signs) of reflections and of exchanges of axes of equal length."""
    n = len(shape)
    for axis in range(n):
        yield "reflection", tuple(range(n)), tuple(-1 if a == axis else 1 for a in range(n))
    for a, b in itertools.combinations(range(n), 2):
        if shape[a] == shape[b]:
            axes = list(range(n))
            axes[a], axes[b] = b, a
            yield "exchange of axes", tuple(axes), (1,) * n


def _densities(v: Array) -> Iterator[tuple[str, Array]]:
    yield "of the sites", v
    for axis in range(1, v.ndim):
        if v.shape[axis] > 1:
            yield f"product of neighbours along axis {axis - 1}", v * np.roll(v, -1, axis)


def _layers(x: Array, axis: int) -> Array:
    return x.mean(axis=tuple(a for a in range(1, x.ndim) if a != axis))


def _some_sites(x: Array) -> Array:
    flat = x.reshape(len(x), -1)
    return flat[:, :: max(1, -(-flat.shape[1] // _MAX_SITES))]


def _pair(v: Array, r: Collection[int]) -> Array:
    axes = tuple(range(1, v.ndim))
    return (v * np.roll(v, [-step for step in r], axes)).mean(axis=axes)


_FEATURES = {"translation": _translation, "point-group": _point_group}
_FEATURES |= {"spin-flip": _spin_flip, "permutation": _permutation}
_FEATURES |= {"rotation": _rotation, "reflection": _reflection}
