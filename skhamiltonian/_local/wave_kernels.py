"""Kernel of waves: their values at some sites."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._utils.compile import kernel


@kernel
def add_fields(
    codes: NDArray[np.integer],
    places: NDArray[np.int64],
    factors: NDArray[np.complex64],
    kinds: NDArray[np.int64],
    z: NDArray[np.complex64],
    out: NDArray[np.complex64],
) -> None:
    """Add factors[t, j] z[t, :, codes[:, places[t, j]]] to out[:, kinds[t]] for both j and every term t.

    z is (n_terms, n_codes, K), and `out` is (n, n_kinds, K).
    """
    for i in range(len(codes)):
        for t in range(len(kinds)):
            first, second, c = codes[i, places[t, 0]], codes[i, places[t, 1]], kinds[t]
            for k in range(z.shape[2]):
                out[i, c, k] += factors[t, 0] * z[t, first, k] + factors[t, 1] * z[t, second, k]
