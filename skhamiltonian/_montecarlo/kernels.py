"""Random words and exchanges of replicas, for the kernels of all samplers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._utils.compile import kernel

_ULP_53 = 2.0**-53


def new_streams(seed: np.random.SeedSequence, n_streams: int) -> NDArray[np.uint64]:
    """Return the states, (4, n_streams), of that many independent SFC64 generators.

    Vector instructions advance many generators at once. SFC64 (C. Doty-Humphrey, PractRand) mixes by addition; unlike
    the bits of a shift register, its single bits obey no linear recurrence.
    """
    return seed.generate_state(4 * n_streams, np.uint64).astype(np.uint64).reshape(4, n_streams)


@kernel
def next_word(streams: NDArray[np.uint64], j: int) -> int:
    """Return 64 random bits of stream j."""
    a, b, c, counter = streams[0, j], streams[1, j], streams[2, j], streams[3, j]
    word = a + b + counter
    streams[0, j] = b ^ (b >> np.uint64(11))
    streams[1, j] = c + (c << np.uint64(3))
    streams[2, j] = ((c << np.uint64(24)) | (c >> np.uint64(40))) + word
    streams[3, j] = counter + np.uint64(1)
    return word


@kernel
def exchange(
    column: NDArray[np.int64],
    energy: NDArray[np.float64],
    ladder: NDArray[np.float64],
    first: int,
    streams: NDArray[np.uint64],
) -> None:
    """Exchange replicas on the rungs (first, first + 1), (first + 2, first + 3), ... of each chain.

    An exchange has the probability min(1, exp((beta - beta') (E - E'))) (Hukushima and Nemoto, J. Phys. Soc. Jpn. 65,
    1604, 1996).
    """
    n_chains, n_rungs = column.shape
    for chain in range(n_chains):
        for rung in range(first, n_rungs - 1, 2):
            a, b = column[chain, rung], column[chain, rung + 1]
            exponent = (ladder[rung] - ladder[rung + 1]) * (energy[a] - energy[b])
            if np.int64(next_word(streams, chain) >> np.uint64(11)) * _ULP_53 < np.exp(min(exponent, 0.0)):
                column[chain, rung], column[chain, rung + 1] = b, a
