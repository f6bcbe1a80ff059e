"""Random elements of a lattice's symmetry group, as permutations of its sites."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

Symmetry = Callable[[np.random.Generator], tuple[NDArray[np.intp], bool]]
SYMMETRIES = ("translation", "point-group", "spin-flip")


def symmetry_sampler(shape: tuple[int, ...], names: Collection[str]) -> Symmetry:
    """Return a function that draws (permutation of the sites, whether to flip the states).

    Translations are those of the torus. The point group exchanges axes of equal length, and reflects axes.
    """
    sites = np.arange(np.prod(shape)).reshape(shape)
    exchanges = [
        p
        for p in itertools.permutations(range(len(shape)))
        if all(shape[a] == n for a, n in zip(p, shape, strict=True))
    ]

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.intp], bool]:
        copy = sites
        if "translation" in names:
            copy = np.roll(copy, rng.integers(shape), range(len(shape)))
        if "point-group" in names:
            copy = copy.transpose(exchanges[rng.integers(len(exchanges))])
            copy = np.flip(copy, tuple(np.flatnonzero(rng.random(len(shape)) < 0.5).tolist()))
        return copy.ravel(), "spin-flip" in names and bool(rng.random() < 0.5)

    return draw


def group_size(shape: tuple[int, ...], names: Collection[str]) -> int:
    """Return the size of the group of these symmetries.

    The reflection of an axis of two sites is also a translation, and that of one site changes nothing.
    """
    reflected = sum(length > (2 if "translation" in names else 1) for length in shape)
    exchanges = math.prod(math.factorial(shape.count(length)) for length in set(shape) - {1})
    factors = {"translation": math.prod(shape), "point-group": exchanges * 2**reflected, "spin-flip": 2}
    return math.prod(factors[name] for name in set(names))


def symmetric_copies(
    codes: NDArray[np.int8], n_states: int, symmetry: Symmetry, rng: np.random.Generator, group: int
) -> NDArray[np.int8]:
    """Return symmetric copies of the codes; each block of `group` rows has its own random element of the symmetry."""
    out = np.empty_like(codes)
    for start in range(0, len(codes), group):
        rows = slice(start, start + group)
        sites, flip = symmetry(rng)
        out[rows] = n_states - 1 - codes[rows][:, sites] if flip else codes[rows][:, sites]
    return out
