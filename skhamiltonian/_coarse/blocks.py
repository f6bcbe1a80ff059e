"""Kadanoff blocks: coarse degrees of freedom of a lattice."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from .._lattice.looks_folded import warn_if_folded
from .._utils.alphabet import smallest_integer
from .._utils.checks import check_choice, check_lattice_shape, check_lengths
from .._utils.configurations import validate_configurations

Geometry = tuple[tuple[int, int, int], ...]  # number, size and stride of the blocks along each axis


class BlockSpinTransformer(TransformerMixin, BaseEstimator):
    """Replace every block of sites by one coarse spin (Kadanoff's transformation).

    Block ``I`` covers the sites ``i`` with ``stride * I <= i < stride * I + block_size`` along
    each axis of the lattice. With ``rule="sum"`` its spin is that of the paper [1]_ (above
    Fig. 4). In two dimensions, for blocks of 2 x 2 and stride ``d``::

        S_IJ = s_ij + s_{i+1,j} + s_{i,j+1} + s_{i+1,j+1},    i = d I,  j = d J.

    Two of these transformers in a row are two steps of a renormalisation: the `lattice_shape_out_`
    of the first is the `lattice_shape` of the second.

    Parameters
    ----------
    block_size : int or tuple of int, default=2
        Number of sites in a block along each axis; one integer counts for all axes.

    stride : int or tuple of int, default=None
        Distance between neighbouring blocks along each axis. None means `block_size`: the
        blocks tile the lattice. Blocks overlap if the stride is smaller, and leave sites out
        if it is larger.

    lattice_shape : tuple of int, default=None
        Shape of the lattice, whose sites are the columns of X in C order. None is a chain.

    boundary : {"open", "periodic"}, default="open"
        With "open", all blocks lie inside the lattice: ``(length - block_size) // stride + 1``
        along an axis. Sites beyond the last block are dropped. With "periodic", a block starts at
        every multiple of the stride, ``ceil(length / stride)`` along an axis, and the last
        blocks continue at the other end of the lattice. (If the stride does not divide the
        length, the last block is closer to the first than other neighbours are to each other.)

    rule : {"sum", "mean", "majority", "decimation"}, default="sum"
        The coarse spin of a block: the sum or the mean of its sites, the value that most of its
        sites have, or the value of its first site. In a tie of the majority, the tied value that
        comes first in the block (C order) wins; for spins of +1 and -1 this is the value of the
        first site. So the result needs no random numbers, flips if all spins flip, and prefers
        no state.

    Attributes
    ----------
    block_size_ : tuple of int
        Number of sites in a block along each axis.

    stride_ : tuple of int
        Distance between neighbouring blocks along each axis.

    lattice_shape_ : tuple of int
        Shape of the lattice of sites.

    lattice_shape_out_ : tuple of int
        Shape of the lattice of blocks, which are the columns of the result in C order.

    n_features_in_ : int
        Number of sites.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the sites, if X has names that are strings.

    References
    ----------
    .. [1] L. Wang, Y. Jiang, K. Zhou, "Neural Network Statistical Mechanics" (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import BlockSpinTransformer
    >>> s = np.array([[ 1,  1, -1,  1],
    ...               [ 1,  1, -1, -1],
    ...               [-1,  1,  1,  1],
    ...               [ 1, -1,  1,  1]], dtype=np.int8)
    >>> blocks = BlockSpinTransformer(block_size=2, lattice_shape=(4, 4))
    >>> S = blocks.fit_transform(s.reshape(1, -1))
    >>> S.reshape(blocks.lattice_shape_out_)
    array([[ 4, -2],
           [ 0,  4]], dtype=int8)
    >>> blocks.set_params(stride=1).fit_transform(s.reshape(1, -1)).reshape(3, 3)
    array([[ 4,  0, -2],
           [ 2,  2,  0],
           [ 0,  2,  4]], dtype=int8)
    """

    def __init__(
        self,
        block_size: int | tuple[int, ...] = 2,
        *,
        stride: int | tuple[int, ...] | None = None,
        lattice_shape: tuple[int, ...] | None = None,
        boundary: str = "open",
        rule: str = "sum",
    ) -> None:
        self.block_size = block_size
        self.stride = stride
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.rule = rule

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the geometry of the blocks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        y : None
            Ignored.

        Returns
        -------
        self : BlockSpinTransformer
            The fitted transformer.

        Warns
        -----
        UserWarning
            If `lattice_shape` is None, and X looks like a lattice of more than one dimension.
        """
        check_choice(self.boundary, "boundary", ("open", "periodic"))
        check_choice(self.rule, "rule", tuple(_RULES))
        X = validate_configurations(self, X, reset=True)
        n_sites = X.shape[1]
        lengths = (n_sites,) if self.lattice_shape is None else check_lattice_shape(self.lattice_shape, n_sites)
        block_size = check_lengths(self.block_size, "block_size", len(lengths))
        stride = block_size if self.stride is None else check_lengths(self.stride, "stride", len(lengths))
        if any(map(operator.gt, block_size, lengths)):
            raise ValueError(
                f"block_size must not exceed lattice_shape={lengths} (n_features={n_sites}), got {self.block_size!r}"
            )
        if self.lattice_shape is None:
            warn_if_folded(X)
        self.lattice_shape_, self.block_size_, self.stride_ = lengths, block_size, stride
        self.lattice_shape_out_ = tuple(
            math.ceil(length / d) if self.boundary == "periodic" else (length - b) // d + 1
            for length, b, d in zip(lengths, block_size, stride, strict=True)
        )
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the coarse spins of every configuration.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        S : ndarray of shape (n_samples, n_blocks)
            Coarse configurations. Integers give the smallest signed integer type that can hold
            any sum of the smallest or largest values in X; floats keep their type (float16
            becomes float32); the mean is float64.
        """
        check_is_fitted(self)
        X = validate_configurations(self, X, reset=False)
        n_block = math.prod(self.block_size_) if self.rule in ("sum", "mean") else 1
        dtype = np.result_type(X, np.float32) if X.dtype.kind == "f" else _type_of_sums(X, n_block)
        S = np.empty((len(X), math.prod(self.lattice_shape_out_)), np.float64 if self.rule == "mean" else dtype)
        # Intermediate results hold at most two numbers of at most 16 bytes for each site.
        for rows in gen_batches(len(X), get_chunk_n_rows(32 * X.shape[1], max_n_rows=len(X))):
            lattices = self._wrap(X[rows].reshape(-1, *self.lattice_shape_))
            S[rows] = _RULES[self.rule](lattices, self._geometry(), dtype).reshape(-1, S.shape[1])
        return S

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the blocks.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the sites; they must be those that `fit` saw.

        Returns
        -------
        names : ndarray of str objects
            ``"block_0_3"`` is the block in row 0 and column 3 of the lattice of blocks.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        indices = itertools.product(*map(range, self.lattice_shape_out_))
        return np.array(["block_" + "_".join(map(str, index)) for index in indices], dtype=object)

    def _geometry(self) -> Geometry:
        return tuple(zip(self.lattice_shape_out_, self.block_size_, self.stride_, strict=True))

    def _wrap(self, lattices: NDArray) -> NDArray:
        """Continue the lattices periodically, up to the ends of the last blocks."""
        reach = [(n_out - 1) * d + b for n_out, b, d in self._geometry()]
        beyond = np.maximum(np.subtract(reach, self.lattice_shape_), 0)
        return np.pad(lattices, [(0, 0), *((0, n) for n in beyond)], mode="wrap")


def _type_of_sums(X: NDArray, n_block: int) -> np.dtype:
    """Return the smallest signed integer type that holds every sum of `n_block` values of X."""
    low, high = int(X.min()), int(X.max())
    if (dtype := smallest_integer(n_block * low, n_block * high)) is None:
        raise ValueError(
            f"X must hold integers of which {n_block} can be summed in 64 bits, got values {low} to {high}"
        )
    return dtype


def _shifts(x: NDArray, axis: int, geometry: Geometry) -> Iterator[NDArray]:
    """Yield, for every offset inside a block along `axis`, a view of the sites at that offset."""
    n_out, b, d = geometry[axis]
    for offset in range(b):
        yield x[(slice(None),) * (axis + 1) + (slice(offset, offset + (n_out - 1) * d + 1, d),)]


def _block_sum(lattices: NDArray, geometry: Geometry, dtype: DTypeLike) -> NDArray:
    """Sum one axis after the other: b_1 + b_2 + ... additions for a block of b_1 x b_2 x ... sites."""
    total = lattices.astype(dtype)
    for axis in range(len(geometry)):
        total = functools.reduce(np.add, _shifts(total, axis, geometry))
    return total


def _block_mean(lattices: NDArray, geometry: Geometry, dtype: DTypeLike) -> NDArray:
    n_block = math.prod(b for _, b, _ in geometry)
    return np.true_divide(_block_sum(lattices, geometry, dtype), n_block, dtype=np.float64)


def _block_majority(lattices: NDArray, geometry: Geometry, dtype: DTypeLike) -> NDArray:
    """Rank the values by votes * n_block - first; `first` is their first place in the block."""
    n_block = math.prod(b for _, b, _ in geometry)
    best = np.zeros((len(lattices), *(n_out for n_out, _, _ in geometry)), dtype=np.int64)
    winner = np.empty(best.shape, dtype)
    for value in _few_values(lattices):
        here = lattices == value
        rank = _block_sum(here, geometry, np.int64) * n_block - _first_place(here, geometry)
        winner[rank > best] = value
        np.maximum(best, rank, out=best)
    return winner


def _few_values(lattices: NDArray) -> NDArray:
    values = np.unique(lattices)
    if len(values) > _MOST_VALUES:
        raise ValueError(
            f"X must hold at most {_MOST_VALUES} different values for rule='majority', got {len(values)}: "
            "make the values discrete first (sklearn.preprocessing.KBinsDiscretizer), or use rule='mean'"
        )
    return values


def _first_place(here: NDArray[np.bool_], geometry: Geometry) -> NDArray:
    """Return the place (C order) of the first True in every block; at least the size of the block without a True."""
    n_block = weight = math.prod(b for _, b, _ in geometry)
    place = np.where(here, 0, n_block)
    for axis, (_, b, _) in enumerate(geometry):
        weight //= b
        place = functools.reduce(np.minimum, (x + i * weight for i, x in enumerate(_shifts(place, axis, geometry))))
    return place


def _block_decimation(lattices: NDArray, geometry: Geometry, dtype: DTypeLike) -> NDArray:
    for axis in range(len(geometry)):
        lattices = next(_shifts(lattices, axis, geometry))
    return lattices


_MOST_VALUES = 1024
_RULES: dict[str, Callable[[NDArray, Geometry, DTypeLike], NDArray]] = {
    "sum": _block_sum,
    "mean": _block_mean,
    "majority": _block_majority,
    "decimation": _block_decimation,
}
