"""Which calibration a fit gets: the smooth one or a local energy, by the likelihood of rows held back."""

import math

import numpy as np

from .._lattice.symmetry import symmetric_copies
from .._lattice.terms import TermSum
from .calibration_fit import Sample, drawn_sample, local_calibration, max_rows, mean_and_error, smooth_calibration
from .local_fit import fitted_energy, rows_read
from .network import score_codes

# Rows below which nothing is calibrated by data, and rows held back that calibrate alone.
MIN_ROWS, _MIN_HELD_OUT = 200, 100
# Standard errors of the held-out likelihood that refute a local energy.
_DECISIVE = 2.0


def chosen_calibration(plan, network, rows, rng, seed):
    """Return the fitted numbers of a calibration, None without one.

    ``plan.calibrate`` is None, "smooth", "local", "auto" or a TermSum in units of T0.
    """
    wanted = plan.calibrate
    by_data = isinstance(wanted, str) and wanted != "local"
    if wanted is None or (by_data and len(rows.train) + len(rows.held_out) < MIN_ROWS):
        return None
    draw_seed, smooth_seed, local_seed = seed.spawn(3)
    unseen = _sample(network, rows, rows.held_out, max_rows(network.n_sites) // 2, rng)
    seen = _calibration_rows(network, rows, unseen, rng) if by_data else unseen
    drawn = drawn_sample(network, len(seen.codes), draw_seed)
    smooth, gains = None, np.zeros(len(unseen.codes))
    if by_data and len(seen.codes):
        # The length of a vector has no sign, so only its square counts.
        order = plan.order_parameter, "spin-flip" in plan.symmetries or plan.alphabet.period > 0
        smooth, smooth_gains = smooth_calibration(network, seen, drawn, order, smooth_seed)
        gains = gains if smooth is None else smooth_gains[: len(unseen.codes)]
    if wanted == "smooth":
        return smooth
    energy = wanted if isinstance(wanted, TermSum) else _local_energy(plan, rows, rng, local_seed)
    local, local_gains = _local(network, energy, drawn, unseen)
    if wanted != "auto":
        return local
    # Ties go to the local energy: its errors are known, and a well trained network hardly gains by either.
    margin, error = mean_and_error(local_gains - gains)
    keeps = margin > -_DECISIVE * error
    kept = local if keeps else smooth
    return None if kept is None else kept | {"margin": margin if keeps else -margin, "margin_error": error}


def _local_energy(plan, rows, rng, seed):
    """Return the local energy of the rows of the training, in units of T0."""
    codes = rows.take(rows.train[rows_read(len(rows.train), plan.n_sites, rng)])
    return fitted_energy(codes, plan.alphabet.states, plan.lattice_shape, plan.symmetries, seed)


def _local(network, energy, drawn, unseen):
    """Return the numbers of a calibration by a local energy, and what it adds to log p of the rows held back."""
    calibration, error, share = local_calibration(network, energy, drawn)
    gains = calibration(unseen.log_prob, unseen.codes)
    gain, gain_error = mean_and_error(gains)
    return {
        "method": "local",
        "sites": list(energy.sites),
        "table": energy.table,
        "errors": energy.errors,
        "log_normalizer": calibration.log_normalizer,
        "mean_errors": calibration.mean_errors,
        "log_normalizer_error": error,
        "effective_share": share,
        "gain": gain,
        "gain_error": gain_error,
        "n_rows": len(gains),
    }, gains


def _calibration_rows(network, rows, unseen, rng):
    """Return the rows for the smooth calibration, those held back first.

    These are all rows; but where those seen in training are more likely than those held back, by two standard
    errors, only the latter, and none where they are too few.
    """
    seen = _sample(network, rows, rows.train, max_rows(network.n_sites) - len(unseen.codes), rng)
    (mean, error), (unseen_mean, unseen_error) = (mean_and_error(part.log_prob) for part in (seen, unseen))
    if mean - unseen_mean > 2 * math.hypot(error, unseen_error):
        return unseen if len(unseen.codes) >= _MIN_HELD_OUT else Sample(unseen.codes[:0], unseen.log_prob[:0])
    return Sample(*(np.concatenate(pair) for pair in zip(unseen, seen, strict=True)))


def _sample(network, rows, part, n, rng):
    if not len(part):
        return Sample(np.zeros((0, network.n_sites), np.int8), np.zeros(0))
    chosen = np.sort(rng.choice(part, min(len(part), n), replace=False))
    codes = symmetric_copies(rows.take(chosen), rows.symmetry, rng, group=64)
    return Sample(codes, score_codes(network, codes))
