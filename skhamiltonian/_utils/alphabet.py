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
# Points of the grid of angles. The trapezoid rule on it is exact to 1e-6 for conditionals down to T = 0.04.
_N_ANGLES = 64
# Points of the grid of measured angles where nothing is summed over it. Rounding to 64 points lowers the couplings of
# pairs by 0.2 %, rounding to these by 0.001 %.
_N_FINE_ANGLES = 1024
# Harmonics that a site shows, and those of its conditional law.
_INPUT_HARMONICS, _OUTPUT_HARMONICS = 2, 4
# Angles in degrees spread wider than this, and lie between -180 and 360; radians do so only after eight turns.
_SPREAD_OF_DEGREES = 50
_NO_ANGLES = ", but angles are in radians: state k of a clock with q states is 2 * np.pi * k / q"


@dataclass(frozen=True, eq=False)
class Alphabet:
    r"""The values that a site may take, as a network sees them.

    A network is shown the row of `inputs` that belongs to the state of a site, and returns `n_outputs` numbers y for
    each site. The logits of the states are :math:`B y` with the matrix `basis` B. Two states share one input, -1 or 1,
    and have the logits 0 and y; more states are shown one-hot, and each has a logit of its own. Angles on a grid are
    shown as cos(k t) and sin(k t), and their logits are a Fourier series, as T0/T times it is, too.
    """

    states: NDArray[Any]  # (n_states,), ascending
    inputs: NDArray[np.float64]  # (n_states, n_inputs)
    basis: NDArray[np.float64]  # (n_states, n_outputs), the identity if there are as many outputs as states
    period: float = 0.0  # of angles; 0 for numbers

    @classmethod
    def of_numbers(cls, states: NDArray[Any]) -> Self:
        """Return the alphabet of numbers that have nothing to do with each other."""
        if len(states) == 2:
            return cls(states, np.array([[-1.0], [1.0]]), np.array([[0.0], [1.0]]))
        return cls(states, np.eye(len(states)), np.eye(len(states)))

    @classmethod
    def of_angles(cls, n: int = _N_ANGLES) -> Self:
        """Return the alphabet of angles in radians, on a grid of n points."""
        angles = 2 * np.pi * np.arange(n) / n
        return cls(angles, waves(angles, _INPUT_HARMONICS), waves(angles, _OUTPUT_HARMONICS), 2 * np.pi)

    @property
    def fine(self) -> Alphabet:
        """The alphabet that measured values are rounded to: a finer grid of angles, or the same states."""
        return FINE_ANGLES if self.period else self

    @property
    def n_states(self) -> int:
        return len(self.states)

    @property
    def code_type(self) -> type[np.int8] | type[np.int16]:
        return np.int8 if self.n_states <= MAX_STATES else np.int16

    @property
    def log_cell(self) -> float:
        """The logarithm of the interval that a state stands for: densities are per radian. 0 for numbers."""
        return float(np.log(self.period / self.n_states)) if self.period else 0.0

    @property
    def vectors(self) -> NDArray[np.float64]:
        """What a state adds to the order parameter, (n_states, n_components); a field couples to the first."""
        return waves(self.states, 1) if self.period else self.states.astype(np.float64)[:, None]

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

    def encode(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return X as codes 0 ... n_states - 1; X was checked before."""
        if self.period:
            turned = np.mod(X, self.period, dtype=np.float64)  # half precision would miss the nearest point
            return (np.rint(turned * (self.n_states / self.period)) % self.n_states).astype(self.code_type)
        return encode(X, self.states)

    def encode_checked(self, X: NDArray[Any], first_row: int = 0) -> NDArray[Any]:
        """Return X as codes 0 ... n_states - 1, or raise an error with the first value that is not a state."""
        if self.period:
            _refuse_integers(X)
            refuse_degrees(X)
            return self.encode(X)
        return encode_states(X, self.states, first_row)

    def order(self, codes: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return how far the mean state of each configuration is from the middle of all states, (n,)."""
        if self.period:
            return np.linalg.norm(self.vectors[codes].mean(axis=1), axis=1)
        return np.abs(codes.mean(axis=1) / (self.n_states - 1) - 0.5)


def waves(angles: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return cos(k t) and sin(k t) of angles t for k = 1 ... n, (n_angles, 2 n)."""
    k = np.arange(1, n + 1)
    return np.concatenate([np.cos(np.outer(angles, k)), np.sin(np.outer(angles, k))], axis=1)


ANGLES = Alphabet.of_angles()
FINE_ANGLES = Alphabet.of_angles(_N_FINE_ANGLES)


def learn_alphabet(X: NDArray[Any], states: Any) -> Alphabet:
    """Return the alphabet of X: angles if `states` is "angle", else the states given or, for "auto", those found."""
    if isinstance(states, str) and states == "angle":
        refuse_what_is_no_angle(X)
        return Alphabet.of_angles()
    if isinstance(states, str) and states != "auto":
        raise ValueError(f"states must be 'auto', 'angle' or the values a site may take, got {states!r}")
    return Alphabet.of_numbers(learn_states(X, states))


def _refuse_integers(X: NDArray[Any]) -> None:
    if X.dtype.kind in "iub":
        raise ValueError(f"X holds integers ({X.dtype}){_NO_ANGLES}")


def refuse_what_is_no_angle(X: NDArray[Any]) -> None:
    """Raise ValueError for integers, and for angles that seem to be in degrees."""
    _refuse_integers(X)
    low, high, whole = np.inf, -np.inf, True
    for start in range(0, len(X), _BLOCK):
        rows = X[start : start + _BLOCK]
        low, high = min(low, float(rows.min())), max(high, float(rows.max()))
        whole = whole and bool((rows == np.round(rows)).all())
        release_pages(X)
    if whole and (low or high):
        raise ValueError(f"X holds whole numbers only, from {low:g} to {high:g}{_NO_ANGLES}")
    _refuse_range_of_degrees(low, high)


def refuse_degrees(X: NDArray[Any]) -> None:
    """Raise ValueError if angles seem to be in degrees."""
    if X.size:
        _refuse_range_of_degrees(float(X.min()), float(X.max()))


def _refuse_range_of_degrees(low: float, high: float) -> None:
    if low >= -180 and high <= 360 and high - low > _SPREAD_OF_DEGREES:
        raise ValueError(
            f"X seems to hold degrees, from {low:g} to {high:g}, but angles are in radians: pass np.deg2rad(X), "
            "or np.mod(X, 2 * np.pi) if they are radians"
        )


def learn_states(X: NDArray[Any], states: Any = "auto") -> NDArray[Any]:
    """Return the alphabet of X, ascending, in the smallest integer type (float64 if values are not integers)."""
    if isinstance(states, str):
        if states != "auto":
            raise ValueError(f"states must be 'auto' or the values a site may take, got {states!r}")
        found = _unique(X)
        if np.any(found != np.round(found)):
            raise ValueError(
                f"X holds {found[found != np.round(found)][0].item()!r}, which is not an integer: pass states=, "
                "for angles in radians states='angle', or bin continuous values with "
                "sklearn.preprocessing.KBinsDiscretizer, or images with a threshold"
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
        value, known = X[row, column].item(), states.tolist()
        raise ValueError(
            f"X holds {value!r} (row {first_row + row}, column {column}), which is not one of the states {known}: "
            f"if it is a state, too, pass states={sorted([*known, value])} to the estimator and fit it again"
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
