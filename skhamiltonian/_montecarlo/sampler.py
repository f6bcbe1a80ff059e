"""What a sampler hands over for one temperature, and an average with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Draws:
    """What a sampler hands over for one temperature.

    Chains (first axis) are statistically independent of each other: independent starts, or independent
    populations of weighted draws. Draws inside a chain may be correlated, or share ancestors.
    """

    configurations: np.ndarray  # (n_chains, n_draws, n_sites)
    energy: np.ndarray | None  # (n_chains, n_draws), total, external field included; None: unknown
    log_weight: np.ndarray | None = None  # (n_chains, n_draws), unnormalised; None: equal weights
    log_partition: np.ndarray | None = None  # (n_chains,) independent estimates of ln sum_s exp(-H(s)/T); None: unknown
    acceptance: float = math.nan
    frozen: bool = False  # whether chains hardly move from where they start


class Estimate(NamedTuple):
    """A value and its standard error: numbers, or arrays of the same shape."""

    value: np.ndarray | float
    error: np.ndarray | float


def with_error(value, error):
    """Return `value` with its error in units of the last digit, 0.6713(23); without one where it has none."""
    if not (1e-9 * abs(value) < error < math.inf):  # none, or nothing but rounding
        return f"{value:.5g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f}({error * 10**decimals:.0f})"
