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
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_transformer_general, parametrize_with_checks

from skhamiltonian import IsingSampler, ising_exact
from skhamiltonian._ising import sampler as _sampler

CRITICAL = 2 / np.log1p(np.sqrt(2))


@parametrize_with_checks(
    [IsingSampler(), IsingSampler(method="heat-bath", n_sweeps=1, burn_in=0, n_chains=3, boundary="open")]
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


# ------------------------------------------------------------------ memory of the chains


def test_auto_prefers_clusters_where_single_spins_are_slow():
    slow, fast = IsingSampler((32, 32), CRITICAL, random_state=0), IsingSampler((16, 16), 4.0, random_state=0)
    assert slow.draws(n_samples=200).method == "swendsen-wang"
    assert fast.draws(n_samples=5000).method == "heat-bath"


@pytest.mark.parametrize("method", ["heat-bath", "swendsen-wang"])
def test_draws_are_all_but_independent_by_default(method):
    ising = IsingSampler((16, 16), 2.5, method=method, random_state=0)
    thinned = ising.draws(n_samples=4000)
    assert 0.8 < thinned.effective_sample_size / thinned.energy.size <= 1
    draws = ising.set_params(n_sweeps=1, burn_in=500, n_chains=16).draws(n_samples=16 * 1000)
    assert draws.autocorrelation_time == pytest.approx(thinned.autocorrelation_time, rel=0.4)
    assert draws.effective_sample_size == pytest.approx(16_000 / draws.autocorrelation_time)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_chains_that_do_not_decorrelate_are_reported(monkeypatch):
    """Pure plaquettes at low temperature have 2^15 ground states, between which single spins hardly move."""
    monkeypatch.setattr("skhamiltonian._ising.planning.NANOSECONDS_PER_TRIAL", 1e8)
    frozen = IsingSampler((8, 8), 0.2, coupling=0.0, plaquette_coupling=1.0, method="heat-bath", random_state=0)
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
    plan = _sampler.plan
    monkeypatch.setattr(_sampler, "plan", lambda *args, **kwargs: planned.append(plan(*args, **kwargs)) or planned[-1])
    ising = IsingSampler((16, 16), 2.5, random_state=0)
    next(ising.iter_sample(n_samples=100, block_size=100))
    next(ising.iter_sample(n_samples=100_000, block_size=100))
    next(ising.iter_sample(block_size=100))
    assert [one.method for one in planned] == ["swendsen-wang", "heat-bath", "heat-bath"]


# ------------------------------------------------------------------ transformer


def test_transform_brings_any_row_to_equilibrium():
    start = np.ones((4000, 64), dtype=np.int8)
    ising = IsingSampler((8, 8), 2.5, random_state=0).fit(start)
    H = ising.energy(ising.transform(start))
    exact = ising_exact((8, 8), 2.5)
    assert abs(H.mean() - exact.energy) < 5 * 2.5 * math.sqrt(exact.heat_capacity / 4000)
    assert (start == 1).all()


@pytest.mark.parametrize("method", ["heat-bath", "swendsen-wang"])
def test_transform_keeps_equilibrium_and_moves_every_site(method):
    ising = IsingSampler((4, 4), 2.5, method=method, n_sweeps=1, random_state=0)
    X = ising.sample(n_samples=20_000)
    Y = ising.fit_transform(X)
    assert abs(ising.energy(Y).mean() - ising.energy(X).mean()) < 5 * math.sqrt(2 * ising.energy(X).var() / 20_000)
    assert ((X != Y).mean(axis=0) > 0.05).all()


def test_rows_are_read_by_their_sign_with_a_warning():
    ising = IsingSampler((2, 2), 1e-3, n_sweeps=1, method="heat-bath", random_state=0).fit([[1, 1, 1, 1]])
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
    for method, n_chains in (("heat-bath", 2100), ("swendsen-wang", 40)):
        for extra in ({}, {"next_nearest_coupling": 0.1}):
            ising = IsingSampler((4, 4), 2.5, method=method, n_chains=n_chains, random_state=0, **extra)
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
    draws = ising.draws(2.0, n_samples=1000, field=0.2, random_state=0)
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
        ({"method": "wolff"}, ValueError, "got 'wolff'"),
        ({"method": "swendsen-wang", "plaquette_coupling": 1.0}, ValueError, "got a term of 4 spins"),
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
@pytest.mark.parametrize(("method", "n_jobs"), [("heat-bath", None), ("swendsen-wang", 2)])
def test_ctrl_c_is_heard_and_leaves_the_sampler_as_it_was(method, n_jobs):
    """The median of three answers counts, as other tests may keep the processors busy."""
    ising = IsingSampler(
        (64, 64), 2.5, method=method, burn_in=10**8, n_sweeps=1, n_chains=2048, n_jobs=n_jobs, random_state=0
    )
    clone(ising).set_params(burn_in=1).sample(n_samples=2048)
    before, latencies = dict(vars(ising)), []

    def press(pressed):
        time.sleep(0.2)
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


def test_rows_that_remember_their_start_are_said():
    """Disordered rows freeze in stripes; rows that are in equilibrium stay there, and given sweeps are the user's."""
    ising = IsingSampler((16, 16), 1.0, method="heat-bath", random_state=0)
    disordered = np.random.default_rng(0).choice([-1, 1], (64, 256))
    with pytest.warns(ConvergenceWarning, match="not in equilibrium after .* in chains that start elsewhere") as record:
        moved = ising.fit_transform(disordered)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert ising.energy(moved).mean() > ising_exact((16, 16), 1.0).energy + 30
    for seed in range(3):
        ising.set_params(random_state=seed).fit_transform(ising.sample(n_samples=64, random_state=seed + 5))
    ising.set_params(n_sweeps=10).fit_transform(disordered)


@pytest.mark.parametrize("temperature", [0.1, 1.2, np.inf])
def test_rows_that_forget_their_start_are_not_accused(temperature):
    ising = IsingSampler((2, 3), temperature, field=0.1, n_chains=8)
    for seed in range(10):
        ising.set_params(random_state=seed).fit_transform(np.ones((40, 6)))
