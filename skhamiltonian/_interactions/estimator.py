"""InteractionExpansion: the couplings behind an energy, as a scikit-learn regressor."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._ising.sampler import IsingSampler
from .._lattice.checks import periodic_axes
from .._utils.checks import check_lattice_shape, check_temperatures, seed_sequence
from .._utils.configurations import validate_configurations
from .._utils.repeatable import check_repeatable
from .._utils.warn import warn
from .fitting import Task, by_energy, by_pseudolikelihood, refuted, single, site_score, states_of
from .operators import operator_sums
from .problem import (
    LARGEST_POWER,
    check_parameters,
    check_states,
    energies_of,
    operators_of,
    temperature_of,
    weighted_rows,
)
from .translation import translated


class InteractionExpansion(RegressorMixin, BaseEstimator):
    r"""Expand an energy in lattice operators: fields, pair couplings by distance, three- and four-spin couplings.

    The energy of configurations, such as the one that a network has learned, is fitted by least squares with

    .. math:: H(s) = c - \sum_k J_k O_k(s), \qquad O_k(s) = \sum_{t \in k} \prod_{i \in t} s_i,

    where an operator k is a list of terms t that share one coupling, and the sign of :math:`J_k` is that of
    :class:`IsingSampler`. The constant c (for a learned energy minus the free energy) is fitted too, so only
    energy differences count. The spins are the values in X as they are: couplings of states 0 and 1 are those of a
    lattice gas, and where a site has K > 2 states its powers :math:`s, s^2, \dots, s^{K-1}` (at most the fourth) are
    operators as well, which together are any function of one site.

    Parameters
    ----------
    operators : "auto" or list of str or (str, array-like of int), default="auto"
        Names of families, and own operators: a name, and a table with the sites of a term in each row. Families are
        "field", "pairs" up to `max_distance`, "triples" (three corners of a unit square; three in a row on a chain)
        and "plaquettes" (four corners of a unit square). "auto" is all of them on a lattice, "field" and "pairs"
        without.
    lattice_shape : tuple of int, default=None
        Shape of the lattice, sites in C order. None knows no lattice: every pair of sites may interact.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        What is beyond the last site of an axis: the first one, or nothing.
    max_distance : float, default=3.0
        Largest distance of a pair on the lattice, in lattice spacings.
    symmetries : "auto" or tuple of {"translation", "point-group", "spin-flip"}, default="auto"
        "translation": what translations carry into each other has one coupling. "point-group": what turns and
        reflections carry into each other, too, so that pair couplings depend on the distance. "spin-flip": there
        are no products of an odd number of spins. "auto" is translation and point group on a lattice, and none
        without. An empty tuple gives every site and every bond a coupling of its own.
    method : {"projection", "contrastive", "pseudolikelihood"}, default="projection"
        "projection" is least squares on the energy `y`: what the network says. "contrastive" asks the data again: X are
        the configurations that the model `y` was fitted to, or better new ones at the same temperature, and the
        couplings are those that tell them best from as many draws of the model [2]_. That removes the errors of
        the model, leaves the statistical error of the data, and normalises the energy. It needs a model that
        can be drawn from and has ``score_samples``, and operators that describe the energy well (see `score`).
        "pseudolikelihood" needs no model: the couplings are those that best predict each site of X from all others
        [3]_. X are configurations in equilibrium at `temperature`, or each at a temperature of its own, `y`. With
        ``boundary="open"`` rows are windows of something larger: only sites with all of their operators inside
        the window are predicted, and nothing is assumed about what is outside.
    sparse : bool, default=True
        Whether couplings that vanish within their errors are left out and exactly zero: the adaptive lasso [1]_ puts
        the operators in order, Schwarz's criterion, extended for the number of operators that were tried, says how
        many are needed, and the method gives their couplings.
    temperature : float, default=None
        Temperature T0 of the rows, in the unit of the couplings. None takes it from the model `y`; the method
        "pseudolikelihood" then needs one temperature for each row as `y`.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the draws of "contrastive"; None leaves the seed to the models. The other methods are not random.

    Attributes
    ----------
    coef_ : ndarray of shape (n_operators,)
        The couplings J_k.
    coef_std_ : ndarray of shape (n_operators,)
        Their standard errors: those of a bootstrap over configurations, to first order in the weights of the
        configurations and without drawing replicates, so not random; together with the spread over models where `y`
        is a list of several. An operator that was left out has the error with which its coupling was found to vanish.
        nan where the configurations do not tell: too few, or an operator that is constant or the sum of others;
        with "pseudolikelihood" the error is then infinite, or wide, and a warning says so.
    intercept_ : float
        The constant c; the mean over several models.
    operators_ : list of Operator
        Named tuples (name, sites, distance), the last in lattice spacings and nan where no lattice is known.
    states_ : ndarray
        Values that occur in X.
    temperature_ : float
        Temperature T0 of the rows; nan if none is known, or several are.
    lattice_shape_ : tuple of int
        Shape of the lattice; a chain where none is known.
    n_features_in_ : int
        Number of sites.
    feature_names_in_ : ndarray of shape (n_sites,)
        Names of the sites, where X has names that are strings.

    Notes
    -----
    What the errors mean depends on the method. With "projection", the energy of *one* network is a function without
    noise, and `coef_std_` says how well its projection is known: the network's own error is not in it. A list of
    networks that were fitted to independent data shows that error, except for what all of them share, such as too
    small a network. With "contrastive", the errors are those of the data and of the draws, and cover the true
    couplings if the operators are all that there are. The same holds for "pseudolikelihood", whose errors are clustered
    by rows; rows count as independent.

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
        operators="auto",
        *,
        lattice_shape=None,
        boundary="periodic",
        max_distance=3.0,
        symmetries="auto",
        method="projection",
        sparse=True,
        temperature=None,
        random_state=None,
    ):
        self.operators = operators
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.max_distance = max_distance
        self.symmetries = symmetries
        self.method = method
        self.sparse = sparse
        self.temperature = temperature
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        """Find the couplings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations on which the energy is to be met: data, draws of the model, or both. For "pseudolikelihood"
            and "contrastive" they are data in equilibrium. Rows count as independent.
        y : array-like of shape (n_samples,), callable, object with a method energy, or a list of the latter two
            Energies of X, or what computes them, such as ``IsingSampler.energy`` or a fitted
            :class:`MADEHamiltonian`. Of a list of models the mean energy is expanded. The method "contrastive"
            takes fitted models alone, and draws from all that are in a list. For "pseudolikelihood" y is None, or the
            temperature of each row.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; None is once.

        Returns
        -------
        self : InteractionExpansion
            The fitted expansion.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X and y are not configurations and their energies or temperatures.
        MemoryError
            If so many couplings have a covariance that does not fit into the machine.

        Warns
        -----
        UserWarning
            If the rows hardly tell some couplings, whose errors then are wide; or if they refute a symmetry.
        """
        symmetries = check_parameters(self)
        check_repeatable(y, "y")
        rows, X = X, validate_configurations(self, X, reset=True)
        shape = (X.shape[1],) if self.lattice_shape is None else check_lattice_shape(self.lattice_shape, X.shape[1])
        rows, X, y, weight = weighted_rows(rows, X, y, sample_weight)
        task = self._task(X, y, weight, shape)
        check_states(task.states, symmetries)
        operators = self._operators(task, symmetries)
        if self.method == "pseudolikelihood":
            found = by_pseudolikelihood(operators, task, self.sparse)
        else:
            seed = None if self.random_state is None else seed_sequence(self.random_state, "InteractionExpansion.fit")
            found = by_energy(operators, task, (y, rows, seed), self.method, self.sparse)
        self._warn(found, operators, task, (y, rows), symmetries)
        self.lattice_shape_, self.states_, self.operators_ = shape, task.states, operators
        self.coef_, self.intercept_, self.coef_std_ = found.coupling, found.constant, found.error
        self.temperature_ = single(task.temperatures)
        return self

    def predict(self, X):
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

    def energy(self, X):
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

    def score(self, X, y=None, sample_weight=None):
        r"""Return R^2, the part of the variance of the energy that the operators explain.

        For the method "pseudolikelihood" it is the mean log pseudo-likelihood of an inner site in nats, which is at
        most 0, and comparable on the same X only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), callable, object with a method energy, or a list of the latter two
            Energies, as in `fit`; for "pseudolikelihood" None, or the temperature of each row.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; None is once.

        Returns
        -------
        score : float
            R^2; 1 - R^2 is left unexplained. Or nats of a site.
        """
        check_is_fitted(self)
        rows, X = X, validate_configurations(self, X, reset=False)
        rows, X, y, weight = weighted_rows(rows, X, y, sample_weight)
        if self.method == "pseudolikelihood":
            task = self._task(X, y, weight, self.lattice_shape_)
            return site_score(self.operators_, self.coef_, task)
        return float(r2_score(energies_of(y, X, rows).mean(axis=1), self._predict(X), sample_weight=weight))

    def to_sampler(self, lattice_shape=None, temperature=None, *, n_jobs=None, random_state=None):
        """Return the Ising system that has these couplings.

        Parameters
        ----------
        lattice_shape : tuple of int, default=None
            Shape of its lattice, of any size if every coupling is the same everywhere; None is that of the rows. The
            boundary is that of this expansion. But what was learned by "pseudolikelihood" from windows, with
            ``boundary="open"``, is given to a periodic lattice.
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
            If the states are other than -1 and 1, no temperature is known, or the couplings have no meaning on the
            lattice asked for.
        """
        check_is_fitted(self)
        if not np.isin(self.states_, (-1, 1)).all():
            raise ValueError(f"an IsingSampler has the states -1 and 1, got {self.states_[:8].tolist()}")
        shape = self.lattice_shape_ if lattice_shape is None else check_lattice_shape(lattice_shape)
        if temperature is None and np.isnan(self.temperature_):
            raise ValueError("temperature must be given, for the rows have none or several, got None")
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

    def to_frame(self):
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

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coef_std_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.method != "pseudolikelihood"
        return tags

    def _predict(self, X):
        needed = np.flatnonzero(self.coef_)
        return self.intercept_ - operator_sums(X, [self.operators_[k] for k in needed]) @ self.coef_[needed]

    def _task(self, X, y, weight, shape):
        """Return the rows with their weights and temperatures."""
        periodic = (True,) if self.lattice_shape is None else periodic_axes(self.boundary, len(shape))
        if self.method != "pseudolikelihood":
            T0 = temperature_of(y) if self.temperature is None else float(self.temperature)
            temperatures = np.full(len(X), T0)
        elif y is not None:
            check_consistent_length(X, y)
            temperatures = check_temperatures(y, "y", ndim=1)
        elif self.temperature is None:
            raise ValueError(
                "temperature must be given for method='pseudolikelihood', here or for each row as y, got None"
            )
        else:
            temperatures = np.full(len(X), float(self.temperature))
        return Task(X, weight, states_of(X), shape, periodic, temperatures)

    def _operators(self, task, symmetries):
        n_powers = min(max(len(task.states) - 1, 1), LARGEST_POWER)
        return operators_of(self, task.shape, symmetries, n_powers)

    def _warn(self, found, operators, task, asked, symmetries):
        """Warn once of couplings that the rows hardly tell, and once of symmetries that they refute."""
        if found.wide.any():
            warn(
                f"these rows hardly tell {found.wide.sum()} of {len(operators)} couplings, such as "
                f"{operators[np.argmax(found.wide)].name!r}: they are too few, or leave no doubt about a site given "
                "all others. The errors are wide; more rows, rows at a higher temperature, fewer operators or more "
                "symmetries make them smaller"
            )
        fewer = {
            name: self._operators(task, tuple(one for one in symmetries if one != name))
            for name in symmetries
            if name != "translation"
        }
        if "translation" in symmetries:
            fewer["translation"] = ()
        names = [repr(name) for name in refuted(operators, fewer, task, asked, self.method)]
        if names:
            warn(
                f"the rows refute the symmetry {' and '.join(names)} by more than five standard errors, so that "
                "couplings are wrong: leave it out of symmetries"
            )

    def _tables(self, operators, shape):
        """Return the terms of operators on a lattice."""
        windows = self.method == "pseudolikelihood" and self.lattice_shape is not None and self.boundary != "periodic"
        if shape == self.lattice_shape_ and not windows:
            return [operator.sites for operator in operators]
        if self.lattice_shape is None or [n > 1 for n in shape] != [n > 1 for n in self.lattice_shape_]:
            raise ValueError(f"lattice_shape must have the axes of {self.lattice_shape_}, got {shape}")
        periodic = periodic_axes(self.boundary, len(shape))
        return [translated(operator, (self.lattice_shape_, periodic), shape, windows) for operator in operators]
