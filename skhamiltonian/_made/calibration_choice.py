"""Choice of the calibration: smooth or local, by the likelihood of held-out rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.symmetry import symmetric_copies
from .._lattice.terms import TermSum
from .._utils.warn import warn
from .calibration_fit import Sample, drawn_sample, local_calibration, max_rows, mean_and_error, smooth_calibration
from .local_energy import fitted_energy, rows_read
from .network import Array, Network, score_codes
from .parameters import TrainingPlan

if TYPE_CHECKING:
    from .training import Take, TrainingRows

# Fewest rows that calibrate, and fewest held-out rows that do so alone.
MIN_ROWS, _MIN_HELD_OUT = 200, 100
# A local energy is refused if its held-out likelihood is lower by so many standard errors.
_DECISIVE = 2.0
# A local energy that the user asks for is used, with a warning if the likelihood is lower by so many.
_CERTAIN = 5.0


def chosen_calibration(
    plan: TrainingPlan,
    network: Network,
    rows: TrainingRows,
    take_fine: Take,
    rng: np.random.Generator,
    seed: np.random.SeedSequence,
) -> dict[str, Any] | None:
    """Return the fitted numbers of a calibration, None without one.

    ``plan.calibrate`` is None, "smooth", "local", "auto", or a TermSum in units of T0. `take_fine` returns the codes of
    rows in the alphabet ``plan.alphabet.fine``.
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
        gains = smooth_gains[: len(unseen.codes)]
    if wanted == "smooth":
        return smooth
    energy = wanted if isinstance(wanted, TermSum) else _local_energy(plan, rows, take_fine, rng, local_seed)
    local, local_gains = _local(network, energy, drawn, unseen)
    if wanted != "auto":
        _warn_of_harm(local["gain"], local["gain_error"])
        return local
    # A tie goes to the local energy, because its errors are known.
    margin, error = mean_and_error(local_gains - gains)
    keeps = margin > -_DECISIVE * error
    kept = local if keeps else smooth
    return None if kept is None else kept | {"margin": margin if keeps else -margin, "margin_error": error}


def _warn_of_harm(gain: float, error: float) -> None:
    if gain < -_CERTAIN * error:
        warn(
            f"the local energy of `calibrate` lowers the log-likelihood of held-out rows by {-gain:.3g} +- {error:.2g} "
            "nats a row: its interactions, its unit or its lattice are not those of X. calibrate='auto' would drop it"
        )


def _local_energy(
    plan: TrainingPlan, rows: TrainingRows, take_fine: Take, rng: np.random.Generator, seed: np.random.SeedSequence
) -> TermSum:
    """Fit a local energy, in units of T0, to the training rows."""
    codes = take_fine(rows.train[rows_read(len(rows.train), plan.n_sites, rng)])
    return fitted_energy(codes, plan.alphabet, plan.lattice_shape, plan.symmetries, seed)


def _local(network: Network, energy: TermSum, drawn: Sample, unseen: Sample) -> tuple[dict[str, Any], Array]:
    """Return the numbers of a local calibration, and what it adds to log p of each held-out row."""
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


def _calibration_rows(network: Network, rows: TrainingRows, unseen: Sample, rng: np.random.Generator) -> Sample:
    """Return the rows for the smooth calibration, held-out rows first.

    If the network gives its training rows a higher likelihood, by two standard errors, it remembers them: then only
    held-out rows are used, and none at all if they are few.
    """
    seen = _sample(network, rows, rows.train, max_rows(network.n_sites) - len(unseen.codes), rng)
    (mean, error), (unseen_mean, unseen_error) = (mean_and_error(part.log_prob) for part in (seen, unseen))
    if mean - unseen_mean > 2 * math.hypot(error, unseen_error):
        return unseen if len(unseen.codes) >= _MIN_HELD_OUT else Sample(unseen.codes[:0], unseen.log_prob[:0])
    codes, log_p = (unseen.codes, seen.codes), (unseen.log_prob, seen.log_prob)
    return Sample(np.concatenate(codes), np.concatenate(log_p))


def _sample(network: Network, rows: TrainingRows, part: NDArray[np.intp], n: int, rng: np.random.Generator) -> Sample:
    """Return at most n of some rows, seen through random symmetries, with their log p."""
    if not len(part):
        return Sample(np.zeros((0, network.n_sites), np.int8), np.zeros(0))
    chosen = np.sort(rng.choice(part, min(len(part), n), replace=False))
    codes = symmetric_copies(rows.take(chosen), rows.symmetry, rng, group=64)
    return Sample(codes, score_codes(network, codes))
