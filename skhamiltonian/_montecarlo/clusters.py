"""Clusters of sites that bonds join, for moves of Swendsen and Wang."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._utils.compile import kernel
from .kernels import next_word


@kernel
def fill_words(words: NDArray[np.uint64], streams: NDArray[np.uint64]) -> None:
    """Write random bits of all streams in turn; the number of words is a multiple of that of the streams."""
    n_streams = streams.shape[1]
    for start in range(0, len(words), n_streams):
        for j in range(n_streams):
            words[start + j] = next_word(streams, j)


@kernel
def find_roots(parent: NDArray[np.int32], bonds: NDArray[np.int32], joined: NDArray[np.int32]) -> None:
    """Write the first site of its cluster to every site's entry of `parent`; `joined` are the numbers of the bonds."""
    for i in range(len(parent)):
        parent[i] = i
    for k in joined:
        a, b = _root(parent, bonds[k, 0]), _root(parent, bonds[k, 1])
        parent[max(a, b)] = min(a, b)
    for i in range(len(parent)):  # a parent comes before its sites, so its entry is already a root
        parent[i] = parent[parent[i]]


@kernel
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
