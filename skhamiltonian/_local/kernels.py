"""Single-site moves for an energy with a table of all patterns of a window."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.kernels import next_word
from .._utils.compile import kernel
from .energy import Windows

_LARGEST_EXPONENT = 700.0  # exp(-700) is 0 for random numbers of 53 bits, and exp(700) is finite
_LOG2_E, _LN_2_HIGH, _LN_2_LOW = math.log2(math.e), 0.693147180369123816490, 1.90821492927058770002e-10
_ULP_53 = 2.0**-53
KEPT = 15 / 16  # share of the Metropolis proposals that are not rejected at random


class Terms(NamedTuple):
    """The energy as kernels use it: g of every pattern, and the energy of a single site in each state."""

    table: NDArray[np.float64]
    site_energy: NDArray[np.float64]


class Lanes(NamedTuple):
    """Codes of many chains, and the numbers of the patterns in all their windows."""

    codes: NDArray[np.int8]  # (n_sites, n_lanes)
    number: NDArray[np.int32]  # (n_windows, n_lanes)


def new_lanes(codes: NDArray[np.int8], windows: Windows) -> Lanes:
    """Return codes (n_sites, n_lanes) with the patterns of their windows."""
    return Lanes(codes, pattern_numbers(codes, windows))


@kernel
def pattern_numbers(codes: NDArray[np.int8], windows: Windows) -> NDArray[np.int32]:
    """Return the number of the pattern in every window of every lane, (n_windows, n_lanes); 0 without a window."""
    n_lanes = codes.shape[1]
    n_chains = n_lanes // windows.n_strips
    number = np.zeros((len(windows.sites), n_lanes), np.int32)
    for w in range(len(number)):
        for j in range(len(windows.powers)):
            shift, i = windows.strip[w, j] * n_chains, windows.sites[w, j]
            for lane in range(windows.n_strips_with[w] * n_chains):
                number[w, lane] += np.int32(codes[i, (lane + shift) % n_lanes] * windows.powers[j])
    return number


@kernel
def lane_energies(lanes: Lanes, windows: Windows, terms: Terms) -> NDArray[np.float64]:
    """Return the energy of every lane: the sum over its windows and its sites."""
    codes, number = lanes.codes, lanes.number
    n_lanes = codes.shape[1]
    total = np.zeros(n_lanes)
    for w in range(len(number)):
        for lane in range(windows.n_strips_with[w] * (n_lanes // windows.n_strips)):
            total[lane] += terms.table[number[w, lane]]
    for i in range(len(codes)):
        for lane in range(n_lanes):
            total[lane] += terms.site_energy[codes[i, lane]]
    return total


@kernel
def single_site_sweeps(
    lanes: Lanes,
    n_sweeps: int,
    windows: Windows,
    terms: Terms,
    beta: NDArray[np.float64],
    metropolis: bool,
    streams: NDArray[np.uint64],
) -> None:
    """Visit every site of the cell in turn, `n_sweeps` times, in all lanes at once.

    Equal sites of two strips are at least as far apart as a window is wide, so no window holds both. The heat bath
    draws the new state from exp(-H/T) given all other sites. Metropolis draws one of the K - 1 other states and accepts
    it with probability min(1, exp(-dH/T)). It rejects one proposal in 16 at random, because sweeps in site order would
    otherwise not reach all states (at T = inf each sweep would flip every spin).
    """
    codes, number = lanes.codes, lanes.number
    n_lanes, n_states = codes.shape[1], len(terms.site_energy)
    step, x, log_odds = np.empty(n_lanes, np.int32), np.empty(n_lanes), np.empty((n_states, n_lanes))
    exponent, words, choices = np.empty(n_lanes, np.int64), np.empty(n_lanes, np.uint64), np.empty(n_lanes, np.uint64)
    power_of_two = exponent.view(np.float64)
    for _ in range(n_sweeps):
        for i in range(len(codes)):
            for lane in range(n_lanes):
                words[lane] = next_word(streams, lane)
            if metropolis and n_states > 2:
                for lane in range(n_lanes):
                    choices[lane] = next_word(streams, lane)
            if metropolis or n_states == 2:
                propose(step, choices, codes[i], n_states)
                energy_change(x, step, codes[i], number, i, windows, terms)
                accept(step, x, beta, metropolis, words, exponent, power_of_two)
            else:
                for code in range(n_states):
                    for lane in range(n_lanes):
                        step[lane] = code - codes[i, lane]
                    energy_change(log_odds[code], step, codes[i], number, i, windows, terms)
                draw_step(step, log_odds, codes[i], beta, words)
            change(step, codes[i], number, i, windows)


@kernel
def propose(step: NDArray[np.int32], choices: NDArray[np.uint64], codes: NDArray[np.int8], n_states: int) -> None:
    """Set the step from the code to another code; with more than two states the words `choices` decide to which."""
    if n_states == 2:
        for lane in range(len(step)):
            step[lane] = 1 - 2 * codes[lane]
    else:
        for lane in range(len(step)):
            new = np.int32(np.float64(np.int64(choices[lane] >> np.uint64(11))) * _ULP_53 * (n_states - 1))
            step[lane] = new + np.int32(new >= codes[lane]) - codes[lane]


@kernel
def energy_change(
    x: NDArray[np.float64],
    step: NDArray[np.int32],
    codes: NDArray[np.int8],
    number: NDArray[np.int32],
    i: int,
    windows: Windows,
    terms: Terms,
) -> None:
    """Set x to the change of the energy by the step of site i in every lane; `codes` are the codes of this site."""
    n_lanes = len(x)
    n_chains = n_lanes // windows.n_strips
    for lane in range(n_lanes):
        x[lane] = terms.site_energy[codes[lane] + step[lane]] - terms.site_energy[codes[lane]]
    for entry in range(windows.start[i], windows.start[i + 1]):
        old, shift = number[windows.window[entry]], windows.shift[entry] * n_chains
        n_with = windows.n_strips_with[windows.window[entry]] * n_chains
        n, weight = min(n_with, n_lanes - shift), windows.weight[entry]
        _add_change(x[shift : shift + n], old[:n], step[shift : shift + n], weight, terms.table)
        if n < n_with:
            _add_change(x[: n_with - n], old[n:n_with], step[: n_with - n], weight, terms.table)


@kernel
def _add_change(
    x: NDArray[np.float64], number: NDArray[np.int32], step: NDArray[np.int32], weight: int, table: NDArray[np.float64]
) -> None:
    for lane in range(len(x)):
        x[lane] += table[np.uint32(number[lane] + step[lane] * weight)] - table[np.uint32(number[lane])]


@kernel
def accept(
    step: NDArray[np.int32],
    x: NDArray[np.float64],
    beta: NDArray[np.float64],
    metropolis: bool,
    words: NDArray[np.uint64],
    exponent: NDArray[np.int64],
    power_of_two: NDArray[np.float64],
) -> None:
    """Set the step to 0 in the lanes that do not accept it.

    exp y = 2^n exp(f) with |f| <= ln 2 / 2. The bits of 2^n are written directly: `power_of_two` is a view of
    `exponent`.
    """
    for lane in range(len(step)):
        y = min(max(x[lane] * beta[lane], -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
        n = math.floor(y * _LOG2_E + 0.5)
        f = (y - n * _LN_2_HIGH) - n * _LN_2_LOW
        exp_f = 1 / 39916800 + f * (1 / 479001600 + f * (1 / 6227020800))
        exp_f = 1 / 40320 + f * (1 / 362880 + f * (1 / 3628800 + f * exp_f))
        exp_f = 1 / 120 + f * (1 / 720 + f * (1 / 5040 + f * exp_f))
        exp_f = 1.0 + f * (1.0 + f * (1 / 2 + f * (1 / 6 + f * (1 / 24 + f * exp_f))))
        exponent[lane] = (np.int64(n) + 1023) << 52
        x[lane] = exp_f
    if metropolis:
        for lane in range(len(step)):
            u = np.float64(np.int64(words[lane] >> np.uint64(11))) * _ULP_53
            below = (u * (x[lane] * power_of_two[lane]) < KEPT) & (u < KEPT)
            step[lane] = step[lane] if below else 0
    else:
        for lane in range(len(step)):
            u = np.float64(np.int64(words[lane] >> np.uint64(11))) * _ULP_53
            step[lane] = step[lane] if u * (1.0 + x[lane] * power_of_two[lane]) < 1.0 else 0


@kernel
def draw_step(
    step: NDArray[np.int32],
    x: NDArray[np.float64],
    codes: NDArray[np.int8],
    beta: NDArray[np.float64],
    words: NDArray[np.uint64],
) -> None:
    """Set the step to a state drawn with probability exp(-x / T), x (n_states, n_lanes); x is overwritten."""
    for lane in range(len(step)):
        lowest, total = x[0, lane], 0.0
        for code in range(1, len(x)):
            lowest = min(lowest, x[code, lane])
        for code in range(len(x)):
            total += math.exp((lowest - x[code, lane]) * beta[lane])
            x[code, lane] = total
        target = np.float64(np.int64(words[lane] >> np.uint64(11))) * _ULP_53 * total
        new = 0
        while x[new, lane] <= target:
            new += 1
        step[lane] = new - codes[lane]


@kernel
def change(
    step: NDArray[np.int32], codes: NDArray[np.int8], number: NDArray[np.int32], i: int, windows: Windows
) -> None:
    """Add the steps to the codes of site i, and update the patterns of its windows."""
    n_lanes = len(step)
    n_chains = n_lanes // windows.n_strips
    for lane in range(n_lanes):
        codes[lane] += np.int8(step[lane])
    for entry in range(windows.start[i], windows.start[i + 1]):
        old, shift = number[windows.window[entry]], windows.shift[entry] * n_chains
        n_with = windows.n_strips_with[windows.window[entry]] * n_chains
        n, weight = min(n_with, n_lanes - shift), windows.weight[entry]
        _add_step(old[:n], step[shift : shift + n], weight)
        if n < n_with:
            _add_step(old[n:n_with], step[: n_with - n], weight)


@kernel
def _add_step(number: NDArray[np.int32], step: NDArray[np.int32], weight: int) -> None:
    for lane in range(len(number)):
        number[lane] += step[lane] * weight
