"""The alphabet: the values that a site may take, and configurations as codes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .checks import as_array
from .mapped import release_pages

_BLOCK = 4096  # rows read at a time


MAX_STATES = 64


@dataclass(frozen=True, eq=False)
class Alphabet:
    r"""The values that a site may take, as a network sees them.

    A network is shown the row of `inputs` that belongs to the state of a site, and returns `n_outputs` numbers y for
    each site. The logits of the states are :math:`B y` with the matrix `basis` B. Two states share one input, -1 or 1,
    and have the logits 0 and y; more states are shown one-hot, and each has a logit of its own.
    """

    states: NDArray[Any]  # (n_states,), ascending
    inputs: NDArray[np.float64]  # (n_states, n_inputs)
    basis: NDArray[np.float64]  # (n_states, n_outputs), the identity if there are as many outputs as states

    @classmethod
    def of_numbers(cls, states: NDArray[Any]) -> Self:
        """Return the alphabet of numbers that have nothing to do with each other."""
        if len(states) == 2:
            return cls(states, np.array([[-1.0], [1.0]]), np.array([[0.0], [1.0]]))
        return cls(states, np.eye(len(states)), np.eye(len(states)))

    @property
    def n_states(self) -> int:
        return len(self.states)

    @property
    def n_inputs(self) -> int:
        return self.inputs.shape[1]

    @property
    def n_outputs(self) -> int:
        return self.basis.shape[1]

    def show(self, codes: NDArray[np.int8], dtype: type = np.float64) -> NDArray[np.floating]:
        """Return what codes (n, n_sites) show to a network, (n, n_sites * n_inputs)."""
        if self.n_states == 2:  # four times faster than a look-up
            low, high = self.inputs[:, 0].astype(dtype)
            return (high - low) * codes.astype(dtype) + low
        return self.inputs.astype(dtype)[codes].reshape(len(codes), -1)

    def logits(self, outputs: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the logits (..., n_states) of the states from the outputs (..., n_outputs) of a network."""
        if self.n_outputs == self.n_states:
            return outputs
        return outputs @ self.basis.T.astype(outputs.dtype)

    def encode(self, X: NDArray[Any]) -> NDArray[np.int8]:
        """Return X as codes 0 ... n_states - 1; X was checked before."""
        return encode(X, self.states)

    def encode_checked(self, X: NDArray[Any], first_row: int = 0) -> NDArray[np.int8]:
        """Return X as codes 0 ... n_states - 1, or raise an error with the first value that is not a state."""
        return encode_states(X, self.states, first_row)


def learn_states(X: NDArray[Any], states: Any = "auto") -> NDArray[Any]:
    """Return the alphabet of X, ascending, in the smallest integer type (float64 if values are not integers)."""
    if isinstance(states, str):
        if states != "auto":
            raise ValueError(f"states must be 'auto' or the values a site may take, got {states!r}")
        found = _unique(X)
        if np.any(found != np.round(found)):
            raise ValueError(
                f"X holds {found[found != np.round(found)][0].item()!r}, which is not an integer: pass states=, or bin "
                "continuous values with sklearn.preprocessing.KBinsDiscretizer, or images with a threshold"
            )
        if len(found) == 1:
            raise ValueError(
                f"X holds one state only, {found[0].item()!r}: pass all values of a site, such as states=(-1, 1)"
            )
    else:
        found = np.unique(as_array(states))
        if found.dtype.kind not in "iufb" or len(found) < 2 or not np.all(np.isfinite(found)):
            raise ValueError(f"states must be 'auto' or at least two finite numbers, got {states!r}")
    if len(found) > MAX_STATES:
        raise ValueError(
            f"a site may take at most {MAX_STATES} states, got {len(found)}: "
            "bin X with sklearn.preprocessing.KBinsDiscretizer"
        )
    if np.all(found == np.round(found)):
        if (dtype := smallest_integer(int(found[0]), int(found[-1]))) is None:
            raise ValueError(f"states must be integers of at most 64 bits, got {found.tolist()}: number them 0, 1, ...")
        found = found.astype(dtype)
    if not isinstance(states, str):
        for start in range(0, len(X), _BLOCK):
            encode_states(X[start : start + _BLOCK], found, first_row=start)
    return found


def smallest_integer(low: int, high: int) -> np.dtype | None:
    """Return the smallest signed integer type that holds all values from `low` to `high`; None beyond 64 bits."""
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return None


def _unique(X: NDArray[Any]) -> NDArray[Any]:
    """Return the sorted distinct values of X, read block by block."""
    found = np.empty(0, X.dtype)
    for start in range(0, len(X), _BLOCK):
        found = np.union1d(found, X[start : start + _BLOCK])
        release_pages(X)
        if len(found) > 2**16:
            break
    return found


def encode_states(X: NDArray[Any], states: NDArray[Any], first_row: int = 0) -> NDArray[np.int8]:
    """Return X as codes 0 ... n_states - 1 (int8), or raise an error with the first value that is not a state."""
    codes = encode(X, states)
    unseen = states[codes] != X
    if unseen.any():
        row, column = np.argwhere(unseen)[0]
        raise ValueError(
            f"X holds {X[row, column].item()!r} (row {first_row + row}, column {column}), "
            f"which is not one of the states {states.tolist()}"
        )
    return codes


def encode(X: NDArray[Any], states: NDArray[Any]) -> NDArray[np.int8]:
    """Return X as codes 0 ... n_states - 1 (int8); X was checked before."""
    if len(states) == 2:
        return np.equal(X, states[1]).astype(np.int8)
    return np.minimum(np.searchsorted(states, X), len(states) - 1).astype(np.int8)


def enumerate_states(states: np.ndarray, n_sites: int) -> np.ndarray:
    """Return all len(states)^n_sites configurations, with the last site changing fastest."""
    states = np.asarray(states)
    return states[np.indices((len(states),) * n_sites).reshape(n_sites, -1).T]
