"""Couplings from energies or from data, their covariance, and the selection of those that do not vanish."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, ndtr, stdtrit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram
from sklearn.utils import gen_batches

_RIDGE = 1e-8  # added to correlations of errors, which are singular if operators are linearly dependent
_ONE_SIGMA = ndtr(1.0)  # quantile of one standard error
_CONSTANT = 1e-12  # an operator that varies by less than this part of its mean is constant

Floats = NDArray[np.float64]


class Projection(NamedTuple):
    """Couplings J_k in E = constant - sum_k J_k O_k, and their covariance."""

    coupling: Floats
    constant: float
    covariance: Floats


@dataclass(frozen=True)
class Problem:
    """A problem that couplings solve: values of the operators, how often each row counts, and the fit itself."""

    values: Floats  # (n_rows, n_operators)
    weight: Floats  # (n_rows,)
    estimate: Callable[[Floats], Projection]  # from columns of values
    rounding: float  # a smaller standard deviation of the energy counts as zero
    n_samples: float  # number of measured configurations


def expand(problem: Problem, sparse: bool) -> tuple[Floats, float, Floats]:
    """Return couplings, constant and standard errors of a problem; `sparse` leaves out operators that vanish.

    An operator that is left out has coupling zero, and the standard error with which its coupling was found to
    vanish. A constant operator has coupling zero and the error nan. Linearly dependent operators have the error nan.
    A coupling counts as zero if it explains less of the energy than the rounding of the problem.
    """
    operators = problem.values
    scale = operators.std(axis=0)
    varies = np.flatnonzero(scale > _CONSTANT * np.abs(operators.mean(axis=0)))
    coupling, error = np.zeros(len(scale)), np.full(len(scale), np.nan)
    found, free = problem.estimate(operators[:, varies]), problem.n_samples - len(varies) - 1
    error[varies] = np.sqrt(np.diag(found.covariance))
    if sparse and np.isfinite(error[varies]).all():
        selected = varies[support(found, problem.rounding / scale[varies], problem.n_samples, free)]
        found = problem.estimate(operators[:, selected])
        varies, error[selected] = selected, np.sqrt(np.diag(found.covariance))
    coupling[varies] = found.coupling
    return coupling, found.constant, error


def project(operators: Floats, energies: Floats, weight: Floats, errors: Floats) -> Projection:
    r"""Fit the energies of M models, (n, M), by operators, (n, p), and return the mean over the models.

    A holds the operators with mean 0 and standard deviation 1 (the result is least squares on the energy differences
    of all pairs of configurations), w how often each row counts, and G = A'wA. Columns of `errors`, (n, q), are the
    changes e_j of the energies by one standard error of independent parameters of the model:

    .. math:: c_m = -G^{-1} A' w E_m, \quad c = \frac1M \sum_m c_m, \quad V = t_{n-p-1}^2\, G^{-1} \Big(\sum_i
              w_i \frac{r_i^2}{1 - h_i} a_i a_i'\Big) G^{-1} + \frac{t_{M-1}^2}{M} \mathrm{var}_m c_m
              + \sum_j d_j d_j', \quad d_j = G^{-1} A' w e_j

    r are the residuals of the mean energy, and h_i = a_i' G^{-1} a_i + 1/n the leverages. A row pulls the fit towards
    itself, so the variance of its residual is too small by the factor 1 - h (HC2: J. G. MacKinnon, H. White,
    J. Econometrics 29, 305 (1985)). The second term is the variance of the mean over models. Student's t makes the
    errors 68 % intervals for few rows or models, too.
    """
    A, mean, scale = standardised(operators, weight)
    M, n = energies.shape[1], weight.sum()
    E_mean = np.average(energies, axis=0, weights=weight)
    E = energies - E_mean
    inverse, undetermined = pseudo_inverse((A.T * weight) @ A)
    c = -inverse @ (A.T @ (E * weight[:, None]))
    c -= inverse @ (A.T @ ((E + A @ c) * weight[:, None]))  # G has the square of the condition number of A
    V = _over_configurations(A, (E + A @ c).mean(axis=1), inverse, weight) + np.diag(undetermined)
    V *= stdtrit(n - len(c) - 1, _ONE_SIGMA) ** 2 if n > len(c) + 1 else 1
    d = inverse @ (A.T @ (errors * weight[:, None]))
    V += d @ d.T
    if M > 1:
        V += stdtrit(M - 1, _ONE_SIGMA) ** 2 / M * np.diag(c.var(axis=1, ddof=1))
    coupling = c.mean(axis=1) / scale
    return Projection(coupling, float(E_mean.mean() + mean @ coupling), V / np.outer(scale, scale))


def standardised(operators: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Return operators with mean 0 and standard deviation 1, their means, and their standard deviations."""
    mean = np.average(operators, axis=0, weights=weight)
    scale = np.sqrt(np.average((operators - mean) ** 2, axis=0, weights=weight))
    return (operators - mean) / scale, mean, scale


def pseudo_inverse(G: Floats) -> tuple[Floats, Floats]:
    """Return the pseudo-inverse of G, and for each row 0, or nan if G is singular there."""
    inverse = np.asarray(np.linalg.pinv(G, rcond=1e-12, hermitian=True), dtype=np.float64)
    return inverse, np.where(np.abs((inverse * G).sum(axis=1) - 1) < 1e-3, 0, np.nan)


def _over_configurations(A: Floats, residual: Floats, inverse: Floats, weight: Floats) -> Floats:
    """Return the first term of V; nan if one configuration alone determines a coupling."""
    V = np.zeros_like(inverse)
    for rows in gen_batches(len(A), 4096):
        influence = A[rows] @ inverse
        free = 1 - 1 / weight.sum() - (influence * A[rows]).sum(axis=1)
        influence *= (residual[rows] * np.sqrt(weight[rows] / np.where(free > 1e-6, free, np.nan)))[:, None]
        V += influence.T @ influence
    return V


def contrast(
    operators: Floats, log_q: Floats, from_data: NDArray[np.bool_], temperature: float, weight: Floats
) -> Projection:
    r"""Fit p(s) = exp((sum_k J_k O_k(s) - c) / T) to data, with draws of a known density q as contrast.

    Rows of `operators`, (n, p), are configurations of the data and draws of q. A logistic regression gives the odds
    that a row is from the data (M. Gutmann, A. Hyvarinen, AISTATS 2010)

    .. math:: \ln \frac{P(\mathrm{data} | s)}{P(\mathrm{draw} | s)}
              = \ln \frac{n_\mathrm{data}}{n_\mathrm{draws}} + \ln p(s) - \ln q(s)

    It learns a and c in ln p = a + sum_k c_k A_k(s), with A as in `project`. The covariance is that of a bootstrap over
    the data and over the draws. `weight` is how often each row counts.
    """
    A, mean, scale = standardised(operators, weight)
    A = np.column_stack([A, np.ones(len(A))])
    offset = np.log(weight[from_data].sum() / weight[~from_data].sum()) - log_q

    def curvature(x: Floats) -> Floats:
        p = expit(A @ x + offset)
        return (A * (weight * p * (1 - p))[:, None]).T @ A

    def loss(z: Floats) -> tuple[float, Floats]:
        odds = A @ (start + spread @ z) + offset
        surprise = np.logaddexp(0, np.where(from_data, -odds, odds))
        return weight @ surprise, spread.T @ (A.T @ (weight * (expit(odds) - from_data)))

    start = np.linalg.pinv((A.T * weight) @ A, rcond=1e-12, hermitian=True) @ (A.T @ (weight * log_q))
    H = curvature(start)
    spread = np.linalg.inv(np.linalg.cholesky(H + _RIDGE * np.trace(H) * np.eye(len(H)))).T  # x in standard errors
    z = minimize(loss, np.zeros(len(H)), jac=True, method="L-BFGS-B", options={"gtol": 1e-5, "ftol": 1e-15}).x
    found = start + spread @ z
    p = expit(A @ found + offset)
    inverse, undetermined = pseudo_inverse(curvature(found))
    leverage = p * (1 - p) * ((A @ inverse) * A).sum(axis=1)  # as in `project`: a row pulls the fit towards itself
    residual = (p - from_data) / np.sqrt(np.maximum(1 - leverage, 1e-6))
    influence = (A * (np.sqrt(weight) * residual)[:, None]) @ inverse
    V = temperature**2 * (influence.T @ influence + np.diag(undetermined))[:-1, :-1]
    coupling = temperature * found[:-1] / scale
    return Projection(coupling, float(mean @ coupling - temperature * found[-1]), V / np.outer(scale, scale))


def support(full: Projection, size: Floats, n_samples: float, free: float) -> NDArray[np.bool_]:
    r"""Return which operators are selected, as booleans (p,). Couplings up to `size` count as zero.

    `free` is the number of degrees of freedom of the standard errors.

    With t_k = c_k / sigma_k and R the correlations of the errors, the adaptive lasso (H. Zou, J. Am. Stat. Assoc.
    101, 1418 (2006)) minimises (c - t)' R^{-1} (c - t) / 2 + alpha sum_k |c_k / t_k|, which ranks the operators. The
    first k operators are selected, with the k that minimises

    .. math:: \min_{c \,\in\, \mathrm{first}\ k} (c - t)' R^{-1} (c - t) + k (\ln n + 2 \ln p)

    This is Schwarz's criterion, extended by the number of operators tried (J. Chen, Z. Chen, Biometrika 95, 759
    (2008)), so noise alone selects no operator. t follows Student's law with f degrees of freedom. So the price x of
    an operator, which holds for a normal t^2, becomes the equally likely f (exp(x / f) - 1). Leaving out a set u of
    operators costs t_u' R_uu^{-1} t_u.
    """
    selected = np.zeros(len(size), dtype=bool)
    if not full.coupling.any():
        return selected
    V = full.covariance + np.diag(size**2)
    sigma = np.sqrt(np.diag(V))
    t = full.coupling / sigma
    R = V / np.outer(sigma, sigma) + _RIDGE * np.eye(len(t))
    G = np.linalg.inv(R) * np.outer(t, t)
    unit = np.abs(G).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the path stops early if only rounding is left
        path = lars_path_gram(G.sum(axis=1) / unit, G / unit, n_samples=1, method="lasso", alpha_min=1 / unit)[2] != 0
    entry = np.where(path.any(axis=1), path.argmax(axis=1), path.shape[1])
    last_first = np.lexsort((-np.abs(t), entry))[::-1]
    price = np.log(max(n_samples, 2)) + 2 * np.log(len(t))
    price = free * np.expm1(min(price / free, 50)) if free > 0 else np.inf
    root = np.linalg.cholesky(R[np.ix_(last_first, last_first)])
    cost = np.cumsum(np.append(0, solve_triangular(root, t[last_first], lower=True) ** 2 - price))
    selected[last_first[np.argmin(cost) :]] = True
    return selected
