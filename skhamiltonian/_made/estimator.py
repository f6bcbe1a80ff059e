"""MADEHamiltonian: the energy function learned from configurations at one temperature."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from .._lattice.looks_like_window import looks_like_window
from .._lattice.unseen import unseen_states
from .._montecarlo.draws import Draws
from .._montecarlo.sampler import ThermalSampler
from .._utils import sklearn_compat as _callbacks
from .._utils.alphabet import Alphabet, learn_alphabet
from .._utils.checks import COLDEST, check_flag, check_integer, check_lattice_shape, check_verbose, seed_sequence
from .._utils.configurations import check_counts, mean_score, validate_configurations
from .._utils.repeatable import check_parameters_repeatable
from .._utils.torch_state import plain_torch
from .doubts import IS_WINDOW, warn_of_chains, warn_of_doubts, warn_of_unlike_draws
from .fitting import calibrated, energy_errors, joined_scores, learn, score
from .network import Network, score_codes
from .parameters import check_parameters, make_plan
from .persistence import check_stored
from .sampling.chains import METHODS, ChainDraws, ChainPlan, chain_draws, parted_codes
from .sampling.law import Law
from .sampling.tempered import equal_weight_codes, independent_populations, joint_log_weight, support

# Logarithmic weight of what cannot be: its exponential is 0, and sums with it keep eleven digits.
_FORBIDDEN = -1e4


class MADEHamiltonian(_callbacks.CallbackSupportMixin, ThermalSampler, DensityMixin, BaseEstimator):
    r"""Hamiltonian of a lattice system, learned from raw configurations at one temperature.

    A masked autoregressive network (MADE) is fitted to the configurations by maximum likelihood; it
    gives a normalised :math:`p_\theta(s) = \prod_d q_\theta(s_d | s_{<d})`, and with it the Hamiltonian

    .. math:: H_\theta(s) = -T_0 \log p_\theta(s) = H(s) - F(T_0)

    up to the error of the fit (Eqs. 1 and 2 of [1]_). Configurations at every other temperature T
    follow from :math:`p_\theta^{T_0/T}`.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T0 of the training configurations, in units of the coupling (k_B = 1). Where it
        is unknown, 1.0 makes it the unit of energy.
    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Units of the hidden layers. "auto" is one layer of 16 units a site, at most 1024 or, above 128 sites,
        512; many-body interactions need such a width. The paper's network is (180, 120).
    activation : {"relu", "tanh", "logistic", "silu"}, default="tanh"
        Activation of the hidden units. Functions that are odd, as "tanh" is, learn many-body interactions faster.
    skip_connections : bool, default=True
        Whether masked weights lead from the inputs straight to the outputs. They carry the pair
        interactions; the paper's network has none.
    ordering : {"natural", "random"} or array-like of shape (n_sites,), default="natural"
        Order in which the sites are factorised: ``ordering[d]`` is the site drawn d-th.
    lattice_shape : tuple of int, default=None
        Shape of the lattice, sites in C order; needed by `symmetries`.
    symmetries : tuple of str, default=()
        Symmetries of the system, some of "translation", "point-group", "spin-flip", "permutation", "rotation" and
        "reflection"; needs `lattice_shape` for the first two. Every minibatch is seen through one random element of the
        group they generate; the lattice is then taken as periodic for "translation". "spin-flip" negates the states,
        "permutation" renames them in any way, as a Potts model allows. For angles, "rotation" adds the same angle to
        all sites, and "reflection" negates all angles.
    states : "auto", "angle" or array-like, default="auto"
        The alphabet: the values a site may take. "auto" learns the integers that occur in X. With "angle", X holds
        angles in radians, any real numbers, which count modulo 2 pi and are rounded to a grid of 64; the conditional
        law of a site is the exponential of a Fourier series with four harmonics.
    whiten : "auto" or bool, default="auto"
        Whether training gives each site one more input, its innovation: the difference from its linear prediction by
        the sites drawn before it. The weights absorb it at the end of the training. It helps much if sites nearly
        determine each other, as overlapping blocks do. "auto" is True for more than two states, for which it costs
        little, and False for angles.
    calibrate : {"auto", "smooth", "local", False} or fitted estimator, default="auto"
        What corrects the learned law far from typical configurations, where every such network is a little wrong:

        - "smooth": a smooth function of log p and of an order parameter, the log density ratio of the data to the
          model's own draws. It assumes nothing about the interactions.
        - "local": a local energy, as a :class:`LocalHamiltonian` with windows of width 3 learns it from the rows of
          the training. The network proposes, and weights do the rest: log p(s) = -H(s)/T0 - ln Z. It needs
          "translation" in `symmetries`, and assumes interactions that fit into the window, for angles between two
          sites. Windows have the width 2 if the states are too many for 3.
        - "auto": if "translation" is in `symmetries`, "local", unless the likelihood of the rows held back is smaller
          than with "smooth" by more than two standard errors; "smooth" without translations, for windows of
          something larger (see `is_window_`) and for very many states.
        - a fitted :class:`LocalHamiltonian` or :class:`InteractionExpansion`, or one in a
          ``sklearn.frozen.FrozenEstimator``, which survives `clone`: H is this energy. The lattice is periodic, but
          open for an expansion of energies with ``boundary="open"``.
        - False: nothing.
    order_parameter : "auto" or array-like of shape (n_sites,), default="auto"
        Weights of the sites in the order parameter of the calibration (ones for the magnetization). "auto" is the
        leading principal component of X. For angles it is the length of the weighted sum of their unit vectors.
    batch_size : "auto" or int, default="auto"
        Configurations per minibatch, at most the number of rows. "auto" is 469, and fewer where rows are few
        and have no symmetries to multiply them.
    learning_rate_init : "auto" or float, default="auto"
        Peak of the one-cycle learning rate. "auto" is 8e-3 up to 512 units in the widest hidden layer and 512 sites;
        beyond, it falls as one over the units or as the root of one over the sites.
    max_iter : "auto" or int, default="auto"
        Epochs. "auto" makes 2 500 updates, and at least one pass, if a local energy may decide (see `calibrate`).
        Otherwise it makes 2 500 with 2 000 rows or fewer, more by the root of their number but 8 000; above 64 sites
        fewer by the root of theirs but 2 500, and at least one pass. It is no more than 30 epochs where
        the rows, times the number of their symmetries, are fewer than pairs of sites.
    alpha : float, default=0.0
        Decoupled weight decay (AdamW). It biases the couplings; for few rows `sparsity` is better.
    sparsity : "auto" or float, default="auto"
        Soft threshold of the weights after each step of Adam, in units of the learning rate. A weight vanishes if its
        gradient, in units of the gradient's noise in one minibatch, stays below the threshold. "auto" is about two
        standard errors of such a gradient, so that weights that only fit noise vanish.
    early_stopping : bool, default=False
        Whether to stop when the likelihood of the rows held back has not risen by `tol` for
        `n_iter_no_change` epochs. The weights kept are those of the best epoch wherever rows are held back.
    validation_fraction : float, default=0.1
        Share of the rows held back, with early stopping always and for the calibration from 200 rows on (at
        most 20 000 of them).
    n_iter_no_change : int, default=5
        Epochs without improvement before early stopping.
    tol : float, default=1e-3
        Improvement of the held-out log-likelihood that counts, in nats per configuration.
    warm_start : bool, default=False
        Whether `fit` starts from the present weights. They must have the shape asked for.
    device : str, default="cpu"
        Where torch trains; the fitted model always lives in numpy.
    verbose : int, default=0
        1 prints a line about every five seconds of a fit or of a draw by chains, with the time left; 2 prints a line
        at every step.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the minibatches and the draws.

    Attributes
    ----------
    states_ : ndarray of shape (n_states,)
        The alphabet, ascending; for angles the grid.
    is_angle_ : bool
        Whether states are angles.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights, masks folded in, the sites in drawing order.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases.
    skip_coef_ : ndarray of shape (n_in, n_out) or None
        Weights from the inputs to the outputs.
    ordering_ : ndarray of shape (n_sites,)
        The site drawn d-th.
    activation_ : str
        As fitted.
    calibration_ : dict or None
        The numbers of the calibration: ``method``, "smooth" or "local"; ``gain`` and ``gain_error``, what it adds to
        the log-likelihood of a row it was not fitted to, in nats (by cross-validation, or in the rows held back);
        with "auto", ``margin`` and ``margin_error``, by how much it was better than the other one in the rows held
        back, in nats a row (negative by two errors at most, for a local energy); ``effective_share``, how many
        independent draws of equal weight a draw of the network is worth; ``log_normalizer_error``, the standard error
        of log p by its normaliser (0 where all configurations were enumerated); ``n_rows``, the rows of the gain. The
        rest defines it: for a local energy, the ``sites`` and the ``table`` of its terms in units of T0, and
        ``log_normalizer``, ln Z at T0. A smooth one changes nothing, with the gain 0, where cross-validation speaks
        against it by more than two standard errors. None without a calibration, with fewer than 200 rows unless the
        energy is "local" or given, or if the network has memorised its rows and fewer than 100 were held back. Errors
        of curves hold the noise of the rows through the calibration; without one they are those of the draws alone.
    loss_curve_ : list of float
        Mean negative log-likelihood of the training rows after each epoch, in nats per configuration.
    validation_scores_ : list of float or None
        Mean log-likelihood of the rows held back, after each epoch and before the calibration.
    n_iter_ : int
        Epochs run.
    temperature_ : float
        The temperature T0 at which the model was fitted.
    n_samples_seen_ : int
        Configurations in X.
    unseen_states_ : ndarray of shape (n_sites, n_states)
        States that a site never had, although the other sites predict at least 30 occurrences. They have no weight in
        draws and averages. False everywhere with `symmetries`, or if `states` is given: all are then possible.
    is_window_ : bool
        Whether X, of two states, looks like windows of something larger than `lattice_shape`: opposite edges are not
        neighbours, and edges are like the interior. The law at T0 is right, but predictions at other temperatures are
        not.

    References
    ----------
    .. [1] L. Wang, Y. Jiang, K. Zhou, "Neural Network Statistical Mechanics", arXiv:2007.01037 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import IsingSampler, MADEHamiltonian
    >>> X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=2000)
    >>> made = MADEHamiltonian(temperature=2.5, hidden_layer_sizes=(32,), max_iter=10, random_state=0).fit(X)
    >>> made.energy(X[:3]).shape
    (3,)
    >>> made.sample(1.5, n_samples=5, random_state=1).shape
    (5, 16)
    """

    _METHODS = ("auto", "tempered", *METHODS)
    _SITE_FIELDS = True

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        hidden_layer_sizes: str | int | tuple[int, ...] = "auto",
        activation: str = "tanh",
        skip_connections: bool = True,
        ordering: str | ArrayLike = "natural",
        lattice_shape: tuple[int, ...] | None = None,
        symmetries: str | tuple[str, ...] = (),
        states: str | ArrayLike = "auto",
        whiten: str | bool = "auto",
        calibrate: Any = "auto",
        order_parameter: str | ArrayLike = "auto",
        batch_size: str | int = "auto",
        learning_rate_init: str | float = "auto",
        max_iter: str | int = "auto",
        alpha: float = 0.0,
        sparsity: str | float = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-3,
        warm_start: bool = False,
        device: str = "cpu",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.temperature = temperature
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.skip_connections = skip_connections
        self.ordering = ordering
        self.lattice_shape = lattice_shape
        self.symmetries = symmetries
        self.states = states
        self.whiten = whiten
        self.calibrate = calibrate
        self.order_parameter = order_parameter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.alpha = alpha
        self.sparsity = sparsity
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    @_callbacks.with_callbacks
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the Hamiltonian from configurations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations at `temperature`, sites in C order. Integers unless `states` is given. An
            int8 array or memmap is read minibatch by minibatch and never copied whole.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, integers >= 0: a histogram gives the same model as its rows. None counts
            each row once.

        Returns
        -------
        self : MADEHamiltonian
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range or X does not hold configurations.
        ArithmeticError
            If the loss becomes NaN or infinite in the first epoch.
        """
        resume = hasattr(self, "coefs_") and check_flag(self.warm_start, "warm_start")
        return self._learn(X, sample_weight, ("loss_curve_", "n_iter_") if resume else ())

    @_callbacks.with_callbacks
    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Continue the training with further configurations, for streams and for data larger than a disk.

        Every call is one pass over X with a one-cycle learning rate, which ends near zero; parts should have at least
        50 minibatches, 25 000 rows by default, and one part is not enough. The alphabet is that of the first call
        unless `states` gives it. There is no early stopping and no `sparsity` by "auto", which depends on the length of
        the stream. There is no calibration either, and a calibration that exists is dropped. `fit` with
        ``warm_start=True`` on a last part adds them, from this part alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations at `temperature`.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, integers >= 0: a histogram gives the same model as its rows. None counts
            each row once.

        Returns
        -------
        self : MADEHamiltonian
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, or X holds no configurations or a state not seen before.
        """
        added = ("loss_curve_", "n_iter_", "n_samples_seen_") if hasattr(self, "coefs_") else ()
        sparsity = 0.0 if isinstance(self.sparsity, str) else self.sparsity
        changed = dict(max_iter=1, sparsity=sparsity, calibrate=False, early_stopping=False)
        return self._learn(X, sample_weight, added, **changed)

    def _learn(self, X: ArrayLike, sample_weight: ArrayLike | None, added: tuple[str, ...], **changed: Any) -> Self:
        """Fit with some parameters changed. `added` names the attributes that a continued training extends."""
        check_parameters_repeatable(self)
        # A subclass may have other parameters.
        p = {name: getattr(self, name) for name in MADEHamiltonian._get_param_names()} | changed
        check_parameters(p)
        trial = _callbacks.twin(self)  # so that a failure, Ctrl-C too, leaves this object as it was
        X = validate_configurations(trial, X, reset=not added)
        counts = check_counts(sample_weight, len(X))
        if counts is not None:
            X, counts = X[counts > 0], counts[counts > 0]
        known = "angle" if added and self.is_angle_ else self.states_ if added else self.states
        alphabet = learn_alphabet(X, known)
        n_iter, start = (self.n_iter_, self._network()) if added else (0, None)
        sizes = len(X) if counts is None else int(counts.sum()), X.shape[1], alphabet, n_iter
        plan = make_plan(p, *sizes)
        # Sums of overlapping blocks look like windows, too, so only two states are judged.
        has_lattice = self.lattice_shape is not None
        is_window = has_lattice and alphabet.n_states == 2 and looks_like_window(X, plan.lattice_shape)
        if is_window and plan.calibrate == "auto":
            plan = make_plan(p | {"calibrate": "smooth"}, *sizes)
        seed = seed_sequence(self.random_state, f"MADEHamiltonian.fit {n_iter}" if n_iter else "MADEHamiltonian.fit")
        context = _callbacks.begin(self, X, plan.schedule.max_iter)
        with plain_torch():
            learned = learn(plan, X, counts, self.ordering, seed, partial(_callbacks.epoch_done, context, self), start)
        _callbacks.end(context, self)
        if added:
            learned["validation_scores_"] = joined_scores(vars(self), learned)
        learned |= {name: getattr(self, name) + learned[name] for name in added}
        judged = isinstance(self.states, str) and self.states == "auto" and not plan.symmetries  # else all are possible
        possible = np.zeros((X.shape[1], alphabet.n_states), bool)
        never = unseen_states(X, alphabet.states, counts) if judged else possible
        learned |= {"is_window_": is_window, "unseen_states_": never & self.unseen_states_ if added else never}
        trial.__dict__.update(learned)
        if not added:
            warn_of_doubts(X, counts, plan, trial._network())
        if not changed:
            model = trial._network(), trial._law(trial.temperature_, 0.0)
            warn_of_unlike_draws(X, counts, trial.temperature_, model, trial._magnetization, trial.calibration_)
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(vars(trial))
        return self

    def energy(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Return the learned energy :math:`H_\theta(s) = -T_0 \log p_\theta(s)` (Eq. 2 of the paper).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        energy : ndarray of shape (n_samples,)
            Total energy in the unit of `temperature`; it estimates H - F(T0).
        """
        return -self.score_samples(X) * self.temperature_

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the log-likelihood of each configuration.

        States in `unseen_states_`, which draws leave out, have the small probability that the network gives them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            log p in nats. For angles p is a density per radian and site, so log p may exceed 0.

        Raises
        ------
        ValueError
            If X holds a state that was not seen in `fit`.
        """
        check_is_fitted(self)
        X = validate_configurations(self, X, reset=False)
        return score(self._network(), X)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood per configuration, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_sites)
            Configurations.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, integers >= 0. None counts each row once. ``cross_val_score`` and searches pass
            weights to `score` only if scikit-learn routes metadata; see :ref:`counts`.

        Returns
        -------
        score : float
            Mean of `score_samples`.
        """
        return mean_score(self.score_samples, X, sample_weight)

    def sample(  # type: ignore[override]  # the options of chains are named
        self,
        temperature: float | None = None,
        *,
        n_samples: int = 1,
        field: Any = 0.0,
        method: str = "metropolis",
        n_chains: int = 256,
        burn_in: str | int = "auto",
        n_sweeps: int = 5,
        random_state: Any = None,
    ) -> NDArray[Any]:
        r"""Draw configurations from :math:`\exp(-(H_\theta - h \sum_i s_i)/T)`.

        At infinite temperature, and at T0 without a field, draws are independent and exact whatever the method;
        those of a calibrated model are resampled from twice as many. At other temperatures Markov chains start from
        tempered draws, except with "tempered":

        - "metropolis" changes one site after the other and accepts with min(1, exp(-dH/T)); a site is skipped with
          probability 1/8, without which sweeps over the lattice would not be ergodic.
        - "heat-bath" accepts with 1 / (1 + exp(dH/T)).
        - "window" also offers joint changes of two or three sites along each axis of `lattice_shape`. They are
          differences between two draws at T0 that agree around the window. Single sites freeze if sites nearly
          determine each other, as overlapping blocks do; windows still move.
        - "independence" also offers a new tempered draw and the flip of the whole lattice before every configuration.
        - "parallel-tempering" exchanges replicas at temperatures up to 2 T0 after every sweep (Hukushima and Nemoto,
          J. Phys. Soc. Jpn. 65, 1604, 1996).
        - "tempered" resamples tempered draws by their weights; one sweep then separates those that occur twice.
          "auto" is "tempered". It is the cheapest by far.

        Parameters
        ----------
        temperature : float, default=None
            Temperature T, ``inf`` included; None is T0.
        n_samples : int, default=1
            Number of configurations.
        field : float or array-like of shape (n_sites,), default=0.0
            External field h, the same on every site or one for each. For angles it points along theta = 0, with the
            energy -h cos(theta) of a site.
        method : str, default="metropolis"
            How to draw, one of the names above.
        n_chains : int, default=256
            Chains of Monte Carlo, at most `n_samples`.
        burn_in : int or "auto", default="auto"
            Sweeps of each chain before its first configuration. "auto" stops as soon as the chains agree (R-hat of
            energy and order at most 1.05), after 2550 sweeps at the latest, and earlier if they are frozen.
        n_sweeps : int, default=5
            Sweeps of each chain between two configurations.
        random_state : int, RandomState instance or None, default=None
            None is the constructor's.

        Returns
        -------
        X : ndarray of shape (n_samples, n_sites)
            Configurations; consecutive rows come from different chains. Angles are in [0, 2 pi), on the grid: means of
            smooth functions over the grid are integrals to rounding, so noise inside a cell would only blur them.

        Warns
        -----
        ConvergenceWarning
            If the chains hardly move, or do not agree after the longest burn-in.
        UserWarning
            If the model was fitted to windows of something larger, and T is not T0.
        """
        request: dict[str, Any] = dict(n_samples=n_samples, field=field, method=method, random_state=random_state)
        request |= dict(n_chains=n_chains, burn_in=burn_in, n_sweeps=n_sweeps)
        return super().sample(temperature, **request)

    def _prepare(  # type: ignore[override]
        self, n_chains: Any = 256, burn_in: Any = "auto", n_sweeps: Any = 5
    ) -> int:
        check_is_fitted(self)
        check_integer(n_chains, "n_chains", minimum=1)
        check_integer(n_sweeps, "n_sweeps", minimum=1)
        if not isinstance(burn_in, str) or burn_in != "auto":
            check_integer(burn_in, "burn_in")
        if self.lattice_shape is not None:
            check_lattice_shape(self.lattice_shape, self.n_features_in_)
        return self.n_features_in_

    def _sample(
        self, temperature: float, n_samples: int, field: Any, method: str, seed: np.random.SeedSequence, **options: Any
    ) -> NDArray[Any]:
        law, network = self._law(temperature, field), self._network()
        if law.exponent in (0.0, 1.0) and not law.has_field:
            return self.states_[equal_weight_codes(network, n_samples, law, seed)]
        if method in ("tempered", "auto"):
            return self.states_[parted_codes(network, n_samples, law, seed)]
        draws = self._chains(law, n_samples, method, seed, **options)
        warn_of_chains(draws, temperature, method)
        return self.states_[draws.codes.swapaxes(0, 1).reshape(-1, self.n_features_in_)]

    def _draw(
        self, temperature: float, n_samples: int, field: Any, method: str, seed: np.random.SeedSequence, **options: Any
    ) -> Draws:
        law, network = self._law(temperature, field), self._network()
        log_cells = network.n_sites * network.alphabet.log_cell
        if method in METHODS:
            draws = self._chains(law, n_samples, method, seed, **options)
            codes = draws.codes
            log_p = score_codes(network, codes.reshape(-1, codes.shape[2])).reshape(codes.shape[:2])
            known: dict[str, Any] = {"acceptance": draws.acceptance, "frozen": draws.frozen}
        else:
            blocks = independent_populations(network, n_samples, law, seed)
            codes, log_p = np.stack([block.codes for block in blocks]), np.stack([block.log_prob for block in blocks])
            # A sum over the grid times the cell to the N is an integral, and log p is per radian.
            log_partition = np.array([block.log_partition for block in blocks]) + (1 - law.exponent) * log_cells
            known = {"log_weight": joint_log_weight(blocks), "log_partition": log_partition}
        energy = -self.temperature_ * (log_p - log_cells)
        energy -= (network.alphabet.vectors[:, 0][codes] * np.float64(field)).sum(axis=2)
        if (errors := energy_errors(network, codes.reshape(-1, codes.shape[2]), log_p.ravel())) is not None:
            known["energy_errors"] = self.temperature_ * errors.reshape(*codes.shape[:2], -1)
        return Draws(self.states_[codes], energy, method=method if method in METHODS else "tempered", **known)

    def _chains(
        self,
        law: Law,
        n_samples: int,
        method: str,
        seed: np.random.SeedSequence,
        n_chains: int = 256,
        burn_in: Any = "auto",
        n_sweeps: int = 5,
    ) -> ChainDraws:
        """Return the draws of Markov chains, as codes."""
        if method == "window" and self.is_angle_:
            raise ValueError("method='window' needs states that recur around a window; for angles choose 'tempered'")
        n_chains = min(int(n_chains), n_samples)
        shape = None if method != "window" or self.lattice_shape is None else tuple(self.lattice_shape)
        n_draws = -(-n_samples // n_chains)
        plan = ChainPlan(n_chains, n_draws, burn_in, int(n_sweeps), method, shape, check_verbose(self.verbose))
        return chain_draws(self._network(), law, plan, seed)

    def _law(self, temperature: float, field: Any) -> Law:
        """Return p^(T0/T) with the logarithmic weight of every state: h s/T, h cos(theta)/T for angles.

        States that a site never had have no weight.
        """
        temperature = max(temperature, COLDEST * self.temperature_)  # colder, the weights are the same
        tilt = np.multiply.outer(field, self._alphabet().vectors[:, 0]) / temperature
        if self.unseen_states_.any():
            tilt = tilt + np.where(self.unseen_states_, _FORBIDDEN, 0.0)
        return Law(float(self.temperature_ / temperature), tilt)

    def _energy_errors_of(self, X: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the changes of the energy of every row by one standard error of each parameter, None if unknown."""
        errors = energy_errors(self._network(), self._alphabet().encode(X))
        return None if errors is None else self.temperature_ * errors

    def _support(self, temperature: float, field: Any, seed: np.random.SeedSequence) -> float:
        return self.n_samples_seen_ * support(self._network(), self._law(temperature, field), seed)

    def _doubt(self, temperatures: Any) -> str | None:
        if not self.is_window_ or np.all(np.asarray(temperatures) == self.temperature_):
            return None
        return IS_WINDOW.format(self.temperature_)

    @property
    def _data_temperature(self) -> float:
        return float(self.temperature_)

    @property
    def _are_angles(self) -> bool:
        return bool(self.is_angle_)

    def _log_states(self) -> float | None:
        allowed = np.sum(~self.unseen_states_, axis=1)
        return super()._log_states() if self._are_angles else float(np.log(allowed).mean())

    def _alphabet(self) -> Alphabet:
        return Alphabet.of_angles() if self.is_angle_ else Alphabet.of_numbers(self.states_)

    def _network(self) -> Network:
        weights, biases, skip = tuple(self.coefs_), tuple(self.intercepts_), self.skip_coef_
        network = Network(weights, biases, skip, self.ordering_, self._alphabet(), self.activation_)
        return calibrated(network, self.calibration_)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if hasattr(self, "coefs_"):
            check_stored(self.__dict__)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags
