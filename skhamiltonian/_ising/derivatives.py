"""Functions of one variable with their first two derivatives, carried through arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Jet:
    """The values f of a function at many points, with the derivatives f' and f''."""

    f: Array
    d: Array
    dd: Array
    __array_ufunc__ = None  # array * jet then calls Jet.__rmul__

    @classmethod
    def constant(cls, value: float, shape: tuple[int, ...]) -> Jet:
        """Return a constant at all points."""
        return cls(np.full(shape, value), np.zeros(shape), np.zeros(shape))

    @classmethod
    def linear(cls, slope: float, x: Array, smallest: float) -> Jet:
        """Return slope * x, with `smallest` in place of smaller values."""
        x = np.asarray(x, dtype=float)
        return cls(np.maximum(slope * x, smallest), np.full(x.shape, slope), np.zeros(x.shape))

    def chain(self, value: Array, slope: Array, curvature: Array) -> Jet:
        """Return g(f), given g, g' and g'' at f."""
        return Jet(value, slope * self.d, curvature * self.d**2 + slope * self.dd)

    def __add__(self, other: Jet | Array | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(self.f + other.f, self.d + other.d, self.dd + other.dd)
        return Jet(self.f + other, self.d, self.dd)

    def __neg__(self) -> Jet:
        return Jet(-self.f, -self.d, -self.dd)

    def __sub__(self, other: Jet | Array | float) -> Jet:
        return self + (-other)

    def __rsub__(self, other: Array | float) -> Jet:
        return -self + other

    def __mul__(self, other: Jet | Array | float) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.f * other, self.d * other, self.dd * other)
        return Jet(
            self.f * other.f,
            self.d * other.f + self.f * other.d,
            self.dd * other.f + 2 * self.d * other.d + self.f * other.dd,
        )

    def __truediv__(self, other: Jet | float) -> Jet:
        if not isinstance(other, Jet):
            return self * (1 / other)
        return self * other.chain(1 / other.f, -1 / other.f**2, 2 / other.f**3)

    __radd__, __rmul__ = __add__, __mul__

    def exp(self) -> Jet:
        """Return exp f."""
        value = np.exp(self.f)
        return self.chain(value, value, value)

    def expm1(self) -> Jet:
        """Return exp f - 1."""
        slope = np.exp(self.f)
        return self.chain(np.expm1(self.f), slope, slope)

    def log(self) -> Jet:
        """Return ln f."""
        return self.chain(np.log(self.f), 1 / self.f, -1 / self.f**2)

    def log1p(self) -> Jet:
        """Return ln(1 + f)."""
        return self.chain(np.log1p(self.f), 1 / (1 + self.f), -1 / (1 + self.f) ** 2)

    def sqrt(self) -> Jet:
        """Return the square root of f."""
        root = np.sqrt(self.f)
        return self.chain(root, 0.5 / root, -0.25 / (root * self.f))

    def sum(self) -> Jet:
        """Return the sum over the first axis."""
        return Jet(self.f.sum(axis=0), self.d.sum(axis=0), self.dd.sum(axis=0))


def stack(jets: Sequence[Jet]) -> Jet:
    """Return jets of one shape along a new first axis."""
    return Jet(*(np.stack([getattr(jet, name) for jet in jets]) for name in ("f", "d", "dd")))


def log_sum_exp(x: Jet) -> Jet:
    """Return ln sum exp x over the first axis.

    Slopes are taken relative to that of the largest term: squares of total slopes would lose their small variance.
    """
    first = x.f.argmax(axis=0)[None]
    largest, reference = (np.take_along_axis(values, first, axis=0)[0] for values in (x.f, x.d))
    weight = np.exp(x.f - largest)
    total = weight.sum(axis=0)
    p, d = weight / total, x.d - reference
    mean = (p * d).sum(axis=0)
    return Jet(largest + np.log(total), reference + mean, (p * (x.dd + (d - mean) ** 2)).sum(axis=0))
