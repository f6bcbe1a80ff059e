"""Couplings from energies or from data, their covariance, and which of them vanish."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, ndtr, stdtrit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram
from sklearn.utils import gen_batches

_RIDGE = 1e-8  # on correlations of errors, which are singular where operators cannot be told apart
_CONSTANT = 1e-12  # an operator that varies by less than this part of its mean is constant


class Projection(NamedTuple):
    """Couplings J_k in E = constant - sum_k J_k O_k, and their covariance."""

    coupling: np.ndarray
    constant: float
    covariance: np.ndarray


def expand(operators, estimate, rounding, sparse):
    """Return couplings, constant and standard errors by `estimate`; `sparse` leaves out operators that vanish.

    What is left out has coupling zero, and the standard error with which it was found to vanish. An operator that is
    constant has coupling zero, too, and the error nan, as have those that cannot be told apart. `rounding` is the
    standard deviation of the energy that a coupling must explain to count at all.
    """
    scale = operators.std(axis=0)
    varies = np.flatnonzero(scale > _CONSTANT * np.abs(operators.mean(axis=0)))
    coupling, error = np.zeros(len(scale)), np.full(len(scale), np.nan)
    found = estimate(operators[:, varies])
    error[varies] = np.sqrt(np.diag(found.covariance))
    if sparse and np.isfinite(error[varies]).all():
        needed = varies[support(found, rounding / scale[varies], len(operators))]
        found = estimate(operators[:, needed])
        varies, error[needed] = needed, np.sqrt(np.diag(found.covariance))
    coupling[varies] = found.coupling
    return coupling, found.constant, error


def project(operators, energies):
    r"""Fit the energies of M models, (n, M), by operators, (n, p), and return the mean over the models.

    With A the operators over their standard deviation, means subtracted (which is least squares on the differences
    of all pairs of configurations), and G = A'A

    .. math:: c_m = -G^{-1} A' E_m, \quad c = \frac1M \sum_m c_m, \quad V = G^{-1} \Big(\sum_i
              \frac{r_i^2}{(1 - h_i)^2} a_i a_i'\Big) G^{-1} + \frac{t_{M-1}^2}{M} \mathrm{var}_m c_m

    where r are the residuals of the mean energy and h_i = a_i' G^{-1} a_i + 1/n the leverages. The first term of V is
    the covariance of a bootstrap over configurations in the limit of many replicates (J. G. MacKinnon, H. White,
    J. Econometrics 29, 305 (1985)). The second is that of the mean over models; Student's t makes it a 68 % interval
    for few of them, too.
    """
    A, mean, scale = standardised(operators)
    E_mean = energies.mean(axis=0)
    E = energies - E_mean
    inverse, undetermined = pseudo_inverse(A.T @ A)
    c = -inverse @ (A.T @ E)
    c -= inverse @ (A.T @ (E + A @ c))  # once more, for G has the square of the condition number of A
    V = _over_configurations(A, (E + A @ c).mean(axis=1), inverse) + np.diag(undetermined)
    M = energies.shape[1]
    if M > 1:
        V += stdtrit(M - 1, ndtr(1.0)) ** 2 / M * np.diag(c.var(axis=1, ddof=1))
    coupling = c.mean(axis=1) / scale
    return Projection(coupling, float(E_mean.mean() + mean @ coupling), V / np.outer(scale, scale))


def standardised(operators):
    """Return operators with mean 0 and standard deviation 1, the means and the deviations."""
    mean, scale = operators.mean(axis=0), operators.std(axis=0)
    return (operators - mean) / scale, mean, scale


def pseudo_inverse(G):
    """Return the inverse of G, and nan for each row that it has no inverse for, 0 for the others."""
    inverse = np.linalg.pinv(G, rcond=1e-12, hermitian=True)
    return inverse, np.where(np.abs((inverse * G).sum(axis=1) - 1) < 1e-3, 0, np.nan)


def _over_configurations(A, residual, inverse):
    """Return the first term of V; nan where a configuration decides a coupling by itself."""
    V = np.zeros_like(inverse)
    for rows in gen_batches(len(A), 4096):
        influence = A[rows] @ inverse
        free = 1 - 1 / len(A) - (influence * A[rows]).sum(axis=1)
        influence *= (residual[rows] / np.where(free > 1e-6, free, np.nan))[:, None]
        V += influence.T @ influence
    return V


def contrast(operators, log_q, from_data, temperature):
    r"""Fit p(s) = exp((sum_k J_k O_k(s) - c) / T) to data, with draws of a known density q for contrast.

    Rows of `operators`, (n, p), are configurations of the data and draws of q. Whether one is from the data is the
    logistic regression (M. Gutmann, A. Hyvarinen, AISTATS 2010)

    .. math:: \ln \frac{P(\mathrm{data} | s)}{P(\mathrm{draw} | s)}
              = \ln \frac{n_\mathrm{data}}{n_\mathrm{draws}} + \ln p(s) - \ln q(s)

    with a and c to be learned in ln p = a + sum_k c_k A_k(s), A as in `project`. The covariance is, as there, that of a
    bootstrap: over the data, and over the draws.
    """
    A, mean, scale = standardised(operators)
    A = np.column_stack([A, np.ones(len(A))])
    offset = np.log(from_data.sum() / (~from_data).sum()) - log_q

    def curvature(x):
        p = expit(A @ x + offset)
        return (A * (p * (1 - p))[:, None]).T @ A

    def loss(z):
        odds = A @ (start + spread @ z) + offset
        return np.logaddexp(0, np.where(from_data, -odds, odds)).sum(), spread.T @ (A.T @ (expit(odds) - from_data))

    start = np.linalg.pinv(A.T @ A, rcond=1e-12, hermitian=True) @ (A.T @ log_q)  # p is the projection of q
    H = curvature(start)
    spread = np.linalg.inv(np.linalg.cholesky(H + _RIDGE * np.trace(H) * np.eye(len(H)))).T  # x in standard errors
    z = minimize(loss, np.zeros(len(H)), jac=True, method="L-BFGS-B", options={"gtol": 1e-5, "ftol": 1e-15}).x
    found = start + spread @ z
    influence = A * (expit(A @ found + offset) - from_data)[:, None]
    inverse, undetermined = pseudo_inverse(curvature(found))
    influence = influence @ inverse
    V = temperature**2 * (influence.T @ influence + np.diag(undetermined))[:-1, :-1]
    coupling = temperature * found[:-1] / scale
    return Projection(coupling, float(mean @ coupling - temperature * found[-1]), V / np.outer(scale, scale))


def support(full, size, n_samples):
    r"""Return which operators are needed, as booleans (p,); `size` is the coupling that counts as zero by rounding.

    With t_k = c_k / sigma_k and R the correlations of the errors, the adaptive lasso (H. Zou, J. Am. Stat. Assoc.
    101, 1418 (2006)) minimises (c - t)' R^{-1} (c - t) / 2 + alpha sum_k |c_k / t_k| and so puts the operators in
    order. Of its first k those are taken that make

    .. math:: \min_{c \,\in\, \mathrm{first}\ k} (c - t)' R^{-1} (c - t) + k \ln n

    smallest: Schwarz's criterion. To leave out a set u of operators costs t_u' R_uu^{-1} t_u.
    """
    needed = np.zeros(len(size), dtype=bool)
    if not full.coupling.any():
        return needed
    V = full.covariance + np.diag(size**2)
    sigma = np.sqrt(np.diag(V))
    t = full.coupling / sigma
    R = V / np.outer(sigma, sigma) + _RIDGE * np.eye(len(t))
    G = np.linalg.inv(R) * np.outer(t, t)
    unit = np.abs(G).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the path stops early where all that is left is rounding
        path = lars_path_gram(G.sum(axis=1) / unit, G / unit, n_samples=1, method="lasso", alpha_min=1 / unit)[2] != 0
    entry = np.where(path.any(axis=1), path.argmax(axis=1), path.shape[1])
    last_first = np.lexsort((-np.abs(t), entry))[::-1]
    root = np.linalg.cholesky(R[np.ix_(last_first, last_first)])
    cost = np.cumsum(np.append(0, solve_triangular(root, t[last_first], lower=True) ** 2 - np.log(n_samples)))
    needed[last_first[np.argmin(cost) :]] = True
    return needed
