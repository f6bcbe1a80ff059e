"""Pseudo-likelihood: pair couplings of spins by logistic regression, and a score for any energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from .._interactions.estimator import InteractionExpansion
from .._interactions.operators import coupling_matrix
from .._interactions.problem import temperature_of, weighted_rows
from .._ising.sampler import IsingSampler
from .._lattice.conserved import warn_of_conserved
from .._lattice.symmetry import SYMMETRIES
from .._montecarlo.draws import Draws
from .._montecarlo.sampler import ThermalSampler
from .._utils.checks import check_lattice_shape, check_names, check_number, check_temperature
from .._utils.configurations import mean_score, refuse_other_spins, validate_configurations
from .._utils.memory import check_memory
from .._utils.names import rows_for, without_names
from .._utils.repeatable import check_parameters_repeatable
from .._utils.warn import warn
from .logistic import Floats, Rows, logistic_couplings

_COPIES_OF_A_COUPLING = 6  # coefficients, their variance, couplings and errors, and intermediate results


class PseudolikelihoodIsing(ThermalSampler, DensityMixin, BaseEstimator):
    r"""Fields and pair couplings of +-1 spins, by maximum pseudo-likelihood.

    In an Ising model with pair couplings on any graph, the law of a spin given all others is a logistic function,

    .. math:: H(s) &= -\sum_{i<j} J_{ij} s_i s_j - \sum_i h_i s_i, \\
              p(s_i = 1 \mid s_{\setminus i}) &= \frac{1}{1 + e^{-2 (h_i + \sum_j J_{ij} s_j) / T_0}}

    One logistic regression is fitted for every site [1]_. Jeffreys' prior removes the bias of few rows, and keeps the
    couplings finite if two spins never disagree in the data [2]_. Each coupling is the mean of the estimates from its
    two ends. In rows that are nearly frozen, the couplings of a site are known together rather than one by one, and the
    means predict worse than one fit of all sites. With `symmetries`, sites of a lattice share their couplings. The
    partition function is neither needed nor learned, so the energy is not normalised. The model has no interactions of
    more than two spins.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T0 of the training configurations, in units of the couplings.
    C : float, default=inf
        Inverse strength of a quadratic penalty on the couplings of every logistic regression; ``inf`` is no penalty.
        The bias that a finite C causes is part of the error of a coupling.
    lattice_shape : tuple of int, default=None
        Shape of the lattice, sites in C order; None means that there is no lattice.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        Neighbour of the last site of an axis: the first site ("periodic"), or a site that was not measured ("open").
        "open" needs a finite `max_distance`, and uses only sites that have all of their pairs inside the window.
    max_distance : float, default=inf
        Largest distance of a pair on a lattice with "translation", in lattice spacings.
    symmetries : tuple of {"translation", "point-group", "spin-flip"}, default=()
        "translation": pairs that are translates of each other share one coupling, and all sites share one field.
        "point-group": pairs that turns and reflections map onto each other share one coupling, too. "spin-flip": no
        fields.
    n_jobs : int, default=None
        Processes over the sites, as in scikit-learn.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the draws.

    Attributes
    ----------
    coupling_ : ndarray of shape (n_sites, n_sites)
        J_ij, symmetric, with zeros on the diagonal.
    coupling_std_ : ndarray of shape (n_sites, n_sites)
        Standard errors of the couplings; ``inf`` if the rows do not determine a coupling.
    field_ : ndarray of shape (n_sites,)
        h_i.
    field_std_ : ndarray of shape (n_sites,)
        Standard errors of the fields.
    expansion_ : InteractionExpansion or None
        With "translation", the expansion with the shared couplings; otherwise None.
    temperature_ : float
        The temperature T0 at which the model was fitted.
    states_ : ndarray of shape (2,)
        Values of a spin, -1 and 1.
    n_features_in_ : int
        Number of sites.
    feature_names_in_ : ndarray of shape (n_sites,)
        Names of the sites, if X has names that are strings.

    References
    ----------
    .. [1] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 179 (1975); E. Aurell, M. Ekeberg,
       "Inverse Ising inference using all the data", Phys. Rev. Lett. 108, 090201 (2012).
    .. [2] D. Firth, "Bias reduction of maximum likelihood estimates", Biometrika 80, 27 (1993).

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, PseudolikelihoodIsing
    >>> X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=10_000)
    >>> pairs = PseudolikelihoodIsing(temperature=2.5).fit(X)
    >>> bool(abs(pairs.coupling_[0, 1] - 1) < 4 * pairs.coupling_std_[0, 1])
    True
    """

    _METHODS = IsingSampler._METHODS

    _SITE_FIELDS = True

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        C: float = math.inf,
        lattice_shape: tuple[int, ...] | None = None,
        boundary: str | tuple[str, ...] = "periodic",
        max_distance: float = math.inf,
        symmetries: tuple[str, ...] = (),
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.temperature = temperature
        self.C = C
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.max_distance = max_distance
        self.symmetries = symmetries
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self:
        """Learn fields and couplings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1 at `temperature`.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; None counts each row once.
        groups : array-like of shape (n_samples,), default=None
            Label of each row, such as the number of the image that a window is cut from, or of a Markov chain. Only
            rows of different groups count as independent, and errors are from differences between groups; with few
            groups, errors are wide. None: each row by itself.

        Returns
        -------
        self : PseudolikelihoodIsing
            The fitted model.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X holds other values than -1 and 1.

        Warns
        -----
        UserWarning
            If the rows hardly determine some couplings, whose errors are then wide; or if they refute a symmetry.
        """
        check_parameters_repeatable(self)
        T0 = check_temperature(self.temperature, allow_infinite=False)
        check_number(self.C, "C", low=0, include_low=False)
        symmetries = check_names(self.symmetries, "symmetries", SYMMETRIES)
        X = _spins(self, X, reset=True)
        _, X, _, weight, group = weighted_rows(X, X, None, sample_weight, groups)
        pairs = X.shape[1], X.shape[1]
        check_memory(pairs, np.float64, "an array of couplings", copies=_COPIES_OF_A_COUPLING, n_samples=len(X))
        if self.lattice_shape is not None:
            check_lattice_shape(self.lattice_shape, X.shape[1])
        warn_of_conserved(X, np.array([-1, 1]), self.lattice_shape or (X.shape[1],))
        shared = self._shared(symmetries)
        if shared is None:
            found = self._by_site(X, weight, group, "spin-flip" not in symmetries)
            coupling, coupling_std, field, field_std = (T0 * one for one in found)
        else:
            shared.fit(X, sample_weight=weight, groups=group)
            coupling, coupling_std, field, field_std = _of_pairs(shared, X.shape[1])
        self.temperature_, self.expansion_ = T0, shared
        self.coupling_, self.coupling_std_ = coupling, coupling_std
        self.field_, self.field_std_ = field, field_std
        return self

    def energy(self, X: ArrayLike) -> Floats:
        """Return H(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Total energy in the unit of `temperature`, without a constant.
        """
        check_is_fitted(self)
        s = _spins(self, X, reset=False).astype(np.float64)
        return -((s @ self.coupling_) * s).sum(axis=1) / 2 - s @ self.field_

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        r"""Return the mean log *pseudo*-likelihood, :math:`\sum_i \ln p(s_i | s_{\setminus i})`, in nats.

        A pseudo-likelihood cannot be compared with a likelihood. :func:`pseudo_log_likelihood` is the same score for
        any model that has an energy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, integers >= 0. None counts each row once. ``cross_val_score`` and searches pass
            weights to `score` only if scikit-learn routes metadata; see :ref:`counts`.

        Returns
        -------
        score : float
            Mean over the rows of the sum over the sites.
        """
        check_is_fitted(self)
        return mean_score(self._row_scores, X, sample_weight)

    def to_sampler(
        self,
        lattice_shape: tuple[int, ...] | None = None,
        temperature: float | None = None,
        *,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> IsingSampler:
        """Return the Ising system that has these fields and couplings.

        Parameters
        ----------
        lattice_shape : tuple of int, default=None
            Shape of its lattice, of any size with the symmetry "translation"; None is that of the rows.
        temperature : float, default=None
            Temperature of the sampler; None is T0.
        n_jobs : int, default=None
            Threads of the sampler.
        random_state : int, RandomState, Generator or None, default=None
            Seed of the sampler; None is the constructor's.

        Returns
        -------
        sampler : IsingSampler
            On the lattice of the rows its ``energy(X)`` is that of this model, unless rows are windows.

        Raises
        ------
        ValueError
            If `lattice_shape` is not that of the rows, and couplings are not the same everywhere.
        """
        check_is_fitted(self)
        seed = self.random_state if random_state is None else random_state
        if self.expansion_ is not None:
            return self.expansion_.to_sampler(lattice_shape, temperature, n_jobs=n_jobs, random_state=seed)
        shape = (self.n_features_in_,) if self.lattice_shape is None else self.lattice_shape
        if lattice_shape is not None and check_lattice_shape(lattice_shape) != tuple(shape):
            raise ValueError(
                f"lattice_shape must be {tuple(shape)}, because only couplings with the symmetry 'translation' are "
                f"defined on another lattice, got {lattice_shape!r}"
            )
        pairs = np.transpose(np.nonzero(np.triu(self.coupling_)))
        terms = [(float(self.coupling_[i, j]), [int(i), int(j)]) for i, j in pairs]
        terms += [(float(h), [i]) for i, h in enumerate(self.field_)]
        T = self.temperature_ if temperature is None else temperature
        return IsingSampler(shape, T, coupling=0.0, couplings=terms, n_jobs=n_jobs, random_state=seed)

    def _prepare(self, **options: Any) -> int | None:
        super()._prepare(**options)
        check_is_fitted(self)
        return self.n_features_in_

    def _draw(
        self,
        temperature: float,
        n_samples: int,
        field: float,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> Draws:
        return self.to_sampler()._draw(temperature, n_samples, field, method, seed)

    @property
    def states_(self) -> NDArray[np.int8]:
        """The values of a spin."""
        return np.array([-1, 1], dtype=np.int8)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "field_std_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    def _row_scores(self, X: ArrayLike) -> Floats:
        """Return the log pseudo-likelihood of every row."""
        s = _spins(self, X, reset=False).astype(np.float64)
        local_field = s @ self.coupling_ + self.field_
        return -np.logaddexp(0, -2 * s * local_field / self.temperature_).sum(axis=1)

    def _shared(self, symmetries: Sequence[str]) -> InteractionExpansion | None:
        """Return the expansion that fits shared couplings; None if every pair has its own coupling."""
        if "translation" not in symmetries:
            if "point-group" in symmetries:
                raise ValueError(f"symmetries with 'point-group' need 'translation', too, got {self.symmetries!r}")
            if not (isinstance(self.boundary, str) and self.boundary == "periodic"):
                raise ValueError(
                    f"boundary={self.boundary!r} needs symmetries with 'translation', got {self.symmetries!r}"
                )
            return None
        if self.lattice_shape is None:
            raise ValueError(f"symmetries={self.symmetries!r} need lattice_shape, such as (16, 16), got None")
        if math.inf != self.C:
            raise ValueError(
                f"C must be inf with 'translation', because shared couplings have no penalty, got {self.C!r}"
            )
        return InteractionExpansion(
            ["field", "pairs"],
            lattice_shape=self.lattice_shape,
            boundary=self.boundary,
            max_distance=check_number(self.max_distance, "max_distance", low=0),
            symmetries=tuple(symmetries),
            method="pseudolikelihood",
            sparse=False,
            temperature=self.temperature,
        )

    def _by_site(
        self, X: NDArray, weight: Floats, group: NDArray[np.intp] | None, with_field: bool
    ) -> tuple[Floats, ...]:
        """Return couplings, their errors, fields and their errors, in units of T0."""
        if group is not None:
            order = np.argsort(group, kind="stable")
            X, weight, group = X[order], weight[order], group[order]
        found = logistic_couplings(Rows(X, weight, group), self.C, with_field, self.n_jobs)
        if found.coupling_is_wide.any():
            n_wide, n_pairs = np.triu(found.coupling_is_wide).sum(), X.shape[1] * (X.shape[1] - 1) // 2
            warn(
                f"these rows hardly determine {n_wide} of {n_pairs} couplings, and the errors of these are wide: the "
                "rows are too few, or a site nearly always follows from all others. Use more rows, rows at a higher "
                "temperature, or symmetries, which share couplings"
            )
        return found.coupling, found.coupling_error, found.field, found.field_error


def _of_pairs(expansion: InteractionExpansion, n_sites: int) -> tuple[Floats, ...]:
    """Return couplings, their errors, fields and their errors, from an expansion in pairs and one field."""
    matrices = [coupling_matrix(one, expansion.operators_, n_sites) for one in (expansion.coef_, expansion.coef_std_)]
    fields = [np.zeros(n_sites), np.zeros(n_sites)]
    for k, operator in enumerate(expansion.operators_):
        if operator.sites.shape[1] == 1:
            fields[0] += expansion.coef_[k]
            fields[1] += expansion.coef_std_[k]
    return *matrices, *fields


def _spins(estimator: BaseEstimator, X: ArrayLike, reset: bool) -> NDArray:
    X = validate_configurations(estimator, X, reset=reset)
    refuse_other_spins(X)
    return X


def pseudo_log_likelihood(estimator: Any, X: ArrayLike, y: Any = None) -> float:
    r"""Score any model that has an energy by how well it predicts each site from all others.

    .. math:: &\frac1n \sum_{s \in X} \sum_i \ln p(s_i | s_{\setminus i}), \\
              &p(s_i | s_{\setminus i}) = \frac{e^{-H(s)/T_0}}{\sum_a e^{-H(s, s_i \to a)/T_0}}

    The score does not depend on the normalisation of the energy, so it can compare learned, fitted and true systems,
    also as ``scoring=`` of :class:`~sklearn.model_selection.GridSearchCV`. It cannot be compared with a likelihood.

    Parameters
    ----------
    estimator : object
        Fitted model with ``energy(X)``, ``temperature_`` (or ``temperature``) and ``states_``, or a Pipeline that ends
        in one.
    X : array-like of shape (n_samples, n_sites)
        Configurations at the temperature of the model. A few hundred are enough; the energy is computed for every
        state of every site of each.
    y : None
        Ignored.

    Returns
    -------
    score : float
        Mean over the rows of the sum over the sites, in nats.

    Examples
    --------
    >>> from skhamiltonian import IndependentSites, IsingSampler, pseudo_log_likelihood
    >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0)
    >>> X = ising.sample(n_samples=1000)
    >>> free = IndependentSites(temperature=2.5).fit(X)
    >>> pseudo_log_likelihood(free, X) < pseudo_log_likelihood(ising, X)
    True
    """
    if isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    T0 = temperature_of(estimator)
    if math.isnan(T0):
        raise ValueError("estimator must have a temperature, because probabilities need one, got none")
    named, X = X, validate_configurations(BaseEstimator(), X, reset=True)
    if hasattr(estimator, "feature_names_in_"):
        validate_data(estimator, named, reset=False, dtype=None, ensure_all_finite=False)
        estimator = without_names(estimator)
    rows: NDArray[Any] = rows_for(estimator, X, X)
    log_weight = -np.asarray(estimator.energy(rows)) / T0
    changed = rows.astype(np.result_type(rows, np.asarray(estimator.states_)))
    total = np.zeros(len(rows))
    for site in range(rows.shape[1]):
        each = []
        for state in estimator.states_:
            changed[:, site] = state
            each.append(-estimator.energy(changed) / T0)
        changed[:, site] = rows[:, site]
        total += log_weight - np.logaddexp.reduce(each, axis=0)
    return float(total.mean())
