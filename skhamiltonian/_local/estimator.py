"""LocalHamiltonian: an energy shared by all windows of a lattice, learned by pseudo-likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._lattice.terms import KnownEnergy, TermSum
from .._utils import sklearn_compat as _callbacks
from .._utils.alphabet import ANGLES, Alphabet, learn_alphabet
from .._utils.checks import check_flag, check_lattice_shape
from .._utils.configurations import validate_configurations
from .._utils.progress import Progress
from .._utils.repeatable import check_parameters_repeatable
from .._utils.warn import warn
from .doubts import warn_of_doubts
from .energy import LARGEST_TABLE, LocalEnergy, energies, energies_of_angles, term_sum
from .fitting import learn, stored_network
from .observations import WindowGeometry
from .parameters import check_parameters, plan
from .persistence import check_stored
from .reading import Data, read
from .sampler import LocalSampler
from .scoring import row_log_likelihoods


class LocalHamiltonian(_callbacks.CallbackSupportMixin, KnownEnergy, BaseEstimator):
    r"""Translation-invariant energy of a lattice, learned from windows or from whole lattices.

    The energy is a sum over all windows of a shape, :math:`H(s) = \sum_w g(s_w)`, with one function g for all
    positions. It is learned by the pseudo-likelihood of Besag [1]_: the probability of a site given the others,

    .. math:: p(s_i = a | s_{\setminus i}) = \operatorname{softmax}_a \Big(-\frac1T \sum_{w \ni i} g(s_w)\Big),

    contains no partition function, and depends only on the windows that hold the site. So rows may be windows of a
    larger lattice, and the learned energy applies to lattices of every size.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T of the training configurations, in the unit of the energy (k_B = 1). If it is unknown, pass 1.0:
        energies are then in units of T. It is not used if `fit` is given a temperature for each row.
    lattice_shape : tuple of int, default=None
        Shape of each row, sites in C order; None: a chain. A warning says if X then looks like another lattice.
    boundary : {"open", "periodic"} or a tuple of these, one per axis, default="open"
        "open" if rows are windows of a larger lattice: only sites whose windows all lie inside the row are learned
        from. "periodic" if rows are whole tori: every site is learned from.
    window_shape : int or tuple of int, default=3
        Shape of the windows in the sum. A window must be as large as the interactions reach; it need not cover
        the correlation length. A number is the length along every axis; shorter periodic axes have their own length.
    symmetries : str or tuple, default=()
        Symmetries that g has exactly, some of "point-group", "spin-flip", "rotation", "reflection" and "translation".
        "point-group" contains the reflections, and the exchanges of axes along which windows and rows are equally long.
        "spin-flip" negates the states. For angles, "rotation" adds the same angle to all sites, and "reflection"
        negates all angles. "translation" has no effect: translations are always a symmetry.
    states : "auto", "angle" or array-like, default="auto"
        The alphabet: the values a site may take. "auto" learns the integers that occur in X. With "angle", X holds
        angles in radians, any real numbers, which count modulo 2 pi; see the notes.
    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Hidden layers of the network g. With no hidden layer, (), g is a sum over clusters: products of one polynomial
        per site of the window. Every function of the window is such a sum; the problem is convex, and Newton's method
        solves it. "auto" is () if a window has at most 65 536 patterns, else (32, 32).
    sparsity : "auto" or float, default="auto"
        Threshold in standard errors of the gradient. A coupling is zero unless the gradient by it exceeds the
        threshold; a coupling of at least twice the threshold, or ten of its errors, is not shrunk (MCP penalty [2]_).
        "auto" is the threshold that noise exceeds in one fit out of 20: 3.3 for 44 clusters, and more for few
        `groups`. For a network it is the pull of each weight towards zero, in the same unit; "auto" is 2. 0 keeps
        everything.
    batch_size : "auto" or int, default="auto"
        Number of inner sites in a minibatch of a network; "auto" is 512. Only for hidden layers.
    learning_rate_init : "auto" or float, default="auto"
        Peak of the one-cycle learning rate of a network; "auto" is 0.01. Only for hidden layers.
    max_iter : "auto" or int, default="auto"
        Number of epochs of a network; "auto" is enough for 3000 minibatches. Without hidden layers, largest number of
        steps of Newton's method; "auto" is 200.
    validation_fraction : float, default=0.1
        Share of the rows held back to choose the best epoch of a network. Without hidden layers no row is held back.
    warm_start : bool, default=False
        Whether `fit` starts from the present couplings or weights. Without hidden layers the result is the same.
    verbose : int, default=0
        1 prints a line about every five seconds of a fit or of a long draw, with the time left; 2 prints a line at
        every step.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, of the minibatches, and of the choice of rows if X has very many.

    Attributes
    ----------
    states_ : ndarray of shape (n_states,)
        The alphabet, ascending.
    window_shape_ : tuple of int
        Shape of the windows.
    lattice_shape_ : tuple of int
        Shape of the rows.
    periodic_ : tuple of bool
        Whether rows are periodic along each axis.
    temperature_ : float
        Temperature of the rows; if they differ, their mean, weighted by `sample_weight`.
    table_ : ndarray of shape (n_states ** n_sites_in_window,) or None
        g of every pattern, in the unit of the energy. The number of a pattern is the sum of c_j n_states^j, where c_j
        is the code (index of the state) of site j of the window in C order. None if there are more than 65 536
        patterns. For angles, the energies of single sites and of pairs of sites at each of the `offsets_`, one after
        the other.
    clusters_ : ndarray of shape (n_clusters, \*window_shape) or None
        The clusters with a coupling other than zero, each as one of its patterns: the degree of the polynomial on each
        site of the window, 0 on sites outside the cluster. The polynomials are orthonormal in the number of the state,
        with mean square 1 over the states: for two states :math:`b_1 = -1, 1`, for the states -1, 0, 1
        :math:`b_1 = \sqrt{3/2}\, s` and :math:`b_2 = (3 s^2 - 2) / \sqrt 2`, so that the term :math:`-J s_i s_j` has
        the coupling 2 J / 3. For angles, the factors of the angles. None for a network.
    couplings_ : ndarray of shape (n_clusters,) or None
        J in :math:`H = -\sum_c J_c \sum_t \prod_j b_{d_j}(s_j)`, the inner sum being over all distinct placements t
        of the cluster and of its images under the symmetries. For angles the product is
        :math:`\cos(\sum_j n_{cj} \theta_j - \varphi_c)`, with the factors n and the phases.
    phases_ : ndarray of shape (n_clusters,) or None
        Phases of the clusters of angles, 0 for a cosine and pi/2 for a sine. None for other states.
    offsets_ : ndarray of shape (n_offsets, n_axes) or None
        Offsets of the second site of the pairs in `table_` from the first; zero for single sites. The table of a pair
        has the entry a + 64 b for state a of the first site and state b of the second. None unless states are angles.
    covariance_ : ndarray of shape (n_clusters, n_clusters) or None
        Covariance of the couplings by the sandwich estimate. Rows, or the `groups` of rows that are given to `fit`, are
        taken as independent; if there are fewer than 200 rows, tiles of rows that are at least two windows long. If
        groups are few, Student's t makes the errors 68 % intervals. If every site has its likeliest state in all rows,
        the information gives the error, which is wide. The error by the selection of clusters is not included. With
        `sparsity=0`, clusters that coincide on short axes share one coupling, in the way that makes the sum of squares
        least; the covariance is that of the shares.
    table_errors_ : ndarray of shape (n_parameters, n_patterns) or None
        Changes of `table_` by one standard error of independent parameters, which together have the covariance of the
        couplings; at most 64, random ones if there are more couplings. Curves of the sampler carry this error.
    summary_ : dict or None
        Second-order expansion of the pseudo-likelihood of all rows seen, from which `partial_fit` continues.
    coefs_, intercepts_ : list of ndarray, or None
        Weights and biases of the network f.
    site_coef_, pair_coef_ : ndarray, or None
        Coefficients of the linear and the quadratic form that are added to the network f.
    loss_curve_ : list of float
        Mean negative log pseudo-likelihood of a site after each iteration, in nats.
    validation_scores_ : list of float or None
        Mean log pseudo-likelihood of a site in the rows held back, after each epoch.
    n_iter_ : int
        Number of iterations.
    n_samples_seen_ : int
        Number of rows seen, each as often as it counts.

    Notes
    -----
    The data determine g up to functions that cancel in the sum over windows. Of all g with the same H on every torus,
    the stored one has the least square norm: if a cluster fits into a window m times, each placement has the share 1/m
    of its coupling. So on an open lattice `energy`, the sum over the windows inside, counts clusters near the boundary
    in part.

    The energy of angles is a sum of the cosines and sines of :math:`k \theta_i` and of
    :math:`k (\theta_i \pm \theta_j)` with :math:`k = 1 \dots 4`, for all pairs of sites in a window; with "rotation" of
    the differences only, with "reflection" of cosines only. Terms of three and more sites are left out. On an open
    lattice all pairs inside count in full.

    A fit uses at most 2^24 inner sites, at most 2^22 if their surroundings have more than 2^32 patterns, at most 2^20
    if states are angles, and at most 2^19 for a network. If X has more, some are drawn at random.

    The network is :math:`g(s) = \alpha \cdot x + x \cdot A x + f(x)`, averaged over the symmetries, where x are the
    polynomials of all sites. If there are more than 65 536 patterns, its gauge is the one found in training.

    References
    ----------
    .. [1] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 179 (1975).
    .. [2] C.-H. Zhang, "Nearly unbiased variable selection under minimax concave penalty", Ann. Stat. 38, 894 (2010).

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, LocalHamiltonian
    >>> X = IsingSampler(lattice_shape=(8, 8), temperature=2.5, random_state=0).sample(n_samples=1000)
    >>> symmetries = ("point-group", "spin-flip")
    >>> local = LocalHamiltonian(2.5, lattice_shape=(8, 8), boundary="periodic", symmetries=symmetries)
    >>> local.fit(X).couplings_.round(1)
    array([1.])
    >>> local.clusters_
    array([[[1, 1, 0],
            [0, 0, 0],
            [0, 0, 0]]], dtype=int8)
    """

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        lattice_shape: tuple[int, ...] | None = None,
        boundary: str | tuple[str, ...] = "open",
        window_shape: int | tuple[int, ...] = 3,
        symmetries: str | tuple[str, ...] = (),
        states: Any = "auto",
        hidden_layer_sizes: str | tuple[int, ...] = "auto",
        sparsity: str | float = "auto",
        batch_size: str | int = "auto",
        learning_rate_init: str | float = "auto",
        max_iter: str | int = "auto",
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.temperature = temperature
        self.lattice_shape = lattice_shape
        self.boundary = boundary
        self.window_shape = window_shape
        self.symmetries = symmetries
        self.states = states
        self.hidden_layer_sizes = hidden_layer_sizes
        self.sparsity = sparsity
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    @_callbacks.with_callbacks
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> LocalHamiltonian:
        """Learn the energy from configurations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations, sites in C order; integers unless `states` is given. Masked sites (numpy.ma) are unknown:
            sites whose windows hold a masked site are not learned from. An int8 array or memmap is read in blocks and
            never copied as a whole.
        y : array-like of shape (n_samples,), default=None
            Temperature of each row; None: `temperature`.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. Weights that are no integers are scaled to a mean of 1.
        groups : array-like of shape (n_samples,), default=None
            Label of each row, such as the number of the image that a window is cut from, or of a Markov chain. Only
            rows of different groups count as independent, and errors are from differences between groups; with few
            groups, errors are wide, and a warning says if that leaves no coupling. A network holds back whole groups.
            None: each row by itself.

        Returns
        -------
        self : LocalHamiltonian
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X does not hold configurations, or y does not hold temperatures.
        """
        continues = hasattr(self, "states_") and check_flag(self.warm_start, "warm_start")
        return self._learn((X, y, sample_weight, groups), continues)

    @_callbacks.with_callbacks
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> LocalHamiltonian:
        """Continue to learn from further configurations, for streams and for data larger than a disk.

        Without hidden layers, rows of earlier calls count through a second-order expansion of their
        pseudo-likelihood: the result equals one `fit` to all rows, up to terms that vanish as the first part
        grows. A network makes one pass over X. The first call learns the alphabet, unless `states` is given. Groups of
        different calls are different groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), default=None
            Temperature of each row; None: `temperature`.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. Weights that are no integers are scaled to a mean of 1.
        groups : array-like of shape (n_samples,), default=None
            Label of each row, such as the number of the image that a window is cut from, or of a Markov chain. Only
            rows of different groups count as independent, and errors are from differences between groups; with few
            groups, errors are wide, and a warning says if that leaves no coupling. A network holds back whole groups.
            None: each row by itself.

        Returns
        -------
        self : LocalHamiltonian
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X holds no configurations or a state not seen before.
        """
        return self._learn((X, y, sample_weight, groups), hasattr(self, "states_"), adds=True)

    def _learn(self, given: tuple[Any, Any, Any, Any], continues: bool, adds: bool = False) -> LocalHamiltonian:
        """Fit to the given (X, y, sample_weight, groups), and assign all fitted attributes at once.

        With `continues`, the fit starts from the present attributes; with `adds`, these also stand for earlier rows.
        """
        check_parameters_repeatable(self)
        check_parameters(self)
        seen = _callbacks.twin(self)  # so that an error or Ctrl-C leaves this object as it was
        past = {name: value for name, value in vars(self).items() if name.endswith("_")} if continues else {}
        seen.__dict__.update(past)
        X, y, sample_weight, groups = given
        data = read(seen, X, y, sample_weight, self.temperature, reset=not continues, groups=groups)
        alphabet = learn_alphabet(data.X, _known_states(self) if continues else self.states)
        made = plan(seen, len(data), data.X.shape[1], alphabet, one_pass=adds)
        context = _callbacks.begin(self, X, made.max_iter)
        # Newton's method mostly ends long before max_iter, so its time left is unknown.
        step, n_steps = ("epoch", made.max_iter) if made.hidden else ("iteration", None)
        progress = Progress(self.verbose, "LocalHamiltonian", step, n_steps)
        report = partial(_report, progress, partial(_callbacks.epoch_done, context, self))
        learned = learn(seen, made, data, {**past, "adds": adds} if past else None, report)
        _callbacks.end(context, self)
        if not learned.pop("converged"):
            warn(f"Newton's method has not converged in max_iter={made.max_iter} steps", ConvergenceWarning)
        if continues:
            learned |= {name: past[name] + learned[name] for name in ("loss_curve_", "n_iter_")}
        learned |= _seen(past if adds else {}, data)
        learned |= {
            "states_": alphabet.states,
            "lattice_shape_": made.lattice_shape,
            "periodic_": made.geometry.periodic,
            "window_shape_": made.geometry.window_shape,
        }
        if not continues:
            warn_of_doubts(data, made, learned["summary_"], self.lattice_shape is None)
        self.__dict__.pop("feature_names_in_", None)
        names = ("n_features_in_", "feature_names_in_")
        self.__dict__.update({name: vars(seen)[name] for name in names if name in vars(seen)}, **learned)
        return self

    def score(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log pseudo-likelihood of a site, in nats.

        It is the mean of log p(site | all others) over the sites whose windows all lie inside the rows. Free sites
        score -ln(n_states); the largest possible score is 0. For angles p is a density per radian. Do not compare the
        score with the log-likelihood of configurations. With open boundaries each `window_shape` leaves out other
        sites at the edge. On average they score alike, but their noise hides small differences between window shapes:
        crop the rows of smaller windows, so that all shapes score the same sites (see :ref:`windows`).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), default=None
            Temperature of each row; None: `temperature_`.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; None: once. ``cross_val_score`` and searches pass weights to `score` only if
            scikit-learn routes metadata; see :ref:`counts`.

        Returns
        -------
        score : float
            Mean over sites.

        Raises
        ------
        ValueError
            If X holds a state that was not seen in `fit`.
        """
        total, n_sites = self._row_scores(X, y, sample_weight)
        if not n_sites.any():
            raise ValueError("X must have sites with no masked site in their windows, got none")
        return float(total.sum() / n_sites.sum())

    def energy(self, X: Any) -> NDArray[np.float64]:
        """Return the learned energy H, the sum of g over all windows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of the shape seen in `fit`. Along periodic axes a window begins at every site, along open
            axes only if it lies inside.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Total energy in the unit of `temperature`, up to a constant; see the notes on open lattices.
        """
        check_is_fitted(self)
        X = validate_configurations(self, X, reset=False)
        energy, codes = self._local_energy(), self._alphabet().encode_checked(X)
        if energy.offsets is not None:
            return energies_of_angles(X, self.lattice_shape_, self.periodic_, energy)
        return energies(codes, self.lattice_shape_, self.periodic_, energy)

    def to_sampler(
        self, lattice_shape: tuple[int, ...] | None = None, temperature: float | None = None
    ) -> LocalSampler:
        """Return a sampler of this energy on a lattice of any size.

        Parameters
        ----------
        lattice_shape : tuple of int, default=None
            Shape of the lattice, which is periodic; None: the shape of the rows.
        temperature : float, default=None
            Temperature of the sampler; None: `temperature_`.

        Returns
        -------
        sampler : LocalSampler
            A `ThermalSampler`, for `phase_curve` and ``sample``.

        Raises
        ------
        ValueError
            If the shape has another number of axes than the windows, or is longer than the rows along an axis of one
            site, or states are angles.
        """
        check_is_fitted(self)
        if self._are_angles:
            raise ValueError(
                "to_sampler has no chains of angles: pass this estimator as calibrate of a MADEHamiltonian, which "
                "draws at every temperature"
            )
        shape = self._shape(lattice_shape)
        temperature = self.temperature_ if temperature is None else temperature
        given: dict[str, Any] = {"random_state": self.random_state, "verbose": self.verbose}
        return LocalSampler(self._local_energy(as_table=True), shape, temperature, **given)

    def _shape(self, lattice_shape: Sequence[int] | None) -> tuple[int, ...]:
        """Return a lattice shape with as many axes as the windows have, that of the rows if None."""
        shape = self.lattice_shape_ if lattice_shape is None else check_lattice_shape(lattice_shape)
        if len(shape) != len(self.window_shape_):
            raise ValueError(
                f"lattice_shape must have {len(self.window_shape_)} axes, as the windows have, got {shape}"
            )
        if grown := [k for k, length in enumerate(self.lattice_shape_) if length == 1 < shape[k]]:
            raise ValueError(
                f"lattice_shape={shape} is longer along axis {grown[0]} than the rows, which have one site there and "
                "show no interaction along it"
            )
        return shape

    def _term_sum(self, lattice_shape: Sequence[int] | None, states: NDArray[Any]) -> TermSum:
        check_is_fitted(self)
        energy, shape = self._local_energy(as_table=True), self._shape(lattice_shape)
        if not np.array_equal(states, self.states_):
            raise ValueError(f"the energy is for states {self.states_.tolist()}, got {states.tolist()}")
        if energy.table is None:
            raise ValueError(f"windows of shape {energy.window_shape} have too many patterns for a table")
        return term_sum(energy, shape, (True,) * len(shape))

    def _energy_errors_of(self, X: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the changes of the energy of every row by one standard error of each parameter, None if unknown."""
        energy = self._local_energy()
        if energy.errors is None:
            return None
        return term_sum(energy, self.lattice_shape_, self.periodic_).energy_errors(self._alphabet().encode(X))

    def _row_scores(self, X: Any, y: Any, sample_weight: Any = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the log pseudo-likelihood of every row and the number of its sites, both times its weight."""
        check_is_fitted(self)
        data = read(self, X, y, sample_weight, self.temperature_, reset=False)
        geometry = WindowGeometry(self.window_shape_, len(self.states_), self.periodic_)
        return row_log_likelihoods(self._local_energy(), self._alphabet(), data, geometry, self.lattice_shape_)

    @property
    def _are_angles(self) -> bool:
        return self.offsets_ is not None

    def _alphabet(self) -> Alphabet:
        return ANGLES if self._are_angles else Alphabet.of_numbers(self.states_)

    def _local_energy(self, *, as_table: bool = False) -> LocalEnergy:
        """Return the energy of windows; with `as_table`, a table of a network too unless it would be too large."""
        if self.table_ is not None:
            errors, offsets = self.table_errors_, self.offsets_
            return LocalEnergy(self.states_, self.window_shape_, self.table_, errors=errors, offsets=offsets)
        network = stored_network(vars(self))
        if as_table and len(self.states_) ** math.prod(self.window_shape_) <= LARGEST_TABLE:
            return LocalEnergy(self.states_, self.window_shape_, network.table())
        return LocalEnergy(self.states_, self.window_shape_, None, network)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "states_"):
            check_stored(vars(self))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.target_tags.positive_only = True
        return tags


def _known_states(local: LocalHamiltonian) -> Any:
    return "angle" if local.offsets_ is not None else local.states_


def _seen(past: dict[str, Any], data: Data) -> dict[str, Any]:
    """Return the number of rows seen, and their mean temperature."""
    n, temperature = round(float(data.weight.sum())), data.mean_temperature()
    before = past.get("n_samples_seen_", 0)
    if before and past["temperature_"] != temperature:
        temperature = (before * past["temperature_"] + n * temperature) / (before + n)
    return {"temperature_": temperature, "n_samples_seen_": before + n}


def _report(progress: Progress, epoch_done: Callable[[], bool], iteration: int, loss: float) -> bool:
    progress.done(note=f"loss {loss:.6f} nats per site")
    return epoch_done()
