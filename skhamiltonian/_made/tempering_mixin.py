"""Configurations of a learned model at any temperature."""

import math
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._montecarlo.sampler import Draws
from .._utils.checks import (
    check_choice,
    check_integer,
    check_lattice_shape,
    check_memory,
    check_number,
    check_temperature,
    seed_sequence,
)
from .fitting import score_codes
from .sampling.chains import R_HAT_LIMIT, chain_draws
from .sampling.resampling import (
    equal_weight_codes,
    independent_populations,
    joint_log_weight,
    parted_codes,
    support,
)

_CHAINS = ("metropolis", "window", "independence", "parallel-tempering")
_METHODS = ("auto", "tempered", *_CHAINS)
_PHASE_CURVE = {"n_chains": 256, "burn_in": "auto", "n_sweeps": 5}


class TemperingMixin:
    """Sampling for an estimator with `temperature_`, `states_` and `_network()`, at temperatures not its own."""

    def sample(
        self,
        temperature=None,
        n_samples=1,
        *,
        field=0.0,
        method="metropolis",
        n_chains=256,
        burn_in="auto",
        n_sweeps=5,
        random_state=None,
    ):
        r"""Draw configurations from :math:`\exp(-(H_\theta - h \sum_i s_i)/T)`.

        At infinite temperature, and at T0 without a field, draws are independent and exact whatever the method;
        those of a calibrated model are resampled from twice as many. Elsewhere chains start from tempered draws and
        sweep over the lattice with heat-bath acceptance ("metropolis"); or they do so and are offered, besides, joint
        changes of windows of two or three sites along each axis of `lattice_shape` ("window"); or, before every
        configuration, a new tempered draw and the flip of the whole lattice ("independence"); or they change places,
        after every sweep, with replicas at temperatures up to 2 T0 ("parallel-tempering", Hukushima and Nemoto, J.
        Phys. Soc. Jpn. 65, 1604, 1996); or tempered draws are resampled by their weights ("tempered"), and one sweep
        parts those that occur twice.

        Single sites freeze where sites nearly determine each other, as overlapping blocks do; windows move. What is
        offered to a window is a difference between two draws at T0 that agree around it, or its negative.

        Parameters
        ----------
        temperature : float, default=None
            Temperature T, ``inf`` included; None is T0.
        n_samples : int, default=1
            Number of configurations.
        field : float, default=0.0
            External field h on every site.
        method : str, default="metropolis"
            How to draw: "metropolis", "window", "independence", "parallel-tempering", "tempered" or "auto", which is
            "tempered".
        n_chains : int, default=256
            Chains of Monte Carlo, at most `n_samples`.
        burn_in : int or "auto", default="auto"
            Sweeps of each chain before its first configuration; "auto" goes on until the chains agree, by
            R-hat <= 1.05 of energy and order, for 2550 sweeps at most, and fewer where they are frozen for good.
        n_sweeps : int, default=5
            Sweeps of each chain between two configurations.
        random_state : int, RandomState instance or None, default=None
            None is the constructor's.

        Returns
        -------
        X : ndarray of shape (n_samples, n_sites)
            Configurations; consecutive rows come from different chains.

        Warns
        -----
        ConvergenceWarning
            If the chains hardly move, or do not agree after the longest burn-in.
        """
        check_is_fitted(self)
        temperature = self.temperature_ if temperature is None else check_temperature(temperature)
        n_samples = check_integer(n_samples, "n_samples")
        field = check_number(field, "field", low=-math.inf, include_low=False, include_high=False)
        shape = self._check_method(method)
        check_memory((n_samples, self.n_features_in_), np.int8, "the sample")
        n_chains = check_integer(n_chains, "n_chains", minimum=1)
        burn_in = burn_in if burn_in == "auto" else check_integer(burn_in, "burn_in")
        n_sweeps = check_integer(n_sweeps, "n_sweeps", minimum=1)
        if n_samples == 0:
            return np.empty((0, self.n_features_in_), self.states_.dtype)
        seed = seed_sequence(self.random_state if random_state is None else random_state, "MADEHamiltonian.sample")
        exponent, tilt = self._tempering(temperature, field)
        network = self._network()
        if exponent in (0.0, 1.0) and not tilt.any():
            return self.states_[equal_weight_codes(network, n_samples, exponent, tilt, seed)]
        if method in ("tempered", "auto"):
            return self.states_[parted_codes(network, n_samples, exponent, tilt, seed)]
        n_chains = min(n_chains, n_samples)
        plan = n_chains, -(-n_samples // n_chains), exponent, tilt, burn_in, n_sweeps, seed
        draws = chain_draws(network, *plan, method, shape)
        _warn_of_chains(draws, temperature, method)
        return self.states_[draws.codes.swapaxes(0, 1).reshape(-1, self.n_features_in_)[:n_samples]]

    def _check_method(self, method):
        """Check the method and return the shape of the lattice for those that ask for it."""
        if check_choice(method, "method", _METHODS) != "window" or self.lattice_shape is None:
            return None
        return check_lattice_shape(self.lattice_shape, self.n_features_in_)

    def _tempering(self, temperature, field):
        """Return the exponent T0/T of p and the logarithmic weight h s/T of every state."""
        return self.temperature_ / temperature, field * self.states_.astype(np.float64) / temperature

    def _draw(self, temperature, n_samples, *, field=0.0, method="auto", seed):
        check_is_fitted(self)
        shape = self._check_method(method)
        check_memory((n_samples, self.n_features_in_), np.int8, "the sample")
        exponent, tilt = self._tempering(temperature, field)
        network = self._network()
        if method in _CHAINS:
            n_chains = min(_PHASE_CURVE["n_chains"], n_samples)
            sweeps = _PHASE_CURVE["burn_in"], _PHASE_CURVE["n_sweeps"]
            plan = n_chains, -(-n_samples // n_chains), exponent, tilt, *sweeps, seed
            draws = chain_draws(network, *plan, method, shape)
            codes = draws.codes
            log_p = score_codes(network, codes.reshape(-1, codes.shape[2])).reshape(codes.shape[:2])
            weights = {"acceptance": draws.acceptance, "frozen": draws.frozen}
        else:
            blocks = independent_populations(network, n_samples, exponent, tilt, seed)
            codes, log_p = np.stack([block.codes for block in blocks]), np.stack([block.log_prob for block in blocks])
            log_partition = np.array([block.log_partition for block in blocks])
            weights = {"log_weight": joint_log_weight(blocks), "log_partition": log_partition}
        X = self.states_[codes]
        energy = -self.temperature_ * log_p - field * X.sum(axis=2, dtype=np.float64)
        return Draws(X, energy, **weights)

    def _support(self, temperature, field, seed):
        """Return how many training configurations stand behind a prediction at `temperature`."""
        return self.n_samples_seen_ * support(self._network(), *self._tempering(temperature, field), seed)


def _warn_of_chains(draws, temperature, method):
    if draws.frozen:
        ways = [repr(way) for way in ("window", "tempered") if way != method]
        message = (
            f"The chains at temperature={temperature:g} are frozen: method={method!r} accepts "
            f"{100 * draws.acceptance:.2g} % of its proposals, and energies are still those of the start "
            f"(correlation {draws.memory:.2f}): choose method={' or '.join(ways)}"
        )
    elif draws.r_hat > R_HAT_LIMIT:
        message = (
            f"The chains at temperature={temperature:g} do not agree after the longest burn-in (r_hat = "
            f"{draws.r_hat:.2f}, wanted {R_HAT_LIMIT}): choose another method, or a larger burn_in"
        )
    else:
        return
    warnings.warn(message, ConvergenceWarning, stacklevel=3)
