"""The order parameter of Potts models, an observable for `phase_curve`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._utils.alphabet import encode_states, learn_states
from .._utils.memory import check_memory


def potts_order_parameter(states: ArrayLike) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    r"""Return the order parameter of a Potts model as an observable for `phase_curve`.

    With the share :math:`\rho_k` of the sites in each of K states it is (Straley, Fisher, J. Phys. A 6, 1310, 1973)

    .. math:: m = \frac{K \max_k \rho_k - 1}{K - 1},

    1 if all sites are in one state, and 0 if all states are equally frequent. For two states it is the absolute
    magnetization of spins.

    Parameters
    ----------
    states : array-like of shape (n_states,)
        The values that a site may take, such as the attribute ``states_`` of a fitted model.

    Returns
    -------
    observable : callable
        A function of configurations (n_samples, n_sites) that returns m (n_samples,).

    Raises
    ------
    ValueError
        If there are fewer than two states, or more than 64; and by the observable, if X holds another value.

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import potts_order_parameter
    >>> potts_order_parameter([0, 1, 2])(np.array([[0, 0, 0], [0, 1, 2], [0, 1, 1]]))
    array([1. , 0. , 0.5])
    """
    if isinstance(states, str) or np.ndim(states) != 1 or np.size(states) < 2:
        got = repr(states) if np.ndim(states) < 2 else f"an array of shape {np.shape(states)}"
        raise ValueError(
            f"states must hold the values that a site may take, such as [0, 1, 2], got {got}: an observable is "
            "potts_order_parameter(made.states_)"
        )
    return _PottsOrderParameter(learn_states(np.empty((0, 1)), states))


@dataclass(frozen=True)
class _PottsOrderParameter:
    states: NDArray[Any]

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float64]:
        K = len(self.states)
        check_memory(X.shape, bool, "the sites in a state")
        codes = encode_states(np.asarray(X), self.states)
        largest = np.max([(codes == code).mean(axis=1) for code in range(K)], axis=0)
        return (K * largest - 1) / (K - 1)
