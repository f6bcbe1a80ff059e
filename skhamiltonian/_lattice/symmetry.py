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
    """Return a function of a generator that draws (permutation of sites, whether to flip the states).

    Translations are those of the torus; the point group exchanges axes of equal length and reflects each.
    """
    sites = np.arange(np.prod(shape)).reshape(shape)
    exchanges = [
        p
        for p in itertools.permutations(range(len(shape)))
        if all(shape[a] == n for a, n in zip(p, shape, strict=True))
    ]

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.intp], bool]:
        image = sites
        if "translation" in names:
            image = np.roll(image, rng.integers(shape), range(len(shape)))
        if "point-group" in names:
            image = image.transpose(exchanges[rng.integers(len(exchanges))])
            image = np.flip(image, tuple(np.flatnonzero(rng.random(len(shape)) < 0.5).tolist()))
        return image.ravel(), "spin-flip" in names and bool(rng.random() < 0.5)

    return draw


def order(shape: tuple[int, ...], names: Collection[str]) -> int:
    """Return how many elements the group of these symmetries has.

    The reflection of an axis of two sites is a translation, too, and that of one site moves nothing.
    """
    reflected = sum(length > (2 if "translation" in names else 1) for length in shape)
    exchanges = math.prod(math.factorial(shape.count(length)) for length in set(shape) - {1})
    factors = {"translation": math.prod(shape), "point-group": exchanges * 2**reflected, "spin-flip": 2}
    return math.prod(factors[name] for name in set(names))


def images(
    codes: NDArray[np.int8], n_states: int, symmetry: Symmetry, rng: np.random.Generator, group: int
) -> NDArray[np.int8]:
    """Return the codes, every `group` rows seen through a random element of the symmetry group of their own."""
    out = np.empty_like(codes)
    for start in range(0, len(codes), group):
        rows = slice(start, start + group)
        sites, flip = symmetry(rng)
        out[rows] = n_states - 1 - codes[rows][:, sites] if flip else codes[rows][:, sites]
    return out
