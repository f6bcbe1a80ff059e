"""Path integrals of transverse-field Ising models: classical couplings, quantum observables, small time steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._montecarlo.draws import Estimate
from .._utils.checks import check_integer, check_lattice_shape, check_number
from .._utils.configurations import refuse_other_spins, validate_configurations
from .._utils.warn import warn

_MOST = 350.0  # of time_step * field: beyond, the coupling along time is 0


@dataclass(frozen=True)
class Worldlines:
    r"""Trajectories of a transverse-field Ising model in imaginary time.

    The quantum system :math:`H = -J \sum_{\langle ij \rangle} s^z_i s^z_j - \Gamma \sum_i s^x_i` at temperature
    T = 1 / (n_slices * time_step) has the same averages of s^z as classical spins on a lattice with one more axis,
    imaginary time, up to an error proportional to the square of the time step :math:`\Delta\tau` [1]_. Its couplings
    over temperature are

    .. math:: K_t &= -\tfrac12 \ln\tanh(\Delta\tau\, \Gamma) \text{ along time}, \\
              K_x &= \Delta\tau\, J \text{ in space}

    and do not depend on T, which is the number of slices. So a local energy learned at one temperature predicts others
    on a lattice with another number of slices, at classical temperature 1.

    Parameters
    ----------
    lattice_shape : tuple of int
        Number of time slices, and of sites along each axis of space. All axes are periodic.
    time_step : float
        Length of a slice, in units of 1 / energy.
    field : float
        Transverse field Gamma, positive.
    coupling : float, default=1.0
        Coupling J of neighbours in space.

    References
    ----------
    .. [1] M. Suzuki, "Relationship between d-dimensional quantal spin systems and (d+1)-dimensional Ising systems",
       Prog. Theor. Phys. 56, 1454 (1976).

    Examples
    --------
    The transverse magnetization of the chain of 8 sites; a time step of 1/8 leaves an error below 0.02:

    >>> from skhamiltonian import IsingSampler, Worldlines, phase_curve
    >>> for n_slices, exact in ((8, 0.549), (4, 0.406)):
    ...     lines = Worldlines((n_slices, 8), time_step=1 / 8, field=1.0)
    ...     ising = IsingSampler(lines.lattice_shape, temperature=1.0, coupling=lines.action_couplings)
    ...     curve = phase_curve(ising, [1.0], observables=lines.observables, random_state=0)
    ...     value, error = curve["transverse_magnetization"]
    ...     print(f"T = {lines.temperature}: {abs(value[0] - exact) < 0.02}")
    T = 1.0: True
    T = 2.0: True
    """

    lattice_shape: tuple[int, ...]
    time_step: float
    field: float
    coupling: float = 1.0

    def __post_init__(self) -> None:
        shape = check_lattice_shape(self.lattice_shape)
        if len(shape) < 2:
            raise ValueError(f"lattice_shape must be (n_slices, n_sites, ...), got {self.lattice_shape!r}")
        object.__setattr__(self, "lattice_shape", shape)
        for name, low in (("time_step", 0.0), ("field", 0.0), ("coupling", -math.inf)):
            number = check_number(getattr(self, name), name, low=low, include_low=False, include_high=False)
            object.__setattr__(self, name, number)

    @property
    def temperature(self) -> float:
        """Temperature of the quantum system, 1 / (n_slices * time_step)."""
        return 1 / (self.lattice_shape[0] * self.time_step)

    @property
    def action_couplings(self) -> tuple[float, ...]:
        """Couplings over temperature of the classical lattice, that along time first."""
        along_time = -math.log(math.tanh(min(self.time_step * self.field, _MOST))) / 2
        return (along_time, *[self.time_step * self.coupling] * (len(self.lattice_shape) - 1))

    @property
    def log_constant(self) -> float:
        r"""Logarithm of the quantum partition sum minus that of the classical lattice, which has no constant.

        .. math:: \ln\operatorname{tr} e^{-H/T} = \ln Z + \tfrac12 P N \ln\tfrac12\sinh(2 \Delta\tau\,\Gamma)

        for P slices of N sites, up to the error of the time step. A single slice has no bond along time, whose
        coupling is added here.
        """
        x = 2 * self.time_step * self.field
        of_the_bond = self.action_couplings[0] if self.lattice_shape[0] == 1 else 0.0
        return math.prod(self.lattice_shape) * ((x + math.log(-math.expm1(-2 * x) / 4)) / 2 + of_the_bond)

    @property
    def observables(self) -> dict[str, Callable[[NDArray], NDArray[np.float64]]]:
        """Functions of trajectories by name, for `phase_curve`."""
        names = ("transverse_magnetization", "slice_magnetization", "bond_correlation", "quantum_energy")
        return {name: getattr(self, name) for name in names}

    def with_slices(self, n_slices: int) -> Worldlines:
        """Return the same system with another number of slices, that is at another temperature.

        Parameters
        ----------
        n_slices : int
            Number of time slices.

        Returns
        -------
        worldlines : Worldlines
            The system at temperature 1 / (n_slices * time_step).
        """
        n_slices = check_integer(n_slices, "n_slices", minimum=1)
        return replace(self, lattice_shape=(n_slices, *self.lattice_shape[1:]))

    def transverse_magnetization(self, X: NDArray) -> NDArray[np.float64]:
        r"""Return an estimate of <s^x> from the kinks of each trajectory.

        .. math:: s^x = \tanh(\Delta\tau\,\Gamma)\, (1 - k) + \coth(\Delta\tau\,\Gamma)\, k

        with k the share of the sites and slices at which the spin differs from that one slice later.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_slices * n_sites)
            Trajectories of spins -1 and 1, slice after slice.

        Returns
        -------
        values : ndarray of shape (n_samples,)
            One estimate per trajectory; their mean is <s^x>.
        """
        tanh = math.tanh(self.time_step * self.field)
        kinks = (1 - self._bonds(X, axis=0)) / 2
        return tanh + (1 / tanh - tanh) * kinks

    def slice_magnetization(self, X: NDArray) -> NDArray[np.float64]:
        r"""Return \|m\| of a time slice, averaged over the slices of each trajectory.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_slices * n_sites)
            Trajectories of spins -1 and 1, slice after slice.

        Returns
        -------
        values : ndarray of shape (n_samples,)
            Mean absolute magnetization of the slices.
        """
        s = self._trajectories(X)
        return np.abs(s.reshape(*s.shape[:2], -1).mean(axis=2)).mean(axis=1)

    def bond_correlation(self, X: NDArray) -> NDArray[np.float64]:
        """Return the mean of s^z s^z over neighbours in space, in each trajectory.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_slices * n_sites)
            Trajectories of spins -1 and 1, slice after slice.

        Returns
        -------
        values : ndarray of shape (n_samples,)
            Mean over bonds and slices; their mean is <s^z s^z>. It is 0 if there is only one site.
        """
        axes = [axis for axis, length in enumerate(self.lattice_shape) if axis and length > 1]
        return sum((self._bonds(X, axis) for axis in axes), np.zeros(len(self._trajectories(X)))) / max(1, len(axes))

    def quantum_energy(self, X: NDArray) -> NDArray[np.float64]:
        r"""Return an estimate of <H> / N of the quantum system, :math:`-J \sum s^z s^z / N - \Gamma s^x`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_slices * n_sites)
            Trajectories of spins -1 and 1, slice after slice.

        Returns
        -------
        values : ndarray of shape (n_samples,)
            Energy per site, one estimate per trajectory.
        """
        n_bonds = sum(length > 1 for length in self.lattice_shape[1:])  # a site
        return -self.coupling * n_bonds * self.bond_correlation(X) - self.field * self.transverse_magnetization(X)

    def _trajectories(self, X: NDArray) -> NDArray:
        X = validate_configurations(BaseEstimator(), X, reset=True)
        n = math.prod(self.lattice_shape)
        if X.shape[1] != n:
            raise ValueError(
                f"X must have shape (n_samples, {n}) for lattice_shape={self.lattice_shape}, got {X.shape}"
            )
        refuse_other_spins(X)
        return X.reshape(-1, *self.lattice_shape)

    def _bonds(self, X: NDArray, axis: int) -> NDArray[np.float64]:
        """Return the mean product of neighbours along an axis."""
        s = self._trajectories(X)
        equal = s == np.roll(s, 1, axis=axis + 1)
        return 2 * equal.reshape(len(s), -1).mean(axis=1) - 1


def action_couplings(action: Any) -> tuple[Estimate, ...]:
    r"""Return what couples neighbours along each axis in a learned action, over temperature, with errors.

    Parameters
    ----------
    action : LocalHamiltonian
        Fitted to trajectories, time slice after time slice, without hidden layers.

    Returns
    -------
    couplings : tuple of Estimate
        :math:`K_t` along time, and one coupling for each axis of space, with their standard errors. The coupling of an
        axis in space whose neighbours are not coupled is 0, and its error is not known (nan).

    Raises
    ------
    ValueError
        If the action is a network, has no coupling along time, or time was exchanged with space: "point-group" among
        the symmetries of a lattice with as many slices as sites along an axis.

    Warns
    -----
    UserWarning
        If the action has other couplings as well, which a transverse-field Ising model has not.

    Examples
    --------
    Transverse field and coupling out of trajectories of a chain at T = 1, whose field is 1:

    >>> from skhamiltonian import IsingSampler, LocalHamiltonian, Worldlines, action_couplings, quantum_couplings
    >>> lines = Worldlines((8, 6), time_step=1 / 8, field=1.0)
    >>> ising = IsingSampler(lines.lattice_shape, temperature=1.0, coupling=lines.action_couplings, random_state=0)
    >>> X = ising.sample(n_samples=4000)
    >>> action = LocalHamiltonian(1.0, lattice_shape=(8, 6), boundary="periodic", symmetries="spin-flip").fit(X)
    >>> coupling, field = quantum_couplings(*action_couplings(action), time_step=1 / 8)
    >>> abs(field.value - 1.0) < 3 * field.error < 0.1
    True
    """
    check_is_fitted(action)
    if action.clusters_ is None:
        raise ValueError("a network has no couplings: fit the action with hidden_layer_sizes=()")
    axes = list(zip(action.lattice_shape_, action.window_shape_, action.periodic_, strict=True))
    exchanged = "point-group" in action.symmetries  # equal axes: one coupling stands for all of them
    if exchanged and axes[0] in axes[1:]:
        raise ValueError(f"'point-group' exchanges time with space on a lattice {action.lattice_shape_}: leave it out")
    kinds = axes if exchanged else range(len(axes))
    T, errors = action.temperature_, np.sqrt(np.diag(action.covariance_))
    found, others = {}, []
    for cluster, J, error in zip(action.clusters_, action.couplings_, errors, strict=True):
        axis = _axis_of_bond(cluster)
        if axis is None:
            others.append(cluster.tolist())
        else:
            found[kinds[axis]] = Estimate(float(J / T), float(error / T))
    if kinds[0] not in found:
        raise ValueError("the action has no coupling along time, the first axis: learn it from more trajectories")
    if others:
        warn(f"the action couples more than neighbours; a transverse-field Ising model does not: clusters {others}")
    return tuple(found.get(kind, Estimate(0.0, math.nan)) for kind in kinds)


def _axis_of_bond(cluster: NDArray) -> int | None:
    """Return the axis along which a cluster is two neighbours; None: it is something else."""
    sites = np.argwhere(cluster)
    if len(sites) != 2 or np.abs(sites[1] - sites[0]).sum() != 1:
        return None
    return int(np.abs(sites[1] - sites[0]).argmax())


def quantum_couplings(along_time: Estimate, in_space: Estimate, time_step: float) -> tuple[Estimate, Estimate]:
    r"""Return coupling J and transverse field Gamma from the couplings of the classical action, with errors.

    .. math:: J &= K_x / \Delta\tau, \\ \Gamma &= \operatorname{artanh}(e^{-2 K_t}) / \Delta\tau, \\
              \sigma_\Gamma &= \sigma_{K_t} / (\Delta\tau \sinh 2 K_t)

    Parameters
    ----------
    along_time, in_space : Estimate
        Couplings over temperature K_t > 0 and K_x with their standard errors: pairs (value, error).
    time_step : float
        Length of a slice.

    Returns
    -------
    coupling, field : Estimate
        J and Gamma with their standard errors.

    Examples
    --------
    >>> from skhamiltonian import quantum_couplings
    >>> coupling, field = quantum_couplings((1.0423, 0.002), (0.125, 0.001), time_step=1 / 8)
    >>> print(f"{field.value:.3f} +- {field.error:.3f}")
    1.000 +- 0.004
    """
    time_step = check_number(time_step, "time_step", low=0.0, include_low=False, include_high=False)
    error_t, error_x = float(along_time[1]), float(in_space[1])
    K_t = check_number(along_time[0], "the coupling along time", low=0.0, include_low=False, include_high=False)
    K_x = check_number(in_space[0], "the coupling in space", include_low=False, include_high=False)
    field = math.atanh(math.exp(-2 * K_t)) / time_step
    return Estimate(K_x / time_step, error_x / time_step), Estimate(field, error_t / (time_step * math.sinh(2 * K_t)))


def trotter_extrapolate(coarse: Estimate, fine: Estimate, ratio: float = 2.0) -> Estimate:
    r"""Return the limit of a vanishing time step, where averages are :math:`a + b\, \Delta\tau^2`.

    Parameters
    ----------
    coarse, fine : Estimate
        Averages at two time steps with their independent errors: pairs (value, error) of numbers or arrays.
    ratio : float, default=2.0
        The coarse time step over the fine one, greater than 1.

    Returns
    -------
    limit : Estimate
        a and its error, from which corrections of higher order are missing.

    Examples
    --------
    >>> from skhamiltonian import trotter_extrapolate
    >>> value, error = trotter_extrapolate((0.623, 0.001), (0.620, 0.001))
    >>> print(f"{value:.4f} +- {error:.4f}")
    0.6190 +- 0.0014
    """
    weight = 1 / (check_number(ratio, "ratio", low=1.0, include_low=False, include_high=False) ** 2 - 1)
    value_c, error_c, value_f, error_f = (np.asarray(x, dtype=np.float64) for x in (*coarse, *fine))
    value = value_f + weight * (value_f - value_c)
    error = np.hypot((1 + weight) * error_f, weight * error_c)
    return Estimate(value, error) if np.ndim(value) else Estimate(float(value), float(error))
