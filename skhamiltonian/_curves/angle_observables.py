"""Observables of angles for `phase_curve`: helicity modulus and vortices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.bonds import axis_bonds, plaquettes
from .._lattice.checks import axis_couplings, periodic_axes
from .._utils.checks import check_lattice_shape

_FULL_TURN = 2 * np.pi


def helicity_modulus(lattice_shape: tuple[int, ...], coupling: float | tuple[float, ...] = 1.0) -> HelicityModulus:
    r"""Return the helicity modulus of angles as an observable for `phase_curve`.

    It is the second derivative of the free energy with respect to a twist of the angles along a periodic axis
    (Fisher, Barber, Jasnow, Phys. Rev. A 8, 1111, 1973; Teitel, Jayaprakash, Phys. Rev. B 27, 598, 1983),

    .. math:: \Upsilon &= \frac1N \left[ \langle C \rangle
       - \frac1T (\langle I^2 \rangle - \langle I \rangle^2) \right], \\
       C &= J \sum \cos(\theta_i - \theta_j), \\ I &= J \sum \sin(\theta_i - \theta_j)

    with sums over the bonds along the axis, and the mean over all axes of more than one site. In the plane it jumps
    from 2 T / pi to 0 at the transition of Kosterlitz and Thouless.

    Parameters
    ----------
    lattice_shape : tuple of int
        Number of sites along each axis. All axes are periodic.
    coupling : float or tuple of float, default=1.0
        Coupling J of nearest neighbours, or one for each axis.

    Returns
    -------
    observable : callable
        A function of angles (n_samples, n_sites), for ``phase_curve(..., observables={"helicity": observable})``. The
        curve has the helicity modulus with its error.

    Raises
    ------
    TypeError, ValueError
        If the shape or the coupling is not what it should be, or all axes have one site.

    Examples
    --------
    >>> from skhamiltonian import XYSampler, helicity_modulus, phase_curve
    >>> xy = XYSampler(lattice_shape=(8, 8))
    >>> helicity = {"helicity": helicity_modulus((8, 8))}
    >>> curve = phase_curve(xy, [0.5, 2.0], observables=helicity, n_samples=2000, random_state=0)
    >>> [f"{value:.1f}" for value in curve["helicity"].value + 0.0]
    ['0.9', '0.0']
    """
    shape = check_lattice_shape(lattice_shape)
    if max(shape) == 1:
        raise ValueError(f"lattice_shape must have an axis of two sites or more, got {lattice_shape!r}")
    return HelicityModulus(shape, axis_couplings(coupling, len(shape)))


@dataclass(frozen=True)
class HelicityModulus:
    """A function of the averages of bond energies and currents."""

    lattice_shape: tuple[int, ...]
    coupling: tuple[float, ...]

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return C, I and I^2 along each axis, (n_samples, n_axes, 3)."""
        check_lattice_shape(self.lattice_shape, X.shape[1])
        tables = axis_bonds(self.lattice_shape, (True,) * len(self.lattice_shape))
        rows = []
        for J, table in zip(self.coupling, tables, strict=True):
            if len(table):
                d = X[:, table[:, 0]] - X[:, table[:, 1]]
                current = J * np.sin(d).sum(axis=1)
                rows.append(np.stack([J * np.cos(d).sum(axis=1), current, current**2], axis=1))
        return np.stack(rows, axis=1)

    def of_averages(self, averages: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """Return the modulus from the averages (..., n_axes, 3)."""
        C, current, squared = np.moveaxis(averages, -1, 0)
        N = np.prod(self.lattice_shape)
        return ((C - (squared - current**2) / temperature) / N).mean(axis=-1)


def vortex_density(
    lattice_shape: tuple[int, ...], boundary: str | tuple[str, ...] = "periodic"
) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    r"""Return the density of vortices of angles as an observable for `phase_curve`.

    The differences of the angles around a unit square, each between -pi and pi, add up to 2 pi times an integer: a
    vortex (1) or an antivortex (-1). The density is the mean of its absolute value over all unit squares.

    Parameters
    ----------
    lattice_shape : tuple of int
        Number of sites along each axis; at least two axes have more than one site.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        Along a periodic axis the first site follows the last one.

    Returns
    -------
    observable : callable
        A function of angles (n_samples, n_sites) that returns densities (n_samples,).

    Raises
    ------
    TypeError, ValueError
        If the shape or the boundary is not what it should be, or the lattice has no unit square.

    Examples
    --------
    Four angles around a square of an open lattice make a full turn:

    >>> import numpy as np
    >>> from skhamiltonian import vortex_density
    >>> vortex_density((2, 2), boundary="open")(np.pi / 2 * np.array([[0, 1, 3, 2], [0, 0, 0, 2]]))
    array([1., 0.])
    """
    shape = check_lattice_shape(lattice_shape)
    squares = plaquettes(shape, periodic_axes(boundary, len(shape)))
    if not len(squares):
        raise ValueError(f"lattice_shape must have a unit square, got {lattice_shape!r}")
    return _VortexDensity(shape, squares[:, [0, 1, 3, 2]])  # around the square


@dataclass(frozen=True)
class _VortexDensity:
    lattice_shape: tuple[int, ...]
    squares: NDArray[np.int64]

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float64]:
        check_lattice_shape(self.lattice_shape, X.shape[1])
        turns = np.zeros((len(X), len(self.squares)))
        for k in range(4):
            d = X[:, self.squares[:, k]] - X[:, self.squares[:, k - 1]]
            turns += d / _FULL_TURN - np.round(d / _FULL_TURN)
        return np.abs(np.round(turns)).mean(axis=1)
