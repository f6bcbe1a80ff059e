"""Random elements of a lattice's symmetry group, as permutations of its sites."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

# It draws a permutation of the sites, and the new code of every state, None if states stay.
Symmetry = Callable[[np.random.Generator], tuple[NDArray[np.intp], NDArray[np.int8] | None]]
SYMMETRIES = ("translation", "point-group", "spin-flip")
OF_STATES = ("permutation",)
OF_ANGLES = ("rotation", "reflection")


def check_symmetries(names: Collection[str], states: NDArray[Any], *, are_angles: bool) -> None:
    """Raise ValueError if one of the symmetries is none of these states."""
    of_numbers = ("spin-flip", *OF_STATES)
    if wrong := set(names) & set(of_numbers if are_angles else OF_ANGLES):
        kind, others = ("angles", OF_ANGLES) if are_angles else ("numbers", of_numbers)
        raise ValueError(f"{wrong.pop()!r} is no symmetry of {kind}: choose of {others}, got symmetries={names}")
    if "spin-flip" in names and not np.array_equal(states, -states[::-1]):
        cure = "labels, such as those of a Potts model, have 'permutation'; of numbers subtract the middle"
        if len(states) == 2:
            cure = "two states become spins by X = 2 * (X == X.max()) - 1"
        raise ValueError(f"'spin-flip' needs states symmetric about zero, got states {states.tolist()}: {cure}")


def symmetry_sampler(shape: tuple[int, ...], names: Collection[str], n_states: int) -> Symmetry:
    """Return a function that draws a random element of the group.

    Translations are those of the torus. The point group exchanges axes of equal length, and reflects axes. A
    permutation renames the states. States in a circle are rotated by one step or more, all by the same, and reflected
    at the first.
    """
    codes = np.arange(n_states)
    sites = np.arange(np.prod(shape)).reshape(shape)
    exchanges = [
        p
        for p in itertools.permutations(range(len(shape)))
        if all(shape[a] == n for a, n in zip(p, shape, strict=True))
    ]

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.int8] | None]:
        copy = sites
        if "translation" in names:
            copy = np.roll(copy, rng.integers(shape), range(len(shape)))
        if "point-group" in names:
            copy = copy.transpose(exchanges[rng.integers(len(exchanges))])
            copy = np.flip(copy, tuple(np.flatnonzero(rng.random(len(shape)) < 0.5).tolist()))
        new = codes[::-1] if "spin-flip" in names and rng.random() < 0.5 else codes
        if "reflection" in names and rng.random() < 0.5:
            new = -new % n_states
        if "permutation" in names:
            new = rng.permutation(n_states)
        if "rotation" in names:
            new = (new + rng.integers(n_states)) % n_states
        return copy.ravel(), None if new is codes else new.astype(np.int8)

    return draw


def group_size(shape: tuple[int, ...], names: Collection[str], n_states: int = 2) -> int:
    """Return the size of the group of these symmetries.

    The reflection of an axis of two sites is also a translation, and that of one site changes nothing. A spin flip is
    one of the permutations of the states.
    """
    names = set(names) - ({"spin-flip"} if "permutation" in names else set())
    reflected = sum(length > (2 if "translation" in names else 1) for length in shape)
    exchanges = math.prod(math.factorial(shape.count(length)) for length in set(shape) - {1})
    factors = {"translation": math.prod(shape), "point-group": exchanges * 2**reflected, "spin-flip": 2}
    factors |= {"permutation": math.factorial(n_states), "rotation": n_states, "reflection": 2}
    return math.prod(factors[name] for name in names)


def symmetric_copies(
    codes: NDArray[np.int8], symmetry: Symmetry, rng: np.random.Generator, group: int
) -> NDArray[np.int8]:
    """Return symmetric copies of the codes; each block of `group` rows has its own random element of the symmetry."""
    out = np.empty_like(codes)
    for start in range(0, len(codes), group):
        rows = slice(start, start + group)
        sites, new = symmetry(rng)
        out[rows] = codes[rows][:, sites] if new is None else new[codes[rows][:, sites]]
    return out
