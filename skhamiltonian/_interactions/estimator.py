"""InteractionExpansion: the couplings behind an energy, as a scikit-learn regressor."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from .._ising.sampler import IsingSampler
from .._utils.checks import check_lattice_shape
from .._utils.configurations import validate_configurations
from .._utils.repeatable import check_repeatable
from .operators import operator_sums
from .problem import check_parameters, energies_of, problem
from .regression import expand


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
    method : {"projection", "contrastive"}, default="projection"
        "projection" is least squares on the energy `y`: what the network says. "contrastive" asks the data again: X are
        the configurations that the model `y` was fitted to, or better new ones at the same temperature, and the
        couplings are those that tell them best from as many draws of the model [2]_. That takes out what is wrong
        in the model, leaves the statistical error of the data, and normalises the energy. It wants a model that
        can be drawn from and has ``score_samples``, and operators that describe the energy well (see `score`).
    sparse : bool, default=True
        Whether couplings that vanish within their errors are left out and exactly zero: the adaptive lasso [1]_ puts
        the operators in order, Schwarz's criterion says how many are needed, least squares gives their couplings.

    Attributes
    ----------
    coef_ : ndarray of shape (n_operators,)
        The couplings J_k.
    coef_std_ : ndarray of shape (n_operators,)
        Their standard errors: those of a bootstrap over configurations, to first order in the weights of the
        configurations and without drawing replicates, so not random; together with the spread over models where `y`
        is a list of several. An operator that was left out has the error with which its coupling was found to vanish.
        nan where the configurations do not tell: too few, or an operator that is constant or the sum of others.
    intercept_ : float
        The constant c; the mean over several models.
    operators_ : list of Operator
        Named tuples (name, sites, distance), the last in lattice spacings and nan where no lattice is known.
    states_ : ndarray
        Values that occur in X.
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
    couplings if the operators are all that there are.

    References
    ----------
    .. [1] H. Zou, "The adaptive lasso and its oracle properties", J. Am. Stat. Assoc. 101, 1418 (2006).
    .. [2] M. Gutmann, A. Hyvärinen, "Noise-contrastive estimation: a new estimation principle for unnormalized
       statistical models", AISTATS 2010, PMLR 9, 297.

    Examples
    --------
    >>> from skhamiltonian import InteractionExpansion, IsingSampler
    >>> ising = IsingSampler(lattice_shape=(6, 6), temperature=4.0, plaquette_coupling=0.5, random_state=0)
    >>> X = ising.sample(n_samples=2000)
    >>> expansion = InteractionExpansion(lattice_shape=(6, 6)).fit(X, ising.energy)
    >>> {operator.name: round(J, 12) for operator, J in zip(expansion.operators_, expansion.coef_.tolist()) if J}
    {'pair (0, 1)': 1.0, 'plaquette': 0.5}
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
    ):
        self.operators = operators
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.max_distance = max_distance
        self.symmetries = symmetries
        self.method = method
        self.sparse = sparse

    def fit(self, X, y):
        """Expand an energy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations on which the energy is to be met: data, draws of the model, or both. Rows count as
            independent.
        y : array-like of shape (n_samples,), callable, object with a method energy, or a list of the latter two
            Energies of X, or what computes them, such as ``IsingSampler.energy`` or a fitted
            :class:`MADEHamiltonian`. Of a list of models the mean energy is expanded. The method "contrastive"
            takes fitted models alone, and draws from all that are in a list.

        Returns
        -------
        self : InteractionExpansion
            The fitted expansion.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X and y are not configurations and their energies.
        """
        symmetries = check_parameters(self)
        check_repeatable(y, "y")
        rows, X = X, validate_configurations(self, X, reset=True)
        shape = (X.shape[1],) if self.lattice_shape is None else check_lattice_shape(self.lattice_shape, X.shape[1])
        operators, values, estimate, rounding = problem(self, shape, symmetries, X, y, rows)
        expanded = expand(values, estimate, rounding, self.sparse)
        self.lattice_shape_, self.states_, self.operators_ = shape, np.unique(X), operators
        self.coef_, self.intercept_, self.coef_std_ = expanded
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
        return self._energies(validate_configurations(self, X, reset=False))

    def _energies(self, X):
        needed = np.flatnonzero(self.coef_)
        return self.intercept_ - operator_sums(X, [self.operators_[k] for k in needed]) @ self.coef_[needed]

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

    def score(self, X, y):
        r"""Return R^2, the part of the variance of the energy that the operators explain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), callable, object with a method energy, or a list of the latter two
            Energies, as in `fit`.

        Returns
        -------
        score : float
            R^2; 1 - R^2 is left unexplained.
        """
        check_is_fitted(self)
        rows, X = X, validate_configurations(self, X, reset=False)
        return float(r2_score(energies_of(y, X, rows).mean(axis=1), self._energies(X)))

    def to_sampler(self, temperature=1.0, *, n_jobs=None, random_state=None):
        """Return the Ising system that has these couplings.

        Parameters
        ----------
        temperature : float, default=1.0
            Temperature of the sampler, in the unit of the energies.
        n_jobs : int, default=None
            Threads of the sampler.
        random_state : int, RandomState, Generator or None, default=None
            Seed of the sampler.

        Returns
        -------
        sampler : IsingSampler
            Its ``energy(X)`` is ``predict(X) - intercept_``.

        Raises
        ------
        ValueError
            If the states are other than -1 and 1.
        """
        check_is_fitted(self)
        if not np.isin(self.states_, (-1, 1)).all():
            raise ValueError(f"an IsingSampler has the states -1 and 1, got {self.states_[:8].tolist()}")
        return IsingSampler(
            self.lattice_shape_,
            temperature,
            coupling=0.0,
            couplings=[(float(self.coef_[k]), self.operators_[k].sites) for k in np.flatnonzero(self.coef_)],
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
