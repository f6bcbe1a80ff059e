"""Pseudo-likelihood: pair couplings of spins by logistic regression, and a score for any energy."""

import math

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from .._ising.sampler import IsingSampler
from .._montecarlo.sampler import ThermalSampler
from .._utils.checks import check_number, check_temperature
from .._utils.configurations import first_stray, validate_configurations
from .._utils.memory import check_memory
from .._utils.names import without_names

_COPIES_OF_A_COUPLING = 6  # logistic weights, their variance, couplings and errors, and what makes them
_BLOCK = 2**22  # influences on all couplings in one block of rows: 32 MB


class PseudolikelihoodIsing(ThermalSampler, DensityMixin, BaseEstimator):
    r"""Fields and pair couplings of +-1 spins, by maximum pseudo-likelihood.

    In an Ising model with pair couplings on any graph, the law of a spin given all others is a logistic regression,

    .. math:: H(s) = -\sum_{i<j} J_{ij} s_i s_j - \sum_i h_i s_i, \qquad
              p(s_i = 1 \mid s_{\setminus i}) = \frac{1}{1 + e^{-2 (h_i + \sum_j J_{ij} s_j) / T_0}}

    and scikit-learn's :class:`~sklearn.linear_model.LogisticRegression` learns one for every site [1]_. Of the two
    estimates of a coupling, from its two ends, the mean is taken. No partition function is needed, and none is
    learned: the energy is not normalised. Interactions of more than two spins are beyond this model.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T0 of the training configurations, in units of the couplings.
    C : float, default=1.0
        Inverse strength of the quadratic penalty of every logistic regression; ``inf`` is none.
    n_jobs : int, default=None
        Processes over the sites, as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    coupling_ : ndarray of shape (n_sites, n_sites)
        J_ij, symmetric, with zeros on the diagonal.
    coupling_std_ : ndarray of shape (n_sites, n_sites)
        Standard errors, by the influence of every configuration.
    field_ : ndarray of shape (n_sites,)
        h_i.
    field_std_ : ndarray of shape (n_sites,)
        Standard errors of the fields.
    temperature_ : float
        The temperature T0 at which the model was fitted.
    states_ : ndarray of shape (2,)
        The values of a spin, -1 and 1.
    n_features_in_ : int
        Number of sites.
    feature_names_in_ : ndarray of shape (n_sites,)
        Names of the sites, where X has names that are strings.

    References
    ----------
    .. [1] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 179 (1975); E. Aurell, M. Ekeberg,
       "Inverse Ising inference using all the data", Phys. Rev. Lett. 108, 090201 (2012).

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, PseudolikelihoodIsing
    >>> X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=10_000)
    >>> pairs = PseudolikelihoodIsing(temperature=2.5).fit(X)
    >>> bool(abs(pairs.coupling_[0, 1] - 1) < 4 * pairs.coupling_std_[0, 1])
    True
    """

    def __init__(self, temperature=1.0, *, C=1.0, n_jobs=None, random_state=None):
        self.temperature = temperature
        self.C = C
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn fields and couplings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1 at `temperature`.
        y : None
            Ignored.

        Returns
        -------
        self : PseudolikelihoodIsing
            The fitted model.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X holds other values than -1 and 1.
        """
        T0 = check_temperature(self.temperature, allow_infinite=False)
        check_number(self.C, "C", low=0, include_low=False)
        X = _spins(self, X, reset=True)
        pairs = X.shape[1], X.shape[1]
        check_memory(pairs, np.float64, "an array of couplings", copies=_COPIES_OF_A_COUPLING, n_samples=len(X))
        couplings, fields = logistic_couplings(X, self.C, self.n_jobs)
        self.temperature_ = T0
        self.coupling_, self.coupling_std_ = (T0 * one for one in couplings)
        self.field_, self.field_std_ = (T0 * one for one in fields)
        return self

    def energy(self, X):
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

    def score(self, X, y=None):
        r"""Return the mean log *pseudo*-likelihood, :math:`\sum_i \ln p(s_i | s_{\setminus i})`, in nats.

        It is no log-likelihood and cannot be compared with one. :func:`pseudo_log_likelihood` is the same score for
        any model that has an energy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Mean over the rows of the sum over the sites.
        """
        check_is_fitted(self)
        s = _spins(self, X, reset=False).astype(np.float64)
        local_field = s @ self.coupling_ + self.field_
        return float(-np.logaddexp(0, -2 * s * local_field / self.temperature_).sum(axis=1).mean())

    def to_sampler(self):
        """Return the Ising system that has these fields and couplings, at T0.

        Returns
        -------
        sampler : IsingSampler
            Its ``energy(X)`` is that of this model.
        """
        check_is_fitted(self)
        pairs = np.transpose(np.nonzero(np.triu(self.coupling_)))
        terms = [(float(self.coupling_[i, j]), [int(i), int(j)]) for i, j in pairs]
        terms += [(float(h), [i]) for i, h in enumerate(self.field_)]
        shape, seed = (self.n_features_in_,), self.random_state
        return IsingSampler(shape, self.temperature_, coupling=0.0, couplings=terms, random_state=seed)

    def _prepare(self):
        check_is_fitted(self)
        return self.n_features_in_

    def _draw(self, temperature, n_samples, field, method, seed):
        return self.to_sampler()._draw(temperature, n_samples, field, method, seed)

    @property
    def states_(self):
        """The values of a spin."""
        return np.array([-1, 1], dtype=np.int8)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "field_std_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


def _spins(estimator, X, reset):
    X = validate_configurations(estimator, X, reset=reset)
    if (stray := first_stray(X)) is not None:
        row, column = stray
        raise ValueError(f"X must hold spins -1 and 1, got {X[row, column]} in row {row}, column {column}")
    return X


def logistic_couplings(X, C, n_jobs):
    r"""Return (J, error) and (h, error) in units of the temperature, from a logistic regression for every site.

    With z the other spins and a 1, u_i = 2 (J_i, h_i) / T, p_i = 1 / (1 + exp(-u_i z)) and
    H_i = sum_n p_i (1 - p_i) z z' the influence of configuration n on u_i is

    .. math:: \psi_i = H_i^{-1} z \, ([s_i = 1] - p_i), \qquad
              \sigma^2(J_{ij} / T) = \sum_n (\psi_{ij} + \psi_{ji})^2 / 16

    A spin that never changes has no couplings, and the field that half a configuration more of each sign gives it.
    """
    n_sites = X.shape[1]
    varies = np.flatnonzero(X.min(axis=0) != X.max(axis=0))
    Z = np.ones((len(X), len(varies) + 1))
    Z[:, :-1] = X[:, varies]
    u = Parallel(n_jobs=n_jobs)(delayed(_site)(Z, k, C) for k in range(len(varies)))
    u = np.reshape(u, (len(varies), len(varies) + 1))
    inverse = [_inverse_curvature(Z, k, u[k], C) for k in range(len(varies))]
    variance = np.zeros_like(u)
    for rows in gen_batches(len(X), max(1, _BLOCK // max(1, u.size))):
        z = Z[rows]
        residual = (z[:, :-1] > 0) - 1 / (1 + np.exp(-z @ u.T))
        psi = np.empty((len(z), *u.shape))
        for k in range(len(varies)):
            psi[:, k] = (z * residual[:, [k]]) @ inverse[k]
        pair = psi[:, :, :-1]
        variance[:, :-1] += ((pair + pair.transpose(0, 2, 1)) ** 2).sum(axis=0) / 16
        variance[:, -1] += (psi[:, :, -1] ** 2).sum(axis=0) / 4
    (J, J_std), (h, h_std) = np.zeros((2, n_sites, n_sites)), np.zeros((2, n_sites))
    J[np.ix_(varies, varies)] = (u[:, :-1] + u[:, :-1].T) / 4
    J_std[np.ix_(varies, varies)] = np.sqrt(variance[:, :-1])
    up = (X > 0).sum(axis=0)
    h[:] = np.log((up + 0.5) / (len(X) - up + 0.5)) / 2
    h[varies], h_std[varies] = u[:, -1] / 2, np.sqrt(variance[:, -1])
    return (J, J_std), (h, h_std)


def _site(Z, k, C):
    """Return the coefficients of all columns of Z, the last the intercept, for the sign of column k; 0 for itself."""
    others = np.delete(np.arange(Z.shape[1] - 1), k)
    if not len(others):
        up = (Z[:, k] > 0).sum()
        return np.array([0.0, math.log(up / (len(Z) - up))])
    regression = LogisticRegression(C=C, solver="newton-cholesky", max_iter=1000, tol=1e-8)
    regression.fit(Z[:, others], Z[:, k] > 0)
    return np.insert(np.append(regression.coef_[0], regression.intercept_), k, 0.0)


def _inverse_curvature(Z, k, u, C):
    """Return the inverse of the Hessian H_i + 1 / C (couplings), zero in row and column k."""
    others = np.delete(np.arange(Z.shape[1]), k)
    p = 1 / (1 + np.exp(-Z @ u))
    z = Z[:, others]
    hessian = (z * (p * (1 - p))[:, None]).T @ z
    hessian[np.diag_indices(len(others) - 1)] += 1 / C
    inverse = np.zeros((Z.shape[1], Z.shape[1]))
    inverse[np.ix_(others, others)] = np.linalg.pinv(hessian, hermitian=True)
    return inverse


def pseudo_log_likelihood(estimator, X, y=None):
    r"""Score any model that has an energy by how well it predicts a site from all others.

    .. math:: \frac1n \sum_{s \in X} \sum_i \ln p(s_i | s_{\setminus i}), \qquad
              p(s_i | s_{\setminus i}) = \frac{e^{-H(s)/T_0}}{\sum_a e^{-H(s, s_i \to a)/T_0}}

    No normalisation of the energy enters, so it is the score on which learned, fitted and true systems can be
    compared, as ``scoring=`` of :class:`~sklearn.model_selection.GridSearchCV` too. It is no likelihood.

    Parameters
    ----------
    estimator : object
        Fitted model with ``energy(X)``, ``temperature_`` (or ``temperature``) and ``states_``, or a Pipeline that ends
        in one.
    X : array-like of shape (n_samples, n_sites)
        Configurations at the temperature of the model. The energy is computed for every one of them with every site
        in every state: some hundred configurations will do.
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
    T0 = float(getattr(estimator, "temperature_", getattr(estimator, "temperature", 1.0)))
    named, X = X, validate_configurations(BaseEstimator(), X, reset=True)
    if hasattr(estimator, "feature_names_in_"):
        validate_data(estimator, named, reset=False, dtype=None, ensure_all_finite=False)
        estimator = without_names(estimator)
    log_weight = -np.asarray(estimator.energy(X)) / T0
    changed = X.astype(np.result_type(X, np.asarray(estimator.states_)))
    total = np.zeros(len(X))
    for site in range(X.shape[1]):
        each = []
        for state in estimator.states_:
            changed[:, site] = state
            each.append(-estimator.energy(changed) / T0)
        changed[:, site] = X[:, site]
        total += log_weight - np.logaddexp.reduce(each, axis=0)
    return float(total.mean())
