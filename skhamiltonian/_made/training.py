"""Maximum-likelihood training of the masked network: the only file that imports torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, linear, logsigmoid

from .._lattice.symmetry import Symmetry, symmetric_copies
from .._utils.alphabet import Alphabet
from .network import Array, Codes, Network, layer_masks, skip_mask
from .parameters import Schedule

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid, "silu": torch.nn.functional.silu}
# Blocks of a masked product: half of a matrix is zero, but small products are slow.
_SIZE_OF_A_BLOCK = 64
_MAX_BLOCKS = 8

Take = Callable[[NDArray[np.intp]], Codes]


class DivergedError(ArithmeticError):
    """The loss became NaN or infinite before one epoch was finished."""


@dataclass
class History:
    """What training did, epoch by epoch."""

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    stopped: str = ""
    """Where the loss became NaN or infinite, empty if it did not."""


@dataclass(frozen=True)
class Whitening:
    """What the sites drawn before a site leave of it in linear prediction: its innovation, ``matrix @ (v - mean)``.

    ``v`` is the value of every site in drawing order; ``matrix`` is lower triangular.
    """

    values: Array
    mean: Array
    matrix: Array


class MaskedNetwork(torch.nn.Module):
    """The trainable twin of `Network`: weights (out, in), zero wherever the mask is zero.

    Gradients are masked instead of weights: Adam leaves a weight alone that starts at zero and never
    sees a gradient, and a step then costs no more than that of a dense layer.

    With a `whitening` every site has its innovation as one more input. Innovations are linear in the sites seen so
    far, so that their weights become part of the others' in the end.
    """

    def __init__(
        self,
        n_sites: int,
        alphabet: Alphabet,
        hidden: Sequence[int],
        activation: str,
        skip: bool,
        seed: int,
        whitening: Whitening | None = None,
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        width = alphabet.n_inputs + (whitening is not None), alphabet.n_outputs
        layers = [_tensor(mask) for mask in layer_masks(n_sites, *width, hidden)]
        self.activation, self.activation_name = ACTIVATIONS[activation], activation
        self.alphabet = alphabet
        self.whitening = whitening
        if whitening is not None:
            self.register_buffer("matrix", torch.from_numpy(whitening.matrix.T.astype(np.float32)))
            self.register_buffer("offset", torch.from_numpy((-whitening.matrix @ whitening.mean).astype(np.float32)))
        self.blocks = [_blocks(mask) for mask in layers]
        self.weights = torch.nn.ParameterList(_initial(mask, generator) for mask in layers)
        self.biases = torch.nn.ParameterList(torch.zeros(len(mask), dtype=torch.float32) for mask in layers)
        self.register_buffer("basis", torch.from_numpy(alphabet.basis.T.astype(np.float32)))
        self.skip = None
        for index, mask in enumerate(layers):
            self.register_buffer(f"mask{index}", mask)
        if skip:
            self.register_buffer("skip_mask", _tensor(skip_mask(n_sites, *width)))
            self.skip_blocks = _blocks(self.get_buffer("skip_mask"))
            self.skip = torch.nn.Parameter(torch.zeros_like(self.get_buffer("skip_mask")))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = inputs
        for weight, bias, blocks in zip(self.weights[:-1], self.biases[:-1], self.blocks[:-1], strict=True):
            hidden = self.activation(_triangular(hidden, weight, bias, blocks))
        output = _triangular(hidden, self.weights[-1], self.biases[-1], self.blocks[-1])
        if self.skip is None:
            return output
        return output + _triangular(inputs, self.skip, torch.zeros_like(self.biases[-1]), self.skip_blocks)

    def loss(self, codes: Codes) -> torch.Tensor:
        """Return the mean of -log p(s) over codes in drawing order, in nats per configuration.

        For angles p is a density per radian.
        """
        device = self.biases[0].device
        states = torch.from_numpy(self.alphabet.show(codes, np.float32)).to(device)
        y = self(self._with_innovations(states, codes))
        if self.alphabet.n_states == 2:  # a fifth of a step less than the cross entropy of two logits
            return -logsigmoid(states * y).sum() / len(codes)
        target = torch.from_numpy(codes.astype(np.int64)).to(device)
        z = y.reshape(-1, self.alphabet.n_outputs)
        if self.alphabet.n_outputs < self.alphabet.n_states:
            z = z @ self.basis
        shift = codes.shape[1] * self.alphabet.log_cell
        return cross_entropy(z, target.reshape(-1), reduction="sum") / len(codes) + shift

    def _with_innovations(self, states: torch.Tensor, codes: Codes) -> torch.Tensor:
        if self.whitening is None:
            return states
        values = torch.from_numpy(self.whitening.values.astype(np.float32)[codes]).to(states.device)
        innovations = torch.addmm(self.get_buffer("offset"), values, self.get_buffer("matrix"))
        return torch.cat([states.reshape(*codes.shape, -1), innovations[:, :, None]], 2).reshape(len(codes), -1)

    def mask_gradients(self) -> None:
        """Forget the gradients of absent weights."""
        for name, weight in [*((f"mask{i}", w) for i, w in enumerate(self.weights)), ("skip_mask", self.skip)]:
            if weight is not None and weight.grad is not None:
                weight.grad.mul_(self.get_buffer(name))

    def shrink(self, threshold: float) -> None:
        """Move every weight by `threshold` towards zero, and not beyond."""
        with torch.no_grad():
            for weight in [*self.weights, *([] if self.skip is None else [self.skip])]:
                weight.sub_(weight.clamp(-threshold, threshold))

    def load(self, network: Network) -> None:
        """Take over the weights of a network of the same shape."""
        ours, theirs = [*self.weights, *self.biases], [*(w.T for w in network.weights), *network.biases]
        if self.skip is not None and network.skip is not None:
            ours, theirs = [*ours, self.skip], [*theirs, network.skip.T]
        with torch.no_grad():
            for parameter, array in zip(ours, theirs, strict=True):
                if parameter.shape != array.shape:  # innovations begin without weight
                    by_site = array.reshape(len(array), network.n_sites, -1)
                    array = np.append(by_site, np.zeros_like(by_site[:, :, :1]), axis=2).reshape(len(array), -1)
                parameter.copy_(torch.from_numpy(array))

    def to_numpy(self, ordering: NDArray[np.intp]) -> Network:
        """Return the network as numpy arrays (in, out), without innovations."""
        skip = None if self.skip is None else _transposed(self.skip)
        weights, biases = [*map(_transposed, self.weights)], [*map(_transposed, self.biases)]
        if self.whitening is not None:
            weights[0], shift = _without_innovations(weights[0], self.whitening, self.alphabet)
            biases[0] = biases[0] + shift
            if skip is not None:
                skip, shift = _without_innovations(skip, self.whitening, self.alphabet)
                biases[-1] = biases[-1] + shift
        return Network(tuple(weights), tuple(biases), skip, ordering, self.alphabet, self.activation_name)


def _tensor(mask: NDArray[np.bool_]) -> torch.Tensor:
    return torch.from_numpy(mask.T.astype(np.float32))


Blocks = list[tuple[slice, slice]]


class _BlockTriangular(torch.autograd.Function):
    """inputs @ weight.T + bias for a weight that is zero outside some blocks (rows, first columns)."""

    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, blocks: Blocks
    ) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.blocks = blocks
        output = inputs.new_empty(len(inputs), len(weight))
        for rows, columns in blocks:
            torch.addmm(bias[rows], inputs[:, columns], weight[rows, columns].T, out=output[:, rows])
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, None]:
        inputs, weight = ctx.saved_tensors
        to_inputs = torch.zeros_like(inputs) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight)
        for rows, columns in ctx.blocks:
            torch.mm(gradient[:, rows].T, inputs[:, columns], out=to_weight[rows, columns])
            if to_inputs is not None:
                to_inputs[:, columns].addmm_(gradient[:, rows], weight[rows, columns])
        return to_inputs, to_weight, gradient.sum(0), None


def _triangular(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, blocks: Blocks) -> torch.Tensor:
    if len(blocks) == 1:
        return linear(inputs, weight, bias)
    return _BlockTriangular.apply(inputs, weight, bias, blocks)


def _blocks(mask: torch.Tensor) -> Blocks:
    """Return slices (rows, columns) that cover a block-triangular mask (out, in)."""
    n_rows = len(mask)
    n_blocks = min(_MAX_BLOCKS, max(1, min(mask.shape) // _SIZE_OF_A_BLOCK))
    edges = [n_rows * i // n_blocks for i in range(n_blocks + 1)]
    # Rows ascend: the last one of a block sees most.
    return [(slice(a, b), slice(0, int(mask[b - 1].sum()))) for a, b in itertools.pairwise(edges)]


def _initial(mask: torch.Tensor, generator: torch.Generator) -> torch.nn.Parameter:
    """Return uniform weights of variance 1/(3 fan-in), the fan-in counted after masking."""
    bound = mask.sum(1, keepdim=True).clamp(min=1).rsqrt()
    uniform = torch.rand(mask.shape, generator=generator, dtype=torch.float32)
    return torch.nn.Parameter((2 * uniform - 1) * bound * mask)


def _transposed(parameter: torch.Tensor) -> Array:
    return np.array(parameter.detach().cpu().numpy().T, order="C")  # a copy: training goes on in the original


def _without_innovations(weight: Array, whitening: Whitening, alphabet: Alphabet) -> tuple[Array, Array]:
    """Return weights (in, out) that do on states what these do on states and innovations, and a shift of the bias."""
    by_site = weight.reshape(len(whitening.matrix), -1, weight.shape[1]).astype(np.float64)
    on_values = whitening.matrix.T @ by_site[:, -1]
    # Values are linear in the inputs, whose columns are orthogonal.
    per_input = alphabet.inputs.T @ whitening.values / (alphabet.inputs**2).sum(axis=0)
    folded = by_site[:, :-1] + per_input[:, None] * on_values[:, None]
    return folded.reshape(-1, weight.shape[1]).astype(np.float32), -(whitening.mean @ on_values).astype(np.float32)


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a fit: which are trained on, which are held out, and how a minibatch of them is read."""

    take: Take
    train: NDArray[np.intp]
    held_out: NDArray[np.intp]
    ordering: NDArray[np.intp]
    symmetry: Symmetry

    def minibatch(self, rows: NDArray[np.intp], rng: np.random.Generator, batch_size: int) -> Codes:
        """Return the codes of some rows in drawing order, all seen through one random symmetry."""
        return symmetric_copies(self.take(rows), self.symmetry, rng, batch_size)[:, self.ordering]


def train(
    network: MaskedNetwork,
    rows: TrainingRows,
    schedule: Schedule,
    seed: np.random.SeedSequence,
    report: Callable[[int, History], bool],
) -> tuple[Network, History]:
    """Minimise -log p over the rows by Adam with a soft threshold, under a one-cycle learning rate.

    The weights returned are the last ones, or those of the epoch with the best likelihood of the rows
    held out. With a `patience`, training stops after as many epochs without a gain of `tol`.
    `report` is called after each epoch and returns whether to stop.
    """
    rng, batch_size = np.random.default_rng(seed), schedule.batch_size
    optimizer, rate = _optimizer(network, schedule, math.ceil(len(rows.train) / batch_size))
    history, best, best_score, waited = History(), network.to_numpy(rows.ordering), -math.inf, 0
    for epoch in range(schedule.max_iter):
        total = 0.0
        for batch in _batches(rng.permutation(rows.train), batch_size):
            codes = rows.minibatch(batch, rng, batch_size)
            total += len(batch) * _step(network, codes, optimizer, rate, schedule.sparsity)
            if not math.isfinite(total):
                history.stopped = f"epoch {epoch + 1}, learning rate {rate.get_last_lr()[0]:.3g}"
                if epoch == 0:
                    raise DivergedError(history.stopped)
                return best, history
        history.loss.append(total / len(rows.train))
        score = -history.loss[-1]
        if len(rows.held_out):
            score = -mean_loss(network, rows.take, rows.held_out, rows.ordering, batch_size)
            history.validation.append(score)
        waited = 0 if score > best_score + schedule.tol else waited + 1
        if not len(rows.held_out) or score > best_score:
            best = network.to_numpy(rows.ordering)
        best_score = max(score, best_score)
        if report(epoch, history) or (schedule.patience is not None and waited >= schedule.patience):
            break
    return best, history


def _optimizer(network: MaskedNetwork, schedule: Schedule, n_batches: int) -> tuple[Any, Any]:
    """Return Adam and its one-cycle learning rate."""
    total_steps = max(2, schedule.max_iter * n_batches) + 1
    # Adam forgets the large gradients of the beginning within a tenth of the run. The schedule moves the first of the
    # two, the momentum, between 0.95 and, at the largest rate, 0.85.
    betas, lr = (0.9, max(0.9, 1 - 10 / total_steps)), schedule.learning_rate
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, betas=betas, weight_decay=schedule.alpha, fused=True)
    warm_up = max(0.1, 2 / total_steps)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps, pct_start=warm_up)


def _step(network: MaskedNetwork, codes: Codes, optimizer: Any, rate: Any, sparsity: float) -> float:
    """Take one optimiser step on a minibatch in drawing order; return the loss before it."""
    loss = network.loss(codes)
    optimizer.zero_grad()
    loss.backward()
    network.mask_gradients()
    optimizer.step()
    network.shrink(sparsity * rate.get_last_lr()[0])
    rate.step()
    return loss.item()


def _batches(rows: NDArray[np.intp], batch_size: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


def mean_loss(
    network: MaskedNetwork, take: Take, rows: NDArray[np.intp], ordering: NDArray[np.intp], batch_size: int
) -> float:
    """Return the mean of -log p over `rows`, in nats per configuration."""
    with torch.no_grad():
        losses = [network.loss(take(b)[:, ordering]).item() * len(b) for b in _batches(rows, batch_size)]
    return sum(losses) / len(rows)
