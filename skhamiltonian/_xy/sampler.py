"""XYSampler: Monte Carlo for XY models on lattices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.checks import axis_couplings
from .._montecarlo.lattice_sampler import LatticeSampler
from .._montecarlo.parallel import Threads
from .._montecarlo.planning import Plan, Request
from .._utils.alphabet import refuse_degrees
from .._utils.checks import check_field
from .chain_groups import AngleGroup, wrapped
from .kernels import energies
from .planning import METHODS, plan, start_chains
from .system import AngleSystem, angle_system


class XYSampler(LatticeSampler):
    r"""Draw configurations of an XY model in equilibrium, or move given configurations.

    A site holds an angle, the direction of a unit vector in a plane. On a hypercubic lattice of any dimension the
    energy is::

        H = - J  sum_<ij>  cos(theta_i - theta_j)     nearest neighbours, J_a along axis a
            - h  sum_i     cos(theta_i)               field along theta = 0, h_i on site i

    and configurations follow the Boltzmann law ``exp(-H / T)`` with respect to d theta (Boltzmann's constant is 1).
    Sites are numbered in C order. A periodic axis of two sites has each bond twice (like ``np.roll``); an axis of one
    site has no bonds.

    Parameters
    ----------
    lattice_shape : tuple of int, default=None
        Number of sites along each axis; any number of axes. None is a chain as long as the rows that `fit` receives.
    temperature : float, default=1.0
        Temperature T in the unit of the couplings, positive; ``inf`` is allowed.
    coupling : float or tuple of float, default=1.0
        Coupling J of nearest neighbours, or one for each axis, (J_1, ..., J_d); negative couplings are
        antiferromagnetic.
    field : float or array-like of shape (n_sites,), default=0.0
        Field h on every site, or one value for each site.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        Along a periodic axis the first site follows the last one.
    method : {"auto", "heat-bath", "wolff"}, default="auto"
        "heat-bath" draws one angle after the other from its law given all others [1]_, in many chains at once. Between
        two such sweeps it makes four sweeps of over-relaxation, which reflects each vector at the field of its
        neighbours and changes no energy. "wolff" makes the same sweeps, and before each reflects clusters [2]_: all
        clusters of the lattice, each with probability 1/2. At low temperatures local moves alone seldom change how many
        full turns the angles make along a periodic axis; clusters do. "auto" is "wolff", or "heat-bath" if no state
        satisfies all couplings and fields.
    n_sweeps : int or "auto", default="auto"
        Sweeps between two draws of a chain, and sweeps of every row in `transform`. "auto" is twice the measured
        autocorrelation time in `sample`, and the automatic `burn_in` in `transform`. A warning says if that leaves
        rows out of equilibrium, such as stripes that form in a disordered row at a low temperature.
    burn_in : int or "auto", default="auto"
        Sweeps of a chain before its first draw. "auto" is eight times the measured autocorrelation time.
    n_chains : int, default=None
        Number of independent chains in `sample`, at most `n_samples`. With None each chain has about eight draws,
        within limits of the method.
    n_jobs : int, default=None
        Number of threads; None is 1 unless in a ``joblib.parallel_config`` context, -1 is all processors. Results do
        not depend on it.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the random streams. An int gives the same result at every call.
    verbose : int, default=0
        1 prints a line about every five seconds of a long draw, with the time left; 2 prints more lines.

    Attributes
    ----------
    lattice_shape_ : tuple of int
        Shape of the lattice.
    n_features_in_ : int
        Number of sites.
    feature_names_in_ : ndarray of shape (n_sites,)
        Names of the sites, if X has names that are strings.

    See Also
    --------
    helicity_modulus : Stiffness against a twist, for :func:`phase_curve`.
    vortex_density : Number of vortices, for :func:`phase_curve`.

    Notes
    -----
    Draws are angles in [0, 2 pi) in double precision, so that energies of rows have all digits. Rows that are given
    may hold any real number, in radians; a range that looks like degrees is refused. The magnetization of a
    :func:`phase_curve` is the length of the mean vector.

    References
    ----------
    .. [1] D. J. Best, N. I. Fisher, "Efficient simulation of the von Mises distribution", Appl. Stat. 28, 152 (1979).
    .. [2] U. Wolff, "Collective Monte Carlo updating for spin systems", Phys. Rev. Lett. 62, 361 (1989).

    Examples
    --------
    >>> from skhamiltonian import XYSampler
    >>> xy = XYSampler(lattice_shape=(16, 16), temperature=1.0, random_state=0)
    >>> X = xy.sample(n_samples=1000)
    >>> X.shape, X.dtype
    ((1000, 256), dtype('float64'))
    >>> print(f"{xy.energy(X).mean() / 256:.2f}")
    -1.33
    """

    _METHODS = METHODS
    _ITEM = np.float64

    def __init__(
        self,
        lattice_shape: tuple[int, ...] | None = None,
        temperature: float = 1.0,
        *,
        coupling: float | tuple[float, ...] = 1.0,
        field: Any = 0.0,
        boundary: str | tuple[str, ...] = "periodic",
        method: str = "auto",
        n_sweeps: str | int = "auto",
        burn_in: str | int = "auto",
        n_chains: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.lattice_shape = lattice_shape
        self.temperature = temperature
        self.coupling = coupling
        self.field = field
        self.boundary = boundary
        self.method = method
        self.n_sweeps = n_sweeps
        self.burn_in = burn_in
        self.n_chains = n_chains
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _are_angles(self) -> bool:
        return True

    def _system(self, external_field: Any = 0.0) -> AngleSystem:
        self._check_parameters()
        return angle_system(
            self._lattice(), self.boundary, self.coupling, np.add(check_field(self.field), external_field)
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        axis_couplings(self.coupling, len(self.coupling) if isinstance(self.coupling, (tuple, list)) else 1)
        check_field(self.field)

    def _new_plan(self, method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
        return plan(method, request, seed)

    def _start_chains(
        self, made: Plan, n_chains: int, seed: np.random.SeedSequence, threads: Threads
    ) -> list[AngleGroup]:
        return start_chains(made.engine, n_chains, made.burn_in, seed, threads)

    def _energies(self, states: NDArray[np.float64], system: AngleSystem) -> NDArray[np.float64]:
        return energies(states, system)

    def _states_of(self, X: NDArray[Any], strict: bool) -> NDArray[np.float64]:
        refuse_degrees(X)
        return wrapped(X)
