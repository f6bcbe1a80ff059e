"""IsingSampler: exact finite lattices, enumerated many-body systems, honest errors, and what it must refuse."""

import itertools
import math
import os
import pickle
import signal
import threading
import time
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_transformer_general, parametrize_with_checks

from skhamiltonian import IsingSampler, _chains, ising_exact

CRITICAL = 2 / np.log1p(np.sqrt(2))


@parametrize_with_checks(
    [IsingSampler(), IsingSampler(algorithm="heat-bath", n_sweeps=1, burn_in=0, n_chains=3, boundary="open")]
)
@pytest.mark.filterwarnings("ignore:X holds:UserWarning")  # the checks feed 0, 1, 2, ...
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X holds:UserWarning")
def test_transform_is_what_fit_transform_is():
    """scikit-learn leaves this check out where rows depend on their place, as they do here; it holds all the same."""

    class Deterministic(IsingSampler):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.non_deterministic = False
            return tags

    check_transformer_general("IsingSampler", Deterministic(random_state=0))


# ------------------------------------------------------------------ exact answers

# <|m|>, <m^2>, <m^4> and their errors, from cluster Monte Carlo.
MAGNETIZATION = {
    (8, 1.5): (0.986576, 0.000061, 0.973959, 0.000116, 0.950866, 0.000213),
    (8, CRITICAL): (0.777515, 0.000436, 0.647177, 0.000548, 0.486088, 0.000627),
    (8, 3.0): (0.346429, 0.000507, 0.170551, 0.000393, 0.062716, 0.000238),
    (16, 2.0): (0.911191, 0.000140, 0.833340, 0.000236, 0.703285, 0.000354),
    (16, CRITICAL): (0.713920, 0.000505, 0.546108, 0.000574, 0.347521, 0.000534),
    (16, 2.5): (0.388672, 0.000489, 0.201788, 0.000391, 0.075421, 0.000234),
    (16, 4.0): (0.103533, 0.000168, 0.016740, 0.000053, 0.000819, 0.000006),
    (32, 2.0): (0.911320, 0.000110, 0.831248, 0.000198, 0.693361, 0.000321),
    (32, CRITICAL): (0.655273, 0.000923, 0.460205, 0.000999, 0.246974, 0.000818),
    (32, 3.0): (0.085099, 0.000262, 0.011307, 0.000063, 0.000374, 0.000005),
}


def estimate(sampler, X, function):
    """A function of the data and its error by leaving out one of 50 blocks; chains stand together in X."""
    blocks = np.array_split(np.arange(len(X)), 50)
    replicates = np.array([function(np.delete(X, block, axis=0)) for block in blocks])
    return function(X), 7 * replicates.std(axis=0)


@pytest.mark.parametrize("algorithm", ["auto", "heat-bath", "swendsen-wang"])
@pytest.mark.parametrize(
    ("length", "temperature"),
    [(4, 1.0), (4, CRITICAL), (4, 4.0), (8, 1.5), (8, 2.0), (8, 2.5), (16, 1.0), (16, CRITICAL), (16, 3.0), (32, 2.5)],
)
def test_energy_and_heat_capacity_are_those_of_kaufman(algorithm, length, temperature):
    ising = IsingSampler((length, length), temperature, algorithm=algorithm, random_state=1)
    H = ising.energy(ising.sample(n_samples=8000))
    exact = ising_exact((length, length), temperature)
    (U, U2), (U_error, U2_error) = estimate(ising, H[:, None], lambda H: np.array([H.mean(), H.var() / temperature**2]))
    assert abs(U - exact.energy) < 5 * U_error
    assert abs(U2 - exact.heat_capacity) < 5 * U2_error
    assert U_error < 0.01 * length**2


@pytest.mark.slow
@pytest.mark.parametrize("length", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, CRITICAL, 2.5, 3.0, 4.0])
def test_energy_and_heat_capacity_are_those_of_kaufman_on_every_lattice(length, temperature):
    test_energy_and_heat_capacity_are_those_of_kaufman("auto", length, temperature)


@pytest.mark.parametrize(("length", "temperature"), MAGNETIZATION)
def test_magnetization_and_binder_cumulant_are_those_of_the_reference(length, temperature):
    ising = IsingSampler((length, length), temperature, random_state=2)
    m = ising.sample(n_samples=8000).mean(axis=1, dtype=float)

    def moments(m):
        moment = np.array([np.mean(abs(m)), np.mean(m**2), np.mean(m**4)])
        return np.append(moment, 1 - moment[2] / (3 * moment[1] ** 2))

    value, error = estimate(ising, m, moments)
    abs_m, abs_m_error, m2, m2_error, m4, m4_error = MAGNETIZATION[length, temperature]
    ratio = m4 / (3 * m2**2)
    reference = np.array([abs_m, m2, m4, 1 - ratio])
    reference_error = np.array([abs_m_error, m2_error, m4_error, ratio * math.hypot(m4_error / m4, 2 * m2_error / m2)])
    assert (abs(value - reference) < 5 * np.hypot(error, reference_error)).all()
    assert abs(m.mean()) < 5 * math.sqrt(m2 / ising.effective_sample_size_)


@pytest.mark.parametrize("algorithm", ["heat-bath", "swendsen-wang"])
def test_errors_by_the_effective_sample_size_are_honest(algorithm):
    """z-scores of energy and |m| over 50 seeds, from draws that are far from independent."""
    n_sites, temperature, exact_m = 64, CRITICAL, 0.777515
    U = ising_exact((8, 8), temperature).energy
    z = np.empty((50, 2))
    for seed in range(50):
        ising = IsingSampler(
            (8, 8), temperature, algorithm=algorithm, n_sweeps=2, burn_in=300, n_chains=8, random_state=seed
        )
        X = ising.sample(n_samples=8 * 500)
        for k, (x, mean) in enumerate(((ising.energy(X), U), (abs(X.mean(axis=1)), exact_m))):
            z[seed, k] = (x.mean() - mean) / (x.std() / math.sqrt(ising.effective_sample_size_))
        assert ising.effective_sample_size_ < 3500
    spread = math.sqrt(2 / 50)
    assert (abs(z.mean(axis=0)) < 4 / math.sqrt(50)).all()
    assert 1 - 3.5 * spread < z.var(axis=0).max() < 1 + 3.5 * spread
    assert z.var(axis=0).min() < 1 + 3.5 * spread
    assert n_sites == X.shape[1]


SITES = np.arange(12)
RANDOM_GRAPH = [
    (J, pair)
    for J, pair in zip(
        np.random.default_rng(5).normal(size=22),
        np.random.default_rng(5).permutation(list(itertools.combinations(range(12), 2))),
        strict=False,
    )
]
SYSTEMS = {
    "field": dict(lattice_shape=(3, 4), temperature=2.5, field=-0.15),
    "antiferromagnet": dict(lattice_shape=(3, 4), temperature=2.5, coupling=-1.0, field=0.1),
    "open cube": dict(lattice_shape=(2, 3, 2), temperature=3.0, boundary="open"),
    "mixed boundary, double bonds": dict(lattice_shape=(2, 6), temperature=4.0, boundary=("periodic", "open")),
    "chain": dict(lattice_shape=(12,), temperature=1.2),
    "next-nearest": dict(lattice_shape=(3, 4), temperature=3.3, coupling=0.83, next_nearest_coupling=-0.21),
    "plaquette": dict(lattice_shape=(3, 4), temperature=2.0, coupling=0.0, plaquette_coupling=0.8),
    "nearest, diagonal, plaquette": dict(
        lattice_shape=(3, 4), temperature=3.3, coupling=0.83, next_nearest_coupling=-0.21, plaquette_coupling=0.37),
    "three-spin ring": dict(
        lattice_shape=(12,), temperature=1.5, coupling=0.0,
        couplings=[(1.0, (SITES[:, None] + [0, 1, 2]) % 12)]),
    "random graph": dict(lattice_shape=(12,), temperature=2.5, coupling=0.0, couplings=RANDOM_GRAPH),
    "triangular lattice": dict(
        lattice_shape=(3, 4), temperature=3.0, coupling=-1.0,
        couplings=[(-1.0, [[4 * i + j, 4 * ((i + 1) % 3) + (j + 1) % 4] for i in range(3) for j in range(4)])]),
}  # fmt: skip


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("algorithm", ["auto", "heat-bath"])
def test_counts_and_energy_of_any_hamiltonian_are_those_of_enumeration(name, algorithm):
    """Two G-tests, of all levels of energy and magnetization and of pairs of spins, and the mean energy."""
    ising = IsingSampler(**SYSTEMS[name], algorithm=algorithm, random_state=3)
    n_samples, T = 100_000, ising.temperature
    s = np.array(list(itertools.product((-1, 1), repeat=12)), dtype=np.int8)
    H = ising.energy(s)
    p = np.exp(-(H - H.min()) / T)
    p /= p.sum()
    X = ising.sample(n_samples=n_samples)
    E = ising.energy(X)
    factor = n_samples / ising.effective_sample_size_
    assert abs(E.mean() - p @ H) < 5 * math.sqrt((p @ H**2 - (p @ H) ** 2) / ising.effective_sample_size_)

    counts = np.bincount((X > 0) @ (1 << np.arange(12)[::-1]), minlength=4096)
    common = p * n_samples > 10
    observed, expected = (np.append(x[common], x[~common].sum()) for x in (counts, p * n_samples))
    kept = expected > 0
    G = 2 * np.sum(observed[kept] * np.log(np.maximum(observed[kept], 1e-300) / expected[kept]))
    assert chi2.sf(G / factor, kept.sum() - 1) > 1e-4
    assert factor < 1.3


def glass(seed):
    """40 couplings, +-1 or normal (even seeds), on random pairs of 16 sites, and the energies of all states."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(list(itertools.combinations(range(16), 2)))[:40]
    strengths = rng.choice([-1.0, 1.0], 40) if seed % 2 else rng.normal(size=40)
    ising = IsingSampler((16,), coupling=0.0, couplings=list(zip(strengths, pairs, strict=True)), random_state=0)
    s = np.array(list(itertools.product((-1, 1), repeat=16)), dtype=np.int8)
    return ising, ising.energy(s)


def glass_p_value(ising, H, temperature):
    """A G-test of all states that are expected more than 50 times, the others together."""
    n_samples, p = 20_000, np.exp(-(H - H.min()) / temperature)
    X = ising.sample(temperature, n_samples=n_samples)
    factor = n_samples / ising.effective_sample_size_
    assert factor < 2
    expected = n_samples * p / p.sum()
    counts = np.bincount((X > 0) @ (1 << np.arange(16)[::-1]), minlength=2**16)
    common = expected > 50
    seen, wanted = (np.append(x[common], x[~common].sum()) for x in (counts, expected))
    G = 2 * np.sum(seen * np.log(np.maximum(seen, 1e-300) / wanted))
    return chi2.sf(G / factor, common.sum())


@pytest.mark.parametrize("temperature", [0.2, 0.4, 0.8, 1.6])
@pytest.mark.parametrize("seed", range(6))
def test_a_glass_is_drawn_from_all_its_valleys(seed, temperature):
    ising, H = glass(seed)
    assert glass_p_value(ising, H, temperature) > 1e-4
    assert ising.algorithm_ == "parallel-tempering"


def test_single_spins_alone_stay_in_the_valleys_of_a_glass():
    """The test above can fail: few chains fall into a high valley, none leaves it, and the trial run sees nothing."""
    ising, H = glass(9)
    X = ising.set_params(algorithm="heat-bath").sample(0.4, n_samples=4000)
    assert ising.tau_ < 10
    p = np.exp(-(H - H.min()) / 0.4)
    mean = p @ H / p.sum()
    error = math.sqrt((p @ (H - mean) ** 2 / p.sum()) / ising.effective_sample_size_)
    assert abs(ising.energy(X).mean() - mean) > 10 * error
    X = ising.set_params(algorithm="auto").sample(0.4, n_samples=4000)
    assert abs(ising.energy(X).mean() - mean) < 5 * error


def test_single_spins_are_tried_where_tempering_takes_too_long(monkeypatch):
    monkeypatch.setattr("skhamiltonian._chains._NANOSECONDS_PER_PILOT", 1e9)
    ising = IsingSampler((24, 24), 2.8, next_nearest_coupling=-0.05, random_state=0)
    ising.sample(n_samples=10)
    assert ising.algorithm_ == "heat-bath"


def test_two_dimensions_with_double_bonds_by_hand():
    """2 x 2 periodic: eight bonds, each pair of neighbours twice."""
    ising = IsingSampler((2, 2))
    assert ising.energy([[1, 1, 1, 1], [1, -1, 1, 1], [1, -1, -1, 1]]).tolist() == [-8, 0, 8]
    assert IsingSampler((2, 2), boundary="open").energy([[1, 1, 1, 1]]).tolist() == [-4]
    assert IsingSampler((1, 1)).energy([[1]]).tolist() == [0]


# ------------------------------------------------------------------ extremes


@pytest.mark.parametrize("algorithm", ["heat-bath", "swendsen-wang"])
def test_infinite_temperature_is_uniform(algorithm):
    X = IsingSampler((3, 2), math.inf, field=2.0, algorithm=algorithm, random_state=0).sample(n_samples=64_000)
    counts = np.bincount((X > 0) @ (1 << np.arange(6)), minlength=64)
    assert chi2.sf(((counts - 1000) ** 2 / 1000).sum(), 63) > 1e-4


@pytest.mark.parametrize("algorithm", ["auto", "heat-bath", "swendsen-wang"])
@pytest.mark.parametrize("temperature", [1e-300, 1e-3, 0.1])
def test_low_temperatures_reach_the_ground_states(algorithm, temperature):
    X = IsingSampler((4, 4), temperature, algorithm=algorithm, random_state=0).sample(n_samples=200)
    assert (abs(X.sum(axis=1)) == 16).all()
    assert 60 < (X[:, 0] > 0).sum() < 140
    checkered = IsingSampler((4, 4), temperature, coupling=-1.0, algorithm=algorithm, random_state=0)
    assert (checkered.energy(checkered.sample(n_samples=200)) == -32).all()
    X = IsingSampler((4, 4), temperature, algorithm=algorithm, random_state=0).sample(n_samples=50, field=-0.5)
    assert (X == -1).all()


def test_a_plaquette_system_is_cooled_to_low_energy():
    ising = IsingSampler((8, 8), 0.3, coupling=0.0, plaquette_coupling=1.0, burn_in=3000, n_sweeps=10, random_state=0)
    assert ising.energy(ising.sample(n_samples=64)).mean() < -0.85 * 64


@pytest.mark.parametrize("algorithm", ["auto", "heat-bath"])
def test_no_run_freezes_in_a_stripe(algorithm):
    m = [
        abs(IsingSampler((32, 32), 1.5, algorithm=algorithm, random_state=seed).sample(n_samples=4).mean(axis=1))
        for seed in range(200)
    ]
    assert np.min(m) > 0.9
    assert np.mean(m) == pytest.approx(0.986517, abs=0.002)


@pytest.mark.parametrize("n_samples", [0, 1, 2, 63, 65])
def test_any_number_of_samples(n_samples):
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=n_samples)
    assert X.shape == (n_samples, 9)
    assert X.dtype == np.int8
    assert np.isin(X, (-1, 1)).all()


# ------------------------------------------------------------------ memory of the chains


def test_auto_prefers_clusters_where_single_spins_are_slow():
    slow, fast = IsingSampler((64, 64), CRITICAL, random_state=0), IsingSampler((16, 16), 4.0, random_state=0)
    slow.sample(n_samples=200)
    fast.sample(n_samples=5000)
    assert (slow.algorithm_, fast.algorithm_) == ("swendsen-wang", "heat-bath")


@pytest.mark.parametrize("algorithm", ["heat-bath", "swendsen-wang"])
def test_draws_are_all_but_independent_by_default(algorithm):
    ising = IsingSampler((16, 16), 2.5, algorithm=algorithm, random_state=0)
    ising.sample(n_samples=4000)
    measured = ising.tau_
    assert 0.8 < ising.effective_sample_size_ / 4000 <= 1
    ising.set_params(n_sweeps=1, burn_in=500, n_chains=16).sample(n_samples=16 * 1000)
    assert ising.tau_ == pytest.approx(measured, rel=0.4)
    assert ising.effective_sample_size_ == pytest.approx(16_000 / ising.tau_)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_chains_that_do_not_decorrelate_are_reported(monkeypatch):
    """Pure plaquettes at low temperature have 2^15 ground states, between which single spins hardly move."""
    monkeypatch.setattr("skhamiltonian._chains._NANOSECONDS_PER_PILOT", 1e8)
    frozen = IsingSampler((8, 8), 0.2, coupling=0.0, plaquette_coupling=1.0, algorithm="heat-bath", random_state=0)
    with pytest.raises(ConvergenceWarning, match=r"sweeps at temperature 0.2"):
        frozen.sample(n_samples=10)


def test_blocks_of_a_stream_are_one_equilibrium():
    ising = IsingSampler((8, 8), 2.5, random_state=0)
    blocks = list(ising.iter_sample(n_samples=20_100, block_size=1000))
    assert [len(X) for X in blocks] == [1000] * 20 + [100]
    assert all(X.dtype == np.int8 for X in blocks)
    assert len({X.tobytes() for X in blocks}) == 21
    H = ising.energy(np.concatenate(blocks))
    exact = ising_exact((8, 8), 2.5)
    assert abs(H.mean() - exact.energy) < 5 * 2.5 * math.sqrt(exact.heat_capacity / 15_000)
    endless = ising.iter_sample(block_size=10)
    assert [len(X) for X in itertools.islice(endless, 3)] == [10, 10, 10]


def test_a_stream_holds_one_block():
    stream = IsingSampler((16, 16), 4.0, random_state=0).iter_sample(n_samples=200_000, block_size=4000)
    next(stream)
    tracemalloc.start()
    assert sum(len(X) for X in stream) == 196_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 4000 * 256  # all together are 50 MB
    assert next(IsingSampler((16, 16), 4.0).iter_sample(n_samples=10**13)).shape == (4096, 256)


def test_a_stream_is_planned_as_a_whole(monkeypatch):
    """What clusters would draw sooner in one block, single spins draw sooner in many."""
    planned = []
    plan = _chains.plan
    monkeypatch.setattr(_chains, "plan", lambda *args, **kwargs: planned.append(plan(*args, **kwargs)) or planned[-1])
    ising = IsingSampler((16, 16), 2.5, random_state=0)
    next(ising.iter_sample(n_samples=100, block_size=100))
    next(ising.iter_sample(n_samples=100_000, block_size=100))
    next(ising.iter_sample(block_size=100))
    assert [one.algorithm for one in planned] == ["swendsen-wang", "heat-bath", "heat-bath"]


# ------------------------------------------------------------------ transformer


def test_transform_brings_any_row_to_equilibrium():
    start = np.ones((4000, 64), dtype=np.int8)
    ising = IsingSampler((8, 8), 2.5, random_state=0).fit(start)
    H = ising.energy(ising.transform(start))
    exact = ising_exact((8, 8), 2.5)
    assert abs(H.mean() - exact.energy) < 5 * 2.5 * math.sqrt(exact.heat_capacity / 4000)
    assert (start == 1).all()


@pytest.mark.parametrize("algorithm", ["heat-bath", "swendsen-wang"])
def test_transform_keeps_equilibrium_and_moves_every_site(algorithm):
    ising = IsingSampler((4, 4), 2.5, algorithm=algorithm, n_sweeps=1, random_state=0)
    X = ising.sample(n_samples=20_000)
    Y = ising.fit_transform(X)
    assert abs(ising.energy(Y).mean() - ising.energy(X).mean()) < 5 * math.sqrt(2 * ising.energy(X).var() / 20_000)
    assert ((X != Y).mean(axis=0) > 0.05).all()


def test_rows_are_read_by_their_sign_with_a_warning():
    ising = IsingSampler((2, 2), 1e-3, n_sweeps=1, algorithm="heat-bath", random_state=0).fit([[1, 1, 1, 1]])
    with pytest.warns(UserWarning, match=r"X holds 0 in row 1, column 2"):
        evolved = ising.transform([[1, 1, 1, 1], [-1, -1, 0, -1], [1, 1, 2, 1]])
    np.testing.assert_array_equal(evolved, [[1] * 4, [-1] * 4, [1] * 4])


def test_pipelines_frames_and_names():
    X = pd.DataFrame(np.ones((5, 4), dtype=int), columns=list("abcd"))
    ising = IsingSampler((2, 2), 2.5, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(feature_names_out="one-to-one"), ising).set_output(transform="pandas")
    evolved = pipeline.fit_transform(X)
    assert list(evolved.columns) == list("abcd") == list(ising.get_feature_names_out())
    assert (evolved.dtypes == np.int8).all()
    polars = clone(ising).set_output(transform="polars").fit_transform(pl.DataFrame(X.to_dict("list")))
    assert isinstance(polars, pl.DataFrame)
    np.testing.assert_array_equal(polars.to_numpy(), evolved.to_numpy())


def test_a_chain_is_as_long_as_the_rows():
    ising = IsingSampler(temperature=2.0, random_state=0).fit(np.ones((3, 7)))
    assert ising.lattice_shape_ == (7,)
    assert ising.sample(n_samples=2).shape == (2, 7)
    assert ising.energy(np.ones((1, 7))).tolist() == [-7]


# ------------------------------------------------------------------ reproducible


def test_results_do_not_depend_on_n_jobs():
    for algorithm, n_chains in (("heat-bath", 2100), ("swendsen-wang", 40)):
        for extra in ({}, {"next_nearest_coupling": 0.1}):
            ising = IsingSampler((4, 4), 2.5, algorithm=algorithm, n_chains=n_chains, random_state=0, **extra)
            one = ising.sample(n_samples=5000)
            two = clone(ising).set_params(n_jobs=2).sample(n_samples=5000)
            np.testing.assert_array_equal(one, two)
            evolved = clone(ising).set_params(n_jobs=2, n_sweeps=3).fit_transform(one)
            np.testing.assert_array_equal(evolved, clone(ising).set_params(n_sweeps=3).fit_transform(one))


def test_seeds():
    ising = IsingSampler((4, 4), 2.5, random_state=0)
    X = ising.sample(n_samples=100)
    np.testing.assert_array_equal(X, ising.sample(n_samples=100))
    np.testing.assert_array_equal(X, ising.sample(n_samples=100, random_state=0))
    np.testing.assert_array_equal(X, pickle.loads(pickle.dumps(ising)).sample(n_samples=100))
    assert (ising.sample(n_samples=100, random_state=1) != X).any()
    assert (ising.sample(2.6, n_samples=100) != X).any()
    generator = np.random.default_rng(0)
    one, two = (ising.sample(n_samples=100, random_state=generator) for _ in range(2))
    assert (one != two).any()


def test_the_field_of_a_call_adds_to_the_field_of_the_system():
    one = IsingSampler((4, 4), 2.5, field=0.3, random_state=0)
    two = IsingSampler((4, 4), 2.5, field=0.1, random_state=0)
    np.testing.assert_array_equal(one.sample(n_samples=500), two.sample(n_samples=500, field=0.2))


def test_chains_of_a_draw_are_independent_and_carry_the_whole_energy():
    ising = IsingSampler((4, 4), 2.5, n_chains=32)
    draws = ising._draw(2.0, 1000, field=0.2, seed=np.random.SeedSequence(0))
    assert draws.configurations.shape == (32, 32, 16)
    X = draws.configurations.reshape(-1, 16)
    np.testing.assert_allclose(draws.energy.ravel(), ising.energy(X) - 0.2 * X.sum(axis=1))
    assert len({chain.tobytes() for chain in draws.configurations}) == 32


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"temperature": 0}, ValueError, "temperature must be a positive number, got 0"),
        ({"temperature": "2"}, TypeError, "temperature must be a positive number, got '2'"),
        ({"temperature": math.nan}, ValueError, "temperature must be a positive number, got nan"),
        ({"coupling": math.inf}, ValueError, "coupling must be a finite number, got inf"),
        ({"plaquette_coupling": None}, TypeError, "plaquette_coupling must be a finite number, got None"),
        ({"field": "x"}, TypeError, "field must be a finite number, got 'x'"),
        ({"algorithm": "wolff"}, ValueError, "got 'wolff'"),
        ({"algorithm": "swendsen-wang", "plaquette_coupling": 1.0}, ValueError, "got a term of 4 spins"),
        ({"n_sweeps": 0}, ValueError, "n_sweeps must be an integer >= 1, got 0"),
        ({"n_sweeps": 1.5}, TypeError, "n_sweeps must be an integer >= 1, got 1.5"),
        ({"burn_in": -1}, ValueError, "burn_in must be an integer >= 0, got -1"),
        ({"n_chains": True}, TypeError, "n_chains must be an integer >= 1, got True"),
        ({"boundary": "closed"}, ValueError, "got 'closed'"),
        ({"boundary": ("open",)}, ValueError, r"each of the 2 axes, got \('open',\)"),
        ({"lattice_shape": (4, 0)}, ValueError, "got 0"),
        ({"lattice_shape": None}, ValueError, "lattice_shape must be given"),
        ({"lattice_shape": (10**6, 10**6, 10**3)}, MemoryError, "GiB"),
        ({"couplings": 3}, TypeError, "got 3"),
        ({"couplings": [1.0]}, TypeError, "got 1.0"),
        ({"couplings": [(math.nan, [0, 1])]}, ValueError, "got nan"),
        ({"couplings": [(1.0, [0, 16])]}, ValueError, r"in 0 ... 15, got \[0, 16\]"),
        ({"couplings": [(1.0, [2, 3, 2])]}, ValueError, r"must differ, got \[2, 3, 2\]"),
        ({"couplings": [(1.0, [0.5])]}, TypeError, r"must be integers, .* got \[0.5\]"),
    ],
)
def test_wrong_parameters_are_refused_with_their_value(parameters, error, message):
    with pytest.raises(error, match=message):
        IsingSampler(**{"lattice_shape": (4, 4), **parameters}).sample()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"temperature": -1.0}, ValueError, "temperature must be a positive number, got -1.0"),
        ({"n_samples": -1}, ValueError, "n_samples must be an integer >= 0, got -1"),
        ({"n_samples": 2.0}, TypeError, "n_samples must be an integer >= 0, got 2.0"),
        ({"n_samples": True}, TypeError, "got True"),
        ({"n_samples": 10**13}, MemoryError, "GiB"),
        ({"field": math.inf}, ValueError, "field must be a finite number, got inf"),
        ({"random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_wrong_requests_are_refused_with_their_value(arguments, error, message):
    for method in ("sample", "iter_sample"):
        if method == "sample" or arguments.get("n_samples") != 10**13:
            with pytest.raises(error, match=message):
                getattr(IsingSampler((4, 4)), method)(**arguments)


def test_energy_takes_spins_only():
    with pytest.raises(ValueError, match=r"got 3 in row 1, column 2"):
        IsingSampler((2, 2)).energy([[1, 1, 1, 1], [1, 1, 3, 1]])
    with pytest.raises(ValueError, match=r"has 4 sites, but X has 3 features"):
        IsingSampler((2, 2)).energy([[1, 1, 1]])
    with pytest.raises(NotFittedError):
        IsingSampler((2, 2)).transform([[1, 1, 1, 1]])


# ------------------------------------------------------------------ faults


@pytest.fixture
def ctrl_c_interrupts():
    """Python's own answer to Ctrl-C, which a process that runs tests for another one may have put aside."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("algorithm", ["heat-bath", "swendsen-wang"])
def test_ctrl_c_is_heard_and_leaves_the_sampler_as_it_was(algorithm, n_jobs):
    """The median of three answers counts, as other tests may keep the processors busy."""
    ising = IsingSampler(
        (64, 64), 2.5, algorithm=algorithm, burn_in=10**8, n_sweeps=1, n_chains=2048, n_jobs=n_jobs, random_state=0
    )
    clone(ising).set_params(burn_in=1).sample(n_samples=2048)
    before, latencies = dict(vars(ising)), []

    def press(pressed):
        time.sleep(0.5)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    for _ in range(3):
        pressed = []
        threading.Thread(target=press, args=(pressed,)).start()
        with pytest.raises(KeyboardInterrupt):
            ising.sample(n_samples=2048)
        latencies.append(time.perf_counter() - pressed[0])
    assert sorted(latencies)[1] < 0.2
    assert vars(ising) == before
    time.sleep(0.2)
    used = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - used < 0.1, "threads work on"
