"""IsingSampler: Monte Carlo for Ising models on lattices and graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.lattice_sampler import LatticeSampler
from .._montecarlo.parallel import Threads
from .._montecarlo.planning import Plan, Request
from .._utils.checks import check_field
from .._utils.configurations import first_stray, refuse_other_spins
from .._utils.warn import warn
from .chain_groups import SpinGroup
from .chains import start_chains
from .kernels import energies
from .planning import plan
from .system import METHODS, check_couplings, lattice_system
from .terms import SpinSystem


class IsingSampler(LatticeSampler):
    r"""Draw configurations of an Ising model in equilibrium, or move given configurations.

    Spins ``s_i = +-1`` on a hypercubic lattice of any dimension, or on any graph, have the energy::

        H(s) = - J  sum_<ij>     s_i s_j            nearest neighbours, J_a along axis a
               - J' sum_<<ij>>   s_i s_j            diagonals of every unit square
               - K  sum_squares  s_i s_j s_k s_l    corners of every unit square
               - h  sum_i        s_i                field, h_i on site i
               - sum_t J_t prod_{i in t} s_i        any other terms

    and configurations follow the Boltzmann law ``exp(-H(s) / T) / Z`` (Boltzmann's constant is 1). Sites are
    numbered in C order. A periodic axis of two sites has each bond twice (like ``np.roll``); an axis of one site has no
    bonds. The next-nearest neighbours in a chain are the second neighbours.

    Parameters
    ----------
    lattice_shape : tuple of int, default=None
        Number of sites along each axis; any number of axes. None is a chain as long as the rows that `fit` receives.
    temperature : float, default=1.0
        Temperature T in the unit of the couplings, positive; ``inf`` is allowed.
    coupling : float or tuple of float, default=1.0
        Coupling J of nearest neighbours, or one for each axis, (J_1, ..., J_d); negative couplings are
        antiferromagnetic.
    next_nearest_coupling : float, default=0.0
        Coupling J' of next-nearest neighbours.
    plaquette_coupling : float, default=0.0
        Four-spin coupling K of every unit square.
    field : float or array-like of shape (n_sites,), default=0.0
        Field h on every site, or one value for each site.
    couplings : list of (float, array-like of int), default=None
        Further terms: a strength J_t, and the sites of one term or a table with the sites of a term in each row.
        With ``coupling=0.0`` they define a system on any graph.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        Along a periodic axis the first site follows the last one.
    method : {"auto", "heat-bath", "swendsen-wang", "parallel-tempering"}, default="auto"
        "heat-bath" draws one spin after the other from its law given all others (Glauber's rule [1]_), in many
        chains at once. "swendsen-wang" flips clusters of spins [2]_; it accepts pair terms and fields only. A sweep
        costs more, but does not slow down near the critical temperature or along an axis with a strong coupling.
        "parallel-tempering" exchanges replicas on a ladder of temperatures [4]_. "auto" uses parallel tempering if
        couplings compete. Otherwise it measures the autocorrelation times of the other two, and takes the method with
        less work for an independent configuration. If `n_sweeps` and `burn_in` are given, "auto" is "swendsen-wang" if
        the couplings do not compete, and "heat-bath" if they do.
    n_sweeps : int or "auto", default="auto"
        Sweeps between two draws of a chain, and sweeps of every row in `transform`. "auto" is twice the measured
        autocorrelation time in `sample`, and the automatic `burn_in` in `transform`. A warning says if that leaves
        rows out of equilibrium, such as stripes that form in a disordered row at a low temperature.
    burn_in : int or "auto", default="auto"
        Sweeps of a chain before its first draw. "auto" is eight times the measured autocorrelation time, or eight times
        the mean time between arrivals from the hottest rung in parallel tempering, if that is longer.
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
    states_ : ndarray of shape (2,)
        The values of a spin, -1 and 1.

    References
    ----------
    .. [1] R. J. Glauber, "Time-dependent statistics of the Ising model", J. Math. Phys. 4, 294 (1963).
    .. [2] R. H. Swendsen, J.-S. Wang, "Nonuniversal critical dynamics in Monte Carlo simulations",
       Phys. Rev. Lett. 58, 86 (1987).
    .. [3] N. Madras, A. D. Sokal, "The pivot algorithm", J. Stat. Phys. 50, 109 (1988), appendix C.
    .. [4] K. Hukushima, K. Nemoto, "Exchange Monte Carlo", J. Phys. Soc. Jpn. 65, 1604 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import IsingSampler
    >>> ising = IsingSampler(lattice_shape=(16, 16), temperature=2.5, random_state=0)
    >>> X = ising.sample(n_samples=2000)
    >>> X.shape, X.dtype
    ((2000, 256), dtype('int8'))
    >>> print(f"{ising.energy(X).mean() / 256:.2f}")
    -1.13

    Three-spin couplings along a ring of six sites, in place of bonds:

    >>> ring = np.arange(6)[:, None]
    >>> triples = (ring + [0, 1, 2]) % 6
    >>> IsingSampler(lattice_shape=(6,), coupling=0.0, couplings=[(1.0, triples)]).energy([[1, 1, 1, 1, 1, -1]])
    array([0.])
    """

    _METHODS = METHODS

    def __init__(
        self,
        lattice_shape: tuple[int, ...] | None = None,
        temperature: float = 1.0,
        *,
        coupling: float | tuple[float, ...] = 1.0,
        next_nearest_coupling: float = 0.0,
        plaquette_coupling: float = 0.0,
        field: Any = 0.0,
        couplings: Any = None,
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
        self.next_nearest_coupling = next_nearest_coupling
        self.plaquette_coupling = plaquette_coupling
        self.field = field
        self.couplings = couplings
        self.boundary = boundary
        self.method = method
        self.n_sweeps = n_sweeps
        self.burn_in = burn_in
        self.n_chains = n_chains
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def states_(self) -> NDArray[np.int8]:
        """The values of a spin."""
        return np.array([-1, 1], dtype=np.int8)

    def _system(self, external_field: float = 0.0) -> SpinSystem:
        """Check all parameters, and return the terms of H with an external field added."""
        self._check_parameters()
        field = np.add(check_field(self.field), external_field)
        strengths = (self.coupling, self.next_nearest_coupling, self.plaquette_coupling)
        return lattice_system(self._lattice(), self.boundary, *strengths, field, self.couplings)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_couplings(self.coupling, self.next_nearest_coupling, self.plaquette_coupling, self.field)

    def _new_plan(self, method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
        return plan(method, request, seed)

    def _start_chains(
        self, made: Plan, n_chains: int, seed: np.random.SeedSequence, threads: Threads
    ) -> list[SpinGroup]:
        return start_chains(made.engine, n_chains, made.burn_in, seed, threads)

    def _energies(self, states: NDArray[np.int8], system: SpinSystem) -> NDArray[np.float64]:
        return energies(states, system)

    def _states_of(self, X: NDArray[Any], strict: bool) -> NDArray[np.int8]:
        if strict:
            refuse_other_spins(X)
        elif (stray := first_stray(X)) is not None:
            row, column = stray
            warn(
                f"X holds {X[row, column]} in row {row}, column {column}, which is neither -1 nor 1: "
                "positive values are read as spin up, all others as spin down",
            )
            X = np.where(X > 0, 1, -1)
        return np.ascontiguousarray(X, dtype=np.int8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags
