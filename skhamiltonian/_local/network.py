"""The network g as plain arrays, for windows with too many patterns for a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clusters import basis
from .observations import WindowGeometry

Floats = NDArray[np.float64]
_BLOCK = 2**20  # numbers in a layer


@dataclass(frozen=True)
class WindowNetwork:
    r"""g(s) = mean over the symmetries of :math:`\alpha \cdot x + x \cdot A x + f(x)`.

    x are the values of the polynomials of degree 1 ... K - 1 on every site of the symmetric copy of s, and f is a
    network of layers tanh(x W + b); the last layer has no tanh.
    """

    weights: tuple[NDArray[Any], ...]  # (n_in, n_out) each
    biases: tuple[NDArray[Any], ...]
    site_coef: NDArray[Any]  # (n_inputs,)
    pair_coef: NDArray[Any]  # (n_inputs, n_inputs)
    permutations: NDArray[np.intp]  # (n_elements, n)
    even: bool  # whether the reversal of the states is a symmetry
    n_states: int
    unit: float = 1.0

    def g(self, codes: NDArray[np.int8]) -> Floats:
        """Return g of windows of codes, (m, n)."""
        total = np.zeros(len(codes))
        step = max(1, _BLOCK // max(len(self.site_coef), *map(len, self.biases)))
        for start in range(0, len(codes), step):
            part = codes[start : start + step]
            for permutation in self.permutations:
                total[start : start + step] += self._of_copy(part[:, permutation])
                if self.even:
                    total[start : start + step] += self._of_copy(self.n_states - 1 - part[:, permutation])
        return total * self.unit / (len(self.permutations) * (1 + self.even))

    def _of_copy(self, codes: NDArray[np.int8]) -> Floats:
        x = inputs(codes, self.n_states)
        out = x @ self.site_coef + ((x @ self.pair_coef) * x).sum(axis=1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(x @ weight + bias)
        return out + (x @ self.weights[-1] + self.biases[-1])[:, 0]

    def table(self) -> Floats:
        """Return g of every pattern; the first site is the least significant digit of a pattern's number."""
        n_sites = self.permutations.shape[1]
        powers = self.n_states ** np.arange(n_sites)
        parts = []
        for start in range(0, self.n_states**n_sites, 2**16):
            numbers = np.arange(start, min(start + 2**16, self.n_states**n_sites))
            parts.append(self.g((numbers[:, None] // powers % self.n_states).astype(np.int8)))
        return np.concatenate(parts)


def inputs(codes: NDArray[np.int8], n_states: int, dtype: type = np.float64) -> NDArray[Any]:
    """Return the polynomials of degree 1 ... K - 1 of every site of codes (..., n), as (..., n (K - 1))."""
    values: NDArray[Any] = basis(n_states)[:, 1:].astype(dtype)
    return values[codes].reshape(*codes.shape[:-1], -1)


def site_energies_of(network: WindowNetwork, codes: NDArray[np.int8], geometry: WindowGeometry) -> Floats:
    """Return the sum of g over the windows of each site, for each of its states, (n, K)."""
    places = geometry.window_places()
    out = np.empty((len(codes), geometry.n_states))
    step = max(1, 2**20 // places.size)
    for start in range(0, len(codes), step):
        part = codes[start : start + step].copy()
        for state in range(geometry.n_states):
            part[:, 0] = state
            g = network.g(part[:, places].reshape(-1, places.shape[1]))
            out[start : start + step, state] = g.reshape(len(part), -1).sum(axis=1)
    return out


def n_inputs(geometry: WindowGeometry) -> int:
    """Return the number of inputs of a network."""
    return math.prod(geometry.window_shape) * (geometry.n_states - 1)
