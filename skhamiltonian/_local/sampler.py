"""LocalSampler: draws from a local energy on a lattice of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._lattice.checks import periodic_axes
from .._montecarlo.lattice_sampler import LatticeSampler
from .._montecarlo.parallel import Threads
from .._montecarlo.planning import Plan, Request
from .._utils.alphabet import encode_states
from .chain_groups import CodeGroup
from .energy import LocalEnergy, term_sum
from .methods import METHODS, candidates
from .planning import plan, start_chains
from .system import LocalSystem


class LocalSampler(LatticeSampler):
    """Draw configurations of a local energy in equilibrium on a lattice of any size, or move given configurations.

    Parameters
    ----------
    local_energy : LocalEnergy
        Energy of each window.
    lattice_shape : tuple of int
        Number of sites along each axis, as many axes as the window has.
    temperature : float, default=1.0
        Temperature T in the unit of the energy, positive; ``inf`` is allowed.
    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        Along a periodic axis the first site follows the last one.
    method : {"auto", "heat-bath", "metropolis", "cluster", "parallel-tempering"}, default="auto"
        "heat-bath" and "metropolis" move single sites in many chains at once. "cluster" is Swendsen-Wang moves by the
        pair terms of the energy, accepted by the other terms, for two states only. "parallel-tempering" exchanges
        replicas on a ladder of temperatures. "auto" measures autocorrelation times, and takes the method with the least
        work for an independent configuration; if `n_sweeps` and `burn_in` are given, it takes the method that it would
        try first.
    n_sweeps : int or "auto", default="auto"
        Sweeps between two draws of a chain, and sweeps of every row in `transform`. "auto" is twice the measured
        autocorrelation time in `sample`, and the automatic `burn_in` in `transform`. A warning says if that leaves
        rows out of equilibrium.
    burn_in : int or "auto", default="auto"
        Sweeps of a chain before its first draw. "auto" is eight times the measured autocorrelation time.
    n_chains : int, default=None
        Number of independent chains in `sample`, at most `n_samples`. With None each chain has about eight draws,
        within limits of the method. Few chains are fast only if a side of the lattice has many divisors, because the
        lattice is then cut into strips side by side: on 61 x 61 sites, one chain makes a tenth of the updates per
        second of 64 chains.
    n_jobs : int, default=None
        Number of threads, as in joblib. Results do not depend on it.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the random streams.
    verbose : int, default=0
        1 prints a line about every five seconds of a long draw, with the time left; 2 prints more lines.
    """

    _METHODS = METHODS
    _SITE_FIELDS = False
    _integrates_entropy = True

    def __init__(
        self,
        local_energy: LocalEnergy,
        lattice_shape: tuple[int, ...],
        temperature: float = 1.0,
        *,
        boundary: str | Sequence[str] = "periodic",
        method: str = "auto",
        n_sweeps: str | int = "auto",
        burn_in: str | int = "auto",
        n_chains: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.local_energy = local_energy
        self.lattice_shape = lattice_shape
        self.temperature = temperature
        self.boundary = boundary
        self.method = method
        self.n_sweeps = n_sweeps
        self.burn_in = burn_in
        self.n_chains = n_chains
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def states_(self) -> NDArray[Any]:
        """The values that a site may take."""
        return np.asarray(self.local_energy.states)

    def _system(self, external_field: float = 0.0) -> LocalSystem:
        """Check all parameters, and return the energy on the lattice with an external field."""
        self._check_parameters()
        shape, window = self._lattice(), self.local_energy.window_shape
        if len(shape) != len(window):
            raise ValueError(f"lattice_shape must have {len(window)} axes, as the window has, got {shape}")
        periodic = periodic_axes(self.boundary, len(shape))
        for length, width, wraps in zip(shape, window, periodic, strict=True):
            if not wraps and length < width:
                raise ValueError(f"lattice_shape={shape} is too small for windows of shape {window} on open axes")
        return LocalSystem(self.local_energy, shape, periodic, external_field)

    def _prepare(self, **options: Any) -> int | None:
        n_sites = super()._prepare(**options)
        self._system()
        return n_sites

    def _new_plan(self, method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
        return plan(candidates(method, request.system), request, seed)

    def _start_chains(
        self, made: Plan, n_chains: int, seed: np.random.SeedSequence, threads: Threads
    ) -> list[CodeGroup]:
        return [group for group, _ in start_chains(made.engine, n_chains, made.burn_in, seed, threads)]

    def _energies(self, states: NDArray[np.int8], system: LocalSystem) -> NDArray[np.float64]:
        return system.energies(states)

    def _energy_errors(self, states: NDArray[np.int8]) -> NDArray[np.float64] | None:
        if self.local_energy.errors is None:
            return None
        shape = self._lattice()
        return term_sum(self.local_energy, shape, periodic_axes(self.boundary, len(shape))).energy_errors(states)

    @property
    def _parameters(self) -> str | None:
        errors = self.local_energy.errors
        return None if errors is None else hashlib.sha256(errors.tobytes()).hexdigest()

    def _states_of(self, X: NDArray[Any], strict: bool) -> NDArray[np.int8]:
        return encode_states(X, self.states_)

    def _values_of(self, states: NDArray[np.int8]) -> NDArray[Any]:
        return self.states_[states]
