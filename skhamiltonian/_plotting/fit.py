"""Display objects of a fit: learned against true energy, and the loss of the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._montecarlo.draws import Estimate, with_error
from .._utils.checks import refuse_misread
from .._utils.names import rows_for
from .curves import new_axes


class EnergyDisplay:
    """Learned against true energy of the same configurations, with the fitted line.

    An exact learned energy has slope 1 and intercept -F(T0), the free energy at the temperature of the data.

    Parameters
    ----------
    energy_true, energy_learned : ndarray of shape (n_samples,)
        Energies H and H_theta of the same configurations.

    Attributes
    ----------
    slope_, intercept_ : Estimate
        Least-squares line H_theta = intercept + slope H: named tuples (value, error).
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that holds them.
    points_ : PathCollection
        The scattered configurations.
    line_ : Line2D
        The fitted line.

    Examples
    --------
    >>> from skhamiltonian import EnergyDisplay
    >>> display = EnergyDisplay.from_predictions([-32, -24, -16], [109.7, 117.4, 125.7])
    >>> round(display.slope_.value, 6), round(display.slope_.error, 6)
    (1.0, 0.021651)
    """

    def __init__(self, *, energy_true: NDArray[np.float64], energy_learned: NDArray[np.float64]) -> None:
        self.energy_true = energy_true
        self.energy_learned = energy_learned
        self.slope_, self.intercept_ = line_fit(energy_true, energy_learned)

    @classmethod
    def from_predictions(
        cls, energy_true: ArrayLike, energy_learned: ArrayLike, *, ax: Any = None, **scatter_kw: Any
    ) -> Self:
        """Plot computed energies.

        Parameters
        ----------
        energy_true, energy_learned : array-like of shape (n_samples,)
            Energies of the same configurations.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **scatter_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        EnergyDisplay
            The display, plotted.
        """
        check_consistent_length(energy_true, energy_learned)
        refuse_misread(energy_true, "energy_true")
        refuse_misread(energy_learned, "energy_learned")
        true, learned = (column_or_1d(energy, dtype=np.float64) for energy in (energy_true, energy_learned))
        return cls(energy_true=true, energy_learned=learned).plot(ax, **scatter_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        energy: ArrayLike | Callable[[NDArray], ArrayLike],
        *,
        ax: Any = None,
        **scatter_kw: Any,
    ) -> Self:
        """Compute the learned energy of configurations and plot it against the true one.

        Parameters
        ----------
        estimator : MADEHamiltonian or Pipeline
            Fitted model with ``energy(X)``, or a Pipeline that ends in one.
        X : array-like of shape (n_samples, n_sites)
            Configurations; held-out ones are best.
        energy : callable or array-like of shape (n_samples,)
            True energies of X, or a function that computes them, such as ``IsingSampler.energy``.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **scatter_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        EnergyDisplay
            The display, plotted.
        """
        true = energy(rows_for(energy, X)) if callable(energy) else energy
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
        return cls.from_predictions(true, estimator.energy(rows_for(estimator, X)), ax=ax, **scatter_kw)

    def plot(self, ax: Any = None, **scatter_kw: Any) -> Self:
        """Show at most 2000 of the configurations, and the line fitted to all.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **scatter_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        EnergyDisplay
            This display.
        """
        ax = new_axes(self) if ax is None else ax
        x, y = self.energy_true, self.energy_learned
        shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), 2000)).astype(int))
        self.points_ = ax.scatter(x[shown], y[shown], **({"s": 6, "alpha": 0.3, "linewidths": 0} | scatter_kw))
        ends = np.array([x.min(), x.max()])
        slope, intercept = (with_error(float(one.value), float(one.error)) for one in (self.slope_, self.intercept_))
        label = f"slope {slope}\nintercept {intercept}"
        (self.line_,) = ax.plot(ends, self.intercept_.value + self.slope_.value * ends, "k", linewidth=1, label=label)
        ax.set(xlabel="true energy $H$", ylabel=r"learned energy $H_\theta$")
        ax.legend(frameon=False, loc="upper left", fontsize="x-small", handlelength=0, handletextpad=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def line_fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Estimate, Estimate]:
    r"""Return slope and intercept of the least-squares line y = a + b x, with standard errors.

    .. math:: b = S_{xy} / S_{xx}, \quad a = \bar y - b \bar x, \quad \sigma_b^2 = \sigma^2 / S_{xx}, \quad
              \sigma_a^2 = \sigma^2 (1/n + \bar x^2 / S_{xx}), \quad \sigma^2 = \sum (y - a - b x)^2 / (n - 2)
    """
    n, dx, dy = len(x), x - x.mean(), y - y.mean()
    if n < 3 or not np.any(dx):
        raise ValueError(f"energy_true must hold at least 3 values that differ, got {n} from {x.min()} to {x.max()}")
    Sxx = dx @ dx
    b = dx @ dy / Sxx
    variance = np.sum((dy - b * dx) ** 2) / (n - 2)
    a_error, b_error = np.sqrt(variance * (1 / n + x.mean() ** 2 / Sxx)), np.sqrt(variance / Sxx)
    return Estimate(float(b), float(b_error)), Estimate(float(y.mean() - b * x.mean()), float(a_error))


class LossCurveDisplay:
    """Training loss, and held-out loss if there is one, against the epoch.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Mean negative log-likelihood of the training configurations in every epoch, in nats.
    validation_scores : array-like of shape (n_epochs,), default=None
        Mean log-likelihood of held-out configurations after every epoch; shown with the opposite sign.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : list of Line2D
        Training line, and validation line if there is one.

    Examples
    --------
    >>> from skhamiltonian import LossCurveDisplay
    >>> display = LossCurveDisplay(loss=[120.4, 111.0, 109.9]).plot()
    >>> display.ax_.get_ylabel()
    'negative log-likelihood (nats)'
    """

    def __init__(self, *, loss: ArrayLike, validation_scores: ArrayLike | None = None) -> None:
        self.loss = loss
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **line_kw: Any) -> Self:
        """Plot the loss curve of a fitted estimator, or of the last step of a Pipeline.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted estimator with ``loss_curve_`` and, optionally, ``validation_scores_``.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **line_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        LossCurveDisplay
            The display, plotted.
        """
        estimator = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        check_is_fitted(estimator, "loss_curve_")
        validation_scores = getattr(estimator, "validation_scores_", None)
        return cls(loss=estimator.loss_curve_, validation_scores=validation_scores).plot(ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **line_kw : dict
            Passed on to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        LossCurveDisplay
            This display.
        """
        ax = new_axes(self) if ax is None else ax
        losses = {"training": np.asarray(self.loss)}
        if self.validation_scores is not None:
            losses["validation"] = -np.asarray(self.validation_scores)
        self.lines_ = [
            ax.plot(np.arange(1, len(loss) + 1), loss, label=label, **line_kw)[0] for label, loss in losses.items()
        ]
        ax.set(xlabel="epoch", ylabel="negative log-likelihood (nats)")
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self
