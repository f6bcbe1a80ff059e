"""Functions of a window in a basis of clusters; a cluster is a sum of products of one polynomial per site."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    r"""Sums of products :math:`\prod_j b_{d_j}(s_j)` over all placements of a pattern of degrees d on the lattice.

    Patterns that translations, or the given symmetries, map to each other are one cluster. The function g of a window
    gives a product the share 1/m of its coupling, where m is the number of places of the pattern in a window: of all g
    with the same sum over windows this has the least square norm.
    """

    window_shape: tuple[int, ...]
    n_states: int
    of_product: NDArray[np.int32]  # (K^n,) the cluster of a product with degrees as the digits; -1: none
    share: Floats  # (K^n,) 1/m
    degrees: NDArray[np.int8]  # (n_clusters, n) one pattern of each cluster

    @property
    def n_clusters(self) -> int:
        return len(self.degrees)

    @property
    def order(self) -> NDArray[np.integer]:
        """Number of sites in each cluster."""
        return np.count_nonzero(self.degrees, axis=1)

    @property
    def n_products(self) -> Floats:
        """Number of products in each cluster, each with its share."""
        return np.bincount(self.of_product + 1, self.share, self.n_clusters + 1)[1:].astype(float)

    def patterns(self) -> NDArray[np.int8]:
        """Return one pattern of each cluster: the degrees in a window, (n_clusters, *window_shape)."""
        return self.degrees.reshape(-1, *self.window_shape)

    def table(self, couplings: Floats) -> Floats:
        """Return g at every pattern of states: the sum of couplings times products."""
        coef = np.append(couplings, 0.0)[self.of_product] * self.share
        return _on_every_site(coef[None], basis(self.n_states), self.degrees.shape[1])[0]

    def gradient(self, by_table: Floats) -> Floats:
        """Return the derivative of a function by each coupling; `by_table` is its derivative by each entry of g."""
        by_product = _on_every_site(by_table[None], basis(self.n_states).T, self.degrees.shape[1])[0] * self.share
        sums = np.bincount(self.of_product + 1, by_product, minlength=self.n_clusters + 1)
        return sums[1:].astype(float)

    def couplings(self, table: Floats) -> Floats:
        """Return the couplings of a function g of the window in any gauge."""
        n_sites = self.degrees.shape[1]
        by_product = _on_every_site(table[None], basis(self.n_states).T, n_sites)[0] / self.n_states**n_sites
        sums = np.bincount(self.of_product + 1, by_product, minlength=self.n_clusters + 1)[1:]
        return sums / self.n_products

    def features(self, columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the derivative of g by some couplings, (K^n, n_columns)."""
        values = np.zeros((len(columns), len(self.share)))
        for row, column in enumerate(columns):
            members = self.of_product == column
            values[row, members] = self.share[members]
        out = _on_every_site(values, basis(self.n_states), self.degrees.shape[1])
        return np.ascontiguousarray(out.T, dtype=np.float32)


@cache
def basis(n_states: int) -> Floats:
    """Return orthonormal polynomials of the code as columns; for two states they are (1, 1) and (-1, 1).

    Polynomial k is even or odd, as k is, under exchange of first and last state.
    """
    code = np.linspace(-1, 1, n_states)
    q, r = np.linalg.qr(np.vander(code, increasing=True))
    return q * np.sign(np.diag(r)) * math.sqrt(n_states)


def _on_every_site(values: Floats, matrix: Floats, n_sites: int) -> Floats:
    """Apply a matrix (K, K) to the digit of every site of arrays (m, K^n)."""
    m, size = values.shape
    n_states = len(matrix)
    for _ in range(n_sites):  # each step rotates the digits by one place
        values = (values.reshape(m, size // n_states, n_states) @ matrix.T).swapaxes(1, 2).reshape(m, size)
    return values


def window_group(
    window_shape: tuple[int, ...], lattice_shape: tuple[int, ...], periodic: tuple[bool, ...]
) -> list[NDArray[np.intp]]:
    """Return the point group as permutations of a window's sites.

    It reflects every axis and exchanges axes of equal length and boundary along which windows are equally wide.
    """
    n_axes = len(window_shape)
    lengths = list(zip(window_shape, lattice_shape, periodic, strict=True))
    sites = np.arange(math.prod(window_shape)).reshape(window_shape)
    return [
        np.flip(sites.transpose(exchange), flipped).ravel()
        for exchange in itertools.permutations(range(n_axes))
        if [lengths[axis] for axis in exchange] == lengths
        for k in range(n_axes + 1)
        for flipped in itertools.combinations(range(n_axes), k)
    ]


def clusters_of(window_shape: tuple[int, ...], n_states: int, group: list[NDArray[np.intp]], *, even: bool) -> Clusters:
    """Return all clusters inside a window; with `even`, those that keep their sign if the states are reversed."""
    n = math.prod(window_shape)
    powers = n_states ** np.arange(n)
    degrees = (np.arange(n_states**n)[:, None] // powers % n_states).astype(np.int8)
    corner, share = _to_corner(degrees, window_shape)
    name = corner @ powers
    for permutation in group:
        name = np.minimum(name, _to_corner(corner[:, permutation], window_shape)[0] @ powers)
    kept = name > 0
    if even:
        kept &= degrees.sum(axis=1) % 2 == 0
    found, of_kept = np.unique(name[kept], return_inverse=True)
    of_product = np.full(len(name), -1, np.int32)
    by_order = np.argsort((degrees[found] > 0).sum(axis=1), kind="stable")
    of_product[kept] = np.argsort(by_order)[of_kept]
    return Clusters(window_shape, n_states, of_product, share, degrees[found[by_order]])


def _to_corner(degrees: NDArray[np.int8], window_shape: tuple[int, ...]) -> tuple[NDArray[np.int8], Floats]:
    """Return patterns shifted to the first corner of the window, and 1/m for the m placements of each."""
    patterns = degrees.reshape(-1, *window_shape)
    share = np.ones(len(patterns))
    for axis, width in enumerate(window_shape, start=1):
        others = tuple(k for k in range(1, patterns.ndim) if k != axis)
        used = np.asarray(patterns.any(axis=others))
        first, last = used.argmax(axis=1), width - 1 - used[:, ::-1].argmax(axis=1)
        share /= np.where(used.any(axis=1), width - (last - first), 1)
        shape = [-1 if k == 0 else width if k == axis else 1 for k in range(patterns.ndim)]
        source = (np.arange(width) + first[:, None]) % width
        patterns = np.take_along_axis(patterns, source.reshape(shape), axis=axis)
    return patterns.reshape(len(degrees), -1), share
