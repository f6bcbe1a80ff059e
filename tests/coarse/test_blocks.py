"""Block spins: brute force for every block, stride, boundary and dimension."""

import itertools
import math
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import BlockSpinTransformer

RULES = ("sum", "mean", "majority", "decimation")


@parametrize_with_checks([BlockSpinTransformer(), *(BlockSpinTransformer(1, rule=rule) for rule in RULES)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def majority(sites):
    """The most frequent value; of tied ones the first met."""
    return max(sites, key=lambda value: (sites.count(value), -sites.index(value)))


BRUTE_FORCE = {"sum": sum, "mean": lambda sites: sum(sites) / len(sites), "majority": majority,
               "decimation": lambda sites: sites[0]}  # fmt: skip


def blocks_by_hand(lattice, block_size, stride, boundary):
    """Yield the list of sites of every block of one lattice, site by site."""
    starts = [
        [i for i in range(0, length, d) if boundary == "periodic" or i + b <= length]
        for length, b, d in zip(lattice.shape, block_size, stride, strict=True)
    ]
    for corner in itertools.product(*starts):
        offsets = itertools.product(*map(range, block_size))
        yield [
            lattice[tuple((i + o) % n for i, o, n in zip(corner, offset, lattice.shape, strict=True))].item()
            for offset in offsets
        ]


@st.composite
def geometries(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    block_size = tuple(draw(st.integers(1, length)) for length in shape)
    stride = tuple(draw(st.integers(1, 4)) for _ in shape)
    return shape, block_size, stride


@settings(max_examples=400, deadline=None)
@given(
    geometry=geometries(),
    boundary=st.sampled_from(("open", "periodic")),
    rule=st.sampled_from(RULES),
    states=st.sampled_from(((-1, 1), (0, 1, 2), (-4, -2, 0, 2, 4), (-100, 100), (-0.5, 0.5))),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_rule_is_the_brute_force_one(geometry, boundary, rule, states, seed):
    shape, block_size, stride = geometry
    X = np.random.default_rng(seed).choice(states, size=(3, math.prod(shape)))
    blocks = BlockSpinTransformer(block_size, stride=stride, lattice_shape=shape, boundary=boundary, rule=rule)
    S = blocks.fit_transform(X)
    expected = [
        [BRUTE_FORCE[rule](sites) for sites in blocks_by_hand(x.reshape(shape), block_size, stride, boundary)]
        for x in X
    ]
    np.testing.assert_array_equal(S, expected)
    assert S.shape[1] == math.prod(blocks.lattice_shape_out_) == len(blocks.get_feature_names_out())


@pytest.mark.parametrize(("stride", "shape"), [(2, (8, 8)), (1, (15, 15))])
def test_the_two_geometries_of_the_paper(stride, shape):
    s = np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.int8), size=(20, 16, 16))
    blocks = BlockSpinTransformer(2, stride=stride, lattice_shape=(16, 16)).fit(s.reshape(20, -1))
    S = blocks.transform(s.reshape(20, -1)).reshape(20, *blocks.lattice_shape_out_)
    assert S.shape[1:] == shape
    assert S.dtype == np.int8
    assert set(np.unique(S)) == {-4, -2, 0, 2, 4}
    i, j = np.meshgrid(*(stride * np.arange(n) for n in shape), indexing="ij")
    np.testing.assert_array_equal(S, s[:, i, j] + s[:, i + 1, j] + s[:, i, j + 1] + s[:, i + 1, j + 1])


def test_without_a_lattice_shape_the_sites_are_a_chain():
    X = np.arange(7)[None]
    blocks = BlockSpinTransformer(3, stride=2).fit(X)
    assert blocks.lattice_shape_ == (7,)
    np.testing.assert_array_equal(blocks.transform(X), [[3, 9, 15]])


def test_open_boundary_drops_the_remainder_and_periodic_wraps_it():
    X = np.arange(5)[None]
    np.testing.assert_array_equal(BlockSpinTransformer(2).fit_transform(X), [[1, 5]])
    np.testing.assert_array_equal(BlockSpinTransformer(2, boundary="periodic").fit_transform(X), [[1, 5, 4]])


@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize(
    ("length", "size", "stride"), [(5, 2, 2), (6, 2, 2), (6, 3, 1), (7, 2, 3), (4, 4, 1), (5, 1, 3)]
)
def test_a_lattice_is_continued_as_far_as_its_blocks_reach(length, size, stride, boundary):
    blocks = BlockSpinTransformer(size, stride=stride, boundary=boundary).fit(np.ones((1, length)))
    last = [i for i in range(0, length, stride) if boundary == "periodic" or i + size <= length][-1]
    held = blocks._wrap(np.arange(length)[None])
    np.testing.assert_array_equal(held, [np.arange(max(length, last + size)) % length])


def test_two_steps_of_blocking_are_one_with_the_product_of_the_sizes():
    X = np.random.default_rng(1).choice([-1, 1], size=(50, 8 * 12))
    first = BlockSpinTransformer(2, lattice_shape=(8, 12)).fit(X)
    two_steps = make_pipeline(first, BlockSpinTransformer(2, lattice_shape=first.lattice_shape_out_))
    np.testing.assert_array_equal(
        two_steps.fit_transform(X), BlockSpinTransformer(4, lattice_shape=(8, 12)).fit_transform(X)
    )


def test_majority_and_decimation_turn_over_with_the_spins():
    X = np.random.default_rng(2).choice([-1, 1], size=(200, 36))
    for rule in ("majority", "decimation"):
        blocks = BlockSpinTransformer(2, lattice_shape=(6, 6), rule=rule)
        np.testing.assert_array_equal(blocks.fit_transform(-X), -blocks.fit_transform(X))


def test_a_tie_goes_to_the_tied_value_that_comes_first():
    X = np.array([[1, -1, -1, 1], [0, 2, 1, 1], [5, 2, 2, 3]])
    np.testing.assert_array_equal(BlockSpinTransformer(4, rule="majority").fit_transform(X), [[1], [1], [2]])
    X = np.array([[0, 2, 1, 1, 2]])
    np.testing.assert_array_equal(BlockSpinTransformer(5, rule="majority").fit_transform(X), [[2]])


@pytest.mark.parametrize(
    ("states", "dtype_in", "block_size", "rule", "dtype_out"),
    [
        ((-1, 1), np.int8, 127, "sum", np.int8),
        ((-1, 1), np.int8, 128, "sum", np.int16),
        ((-1, 1), np.int64, 4, "sum", np.int8),
        ((-33, 31), np.int8, 4, "sum", np.int16),
        ((0, 255), np.uint8, 4, "sum", np.int16),
        ((0, 1), bool, 4, "sum", np.int8),
        ((0, 2**31), np.uint32, 2, "sum", np.int64),
        ((-1, 1), ">i4", 4, "sum", np.int8),
        ((-1, 1), np.int8, 4, "mean", np.float64),
        ((-1, 1), np.float32, 4, "mean", np.float64),
        ((-128, 127), np.int8, 4, "majority", np.int8),
        ((-1, 1), np.int64, 4, "decimation", np.int8),
        ((-1.5, 1.5), np.float16, 4, "sum", np.float32),
        ((-1.5, 1.5), np.float32, 4, "sum", np.float32),
        ((-1.5, 1.5), np.float64, 4, "majority", np.float64),
    ],
)
def test_type_of_the_result(states, dtype_in, block_size, rule, dtype_out):
    X = np.tile(np.array(states, dtype=dtype_in), (2, 128))
    S = BlockSpinTransformer(block_size, rule=rule).fit_transform(X)
    assert S.dtype == dtype_out
    if rule == "sum":
        x = X[0].tolist()
        starts = range(0, len(x) - block_size + 1, block_size)
        np.testing.assert_array_equal(S, [[sum(x[i : i + block_size]) for i in starts]] * 2)


def test_integers_that_cannot_be_summed_exactly_are_refused():
    X = np.full((1, 2), 2**62)
    with pytest.raises(ValueError, match=f"2 can be summed in 64 bits, got values {2**62} to {2**62}"):
        BlockSpinTransformer(2).fit_transform(X)


def test_batches_do_not_change_the_result():
    X = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(5000, 256))
    blocks = BlockSpinTransformer((3, 2), stride=1, lattice_shape=(16, 16), boundary="periodic", rule="majority")
    whole = blocks.fit_transform(X)
    with config_context(working_memory=0.1):
        np.testing.assert_array_equal(blocks.transform(X), whole)


@pytest.mark.parametrize("rule", RULES)
def test_peak_of_memory_is_the_result_and_a_batch(rule, tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.int8, shape=(100_000, 256))
    X[:] = 1
    blocks = BlockSpinTransformer(8, lattice_shape=(16, 16), rule=rule).fit(X)
    with config_context(working_memory=2):
        tracemalloc.start()
        blocks.transform(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 100_000 * 4 * 8 + 4 * 2**20  # X itself is 25.6 MB; a copy in float64 would be 205 MB


def test_columns_carry_the_place_of_their_block():
    names = ["block_0_0", "block_0_1", "block_1_0", "block_1_1"]
    X = pd.DataFrame(np.ones((3, 16), dtype=np.int8))
    blocks = BlockSpinTransformer(2, lattice_shape=(4, 4))
    frame = clone(blocks).set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == names
    assert (frame.dtypes == np.int8).all()
    frame = clone(blocks).set_output(transform="polars").fit_transform(pl.DataFrame(X.to_numpy(), orient="row"))
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == names


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"block_size": 0}, ValueError, r"block_size must be an integer >= 1, got 0"),
        ({"block_size": 2.0}, TypeError, r"block_size must be an integer >= 1, got 2\.0"),
        ({"block_size": "2"}, TypeError, r"block_size must be an integer >= 1, got '2'"),
        ({"block_size": (2, 2, 2)}, ValueError, r"block_size must .* each of the 2 axes, got \(2, 2, 2\)"),
        ({"block_size": 5}, ValueError, r"block_size must not exceed lattice_shape=\(4, 4\) .*, got 5"),
        ({"block_size": 5, "boundary": "periodic"}, ValueError, r"block_size must not exceed .*, got 5"),
        ({"stride": 0}, ValueError, r"stride must be an integer >= 1, got 0"),
        ({"stride": (1, -1)}, ValueError, r"each length in stride must be an integer >= 1, got -1"),
        ({"stride": (1,)}, ValueError, r"stride must .* each of the 2 axes, got \(1,\)"),
        ({"lattice_shape": (4, 5)}, ValueError, r"lattice_shape=\(4, 5\) has 20 sites, but X has 16"),
        ({"lattice_shape": 16}, TypeError, r"lattice_shape must be a tuple of positive integers.*, got 16"),
        ({"boundary": "wrap"}, ValueError, r"boundary must be one of 'open', 'periodic', got 'wrap'"),
        ({"rule": "max"}, ValueError, r"rule must be one of 'sum', .*, got 'max'"),
    ],
)
def test_wrong_parameters_are_named_with_their_value(parameters, error, message):
    blocks = BlockSpinTransformer(lattice_shape=(4, 4)).set_params(**parameters)
    with pytest.raises(error, match=message):
        blocks.fit(np.ones((2, 16), dtype=np.int8))


def test_majority_of_continuous_values_is_refused():
    X = np.random.default_rng(4).normal(size=(20, 100))
    with pytest.raises(ValueError, match=r"at most 1024 different values for rule='majority', got 2000: .*KBins"):
        BlockSpinTransformer(2, rule="majority").fit_transform(X)
