"""IsingSampler: Monte Carlo for Ising models on lattices and graphs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._montecarlo.chains import draw_states, number_of_chains
from .._montecarlo.draws import Draws
from .._montecarlo.sampler import ThermalSampler
from .._utils.checks import check_choice, check_integer, check_lattice_shape, check_temperature, seed_sequence
from .._utils.configurations import first_stray, validate_configurations
from .._utils.warn import warn
from .chains import autocorrelation, evolve_rows, start_chains
from .groups import SpinGroup
from .kernels import energies
from .planning import Plan, Request, plan
from .system import METHODS, check_count, check_couplings, lattice_system
from .terms import SpinSystem


class IsingSampler(ThermalSampler, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        autocorrelation time in `sample`, and the automatic `burn_in` in `transform`: the result is then independent of
        the given row.
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
    _SITE_FIELDS = True

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

    def fit(self, X: Any, y: Any = None) -> IsingSampler:
        """Check the parameters, and store the number of sites; the values of X have no effect.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : None
            Ignored.

        Returns
        -------
        self : IsingSampler
            The fitted sampler.
        """
        self._check_parameters()
        X = validate_configurations(self, X, reset=True)
        shape = (X.shape[1],) if self.lattice_shape is None else self.lattice_shape
        self.lattice_shape_ = check_lattice_shape(shape, X.shape[1])
        return self

    def transform(self, X: Any) -> NDArray[np.int8]:
        """Move every row by `n_sweeps` sweeps at the sampler's temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Initial configurations. Values other than -1 and 1 give a warning; positive values are then read as up, all
            others as down.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_sites), int8
            The configurations after `n_sweeps` sweeps.
        """
        check_is_fitted(self)
        system = self._system()
        X = validate_configurations(self, X, reset=False)
        check_lattice_shape(self._lattice(), X.shape[1])  # it may have changed since fit
        if (stray := first_stray(X)) is not None:
            row, column = stray
            warn(
                f"X holds {X[row, column]} in row {row}, column {column}, which is neither -1 nor 1: "
                "positive values are read as spin up, all others as spin down",
            )
        trial, moves = seed_sequence(self.random_state, "IsingSampler.transform").spawn(2)
        given: Any = {} if self.n_sweeps == "auto" else {"burn_in": self.n_sweeps, "n_sweeps": self.n_sweeps}
        made = self._plan(self.method, Request(system, float(self.temperature), len(X), **given), trial)
        return evolve_rows(X, made.engine, made.burn_in, moves, self.n_jobs)

    def energy(self, X: Any) -> NDArray[np.float64]:
        """Return the total energy H(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Energies of the whole lattice, in the unit of the couplings.
        """
        system = self._system()
        X = validate_configurations(self, X, reset=False)
        check_lattice_shape(self._lattice(), X.shape[1])
        if (stray := first_stray(X)) is not None:
            row, column = stray
            raise ValueError(f"X must hold spins -1 and 1, got {X[row, column]} in row {row}, column {column}")
        return energies(np.ascontiguousarray(X, dtype=np.int8), system)

    def iter_sample(
        self,
        temperature: float | None = None,
        n_samples: int | None = None,
        *,
        block_size: int = 4096,
        field: float = 0.0,
        random_state: Any = None,
    ) -> Iterator[NDArray[np.int8]]:
        """Return an iterator over configurations in equilibrium, for samples larger than memory.

        All blocks come from the same chains. Rows of one chain are together in a block, as in `sample`.

        Parameters
        ----------
        temperature : float, default=None
            Temperature; None is the sampler's own.
        n_samples : int, default=None
            Number of configurations in all; with None the iterator never ends.
        block_size : int, default=4096
            Number of configurations in a block; the last may have fewer.
        field : float, default=0.0
            Uniform field in addition to the sampler's own.
        random_state : int, RandomState, Generator or None, default=None
            Seed; None is the sampler's own `random_state`.

        Returns
        -------
        blocks : iterator of ndarray of shape (block_size, n_sites), int8
            Spins of -1 and 1.

        Examples
        --------
        >>> from skhamiltonian import IsingSampler
        >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0)
        >>> [len(X) for X in ising.iter_sample(n_samples=10_000)]
        [4096, 4096, 1808]
        """
        block_size = check_integer(block_size, "block_size", minimum=1)
        n_all = math.inf if n_samples is None else check_integer(n_samples, "n_samples")
        n_first = max(1, int(min(n_all, block_size)))
        T, n_first, field, _, seed = self._request(temperature, n_first, field, "auto", random_state, {})
        made, groups = self._start(self._sampling_request(T, int(min(n_all, 10**9)), field), "auto", seed, n_first)

        def blocks(left: float) -> Iterator[NDArray[np.int8]]:
            while left > 0:
                n = int(min(left, block_size))
                X = draw_states(groups, n, made.n_sweeps, T, self.n_jobs)
                yield X.reshape(-1, X.shape[2])[:n]
                left -= n

        return blocks(n_all)

    @property
    def states_(self) -> NDArray[np.int8]:
        """The values of a spin."""
        return np.array([-1, 1], dtype=np.int8)

    def _prepare(self, **options: Any) -> int | None:
        super()._prepare(**options)
        self._check_parameters()
        return math.prod(self._lattice())

    def _draw(
        self,
        temperature: float,
        n_samples: int,
        field: float,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> Draws:
        request = self._sampling_request(temperature, n_samples, field)
        made, groups = self._start(request, method, seed, n_samples)
        X = draw_states(groups, n_samples, made.n_sweeps, temperature, self.n_jobs)
        energy = energies(X.reshape(-1, X.shape[2]), request.system).reshape(X.shape[:2])
        tau, effective = autocorrelation(X, energy, made.n_sweeps)
        tau = tau if math.isnan(made.tau) else made.tau
        return Draws(X, energy, method=made.method, autocorrelation_time=tau, effective_sample_size=effective)

    def _sampling_request(self, temperature: float, n_samples: int, field: float) -> Request:
        given = {name: getattr(self, name) for name in ("burn_in", "n_sweeps") if getattr(self, name) != "auto"}
        return Request(self._system(field), temperature, n_samples, **given)

    def _start(
        self, request: Request, method: str, seed: np.random.SeedSequence, n_first: int
    ) -> tuple[Plan, list[SpinGroup]]:
        """Return the plan, and groups of chains after their burn-in; there are at most `n_first` chains."""
        trial, moves = seed.spawn(2)
        made = self._plan(self.method if method == "auto" else method, request, trial)
        n_chains = number_of_chains(made.engine.kind, n_first, self.n_chains)
        return made, start_chains(made.engine, n_chains, made.burn_in, moves, self.n_jobs)

    def _plan(self, method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
        made = plan(method, request, seed)
        if not made.converged:
            warn(
                f"chains have not converged after {made.burn_in} sweeps at temperature {request.temperature}: "
                "configurations are correlated, and perhaps not in equilibrium; pass larger burn_in and n_sweeps, "
                f"or another method than {made.method!r}",
                ConvergenceWarning,
            )
        return made

    def _check_parameters(self) -> None:
        """Check all parameters as far as possible without the lattice; `_system` checks the rest."""
        check_temperature(self.temperature)
        check_couplings(self.coupling, self.next_nearest_coupling, self.plaquette_coupling, self.field)
        check_choice(self.method, "method", METHODS)
        check_count(self.n_sweeps, "n_sweeps", "auto", 1)
        check_count(self.burn_in, "burn_in", "auto", 0)
        check_count(self.n_chains, "n_chains", None, 1)
        if self.lattice_shape is not None:
            check_lattice_shape(self.lattice_shape)

    def _lattice(self) -> tuple[int, ...]:
        """Return the shape of the lattice: the parameter, or the shape that `fit` stored."""
        if self.lattice_shape is not None:
            return check_lattice_shape(self.lattice_shape)
        if not hasattr(self, "lattice_shape_"):
            raise ValueError("lattice_shape must be given, such as (16, 16), or taken from X by fit, got None")
        return self.lattice_shape_

    def _system(self, external_field: float = 0.0) -> SpinSystem:
        """Check all parameters, and return the terms of H with an external field added."""
        self._check_parameters()
        field = self.field + external_field if np.ndim(self.field) == 0 else np.add(self.field, external_field)
        strengths = (self.coupling, self.next_nearest_coupling, self.plaquette_coupling)
        return lattice_system(self._lattice(), self.boundary, *strengths, field, self.couplings)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "lattice_shape_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.non_deterministic = True  # the result of a row depends on its place in X
        tags.transformer_tags.preserves_dtype = []
        return tags
