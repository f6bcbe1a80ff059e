"""The result of a sampler for one temperature, and an average with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_SMALLEST_EXPONENT, _LARGEST_EXPONENT = -5, 8  # of numbers that are written without one
_NO_NUMBER = 1e-300  # powers of ten below have no digits


class Estimate(NamedTuple):
    """A value and its standard error: numbers, or arrays of the same shape.

    Parameters
    ----------
    value : float or ndarray
        The value.
    error : float or ndarray
        Its standard error.

    Examples
    --------
    >>> from skhamiltonian import Estimate
    >>> value, error = Estimate(0.71, 0.02)
    """

    value: np.ndarray | float
    error: np.ndarray | float


@dataclass(frozen=True)
class Draws:
    r"""The result of a sampler for one temperature: configurations, their energies and weights, and diagnostics.

    Chains, along the first axis, are statistically independent of each other: they have independent starts, or are
    independent populations of weighted draws. Draws of one chain may be correlated.

    Parameters
    ----------
    configurations : ndarray of shape (n_chains, n_draws, n_sites)
        States of all sites.
    energy : ndarray of shape (n_chains, n_draws), default=None
        Total energy of each configuration, including the energy in an external field. None if it is unknown.
    log_weight : ndarray of shape (n_chains, n_draws), default=None
        Logarithm of the weight of each configuration, up to a constant. None if all weights are equal.
    log_partition : ndarray of shape (n_chains,), default=None
        Independent estimates of :math:`\ln \sum_s e^{-H(s)/T}`, one per chain. None if it is unknown.
    acceptance : float, default=nan
        Share of the proposals that were accepted.
    frozen : bool, default=False
        Whether the chains are stuck near their start.
    method : str, default=""
        How the configurations were drawn.
    autocorrelation_time : float, default=nan
        Integrated autocorrelation time of the slowest of energy, magnetization and overlap, in sweeps; 1 if draws are
        independent.
    effective_sample_size : float, default=nan
        Number of independent configurations with the same information as the draws.
    energy_errors : ndarray of shape (n_chains, n_draws, n_parameters), default=None
        Change of the energy of each configuration by one standard error of each of several independent parameters of
        the energy, such as learned couplings. `phase_curve` adds what follows from it to its errors. None if the
        energy is exact or its error is unknown.

    Raises
    ------
    ValueError
        If the arrays have other shapes, a weight is not a number or infinite, or all weights of a chain vanish.

    Examples
    --------
    >>> from skhamiltonian import IsingSampler
    >>> draws = IsingSampler(lattice_shape=(4, 4), temperature=2.5).draws(n_samples=100, random_state=0)
    >>> draws.configurations.shape[2], draws.energy.shape == draws.configurations.shape[:2]
    (16, True)
    """

    configurations: np.ndarray
    energy: np.ndarray | None = None
    log_weight: np.ndarray | None = None
    log_partition: np.ndarray | None = None
    acceptance: float = math.nan
    frozen: bool = False
    method: str = ""
    autocorrelation_time: float = math.nan
    effective_sample_size: float = math.nan
    energy_errors: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.configurations)
        if len(shape) != 3 or not isinstance(self.configurations, np.ndarray):
            raise ValueError(f"configurations must be an array (n_chains, n_draws, n_sites), got shape {shape}")
        for name, each in (("energy", "configuration"), ("log_weight", "configuration"), ("log_partition", "chain")):
            wanted, value = shape[:1] if each == "chain" else shape[:2], getattr(self, name)
            if value is not None and np.shape(value) != wanted:
                raise ValueError(f"there must be one {name} per {each}, {wanted} of them, got {np.shape(value)}")
            if name == "energy" or value is None:
                continue
            largest = np.max(value, axis=-1, initial=-math.inf)  # of the draws of each chain, or of all chains
            if 0 not in wanted and not np.all(np.isfinite(largest)):
                raise ValueError(f"{name} must have a finite largest value, got {largest[~np.isfinite(largest)][0]}")


def with_error(value: float, error: float) -> str:
    """Return `value` with its error in units of the last digit, as 0.6713(23) or 6.713(23)e-9; 0.67(?) if unknown."""
    if math.isnan(error):
        return f"{value:.5g}(?)"
    if not (1e-9 * abs(value) < error < math.inf):  # infinite, or only rounding
        return f"{value:.5g}"
    exponent = math.floor(math.log10(max(abs(value), error, _NO_NUMBER)))
    if not _SMALLEST_EXPONENT <= exponent <= _LARGEST_EXPONENT:
        return f"{with_error(value / 10.0**exponent, error / 10.0**exponent)}e{exponent}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f}({error * 10**decimals:.0f})"
