"""Training of a network on windows by pseudo-likelihood; only this file of the room imports torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .network import WindowNetwork, inputs, n_inputs
from .observations import Neighbourhoods, WindowGeometry

Symmetry = Callable[[np.random.Generator], tuple[NDArray[np.intp], bool]]


class DivergedError(ArithmeticError):
    """The loss became NaN or infinite before one epoch was finished."""


@dataclass
class History:
    """The results of the epochs of a training."""

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    stopped: str = ""
    """The epoch and learning rate at which the loss became NaN or infinite; empty if it did not."""


@dataclass(frozen=True)
class Course:
    """The length and the speed of training."""

    batch_size: int
    learning_rate: float
    max_iter: int
    sparsity: float  # decrease of each weight in an update, in learning rates


class WindowModule(torch.nn.Module):
    """The function of `WindowNetwork` for one copy of a window, with trainable weights."""

    def __init__(self, geometry: WindowGeometry, hidden: Sequence[int], seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = [n_inputs(geometry), *hidden, 1]
        self.n_states = geometry.n_states
        self.places = geometry.window_places()
        self.weights = torch.nn.ParameterList(_initial(pair, generator) for pair in itertools.pairwise(sizes))
        self.biases = torch.nn.ParameterList(_zeros(size) for size in sizes[1:])
        self.site_coef = _zeros(sizes[0])
        self.pair_coef = _zeros(sizes[0], sizes[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x @ self.site_coef + ((x @ self.pair_coef) * x).sum(-1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.tanh(torch.addmm(bias, x, weight))
        return out + torch.addmm(self.biases[-1], x, self.weights[-1])[:, 0]

    def loss(self, sites: Neighbourhoods) -> torch.Tensor:
        """Return the weighted sum of -log p(site | rest)."""
        windows = np.repeat(sites.codes[:, None], self.n_states, axis=1)
        windows[:, :, 0] = np.arange(self.n_states)
        x = torch.from_numpy(
            inputs(windows[:, :, self.places].reshape(-1, len(self.places)), self.n_states, np.float32)
        )
        energy = self(x).reshape(len(sites), self.n_states, len(self.places)).sum(2)
        log_p = torch.log_softmax(-torch.from_numpy(sites.ratio)[:, None] * energy, 1)
        own = log_p.gather(1, torch.from_numpy(sites.codes[:, :1].astype(np.int64)))[:, 0]
        return -(own * torch.from_numpy(sites.weight)).sum()

    def shrink(self, threshold: float) -> None:
        """Move every weight by `threshold` towards zero, at most to zero."""
        with torch.no_grad():
            for weight in [*self.weights, self.site_coef, self.pair_coef]:
                weight.sub_(weight.clamp(-threshold, threshold))

    def arrays(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]], NDArray[Any], NDArray[Any]]:
        """Return copies of weights, biases, and the coefficients of sites and pairs."""
        weights, biases = ([_array(p) for p in each] for each in (self.weights, self.biases))
        return weights, biases, _array(self.site_coef), _array(self.pair_coef)

    def load(self, network: WindowNetwork) -> None:
        """Copy the weights of a network of the same shape."""
        ours = [*self.weights, *self.biases, self.site_coef, self.pair_coef]
        theirs = [*network.weights, *network.biases, network.site_coef, network.pair_coef]
        if [tuple(p.shape) for p in ours] != [array.shape for array in theirs]:
            raise ValueError(
                "training cannot continue with other states, window_shape or hidden_layer_sizes than before"
            )
        with torch.no_grad():
            for parameter, array in zip(ours, theirs, strict=True):
                parameter.copy_(torch.from_numpy(array))


def _initial(shape: tuple[int, int], generator: torch.Generator) -> torch.nn.Parameter:
    """Return uniform weights of variance 1/(3 fan-in)."""
    values = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
    return torch.nn.Parameter((2 * values - 1) / math.sqrt(shape[0]))


def _zeros(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(shape, dtype=torch.float32, device="cpu"))


def _array(parameter: torch.Tensor) -> NDArray[Any]:
    return parameter.detach().numpy().copy()


@torch.enable_grad()
def train(
    module: WindowModule,
    sites: Neighbourhoods,
    held_out: Neighbourhoods,
    symmetry: Symmetry,
    course: Course,
    report: Callable[[int, float], bool],
    rng: np.random.Generator,
) -> tuple[tuple[Any, ...], History]:
    """Minimise the -log pseudo-likelihood by Adam with a soft threshold and a one-cycle learning rate.

    Each minibatch is replaced by a random symmetric copy. Return the arrays of the last epoch, or of the epoch with the
    best likelihood of the sites held out.
    """
    n_batches = math.ceil(len(sites) / course.batch_size)
    total_steps = max(2, course.max_iter * n_batches) + 1
    betas = (0.9, max(0.9, 1 - 10 / total_steps))
    optimizer = torch.optim.Adam(module.parameters(), lr=course.learning_rate, betas=betas)
    warm_up = max(0.1, 2 / total_steps)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, course.learning_rate, total_steps, pct_start=warm_up)
    history, best, best_score = History(), module.arrays(), -math.inf
    for epoch in range(course.max_iter):
        total = 0.0
        for batch in np.array_split(rng.permutation(len(sites)), n_batches):
            part = _copy_of(sites.part(batch), symmetry(rng), module.n_states)
            loss = module.loss(part)
            optimizer.zero_grad()
            (loss / float(part.weight.sum())).backward()
            optimizer.step()
            module.shrink(course.sparsity * float(schedule.get_last_lr()[0]))
            schedule.step()
            total += loss.item()
            if not math.isfinite(total):
                history.stopped = f"epoch {epoch + 1}, learning rate {schedule.get_last_lr()[0]:.3g}"
                if epoch == 0:
                    raise DivergedError(history.stopped)
                return best, history
        history.loss.append(total / float(sites.weight.sum()))
        score = -history.loss[-1]
        if len(held_out):
            score = -_mean_loss(module, held_out, course.batch_size)
            history.validation.append(score)
        if not len(held_out) or score > best_score:
            best, best_score = module.arrays(), score
        if report(epoch, history.loss[-1]):
            break
    return best, history


def _copy_of(sites: Neighbourhoods, element: tuple[NDArray[np.intp], bool], n_states: int) -> Neighbourhoods:
    permutation, flipped = element
    codes = sites.codes[:, permutation]
    return Neighbourhoods(n_states - 1 - codes if flipped else codes, sites.ratio, sites.weight, sites.row)


def _mean_loss(module: WindowModule, sites: Neighbourhoods, batch_size: int) -> float:
    with torch.no_grad():
        parts = (sites.part(slice(start, start + batch_size)) for start in range(0, len(sites), batch_size))
        return sum(module.loss(part).item() for part in parts) / float(sites.weight.sum())
