"""LatticeSampler, the base of samplers of a known energy on a lattice: chains as a sampler and as a transformer."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import (
    check_choice,
    check_count,
    check_integer,
    check_lattice_shape,
    check_temperature,
    check_verbose,
    seed_sequence,
)
from .._utils.configurations import validate_configurations
from .._utils.progress import Progress
from .._utils.warn import warn
from .chain_groups import ChainGroup, draw_states, evolve_rows, number_of_chains
from .draws import Draws
from .parallel import Threads
from .planning import Plan, Request
from .sampler import ThermalSampler
from .statistics import autocorrelation_time

_FEWEST_COMPARED, _MOST_COMPARED = 8, 256  # rows, with as many chains
_N_ERRORS = 5  # by which their mean energies may differ
_ROUNDING = 1e-9


class LatticeSampler(ThermalSampler, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Draw configurations of a known energy in equilibrium, or move given configurations.

    A subclass has the parameters that are named below, and defines `_system`, `_new_plan`, `_start_chains`,
    `_energies` and `_states_of`; and `_values_of`, if states of chains are not values of sites.
    """

    _SITE_FIELDS = True

    lattice_shape: tuple[int, ...] | None
    temperature: float
    method: str
    n_sweeps: str | int
    burn_in: str | int
    n_chains: int | None
    n_jobs: int | None
    random_state: Any
    verbose: int

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and store the number of sites; the values of X have no effect.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted sampler.
        """
        self._check_parameters()
        X = validate_configurations(self, X, reset=True)
        shape = (X.shape[1],) if self.lattice_shape is None else self.lattice_shape
        self.lattice_shape_ = check_lattice_shape(shape, X.shape[1])
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Move every row by `n_sweeps` sweeps at the sampler's temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Initial configurations. If states are spins, values other than -1 and 1 give a warning; positive values are
            then read as up, all others as down.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_sites)
            The configurations after `n_sweeps` sweeps: spins (int8) or angles (float64).
        """
        check_is_fitted(self)
        system = self._system()
        X = validate_configurations(self, X, reset=False)
        check_lattice_shape(self._lattice(), X.shape[1])  # it may have changed since fit
        states = self._states_of(X, strict=False)
        trial, moves, others = seed_sequence(self.random_state, f"{type(self).__name__}.transform").spawn(3)
        given: Any = {} if self.n_sweeps == "auto" else dict.fromkeys(("burn_in", "n_sweeps"), int(self.n_sweeps))
        made = self._plan(self.method, Request(system, float(self.temperature), len(X), **given), trial)
        threads = Threads(self.n_jobs, self._progress(len(X) * made.burn_in))
        moved = evolve_rows(states, made.engine, made.burn_in, moves, threads)
        if self.n_sweeps == "auto" and len(X) >= _FEWEST_COMPARED:
            self._warn_if_remembered(moved, made, others)
        return self._values_of(moved)

    def energy(self, X: Any) -> NDArray[np.float64]:
        """Return the total energy H(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations: spins -1 and 1, or angles in radians.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Energies of the whole lattice, in the unit of the couplings.
        """
        system = self._system()
        X = validate_configurations(self, X, reset=False)
        check_lattice_shape(self._lattice(), X.shape[1])
        return self._energies(self._states_of(X, strict=True), system)

    def iter_sample(
        self,
        temperature: float | None = None,
        n_samples: int | None = None,
        *,
        block_size: int = 4096,
        field: float = 0.0,
        random_state: Any = None,
    ) -> Iterator[NDArray[Any]]:
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
        blocks : iterator of ndarray of shape (block_size, n_sites)
            Configurations.

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
        request, threads = self._sampling_request(T, int(min(n_all, 10**9)), field), Threads(self.n_jobs)
        made, groups = self._start(request, "auto", seed, n_first, threads)

        def blocks(left: float) -> Iterator[NDArray[Any]]:
            while left > 0:
                n = int(min(left, block_size))
                X = draw_states(groups, n, made.n_sweeps, T, threads)
                yield self._values_of(X.reshape(-1, X.shape[2])[:n])
                left -= n

        return blocks(n_all)

    @abstractmethod
    def _system(self, external_field: Any = 0.0) -> Any:
        """Check all parameters, and return the terms of H with an external field added."""

    @abstractmethod
    def _new_plan(self, method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
        """Return how to draw a sample."""

    @abstractmethod
    def _start_chains(self, made: Plan, n_chains: int, seed: np.random.SeedSequence, threads: Threads) -> list[Any]:
        """Return groups of chains after their burn-in."""

    @abstractmethod
    def _energies(self, states: NDArray[Any], system: Any) -> NDArray[np.float64]:
        """Return H of every row."""

    @abstractmethod
    def _states_of(self, X: NDArray[Any], strict: bool) -> NDArray[Any]:
        """Return checked numbers as states of the chains; if `strict`, refuse other values than states."""

    def _values_of(self, states: NDArray[Any]) -> NDArray[Any]:
        """Return the values of sites in states of the chains."""
        return states

    def _energy_errors(self, states: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the changes of H of every row by the errors of learned couplings, None if couplings are exact."""
        return None

    def _energy_errors_of(self, X: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the same of every row of configurations."""
        return self._energy_errors(self._states_of(X, strict=True))

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
        threads = Threads(self.n_jobs, self._progress(0))
        made, groups = self._start(request, method, seed, n_samples, threads)
        states = draw_states(groups, n_samples, made.n_sweeps, temperature, threads)
        rows, X = states.reshape(-1, states.shape[2]), self._values_of(states)
        energy, errors = self._energies(rows, request.system).reshape(X.shape[:2]), self._energy_errors(rows)
        errors = None if errors is None else errors.reshape(*X.shape[:2], -1)
        m = self._magnetization(X)
        tau = max(map(autocorrelation_time, (energy, m, np.abs(m)))) if energy.size else 1.0
        measured = made.n_sweeps * tau if math.isnan(made.tau) else made.tau
        known: dict[str, Any] = {"method": made.method, "autocorrelation_time": measured}
        return Draws(X, energy, effective_sample_size=energy.size / tau, energy_errors=errors, **known)

    def _sampling_request(self, temperature: float, n_samples: int, field: float) -> Request:
        given = {name: int(getattr(self, name)) for name in ("burn_in", "n_sweeps") if getattr(self, name) != "auto"}
        return Request(self._system(field), temperature, n_samples, **given)

    def _start(
        self, request: Request, method: str, seed: np.random.SeedSequence, n_first: int, threads: Threads
    ) -> tuple[Plan, list[ChainGroup]]:
        """Return the plan, and groups of chains after their burn-in; there are at most `n_first` chains."""
        trial, moves = seed.spawn(2)
        made = self._plan(self.method if method == "auto" else method, request, trial)
        n_chains = number_of_chains(made.engine.kind, n_first, self.n_chains)
        if threads.progress is not None:
            threads.progress.expect(n_chains * (made.burn_in + math.ceil(n_first / n_chains) * made.n_sweeps))
        return made, self._start_chains(made, n_chains, moves, threads)

    def _progress(self, n_sweeps: int) -> Progress:
        """Return what counts sweeps, each of one chain."""
        return Progress(self.verbose, type(self).__name__, "sweep", n_sweeps, is_often_short=True)

    def _plan(self, method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
        made = self._new_plan(method, request, seed)
        if not made.converged:
            warn(
                f"chains have not converged after {made.burn_in} sweeps at temperature {request.temperature:g}: "
                "configurations are correlated, and perhaps not in equilibrium; set larger numbers, "
                f"sampler.set_params(burn_in=..., n_sweeps=...), or another method than {made.method!r}",
                ConvergenceWarning,
            )
        return made

    def _warn_if_remembered(self, moved: NDArray[Any], made: Plan, seed: np.random.SeedSequence) -> None:
        """Warn if rows that were moved have another mean energy than chains from the sampler's own start."""
        n, T, threads = min(len(moved), _MOST_COMPARED), made.engine.temperature, Threads(self.n_jobs)
        chains = draw_states(self._start_chains(made, n, seed, threads), n, 1, T, threads)
        E, E_chains = (self._energies(states, made.engine.system) for states in (moved, chains[:, 0]))
        difference = E.mean() - E_chains.mean()
        error = math.sqrt(max(E.var(), E_chains.var()) * (1 / len(E) + 1 / n))
        if abs(difference) > max(_N_ERRORS * error, _ROUNDING * np.abs(E).max()):
            warn(
                f"the rows are not in equilibrium after {made.burn_in} sweeps at temperature {T:g}: their mean energy "
                f"is {E.mean():.4g}, and {E_chains.mean():.4g} in chains that start elsewhere. They still depend on "
                "the given rows: pass a larger n_sweeps, or take rows of sample",
                ConvergenceWarning,
            )

    def _check_parameters(self) -> None:
        """Check all parameters as far as possible without the lattice; `_system` checks the rest."""
        check_temperature(self.temperature)
        check_choice(self.method, "method", self._METHODS)
        check_count(self.n_sweeps, "n_sweeps", "auto", 1)
        check_count(self.burn_in, "burn_in", "auto", 0)
        check_count(self.n_chains, "n_chains", None, 1)
        check_verbose(self.verbose)
        if self.lattice_shape is not None:
            check_lattice_shape(self.lattice_shape)

    def _lattice(self) -> tuple[int, ...]:
        """Return the shape of the lattice: the parameter, or the shape that `fit` stored."""
        if self.lattice_shape is not None:
            return check_lattice_shape(self.lattice_shape)
        if not hasattr(self, "lattice_shape_"):
            raise ValueError("lattice_shape must be given, such as (16, 16), or taken from X by fit, got None")
        return self.lattice_shape_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "lattice_shape_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True  # the result of a row depends on its place in X
        tags.transformer_tags.preserves_dtype = []
        return tags
