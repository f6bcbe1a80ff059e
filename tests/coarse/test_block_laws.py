"""Coarse Hamiltonians against exact answers: enumerated block spins, and replicas of spins with equal block sums."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from skhamiltonian import BlockSpinTransformer, IsingSampler, MADEHamiltonian, phase_curve
from skhamiltonian._utils.alphabet import enumerate_states

T0 = 2.5


def enumerated_blocks(blocks):
    """Return the states of the blocks of 4 x 4 spins and their probabilities at T0."""
    s = enumerate_states((-1, 1), 16).astype(np.int8)
    weight = np.exp(-IsingSampler(lattice_shape=(4, 4)).energy(s) / T0)
    S, index = np.unique(blocks.fit_transform(s), axis=0, return_inverse=True)
    return S, np.bincount(index.ravel(), weights=weight / weight.sum())


def tempered_magnetization(S, p, T):
    tempered = p ** (T0 / T)
    return tempered @ np.abs(S.mean(axis=1) / 4) / tempered.sum()


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize("stride", [2, 1])
def test_tempered_blocks_of_a_small_lattice_are_enumerated(stride, boundary):
    """Within 0.01 of the enumerated marginal law, tempered the same way.

    Overlapping blocks at T = 4 are within 0.02: the network leaves 1 % on states that no spins have, out of 10^4 times
    as many as there are, and p^0.6 makes that more.
    """
    blocks = BlockSpinTransformer(block_size=2, stride=stride, lattice_shape=(4, 4), boundary=boundary)
    S, p = enumerated_blocks(blocks)
    X = IsingSampler(lattice_shape=(4, 4), temperature=T0, random_state=0).sample(n_samples=100_000 // stride)
    symmetries = ("point-group", "spin-flip", *(["translation"] if boundary == "periodic" else []))
    made = MADEHamiltonian(
        T0,
        hidden_layer_sizes=(128 * (3 - stride),),
        lattice_shape=blocks.lattice_shape_out_,
        symmetries=symmetries,
        max_iter=20,
        random_state=0,
    )
    T = [1.5, 2.0, 2.5, 3.0, 4.0]
    curve = phase_curve(make_pipeline(blocks, made).fit(X), T, n_samples=80_000, random_state=0)
    exact = [tempered_magnetization(S, p, temperature) for temperature in T]
    off = np.abs(curve["abs_magnetization"].value - exact)
    assert off[:4].max() < 0.01
    assert off[4] < (0.01 if stride == 2 else 0.02)


def replica_magnetization(length, n_chains, n_sweeps, rng):
    """Return <|m|> and its error of p(S)^2, S the sums of 2 x 2 tiles of an Ising torus at T0.

    p(S)^2 is the law of two copies of the spins under the condition of equal tiles. Copies exchange two spins of a
    tile, or turn over one each, of the same sign and in the same tile; tiles of one colour of a chessboard at once.
    """
    s = np.ones((2, n_chains, length, length), np.int8)
    s[:, ::2] = -1
    n = length // 2
    black = np.indices((n, n)).sum(axis=0) % 2 == 0
    chain, row, column = np.ix_(np.arange(n_chains), np.arange(n), np.arange(n))
    m = np.empty((n_sweeps, n_chains))
    for sweep in range(n_sweeps):
        for colour in (black, ~black):
            for kind in ("exchange", "exchange", "flip", "flip"):
                (a, b), site = rng.integers(2, size=2), rng.integers(2, size=(2, 2, n_chains, n, n))
                a, b = (a, a) if kind == "exchange" else (0, 1)
                first, second = ((chain, 2 * row + i, 2 * column + j) for i, j in site)
                x, y = s[a][first], s[b][second]
                change = 2 * x * neighbours(s[a])[first] + 2.0 * y * neighbours(s[b])[second]
                if kind == "exchange":
                    adjacent = np.abs(site[0] - site[1]).sum(axis=0) == 1
                    change = change - 4 * x * y * adjacent
                    allowed = x != y
                else:
                    allowed = x == y
                accepted = allowed & colour & (rng.random(x.shape) < np.exp(-change / T0))
                s[a][first] = np.where(accepted, -x, x)
                s[b][second] = np.where(accepted, -y, s[b][second])
        m[sweep] = np.abs(s[0].mean(axis=(1, 2)))
    m = m[n_sweeps // 5 :].mean(axis=0)
    return m.mean(), m.std(ddof=1) / np.sqrt(n_chains)


def neighbours(s):
    return sum(np.roll(s, shift, axis) for shift in (-1, 1) for axis in (1, 2))


def test_replicas_are_the_square_of_the_law_of_blocks():
    blocks = BlockSpinTransformer(block_size=2, lattice_shape=(4, 4))
    exact = tempered_magnetization(*enumerated_blocks(blocks), T0 / 2)
    assert exact == pytest.approx(0.981566, abs=1e-6)
    value, error = replica_magnetization(4, 128, 1000, np.random.default_rng(0))
    assert error < 9.9e-4
    assert abs(value - exact) < 4 * error


@pytest.mark.slow
def test_tiles_of_a_large_lattice_at_half_the_temperature():
    """The one exact check of a coarse prediction where nothing can be enumerated."""
    blocks = BlockSpinTransformer(block_size=2, lattice_shape=(16, 16))
    X = IsingSampler(lattice_shape=(16, 16), temperature=T0, random_state=0).sample(n_samples=60_000)
    made = MADEHamiltonian(
        T0,
        hidden_layer_sizes=(256,),
        lattice_shape=(8, 8),
        symmetries=("translation", "point-group", "spin-flip"),
        max_iter=10,
        random_state=0,
    )
    curve = phase_curve(make_pipeline(blocks, made).fit(X), [T0 / 2], n_samples=10_000, random_state=0)
    value, error = replica_magnetization(16, 160, 1000, np.random.default_rng(0))
    assert error < 3e-4
    assert abs(curve["abs_magnetization"].value[0] - value) < 0.002
