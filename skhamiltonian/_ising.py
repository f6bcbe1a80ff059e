"""The reference system: Ising models on lattices and graphs, drawn by Monte Carlo."""

import math
import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from . import _lattice_terms
from ._spin_kernels import KERNELS, energies, evolve
from ._statistics import Draws
from ._validation import (
    check_choice,
    check_integer,
    check_lattice_shape,
    check_memory,
    check_number,
    check_temperature,
    seed_sequence,
    validate_configurations,
)

# Rows of `transform` that share a stream of random numbers; fixed, so that n_jobs changes nothing.
_ROWS_PER_STREAM = 64


class IsingSampler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Draw configurations of an Ising model in equilibrium, or let given ones evolve.

    The spins ``s_i = +-1`` on a hypercubic lattice have the energy

        H(s) = -J sum_<ij> s_i s_j - h sum_i s_i

    and configurations follow the Boltzmann law ``exp(-H(s) / T) / Z`` (Boltzmann's constant is 1).
    Sites are numbered in C order. A periodic axis of two sites has each bond twice, as ``np.roll``
    counts it; an axis of one site has none.

    Parameters
    ----------
    lattice_shape : tuple of int, default=None
        Number of sites along each axis, any number of axes. None is a chain as long as the rows
        given to `fit`.

    temperature : float, default=1.0
        Temperature T in the unit of the coupling, positive; ``inf`` is allowed.

    coupling : float, default=1.0
        Coupling J of nearest neighbours; negative is antiferromagnetic.

    field : float, default=0.0
        Uniform field h.

    boundary : {"periodic", "open"} or a tuple of these, one per axis, default="periodic"
        What is beyond the last site of an axis: the first one, or nothing.

    algorithm : {"auto", "heat-bath", "swendsen-wang"}, default="auto"
        "heat-bath" draws one spin after the other from its law given all others (Glauber's rule).
        "swendsen-wang" turns over clusters of spins and is fast at every temperature where
        the couplings do not compete. "auto" takes the latter.

    n_sweeps : int, default=5
        Sweeps between two draws of a chain, and sweeps that `transform` gives to every row.

    burn_in : int, default=100
        Sweeps of a chain before its first draw.

    n_chains : int, default=64
        Number of independent chains that `sample` runs, at most one for each configuration asked for.

    n_jobs : int, default=None
        Number of threads over the chains; None is 1 unless in a ``joblib.parallel_config``
        context, -1 is all processors. Results do not depend on it.

    random_state : int, RandomState, Generator or None, default=None
        Seed of the random streams, one for each chain. An int gives the same result at every call.

    Attributes
    ----------
    lattice_shape_ : tuple of int
        Shape of the lattice.

    n_features_in_ : int
        Number of sites.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the sites, where X has names that are strings.

    states_ : ndarray of shape (2,)
        The values of a spin, -1 and 1.

    References
    ----------
    .. [1] R. J. Glauber, "Time-dependent statistics of the Ising model", J. Math. Phys. 4, 294 (1963).
    .. [2] R. H. Swendsen, J.-S. Wang, "Nonuniversal critical dynamics in Monte Carlo simulations",
       Phys. Rev. Lett. 58, 86 (1987).

    Examples
    --------
    >>> from skhamiltonian import IsingSampler
    >>> ising = IsingSampler(lattice_shape=(16, 16), temperature=2.5, random_state=0)
    >>> X = ising.sample(n_samples=2000)
    >>> X.shape, X.dtype
    ((2000, 256), dtype('int8'))
    >>> print(f"{ising.energy(X).mean() / 256:.2f}")
    -1.13
    """

    def __init__(
        self,
        lattice_shape=None,
        temperature=1.0,
        *,
        coupling=1.0,
        field=0.0,
        boundary="periodic",
        algorithm="auto",
        n_sweeps=5,
        burn_in=100,
        n_chains=64,
        n_jobs=None,
        random_state=None,
    ):
        self.lattice_shape = lattice_shape
        self.temperature = temperature
        self.coupling = coupling
        self.field = field
        self.boundary = boundary
        self.algorithm = algorithm
        self.n_sweeps = n_sweeps
        self.burn_in = burn_in
        self.n_chains = n_chains
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None):
        """Check the parameters and take the number of sites; nothing is learned from the values.

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

    def transform(self, X):
        """Let every row evolve for `n_sweeps` sweeps at the sampler's temperature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Initial configurations. Values other than -1 and 1 are read by their sign (positive is
            up, anything else is down), with a warning.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_sites), int8
            The configurations after `n_sweeps` sweeps.
        """
        check_is_fitted(self)
        self._check_parameters()
        X = validate_configurations(self, X, reset=False)
        if (stray := _first_stray(X)) is not None:
            row, column = stray
            warnings.warn(
                f"X holds {X[row, column]!r} in row {row}, column {column}, which is no spin (-1 or 1): "
                "positive values are read as spin up, all others as spin down",
                UserWarning,
                stacklevel=3,  # past the wrapper of set_output
            )
        seed = seed_sequence(self.random_state, "IsingSampler.transform")
        system, run = self._system(), self._chain_runner()
        starts = range(0, len(X), _ROWS_PER_STREAM)
        evolved = np.empty(X.shape, dtype=np.int8)

        def evolve_rows(start, child):
            rng = np.random.default_rng(child)
            for row in range(start, min(start + _ROWS_PER_STREAM, len(X))):
                evolved[row] = np.where(X[row] > 0, 1, -1)
                run(evolved[row], evolved[row : row + 1], self.n_sweeps, system, self.temperature, rng)

        self._parallel()(delayed(evolve_rows)(*work) for work in zip(starts, seed.spawn(len(starts)), strict=True))
        return evolved

    def energy(self, X):
        """Return the total energy H(s) of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of -1 and 1.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Energies in the unit of the coupling, for the whole lattice.
        """
        self._check_parameters()
        system = self._system()
        X = validate_configurations(self, X, reset=False)
        check_lattice_shape(self._shape(), X.shape[1])
        if (stray := _first_stray(X)) is not None:
            row, column = stray
            raise ValueError(f"X must hold spins -1 and 1, got {X[row, column]!r} in row {row}, column {column}")
        return energies(np.ascontiguousarray(X, dtype=np.int8), system)

    def sample(self, temperature=None, n_samples=1, *, field=0.0, random_state=None):
        """Draw configurations in equilibrium.

        Rows of one chain stand together, `n_sweeps` sweeps apart, so that folds without shuffling
        are all but independent. Needs no `fit` where `lattice_shape` is given.

        Parameters
        ----------
        temperature : float, default=None
            Temperature; None is the sampler's own.

        n_samples : int, default=1
            Number of configurations.

        field : float, default=0.0
            Uniform field in addition to the sampler's own.

        random_state : int, RandomState, Generator or None, default=None
            Seed; None is the sampler's own `random_state`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_sites), int8
            Spins of -1 and 1.
        """
        self._check_parameters()
        temperature = self.temperature if temperature is None else check_temperature(temperature)
        n_samples = check_integer(n_samples, "n_samples")
        field = check_number(field, "field", include_low=False, include_high=False)
        seed = seed_sequence(self.random_state if random_state is None else random_state, "IsingSampler.sample")
        draws = self._draw(temperature, n_samples, field=field, seed=seed)
        return draws.configurations.reshape(-1, draws.configurations.shape[2])[:n_samples]

    @property
    def states_(self):
        """The values of a spin."""
        return np.array([-1, 1], dtype=np.int8)

    def _draw(self, temperature, n_samples, *, field=0.0, method="auto", seed):
        """Run independent chains and return at least `n_samples` configurations as Draws."""
        system = self._system(field)
        n_chains = max(1, min(self.n_chains, n_samples))
        shape = (n_chains, math.ceil(n_samples / n_chains), system.n_sites)
        check_memory(shape, np.int8, "an array of configurations")
        configurations = np.empty(shape, dtype=np.int8)
        run = self._chain_runner(method)

        def run_chain(draws, child):
            rng = np.random.default_rng(child)
            s = np.full(system.n_sites, rng.choice([-1, 1]), dtype=np.int8)
            run(s, np.empty((1, system.n_sites), dtype=np.int8), self.burn_in, system, temperature, rng)
            run(s, draws, self.n_sweeps, system, temperature, rng)

        work = zip(configurations, seed.spawn(n_chains), strict=True)
        self._parallel()(delayed(run_chain)(*chain) for chain in work)
        energy = energies(configurations.reshape(-1, shape[2]), system).reshape(shape[:2])
        return Draws(configurations, energy)

    def _check_parameters(self):
        check_temperature(self.temperature)
        for name in ("coupling", "field"):
            check_number(getattr(self, name), name, include_low=False, include_high=False)
        check_choice(self.algorithm, "algorithm", ("auto", *KERNELS))
        for name, minimum in (("n_sweeps", 1), ("burn_in", 0), ("n_chains", 1)):
            check_integer(getattr(self, name), name, minimum=minimum)
        if self.lattice_shape is not None:
            self._periodic(check_lattice_shape(self.lattice_shape))

    def _shape(self):
        if self.lattice_shape is not None:
            return check_lattice_shape(self.lattice_shape)
        if not self.__sklearn_is_fitted__():
            raise ValueError("lattice_shape must be given, such as (16, 16), or taken from data by fit, got None")
        return self.lattice_shape_

    def _periodic(self, shape):
        """Return whether each axis is periodic."""
        names = [self.boundary] * len(shape) if isinstance(self.boundary, str) else self.boundary
        if not isinstance(names, (list, tuple)) or len(names) != len(shape):
            wanted = f"'periodic', 'open' or one of these for each of the {len(shape)} axes"
            raise ValueError(f"boundary must be {wanted}, got {self.boundary!r}")
        return tuple(check_choice(name, "boundary", ("periodic", "open")) == "periodic" for name in names)

    def _system(self, field=0.0):
        """Return the terms of H with the external field added."""
        shape = self._shape()
        n_sites = math.prod(shape)
        check_memory((n_sites, 2 * len(shape)), np.int64, "the list of bonds")
        return _lattice_terms.spin_system(
            n_sites,
            [
                (self.coupling, _lattice_terms.nearest_neighbours(shape, self._periodic(shape))),
                (self.field + field, np.arange(n_sites)[:, None]),
            ],
        )

    def _chain_runner(self, method="auto"):
        """Return the function that runs one chain by the algorithm asked for."""
        name = self.algorithm if method == "auto" else check_choice(method, "method", ("auto", *KERNELS))
        name = "swendsen-wang" if name == "auto" else name
        return lambda *arguments: evolve(name, *arguments)

    def _parallel(self):
        return Parallel(n_jobs=self.n_jobs, prefer="threads", require="sharedmem")

    def __sklearn_is_fitted__(self):
        return hasattr(self, "lattice_shape_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.non_deterministic = True  # a row's fate depends on its place in X
        tags.transformer_tags.preserves_dtype = []
        return tags


def _first_stray(X):
    """Return (row, column) of the first value that is neither -1 nor 1, None without one."""
    for start in range(0, len(X), 4096):
        stray = np.abs(X[start : start + 4096]) != 1
        if stray.any():
            row, column = np.argwhere(stray)[0]
            return start + row, column
    return None
