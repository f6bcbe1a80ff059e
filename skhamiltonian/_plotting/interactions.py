"""Display object of couplings: bars with their errors, or a map on the lattice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._interactions.estimator import InteractionExpansion
from .._interactions.operators import Operator, coupling_matrix
from .._utils.checks import check_choice
from .curves import new_axes

_KINDS = ("bars", "map")
_MOST_BARS = 24
_COLORS = "RdBu_r"  # ferromagnetic couplings are red


class InteractionDisplay:
    """Couplings of an expansion: bars with error bars, or a map of the pair couplings.

    If couplings only depend on the distance, the map shows J against the displacement of the two sites. If every bond
    of a plane lattice has its own coupling, the map shows the bonds between the sites, coloured by J (a bond across the
    boundary has two halves), and the fields as the colour of the sites. Without a lattice the map shows the matrix
    J_ij.

    Parameters
    ----------
    operators : list of Operator
        Named tuples (name, sites, distance), as in ``InteractionExpansion.operators_``.
    coupling, error : ndarray of shape (n_operators,)
        Couplings and their standard errors.
    lattice_shape : tuple of int
        Shape of the lattice.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that holds them.
    bars_ : BarContainer
        The bars, if `kind` is "bars".
    map_ : AxesImage or LineCollection
        The map, if `kind` is "map".

    Examples
    --------
    >>> from skhamiltonian import InteractionDisplay, InteractionExpansion, IsingSampler
    >>> ising = IsingSampler(lattice_shape=(6, 6), temperature=4.0, plaquette_coupling=0.5, random_state=0)
    >>> expansion = InteractionExpansion(lattice_shape=(6, 6)).fit(ising.sample(n_samples=500), ising.energy)
    >>> display = InteractionDisplay.from_estimator(expansion)
    >>> [round(float(bar.get_width()), 6) for bar in display.bars_]
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    """

    def __init__(
        self,
        *,
        operators: Sequence[Operator],
        coupling: NDArray[np.float64],
        error: NDArray[np.float64],
        lattice_shape: tuple[int, ...],
    ) -> None:
        self.operators = operators
        self.coupling = coupling
        self.error = error
        self.lattice_shape = lattice_shape

    @classmethod
    def from_estimator(
        cls, estimator: InteractionExpansion, *, kind: str = "bars", ax: Any = None, **kwargs: Any
    ) -> Self:
        """Plot the couplings of a fitted expansion.

        Parameters
        ----------
        estimator : InteractionExpansion
            Fitted expansion.
        kind : {"bars", "map"}, default="bars"
            What to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs : dict
            Passed on to :meth:`matplotlib.axes.Axes.barh`, or to what draws the map.

        Returns
        -------
        InteractionDisplay
            The display, plotted.
        """
        check_is_fitted(estimator)
        return cls(
            operators=estimator.operators_,
            coupling=estimator.coef_,
            error=estimator.coef_std_,
            lattice_shape=estimator.lattice_shape_,
        ).plot(ax, kind=kind, **kwargs)

    def plot(self, ax: Any = None, *, kind: str = "bars", **kwargs: Any) -> Self:
        """Draw the couplings; bars show the 24 couplings that are the most standard errors from zero.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        kind : {"bars", "map"}, default="bars"
            What to draw.
        **kwargs : dict
            Passed on to :meth:`matplotlib.axes.Axes.barh`, or to what draws the map.

        Returns
        -------
        InteractionDisplay
            This display.
        """
        check_choice(kind, "kind", _KINDS)
        axes = [length for length in self.lattice_shape if length > 1]
        own = all(len(operator.sites) == 1 for operator in self.operators if _is_pair(operator))
        if kind == "map" and not own and len(axes) > 2:
            raise ValueError(f"lattice_shape must have one or two axes for kind='map', got {self.lattice_shape}")
        ax = new_axes(self) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        if kind == "bars":
            self.bars_ = self._draw_bars(ax, **kwargs)
        elif not own:
            self.map_ = self._draw_displacements(ax, axes, **kwargs)
        elif len(axes) == 2 and all(np.isfinite(operator.distance) for operator in self.operators):
            self.map_ = self._draw_bonds(ax, axes, **kwargs)
        else:
            self.map_ = self._draw_matrix(ax, **kwargs)
        if kind == "map":
            self.figure_.colorbar(self.map_, ax=ax, label="pair coupling $J$")
        return self

    def _draw_bars(self, ax: Any, **kwargs: Any) -> Any:
        significance = np.abs(self.coupling) / np.where(self.error > 0, self.error, np.finfo(float).tiny)
        shown = np.sort(np.argsort(-significance, kind="stable")[:_MOST_BARS])
        style = {"error_kw": {"elinewidth": 1, "capsize": 2}, "height": 0.6} | kwargs
        bars = ax.barh(np.arange(len(shown)), self.coupling[shown], xerr=self.error[shown], **style)
        ax.set_yticks(np.arange(len(shown)), [self.operators[k].name for k in shown], fontsize="small")
        ax.invert_yaxis()
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_xlabel("coupling $J_k$")
        return bars

    def _matrix(self) -> NDArray[np.float64]:
        return coupling_matrix(self.coupling, self.operators, int(np.prod(self.lattice_shape)))

    def _draw_displacements(self, ax: Any, axes: list[int], **kwargs: Any) -> Any:
        centre = [length // 2 for length in axes]
        J = self._matrix()[np.ravel_multi_index(centre, axes)].reshape(axes)
        J[tuple(centre)] = np.nan
        J = np.atleast_2d(J)
        columns, rows = ((-n // 2 - 0.5 + n % 2, (n - 1) // 2 + 0.5) for n in J.shape[::-1])
        extent = (*columns, *rows[::-1])
        ax.set(xlabel="displacement (columns)", ylabel="displacement (rows)" if len(axes) > 1 else "")
        if len(axes) < 2:
            ax.set_yticks([])
        return ax.imshow(J, extent=extent, **(_limits(J) | kwargs))

    def _draw_bonds(self, ax: Any, axes: list[int], **kwargs: Any) -> Any:
        from matplotlib.collections import LineCollection

        bonds = [k for k, operator in enumerate(self.operators) if _is_pair(operator) and self.coupling[k]]
        ends = np.array([np.transpose(np.unravel_index(self.operators[k].sites[0], axes)) for k in bonds], dtype=float)
        ends = ends.reshape(-1, 2, 2)
        step = ends[:, 1] - ends[:, 0]
        distance = np.array([self.operators[k].distance for k in bonds])
        wraps = np.abs(np.linalg.norm(step, axis=1) - distance) > 1e-6
        step[wraps] -= np.round(step[wraps] / axes) * axes
        halves = np.concatenate([[ends[:, 0], ends[:, 0] + step / 2], [ends[:, 1], ends[:, 1] - step / 2]], axis=1)
        J = self.coupling[bonds]
        style: dict[str, Any] = {"cmap": _COLORS, "clim": _clim(J), "linewidths": 3} | kwargs
        segments = list(halves.transpose(1, 0, 2)[:, :, ::-1])
        lines = ax.add_collection(LineCollection(segments, array=np.tile(J, 2), **style))
        h = np.zeros(axes)
        for strength, operator in zip(self.coupling, self.operators, strict=True):
            if operator.sites.shape[1] == 1:
                h.ravel()[operator.sites[:, 0]] += strength
        row, column = np.indices(axes)
        ax.scatter(column, row, c=h, cmap=_COLORS, clim=_clim(h), edgecolors="black", linewidths=0.7, zorder=3)
        ax.set(xlabel="column", ylabel="row", aspect="equal")
        ax.invert_yaxis()
        return lines

    def _draw_matrix(self, ax: Any, **kwargs: Any) -> Any:
        J = self._matrix()
        ax.set(xlabel="site $j$", ylabel="site $i$")
        return ax.imshow(J, **(_limits(J) | kwargs))


def _is_pair(operator: Operator) -> bool:
    return operator.sites.shape[1] == 2 and bool((operator.sites[:, 0] != operator.sites[:, 1]).all())


def _clim(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits of the colours that are symmetric about zero."""
    largest = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    return -largest, largest


def _limits(J: NDArray[np.float64]) -> dict[str, Any]:
    low, high = _clim(J)
    return {"cmap": _COLORS, "vmin": low, "vmax": high}
