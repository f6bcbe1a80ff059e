"""Chains of Monte Carlo on a network that move single sites or small windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..calibration import Calibration, LocalCalibration
from ..network import Array, Codes, Network, activate
from .acceptance import threshold
from .arrays import ALIGN, BLOCK, GROUP, Layers, State, Target
from .kernels import log_q_of_blocks, sweep
from .law import Law
from .terms import TermWalk

# Multiply-adds a kernel call may take: about 50 ms, so that Ctrl-C is answered soon.
_CHUNK = 5e8
# Proposals after which all units are computed anew: log p is then off by 1e-5 at most.
_REFRESH = 4096
_ACTIVATIONS = {"relu": 0, "tanh": 1, "logistic": 2, "silu": 3}


class Moves(NamedTuple):
    """Shifts of the states of windows; every shift comes with its negative."""

    positions: NDArray[np.intp]  # (n_windows, n_sites of a window), drawing positions, ascending
    shifts: Codes  # (n_windows, n_shifts, n_sites of a window)


class Chains:
    r"""Chains on the law :math:`w(s) = p(s)^\lambda e^{\sum_i t(s_i)}` of a network.

    The rule "metropolis" accepts a proposal with chance :math:`\min(1, w'/w)` and skips one site in eight; "heat-bath"
    accepts with :math:`w'/(w + w')` and skips none. The new state of a site is uniform among the others. Each chain
    draws from its own generator, so it does not depend on its neighbours.
    """

    def __init__(
        self,
        network: Network,
        codes: Codes,
        law: Law,
        generators: Sequence[np.random.Generator],
        rule: str = "metropolis",
    ):
        self.network, self.law, self.generators, self.rule = network, law, generators, rule
        walk = TermWalk if isinstance(network.calibration, LocalCalibration) else NetworkWalk
        self._walk: TermWalk | NetworkWalk = walk(network, law, codes)
        self.n_accepted = self.n_proposed = 0

    @property
    def codes(self) -> Codes:
        """The present configurations (n_chains, n_sites), in site order."""
        return self._walk.codes

    @codes.setter
    def codes(self, codes: Codes) -> None:
        self._walk.codes = codes

    @property
    def log_prob(self) -> Array:
        """The present log p of every chain up to a constant, without a smooth calibration."""
        return self._walk.log_prob

    def sweep(self, n_sweeps: int = 1) -> None:
        """Visit every site of every chain `n_sweeps` times."""
        sites = np.arange(self.network.n_sites)[:, None]
        for _ in range(n_sweeps):
            self._offer(sites, *self._site_proposals(), wraps=True)

    def _site_proposals(self) -> tuple[Codes, Array]:
        """Return shifts (n_sites, n_chains, 1) to other states, all equally likely, and thresholds."""
        n_choices = self.network.n_states - 1
        uniform = n_choices * self._uniform(self.network.n_sites)
        step = np.minimum(uniform.astype(np.int8), n_choices - 1)
        return (step + np.int8(1))[..., None], threshold(uniform - step, self.rule)

    def sweep_windows(self, moves: Moves) -> None:
        """Offer every window of every chain one of its shifts."""
        n_windows, n_shifts, _ = moves.shifts.shape
        window = np.arange(n_windows)
        shift = [moves.shifts[window, generator.integers(n_shifts, size=n_windows)] for generator in self.generators]
        limits = threshold(self._uniform(n_windows), self.rule)
        self._offer(moves.positions, np.stack(shift, axis=1), limits, wraps=False)

    def _uniform(self, n: int) -> Array:
        return np.stack([generator.random(n) for generator in self.generators], axis=1)

    def _offer(self, windows: NDArray[np.intp], shift: Codes, threshold: Array, wraps: bool) -> None:
        self.n_accepted += self._walk.offer(windows, shift, threshold, wraps)
        self.n_proposed += int(np.isfinite(threshold).sum())


class NetworkWalk:
    """Configurations of chains that move by the law of a network, with a smooth calibration or none."""

    def __init__(self, network: Network, law: Law, codes: Codes):
        self.ordering = network.ordering
        self._single = network.astype(np.float32)
        self._layers, self._target = _layers(self._single), _target(network, law)
        self._state = _state(self._layers, network, len(codes), len(self._target.contribution))
        self.codes = codes

    @property
    def codes(self) -> Codes:
        """The present configurations (n_chains, n_sites), in site order."""
        codes = np.empty_like(self._state.codes)
        codes[:, self.ordering] = self._state.codes
        return codes

    @codes.setter
    def codes(self, codes: Codes) -> None:
        self._state.codes[:] = codes[:, self.ordering]
        self._age = _REFRESH

    @property
    def log_prob(self) -> Array:
        """The present log p of every chain, not calibrated."""
        return self._state.log_prob.copy()

    def offer(self, windows: NDArray[np.intp], shift: Codes, threshold: Array, wraps: bool) -> int:
        """Offer every window in turn a shift of its states, as `sweep` does; return how many are accepted."""
        n_accepted = 0
        if self._age >= _REFRESH:
            _refresh(self._state, self._single, self._layers, self._target)
            self._age = 0
        self._age += len(windows)
        chunk = max(1, int(_CHUNK / (self._layers.weights.size / 4 * len(self._state.codes))))
        for start in range(0, len(windows), chunk):
            part = slice(start, start + chunk)
            arrays = self._layers, self._target, self._state
            n_accepted += sweep(windows[part], shift[part], wraps, threshold[part], *arrays)
        if not np.isfinite(self._state.log_prob).all():
            raise FloatingPointError("the model gives NaN for a configuration reached by Monte Carlo")
        return n_accepted


def _refresh(state: State, network: Network, layers: Layers, target: Target) -> None:
    """Compute every unit anew from the configurations, so that rounding errors do not add up."""
    x = network.alphabet.show(state.codes, np.float32)
    state.inputs[:, : x.shape[1]] = x
    hidden = x
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        a = hidden @ weight + bias
        if network.skip is not None and layer == len(network.weights) - 1:
            a += x @ network.skip
        hidden = activate(network.activation, a)
        state.pre[:, layer, : a.shape[1]], state.hidden[:, layer, : a.shape[1]] = a, hidden
    for codes, inputs, y, terms in zip(state.codes, state.inputs, state.pre[:, -1], state.terms, strict=True):
        log_q_of_blocks(np.uint64(0), codes, inputs, layers.basis, y, state.parts, terms)
    n_spare = BLOCK * state.terms.shape[1] - network.n_sites
    state.log_prob[:] = state.terms.sum(axis=1) + n_spare * np.log(network.n_states)
    for component, contribution in enumerate(target.contribution):
        state.order[:, component] = contribution[np.arange(network.n_sites), state.codes].sum(axis=1)


def _padded(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _layers(network: Network) -> Layers:
    """Return the weights in rows, with the tails of the layers that a site and an input are seen by."""
    alphabet, site = network.alphabet, np.arange(network.n_sites)
    degrees = [*network.degrees, np.repeat(site, alphabet.n_outputs)]
    stops = [_padded(len(degree)) for degree in degrees[:-1]] + [_padded(network.n_sites) * alphabet.n_outputs]
    # What the units of a matrix see: an input carries its own site, so what sees it has a degree above.
    above = np.repeat(site, alphabet.n_inputs) + 1
    seen = [above, *degrees[:-1], above]
    matrices = [*network.weights, *([] if network.skip is None else [network.skip])]
    rows, lows = np.zeros((2, len(matrices), max(*stops, len(above))), np.uint64)
    flat, size = [], 0
    for i, matrix in enumerate(matrices):
        layer = min(i, len(degrees) - 1)
        low = np.searchsorted(degrees[layer], seen[i if layer == i else -1]) // ALIGN * ALIGN
        padded = np.pad(matrix, ((0, 0), (0, stops[layer] - matrix.shape[1])))
        flat.append(padded[np.arange(stops[layer]) >= low[:, None]])
        rows[i, : len(matrix)] = size + np.cumsum(stops[layer] - low) - stops[layer]
        lows[i, : len(matrix)], lows[i, len(matrix) :] = low, stops[layer]  # nothing sees a spare unit
        size += flat[-1].size
    starts = [np.searchsorted(degree, site + 1) // ALIGN * ALIGN for degree in degrees[:-1]]
    starts.append(site // ALIGN * ALIGN * alphabet.n_outputs)
    name, has_skip = _ACTIVATIONS[network.activation], network.skip is not None
    start, stop = np.array(starts, np.uint64), np.array(stops, np.uint64)
    inputs, basis = alphabet.inputs.astype(np.float32), np.ascontiguousarray(alphabet.basis.T, np.float32)
    return Layers(np.concatenate(flat), rows, lows, start, stop, name, has_skip, inputs, basis)


def _target(network: Network, law: Law) -> Target:
    calibration, tilt = network.calibration, law.site_tilt(network)
    if not isinstance(calibration, Calibration):
        return Target(float(law.exponent), tilt, np.zeros((1, *tilt.shape)), np.zeros(0), np.zeros(0))
    contribution = np.ascontiguousarray(calibration.contributions[:, network.ordering])
    return Target(float(law.exponent), tilt, contribution, calibration.scales, calibration.coef[:-1].copy())


def _state(layers: Layers, network: Network, n_chains: int, n_components: int) -> State:
    """Return room for some chains."""
    n_sites, n_layers = _padded(network.n_sites), len(layers.stops)
    n_inputs, n_units = n_sites * network.alphabet.n_inputs, int(layers.stops.max())
    n_listed = max(n_units, n_inputs) + GROUP

    def room(*shape: int) -> Array:
        return np.zeros(shape, np.float32)

    return State(
        codes=np.zeros((n_chains, network.n_sites), np.int8),
        inputs=room(n_chains, n_inputs),
        pre=room(n_chains, n_layers, n_units),
        hidden=room(n_chains, n_layers, n_units),
        terms=np.zeros((n_chains, n_sites // BLOCK)),
        log_prob=np.zeros(n_chains),
        order=np.zeros((n_chains, n_components)),
        new_order=np.zeros(n_components),
        new_pre=room(n_layers, n_units),
        new_hidden=room(n_layers, n_units),
        new_terms=np.zeros(n_sites // BLOCK),
        listed=np.zeros((n_layers, n_listed), np.uint64),
        change=room(n_layers, n_listed),
        parts=room(3, max(n_sites, network.n_states)),
    )
