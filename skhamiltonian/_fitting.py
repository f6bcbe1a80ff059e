"""From an estimator's parameters and checked configurations to fitted attributes."""

import math
import numbers
import warnings
from functools import partial

import numpy as np
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from ._autoregressive import log_prob
from ._lattice_symmetry import SYMMETRIES, symmetry_sampler
from ._validation import (
    check_choice,
    check_integer,
    check_lattice_shape,
    check_number,
    check_ordering,
    check_temperature,
    encode_states,
    release_pages,
    seed_sequence,
)

_N_SUPPORT_ROWS = 20_000


def check_parameters(made):
    """Check every parameter that needs no data; return the hidden layer sizes as a tuple."""
    check_temperature(made.temperature, allow_infinite=False)
    check_choice(made.activation, "activation", ("relu", "tanh", "logistic", "silu"))
    for name in ("batch_size", "max_iter", "n_iter_no_change"):
        check_integer(getattr(made, name), name, minimum=1)
    check_number(made.learning_rate_init, "learning_rate_init", low=0, include_low=False, include_high=False)
    check_number(made.alpha, "alpha", low=0, include_high=False)
    check_number(made.tol, "tol", low=0, include_high=False)
    check_number(made.validation_fraction, "validation_fraction", low=0, high=1, include_low=False, include_high=False)
    sizes = made.hidden_layer_sizes
    sizes = (sizes,) if isinstance(sizes, numbers.Integral) else tuple(sizes)
    return tuple(check_integer(size, "each of hidden_layer_sizes", minimum=1) for size in sizes)


def learn(made, X, states, hidden):
    """Return the fitted attributes of a MADEHamiltonian by name; `made` itself is only read."""
    from ._training import DivergedError, MaskedNetwork, train

    weight_seed, batch_seed, other_seed = seed_sequence(made.random_state, "MADEHamiltonian.fit").spawn(3)
    rng = np.random.default_rng(other_seed)
    ordering = check_ordering(made.ordering, X.shape[1], rng)
    symmetry = _symmetry(made, X.shape[1], states)
    rows, held_out = _split(made, len(X), rng)

    take = partial(_take, X, states)
    shape = (X.shape[1], len(states), hidden, made.activation, made.skip_connections)
    network = MaskedNetwork(*shape, int(weight_seed.generate_state(1)[0])).to(made.device)
    try:
        fitted, history = train(
            network,
            take,
            rows,
            held_out,
            ordering=ordering,
            symmetry=symmetry,
            batch_size=min(made.batch_size, len(rows)),
            learning_rate=made.learning_rate_init,
            max_iter=made.max_iter,
            alpha=made.alpha,
            patience=made.n_iter_no_change if made.early_stopping else None,
            tol=made.tol,
            seed=batch_seed,
            report=partial(_report, made),
        )
    except DivergedError as error:
        raise DivergedError(f"the loss became NaN or infinite in {error}: lower learning_rate_init") from None
    if history.stopped:
        message = (
            f"the loss became NaN or infinite in {history.stopped}: an earlier epoch is kept, lower learning_rate_init"
        )
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
    return _attributes(made, X, states, ordering, fitted, history, rng)


def _take(X, states, rows):
    """Return the codes of some rows. A memory-mapped X is read in blocks, since each row maps a whole neighbourhood."""
    codes = np.empty((len(rows), X.shape[1]), np.int8)
    for block in gen_batches(len(rows), 64):
        codes[block] = encode_states(X[rows[block]], states)
        release_pages(X)
    return codes


def _split(made, n_samples, rng):
    """Return the rows to train on and, for early stopping, those held back."""
    if not made.early_stopping:
        return np.arange(n_samples), np.arange(0)
    n_held_out = math.ceil(made.validation_fraction * n_samples)
    if n_held_out >= n_samples:
        raise ValueError(
            f"early_stopping holds back {n_held_out} of n_samples={n_samples}, which leaves none to train on"
        )
    rows = rng.permutation(n_samples)
    return rows[n_held_out:], rows[:n_held_out]


def _attributes(made, X, states, ordering, fitted, history, rng):
    sample = np.sort(rng.choice(len(X), min(len(X), _N_SUPPORT_ROWS), replace=False))
    return {
        "coefs_": list(fitted.weights),
        "intercepts_": list(fitted.biases),
        "skip_coef_": fitted.skip,
        "ordering_": ordering,
        "activation_": made.activation,
        "states_": states,
        "loss_curve_": history.loss,
        "validation_scores_": history.validation if made.early_stopping else None,
        "n_iter_": len(history.loss),
        "temperature_": float(made.temperature),
        "n_samples_seen_": len(X),
        "training_log_likelihood_": score(fitted, states[_take(X, states, sample)], states),
    }


def _symmetry(made, n_sites, states):
    names = (made.symmetries,) if isinstance(made.symmetries, str) else tuple(made.symmetries)
    for name in names:
        check_choice(name, "each of symmetries", SYMMETRIES)
    if names and made.lattice_shape is None and names != ("spin-flip",):
        raise ValueError(f"symmetries={names} need lattice_shape, such as (16, 16), got None")
    if "spin-flip" in names and not np.array_equal(states, -states[::-1]):
        raise ValueError(f"'spin-flip' needs an alphabet symmetric about zero, got states {states.tolist()}")
    shape = (n_sites,) if made.lattice_shape is None else check_lattice_shape(made.lattice_shape, n_sites)
    return symmetry_sampler(shape, names)


def _report(made, epoch, history):
    step = 1 if made.verbose > 1 else max(1, made.max_iter // 10)
    if made.verbose and ((epoch + 1) % step == 0 or epoch == 0):
        held_out = f", held-out log-likelihood {history.validation[-1]:.4f}" if history.validation else ""
        print(f"epoch {epoch + 1:4d}/{made.max_iter}: loss {history.loss[-1]:.4f} nats{held_out}", flush=True)


def score(network, X, states):
    """Return log p of every row, in batches that respect scikit-learn's working memory."""
    network = network.astype(np.float64)
    row_bytes = 8 * (4 * network.n_sites * network.n_channels + 2 * sum(map(len, network.biases)))
    scores = np.empty(len(X))
    batch_size = min(4096, max(1, int(get_config()["working_memory"] * 2**20 / row_bytes)))
    for rows in gen_batches(len(X), batch_size):
        scores[rows] = log_prob(network, encode_states(X[rows], states, first_row=rows.start))
    return scores
