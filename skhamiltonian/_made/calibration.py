r"""Calibrations: what corrects log p of a network, a function of (log p, configuration).

The smooth one corrects log p by energy and order parameter,

.. math:: \log p_{cal}(s) = \log p(s) + g(h, r) - \ln \langle e^g \rangle_p

with h the standardised log p(s) and r the standardised order parameter: a weighted sum of the states, or the length
of a weighted sum of vectors, such as those of angles. The local one puts a local energy in the place of log p, which
then only proposes:

.. math:: \log p_{cal}(s) = -H(s) / T_0 - \ln Z, \qquad Z = \langle e^{-H(s) / T_0} / p(s) \rangle_p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.terms import TermSum

Array = NDArray[np.float64]
N_FEATURES = 7
N_NOISE = N_FEATURES + 2


@dataclass(frozen=True)
class Calibration:
    """The density ratio g of data to model, as numbers.

    ``scales`` holds centre and inverse width of log p, the least and largest h of the data, centre and
    inverse width of the order parameter and the largest r^2 of the data. ``coef`` holds the weights of the
    features and, last, what is subtracted. The order parameter of states v is ``v @ direction`` if `states` are
    numbers, (n_states,), and the length of that vector if they are vectors, (n_states, n_components).

    The noise of the rows moves the calibrated log p along its `noise_features`. ``errors``, (N_NOISE, n_parameters),
    are combinations of them with independent coefficients of one standard error; ``mean_errors`` are their means at T0.
    """

    direction: Array
    states: Array
    scales: Array
    coef: Array
    errors: Array
    mean_errors: Array

    def __call__(self, log_prob: NDArray[np.floating], codes: NDArray[np.int8]) -> Array:
        """Return g - ln <e^g> of configurations from their uncalibrated log p."""
        h = features(log_prob, self.order_parameter(codes), self.scales)
        return np.tensordot(self.coef[:-1], h, 1) - self.coef[-1]

    def energy_errors(self, log_prob: NDArray[np.floating], codes: NDArray[np.int8]) -> Array:
        """Return the change of the calibrated `log_prob` by one standard error of each parameter, (n, n_parameters)."""
        return self.noise_features(log_prob, codes).T @ self.errors - self.mean_errors

    def noise_features(self, log_prob: NDArray[np.floating], codes: NDArray[np.int8]) -> Array:
        """Return the features, and the sum m of the states (its length for vectors) and m^2, (N_NOISE, n)."""
        m = order_parameter(self.states, codes, np.ones(codes.shape[1]))
        return np.stack([*features(log_prob, self.order_parameter(codes), self.scales), m, m**2])

    def order_parameter(self, codes: NDArray[np.int8]) -> Array:
        """Return the weighted sum of the states of every configuration."""
        return order_parameter(self.states, codes, self.direction)

    @property
    def contributions(self) -> Array:
        """What each state of each site adds to the order parameter, (n_components, n_sites, n_states)."""
        states = self.states.reshape(len(self.states), -1)
        return np.stack([np.outer(self.direction, component) for component in states.T])


def order_parameter(states: Array, codes: NDArray[np.int8], direction: Array) -> Array:
    """Return the weighted sum of the states of every configuration, or its length if states are vectors."""
    if states.ndim == 1:
        return states[codes] @ direction
    return np.sqrt(sum((component[codes] @ direction) ** 2 for component in states.T))


@dataclass(frozen=True)
class LocalCalibration:
    """log p by a local energy, which is in units of T0; `mean_errors` are the means of its errors at T0."""

    energy: TermSum
    log_normalizer: float
    mean_errors: Array  # (n_parameters,)

    def __call__(self, log_prob: NDArray[np.floating], codes: NDArray[np.int8]) -> Array:
        """Return what is added to the log p of the network."""
        return self.log_prob(codes) - log_prob

    def log_prob(self, codes: NDArray[np.int8]) -> Array:
        """Return -H/T0 - ln Z of every row."""
        return -self.energy.energies(codes) - self.log_normalizer

    def energy_errors(self, log_prob: NDArray[np.floating], codes: NDArray[np.int8]) -> Array:
        """Return the change of -log p of every row by one standard error of each parameter, (n, n_parameters)."""
        return self.energy.energy_errors(codes) - self.mean_errors


def restored(numbers: Mapping[str, Any], n_states: int) -> Calibration | LocalCalibration:
    """Return the calibration whose numbers a fitted estimator stores."""
    if numbers["method"] == "smooth":
        return Calibration(*(numbers[f.name] for f in fields(Calibration)))
    energy = TermSum(n_states, tuple(numbers["sites"]), numbers["table"], numbers["errors"])
    return LocalCalibration(energy, numbers["log_normalizer"], numbers["mean_errors"])


def features(log_prob: Any, order_parameter: Any, scales: Array) -> Any:
    """Return h, h^2, q, q h, q^2, r and r h with q = r^2, of numbers or arrays.

    Beyond the data h^2 goes on as a straight line and q stays, so that a fit to one temperature does not run
    away at another.
    """
    h = (log_prob - scales[0]) * scales[1]
    inside = np.minimum(np.maximum(h, scales[2]), scales[3])
    r = (order_parameter - scales[4]) * scales[5]
    q = np.minimum(r * r, scales[6])
    return h, inside * (2 * h - inside), q, q * h, q * q, r, r * h
