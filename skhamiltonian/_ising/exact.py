"""Exact thermodynamics of the Ising torus (Kaufman), with one coupling per axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._lattice.checks import axis_couplings
from .._utils.checks import check_lattice_shape, check_temperatures
from .derivatives import Array, Jet, log_sum_exp, stack

_SMALLEST_COUPLING = 1e-30  # over T; it replaces 0, because the logarithm of 0 is infinite


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

    log_partition: NDArray[np.float64] | float
    free_energy: NDArray[np.float64] | float
    energy: NDArray[np.float64] | float
    entropy: NDArray[np.float64] | float
    heat_capacity: NDArray[np.float64] | float


def ising_exact(
    lattice_shape: tuple[int, int], temperature: ArrayLike, coupling: float | tuple[float, float] = 1.0
) -> IsingThermodynamics:
    r"""Return the exact thermodynamics of the Ising model on a periodic L x M lattice.

    The energy is :math:`H = -J_1 \sum s_i s_j - J_2 \sum s_i s_k`, with bonds along the first and along the second
    axis, k_B = 1, and no field. As in :class:`IsingSampler`, a periodic axis of two sites has each bond twice (like
    ``numpy.roll``), and an axis of one site has no bond.

    Parameters
    ----------
    lattice_shape : tuple of 2 ints
        Lengths (L, M).
    temperature : float or array-like of floats
        Positive temperatures in the unit of the couplings; ``inf`` is allowed.
    coupling : float or tuple of 2 floats, default=1.0
        Coupling of all bonds, or one for each axis, (J_1, J_2); negative couplings are antiferromagnetic.

    Returns
    -------
    IsingThermodynamics
        Named tuple of log_partition, free_energy, energy, entropy and heat_capacity. They are totals of the lattice:
        floats for one temperature, arrays for an array of temperatures. The relative precision is about 1e-11 if
        T >= \|J\| / 2. At lower temperatures the heat capacity, which decays exponentially, loses relative (not
        absolute) precision.

    Raises
    ------
    ValueError
        If a temperature is not positive, the lattice does not have two axes, there is not one coupling per axis, or
        both axes have an odd length and a negative coupling (the terms of the sum for Z then cancel).
    TypeError
        If a temperature or a coupling is not a number, or a length not an integer.

    References
    ----------
    B. Kaufman, Phys. Rev. 76, 1232 (1949); A. E. Ferdinand and M. E. Fisher, Phys. Rev. 185, 832 (1969).

    Examples
    --------
    >>> from skhamiltonian import ising_exact
    >>> exact = ising_exact((16, 16), 2.5)
    >>> round(exact.free_energy, 6), round(exact.entropy, 5)
    (-563.072117, 109.38189)
    >>> round(ising_exact((16, 16), 2.5, coupling=(2.0, 0.5)).heat_capacity, 4)
    335.7626
    """
    shape = check_lattice_shape(lattice_shape)
    if len(shape) != 2:
        raise ValueError(f"lattice_shape must have 2 axes, such as (16, 16), got {lattice_shape!r}")
    T = check_temperatures(temperature, "temperature")
    axes = [_Axis.of(length, J) for length, J in zip(shape, axis_couplings(coupling, 2), strict=True)]
    if all(axis.is_frustrated for axis in axes):
        raise ValueError(
            f"coupling must be positive along one axis at least if both lengths are odd, got {coupling!r} on {shape}"
        )
    row, column = sorted(axes, key=lambda axis: (not axis.is_frustrated, axis.length))
    log_z = torus(row, column, 1 / T)
    U = -log_z.d
    values = (log_z.f, -T * log_z.f, U, log_z.f + U / T, log_z.dd / T / T)
    return IsingThermodynamics(*(value if np.ndim(T) else float(value) for value in values))


class _Axis(NamedTuple):
    length: int
    coupling: float  # >= 0: on an even axis, a flip of every second site changes the sign
    is_frustrated: bool = False  # whether the bonds are antiferromagnetic and close an odd ring

    @classmethod
    def of(cls, length: int, coupling: float) -> _Axis:
        return cls(length, abs(coupling) if length > 1 else 0.0, length > 1 and length % 2 == 1 and coupling < 0)


def torus(row: _Axis, column: _Axis, beta: NDArray[np.float64]) -> Jet:
    r"""Return ln Z with two derivatives by beta = 1/T; only the row may be frustrated.

    With n sites in a row, m in a column, K = beta J_row, L = beta J_column and q = pi r / n for r = 0 ... 2n - 1

    .. math::

        2 Z = (2\sinh 2L)^{nm/2} \Big[ \prod_{q\,odd} 2\cosh\tfrac{m\gamma_q}{2}
            + \prod_{q\,odd} 2\sinh\tfrac{m\gamma_q}{2} + \prod_{q\,even} 2\cosh\tfrac{m\gamma_q}{2}
            + \prod_{q\,even} 2\sinh\tfrac{m\gamma_q}{2} \Big], \quad
        \sinh 2L \cosh\gamma_q = \cosh 2K \cosh 2L - \cos q \sinh 2K

    (q odd: r odd; q even: r even). The factor of q = 0, gamma_0 = 2K + ln tanh L, changes sign at Tc. It is

    .. math:: (2\sinh 2L)^{m/2}\, 2\cosh\tfrac{m\gamma_0}{2} = P + Q, \quad
              (2\sinh 2L)^{m/2}\, 2\sinh\tfrac{m\gamma_0}{2} = P - Q, \quad
              P = (2 e^K \sinh L)^m, \quad Q = (2 e^{-K} \cosh L)^m

    With A and B, the products of cosh and of sinh of all other q, no term is then negative:

    .. math:: 2 Z = (A + B)_{odd} + P (A + B)_{even} + Q (A - B)_{even}

    The bonds of a frustrated row have -K in place of K. As gamma_q(-K) = gamma_{pi-q}(K), odd and even change places:

    .. math:: 2 Z = (A - B)_{odd} + P (A - B)_{even} + Q (A + B)_{even}
    """
    n, m = row.length, column.length
    K, L = (Jet.linear(J, beta, _SMALLEST_COUPLING) for J in (row.coupling, column.coupling))
    P = m * (K + L + (-(-2 * L).expm1()).log())
    Q = m * (L - K + (1 + (-2 * L).exp()).log())
    odd, even = (_products(np.pi * np.arange(first, 2 * n, 2) / n, m, K, L) for first in (1, 2))
    sums, differences = ((odd[sign], even[sign]) for sign in (0, 1))
    (first, by_P), (_, by_Q) = (differences, sums) if row.is_frustrated else (sums, differences)
    return log_sum_exp(stack([first, P + by_P, Q + by_Q])) - np.log(2)


def _products(q: NDArray[np.float64], m: int, K: Jet, L: Jet) -> tuple[Jet, Jet]:
    r"""Return ln (A + B) and ln (A - B); A = prod_q (2 sinh 2L)^{m/2} 2 cosh(m gamma_q / 2), and B has sinh.

    .. math::

        A = \prod_q (2\sinh 2L\, e^{\gamma_q})^{m/2} (1 + e^{-m\gamma_q}), \quad B / A = e^{-w}, \quad
        w = -\sum_q \ln\tanh\tfrac{m\gamma_q}{2}
    """
    shape = np.shape(K.f)
    if not len(q):
        return Jet.constant(np.log(2), shape), Jet.constant(-np.inf, shape)
    log_factor, gamma = _modes(q.reshape(-1, *[1] * len(shape)), K, L)
    log_A = (m / 2 * log_factor + (1 + (-m * gamma).exp()).log()).sum()
    log_w = log_sum_exp(_log_minus_log_tanh(m / 2 * gamma))
    return log_A + log_w.chain(*_log_one_plus(log_w.f)), log_A + log_w.chain(*_log_one_minus(log_w.f))


def _modes(q: NDArray[np.float64], K: Jet, L: Jet) -> tuple[Jet, Jet]:
    r"""Return ln(2 sinh 2L e^gamma) and gamma of every q.

    With D = sinh 2L cosh gamma, S = sinh 2L and R = sqrt((D - S)(D + S)) = sinh 2L sinh gamma:

    .. math::

        2\sinh 2L\, e^{\gamma} = 2 (D + R), \quad e^{\gamma} = \frac{D + R}{S}, \quad
        D - S = \frac{(1 - \sinh 2K \sinh 2L)^2}{\cosh 2K \cosh 2L + \sinh 2K + \sinh 2L} + 2 \sin^2\tfrac q2 \sinh 2K

    in units of exp(2K + 2L) / 4, so that nothing overflows.
    """
    y, z = (-2 * K).exp(), (-2 * L).exp()
    sinh_K, sinh_L = -(-4 * K).expm1(), -(-4 * L).expm1()  # 2 exp(-2K) sinh 2K, 2 exp(-2L) sinh 2L
    soft = 4 * y * z - sinh_K * sinh_L
    above = soft * soft / ((1 + y * y) * (1 + z * z) + 2 * sinh_K * z + 2 * sinh_L * y)
    above = above + 4 * np.sin(q / 2) ** 2 * sinh_K * z  # D - S
    S = 2 * sinh_L * y
    more = above + (above * (above + 2 * S)).sqrt()  # D - S + R
    D = (1 + y * y) * (1 + z * z) - 2 * np.cos(q) * sinh_K * z
    log_sum = (D + (above * (above + 2 * S)).sqrt()).log()
    large = log_sum + 2 * K - (2 * sinh_L).log()
    with np.errstate(over="ignore", invalid="ignore"):  # if gamma is large
        small = (more / (S + 1e-90)).log1p()
    gamma = Jet(*np.where(large.f > 1, (large.f, large.d, large.dd), (small.f, small.d, small.dd)))
    return 2 * (K + L) + log_sum - np.log(2), gamma


def _log_minus_log_tanh(x: Jet) -> Jet:
    """Return ln v with v = -ln tanh x; for large x it is ln 2 - 2x."""
    small = np.minimum(x.f, 20.0)
    v = np.log1p(2 / np.expm1(2 * small))
    s = np.sinh(2 * small)
    value, slope = np.log(v), -2 / (s * v)
    curvature = 4 / (s**2 * v) * (np.cosh(2 * small) - 1 / v)
    large = x.f > 20.0
    return x.chain(
        np.where(large, np.log(2) - 2 * x.f, value), np.where(large, -2.0, slope), np.where(large, 0.0, curvature)
    )


def _log_one_plus(log_w: Array) -> tuple[Array, Array, Array]:
    """Return ln(1 + exp(-w)) with two derivatives by ln w."""
    w = np.exp(np.minimum(log_w, 700.0))
    p = 1 / (1 + np.exp(np.minimum(w, 700.0)))
    return np.log1p(np.exp(-w)), -w * p, w * p * (w * (1 - p) - 1)


def _log_one_minus(log_w: Array) -> tuple[Array, Array, Array]:
    """Return ln(1 - exp(-w)) with two derivatives by ln w."""
    w = np.exp(np.minimum(log_w, 700.0))
    bounded = np.clip(w, 1e-290, 700.0)
    slope = bounded / np.expm1(bounded)
    value = np.log(-np.expm1(-bounded) / bounded) + np.minimum(log_w, np.log(700.0))
    return value, slope, slope * (1 - bounded - slope)
