"""The local energy of a calibration: which windows, and its fit to the rows of the training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from .._lattice.symmetry import symmetric_copies, symmetry_sampler
from .._lattice.terms import TermSum
from .._local.estimator import LocalHamiltonian
from .._local.fitting import learn
from .._local.parameters import MOST_PATTERNS
from .._local.parameters import plan as local_plan
from .._local.reading import Data
from .._utils.alphabet import Alphabet
from .._utils.warn import warn

# Sites that a fit reads at most.
_MOST_SITES = 2**24
_WIDTHS = (3, 2)


def window_width(alphabet: Alphabet, n_axes: int) -> int | None:
    """Return how wide windows are: 3, or 2 if there are too many patterns for a table, or None for far too many.

    Angles need no table of patterns.
    """
    if alphabet.period:
        return _WIDTHS[0]
    possible = [width for width in _WIDTHS if alphabet.n_states ** (width**n_axes) <= MOST_PATTERNS]
    return possible[0] if possible else None


def fitted_energy(
    codes: NDArray[np.integer],
    alphabet: Alphabet,
    lattice_shape: tuple[int, ...],
    symmetries: tuple[str, ...],
    seed: np.random.SeedSequence,
) -> TermSum:
    """Return the local energy of periodic lattices, in units of their temperature, by pseudo-likelihood.

    Codes are those of ``alphabet.fine``. A local energy has no symmetry of renamed states but the exchange of opposite
    ones, so every row is renamed at random instead.
    """
    if "permutation" in symmetries:
        renaming = symmetry_sampler(lattice_shape, ("permutation",), alphabet.n_states)
        codes = symmetric_copies(codes.astype(np.int8), renaming, np.random.default_rng(seed), group=1)
        opposite = np.array_equal(alphabet.states, -alphabet.states[::-1])
        symmetries = tuple(sorted(set(symmetries) - {"permutation"} | ({"spin-flip"} if opposite else set())))
    width = window_width(alphabet, len(lattice_shape))
    assert width is not None  # checked with the parameters
    local = LocalHamiltonian(
        lattice_shape=lattice_shape,
        boundary="periodic",
        window_shape=width,
        symmetries=symmetries,
        states="angle" if alphabet.period else alphabet.states,
        random_state=int(seed.generate_state(1)[0]),
    )
    n = len(codes)
    data = Data(alphabet.fine.states[codes], None, np.broadcast_to(1.0, n), np.broadcast_to(1.0, n))
    made = local_plan(local, n, codes.shape[1], alphabet)
    learned = learn(local, made, data, None, lambda iteration, loss: False)
    if not learned.pop("converged"):
        warn(
            f"the local energy of the calibration has not converged in {made.max_iter} steps: pass calibrate='smooth', "
            "or a fitted LocalHamiltonian as calibrate",
            ConvergenceWarning,
        )
    known = {"states_": alphabet.states, "lattice_shape_": lattice_shape, "window_shape_": made.geometry.window_shape}
    local.__dict__.update(**learned, **known)
    return local._term_sum(None, alphabet.states)


def rows_read(n_rows: int, n_sites: int, rng: np.random.Generator) -> NDArray[np.intp] | slice:
    """Return which of the rows a fit reads: all, or as many as it can use."""
    most = max(1, _MOST_SITES // n_sites)
    return slice(None) if n_rows <= most else np.sort(rng.choice(n_rows, most, replace=False))
