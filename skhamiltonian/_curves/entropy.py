"""Absolute entropy of configurations by the cross-validated likelihood of a model, without energies or temperatures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, check_cv
from sklearn.pipeline import Pipeline

from .._montecarlo.draws import Estimate, with_error
from .._montecarlo.sampler import ThermalSampler
from .._utils.alphabet import ANGLES, enumerate_states
from .._utils.checks import check_integer, seed_sequence
from .._utils.configurations import check_counts, validate_configurations
from .._utils.folds import check_fold
from .phase_curve import phase_curve, shown

_MOST_ENUMERATED = 2**16  # configurations whose sum is ln Z; beyond, the energy is integrated
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EntropyTable:
    r"""Entropy of configurations, in nats a configuration, with the numbers to judge it by. ``print`` shows all.

    Parameters
    ----------
    entropy : Estimate
        Best estimate: `upper_bound` minus what the fits of different folds disagree by.
    upper_bound : Estimate
        Cross-entropy, the mean of -ln p over rows that the model has not seen. It exceeds the entropy by the relative
        entropy (Kullback-Leibler divergence) of the rows' law to the model.
    model : Estimate
        Entropy of the models' own laws, the mean of -ln p over their own draws, which may err to either side.
    independent : Estimate
        Sum of the entropies of single sites, each with the correction (number of states - 1) / 2n of Miller and Madow.
    multi_information : Estimate
        `independent` minus `entropy`: what sites tell about each other.
    log_likelihood : ndarray of shape (n_samples,)
        ln p of every row by models that have not seen it; nan if it was never held out. The mean difference between
        two models, over the same folds, says which one predicts better, and has a much smaller error than either.

    Examples
    --------
    >>> from skhamiltonian import IndependentSites, entropy
    >>> table = entropy(IndependentSites(), [[-1, 1], [1, 1], [1, -1], [-1, -1]] * 50, random_state=0)
    >>> round(float(table.independent.value), 2)  # 2 ln 2 + 2 / 400
    1.39
    """

    entropy: Estimate
    upper_bound: Estimate
    model: Estimate
    independent: Estimate
    multi_information: Estimate
    log_likelihood: Floats

    def __str__(self) -> str:
        names = {
            "entropy": self.entropy,
            "upper bound (cross-entropy)": self.upper_bound,
            "entropy of the model": self.model,
            "entropy of independent sites": self.independent,
            "multi-information": self.multi_information,
        }
        return "\n".join(f"{name:30s}{with_error(float(x.value), float(x.error))} nats" for name, x in names.items())


class _Fold(NamedTuple):
    """What a fold adds: rows held out, their number of copies and ln p; then numbers of its model."""

    rows: NDArray[np.intp]
    counts: NDArray[np.intp]
    log_prob: Floats
    transformed: NDArray[Any]
    density: _Density


class _Density(NamedTuple):
    """A fitted law: ln p = offset + score, with the error of the offset, and draws of its own with their ln p."""

    model: Any
    temperature: float
    log_partition: Estimate
    draws: NDArray[Any]
    own_log_prob: Floats

    def log_prob(self, X: NDArray[Any]) -> Floats:
        """Return ln p of every row, in nats."""
        if math.isnan(self.temperature):
            return np.asarray(self.model.score_samples(X), dtype=np.float64)
        return -np.asarray(self.model.energy(X)) / self.temperature - self.log_partition.value


def entropy(
    estimator: Any,
    X: ArrayLike,
    cv: Any = 2,
    sample_weight: ArrayLike | None = None,
    *,
    n_samples: int = 10_000,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> EntropyTable:
    r"""Estimate the entropy of configurations, :math:`S = -\sum_s p(s) \ln p(s)`.

    Neither a temperature nor a Hamiltonian nor equilibrium is needed, only rows that are independent of each other. The
    estimator is fitted to all folds but one, and the fold left out gives the cross-entropy

    .. math:: -\langle \ln p_\theta \rangle = S + D(p \Vert p_\theta) \ge S .

    With :math:`p_\theta = p (1 + \delta)`, its excess is of second order, :math:`D = \langle \delta^2 \rangle / 2`; the
    entropy of the model itself errs in first order. Two fits to disjoint rows have independent noise in
    :math:`\delta`, which adds :math:`v` to each excess and :math:`2 v` to the mean J of
    :math:`D(p_\theta \Vert p_{\theta'})` and :math:`D(p_{\theta'} \Vert p_\theta)`. The draws of both give J, and the
    best estimate is the cross-entropy minus J/2. What all fits have wrong alike remains, and is in no error: errors of
    a network that was stopped early do not cover the truth.

    Parameters
    ----------
    estimator : object
        A model of the configurations, which is cloned: a :class:`MADEHamiltonian` or another density with
        ``score_samples`` and ``sample``; a model with an energy, such as :class:`LocalHamiltonian` or
        :class:`PseudolikelihoodIsing`; or a Pipeline that ends in one. The entropy is that of the rows that the last
        step is given. The ln Z of an energy is the sum over all configurations if these are at most 65 536, and an
        integral of the energy from T = infinity otherwise, as in :func:`phase_curve`.
    X : array-like of shape (n_samples, n_sites)
        Configurations, independent of each other.
    cv : int, cross-validation generator or iterable, default=2
        Folds. A number shuffles rows before it splits them, the copies of one row too. Two folds are disjoint, so
        J/2 is all of the noise; it is 1/(cv - 1) of it with more. For rows that belong together, such as windows of
        one image, pass ``GroupKFold(2).split(X, groups=groups)``. Folds may be pairs of indices or of masks.
    sample_weight : array-like of shape (n_samples,), default=None
        How often each row counts, integers >= 0: a histogram gives the same result as its rows.
    n_samples : int, default=10_000
        Draws from every fitted model.
    n_jobs : int, default=None
        Processes over the folds, as in scikit-learn.
    random_state : int, RandomState, Generator or None, default=None
        Seed of folds and draws. The estimator has its own.

    Returns
    -------
    table : EntropyTable
        The entropy with its error, and beside it an upper bound, the entropies of the model and of independent sites,
        and the multi-information. The error adds in quadrature the noise of the rows,
        :math:`\sigma(\ln p_\theta) / \sqrt{n}`, the error of ln Z, and J/2, since what is wrong in all fits alike is
        often as large as what differs. No estimate from n rows can have less than the first part: it is
        :math:`\sqrt{C/n}` in equilibrium, with the heat capacity C.

    Raises
    ------
    TypeError
        If the estimator has neither a density nor an energy.
    ValueError
        If X does not hold configurations, a fold holds out rows that it trains on or states that the others do not
        have, or the estimator takes the rows for windows of something larger, whose law no local energy gives.

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, PseudolikelihoodIsing, entropy, ising_exact
    >>> X = IsingSampler(lattice_shape=(3, 3), temperature=2.5, random_state=0).sample(n_samples=4000)
    >>> value, error = entropy(PseudolikelihoodIsing(2.5), X, random_state=0).entropy
    >>> bool(abs(value - ising_exact((3, 3), 2.5).entropy) < 3 * error)
    True
    """
    X = validate_configurations(BaseEstimator(), X, reset=True)
    counts = check_counts(sample_weight, len(X))
    counts = np.ones(len(X), np.intp) if counts is None else counts
    n_samples = check_integer(n_samples, "n_samples", minimum=2)
    split_seed, draw_seed = seed_sequence(random_state, "entropy").spawn(2)
    splits = list(_splits(X, counts, cv, split_seed))
    if len(splits) < 2:
        raise ValueError(f"cv must have at least two folds, whose fits are compared, got {len(splits)}: {cv!r}")
    folds = Parallel(n_jobs=n_jobs)(
        delayed(_fold)(clone(estimator), X, train, test, n_samples, seed)
        for (train, test), seed in zip(splits, draw_seed.spawn(len(splits)), strict=True)
    )
    return _table(folds, len(X))


def _splits(
    X: NDArray[Any], counts: NDArray[np.intp], cv: Any, seed: np.random.SeedSequence
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield how often each row counts in training, and in the fold that is held out."""
    if isinstance(cv, (int, np.integer)):
        folds = KFold(check_integer(cv, "cv", minimum=2), shuffle=True, random_state=int(seed.generate_state(1)[0]))
        copies = np.repeat(np.arange(len(X)), counts)
        for train, test in folds.split(copies):
            yield np.bincount(copies[train], minlength=len(X)), np.bincount(copies[test], minlength=len(X))
    else:
        for fold in check_cv(cv).split(X):
            train, test = (np.bincount(rows, minlength=len(X)) for rows in check_fold(fold, len(X)))
            yield train * counts, test * counts


def _fold(
    estimator: Any,
    X: NDArray[Any],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    n_samples: int,
    seed: np.random.SeedSequence,
) -> _Fold:
    """Fit to the rows of training, and evaluate those held out."""
    rows, known = np.flatnonzero(test), np.flatnonzero(train)
    given = {} if np.all(train[known] == 1) else {"sample_weight": train[known]}
    learned_from, held_out, model = X[known], X[rows], estimator
    if isinstance(estimator, Pipeline):
        steps, model = estimator[:-1], estimator[-1]
        if len(steps):
            learned_from, held_out = steps.fit_transform(learned_from), steps.transform(held_out)
    model.fit(learned_from, **given)
    density = _density(model, n_samples, seed)
    return _Fold(rows, test[rows], density.log_prob(held_out), np.asarray(held_out), density)


def _density(model: Any, n_samples: int, seed: np.random.SeedSequence) -> _Density:
    """Return the normalised law of a fitted model."""
    draws_seed, curve_seed = (np.random.default_rng(child) for child in seed.spawn(2))
    score_samples = getattr(model, "score_samples", None)
    if isinstance(model, ThermalSampler) and callable(score_samples):
        draws = model.sample(n_samples=n_samples, random_state=draws_seed)
        calibration = getattr(model, "calibration_", None) or {}
        ln_z = Estimate(0.0, float(calibration.get("log_normalizer_error", 0.0)))
        return _Density(model, math.nan, ln_z, draws, np.asarray(score_samples(draws)))
    learned = callable(getattr(model, "to_sampler", None))
    if learned and "open" in np.ravel(model.boundary):
        raise ValueError(
            "rows with boundary='open' are windows of something larger, and no local energy gives their law: use "
            "phase_curve(model.to_sampler(lattice_shape), [T], entropy=True) for the entropy of a whole lattice, or "
            "a MADEHamiltonian for that of the windows. If the rows are whole periodic lattices, fit with "
            "boundary='periodic'"
        )
    sampler = model.to_sampler() if learned else model
    if not isinstance(sampler, ThermalSampler) or not callable(getattr(sampler, "energy", None)):
        raise TypeError(f"estimator must have a density (score_samples and sample) or an energy, got {shown(model)}")
    T = float(sampler._own_temperature() or 1.0)
    draws = sampler.sample(T, n_samples=n_samples, random_state=draws_seed)
    known = _Density(sampler, T, _log_partition(sampler, T, n_samples, draws.shape[1], curve_seed), draws, np.empty(0))
    return known._replace(own_log_prob=known.log_prob(draws))


def _log_partition(sampler: Any, T: float, n_samples: int, n_sites: int, rng: np.random.Generator) -> Estimate:
    """Return ln sum_s exp(-H / T) by enumeration if that is possible, else by integration."""
    states = None if sampler._are_angles else np.asarray(sampler.states_)
    if states is not None and n_sites * math.log(len(states)) <= math.log(_MOST_ENUMERATED):
        log_weight = -np.asarray(sampler.energy(enumerate_states(states, n_sites))) / T
        return Estimate(float(np.logaddexp.reduce(log_weight)), 0.0)
    curve = phase_curve(sampler, [T], n_samples=n_samples, entropy=True, random_state=rng)
    value, error = map(np.asarray, curve["free_energy"])
    return Estimate(float(-value[0] * n_sites / T), float(error[0] * n_sites / T))


def _table(folds: list[_Fold], n_rows: int) -> EntropyTable:
    """Return all estimates from the folds."""
    weight = np.concatenate([fold.counts for fold in folds]).astype(np.float64)
    log_prob = np.concatenate([fold.log_prob for fold in folds])
    n = weight.sum()
    of_normalisers = math.hypot(*(fold.density.log_partition.error * fold.counts.sum() / n for fold in folds))
    transformed, are_angles = np.concatenate([fold.transformed for fold in folds]), folds[0].density.model._are_angles
    sites = _site_log_prob(transformed, weight, are_angles)
    rows, total = np.concatenate([fold.rows for fold in folds]), np.zeros(n_rows)
    np.add.at(total, rows, weight * log_prob)
    counts = np.bincount(rows, weight, minlength=n_rows)

    cross, noise = _mean(-log_prob, weight)
    half_j = _disagreement([fold.density for fold in folds]) / 2
    free, free_noise = _mean(-sites.log_prob, weight)
    free += sites.correction
    gain_noise = _mean(log_prob - sites.log_prob, weight).error
    own = [_mean(-fold.density.own_log_prob, np.ones(len(fold.density.own_log_prob))) for fold in folds]
    own_error = math.hypot(of_normalisers, *(one.error / len(folds) for one in own))
    return EntropyTable(
        Estimate(cross - half_j, math.hypot(noise, of_normalisers, half_j)),
        Estimate(cross, math.hypot(noise, of_normalisers)),
        Estimate(float(np.mean([one.value for one in own])), own_error),
        Estimate(free, free_noise),
        Estimate(free - cross + half_j, math.hypot(gain_noise, of_normalisers, half_j)),
        np.divide(total, counts, out=np.full(n_rows, math.nan), where=counts > 0),
    )


def _mean(values: Floats, weight: Floats) -> Estimate:
    """Return the mean over rows that count `weight` times each, and its standard error."""
    n = weight.sum()
    mean = float(weight @ values / n)
    return Estimate(mean, math.sqrt(float(weight @ (values - mean) ** 2) / max(n - 1, 1) / n))


def _disagreement(densities: list[_Density]) -> float:
    """Return J, the mean over pairs of fits of both relative entropies, by their draws."""
    n = len(densities)
    pairs = [(k, (k + 1) % n) for k in range(n if n > 2 else 1)]
    each = []
    for i, j in pairs:
        a, b = densities[i], densities[j]
        a_to_b = a.own_log_prob.mean() - b.log_prob(a.draws).mean()
        b_to_a = b.own_log_prob.mean() - a.log_prob(b.draws).mean()
        each.append((a_to_b + b_to_a) / 2)
    return max(0.0, float(np.mean(each)))


class _Sites(NamedTuple):
    """ln p of every row if sites were independent, and the correction of the entropy for few rows."""

    log_prob: Floats
    correction: float


def _site_log_prob(X: NDArray[Any], weight: Floats, are_angles: bool) -> _Sites:
    log_prob, correction = np.zeros(len(X)), 0.0
    if are_angles:  # a density is a share over the width of its cell
        X, log_prob = ANGLES.encode(X), log_prob - X.shape[1] * ANGLES.log_cell
    for column in X.T:
        states, codes = np.unique(column, return_inverse=True)
        share = np.bincount(codes, weight) / weight.sum()
        log_prob += np.log(share)[codes]
        correction += (len(states) - 1) / (2 * weight.sum())
    return _Sites(log_prob, correction)
