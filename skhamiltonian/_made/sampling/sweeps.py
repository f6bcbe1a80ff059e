r"""Monte Carlo of single sites and small windows on a masked network, many chains side by side.

A proposal at drawing position d (the first of a window) changes one input, the hidden units that may see it and the
conditionals from d on. Degrees ascend, so these are the tails of every layer, and

.. math:: \Delta \log p = \sum_{k \ge d} \Delta \log q(s_k | s_{<k}).

Chains are the columns ("lanes") of all arrays, 16 side by side in the registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.arithmetic import all_terms
from ..kernels.simd import WIDTH
from ..kernels.sweep import Lanes, Law, Layers, sweep
from ..network import Array, Codes, Network, activate, encode_ordered

LANES = 64
# Multiply-adds a kernel call may take: about 50 ms, so that Ctrl-C is answered soon.
_CHUNK = 1e9
# Proposals after which all units are computed anew: log p is then off by 1e-5 at most.
_REFRESH = 4096
_ACTIVATIONS = {"relu": 0, "tanh": 1, "logistic": 2, "silu": 3}


class Moves(NamedTuple):
    """What may happen to windows of sites; every shift of the states comes with its negative."""

    positions: NDArray[np.intp]  # (n_windows, n_sites of a window), drawing positions, ascending
    shifts: Codes  # (n_windows, n_shifts, n_sites of a window)


class Chains:
    r"""Some chains on :math:`\log w(s) = \lambda \log p(s) + \sum_i \mathrm{tilt}(s_i)`.

    Each chain draws from its own generator, so that it does not depend on its neighbours. One chain runs alone;
    several run in tiles of 16, where copies of the last chain fill the last tile.
    """

    def __init__(
        self,
        network: Network,
        codes: Codes,
        exponent: float,
        tilt: Array,
        generators: Sequence[np.random.Generator],
        window_size: int = 1,
    ):
        self.network, self.generators = network, generators
        self._single = network.astype(np.float32)
        self.layers = _layers(self._single)
        self.set_law(exponent, tilt)
        n_chains, n_lanes = len(codes), WIDTH if len(codes) > 1 else 1
        self.lane = np.minimum(np.arange(-(-n_chains // n_lanes) * n_lanes), n_chains - 1).reshape(-1, n_lanes)
        self.tiles = [_lanes(self.layers, network, n_lanes, window_size) for _ in self.lane]
        self.codes = codes
        self.n_accepted = self.n_proposed = 0

    def set_law(self, exponent: float, tilt: Array) -> None:
        """Let the chains go on at another exponent and tilt."""
        calibration, shape = self.network.calibration, (self.network.n_sites, self.network.n_states)
        if calibration is None:
            contribution, scales, coef = np.zeros(shape), np.zeros(0), np.zeros(0)
        else:
            contribution = np.outer(calibration.direction, calibration.states)[self.network.ordering]
            scales, coef = calibration.scales, calibration.coef[:-1].copy()
        self.law = Law(float(exponent), np.asarray(tilt, np.float64), contribution, scales, coef)

    @property
    def codes(self) -> Codes:
        """The present configurations (n_chains, n_sites), in site order."""
        codes = np.empty((len(self.generators), self.network.n_sites), np.int8)
        for lane, tile in zip(self.lane, self.tiles, strict=True):
            codes[np.ix_(lane, self.network.ordering)] = tile.codes.T
        return codes

    @codes.setter
    def codes(self, codes: Codes) -> None:
        for lane, tile in zip(self.lane, self.tiles, strict=True):
            tile.codes[:] = codes[np.ix_(lane, self.network.ordering)].T
        self._age = _REFRESH

    @property
    def log_prob(self) -> Array:
        """The present log p of every chain, not calibrated."""
        return np.concatenate([tile.log_prob for tile in self.tiles])[: len(self.generators)]

    def sweep(self, n_sweeps: int = 1) -> None:
        """Visit every site of every chain `n_sweeps` times."""
        n_sites, n_choices = self.network.n_sites, self.network.n_states - 1
        for _ in range(n_sweeps):
            uniform = np.stack([generator.random(n_sites) for generator in self.generators], axis=1) * n_choices
            step = np.minimum(uniform.astype(np.int8), n_choices - 1)
            self._offer(np.arange(n_sites)[:, None], step[:, None] + np.int8(1), uniform - step, wraps=True)

    def sweep_windows(self, moves: Moves) -> None:
        """Offer every window of every chain one of its shifts."""
        n_windows, n_shifts, _ = moves.shifts.shape
        window = np.arange(n_windows)
        shift = [moves.shifts[window, generator.integers(n_shifts, size=n_windows)] for generator in self.generators]
        uniform = np.stack([generator.random(n_windows) for generator in self.generators], axis=1)
        self._offer(moves.positions, np.stack(shift, axis=2), uniform, wraps=False)

    def _offer(self, windows: NDArray[np.intp], shift: Codes, uniform: Array, wraps: bool) -> None:
        if self._age >= _REFRESH:
            for tile in self.tiles:
                _refresh(tile, self._single, self.layers, self.law)
            self._age = 0
        self._age += len(windows)
        with np.errstate(divide="ignore"):
            logit = np.log(uniform) - np.log1p(-uniform)
        for lane, tile in zip(self.lane, self.tiles, strict=True):
            work = self.layers.weights.size / 4 * tile.codes.shape[1]
            chunk, n_real = max(1, int(_CHUNK / work)), lane[-1] - lane[0] + 1
            for start in range(0, len(windows), chunk):
                part = slice(start, start + chunk)
                arrays = (np.ascontiguousarray(a[part, ..., lane]) for a in (shift, logit))
                n_accepted = sweep(windows[part], next(arrays), wraps, next(arrays), self.layers, self.law, tile)
                self.n_accepted += n_accepted[:n_real].sum()
        self.n_proposed += len(windows) * len(self.generators)
        if not np.isfinite(self.log_prob).all():
            raise FloatingPointError("the model gives NaN for a configuration reached by Monte Carlo")


def _refresh(tile: Lanes, network: Network, layers: Layers, law: Law) -> None:
    """Compute every unit anew from the configurations, so that rounding errors do not add up."""
    n_lanes = tile.codes.shape[1]
    x = encode_ordered(tile.codes.T, network.n_states, np.float32).T
    tile.inputs[: x.size] = x.ravel()
    pre, hidden = tile.pre.reshape(-1, n_lanes), x
    for weight, bias, start in zip(network.weights, network.biases, WIDTH * layers.starts[:-1], strict=True):
        a = pre[start : start + len(bias)]
        np.matmul(weight.T, hidden, out=a)
        a += bias[:, None]
        hidden = activate(network.activation, a)
    if network.skip is not None:
        a += network.skip.T @ x
    all_terms(n_lanes, tile.inputs, tile.pre, start, tile.parts, tile.terms)
    terms = tile.terms.reshape(-1, n_lanes)
    n_spare = WIDTH * len(terms) - network.n_sites
    tile.log_prob[:] = terms.sum(axis=0, dtype=np.float64) + n_spare * np.log(network.n_states)
    tile.order[:] = np.take_along_axis(law.contribution, tile.codes.astype(np.intp), axis=1).sum(axis=0)


def _blocks(n: int) -> int:
    return -(-n // WIDTH)


def _cut(matrix: Array, n_blocks: int) -> Array:
    """Return a matrix (inputs, units) as rows of 16 units, those of a block one after the other, zeros beyond."""
    padded = np.zeros((len(matrix), WIDTH * n_blocks), np.float32)
    padded[:, : matrix.shape[1]] = matrix
    return padded.reshape(len(matrix), n_blocks, WIDTH).swapaxes(0, 1).reshape(-1, WIDTH)


def _layers(network: Network) -> Layers:
    width, site = network.n_channels, np.arange(network.n_sites)
    n_inputs, n_site_blocks = width * len(site), _blocks(len(site))
    n_blocks = np.array([_blocks(len(bias)) for bias in network.biases[:-1]] + [n_site_blocks * width])
    starts = np.append(0, np.cumsum(n_blocks))
    degrees = [*network.degrees, np.repeat(site, width)]
    matrices = [_cut(w, n) for w, n in zip(network.weights, n_blocks, strict=True)]
    rows, n_rows, stops = np.full((starts[-1], 3), -1), 0, [np.full(4 * n_blocks[0], width)]
    for layer, n in enumerate(n_blocks):
        block = slice(starts[layer], starts[layer + 1])
        rows[block, 0] = n_rows + np.arange(n) * len(network.weights[layer])
        rows[block, 1] = WIDTH * starts[layer - 1] if layer else 0
        n_rows += len(matrices[layer])
        if layer:
            top = degrees[layer][np.minimum(np.arange(3, WIDTH * n, 4), len(degrees[layer]) - 1)]
            stops.append(np.searchsorted(degrees[layer - 1], top, "right"))
    if network.skip is not None:
        rows[starts[-2] :, 2] = n_rows + np.arange(n_blocks[-1]) * n_inputs
        matrices.append(_cut(network.skip, n_blocks[-1]))
    first = np.stack([np.searchsorted(degree, site + 1) for degree in degrees[:-1]] + [site // WIDTH * WIDTH * width])
    need = _needed_blocks(degrees[:-1], len(site))
    need = np.vstack([need, np.arange(1, n_site_blocks + 1) * width]) + starts[:-1, None]
    name = _ACTIVATIONS[network.activation]
    return Layers(np.concatenate(matrices).ravel(), rows, np.concatenate(stops), first, starts, need, name)


def _needed_blocks(degrees: list[NDArray[np.intp]], n_sites: int) -> NDArray[np.intp]:
    """Return how many blocks of every hidden layer each block of 16 sites depends on."""
    need = np.zeros((len(degrees), _blocks(n_sites)), np.intp)
    seen = np.minimum(np.arange(1, _blocks(n_sites) + 1) * WIDTH, n_sites) - 1
    for layer in reversed(range(len(degrees))):
        need[layer] = -(-np.searchsorted(degrees[layer], seen, "right") // WIDTH)
        seen = degrees[layer][np.minimum(WIDTH * need[layer], len(degrees[layer])) - 1]
    return need


def _lanes(layers: Layers, network: Network, n_lanes: int, window_size: int) -> Lanes:
    """Return room for some chains."""
    n_blocks, width, n_units = _blocks(network.n_sites), network.n_channels, WIDTH * layers.starts[-1]

    def room(n: int) -> Array:
        return np.zeros(n * n_lanes, np.float32)

    active = np.zeros((len(layers.first), 1 + max(width, n_units)), np.int64)
    active[0, 0], active[0, 1 : width + 1] = width, np.arange(width)
    return Lanes(
        codes=np.zeros((network.n_sites, n_lanes), np.int8),
        inputs=room(WIDTH * n_blocks * width),
        pre=room(n_units),
        terms=room(n_blocks),
        log_prob=np.zeros(n_lanes),
        order=np.zeros(n_lanes),
        dx=room(window_size * width),
        new_pre=room(n_units),
        change=room(n_units),
        new_terms=room(n_blocks),
        active=active,
        done=np.zeros(len(active), np.int64),
        parts=room(2 * WIDTH),
    )
