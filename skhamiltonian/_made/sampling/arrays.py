"""What the compiled sweep reads and writes: the weights, the law, and the chains, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..network import Codes

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]

# Sites whose log q is one number: the product of their 16 normalisers takes one logarithm and does not overflow.
BLOCK = 16
# Tails start and end at multiples of what the compiler makes one step of a loop.
ALIGN = 16
# Rows of weights that are added together.
GROUP = 4


class Layers(NamedTuple):
    """The weights of a network: matrix l leads to layer l, the last layer is the logits; skip weights come last."""

    weights: F32  # flat, of every row the part that is not masked
    rows: U64  # (n_matrices, n_inputs), where the weight from an input to the first unit would stand
    lows: U64  # (n_matrices, n_inputs), the first unit that sees an input, rounded down
    starts: U64  # (n_layers, n_sites), the first unit of each layer that sees a site, rounded down
    stops: U64  # (n_layers,), the padded number of units
    activation: int
    has_skip: bool
    inputs: F32  # (n_states, n_inputs), what a state shows
    basis: F32  # (n_outputs, n_states), what the outputs of a site add to the logits of its states


class Target(NamedTuple):
    """The law of the chains as arrays, sites in drawing order."""

    exponent: float
    tilt: F64  # (n_sites, n_states)
    contribution: F64  # (n_components, n_sites, n_states), what a state adds to the order parameter
    scales: F64
    coef: F64  # empty without a calibration


class State(NamedTuple):
    """All that is known about some chains, and room for the proposal that is being judged."""

    codes: Codes  # (n_chains, n_sites)
    inputs: F32  # (n_chains, n_inputs)
    pre: F32  # (n_chains, n_layers, n_units), pre-activations
    hidden: F32  # (n_chains, n_layers, n_units), activations
    terms: F64  # (n_chains, n_blocks), log q summed over the sites of a block
    log_prob: F64
    order: F64  # (n_chains, n_components)
    new_order: F64
    new_pre: F32  # (n_layers, n_units)
    new_hidden: F32
    new_terms: F64
    listed: U64  # (n_layers, n_units), which inputs of a layer change
    change: F32  # by how much
    parts: F32  # (3, n_sites or n_states), a and b of every site, and the logits of one
