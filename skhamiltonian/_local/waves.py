"""Functions of angles in a basis of waves: sums of cosines or sines of one angle, or of two, over all places."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.alphabet import ANGLES, FINE_ANGLES, waves
from .wave_kernels import add_fields

Floats = NDArray[np.float64]
Offset = tuple[int, ...]
# Harmonics of a wave, as many as the conditionals of a network have.
N_HARMONICS = ANGLES.n_outputs // 2


class Kind(NamedTuple):
    r"""Sums over i and over the offsets d of f(k (theta_i + same theta_{i + d})), with f the cosine or +-sine.

    Without offsets they are sums of f(k theta_i).
    """

    offsets: tuple[Offset, ...]
    signs: tuple[int, ...]  # of the sine at each offset
    same: int  # 1: sum of the angles; -1: difference
    is_sine: bool


@dataclass(frozen=True)
class Waves:
    """Each kind has one wave for each harmonic k = 1 ... N_HARMONICS; wave (c, k) has number c N_HARMONICS + k - 1."""

    window_shape: tuple[int, ...]
    kinds: tuple[Kind, ...]

    @property
    def n_clusters(self) -> int:
        return len(self.kinds) * N_HARMONICS

    @property
    def order(self) -> NDArray[np.integer]:
        """Number of sites in each wave."""
        return np.repeat([2 if kind.offsets else 1 for kind in self.kinds], N_HARMONICS)

    @property
    def n_products(self) -> Floats:
        """Number of terms of each wave that hold a site."""
        return np.repeat([2.0 * len(kind.offsets) or 1.0 for kind in self.kinds], N_HARMONICS)

    def patterns(self) -> NDArray[np.int8]:
        """Return one pattern of each wave: the factors of the angles in a window, (n_waves, *window_shape)."""
        found = np.zeros((len(self.kinds), N_HARMONICS, *self.window_shape), np.int8)
        k = np.arange(1, N_HARMONICS + 1)
        for out, kind in zip(found, self.kinds, strict=True):
            first, second = _places(kind.offsets[0]) if kind.offsets else ((0,) * len(self.window_shape),) * 2
            out[:, *second] = kind.same * k
            out[:, *first] = k
        return found.reshape(-1, *self.window_shape)

    def phases(self) -> Floats:
        """Return the phase of each wave: pi / 2 of a sine, 0 of a cosine."""
        return np.repeat([np.pi / 2 * kind.is_sine for kind in self.kinds], N_HARMONICS)

    def fields(self, codes: NDArray[np.integer], neighbourhood: list[Offset]) -> NDArray[np.complex64]:
        """Return F of every wave at some sites, (n, n_kinds, N_HARMONICS), if the wave is Re(e^(i k theta) F) there.

        Codes (n, n_neighbourhood) are those of the site and its neighbours on the fine grid.
        """
        found = np.zeros((len(codes), len(self.kinds), N_HARMONICS), np.complex64)
        terms = []
        for c, kind in enumerate(self.kinds):
            if not kind.offsets:
                found[:, c] = -1j if kind.is_sine else 1
            # The sine of a difference changes its sign if the two angles are exchanged.
            back = kind.same if kind.is_sine else 1
            for offset, sign in zip(kind.offsets, kind.signs, strict=True):
                factor = -1j * sign if kind.is_sine else 1
                places = neighbourhood.index(offset), neighbourhood.index(opposite(offset))
                terms.append((c, kind.same, places, (factor, back * factor)))
        if terms:
            c_of, same, places_of, factors = (np.array(each) for each in zip(*terms, strict=True))
            z = np.exp(1j * np.outer(FINE_ANGLES.states, np.arange(1, N_HARMONICS + 1)))
            z = np.where(same[:, None, None] > 0, z, z.conj()).astype(np.complex64)
            add_fields(codes, places_of, factors.astype(np.complex64), c_of, z, found)
        return found

    def offsets(self, columns: NDArray[np.intp]) -> list[Offset]:
        """Return the offsets of some waves; that of single sites is zero."""
        used = [self.kinds[c] for c in np.unique(columns // N_HARMONICS)]
        zero = (0,) * len(self.window_shape)
        return sorted({offset for kind in used for offset in kind.offsets or (zero,)})

    def table(self, couplings: Floats, offsets: list[Offset]) -> Floats:
        """Return the energies of the pairs at each offset by both states, or of single sites at the offset zero.

        Entry a + 64 b of a pair is for state a of site i and state b of site i + offset.
        """
        n, k = ANGLES.n_states, np.arange(1, N_HARMONICS + 1)
        a, b = np.arange(n), np.arange(n)[:, None]
        zero = (0,) * len(self.window_shape)
        tables = {offset: np.zeros((n, n) if any(offset) else n) for offset in offsets}
        for kind, x in zip(self.kinds, couplings.reshape(len(self.kinds), -1), strict=True):
            if x.any():
                f = np.sin if kind.is_sine else np.cos
                wave = f(np.outer(ANGLES.states, k)) @ x
                if not kind.offsets:
                    tables[zero] += wave
                for offset, sign in zip(kind.offsets, kind.signs, strict=True):
                    tables[offset] += sign * wave[(a + kind.same * b) % n]
        return np.concatenate([np.zeros(0), *(tables[offset].ravel() for offset in offsets)])


def waves_of(window_shape: tuple[int, ...], group: list[NDArray[np.intp]], symmetries: tuple[str, ...]) -> Waves:
    """Return all waves of one or two sites inside a window that have the symmetries.

    The group permutes the sites of a window. "rotation" leaves differences of angles only, "reflection" cosines only.
    """
    sines = (False,) if "reflection" in symmetries else (False, True)
    kinds: list[Kind] = []
    if "rotation" not in symmetries:
        kinds += [Kind((), (), 1, is_sine) for is_sine in sines]
    seen: set[Offset] = set()
    for offset in itertools.product(*(range(1 - width, width) for width in window_shape)):
        if offset <= (0,) * len(offset) or offset in seen:
            continue
        signs = _images(offset, window_shape, group)
        seen |= set(signs)
        for same in (-1,) if "rotation" in symmetries else (-1, 1):
            for is_sine in sines:
                if is_sine and same < 0 and 0 in signs.values():
                    continue  # the group maps the wave to its negative
                each = tuple(signs.values()) if is_sine and same < 0 else (1,) * len(signs)
                kinds.append(Kind(tuple(signs), each, same, is_sine))
    return Waves(window_shape, tuple(kinds))


def opposite(offset: Offset) -> Offset:
    """Return the offset from the second site of a pair to the first."""
    return tuple(-d for d in offset)


def _images(offset: Offset, window_shape: tuple[int, ...], group: list[NDArray[np.intp]]) -> dict[Offset, int]:
    """Return the images of an offset, each or its opposite; with -1 if it is the opposite, and 0 if it is both."""
    first, second = (np.ravel_multi_index(place, window_shape) for place in _places(offset))
    found: dict[Offset, int] = {}
    for permutation in group:
        at = [np.unravel_index(permutation[site], window_shape) for site in (first, second)]
        image = tuple((np.array(at[1]) - np.array(at[0])).tolist())
        sign = 1 if image > opposite(image) else -1
        image = max(image, opposite(image))
        found[image] = sign if found.get(image, sign) == sign else 0
    return found


def _places(offset: Offset) -> tuple[Offset, Offset]:
    """Return the places in a window, as near to its first corner as possible, of two sites at an offset."""
    return tuple(max(0, -d) for d in offset), tuple(max(0, d) for d in offset)


def laws(coefficients: NDArray[np.complexfloating]) -> tuple[NDArray[np.float32], NDArray[np.complex64]]:
    r"""Return ln Z of laws q ~ exp(Re sum_k c_k e^(i k theta)) on the grid, and the means of e^(i k theta).

    The means are those of k = 1 ... 2 N_HARMONICS, (n, 2 N_HARMONICS).
    """
    cos, sin = np.split(waves(ANGLES.states, 2 * N_HARMONICS).astype(np.float32), 2, axis=1)
    parts = np.concatenate([coefficients.real, -coefficients.imag], axis=1, dtype=np.float32)
    q = parts @ np.concatenate([cos[:, :N_HARMONICS], sin[:, :N_HARMONICS]], axis=1).T
    top = q.max(axis=1, keepdims=True)
    q -= top
    np.exp(q, out=q)
    sums = q @ np.concatenate([np.ones((len(cos), 1), np.float32), cos, sin], axis=1)
    means = sums[:, 1:] / sums[:, :1]
    return top[:, 0] + np.log(sums[:, 0]), means[:, : 2 * N_HARMONICS] + 1j * means[:, 2 * N_HARMONICS :]
