"""The rules by which the chains of a learned model accept a proposal."""

from __future__ import annotations

import numpy as np

from ..network import Array

RULES = ("metropolis", "heat-bath")
# Chance that Metropolis skips a site. Without skips the visit of all sites in turn is not ergodic: at infinite
# temperature, at which every proposal is accepted, it would only flip the whole lattice.
LAZINESS = 1 / 8


def threshold(uniform: Array, rule: str) -> Array:
    r"""Return the rise of log w that a proposal must exceed, infinite for a proposal that is skipped.

    With u uniform in (0, 1), a proposal with the weight w' is accepted if :math:`\ln w' - \ln w` exceeds

    .. math:: \ln u \;\text{(metropolis: probability } \min(1, w'/w)), \qquad
              \ln \frac{u}{1 - u} \;\text{(heat-bath: probability } w'/(w + w')).

    "metropolis" skips a proposal with probability 1/8, and takes u from the rest of the interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if rule == "heat-bath":
            return np.log(uniform) - np.log1p(-uniform)
        lazy = uniform < LAZINESS
        return np.where(lazy, np.inf, np.log((uniform - LAZINESS) / (1 - LAZINESS)))
