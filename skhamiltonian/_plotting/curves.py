"""Display object of phase curves. matplotlib is imported only inside plot()."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._curves.phase_curve import as_sampler, phase_curve
from .._curves.result import PhaseCurve, one_number_each
from .._montecarlo.draws import Estimate

# A point with fewer training configurations behind it is a generalisation. The estimate hardly falls below a few
# configurations even if the exact support is much smaller, so the limit is well above that.
_SUPPORTED = 50
_MARKERS = "osD^v<>"
# A known system beside learned ones.
_GREY_LINE = {"fmt": "-", "color": "0.4", "zorder": 2}
_LABELS = {
    "magnetization": r"magnetization $\langle m \rangle$",
    "abs_magnetization": r"magnetization $\langle |m| \rangle$",
    "energy": r"energy per site $U/N$",
    "susceptibility": r"susceptibility $\chi$",
    "heat_capacity": r"heat capacity per site $C/N$",
    "binder_cumulant": r"Binder cumulant $U_4$",
    "free_energy": r"free energy per site $F/N$",
    "entropy": r"entropy per site $S/N$ (nats)",
}


def new_axes(display: object) -> Any:
    """Return the axes of a new figure that leaves room for all labels."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"{type(display).__name__}.plot needs matplotlib: pip install matplotlib") from error
    return plt.subplots(layout="constrained")[1]


class PhaseCurveDisplay:
    """Observables against temperature, with error bars.

    A star marks the temperature T0 of the data of a learned model. Pale open points have fewer than 50 training
    configurations behind them (``PhaseCurve.support``): they are generalisations. Beside learned curves, those of
    known systems are grey lines.

    Parameters
    ----------
    curves : dict of str to PhaseCurve
        Curves by their label.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that holds them.
    errorbars_ : dict of str to ErrorbarContainer
        Points with error bars of every curve.

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, PhaseCurveDisplay, phase_curve
    >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5)
    >>> curve = phase_curve(ising, [2.0, 2.5, 3.0], n_samples=2000, random_state=0)
    >>> display = PhaseCurveDisplay.from_curves({"Ising": curve})
    >>> display.ax_.get_xlabel()
    'temperature $T$'
    """

    def __init__(self, *, curves: Mapping[str, PhaseCurve]) -> None:
        self.curves = curves

    @classmethod
    def from_curves(
        cls,
        curves: Mapping[str, PhaseCurve],
        *,
        observable: str = "abs_magnetization",
        ax: Any = None,
        **errorbar_kw: Any,
    ) -> Self:
        """Plot measured curves.

        Parameters
        ----------
        curves : dict of str to PhaseCurve
            Curves by their label.
        observable : str, default="abs_magnetization"
            What to show.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **errorbar_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        PhaseCurveDisplay
            The display, plotted.
        """
        if not isinstance(curves, Mapping) or not all(isinstance(curve, PhaseCurve) for curve in curves.values()):
            raise TypeError(f"curves must be a dict of labels and PhaseCurves, got {curves!r}")
        return cls(curves=dict(curves)).plot(ax, observable=observable, **errorbar_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        temperatures: ArrayLike,
        *,
        label: str | None = None,
        observable: str = "abs_magnetization",
        ax: Any = None,
        errorbar_kw: Mapping[str, Any] | None = None,
        **phase_curve_kw: Any,
    ) -> Self:
        """Measure the phase curve of a sampler and plot it.

        Parameters
        ----------
        estimator : object
            A sampler that :func:`phase_curve` accepts.
        temperatures : array-like of shape (n_temperatures,)
            Temperatures.
        label : str, default=None
            Label of the curve; None is the class of the sampler.
        observable : str, default="abs_magnetization"
            What to show.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        errorbar_kw : dict, default=None
            Passed on to :meth:`matplotlib.axes.Axes.errorbar`.
        **phase_curve_kw : dict
            Passed on to :func:`phase_curve`.

        Returns
        -------
        PhaseCurveDisplay
            The display, plotted.
        """
        curve = phase_curve(estimator, temperatures, **phase_curve_kw)
        label = type(as_sampler(estimator)).__name__ if label is None else label
        return cls(curves={label: curve}).plot(ax, observable=observable, **(errorbar_kw or {}))

    def plot(self, ax: Any = None, *, observable: str = "abs_magnetization", **errorbar_kw: Any) -> Self:
        """Draw one observable of all curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        observable : str, default="abs_magnetization"
            What to show.
        **errorbar_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        PhaseCurveDisplay
            This display.
        """
        estimates = {label: one_number_each(curve, observable) for label, curve in self.curves.items()}
        ax = new_axes(self) if ax is None else ax
        learned = [curve.data_temperature is not None for curve in self.curves.values()]
        known = [any(learned) and not from_data for from_data in learned]
        self.errorbars_ = {
            label: _draw_curve(ax, label, curve, estimates[label], k, (_GREY_LINE if known[k] else {}) | errorbar_kw)
            for k, (label, curve) in enumerate(self.curves.items())
        }
        handles = list(self.errorbars_.values())
        for label, curve in self.curves.items():
            handles += _draw_star(ax, curve, estimates[label], self.errorbars_[label].lines[0].get_color())
        if any(np.any(curve.support < _SUPPORTED) for curve in self.curves.values()):
            label = f"generalisation (support below {_SUPPORTED})"
            handles += ax.plot([], [], "o", color="0.6", markerfacecolor="none", markersize=4, label=label)
        ax.set(xlabel="temperature $T$", ylabel=_LABELS.get(observable, observable))
        distinct = {handle.get_label(): handle for handle in reversed(handles)}  # only the first star of each T0
        ax.legend(handles=list(distinct.values())[::-1], fontsize="small", framealpha=0.7, edgecolor="none")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _draw_curve(
    ax: Any, label: str, curve: PhaseCurve, estimate: Estimate, k: int, errorbar_kw: Mapping[str, Any]
) -> Any:
    """Draw full points if data support them, and pale open ones otherwise; curve k lies below curve k - 1."""
    order = np.argsort(curve.temperatures)
    T, value, error = curve.temperatures[order], np.asarray(estimate.value)[order], np.asarray(estimate.error)[order]
    pale = curve.support[order] < _SUPPORTED
    style: dict[str, Any] = {
        "fmt": _MARKERS[k % len(_MARKERS)],
        "markersize": 4,
        "capsize": 2,
        "elinewidth": 1,
        "zorder": 2.9 - 0.01 * k,
    }
    style |= errorbar_kw
    full = ax.errorbar(T[~pale], value[~pale], error[~pale], label=label, **style)
    color = full.lines[0].get_color()
    ax.plot(T, value, color=color, linewidth=1, alpha=0.4, zorder=1)
    if pale.any():
        ax.errorbar(T[pale], value[pale], error[pale], **(style | {"color": color, "alpha": 0.4, "mfc": "white"}))
    return full


def _draw_star(ax: Any, curve: PhaseCurve, estimate: Estimate, color: Any) -> list[Any]:
    """Mark the temperature T0 of the data on the curve if it lies between the ends; return the handles."""
    T0, order = curve.data_temperature, np.argsort(curve.temperatures)
    T = curve.temperatures[order]
    if T0 is None or not T[0] <= T0 <= T[-1]:
        return []
    style = {"markersize": 13, "markeredgecolor": "black", "markeredgewidth": 0.7, "linestyle": "none", "zorder": 5}
    height = np.interp(T0, T, np.asarray(estimate.value)[order])
    return ax.plot(T0, height, "*", color=color, label=f"data, $T_0$ = {T0:g}", **style)
