"""From an estimator's parameters and checked configurations to fitted attributes."""

import math
import warnings
from dataclasses import fields, replace
from functools import partial
from itertools import pairwise

import numpy as np
from scipy.linalg import solve_triangular
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from .._lattice.symmetry import SYMMETRIES, images, symmetry_sampler
from .._utils.checks import (
    check_choice,
    check_direction,
    check_flag,
    check_integer,
    check_lattice_shape,
    check_memory,
    check_names,
    check_number,
    check_ordering,
    check_temperature,
    encode_states,
    release_pages,
    seed_sequence,
)
from .calibration import Calibration
from .calibration_fit import calibrate, max_rows
from .network import log_prob
from .parameters import check_numbers, plan, whitens

_N_COVARIANCE_ROWS = 20_000
_LEAST_SHRINKAGE = 1e-6
# Rows below which nothing is calibrated, alone or by rows held back, and rows held back at most to check on it.
_MIN_ROWS, _MIN_HELD_OUT, _MAX_HELD_OUT = 200, 100, 20_000


def check_parameters(made):
    """Check every parameter that needs no data."""
    check_temperature(made.temperature, allow_infinite=False)
    check_choice(made.activation, "activation", ("relu", "tanh", "logistic", "silu"))
    for name in ("skip_connections", "early_stopping", "warm_start"):
        check_flag(getattr(made, name), name)
    check_integer(int(made.verbose) if isinstance(made.verbose, bool) else made.verbose, "verbose")
    check_integer(made.n_iter_no_change, "n_iter_no_change", minimum=1)
    check_numbers(made)
    check_number(made.tol, "tol", low=0, include_high=False)
    check_number(made.validation_fraction, "validation_fraction", low=0, high=1, include_low=False, include_high=False)


def plan_for(made, X, states):
    """Return the plan of training for these data."""
    shape, names = _lattice(made, X.shape[1], states)
    todo = plan(made, len(X), X.shape[1], shape, names)
    for pair in pairwise((X.shape[1], *todo.hidden)):
        check_memory(pair, np.float32, f"an array of weights of hidden_layer_sizes={made.hidden_layer_sizes!r},")
    return todo


def learn(made, X, states, epoch_done, start=None, n_iter=0):
    """Return the fitted attributes of a MADEHamiltonian by name; `made` itself is only read.

    `epoch_done()` is called after each epoch and returns whether to stop. Training goes on from the network
    `start`, trained for `n_iter` epochs, if there is one.
    """
    from .training import DivergedError, MaskedNetwork, Whitening, train

    seed = seed_sequence(made.random_state, f"MADEHamiltonian.fit {n_iter}" if n_iter else "MADEHamiltonian.fit")
    weight_seed, batch_seed, other_seed = seed.spawn(3)
    rng = np.random.default_rng(other_seed)
    ordering = check_ordering(made.ordering, X.shape[1], rng) if start is None else start.ordering
    lattice = _lattice(made, X.shape[1], states)
    symmetry, todo = symmetry_sampler(*lattice), plan(made, len(X), X.shape[1], *lattice, n_iter)
    direction = check_direction(made.calibrate, X.shape[1])
    rows, held_out = _split(made, len(X), rng)
    take = partial(_take, X, states)
    shape = (X.shape[1], len(states), todo.hidden, made.activation, made.skip_connections)
    whitened = whitens(made, len(states))
    whitening = Whitening(*_whitening(take, rows, states, ordering, symmetry, rng)) if whitened else None
    network = MaskedNetwork(*shape, int(weight_seed.generate_state(1)[0]), whitening)
    if start is not None:
        _check_shape(start, shape)
        network.load(start)
    network = _on(made.device, network)
    try:
        fitted, history = train(
            network,
            take,
            rows,
            held_out,
            ordering=ordering,
            symmetry=symmetry,
            batch_size=min(todo.batch_size, len(rows)),
            learning_rate=todo.learning_rate,
            max_iter=todo.max_iter,
            alpha=made.alpha,
            sparsity=todo.sparsity,
            patience=made.n_iter_no_change if made.early_stopping else None,
            tol=made.tol,
            seed=batch_seed,
            report=partial(_report, made.verbose, todo.max_iter, epoch_done),
        )
    except DivergedError as error:
        raise DivergedError(f"the loss became NaN or infinite in {error}: lower learning_rate_init") from None
    if history.stopped:
        message = f"the loss became NaN or infinite in {history.stopped}: an earlier epoch is kept"
        warnings.warn(f"{message}, lower learning_rate_init", ConvergenceWarning, stacklevel=3)
    calibration = chosen = None
    if made.calibrate is not False and len(X) >= _MIN_ROWS:
        chosen = _calibration_rows(fitted, take, rows, held_out, symmetry, rng)
    if chosen is not None:
        seed, even = other_seed.spawn(1)[0], "spin-flip" in lattice[1]
        calibration = calibrate(fitted, states, *chosen, direction, even, seed)
    return _attributes(made, X, states, ordering, fitted, history, calibration)


def _on(device, network):
    try:
        return network.to(str(device))
    except RuntimeError as error:
        raise ValueError(f"device must be one that torch has, such as 'cpu', got {device!r}: {error}") from error


def _whitening(take, rows, states, ordering, symmetry, rng):
    """Return the values of the states, and the mean and the inverse Cholesky factor of the sites' covariance."""
    from sklearn.covariance import ledoit_wolf  # takes long to import

    chosen = np.sort(rng.choice(rows, min(len(rows), _N_COVARIANCE_ROWS), replace=False))
    codes = images(take(chosen), len(states), symmetry, rng, group=16)[:, ordering]
    values = np.array([-1.0, 1.0]) if len(states) == 2 else states / np.abs(states).max()
    v = values[codes]
    covariance, shrinkage = ledoit_wolf(v)  # shrunk, so that few rows do
    if not np.any(covariance):
        return values, v.mean(axis=0), np.eye(v.shape[1])
    # Rows that differ in their sign only have no spread of v v^T, and are not shrunk at all.
    covariance += max(0, _LEAST_SHRINKAGE - shrinkage) * np.trace(covariance) / len(covariance) * np.eye(v.shape[1])
    return values, v.mean(axis=0), solve_triangular(np.linalg.cholesky(covariance), np.eye(v.shape[1]), lower=True)


def _check_shape(network, shape):
    _, n_states, hidden, activation, skip = shape
    present = (network.n_states, tuple(map(len, network.biases[:-1])), network.activation, network.skip is not None)
    if present != (n_states, hidden, activation, skip):
        raise ValueError(
            f"training can't go on with other parameters: n_states, hidden_layer_sizes, activation and "
            f"skip_connections were {present}, got {(n_states, hidden, activation, skip)}"
        )


def _calibration_rows(network, take, rows, held_out, symmetry, rng):
    """Return the rows for the calibration and their log p.

    These are all rows; but where those seen in training are more likely than those held back, by two standard
    errors, only the latter, and None where they are too few.
    """
    n_max = max_rows(network.n_sites)

    def choose(part, n):
        chosen = np.sort(rng.choice(part, min(len(part), n), replace=False))
        codes = images(take(chosen), network.n_states, symmetry, rng, group=64)
        return codes, score_codes(network, codes)

    unseen, unseen_log_p = choose(held_out, n_max // 2)
    seen, log_p = choose(rows, n_max - len(unseen))
    error = math.hypot(log_p.std() / math.sqrt(len(log_p)), unseen_log_p.std() / math.sqrt(len(unseen)))
    if log_p.mean() - unseen_log_p.mean() > 2 * error:
        return (unseen, unseen_log_p) if len(unseen) >= _MIN_HELD_OUT else None
    return np.concatenate([unseen, seen]), np.concatenate([unseen_log_p, log_p])


def _take(X, states, rows):
    """Return the codes of some rows. A memory-mapped X is read in blocks, since each row maps a whole neighbourhood."""
    codes = np.empty((len(rows), X.shape[1]), np.int8)
    for block in gen_batches(len(rows), 64):
        codes[block] = encode_states(X[rows[block]], states)
        release_pages(X)
    return codes


def _split(made, n_samples, rng):
    """Return the rows to train on and those held back, for early stopping or to check the calibration."""
    check_it = made.calibrate is not False and n_samples >= _MIN_ROWS
    if not (made.early_stopping or check_it):
        return np.arange(n_samples), np.arange(0)
    n_held_out = math.ceil(made.validation_fraction * n_samples)
    if not made.early_stopping:
        n_held_out = min(n_held_out, _MAX_HELD_OUT)
    if n_held_out >= n_samples:
        raise ValueError(
            f"early_stopping holds back {n_held_out} of n_samples={n_samples}, which leaves none to train on"
        )
    rows = rng.permutation(n_samples)
    return rows[n_held_out:], rows[:n_held_out]


def _attributes(made, X, states, ordering, fitted, history, calibration):
    return {
        "coefs_": list(fitted.weights),
        "intercepts_": list(fitted.biases),
        "skip_coef_": fitted.skip,
        "ordering_": ordering,
        "activation_": made.activation,
        "calibration_": calibration,
        "states_": states,
        "loss_curve_": history.loss,
        "validation_scores_": history.validation or None,
        "n_iter_": len(history.loss),
        "temperature_": float(made.temperature),
        "n_samples_seen_": len(X),
    }


def _lattice(made, n_sites, states):
    """Return the shape of the lattice, a chain if not given, and the names of its symmetries."""
    names = check_names(made.symmetries, "symmetries", SYMMETRIES)
    if names and made.lattice_shape is None and names != ("spin-flip",):
        raise ValueError(f"symmetries={names} need lattice_shape, such as (16, 16), got None")
    if "spin-flip" in names and not np.array_equal(states, -states[::-1]):
        raise ValueError(f"'spin-flip' needs an alphabet symmetric about zero, got states {states.tolist()}")
    shape = (n_sites,) if made.lattice_shape is None else check_lattice_shape(made.lattice_shape, n_sites)
    return shape, names


def _report(verbose, max_iter, epoch_done, epoch, history):
    step = 1 if verbose > 1 else max(1, max_iter // 10)
    if verbose and ((epoch + 1) % step == 0 or epoch == 0):
        held_out = f", held-out log-likelihood {history.validation[-1]:.4f}" if history.validation else ""
        print(f"epoch {epoch + 1:4d}/{max_iter}: loss {history.loss[-1]:.4f} nats{held_out}", flush=True)
    return epoch_done()


def score(network, X, states):
    """Return log p of every row, in batches that respect scikit-learn's working memory."""
    batches = _batches(network, len(X))
    return np.concatenate([score_codes(network, encode_states(X[rows], states, rows.start)) for rows in batches])


def score_codes(network, codes):
    """Return log p of every row of codes, likewise."""
    network = network.astype(np.float64)
    return np.concatenate([log_prob(network, codes[rows]) for rows in _batches(network, len(codes))])


def _batches(network, n_rows):
    row_bytes = 8 * (4 * network.n_sites * network.n_channels + 2 * sum(map(len, network.biases)))
    batch_size = min(4096, max(1, int(get_config()["working_memory"] * 2**20 / row_bytes)))
    return gen_batches(n_rows, batch_size)


def calibrated(network, calibration):
    """Return the network with the calibration of its estimator, if there is one."""
    if calibration is None:
        return network
    return replace(network, calibration=Calibration(*(calibration[f.name] for f in fields(Calibration))))
