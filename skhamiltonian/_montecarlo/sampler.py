"""ThermalSampler, the base of all samplers: `sample` returns rows, `draws` also energies, weights and diagnostics."""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from .._utils.checks import check_choice, check_field, check_integer, check_temperature, seed_sequence
from .._utils.configurations import validate_configurations
from .._utils.memory import check_memory
from .._utils.names import rows_for, without_names
from .._utils.warn import warn
from .draws import Draws
from .order_parameter import mean_state, mean_vector_length
from .statistics import normalised_weights

_FAR_ABOVE = 20  # in units of the sampler's own temperature; the argument is then probably n_samples


class ThermalSampler(ABC):
    r"""Base class of all samplers at a temperature.

    A subclass defines one method, `_draw`. :meth:`sample` and :meth:`draws` check their arguments in the same way and
    call it, and :func:`phase_curve` accepts the sampler.

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
    _ITEM: type[np.generic] = np.int8  # of a configuration
    _SITE_FIELDS = False  # whether `_draw` takes an array of fields, one for each site
    _integrates_entropy = False  # whether `phase_curve` adds the entropy by integration by default

    def sample(
        self,
        temperature: float | None = None,
        *,
        n_samples: int = 1,
        field: Any = 0.0,
        method: str = "auto",
        random_state: Any = None,
        **options: Any,
    ) -> NDArray[Any]:
        """Draw configurations of equal weight.

        Parameters
        ----------
        temperature : float, default=None
            Temperature T; ``inf`` is allowed. None is the sampler's own temperature.
        n_samples : int, default=1
            Number of configurations.
        field : float or array-like of shape (n_sites,), default=0.0
            External field h in addition to the system's own, the same on every site or one for each.
        method : str, default="auto"
            How to draw.
        random_state : int, RandomState, Generator or None, default=None
            Seed; None is the sampler's own `random_state`. The same integer gives the same rows at every call, so use
            another one for a test set.
        **options : dict
            Further arguments of the method, if the class has any.

        Returns
        -------
        X : ndarray of shape (n_samples, n_sites)
            Configurations.
        """
        n_samples = check_integer(n_samples, "n_samples")
        request = self._request(temperature, max(1, n_samples), field, method, random_state, options)
        if n_samples == 1:
            self._warn_if_swapped(temperature)
        if (doubt := self._doubt(request[0])) is not None:
            warn(doubt)
        return self._sample(*request, **options)[:n_samples]

    def draws(
        self,
        temperature: float | None = None,
        *,
        n_samples: int = 1,
        field: Any = 0.0,
        method: str = "auto",
        random_state: Any = None,
        **options: Any,
    ) -> Draws:
        """Draw configurations with their energies, weights and diagnostics.

        Parameters
        ----------
        temperature : float, default=None
            Temperature T; ``inf`` is allowed. None is the sampler's own temperature.
        n_samples : int, default=1
            Smallest number of configurations.
        field : float or array-like of shape (n_sites,), default=0.0
            External field h in addition to the system's own, the same on every site or one for each.
        method : str, default="auto"
            How to draw.
        random_state : int, RandomState, Generator, SeedSequence or None, default=None
            Seed; None is the sampler's own `random_state`.
        **options : dict
            Further arguments of the method, if the class has any.

        Returns
        -------
        draws : Draws
            At least `n_samples` configurations.
        """
        n_samples = check_integer(n_samples, "n_samples", minimum=1)
        return self._draw(*self._request(temperature, n_samples, field, method, random_state, options), **options)

    @abstractmethod
    def _draw(
        self,
        temperature: float,
        n_samples: int,
        field: float,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> Draws:
        """Return at least `n_samples` configurations."""

    def _sample(
        self,
        temperature: float,
        n_samples: int,
        field: float,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> NDArray[Any]:
        """Return `n_samples` rows of equal weight: chains one after the other, or rows resampled by their weights."""
        draws = self._draw(temperature, n_samples, field, method, seed, **options)
        X = draws.configurations.reshape(-1, draws.configurations.shape[2])
        weight = normalised_weights(draws).ravel()
        if np.ptp(weight) <= 1e-12 * weight.max():  # resampling would repeat rows
            return X[:n_samples]
        return X[np.random.default_rng(seed.spawn(1)[0]).choice(len(X), n_samples, p=weight)]

    def _prepare(self, **options: Any) -> int | None:
        """Check parameters, options and fitted state; return the number of sites if it is known."""
        if options:
            raise TypeError(f"{type(self).__name__}.sample has no argument {next(iter(options))!r}")
        return None

    def _doubt(self, temperatures: Any) -> str | None:
        """Return why draws at these temperatures are not to be trusted, None if nothing speaks against them."""
        return None

    def _support(self, temperature: float, field: Any, seed: np.random.SeedSequence) -> float:
        """Return the support: the number of configurations of the data behind a prediction; nan without data."""
        return math.nan

    @property
    def _are_angles(self) -> bool:
        """Whether configurations hold angles."""
        return False

    def _magnetization(self, configurations: NDArray[Any]) -> NDArray[np.float64]:
        """Return the magnetization of every configuration (..., n_sites)."""
        if self._are_angles:
            return mean_vector_length(configurations)
        return mean_state(configurations, getattr(self, "states_", None))

    def _log_states(self) -> float | None:
        """Return the logarithm of the number of states of a site, or of their volume; None if it is unknown."""
        if self._are_angles:
            return math.log(2 * math.pi)
        states = getattr(self, "states_", None)
        return None if states is None else math.log(len(states))

    @property
    def _parameters(self) -> str | None:
        """A name of the parameters by whose errors the energies of draws change; None if there are none."""
        return None

    @property
    def _data_temperature(self) -> float | None:
        """The temperature of the training data; None without data."""
        return None

    def _own_temperature(self) -> float | None:
        return getattr(self, "temperature_", getattr(self, "temperature", None))

    def _request(
        self, temperature: float | None, n_samples: int, field: Any, method: str, random_state: Any, options: Any
    ) -> tuple[float, int, Any, str, np.random.SeedSequence]:
        """Check the arguments of the two public methods, and return the arguments of `_draw`."""
        n_sites = self._prepare(**options)
        T = check_temperature(self._own_temperature() if temperature is None else temperature)
        field = check_field(field, n_sites)
        if np.ndim(field) and not self._SITE_FIELDS:
            raise ValueError(f"field must be one number for {type(self).__name__}, got one for each site: {field!r}")
        check_choice(method, "method", self._METHODS)
        if n_sites is not None:
            check_memory((n_samples, n_sites), self._ITEM, "an array of configurations")
        state = getattr(self, "random_state", None) if random_state is None else random_state
        return T, n_samples, field, method, seed_sequence(state, f"{type(self).__name__}.sample")

    def _warn_if_swapped(self, temperature: Any) -> None:
        own = self._own_temperature()
        if own is not None and isinstance(temperature, numbers.Integral) and int(temperature) >= _FAR_ABOVE * own:
            warn(
                f"sample({temperature}) draws one configuration at temperature {temperature}: "
                f"for {temperature} configurations write sample(n_samples={temperature})"
            )


class ForeignSampler(ThermalSampler):
    """Any object with ``sample(temperature, n_samples=...)``; its draws in their order count as one chain."""

    _SITE_FIELDS = True

    def __init__(self, sampler: Any, accepted: Collection[str]) -> None:
        self.sampler = sampler
        self.accepted = accepted  # names of the arguments of its method `sample`
        self.states_ = getattr(sampler, "states_", None)

    def _draw(
        self,
        temperature: float,
        n_samples: int,
        field: float,
        method: str,
        seed: np.random.SeedSequence,
        **options: Any,
    ) -> Draws:
        given: dict[str, Any] = {}
        if "random_state" in self.accepted:
            given["random_state"] = int(seed.generate_state(1)[0])
        if np.any(field):
            if "field" not in self.accepted:
                name = type(self.sampler).__name__
                raise ValueError(f"{name}.sample has no argument field, got field={field!r}")
            given["field"] = field
        drawn = self.sampler.sample(temperature, n_samples=n_samples, **given)
        try:
            X = validate_configurations(BaseEstimator(), drawn, reset=True)
        except (TypeError, ValueError) as error:
            name = type(self.sampler).__name__
            raise type(error)(f"{name}.sample must return configurations (n_samples, n_sites): {error}") from None
        energy = None
        if hasattr(self.sampler, "energy"):
            model = without_names(self.sampler)
            energy = np.reshape(model.energy(rows_for(model, X, X)), (1, -1))
            if np.any(field):
                energy = energy - (X * np.float64(field)).sum(axis=1)
        return Draws(X[None], energy)
