"""Warnings of a fit: the data contradict an assumption of the model, or its draws are unlike the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from .._lattice.conserved import conserved, named
from .._lattice.refuted import warn_of_refuted
from .._utils.warn import warn
from .network import Network, score_codes
from .parameters import TrainingPlan
from .sampling.chains import R_HAT_LIMIT, ChainDraws
from .sampling.law import Law
from .sampling.tempered import Population, equal_weight_codes, independent_populations

_N_DRAWS = 1000
# Number of draws, and of rows at most, to compare; largest difference of their means in standard errors.
_N_COMPARED, _N_ERRORS = 2048, 5
# Weights whose logarithm varies by more than 1.7 (a share of exp(-1.7^2) of the draws) have tails that draws miss.
_POOR_SHARE = 0.05

_TRAINING = (
    "If loss_curve_ still falls, raise max_iter. If rows are few and the network remembers them, use symmetries, "
    "sparsity or more rows"
)
_FIELD = (
    "If rows are independent, the calibration has missed a weak field: pass calibrate='smooth' or more rows. If they "
    'hardly flip, as one chain below a transition, "spin-flip" is a symmetry'
)
IS_WINDOW = (
    "the configurations look like windows of something larger, and the law of windows at another temperature is not "
    "the power of their law at T0 = {:g}: fit a LocalHamiltonian, whose sampler has lattices of every size and "
    "temperature"
)


def warn_of_doubts(X: NDArray[Any], counts: NDArray[np.intp] | None, plan: TrainingPlan, network: Network) -> None:
    """Warn of symmetries that the data refute, and of sums that all rows have in common and draws have not.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations that the model was fitted to.
    counts : ndarray of shape (n_samples,) or None
        How often each row counts.
    plan : TrainingPlan
        The plan of training, with the lattice, its symmetries and the alphabet.
    network : Network
        The model.
    """
    if plan.symmetries:
        warn_of_refuted(X, plan.lattice_shape, plan.symmetries, counts, plan.alphabet.period > 0)
    states = plan.alphabet.states
    laws = [] if plan.alphabet.period else conserved(X, states, plan.lattice_shape)  # angles have no sum
    if not laws:
        return
    draws = states[equal_weight_codes(network, _N_DRAWS, Law(1.0), np.random.SeedSequence(0))]
    breaks = ~np.all([law.holds(draws) for law in laws], axis=0)
    warn(
        f"all rows of X have the same value of {named(laws)}, which the model does not conserve: "
        f"{100 * np.mean(breaks):.2g} % of its draws at the temperature of X have another value, and up to all at "
        "other temperatures. Averages over the draws with this value are right, but entropies are not. Discard the "
        "other draws"
    )


def some_rows(n_rows: int, counts: NDArray[np.intp] | None) -> NDArray[np.intp]:
    """Return the numbers of rows to compare draws with, each in proportion to its count."""
    total = n_rows if counts is None else int(counts.sum())
    chosen = np.arange(min(total, _N_COMPARED)) * total // min(total, _N_COMPARED)
    return chosen if counts is None else np.searchsorted(np.cumsum(counts), chosen, side="right")


def warn_of_unlike_draws(
    X: NDArray[Any],
    counts: NDArray[np.intp] | None,
    temperature: float,
    model: tuple[Network, Law],
    magnetization: Callable[[NDArray[Any]], NDArray[np.float64]],
    calibration: dict[str, Any] | None = None,
) -> None:
    """Warn if draws at the temperature of the data have another energy or order parameter than X, or if few count.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations that the model was fitted to.
    counts : ndarray of shape (n_samples,) or None
        How often each row counts.
    temperature : float
        Temperature T0 of X.
    model : tuple of Network and Law
        The model, and the law of its draws at T0.
    magnetization : callable
        The order parameter of configurations.
    calibration : dict, default=None
        What corrects the model.
    """
    _warn_of_poor_proposals(calibration)
    X, (network, law) = X[some_rows(len(X), counts)], model
    draws = independent_populations(network, _N_COMPARED, law, np.random.SeedSequence(0))
    energy = -temperature * score_codes(network, network.alphabet.encode(X))
    drawn_energy = [-temperature * population.log_prob for population in draws]
    order = magnetization(X)
    drawn_order = [magnetization(network.alphabet.states[population.codes]) for population in draws]
    compared: list[tuple[str, Any, list[Any], str]] = [
        ("energy per configuration", energy, drawn_energy, _TRAINING),
        ("squared magnetization", order**2, [part**2 for part in drawn_order], _TRAINING),
    ]
    if not network.alphabet.period:  # of angles it is a length
        compared.append(("magnetization", order, drawn_order, _FIELD))
    for what, x, y, cure in compared:
        means = [np.average(part, weights=_weights(population)) for part, population in zip(y, draws, strict=True)]
        error = math.hypot(x.std() / math.sqrt(len(x)), np.std(means, ddof=1) / math.sqrt(len(means)))
        distance = abs(x.mean() - np.mean(means))
        if distance > _N_ERRORS * error and distance > 1e-9 * abs(x).max():
            warn(
                f"Draws at the temperature of X do not resemble X: their mean {what} is {np.mean(means):.4g} instead "
                f"of {x.mean():.4g}, and the standard error of the difference is {error:.2g}. {cure}",
                ConvergenceWarning,
            )
            return


def _warn_of_poor_proposals(calibration: dict[str, Any] | None) -> None:
    """Warn if few draws of the network count, once a local energy has weighted them."""
    share = 1.0 if calibration is None or calibration["method"] != "local" else calibration["effective_share"]
    if share < _POOR_SHARE:
        warn(
            f"Draws at the temperature of X are a poor proposal for the local energy: {100 * share:.2g} % of them "
            "count (calibration_['effective_share']). So curves are noisy, and their errors may be too small. Raise "
            "max_iter, pass more rows or, if states are no angles, use the sampler of a LocalHamiltonian instead",
            ConvergenceWarning,
        )


def _weights(population: Population) -> NDArray[np.float64]:
    return np.exp(population.log_weight - population.log_weight.max())


def warn_of_chains(draws: ChainDraws, temperature: float, method: str) -> None:
    """Warn of chains that hardly move, or do not agree."""
    if draws.frozen:
        ways = [repr(way) for way in ("window", "tempered") if way != method]
        message = (
            f"The chains at temperature={temperature:g} are frozen: method={method!r} accepts "
            f"{100 * draws.acceptance:.2g} % of its proposals, and energies are still those of the start "
            f"(correlation {draws.memory:.2f}): choose method={' or '.join(ways)}"
        )
    elif draws.r_hat > R_HAT_LIMIT:
        message = (
            f"The chains at temperature={temperature:g} do not agree after the longest burn-in (r_hat = "
            f"{draws.r_hat:.2f}, limit {R_HAT_LIMIT}): choose another method, or a larger burn_in"
        )
    else:
        return
    warn(message, ConvergenceWarning)
