"""Whether one Hamiltonian explains rows at several temperatures."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv
from sklearn.utils.validation import check_consistent_length

from .._montecarlo.draws import Estimate
from .._utils.checks import check_integer, check_temperatures
from .._utils.folds import check_fold
from .estimator import LocalHamiltonian


def common_hamiltonian_gain(estimator: Any, X: Any, temperatures: Any, *, cv: Any = 5) -> Estimate:
    """Return how much better one Hamiltonian for all rows predicts held-out rows than one for each temperature.

    If all rows have the same Hamiltonian, each at its temperature, then a common fit has more data, and the gain is
    positive or zero within its error. A gain below zero by several errors refutes this premise: the Hamiltonian depends
    on the temperature, the temperatures are wrong, or interactions reach beyond the window.

    Parameters
    ----------
    estimator : LocalHamiltonian
        The estimator; clones of it are fitted.
    X : array-like of shape (n_samples, n_sites)
        Configurations.
    temperatures : array-like of shape (n_samples,)
        Temperature of each row; at least two different ones.
    cv : int, cross-validation generator or iterable, default=5
        How rows are held out at each temperature. A number means so many shuffled folds.

    Returns
    -------
    gain : Estimate
        Mean of the gain in log pseudo-likelihood of a site, in nats, and its standard error over rows.

    Raises
    ------
    TypeError, ValueError
        If `estimator` is no LocalHamiltonian, there is not one temperature for each row, there is one temperature only,
        or a temperature has fewer rows than folds.

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import IsingSampler, LocalHamiltonian
    >>> from skhamiltonian._local.premise import common_hamiltonian_gain
    >>> T = [2.0, 3.0]
    >>> X = np.concatenate([IsingSampler((6, 6), t, random_state=0).sample(n_samples=200) for t in T])
    >>> local = LocalHamiltonian(lattice_shape=(6, 6), boundary="periodic", symmetries=("point-group", "spin-flip"))
    >>> gain = common_hamiltonian_gain(local, X, np.repeat(T, 200), cv=2)
    >>> gain.value > -3 * gain.error
    True
    """
    if not isinstance(estimator, LocalHamiltonian):
        raise TypeError(f"estimator must be a LocalHamiltonian, got {estimator!r}")
    X = X if isinstance(X, np.ndarray) else np.asarray(X)
    temperatures = check_temperatures(temperatures, ndim=1)
    check_consistent_length(X, temperatures)
    levels = np.unique(temperatures)
    if len(levels) < 2:
        raise ValueError(f"temperatures must hold at least two different values, got {levels.tolist()}")
    if isinstance(cv, numbers.Integral):
        cv = KFold(check_integer(cv, "cv", minimum=2), shuffle=True, random_state=0)
    cv = check_cv(cv)
    gain, n_sites = np.zeros(len(X)), np.zeros(len(X))
    n_rows = [int((temperatures == level).sum()) for level in levels]
    folds = [[check_fold(fold, n) for fold in cv.split(np.arange(n))] for n in n_rows]
    for of_levels in zip(*folds, strict=True):
        parts = [
            tuple(np.flatnonzero(temperatures == level)[rows] for rows in fold)
            for level, fold in zip(levels, of_levels, strict=True)
        ]
        rows = np.sort(np.concatenate([train for train, _ in parts]))
        common = clone(estimator).fit(X[rows], temperatures[rows])
        for train, test in parts:
            own = clone(estimator).fit(X[train], temperatures[train])
            one, n_sites[test] = common._row_scores(X[test], temperatures[test])
            gain[test] = one - own._row_scores(X[test], temperatures[test])[0]
    value = gain.sum() / n_sites.sum()
    # The error of a ratio of sums over independent rows.
    error = np.sqrt(((gain - value * n_sites) ** 2).sum()) / n_sites.sum()
    return Estimate(float(value), float(error))
