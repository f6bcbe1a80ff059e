"""InteractionExpansion: the couplings behind an energy, as a scikit-learn regressor."""

import math

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from ._expansion import expand
from ._ising import IsingSampler
from ._ising_system import check_sites, periodic_axes
from ._lattice_symmetry import SYMMETRIES
from ._operators import FAMILIES, Geometry, Operator, lattice_operators, operator_sums
from ._validation import check_choice, check_lattice_shape, check_memory, check_number, validate_configurations

_LARGEST_POWER = 4


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
        is a list of several. An operator that was left out has the error with which its coupling was found to vanish;
        nan where there are too few configurations to tell.
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
    What the errors mean depends on where the energies come from. The energy of *one* network is a function without
    noise, and `coef_std_` says how well its projection is known: the network's own error is not in it. A list of
    networks that were fitted to independent data shows that error. What all of them share, such as too small a
    network, no error shows.

    References
    ----------
    .. [1] H. Zou, "The adaptive lasso and its oracle properties", J. Am. Stat. Assoc. 101, 1418 (2006).

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
        sparse=True,
    ):
        self.operators = operators
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.max_distance = max_distance
        self.symmetries = symmetries
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
            :class:`MADEHamiltonian`. Of a list of models the mean energy is expanded.

        Returns
        -------
        self : InteractionExpansion
            The fitted expansion.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X and y are not configurations and their energies.
        """
        symmetries = _check_parameters(self)
        X = validate_configurations(self, X, reset=True)
        energies = energies_of(y, X)
        shape = (X.shape[1],) if self.lattice_shape is None else check_lattice_shape(self.lattice_shape, X.shape[1])
        states = np.unique(X)
        operators = _operators(self, shape, symmetries, min(max(len(states) - 1, 1), _LARGEST_POWER))
        check_memory((len(X), len(operators)), np.float64, "the table of operators")
        expanded = expand(operator_sums(X, operators), energies, self.sparse)
        self.lattice_shape_, self.states_, self.operators_ = shape, states, operators
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
        X = validate_configurations(self, X, reset=False)
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
        predicted = self.predict(X)
        return float(r2_score(energies_of(y, X).mean(axis=1), predicted))

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


def energies_of(y, X):
    """Return the energies of X by every model, (n_samples, n_models)."""
    several = isinstance(y, (list, tuple)) and len(y) > 0 and all(map(_is_model, y))
    energies = [_energy(one, X) if _is_model(one) else one for one in (y if several else [y])]
    columns = [column_or_1d(energy, dtype=np.float64, warn=True) for energy in energies]
    check_consistent_length(X, *columns)
    for column in columns:
        if not np.isfinite(column).all():
            bad = np.flatnonzero(~np.isfinite(column))[0]
            raise ValueError(f"energies must be finite, got {column[bad]} in row {bad}: NaN and inf have no expansion")
    return np.stack(columns, axis=1)


def _is_model(y):
    return callable(y) or callable(getattr(y, "energy", None))


def _energy(model, X):
    return model.energy(X) if callable(getattr(model, "energy", None)) else model(X)


def _check_parameters(expansion):
    """Check everything that needs no data; return the symmetries."""
    check_number(expansion.max_distance, "max_distance", low=0)
    if not isinstance(expansion.sparse, (bool, np.bool_)):
        raise TypeError(f"sparse must be True or False, got {expansion.sparse!r}")
    on_lattice, names = expansion.lattice_shape is not None, expansion.symmetries
    if isinstance(names, str):
        names = ({"auto": SYMMETRIES[:2] if on_lattice else ()}).get(names, (names,))
    for name in names:
        check_choice(name, "each of symmetries", SYMMETRIES)
    if {"translation", "point-group"} & set(names) and not on_lattice:
        raise ValueError(f"symmetries={expansion.symmetries!r} need lattice_shape, such as (16, 16), got None")
    if "point-group" in names and "translation" not in names:
        raise ValueError(f"symmetries with 'point-group' need 'translation', too, got {expansion.symmetries!r}")
    return tuple(names)


def _operators(expansion, shape, symmetries, n_powers):
    """Return the operators by the parameters of the estimator."""
    on_lattice, entries = expansion.lattice_shape is not None, expansion.operators
    if isinstance(entries, str) and entries == "auto":
        entries = FAMILIES if on_lattice else FAMILIES[:2]
    if isinstance(entries, (str, bytes, dict)) or not np.iterable(entries):
        raise TypeError(f"operators must be 'auto' or a list of names and (name, sites), got {entries!r}")
    periodic = periodic_axes(expansion.boundary, len(shape)) if on_lattice else (False,)
    max_distance = expansion.max_distance if on_lattice else math.inf
    geometry = Geometry(shape, periodic, max_distance, symmetries, n_powers)
    operators = []
    for entry in entries:
        if isinstance(entry, str):
            check_choice(entry, "each of operators", FAMILIES if on_lattice else FAMILIES[:2])
            found = lattice_operators(entry, geometry)
            operators += found if on_lattice else [operator._replace(distance=math.nan) for operator in found]
        elif isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str):
            sites = check_sites(entry[1], math.prod(shape), "operators")
            operators.append(Operator(entry[0], sites, math.nan))
        else:
            raise TypeError(f"each of operators must be a name or (name, sites), got {entry!r}")
    if not operators:
        raise ValueError(f"operators must name at least one that exists on {shape}, got {expansion.operators!r}")
    return operators
