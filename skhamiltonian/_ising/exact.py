"""Exact answers: Kaufman's Ising torus, and every configuration of a small system."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._utils.checks import check_lattice_shape, check_temperatures


class IsingThermodynamics(NamedTuple):
    """Exact totals of a finite Ising lattice (divide by the number of sites for densities).

    Attributes
    ----------
    log_partition : float or ndarray
        ln Z, the sum over all 2^N configurations.
    free_energy : float or ndarray
        F = -T ln Z.
    energy : float or ndarray
        U = <H>.
    entropy : float or ndarray
        S = ln Z + U / T, in nats.
    heat_capacity : float or ndarray
        C = var(H) / T^2.
    """

    log_partition: np.ndarray | float
    free_energy: np.ndarray | float
    energy: np.ndarray | float
    entropy: np.ndarray | float
    heat_capacity: np.ndarray | float


def ising_exact(lattice_shape, temperature):
    r"""Exact thermodynamics of the Ising model on a periodic L x M lattice.

    The energy is :math:`H = -\sum_{\langle ij \rangle} s_i s_j` (J = 1, k_B = 1, no field), every
    site with a bond to its right and to its lower neighbour on the torus. A length of 2 therefore
    has double bonds and a length of 1 a constant energy of -1 a site, as ``numpy.roll`` counts them.

    Parameters
    ----------
    lattice_shape : tuple of 2 ints
        Lengths (L, M).
    temperature : float or array-like of floats
        Positive temperatures in units of J; ``inf`` is allowed.

    Returns
    -------
    IsingThermodynamics
        Named tuple of log_partition, free_energy, energy, entropy and heat_capacity: totals of the
        lattice, floats for one temperature and arrays for an array of them. Relative precision is
        about 1e-12 for T >= 0.5. At lower temperatures the heat capacity, which decays like
        exp(-8/T), loses relative (not absolute) precision.

    Raises
    ------
    ValueError
        If a temperature is not positive, or the lattice does not have two axes.
    TypeError
        If a temperature is not a number, or a length not an integer.

    References
    ----------
    B. Kaufman, Phys. Rev. 76, 1232 (1949); A. E. Ferdinand and M. E. Fisher, Phys. Rev. 185, 832 (1969).

    Examples
    --------
    >>> from skhamiltonian import ising_exact
    >>> exact = ising_exact((16, 16), 2.5)
    >>> round(exact.free_energy, 6), round(exact.entropy, 5)
    (-563.072117, 109.38189)
    """
    shape = check_lattice_shape(lattice_shape)
    if len(shape) != 2:
        raise ValueError(f"lattice_shape must have 2 axes, such as (16, 16), got {lattice_shape!r}")
    T = check_temperatures(temperature, "temperature")
    log_z, slope, curvature = kaufman(min(shape), max(shape), np.maximum(1 / T, 1e-30))  # K = 0 would be 0 times inf
    values = (log_z, -T * log_z, -slope, log_z - slope / T, curvature / T**2)
    return IsingThermodynamics(*(value if np.ndim(T) else float(value) for value in values))


def kaufman(n: int, m: int, K: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return ln Z of the n x m torus at coupling K = J/T, and its first two derivatives by K.

    .. math::

        2 Z = (2 s)^{nm/2} \Big[ \prod_{q\,odd} 2\cosh\tfrac{m\gamma_q}{2} + \prod_{q\,odd} 2\sinh\tfrac{m\gamma_q}{2}
            + \prod_{q\,even} 2\cosh\tfrac{m\gamma_q}{2} + \prod_{q\,even} 2\sinh\tfrac{m\gamma_q}{2} \Big]

    with s = sinh 2K, cosh gamma_q = s + 1/s - cos q and q = pi r / n for r = 0 ... 2n-1. The factor of
    q = 0, gamma_0 = 2K + ln tanh K, changes sign at Tc. Written out it is

    .. math:: (2s)^{m/2}\, 2\cosh\tfrac{m\gamma_0}{2} = P + Q, \quad (2s)^{m/2}\, 2\sinh\tfrac{m\gamma_0}{2} = P - Q,
              \quad P = (e^{2K} - 1)^m, \quad Q = (1 + e^{-2K})^m

    so that 2 Z is a sum of six smooth terms, of which only -Q prod sinh is negative and never large.
    """
    K = np.asarray(K, dtype=float)
    odd, even = np.pi * np.arange(1, 2 * n, 2) / n, np.pi * np.arange(2, 2 * n, 2) / n
    (cosh_odd, sinh_odd), (cosh_even, sinh_even) = _log_products(odd, m, K), _log_products(even, m, K)
    P, Q = _log_soft_mode(m, K)
    terms = np.stack([cosh_odd, sinh_odd, P + cosh_even, Q + cosh_even, P + sinh_even, Q + sinh_even])
    sign = np.array([1, 1, 1, 1, 1, -1]).reshape(6, *[1] * K.ndim)
    log_term, slope, curvature = np.moveaxis(terms, 1, 0)
    largest, reference = log_term.max(axis=0), slope[0]
    weight = sign * np.exp(log_term - largest)
    total = weight.sum(axis=0)
    p, d = weight / total, slope - reference  # slopes are compared with one of them: N^2 would swamp the variance
    mean = (p * d).sum(axis=0)
    return (
        largest + np.log(total) - np.log(2),
        reference + mean,
        (p * (curvature + (d - mean) ** 2)).sum(axis=0),
    )


def _log_products(q: np.ndarray, m: int, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return ln prod_q (2s)^{m/2} 2 cosh(m gamma_q / 2) and the same of sinh, each with two derivatives by K.

    gamma does not change under s -> 1/s (duality). With t = min(s, 1/s), nothing overflows:

    .. math:: e^{-\gamma} = r = t / S, \quad S = A + D, \quad A = 1 + t^2 - t \cos q, \quad D^2 = A^2 - t^2,
              \quad 2s\, e^{\gamma} = 2 S \max(1, s^2)
    """
    q = q.reshape(-1, *[1] * K.ndim)
    (t, dt, ddt), prefactor = _dual_coupling(K)
    A, A_t, A_tt = 1 + t**2 - t * np.cos(q), 2 * t - np.cos(q), 2
    D = np.sqrt(((1 - t) ** 2 + 2 * t * np.sin(q / 2) ** 2) * (1 + t**2 + 2 * t * np.sin(q / 2) ** 2))
    D_t = (A * A_t - t) / D
    D_tt = (A_t**2 + A * A_tt - 1 - D_t**2) / D
    S, g_t, g_tt = A + D, (A_t + D_t) / (A + D), (A_tt + D_tt) / (A + D)
    dg, ddg = g_t * dt, (g_tt - g_t**2) * dt**2 + g_t * ddt  # derivatives of ln S
    r, dr = t / S, (dt - t * dg) / S
    ddr = (ddt - dt * dg) / S - dr * dg - r * ddg
    u, du = r**m, m * r ** (m - 1) * dr
    ddu = m * (m - 1) * r ** max(m - 2, 0) * dr**2 + m * r ** (m - 1) * ddr
    common = m / 2 * (np.stack([np.log(2 * S), dg, ddg]).sum(axis=1) + len(q) * prefactor)
    return tuple(
        common
        + np.stack(
            [np.log1p(sign * u), sign * du / (1 + sign * u), sign * ddu / (1 + sign * u) - (du / (1 + sign * u)) ** 2]
        ).sum(axis=1)
        for sign in (1, -1)
    )


def _dual_coupling(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return t = min(s, 1/s) and ln max(1, s^2) for s = sinh 2K, each with two derivatives by K."""
    critical = np.log1p(np.sqrt(2)) / 2
    low, cold, hot = critical < K, np.maximum(K, critical), np.minimum(K, critical)
    x = np.exp(-2 * cold)
    t = np.where(low, 2 * x / (1 - x**2), np.sinh(2 * hot))
    c = np.sqrt(1 + t**2)
    jet = np.where(low, np.stack([t, -2 * t * c, 4 * t + 8 * t**3]), np.stack([t, 2 * c, 4 * t]))
    log_s = np.stack([2 * cold + np.log((1 - x**2) / 2), 2 * c, -4 * t**2])
    return jet, np.where(low, 2 * log_s, 0)


def _log_soft_mode(m: int, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ln P = m ln(e^2K - 1) and ln Q = m ln(1 + e^-2K), each with two derivatives by K."""
    x = np.exp(-2 * K)
    bose, fermi = 1 / -np.expm1(-2 * K), 1 / (1 + x)
    P = m * np.stack([2 * K + np.log(-np.expm1(-2 * K)), 2 * bose, -4 * x * bose**2])
    Q = m * np.stack([np.log1p(x), -2 * x * fermi, 4 * x * fermi**2])
    return P, Q
