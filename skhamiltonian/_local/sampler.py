"""LocalSampler: draws from a local energy on a lattice of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from .._lattice.checks import periodic_axes
from .._montecarlo.chains import draw_states, number_of_chains
from .._montecarlo.draws import Draws
from .._montecarlo.parallel import Threads
from .._montecarlo.sampler import ThermalSampler
from .._utils.alphabet import encode_states
from .._utils.checks import check_lattice_shape, check_temperature, check_verbose
from .._utils.configurations import validate_configurations
from .._utils.progress import Progress
from .._utils.warn import warn
from .energy import LocalEnergy, term_sum
from .methods import METHODS, candidates
from .planning import plan, start_chains
from .system import LocalSystem


class LocalSampler(ThermalSampler, BaseEstimator):
    """Draw configurations of a local energy in equilibrium, on a lattice of any size.

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
    n_jobs : int, default=None
        Number of threads, as in joblib. Results do not depend on it.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the random streams.
    verbose : int, default=0
        1 prints a line about every five seconds of a long draw, with the time left; 2 prints more lines.

    Notes
    -----
    Methods are "heat-bath" and "metropolis" (single sites in many chains at once), "cluster" (Swendsen-Wang moves by
    the pair terms of the energy, accepted by the other terms; two states only) and "parallel-tempering". "auto"
    measures autocorrelation times, and takes the method with the least work for an independent configuration.
    """

    _METHODS = METHODS
    _integrates_entropy = True

    def __init__(
        self,
        local_energy: LocalEnergy,
        lattice_shape: Sequence[int],
        temperature: float = 1.0,
        *,
        boundary: str | Sequence[str] = "periodic",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.local_energy = local_energy
        self.lattice_shape = lattice_shape
        self.temperature = temperature
        self.boundary = boundary
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def energy(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return the total energy H(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of states.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Energies of the whole lattice.
        """
        self._prepare()
        system = self._system()
        X = validate_configurations(self, X, reset=False)
        check_lattice_shape(system.lattice_shape, X.shape[1])
        return system.energies(encode_states(X, self.states_))

    @property
    def n_features_in_(self) -> int:
        """Number of sites."""
        return math.prod(check_lattice_shape(self.lattice_shape))

    @property
    def states_(self) -> NDArray[Any]:
        """The values that a site may take."""
        return np.asarray(self.local_energy.states)

    def _prepare(self, **options: Any) -> int | None:
        super()._prepare(**options)
        check_temperature(self.temperature)
        shape = check_lattice_shape(self.lattice_shape)
        window = self.local_energy.window_shape
        if len(shape) != len(window):
            raise ValueError(f"lattice_shape must have {len(window)} axes, as the window has, got {shape}")
        for length, width, wraps in zip(shape, window, periodic_axes(self.boundary, len(shape)), strict=True):
            if not wraps and length < width:
                raise ValueError(f"lattice_shape={shape} is too small for windows of shape {window} on open axes")
        return math.prod(shape)

    def _system(self, field: float = 0.0) -> LocalSystem:
        shape = check_lattice_shape(self.lattice_shape)
        return LocalSystem(self.local_energy, shape, periodic_axes(self.boundary, len(shape)), field)

    def _draw(
        self,
        temperature: float,
        n_samples: int,
        field: float,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> Draws:
        system = self._system(field)
        trial, moves = seed.spawn(2)
        made = plan(candidates(method, system), system, temperature, n_samples, trial)
        if not made.converged:
            warn(
                f"chains have not converged after {made.burn_in} sweeps at temperature {temperature}: configurations "
                "are correlated, and perhaps not in equilibrium; pass another method, or a smaller lattice",
                ConvergenceWarning,
            )
        n_chains = number_of_chains(made.engine.kind, n_samples)
        n_moves = n_chains * (made.burn_in + math.ceil(n_samples / n_chains) * made.n_sweeps)
        progress = Progress(check_verbose(self.verbose), "LocalSampler", "sweep", n_moves, is_often_short=True)
        threads = Threads(self.n_jobs, progress)
        groups = [group for group, _ in start_chains(made.engine, n_chains, made.burn_in, moves, threads)]
        codes = draw_states(groups, n_samples, made.n_sweeps, temperature, threads)
        rows = codes.reshape(-1, system.n_sites)
        energy, errors = system.energies(rows).reshape(codes.shape[:2]), None
        if self.local_energy.errors is not None:
            terms = term_sum(self.local_energy, system.lattice_shape, system.periodic)
            errors = terms.energy_errors(rows).reshape(*codes.shape[:2], -1)
        known: dict[str, Any] = {"method": made.engine.method, "autocorrelation_time": made.tau}
        return Draws(self.states_[codes], energy, energy_errors=errors, **known)
