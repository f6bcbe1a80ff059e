"""The one door to all samplers: `sample` for people, `draws` for measurements."""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from .._utils.checks import check_choice, check_integer, check_number, check_temperature, seed_sequence
from .._utils.memory import check_memory
from .._utils.names import without_names
from .._utils.warn import warn
from .draws import Draws
from .statistics import normalised_weights

_FAR_ABOVE = 20  # times the sampler's own temperature: rather a number of configurations


class ThermalSampler(ABC):
    r"""Base class of everything that can be sampled at a temperature.

    A subclass writes one method, `_draw`. It then has :meth:`sample` and :meth:`draws`, which check their arguments
    in the same way, and :func:`phase_curve` measures it.

    ``_draw(temperature, n_samples, field, method, seed)`` returns :class:`Draws` with at least `n_samples`
    configurations from :math:`\exp(-(H(s) - h \sum_i s_i)/T)`. All its arguments have been checked: `temperature` is
    a float > 0 (``inf`` included), `n_samples` an integer >= 1, `seed` a `numpy.random.SeedSequence`.

    A subclass may set `temperature`, its own temperature, which is the default of `sample`; `random_state`, the
    default seed; `states_`, the values of a site; and ``_METHODS``, the names that `method` accepts.

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import Draws, ThermalSampler, phase_curve
    >>> class FreeSpins(ThermalSampler):
    ...     def _draw(self, temperature, n_samples, field, method, seed):
    ...         up = 1 / (1 + np.exp(-2 * field / temperature))
    ...         X = np.where(np.random.default_rng(seed).random((16, -(-n_samples // 16), 8)) < up, 1, -1)
    ...         return Draws(X, energy=-field * X.sum(axis=2))
    >>> FreeSpins().sample(2.0, n_samples=5, random_state=0).shape
    (5, 8)
    >>> value, error = phase_curve(FreeSpins(), [2.0], field=1.0, random_state=0)["magnetization"]
    >>> bool(abs(value[0] - np.tanh(0.5)) < 4 * error[0])
    True
    """

    _METHODS: tuple[str, ...] = ("auto",)
    _integrates_entropy = False  # whether `phase_curve` adds the entropy by integration unless told otherwise

    def sample(
        self, temperature=None, *, n_samples=1, field=0.0, method="auto", random_state=None, **options
    ) -> np.ndarray:
        """Draw configurations of equal weight.

        Parameters
        ----------
        temperature : float, default=None
            Temperature T, ``inf`` included; None is the sampler's own.
        n_samples : int, default=1
            Number of configurations.
        field : float, default=0.0
            External field h on every site, in addition to the system's own.
        method : str, default="auto"
            How to draw.
        random_state : int, RandomState, Generator or None, default=None
            Seed; None is the sampler's own `random_state`. The same integer gives the same rows at every call: a test
            set needs another one.
        **options : dict
            Further arguments of the method, where the class has any.

        Returns
        -------
        X : ndarray of shape (n_samples, n_sites)
            Configurations.
        """
        n_samples = check_integer(n_samples, "n_samples")
        request = self._request(temperature, max(1, n_samples), field, method, random_state, options)
        if n_samples == 1 and isinstance(temperature, numbers.Integral):
            self._warn_if_swapped(temperature)
        return self._sample(*request, **options)[:n_samples]

    def draws(self, temperature=None, *, n_samples=1, field=0.0, method="auto", random_state=None, **options) -> Draws:
        """Draw configurations with their energies, weights and diagnostics.

        Parameters
        ----------
        temperature : float, default=None
            Temperature T, ``inf`` included; None is the sampler's own.
        n_samples : int, default=1
            Smallest number of configurations.
        field : float, default=0.0
            External field h on every site, in addition to the system's own.
        method : str, default="auto"
            How to draw.
        random_state : int, RandomState, Generator, SeedSequence or None, default=None
            Seed; None is the sampler's own `random_state`.
        **options : dict
            Further arguments of the method, where the class has any.

        Returns
        -------
        draws : Draws
            At least `n_samples` configurations.
        """
        n_samples = check_integer(n_samples, "n_samples", minimum=1)
        return self._draw(*self._request(temperature, n_samples, field, method, random_state, options), **options)

    @abstractmethod
    def _draw(self, temperature: float, n_samples: int, field: float, method: str, seed, **options: Any) -> Draws:
        """Return at least `n_samples` configurations."""

    def _sample(self, temperature, n_samples, field, method, seed, **options) -> np.ndarray:
        """Return `n_samples` rows of equal weight: the chains one after the other, or resampled by their weights."""
        draws = self._draw(temperature, n_samples, field, method, seed, **options)
        X = draws.configurations.reshape(-1, draws.configurations.shape[2])
        weight = normalised_weights(draws).ravel()
        if np.ptp(weight) <= 1e-12 * weight.max():  # resampling would repeat rows
            return X[:n_samples]
        return X[np.random.default_rng(seed.spawn(1)[0]).choice(len(X), n_samples, p=weight)]

    def _prepare(self, **options: Any) -> int | None:
        """Raise unless parameters, options and fitted state are right; return the number of sites if it is known."""
        if options:
            raise TypeError(f"{type(self).__name__}.sample has no argument {next(iter(options))!r}")
        return None

    def _support(self, temperature: float, field: float, seed: np.random.SeedSequence) -> float:
        """Return how many configurations of the data stand behind a prediction; nan without data."""
        return math.nan

    @property
    def _data_temperature(self) -> float | None:
        """The temperature of the data that the sampler was learned from; None without data."""
        return None

    def _own_temperature(self) -> float | None:
        return getattr(self, "temperature_", getattr(self, "temperature", None))

    def _request(self, temperature, n_samples, field, method, random_state, options):
        """Check everything that the two public methods are given; return the arguments of `_draw`."""
        n_sites = self._prepare(**options)
        T = check_temperature(self._own_temperature() if temperature is None else temperature)
        field = check_number(field, "field", include_low=False, include_high=False)
        check_choice(method, "method", self._METHODS)
        if n_sites is not None:
            check_memory((n_samples, n_sites), np.int8, "an array of configurations")
        state = getattr(self, "random_state", None) if random_state is None else random_state
        return T, n_samples, field, method, seed_sequence(state, f"{type(self).__name__}.sample")

    def _warn_if_swapped(self, temperature):
        own = self._own_temperature()
        if own is not None and temperature >= _FAR_ABOVE * own:
            warn(
                f"sample({temperature}) draws one configuration at temperature {temperature}: "
                f"for {temperature} configurations write sample(n_samples={temperature})"
            )


class ForeignSampler(ThermalSampler):
    """Any object with ``sample(temperature, n_samples=...)``; its draws are taken as one chain in their order."""

    def __init__(self, sampler, accepted):
        self.sampler = sampler
        self.accepted = accepted  # names of the arguments of its method `sample`
        self.states_ = getattr(sampler, "states_", None)

    def _draw(self, temperature, n_samples, field, method, seed):
        options = {"random_state": int(seed.generate_state(1)[0])} if "random_state" in self.accepted else {}
        if field:
            if "field" not in self.accepted:
                name = type(self.sampler).__name__
                raise ValueError(f"{name}.sample has no argument field, got field={field!r}")
            options["field"] = field
        X = np.asarray(self.sampler.sample(temperature, n_samples=n_samples, **options))
        known = hasattr(self.sampler, "energy")
        energy = np.asarray(without_names(self.sampler).energy(X))[None] - field * X.sum(axis=1) if known else None
        return Draws(X[None], energy)
