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

from ._autoregressive import Array, Codes, Network, encode_ordered, masks
from ._lattice_symmetry import Symmetry, images

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


class MaskedNetwork(torch.nn.Module):
    """The trainable twin of `Network`: weights (out, in), zero wherever the mask is zero.

    Gradients are masked instead of weights: Adam leaves a weight alone that starts at zero and never
    sees a gradient, and a step then costs no more than that of a dense layer.
    """

    def __init__(self, n_sites: int, n_states: int, hidden: Sequence[int], activation: str, skip: bool, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        *layers, skip_mask = (torch.from_numpy(m.T.astype(np.float32)) for m in masks(n_sites, n_states, hidden))
        self.activation = ACTIVATIONS[activation]
        self.n_states = n_states
        self.blocks = [_blocks(mask) for mask in layers]
        self.skip_blocks = _blocks(skip_mask)
        self.weights = torch.nn.ParameterList(_initial(mask, generator) for mask in layers)
        self.biases = torch.nn.ParameterList(torch.zeros(len(mask)) for mask in layers)
        self.skip = torch.nn.Parameter(torch.zeros_like(skip_mask)) if skip else None
        for index, mask in enumerate(layers):
            self.register_buffer(f"mask{index}", mask)
        if skip:
            self.register_buffer("skip_mask", skip_mask)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = inputs
        for weight, bias, blocks in zip(self.weights[:-1], self.biases[:-1], self.blocks[:-1], strict=True):
            hidden = self.activation(_triangular(hidden, weight, bias, blocks))
        output = _triangular(hidden, self.weights[-1], self.biases[-1], self.blocks[-1])
        if self.skip is None:
            return output
        return output + _triangular(inputs, self.skip, torch.zeros_like(self.biases[-1]), self.skip_blocks)

    def loss(self, codes: Codes) -> torch.Tensor:
        """Return the mean of -log p(s) over codes in drawing order, in nats per configuration."""
        device = self.biases[0].device
        inputs = torch.from_numpy(encode_ordered(codes, self.n_states, np.float32)).to(device)
        z = self(inputs)
        if self.n_states == 2:
            return -logsigmoid(inputs * z).sum() / len(codes)
        target = torch.from_numpy(codes.astype(np.int64)).to(device)
        return cross_entropy(z.reshape(-1, self.n_states), target.reshape(-1), reduction="sum") / len(codes)

    def mask_gradients(self) -> None:
        """Forget the gradients of absent weights."""
        for name, weight in [*((f"mask{i}", w) for i, w in enumerate(self.weights)), ("skip_mask", self.skip)]:
            if weight is not None and weight.grad is not None:
                weight.grad.mul_(self.get_buffer(name))

    def load(self, network: Network) -> None:
        """Take over the weights of a network of the same shape."""
        ours, theirs = [*self.weights, *self.biases], [*(w.T for w in network.weights), *network.biases]
        if self.skip is not None and network.skip is not None:
            ours, theirs = [*ours, self.skip], [*theirs, network.skip.T]
        with torch.no_grad():
            for parameter, array in zip(ours, theirs, strict=True):
                parameter.copy_(torch.from_numpy(array))

    def to_numpy(self, ordering: NDArray[np.intp]) -> Network:
        """Return the network as numpy arrays (in, out)."""
        skip = None if self.skip is None else _transposed(self.skip)
        weights, biases = tuple(map(_transposed, self.weights)), tuple(map(_transposed, self.biases))
        name = next(name for name, function in ACTIVATIONS.items() if function is self.activation)
        return Network(weights, biases, skip, ordering, self.n_states, name)


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
    return torch.nn.Parameter((2 * torch.rand(mask.shape, generator=generator) - 1) * bound * mask)


def _transposed(parameter: torch.Tensor) -> Array:
    return np.ascontiguousarray(parameter.detach().cpu().numpy().T)


def train(
    network: MaskedNetwork,
    take: Take,
    rows: NDArray[np.intp],
    held_out: NDArray[np.intp],
    *,
    ordering: NDArray[np.intp],
    symmetry: Symmetry,
    batch_size: int,
    learning_rate: float,
    max_iter: int,
    alpha: float,
    patience: int | None,
    tol: float,
    seed: np.random.SeedSequence,
    report: Callable[[int, History], bool],
) -> tuple[Network, History]:
    """Minimise -log p over `rows` by Adam under a one-cycle learning rate.

    The weights returned are the last ones, or those of the epoch with the best likelihood of the rows
    held out. Where `patience` is given, training stops after as many epochs without a gain of `tol`.
    `report` is called after each epoch and returns whether to stop.
    """
    rng = np.random.default_rng(seed)
    n_batches = math.ceil(len(rows) / batch_size)
    total_steps = max(2, max_iter * n_batches) + 1
    # Adam forgets the large gradients of the beginning within a tenth of the run.
    betas = (0.9, max(0.9, 1 - 10 / total_steps))
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, betas=betas, weight_decay=alpha, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=total_steps)
    history, best, best_score, waited = History(), network.to_numpy(ordering), -math.inf, 0
    for epoch in range(max_iter):
        total = 0.0
        for batch in _batches(rng.permutation(rows), batch_size):
            codes = images(take(batch), network.n_states, symmetry, rng, batch_size)
            total += len(batch) * _step(network, codes[:, ordering], optimizer, schedule)
            if not math.isfinite(total):
                history.stopped = f"epoch {epoch + 1}, learning rate {schedule.get_last_lr()[0]:.3g}"
                if epoch == 0:
                    raise DivergedError(history.stopped)
                return best, history
        history.loss.append(total / len(rows))
        score = -history.loss[-1]
        if len(held_out):
            score = -mean_loss(network, take, held_out, ordering, batch_size)
            history.validation.append(score)
        waited = 0 if score > best_score + tol else waited + 1
        if not len(held_out) or score > best_score:
            best = network.to_numpy(ordering)
        best_score = max(score, best_score)
        if report(epoch, history) or (patience is not None and waited >= patience):
            break
    return best, history


def _step(network: MaskedNetwork, codes: Codes, optimizer: Any, schedule: Any) -> float:
    """Take one optimiser step on a minibatch in drawing order; return the loss before it."""
    loss = network.loss(codes)
    optimizer.zero_grad()
    loss.backward()
    network.mask_gradients()
    optimizer.step()
    schedule.step()
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
