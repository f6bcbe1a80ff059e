"""PhaseCurve: thermal averages and their errors over temperatures; table, data frame and file."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from .._montecarlo.draws import Draws, Estimate, with_error
from .._montecarlo.order_parameter import mean_state, mean_vector_length
from .._utils.alphabet import refuse_what_is_no_angle
from .._utils.checks import check_choice, check_temperature, check_temperatures, refuse_misread
from .._utils.configurations import validate_configurations, wide
from .measure import DIAGNOSTICS, assemble, check_observables, estimate

_TABLE = ("abs_magnetization", "energy", "susceptibility", "heat_capacity")


@dataclass(frozen=True, eq=False, repr=False)
class PhaseCurve:
    """Thermal averages of one system over temperatures, as :func:`phase_curve` measures them.

    ``value, error = curve["abs_magnetization"]`` gives an observable and its standard error; printing a curve
    shows a table.

    Parameters
    ----------
    temperatures : ndarray of shape (n_temperatures,)
        Temperatures in units of the coupling.
    observables : dict of str to Estimate
        For every observable a named tuple ``(value, error)`` of arrays of shape (n_temperatures,).
    effective_sample_size : ndarray of shape (n_temperatures,)
        Number of independent draws that would give the same error; the smallest of \\|m\\|, the energy and your own
        observables.
    r_hat : ndarray of shape (n_temperatures,)
        Disagreement of independent chains or populations; 1 if they agree.
    support : ndarray of shape (n_temperatures,)
        For a learned model, the number of its training configurations that stand behind the point; nan otherwise.
    acceptance : ndarray of shape (n_temperatures,)
        Accepted fraction of Monte Carlo proposals; nan without proposals.
    n_sites : int
        Number of sites N.
    field : float or ndarray of shape (n_sites,), default=0.0
        External field that was added, the same on every site or one for each.
    data_temperature : float or None, default=None
        Temperature T0 of the data of a learned model.
    spread : dict of str to ndarray, or None, default=None
        For a curve of several models, the standard deviation of every observable over the models.
    parameter_shifts : dict of str to ndarray of shape (n_temperatures, n_parameters), or None, default=None
        For a learned energy, how much every observable of one number changes by one standard error of each of its
        independent parameters. Errors include these changes, which all temperatures have in common.
    parameters : str or None, default=None
        A name of these parameters: curves with the same name, such as two lattice sizes with one energy, have them in
        common.

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, phase_curve
    >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5)
    >>> curve = phase_curve(ising, [2.0, 2.5, 3.0], n_samples=2000, random_state=0)
    >>> list(curve.observables)  # doctest: +NORMALIZE_WHITESPACE
    ['magnetization', 'abs_magnetization', 'energy', 'susceptibility', 'heat_capacity', 'binder_cumulant']
    >>> curve["energy"].value.shape, curve["energy"].error.shape
    ((3,), (3,))
    """

    temperatures: NDArray[np.float64]
    observables: dict[str, Estimate]
    effective_sample_size: NDArray[np.float64]
    r_hat: NDArray[np.float64]
    support: NDArray[np.float64]
    acceptance: NDArray[np.float64]
    n_sites: int
    field: float | np.ndarray = 0.0
    data_temperature: float | None = None
    spread: dict[str, NDArray[np.float64]] | None = None
    parameter_shifts: dict[str, NDArray[np.float64]] | None = None
    parameters: str | None = None

    @classmethod
    def from_samples(
        cls,
        samples: Mapping[float, ArrayLike],
        *,
        energy: Callable[[NDArray], ArrayLike] | None = None,
        observables: Mapping[str, Callable[[NDArray], ArrayLike]] | None = None,
        states: str = "auto",
    ) -> Self:
        """Return the averages of measured configurations, to compare with a prediction.

        Parameters
        ----------
        samples : dict of float to array-like of shape (n_samples, n_sites)
            Configurations by temperature. The rows of each count as one Markov chain in their order, so errors include
            the correlation of neighbouring rows.
        energy : callable, default=None
            Function of X (n_samples, n_sites) that returns total energies (n_samples,), such as the method `energy`
            of a model or a sampler.
        observables : dict of str to callable, default=None
            Further quantities, as in :func:`phase_curve`.
        states : {"auto", "angle"}, default="auto"
            "angle" if X holds angles in radians: the magnetization is then the length of the mean vector.

        Returns
        -------
        PhaseCurve
            The averages with their standard errors.

        Raises
        ------
        TypeError, ValueError
            If a temperature is not positive, or X does not hold configurations.

        Examples
        --------
        >>> from skhamiltonian import IsingSampler, PhaseCurve
        >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.0, random_state=0)
        >>> measured = PhaseCurve.from_samples({2.0: ising.sample(n_samples=2000)}, energy=ising.energy)
        >>> list(measured.observables)  # doctest: +NORMALIZE_WHITESPACE
        ['magnetization', 'abs_magnetization', 'energy', 'susceptibility', 'heat_capacity', 'binder_cumulant']
        """
        if not isinstance(samples, Mapping) or not samples:
            raise TypeError(f"samples must be a dict of temperatures and configurations, got {samples!r}")
        for T in samples:
            check_temperature(T, "each temperature in samples")
        temperatures = check_temperatures(sorted(samples), "samples", ndim=1)
        functions = check_observables(observables)
        angles = check_choice(states, "states", ("auto", "angle")) == "angle"
        each = [(float(T), X, _rows(X, energy, angles)) for T, X in sorted(samples.items(), key=lambda item: item[0])]
        extremes = np.array([[draws.configurations.min(), draws.configurations.max()] for *_, draws in each])
        m = mean_vector_length if angles else partial(mean_state, states=extremes)  # a state may be absent at one T
        points = [
            estimate(draws, {name: _of_rows(f, X) for name, f in functions.items()}, T, m) for T, X, draws in each
        ]
        return cls(**assemble(points, temperatures, 0.0, None))

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.observables:
            way = "; phase_curve(..., entropy=True) measures it" if name in ("entropy", "free_energy") else ""
            raise KeyError(f"{name!r} was not measured{way}; there are {', '.join(self.observables)}")
        return self.observables[name]

    def __getattr__(self, name: str) -> Any:
        hint = f": its value and error are curve[{name!r}]" if name in vars(self).get("observables", ()) else ""
        raise AttributeError(f"'PhaseCurve' object has no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        """Return a table with errors in units of the last digit: 0.6713(23) is 0.6713 +- 0.0023, 0.6713(?) has none."""
        names, arrays = [name for name in _TABLE if name in self.observables], self._arrays()
        header = ["T", *names, "ESS", "r_hat", *(["support"] if np.isfinite(self.support).any() else [])]
        rows = [header] + [
            [f"{T:.4g}"]
            + [with_error(arrays[name][i], arrays[f"{name}_error"][i]) for name in names]
            + [f"{self.effective_sample_size[i]:.0f}", f"{self.r_hat[i]:.3f}", f"{self.support[i]:.3g}"]
            for i, T in enumerate(self.temperatures)
        ]
        width = [max(len(row[k]) for row in rows) for k in range(len(header))]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, width, strict=False)) for row in rows]
        T0 = self.data_temperature
        origin = "" if T0 is None else f", learned at T0 = {T0:g}, energies from F(T0)"
        field = f"field {self.field:g}" if np.ndim(self.field) == 0 else "a field on each site"
        return "\n".join([f"PhaseCurve: {self.n_sites} sites, {field}{origin}", *lines])

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row for each temperature.

        Returns
        -------
        pandas.DataFrame
            Columns ``temperature``, the observables, and the diagnostics. An observable ``energy`` has the columns
            ``energy``, ``energy_error`` and, for several models, ``energy_spread``. An observable ``a`` that is an
            array has the columns ``a[0]``, ``a[1]`` and so on.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("PhaseCurve.to_frame needs pandas: pip install pandas") from error
        columns = {"temperature": self.temperatures}
        for name, values in self._arrays().items():
            for index in np.ndindex(values.shape[1:]):
                suffix = "".join(f"[{i}]" for i in index)
                columns[name + suffix] = values[(slice(None), *index)]
        return pd.DataFrame(columns | {name: getattr(self, name) for name in DIAGNOSTICS})

    def to_xarray(self) -> Any:
        """Return an xarray Dataset over the temperature.

        Returns
        -------
        xarray.Dataset
            Observables and diagnostics along ``temperature``. An observable ``energy`` has the variables ``energy``,
            ``energy_error`` and, for several models, ``energy_spread``. ``attrs`` holds the properties of the whole
            curve, such as `n_sites`.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        try:
            import xarray as xr
        except ImportError as error:
            raise ImportError("PhaseCurve.to_xarray needs xarray: pip install xarray") from error
        columns = {name: getattr(self, name) for name in DIAGNOSTICS} | self._arrays()
        attrs: dict[str, Any] = {"n_sites": self.n_sites, "field": self.field}
        if self.data_temperature is not None:
            attrs["data_temperature"] = self.data_temperature
        variables = {
            name: (("temperature", *(f"{name}_axis_{k}" for k in range(1, column.ndim))), column)
            for name, column in columns.items()
        }
        return xr.Dataset(variables, {"temperature": self.temperatures}, attrs)

    def _arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return value, error and spread of every observable by name."""
        arrays: dict[str, NDArray[np.float64]] = {}
        for name, (value, error) in self.observables.items():
            arrays |= {name: np.asarray(value), f"{name}_error": np.asarray(error)}
            if self.spread is not None:
                arrays[f"{name}_spread"] = self.spread[name]
        return arrays

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the curve to `path`, a NumPy ``.npz`` file without pickled objects.

        Parameters
        ----------
        path : str or path-like
            File to write. An existing file is replaced after the new one is complete, and stays if writing fails.
        """
        T0 = math.nan if self.data_temperature is None else self.data_temperature
        arrays = {name: getattr(self, name) for name in ("temperatures", *DIAGNOSTICS)}
        for i, (name, (value, error)) in enumerate(self.observables.items()):
            arrays |= {f"value_{i}": value, f"error_{i}": error}
            if self.spread is not None:
                arrays[f"spread_{i}"] = self.spread[name]
            if self.parameter_shifts is not None and name in self.parameter_shifts:
                arrays[f"shifts_{i}"] = self.parameter_shifts[name]
        if self.parameters is not None:
            arrays["parameters"] = np.array(self.parameters)
        names = np.array(list(self.observables), dtype=str)
        with _replacing(path) as file:
            uniform = np.ndim(self.field) == 0
            if not uniform:
                arrays["site_fields"] = np.asarray(self.field, dtype=float)
            scalars = np.array([self.n_sites, self.field if uniform else 0.0, T0])
            np.savez(file, **arrays, names=names, scalars=scalars)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a curve that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            File to read.

        Returns
        -------
        PhaseCurve
            The curve.

        Raises
        ------
        ValueError
            If the file is damaged, or not a PhaseCurve.
        """
        with open(os.fspath(path), "rb") as file:
            try:
                with np.load(file, allow_pickle=False) as stored:
                    return cls(**_checked({name: stored[name] for name in stored.files}))
            except Exception as error:  # damage raises a dozen types of zipfile, zlib, struct and numpy
                raise ValueError(f"{os.fspath(path)!r} is not a PhaseCurve file, or is damaged: {error}") from error


def one_number_each(curve: PhaseCurve, observable: str) -> Estimate:
    """Return an observable of a curve, or raise ValueError if it is an array at each temperature."""
    value, error = curve[observable]
    if np.ndim(value) > 1:
        raise ValueError(
            f"{observable} must be one number at each temperature, got arrays of shape {np.shape(value)[1:]}: "
            "measure a number of them as an observable of its own, such as lambda X: f(X)[:, 0]"
        )
    return Estimate(value, error)


def _rows(rows: ArrayLike, energy: Callable | None, angles: bool) -> Draws:
    """Return measured configurations as Draws of one chain."""
    X = validate_configurations(BaseEstimator(), rows, reset=True)
    if angles:
        refuse_what_is_no_angle(X)
    if energy is None:
        return Draws(X[None])
    E = _of_rows(energy, rows)(wide(X))
    refuse_misread(E, "energy")
    return Draws(X[None], np.reshape(E, (1, -1)))


def _of_rows(function: Callable, rows: ArrayLike) -> Callable:
    """Return a function that gives the user's rows to a method of a model with names, and its argument to others."""
    owner = getattr(function, "__self__", None)
    return (lambda X: function(rows)) if hasattr(owner, "feature_names_in_") else function


@contextlib.contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` when it is complete: a full disk or Ctrl-C leaves the old file."""
    place = os.path.realpath(os.fspath(path))
    if os.path.exists(place) and not os.path.isfile(place):  # a device or a pipe cannot be replaced
        with open(place, "wb") as file:
            yield file
        return
    if not os.path.isdir(folder := os.path.dirname(place)):
        raise FileNotFoundError(f"there is no folder {os.fsdecode(folder)}: make it first")
    part = f"{os.fsdecode(place)}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            yield file
        os.replace(part, place)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)


def _checked(arrays: dict[str, NDArray]) -> dict[str, Any]:
    """Return the fields of a PhaseCurve from the arrays of a file; raise ValueError if they cannot be a curve."""
    T = check_temperatures(arrays["temperatures"], ndim=1)
    names = arrays["names"]
    if names.dtype.kind != "U" or names.ndim != 1 or len(set(names.tolist())) != len(names):
        raise ValueError(f"names must be different strings, got {names!r}")
    for name in DIAGNOSTICS:
        _expect_floats(arrays, name, T.shape)
    kinds = ("value", "error", "spread") if "spread_0" in arrays else ("value", "error")
    for i in range(len(names)):
        shape = (*T.shape, *arrays[f"value_{i}"].shape[1:])
        for kind in kinds:
            _expect_floats(arrays, f"{kind}_{i}", shape)
    shifts = {i: arrays[f"shifts_{i}"] for i in range(len(names)) if f"shifts_{i}" in arrays}
    for i, each in shifts.items():
        _expect_floats(arrays, f"shifts_{i}", (*T.shape, *each.shape[1:2]))
    n_sites, field, T0 = map(float, arrays["scalars"])
    if not (n_sites >= 1 and n_sites.is_integer() and math.isfinite(field) and (math.isnan(T0) or T0 > 0)):
        raise ValueError(f"n_sites, field and data_temperature cannot be {n_sites}, {field} and {T0}")
    values, errors, *spreads = ([arrays[f"{kind}_{i}"] for i in range(len(names))] for kind in kinds)
    return {
        "temperatures": T,
        "observables": dict(zip(names.tolist(), map(Estimate, values, errors), strict=True)),
        **{name: arrays[name] for name in DIAGNOSTICS},
        "n_sites": int(n_sites),
        "field": _site_fields(arrays, int(n_sites)) if "site_fields" in arrays else field,
        "data_temperature": None if math.isnan(T0) else T0,
        "spread": dict(zip(names.tolist(), spreads[0], strict=True)) if spreads else None,
        "parameter_shifts": {str(names[i]): each for i, each in shifts.items()} or None,
        "parameters": str(arrays["parameters"]) if "parameters" in arrays else None,
    }


def _site_fields(arrays: dict[str, NDArray], n_sites: int) -> NDArray[np.float64]:
    _expect_floats(arrays, "site_fields", (n_sites,))
    return arrays["site_fields"]


def _expect_floats(arrays: dict[str, NDArray], name: str, shape: tuple[int, ...]) -> None:
    if arrays[name].dtype != np.float64 or arrays[name].shape != shape:
        raise ValueError(f"{name} must be float64 of shape {shape}, got {arrays[name].dtype} {arrays[name].shape}")
