"""InteractionExpansion: the couplings behind an energy, as a scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._ising.sampler import IsingSampler
from .._lattice.checks import periodic_axes
from .._lattice.symmetry import SYMMETRIES
from .._lattice.terms import KnownEnergy, TermSum
from .._utils.checks import (
    check_choice,
    check_flag,
    check_lattice_shape,
    check_names,
    check_number,
    check_temperature,
    check_temperatures,
    seed_sequence,
)
from .._utils.configurations import validate_configurations
from .._utils.repeatable import check_repeatable
from .doubts import warn_of_doubts
from .fitting import Task, by_energy, by_pseudolikelihood, single, site_score, states_of
from .operators import Geometry, Operator, Sites, operator_sums
from .problem import (
    LARGEST_POWER,
    METHODS,
    Asked,
    check_states,
    energies_of,
    operators_of,
    refuse_models_of_other_rows,
    temperature_of,
    weighted_rows,
)
from .translation import translated


class InteractionExpansion(KnownEnergy, RegressorMixin, BaseEstimator):
    r"""Expand an energy in lattice operators: fields, pair couplings by distance, three- and four-spin couplings.

    The energy of configurations, such as the one that a network has learned, is fitted by least squares with

    .. math:: H(s) &= c - \sum_k J_k O_k(s), \\ O_k(s) &= \sum_{t \in k} \prod_{i \in t} s_i,

    An operator k is a list of terms t that share one coupling. The sign of :math:`J_k` is that of
    :class:`IsingSampler`. The constant c (minus the free energy, for a learned energy) is fitted too, so only
    energy differences count. The spins are the values in X, unchanged: couplings of states 0 and 1 are those of a
    lattice gas. If a site has K > 2 states, its powers :math:`s, s^2, \dots, s^{K-1}` (at most the fourth) are
    operators as well; together they make any function of one site.

    Parameters
    ----------
    operators : "auto" or list of str or (str, array-like of int), default="auto"
        Names of families, and your own operators: a name, and a table with the sites of one term in each row. The
        families are "field", "pairs" up to `max_distance`, "triples" (three corners of a unit square; three in a row
        on a chain) and "plaquettes" (four corners of a unit square). "auto" takes all families on a lattice, and
        "field" and "pairs" without a lattice.
    lattice_shape : tuple of int, default=None
        Shape of the lattice, sites in C order. None means that there is no lattice: every pair of sites may interact.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        "periodic": the neighbour of the last site of an axis is the first site. "open" depends on the method. With
        "projection" and "contrastive", rows are whole lattices, and the last site has no such neighbour. With
        "pseudolikelihood", rows are windows of a larger lattice, and the last site has neighbours that are not seen.
    max_distance : float, default=3.0
        Largest distance of a pair on the lattice, in lattice spacings.
    symmetries : "auto" or tuple of {"translation", "point-group", "spin-flip"}, default="auto"
        "translation": terms that are translates of each other share one coupling. "point-group": terms that turns and
        reflections map onto each other share one coupling, too, so pair couplings depend on the distance.
        "spin-flip": products of an odd number of spins are left out. "auto" is translation and point group on a
        lattice, and no symmetry without a lattice. An empty tuple gives every site and every bond its own coupling.
    method : {"projection", "contrastive", "pseudolikelihood"}, default="projection"
        "projection" is least squares on the energy `y`, the energy of a network for example. "contrastive" compares
        the data with draws of the model `y`: its couplings best separate the rows X from as many draws [2]_. X are
        the configurations that the model was fitted to, or, better, new ones at the same temperature. This removes
        the errors of the model, leaves the statistical error of the data, and normalises the energy. It needs a model
        with ``sample`` and ``score_samples``, and operators that describe the energy well (see `score`).
        "pseudolikelihood" needs no model: its couplings best predict each site of X from all other sites [3]_. The
        rows are in equilibrium, all at `temperature` or each at its own temperature `y`. With ``boundary="open"`` only
        sites that have all of their operators inside the window are predicted, and nothing is assumed about the sites
        outside.
    sparse : bool, default=True
        Whether couplings that vanish within their errors are set to exactly zero. The adaptive lasso [1]_ ranks the
        operators; Schwarz's criterion, extended for the number of operators tried, selects how many to keep; and the
        method fits the couplings of the selected operators again.
    temperature : float, default=None
        Temperature T0 of the rows, in the unit of the couplings. None takes it from the model `y`; for the method
        "pseudolikelihood" `y` must then hold one temperature per row.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the draws of "contrastive"; None uses the seeds of the models. The other methods are not random.

    Attributes
    ----------
    coef_ : ndarray of shape (n_operators,)
        The couplings J_k.
    coef_std_ : ndarray of shape (n_operators,)
        Standard errors of the couplings. They equal those of a bootstrap over configurations to first order, but need
        no random replicates. If `y` is a list of models, they include the spread over the models. An operator that
        was left out has the error with which its coupling was found to vanish. An error is nan if the configurations
        do not determine the coupling: there are too few, or the operator is constant or a sum of others. With
        "pseudolikelihood" such an error is infinite or wide, and `fit` warns.
    intercept_ : float
        The constant c; the mean over several models.
    operators_ : list of Operator
        Named tuples (name, sites, distance); the distance is in lattice spacings, and nan without a lattice.
    states_ : ndarray
        Values that occur in X.
    temperature_ : float
        Temperature T0 of the rows; nan if it is unknown or not the same for all rows.
    lattice_shape_ : tuple of int
        Shape of the lattice; without a lattice, that of a chain.
    n_features_in_ : int
        Number of sites.
    feature_names_in_ : ndarray of shape (n_sites,)
        Names of the sites, if X has names that are strings.

    Notes
    -----
    The meaning of the errors depends on the method. With "projection", `coef_std_` is the error of the projection, and
    of what the model knows of its own errors: all errors of a :class:`LocalHamiltonian` or of a network with a local
    calibration (``calibration_["method"] == "local"``), only those of the correction if the calibration is "smooth",
    and none of a network without calibration or of a function. A list of networks that were fitted to independent data
    includes all, except for bias common to all of them. With
    "contrastive", the errors are those of the data and of the draws; they cover the true couplings if the operators
    include all that interact. The same holds for "pseudolikelihood", whose errors are clustered by rows, or by
    `groups` of rows that are not independent.

    References
    ----------
    .. [1] H. Zou, "The adaptive lasso and its oracle properties", J. Am. Stat. Assoc. 101, 1418 (2006).
    .. [2] M. Gutmann, A. Hyvärinen, "Noise-contrastive estimation: a new estimation principle for unnormalized
       statistical models", AISTATS 2010, PMLR 9, 297.
    .. [3] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 179 (1975).

    Examples
    --------
    >>> from skhamiltonian import InteractionExpansion, IsingSampler
    >>> ising = IsingSampler(lattice_shape=(6, 6), temperature=4.0, plaquette_coupling=0.5, random_state=0)
    >>> X = ising.sample(n_samples=2000)
    >>> expansion = InteractionExpansion(lattice_shape=(6, 6)).fit(X, ising.energy)
    >>> {operator.name: round(J, 12) for operator, J in zip(expansion.operators_, expansion.coef_.tolist()) if J}
    {'pair (0, 1)': 1.0, 'plaquette': 0.5}

    Couplings from the rows alone, and the same system on a larger lattice:

    >>> found = InteractionExpansion(lattice_shape=(6, 6), method="pseudolikelihood", temperature=4.0).fit(X)
    >>> [operator.name for operator, J in zip(found.operators_, found.coef_) if J]
    ['pair (0, 1)', 'plaquette']
    >>> found.to_sampler((64, 64)).sample(n_samples=2).shape
    (2, 4096)
    """

    def __init__(
        self,
        operators: str | Sequence[str | tuple[str, ArrayLike]] = "auto",
        *,
        lattice_shape: tuple[int, ...] | None = None,
        boundary: str | tuple[str, ...] = "periodic",
        max_distance: float = 3.0,
        symmetries: str | tuple[str, ...] = "auto",
        method: str = "projection",
        sparse: bool = True,
        temperature: float | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.operators = operators
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.max_distance = max_distance
        self.symmetries = symmetries
        self.method = method
        self.sparse = sparse
        self.temperature = temperature
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self:
        """Find the couplings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations on which the energy is fitted: data, draws of the model, or both. For "pseudolikelihood"
            and "contrastive" they are data in equilibrium. Rows count as independent, unless `groups` are given.
        y : array-like of shape (n_samples,), callable, object with a method energy, or a list of the latter two
            Energies of X, or an object that computes them, such as ``IsingSampler.energy`` or a fitted
            :class:`MADEHamiltonian`. For a list of models the mean energy is expanded. The method "contrastive"
            accepts fitted models only, and draws from every model of a list. For "pseudolikelihood" y is None, or the
            temperature of each row.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; None counts each row once.
        groups : array-like of shape (n_samples,), default=None
            Label of each row, such as the number of the image that a window is cut from, or of a Markov chain. Only
            rows of different groups count as independent, and errors are from differences between groups; with few
            groups, errors are wide. None: each row by itself. For the method "pseudolikelihood" only.

        Returns
        -------
        self : InteractionExpansion
            The fitted expansion.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X does not hold configurations, or y does not hold their energies or
            temperatures.
        MemoryError
            If the covariance of the couplings does not fit into memory.

        Warns
        -----
        UserWarning
            If the rows hardly determine some couplings, whose errors are then wide; if they refute a symmetry; if
            groups are so few that no coupling is kept; or if, with "projection", or "contrastive" and more than two
            states, the operators leave more than a tenth of the variance of the energy unexplained. Energies that are
            numbers may have noise: they also have to show products of powers of neighbours, as labels of a Potts model
            do.
        """
        symmetries = self._check_parameters()
        if groups is not None and self.method != "pseudolikelihood":
            raise ValueError(f"groups have no effect with method={self.method!r}, only with 'pseudolikelihood'")
        check_repeatable(y, "y")
        refuse_models_of_other_rows(y)
        rows, X = X, validate_configurations(self, X, reset=True)
        shape = (X.shape[1],) if self.lattice_shape is None else check_lattice_shape(self.lattice_shape, X.shape[1])
        rows, X, y, weight, group = weighted_rows(rows, X, y, sample_weight, groups)
        task = self._task(X, y, weight, shape, group)
        check_states(task.states, symmetries)
        operators = self._operators(task, symmetries)
        asked = Asked(y, rows)
        if self.method == "pseudolikelihood":
            found = by_pseudolikelihood(operators, task, self.sparse)
        else:
            seed = None if self.random_state is None else seed_sequence(self.random_state, "InteractionExpansion.fit")
            energies = energies_of(y, X, rows) if self.method == "projection" else None
            asked = Asked(y, rows, seed, energies)
            found = by_energy(operators, task, asked, self.method, self.sparse)
        fewer = self._fewer(task, symmetries)
        warn_of_doubts(found, operators, fewer, task, asked, self.method, self.sparse)
        self.lattice_shape_, self.states_, self.operators_ = shape, task.states, operators
        self.coef_, self.intercept_, self.coef_std_ = found.coupling, found.constant, found.error
        self.temperature_ = single(task.temperatures)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the energy c - sum_k J_k O_k(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Energies in the unit of those given to `fit`.
        """
        check_is_fitted(self)
        return self._predict(validate_configurations(self, X, reset=False))

    def energy(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the energy of every row; the same as `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Energies in the unit of those given to `fit`.
        """
        return self.predict(X)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        r"""Return R^2, the share of the variance of the energy that the operators explain.

        For the method "pseudolikelihood" the score is the mean log pseudo-likelihood of an inner site in nats. It is
        at most 0, and can be compared on the same X only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), callable, object with a method energy, or a list of the latter two
            Energies, as in `fit`; for "pseudolikelihood" None, or the temperature of each row.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; None counts each row once.

        Returns
        -------
        score : float
            R^2, or for "pseudolikelihood" nats per site.
        """
        check_is_fitted(self)
        rows, X = X, validate_configurations(self, X, reset=False)
        rows, X, y, weight, _ = weighted_rows(rows, X, y, sample_weight)
        if self.method == "pseudolikelihood":
            task = self._task(X, y, weight, self.lattice_shape_)
            return site_score(self.operators_, self.coef_, task)
        return float(r2_score(energies_of(y, X, rows).mean(axis=1), self._predict(X), sample_weight=weight))

    def to_sampler(
        self,
        lattice_shape: tuple[int, ...] | None = None,
        temperature: float | None = None,
        *,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> IsingSampler:
        """Return the Ising system that has these couplings.

        Parameters
        ----------
        lattice_shape : tuple of int, default=None
            Shape of its lattice, of any size if every coupling is the same everywhere; None is that of the rows. The
            boundary is that of this expansion, with one exception: couplings that "pseudolikelihood" learned from
            windows, with ``boundary="open"``, belong to a periodic lattice.
        temperature : float, default=None
            Temperature of the sampler, in the unit of the couplings; None is `temperature_`.
        n_jobs : int, default=None
            Threads of the sampler.
        random_state : int, RandomState, Generator or None, default=None
            Seed of the sampler.

        Returns
        -------
        sampler : IsingSampler
            On the lattice of the rows its ``energy(X)`` is ``predict(X) - intercept_``, unless rows are windows.

        Raises
        ------
        ValueError
            If the states are other than -1 and 1, no temperature is known, or the couplings are not defined on
            `lattice_shape`.
        """
        check_is_fitted(self)
        if not np.isin(self.states_, (-1, 1)).all():
            raise ValueError(f"an IsingSampler has the states -1 and 1, got {self.states_[:8].tolist()}")
        shape = self.lattice_shape_ if lattice_shape is None else check_lattice_shape(lattice_shape)
        if temperature is None and np.isnan(self.temperature_):
            raise ValueError("temperature must be given, because the rows have none or several, got None")
        needed = np.flatnonzero(self.coef_)
        tables = self._tables([self.operators_[k] for k in needed], shape)
        return IsingSampler(
            shape,
            self.temperature_ if temperature is None else temperature,
            coupling=0.0,
            couplings=[(float(self.coef_[k]), table) for k, table in zip(needed, tables, strict=True)],
            n_jobs=n_jobs,
            random_state=random_state,
        )

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: a row for each operator.

        Returns
        -------
        pandas.DataFrame
            Columns ``operator``, ``order`` (spins in a term), ``distance``, ``n_terms``, ``coupling`` and ``error``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        check_is_fitted(self)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("InteractionExpansion.to_frame needs pandas: pip install pandas") from error
        columns = {
            "operator": [operator.name for operator in self.operators_],
            "order": [operator.sites.shape[1] for operator in self.operators_],
            "distance": [operator.distance for operator in self.operators_],
            "n_terms": [len(operator.sites) for operator in self.operators_],
        }
        return pd.DataFrame(columns | {"coupling": self.coef_, "error": self.coef_std_})

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_std_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.method != "pseudolikelihood"
        return tags

    def _check_parameters(self) -> tuple[str, ...]:
        """Check all parameters that can be checked without data; return the symmetries."""
        check_number(self.max_distance, "max_distance", low=0)
        check_choice(self.method, "method", METHODS)
        check_flag(self.sparse, "sparse")
        if self.temperature is not None:
            check_temperature(self.temperature, allow_infinite=False)
        on_lattice, wanted = self.lattice_shape is not None, self.symmetries
        if isinstance(wanted, str) and wanted == "auto":
            wanted = SYMMETRIES[:2] if on_lattice else ()
        names = check_names(wanted, "symmetries", SYMMETRIES)
        if {"translation", "point-group"} & set(names) and not on_lattice:
            raise ValueError(f"symmetries={self.symmetries!r} need lattice_shape, such as (16, 16), got None")
        if "point-group" in names and "translation" not in names:
            raise ValueError(f"symmetries with 'point-group' need 'translation', too, got {self.symmetries!r}")
        return names

    def _predict(self, X: NDArray) -> NDArray[np.float64]:
        needed = np.flatnonzero(self.coef_)
        return self.intercept_ - operator_sums(X, [self.operators_[k] for k in needed]) @ self.coef_[needed]

    def _task(
        self,
        X: NDArray,
        y: Any,
        weight: NDArray[np.float64],
        shape: tuple[int, ...],
        group: NDArray[np.intp] | None = None,
    ) -> Task:
        """Return the rows with their weights, temperatures and groups."""
        periodic = (True,) if self.lattice_shape is None else periodic_axes(self.boundary, len(shape))
        if self.method != "pseudolikelihood":
            T0 = temperature_of(y) if self.temperature is None else float(self.temperature)
            temperatures = np.full(len(X), T0)
        elif y is not None:
            temperatures = check_temperatures(y, "y", ndim=1)
            check_consistent_length(X, temperatures)
        elif self.temperature is None:
            raise ValueError(
                "temperature must be given for method='pseudolikelihood', here or for each row as y, got None"
            )
        else:
            temperatures = np.full(len(X), float(self.temperature))
        return Task(X, weight, states_of(X), shape, periodic, temperatures, group)

    def _operators(self, task: Task, symmetries: tuple[str, ...]) -> list[Operator]:
        on_lattice, n_powers = self.lattice_shape is not None, min(max(len(task.states) - 1, 1), LARGEST_POWER)
        periodic = periodic_axes(self.boundary, len(task.shape)) if on_lattice else (False,)
        max_distance = self.max_distance if on_lattice else np.inf
        geometry = Geometry(task.shape, periodic, max_distance, symmetries, n_powers)
        return operators_of(self.operators, geometry, on_lattice)

    def _fewer(self, task: Task, symmetries: tuple[str, ...]) -> dict[str, Sequence[Operator]]:
        """Return the operators without each symmetry; those without translation are chosen by the test."""
        fewer: dict[str, Sequence[Operator]] = {
            name: self._operators(task, tuple(one for one in symmetries if one != name))
            for name in symmetries
            if name != "translation"
        }
        if "translation" in symmetries:
            fewer["translation"] = ()
        return fewer

    def _term_sum(self, lattice_shape: Sequence[int] | None, states: NDArray[Any]) -> TermSum:
        check_is_fitted(self)
        if not np.array_equal(states, self.states_):
            raise ValueError(f"the energy is for states {self.states_.tolist()}, got {states.tolist()}")
        shape = self.lattice_shape_ if lattice_shape is None else check_lattice_shape(lattice_shape)
        needed = np.flatnonzero(self.coef_)
        sites = tuple(table.astype(np.int32) for table in self._tables([self.operators_[k] for k in needed], shape))
        # A product is symmetric in its sites, so the order of the digits of a pattern does not matter.
        products = [reduce(np.multiply.outer, [states.astype(float)] * each.shape[1]).ravel() for each in sites]
        tables = [-self.coef_[k] * each for k, each in zip(needed, products, strict=True)]
        table = np.concatenate([np.zeros(0), *tables])
        return TermSum(len(states), sites, table, np.zeros((0, len(table))))

    def _tables(self, operators: Sequence[Operator], shape: tuple[int, ...]) -> list[Sites]:
        """Return the terms of operators on a lattice."""
        windows = self.method == "pseudolikelihood" and self.lattice_shape is not None and self.boundary != "periodic"
        if shape == self.lattice_shape_ and not windows:
            return [operator.sites for operator in operators]
        if self.lattice_shape is None or [n > 1 for n in shape] != [n > 1 for n in self.lattice_shape_]:
            raise ValueError(f"lattice_shape must have the axes of {self.lattice_shape_}, got {shape}")
        periodic = periodic_axes(self.boundary, len(shape))
        return [translated(operator, (self.lattice_shape_, periodic), shape, windows) for operator in operators]
