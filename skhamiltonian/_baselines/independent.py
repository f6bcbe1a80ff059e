"""Sites without any interaction: the baseline of all models."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import gen_batches
from sklearn.utils.extmath import softmax
from sklearn.utils.validation import check_is_fitted

from .._lattice.unseen import unseen_states
from .._montecarlo.draws import Draws
from .._montecarlo.sampler import ThermalSampler
from .._utils.alphabet import encode_states, learn_states
from .._utils.checks import COLDEST, check_number, check_temperature
from .._utils.configurations import check_counts, mean_score, validate_configurations
from .._utils.mapped import release_pages
from .._utils.memory import check_memory

_N_BLOCKS = 16  # independent chains of draws, which give an error bar


class IndependentSites(ThermalSampler, DensityMixin, BaseEstimator):
    r"""Sites without any interaction: :math:`p(s) = \prod_i p_i(s_i)`, a baseline that every model should beat.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T0 of the training configurations.
    smoothing : float, default=0.5
        Number added to the count of every state at every site, so that no state has probability zero.
    states : "auto" or array-like, default="auto"
        Values of a site. "auto" finds the integers that occur in X.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the draws.

    Attributes
    ----------
    log_prob_ : ndarray of shape (n_sites, n_states)
        ln p_i of every state.
    states_ : ndarray of shape (n_states,)
        Values of a site, in ascending order.
    temperature_ : float
        The temperature T0 at which the model was fitted.
    unseen_states_ : ndarray of shape (n_sites, n_states)
        States that a site never had, although the other sites predict at least 30 occurrences. They have no weight in
        draws and averages. False everywhere if `states` is given: all are then possible.
    n_features_in_ : int
        Number of sites.
    feature_names_in_ : ndarray of shape (n_sites,)
        Names of the sites, if X has names that are strings.

    Examples
    --------
    >>> from skhamiltonian import IndependentSites, IsingSampler
    >>> X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=1000)
    >>> print(f"{IndependentSites(temperature=2.5).fit(X).score(X):.2f}")  # 16 ln 2 = 11.09
    -11.09
    """

    _SITE_FIELDS = True

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        smoothing: float = 0.5,
        states: str | ArrayLike = "auto",
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.temperature = temperature
        self.smoothing = smoothing
        self.states = states
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Count the states of every site.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations at `temperature`.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, integers >= 0. None counts each row once.

        Returns
        -------
        self : IndependentSites
            The fitted model.
        """
        T0 = check_temperature(self.temperature, allow_infinite=False)
        smoothing = check_number(self.smoothing, "smoothing", low=0, include_low=False, include_high=False)
        X = validate_configurations(self, X, reset=True)
        weight = check_counts(sample_weight, len(X))
        if weight is not None:
            X, weight = X[weight > 0], weight[weight > 0]
        states = learn_states(X, self.states)
        counts = _counts(X, states, np.ones(len(X), np.intp) if weight is None else weight) + smoothing
        counts /= counts.max()  # so that sums do not overflow if the smoothing is huge
        self.log_prob_ = np.log(counts / counts.sum(axis=1, keepdims=True))
        self.unseen_states_ = np.zeros(counts.shape, bool)
        if isinstance(self.states, str):  # else all are possible
            self.unseen_states_ = unseen_states(X, states, weight)
        self.states_, self.temperature_ = states, T0
        return self

    def energy(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return -T0 ln p(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Total energy in the unit of `temperature`.
        """
        return -self.score_samples(X) * self.temperature_

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the log-likelihood of each configuration.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            ln p in nats.
        """
        check_is_fitted(self)
        codes = encode_states(validate_configurations(self, X, reset=False), self.states_)
        return self.log_prob_[np.arange(codes.shape[1]), codes].sum(axis=1)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood per configuration, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, integers >= 0. None counts each row once. ``cross_val_score`` and searches pass
            weights to `score` only if scikit-learn routes metadata; see :ref:`counts`.

        Returns
        -------
        score : float
            Mean of `score_samples`.
        """
        return mean_score(self.score_samples, X, sample_weight)

    def _prepare(self, **options: Any) -> int | None:
        super()._prepare(**options)
        check_is_fitted(self)
        check_memory((1, self.n_features_in_, len(self.states_)), np.float64, "the table of probabilities")
        return self.n_features_in_

    def _draw(
        self,
        temperature: float,
        n_samples: int,
        field: Any,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> Draws:
        temperature = max(temperature, COLDEST * self.temperature_)
        log_weight = (self.temperature_ * self.log_prob_ + np.multiply.outer(field, self.states_)) / temperature
        log_weight = np.where(self.unseen_states_, -np.inf, log_weight)
        p = softmax(log_weight)
        shape = (_N_BLOCKS, -(-n_samples // _N_BLOCKS), self.n_features_in_)
        drawn = np.random.default_rng(seed).random(shape)
        codes = (drawn[..., None] > p.cumsum(axis=1)[:, :-1]).sum(axis=3)
        X = self.states_[codes]
        energy = -self.temperature_ * self.log_prob_[np.arange(shape[2]), codes].sum(axis=2)
        log_z = np.full(_N_BLOCKS, logsumexp(log_weight, axis=1).sum())
        return Draws(X, energy - (X * np.float64(field)).sum(axis=2), log_partition=log_z)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "temperature_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


def _counts(X: NDArray, states: NDArray, weight: NDArray) -> NDArray[np.float64]:
    """Return how often each site is in each state, (n_sites, n_states)."""
    counts = np.zeros((X.shape[1], len(states)))
    for rows in gen_batches(len(X), 4096):
        for code, state in enumerate(states):
            counts[:, code] += weight[rows] @ np.equal(X[rows], state)
        release_pages(X)
    return counts
