"""From a plan of training and checked configurations to fitted attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from .._lattice.symmetry import symmetry_sampler
from .._utils.alphabet import Alphabet
from .._utils.checks import check_ordering
from .._utils.mapped import release_pages
from .._utils.memory import check_memory
from .._utils.progress import Progress
from .._utils.warn import warn
from .calibration import restored
from .calibration_choice import MIN_ROWS, chosen_calibration
from .network import Array, Codes, Network, batches, log_prob, score_codes
from .parameters import TrainingPlan

if TYPE_CHECKING:
    from .training import History, MaskedNetwork, TrainingRows

_N_COVARIANCE_ROWS = 20_000
_LEAST_SHRINKAGE = 1e-6
# Rows held back at most to check the calibration.
_MAX_HELD_OUT = 20_000


def learn(
    plan: TrainingPlan,
    X: NDArray[Any],
    counts: NDArray[np.intp] | None,
    ordering: str | ArrayLike,
    seed: np.random.SeedSequence,
    epoch_done: Callable[[], bool],
    start: Network | None = None,
) -> dict[str, Any]:
    """Return the fitted attributes of a MADEHamiltonian by name.

    `counts` says how often each row counts (None: once). `epoch_done()` is called after each epoch and returns whether
    to stop. Training continues from the network `start` if there is one.
    """
    from .training import DivergedError, MaskedNetwork, TrainingRows, Whitening, train

    weight_seed, batch_seed, other_seed = seed.spawn(3)
    rng = np.random.default_rng(other_seed)
    ordering = check_ordering(ordering, plan.n_sites, rng) if start is None else start.ordering
    if counts is not None:
        check_memory((int(counts.sum()),), np.intp, "the rows that sample_weight counts")
    split = _split(plan, np.arange(len(X)) if counts is None else np.repeat(np.arange(len(X)), counts), rng)
    symmetry = symmetry_sampler(plan.lattice_shape, plan.symmetries, plan.alphabet.n_states)
    rows = TrainingRows(partial(_take, X, plan.alphabet), *split, ordering, symmetry)
    shape = (plan.n_sites, plan.alphabet, plan.hidden, plan.activation, plan.skip_connections)
    whitening = Whitening(*_whitening(rows, plan.alphabet.states, rng)) if plan.whiten else None
    network = MaskedNetwork(*shape, int(weight_seed.generate_state(1)[0]), whitening)
    if start is not None:
        _check_shape(start, shape)
        network.load(start)
    network = _on(plan.device, network)
    schedule = replace(plan.schedule, batch_size=min(plan.schedule.batch_size, len(rows.train)))
    progress = Progress(plan.verbose, "MADEHamiltonian", "epoch", schedule.max_iter)
    try:
        fitted, history = train(network, rows, schedule, batch_seed, partial(_report, progress, epoch_done))
    except DivergedError as error:
        raise DivergedError(f"the loss became NaN or infinite in {error}: lower learning_rate_init") from None
    if history.stopped:
        message = f"the loss became NaN or infinite in {history.stopped}: an earlier epoch is kept"
        warn(f"{message}, lower learning_rate_init", ConvergenceWarning)
    if plan.calibrate is not None:
        progress.say("calibration")
    calibration = chosen_calibration(
        plan, fitted, rows, partial(_take, X, plan.alphabet.fine), rng, other_seed.spawn(1)[0]
    )
    return _attributes(plan, sum(map(len, split)), fitted, history, calibration)


def _on(device: str, network: MaskedNetwork) -> MaskedNetwork:
    try:
        return network.to(str(device))
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise ValueError(f"device must be one that torch has, such as 'cpu', got {device!r}: {error}") from error


def _whitening(rows: TrainingRows, states: NDArray[Any], rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the values of the states, and the mean and the inverse Cholesky factor of the sites' covariance."""
    from sklearn.covariance import ledoit_wolf  # takes long to import

    chosen = np.sort(rng.choice(rows.train, min(len(rows.train), _N_COVARIANCE_ROWS), replace=False))
    codes = rows.minibatch(chosen, rng, 16)
    values = np.array([-1.0, 1.0]) if len(states) == 2 else states / np.abs(states).max()
    v = values[codes]
    covariance, shrinkage = ledoit_wolf(v)  # shrunk, so that few rows do
    if not np.any(covariance):
        return values, v.mean(axis=0), np.eye(v.shape[1])
    # Rows that differ in their sign only have no spread of v v^T, and are not shrunk at all.
    covariance += max(0, _LEAST_SHRINKAGE - shrinkage) * np.trace(covariance) / len(covariance) * np.eye(v.shape[1])
    return values, v.mean(axis=0), solve_triangular(np.linalg.cholesky(covariance), np.eye(v.shape[1]), lower=True)


def _check_shape(network: Network, shape: tuple[Any, ...]) -> None:
    _, alphabet, hidden, activation, skip = shape
    present = (network.n_states, tuple(map(len, network.biases[:-1])), network.activation, network.skip is not None)
    if present != (alphabet.n_states, hidden, activation, skip):
        raise ValueError(
            f"training can't go on with other parameters: n_states, hidden_layer_sizes, activation and "
            f"skip_connections were {present}, got {(alphabet.n_states, hidden, activation, skip)}"
        )


def _take(X: NDArray[Any], alphabet: Alphabet, rows: NDArray[np.intp]) -> Codes:
    """Return the codes of some rows. A memory-mapped X is read in blocks, since each row maps a whole neighbourhood."""
    codes: NDArray[Any] = np.empty((len(rows), X.shape[1]), alphabet.code_type)
    for block in gen_batches(len(rows), 64):
        codes[block] = alphabet.encode(X[rows[block]])
        release_pages(X)
    return codes


def _split(
    plan: TrainingPlan, rows: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on, and those held back for early stopping or the calibration."""
    early_stopping, n_samples = plan.schedule.patience is not None, len(rows)
    if not (early_stopping or (plan.calibrate is not None and n_samples >= MIN_ROWS)):
        return rows, rows[:0]
    n_held_out = math.ceil(plan.validation_fraction * n_samples)
    if not early_stopping:
        n_held_out = min(n_held_out, _MAX_HELD_OUT)
    if n_held_out >= n_samples:
        raise ValueError(
            f"early_stopping holds back {n_held_out} of n_samples={n_samples}, which leaves none to train on"
        )
    rows = rng.permutation(rows)
    return rows[n_held_out:], rows[:n_held_out]


def _attributes(
    plan: TrainingPlan, n_samples: int, fitted: Network, history: History, calibration: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the fitted attributes by name."""
    return {
        "coefs_": list(fitted.weights),
        "intercepts_": list(fitted.biases),
        "skip_coef_": fitted.skip,
        "ordering_": fitted.ordering,
        "activation_": plan.activation,
        "calibration_": calibration,
        "states_": plan.alphabet.states,
        "is_angle_": plan.alphabet.period > 0,
        "loss_curve_": history.loss,
        "validation_scores_": history.validation or None,
        "n_iter_": len(history.loss),
        "temperature_": plan.temperature,
        "n_samples_seen_": n_samples,
    }


def _report(progress: Progress, epoch_done: Callable[[], bool], epoch: int, history: History) -> bool:
    """Tell the user how far it is, and return whether to stop."""
    held_out = f", held-out log-likelihood {history.validation[-1]:.4f}" if history.validation else ""
    progress.done(note=f"loss {history.loss[-1]:.4f} nats{held_out}")
    return epoch_done()


def score(network: Network, X: NDArray[Any]) -> NDArray[np.float64]:
    """Return log p of every row of X, per radian and site for angles, or raise naming a value that is no state."""
    network = network.astype(np.float64)
    shift = network.n_sites * network.alphabet.log_cell
    each = (network.alphabet.encode_checked(X[rows], rows.start) for rows in batches(network, len(X)))
    return np.concatenate([log_prob(network, codes) for codes in each]) - shift


def energy_errors(network: Network, codes: Codes, log_p: Array | None = None) -> Array | None:
    """Return the change of log p of every row by one standard error of each parameter; None if it is unknown."""
    if network.calibration is None or not len(network.calibration.mean_errors):
        return None
    return network.calibration.energy_errors(score_codes(network, codes) if log_p is None else log_p, codes)


def calibrated(network: Network, calibration: Mapping[str, Any] | None) -> Network:
    """Return the network with the calibration of its estimator, if there is one."""
    if calibration is None:
        return network
    return replace(network, calibration=restored(calibration, network.n_states))


def joined_scores(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[float] | None:
    """Return the held-out scores of the epochs of two fits, nan for epochs without, one for each loss."""
    before, after = earlier["validation_scores_"], later["validation_scores_"]
    if before is None and after is None:
        return None
    return (before or [math.nan] * len(earlier["loss_curve_"])) + (after or [math.nan] * len(later["loss_curve_"]))
