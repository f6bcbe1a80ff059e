"""LocalHamiltonian: an energy shared by all windows of a lattice, learned by pseudo-likelihood."""

import math
from functools import partial

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._lattice.refuted import warn_of_refuted
from .._utils import sklearn_compat as _callbacks
from .._utils.alphabet import encode_states, learn_states
from .._utils.checks import check_flag, check_lattice_shape
from .._utils.configurations import validate_configurations
from .._utils.repeatable import check_parameters_repeatable
from .energy import LARGEST_TABLE, LocalEnergy, energies
from .fitting import learn, stored_network
from .parameters import check_parameters, plan
from .persistence import check_stored
from .reading import read
from .sampler import LocalSampler
from .scoring import row_log_likelihoods
from .windows import WindowGeometry


class LocalHamiltonian(_callbacks.CallbackSupportMixin, BaseEstimator):
    r"""Translation-invariant energy of a lattice, learned from windows or from whole lattices.

    The energy is a sum over all windows of a shape, :math:`H(s) = \sum_w g(s_w)`, with one function g for all
    positions. It is learned by the pseudo-likelihood of Besag [1]_: the probability of a site given the others,

    .. math:: p(s_i = a | s_{\setminus i}) = \operatorname{softmax}_a \Big(-\frac1T \sum_{w \ni i} g(s_w)\Big),

    holds no partition function, and only needs the windows that hold the site. So rows may be windows of something
    larger, no boundary enters, and the energy learned applies to lattices of every size.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T of the training configurations, in the unit of the energy (k_B = 1). If it is unknown, 1.0 makes
        it the unit of energy. It is not used if `fit` is given a temperature for each row.
    lattice_shape : tuple of int, default=None
        Shape of each row, sites in C order; None: a chain.
    boundary : {"open", "periodic"} or a tuple of these, one per axis, default="open"
        "open" if rows are windows of something larger: a site is learned from if all windows that hold it lie inside
        the row. "periodic" if rows are whole tori: every site is learned from.
    window_shape : int or tuple of int, default=3
        Shape of the windows in the sum. A window must be as large as the interactions reach; it need not cover
        the correlation length. A number counts for every axis, and is cut to the length of shorter periodic axes.
    symmetries : str or tuple of {"point-group", "spin-flip", "translation"}, default=()
        Symmetries that g has exactly. "point-group" are the reflections, and the exchanges of axes along which
        windows and rows are equally long. "spin-flip" negates the states. Translations always are a symmetry: naming
        them changes nothing.
    states : "auto" or array-like, default="auto"
        The alphabet: the values a site may take. "auto" learns the integers that occur in X.
    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Hidden layers of the network g. Without any, (), g is a sum of clusters: all products of one polynomial a site
        within the window. Any function of the window is one, the problem is convex, and Newton's method solves it.
        "auto" is () up to 65 536 patterns of a window, beyond (32, 32).
    sparsity : "auto" or float, default="auto"
        Standard errors that the gradient by a coupling must exceed for the coupling not to be zero. Couplings of twice
        that are not shrunk (MCP penalty [2]_). "auto" is what noise exceeds in one
        fit out of 20 (3.3 for 44 clusters). For a network it is
        the pull of each weight towards zero, in standard errors of the gradient, too. 0 keeps everything.
    batch_size : "auto" or int, default="auto"
        Inner sites in a minibatch of a network, "auto": 512. Only for hidden layers.
    learning_rate_init : "auto" or float, default="auto"
        Peak of the one-cycle learning rate of a network, "auto": 0.01. Only for hidden layers.
    max_iter : "auto" or int, default="auto"
        Epochs of a network, "auto": enough for 3000 minibatches; steps of Newton's method at most, without hidden
        layers, "auto": 200.
    validation_fraction : float, default=0.1
        Share of the rows held back to choose the best epoch of a network. Without hidden layers nothing is chosen
        and no row is held back.
    warm_start : bool, default=False
        Whether `fit` starts from the present couplings or weights. Without hidden layers the result is the same.
    verbose : int, default=0
        1 prints about ten lines a fit, 2 a line an iteration.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, of the minibatches and of the choice of rows if they are very many.

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
        g of every pattern, in the unit of the energy. The pattern's number has the code (index of the state) of the
        j-th site of the window, in C order, as its j-th digit, the first site being the least significant. None if
        there are more than 65 536 patterns.
    clusters_ : ndarray of shape (n_clusters, \*window_shape) or None
        The clusters with a coupling other than zero: the degree of the polynomial on each site of one of its
        patterns, 0 where there is none. For two states, degree 1 is -1 and 1. None for a network.
    couplings_ : ndarray of shape (n_clusters,) or None
        J in :math:`H = -\sum_c J_c \sum_t \prod_j b_{d_j}(s_j)`, the inner sum being over all distinct placements t
        of the cluster and of its images under the symmetries.
    covariance_ : ndarray of shape (n_clusters, n_clusters) or None
        Covariance of the couplings by the sandwich estimate: independent are the rows; of fewer than 200 rows, tiles
        of at least two windows' length. The selection of clusters is not in it.
    summary_ : dict or None
        Second-order expansion of the pseudo-likelihood of all rows seen, with which `partial_fit` goes on.
    coefs_, intercepts_ : list of ndarray, or None
        Weights and biases of the network f.
    site_coef_, pair_coef_ : ndarray, or None
        Linear and quadratic form that are added to the network f.
    loss_curve_ : list of float
        Mean negative log pseudo-likelihood of a site after each iteration, in nats.
    validation_scores_ : list of float or None
        Mean log pseudo-likelihood of a site in the rows held back, after each epoch.
    n_iter_ : int
        Iterations.
    n_samples_seen_ : int
        Rows in X.

    Notes
    -----
    g is known up to functions that cancel in the sum over windows. The g stored is, of all with the same H on every
    torus, that of least square norm: a cluster that fits into a window m times gives each placement the share 1/m. So
    on an open lattice `energy`, the sum over the windows inside, counts clusters near the boundary in part.

    At most 2^24 inner sites are learned from, 2^22 if their surroundings have more than 2^32 patterns, and 2^19 by a
    network; if the rows have more, some are drawn at random.

    The network is :math:`g(s) = \alpha \cdot x + x \cdot A x + f(x)`, x being the polynomials of all sites, averaged
    over the symmetries. Its gauge is that of its training if there are more than 65 536 patterns.

    References
    ----------
    .. [1] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 179 (1975).
    .. [2] C.-H. Zhang, "Nearly unbiased variable selection under minimax concave penalty", Ann. Stat. 38, 894 (2010).

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, LocalHamiltonian
    >>> X = IsingSampler(lattice_shape=(8, 8), temperature=2.5, random_state=0).sample(n_samples=1000)
    >>> local = LocalHamiltonian(2.5, lattice_shape=(8, 8), boundary="periodic", symmetries=("spin-flip",))
    >>> local.fit(X).couplings_.round(1)
    array([1.])
    >>> local.clusters_
    array([[[1, 1, 0],
            [0, 0, 0],
            [0, 0, 0]]], dtype=int8)
    """

    def __init__(
        self,
        temperature=1.0,
        *,
        lattice_shape=None,
        boundary="open",
        window_shape=3,
        symmetries=(),
        states="auto",
        hidden_layer_sizes="auto",
        sparsity="auto",
        batch_size="auto",
        learning_rate_init="auto",
        max_iter="auto",
        validation_fraction=0.1,
        warm_start=False,
        verbose=0,
        random_state=None,
    ):
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
    def fit(self, X, y=None, sample_weight=None):
        """Learn the energy from configurations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations, sites in C order. Integers unless `states` is given. Sites that are masked (numpy.ma) are
            unknown: sites whose windows hold one are not learned from. An int8 array or memmap is read in blocks and
            never copied whole.
        y : array-like of shape (n_samples,), default=None
            Temperature of each row; None: `temperature`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, non-negative.

        Returns
        -------
        self : LocalHamiltonian
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X does not hold configurations, or y does not hold temperatures.
        """
        goes_on = hasattr(self, "states_") and check_flag(self.warm_start, "warm_start")
        return self._learn(X, y, sample_weight, ("loss_curve_", "n_iter_") if goes_on else ())

    @_callbacks.with_callbacks
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go on learning from further configurations, for streams and data that no disk holds.

        Without hidden layers, rows of earlier calls count through a second-order expansion of their
        pseudo-likelihood: the result is that of one `fit` to all rows, up to terms that vanish as the first part
        grows. A network makes one pass over X. The alphabet is that of the first call unless `states` gives it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), default=None
            Temperature of each row; None: `temperature`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, non-negative.

        Returns
        -------
        self : LocalHamiltonian
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X holds no configurations or a state not seen before.
        """
        goes_on = ("loss_curve_", "n_iter_") if hasattr(self, "states_") else ()
        return self._learn(X, y, sample_weight, goes_on, adds=True)

    def _learn(self, X, y, sample_weight, goes_on, adds=False):
        """Fit, and assign all that is learned at once; add up what `goes_on` names."""
        check_parameters_repeatable(self)
        check_parameters(self)
        seen = _callbacks.twin(self)  # so that a failure, Ctrl-C too, leaves this object as it was
        past = {name: value for name, value in vars(self).items() if name.endswith("_")} if goes_on else {}
        vars(seen).update(past)
        data = read(seen, X, y, sample_weight, self.temperature, reset=not goes_on)
        states = learn_states(data.X, self.states_ if goes_on else self.states)
        todo = plan(seen, len(data), data.X.shape[1], states, one_pass=adds)
        context = _callbacks.begin(self, X, todo.max_iter)
        report = partial(_report, self.verbose, todo.max_iter, partial(_callbacks.epoch_done, context, self))
        learned = learn(seen, todo, data, states, {**past, "adds": adds} if past else None, report)
        _callbacks.end(context, self)
        learned |= {name: getattr(self, name) + learned[name] for name in goes_on}
        learned |= _seen(past if adds else {}, data)
        learned |= {"states_": states, "lattice_shape_": todo.lattice_shape, "periodic_": todo.geometry.periodic}
        vars(self).pop("feature_names_in_", None)
        names = ("n_features_in_", "feature_names_in_")
        vars(self).update({name: vars(seen)[name] for name in names if name in vars(seen)}, **learned)
        self.window_shape_ = todo.geometry.window_shape
        if not goes_on and data.measured is None:
            warn_of_refuted(data.X, todo.lattice_shape, todo.symmetries)
        return self

    def score(self, X, y=None):
        """Return the mean log pseudo-likelihood of a site, in nats.

        It is the mean of log p(site | all others) over the sites all of whose windows lie inside the rows: between
        -ln(n_states) of free sites and 0. It is not comparable with the log-likelihood of configurations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : array-like of shape (n_samples,), default=None
            Temperature of each row; None: `temperature_`.

        Returns
        -------
        score : float
            Mean over sites.

        Raises
        ------
        ValueError
            If X holds a state that was not seen in `fit`.
        """
        total, n_sites = self._row_scores(X, y)
        if not n_sites.any():
            raise ValueError("no site has all its windows unmasked: there is nothing to score")
        return float(total.sum() / n_sites.sum())

    def energy(self, X):
        """Return the learned energy H, the sum of g over all windows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations of the shape seen in `fit`. On periodic axes there is a window at every site, on open ones
            at those where it lies inside.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Total energy in the unit of `temperature`, up to a constant; see the notes on open lattices.
        """
        check_is_fitted(self)
        X = validate_configurations(self, X, reset=False)
        codes = encode_states(X, self.states_)
        return energies(codes, self.lattice_shape_, self.periodic_, self._local_energy())

    def to_sampler(self, lattice_shape=None, temperature=None):
        """Return the lattice of any size that has this energy, for drawing configurations.

        Parameters
        ----------
        lattice_shape : tuple of int, default=None
            Shape of the lattice, which is periodic; None: that of the rows.
        temperature : float, default=None
            Temperature of the sampler; None: `temperature_`.

        Returns
        -------
        sampler : LocalSampler
            A `ThermalSampler`, for `phase_curve` and ``sample``.

        Raises
        ------
        ValueError
            If the shape has another number of axes than the windows.
        """
        check_is_fitted(self)
        shape = self.lattice_shape_ if lattice_shape is None else check_lattice_shape(lattice_shape)
        if len(shape) != len(self.window_shape_):
            raise ValueError(
                f"lattice_shape must have {len(self.window_shape_)} axes, as the windows have, got {shape}"
            )
        temperature = self.temperature_ if temperature is None else temperature
        return LocalSampler(self._local_energy(as_table=True), shape, temperature, random_state=self.random_state)

    def _row_scores(self, X, y):
        """Return the log pseudo-likelihood of every row and the number of its sites that count."""
        check_is_fitted(self)
        data = read(self, X, y, None, self.temperature_, reset=False)
        geometry = WindowGeometry(self.window_shape_, len(self.states_), self.periodic_)
        return row_log_likelihoods(self._local_energy(), data, geometry, self.lattice_shape_)

    def _local_energy(self, *, as_table=False):
        """Return the energy of windows; `as_table` evaluates a network on all patterns if there is room."""
        if self.table_ is not None:
            return LocalEnergy(self.states_, self.window_shape_, self.table_)
        network = stored_network(vars(self))
        if as_table and len(self.states_) ** math.prod(self.window_shape_) <= LARGEST_TABLE:
            return LocalEnergy(self.states_, self.window_shape_, network.table())
        return LocalEnergy(self.states_, self.window_shape_, None, network)

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "states_"):
            check_stored(vars(self))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.target_tags.positive_only = True
        return tags


def _seen(past, data):
    """Return how many rows were seen, and their mean temperature."""
    n, temperature = len(data), data.mean_temperature()
    before = past.get("n_samples_seen_", 0)
    if before and past["temperature_"] != temperature:
        temperature = (before * past["temperature_"] + n * temperature) / (before + n)
    return {"temperature_": temperature, "n_samples_seen_": before + n}


def _report(verbose, max_iter, epoch_done, iteration, loss):
    step = 1 if verbose > 1 else max(1, max_iter // 10)
    if verbose and (iteration % step == 0 or iteration == 0):
        print(f"iteration {iteration + 1:4d}: loss {loss:.6f} nats a site", flush=True)
    return epoch_done()
