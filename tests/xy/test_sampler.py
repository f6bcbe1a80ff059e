"""XYSampler: the contract of a sampler and of a transformer, seeds, streams, and what it must refuse."""

import math
import os
import pickle
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import PhaseCurve, XYSampler, phase_curve
from skhamiltonian._utils.memory import room
from skhamiltonian._xy.chain_groups import Engine
from skhamiltonian._xy.planning import start_chains
from skhamiltonian._xy.system import angle_system

FULL_TURN = 2 * math.pi
METHODS = ["heat-bath", "wolff"]


@parametrize_with_checks(
    [XYSampler(), XYSampler(method="heat-bath", n_sweeps=1, burn_in=0, n_chains=3, boundary="open")]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("field", [0.0, 0.5])
def test_draws_are_angles_of_one_turn_in_double_precision(method, field):
    draws = XYSampler((4, 4), 1.0, method=method, field=field, n_chains=32, random_state=0).draws(n_samples=1000)
    X = draws.configurations
    assert X.shape == (32, 32, 16)
    assert X.dtype == np.float64
    assert X.min() >= 0
    assert 6 < X.max() < FULL_TURN
    assert len({chain.tobytes() for chain in X}) == 32


@pytest.mark.parametrize("method", METHODS)
def test_draws_are_all_but_independent_by_default(method):
    xy = XYSampler((8, 8), 0.9, method=method, random_state=0)
    thinned = xy.draws(n_samples=3000)
    assert thinned.method == method
    assert 0.8 < thinned.effective_sample_size / thinned.energy.size <= 1
    draws = xy.set_params(n_sweeps=1, burn_in=300, n_chains=16).draws(n_samples=16 * 800)
    assert draws.autocorrelation_time == pytest.approx(thinned.autocorrelation_time, rel=0.4)


def test_without_field_every_direction_is_as_likely():
    """Rotated at random, also where chains never turn; with a field they point along it."""
    free = XYSampler((6, 6), 0.05, method="heat-bath", random_state=0).sample(n_samples=2000)
    mean = np.exp(1j * free).mean(axis=1)
    assert (np.abs(mean) > 0.9).all()
    assert abs(mean.mean()) < 4 / math.sqrt(2000)
    pulled = XYSampler((6, 6), 0.05, field=-1.0, random_state=0).sample(n_samples=100)
    np.testing.assert_allclose(np.exp(1j * pulled).mean(axis=1), -1, atol=0.1)


def test_a_weak_field_leaves_the_first_direction_to_chance():
    """Else all chains would begin along it, and a short trial would not notice that they turn slowly."""
    angles = {}
    for field in (1e-9, 1e3):
        engine = Engine("heat-bath", angle_system((6, 6), "periodic", 1.0, field), 0.5)
        angles[field] = np.concatenate([g.states() for g in start_chains(engine, 500, 0, np.random.SeedSequence(0))])
    assert stats.kstest(angles[1e-9][:, 0] / FULL_TURN, "uniform").pvalue > 1e-3
    np.testing.assert_allclose(np.cos(angles[1e3]), 1, atol=1e-3)
    assert np.ptp(np.exp(1j * angles[1e-9]), axis=1).max() < 1e-12


def test_draws_are_rotated_by_any_angle():
    group = Engine("wolff", angle_system((3,), "periodic", 1.0, 0.0), 1.0).new_group(
        np.zeros((1, 3)), np.random.SeedSequence(0)
    )
    states = np.tile([0.0, 2.0, 6.0], (1, 2000, 1))
    group.apply_symmetry(states)
    assert states.min() >= 0
    assert states.max() < FULL_TURN
    np.testing.assert_allclose(np.exp(1j * (states[..., 1] - states[..., 0])), np.exp(2j), atol=1e-12)
    for site in range(3):
        assert stats.kstest(states[0, :, site] / FULL_TURN, "uniform").pvalue > 1e-3


def test_energies_of_draws_count_the_field_of_the_call():
    xy = XYSampler((4, 4), 1.0, coupling=(1.0, 0.5), field=0.125)
    draws = xy.draws(2.0, n_samples=100, field=0.25, random_state=0)
    X = draws.configurations.reshape(-1, 16)
    np.testing.assert_allclose(draws.energy.ravel(), xy.energy(X) - 0.25 * np.cos(X).sum(axis=1))
    same = clone(xy).set_params(field=0.375).sample(2.0, n_samples=100, random_state=0)
    np.testing.assert_array_equal(xy.sample(2.0, n_samples=100, field=0.25, random_state=0), same)


def test_energy_takes_any_number_of_radians():
    xy = XYSampler((3, 3), boundary="open")
    X = xy.sample(n_samples=5, random_state=0)
    np.testing.assert_allclose(xy.energy(X - 6 * math.pi), xy.energy(X), atol=1e-12)
    assert xy.energy(np.zeros((1, 9), np.int8)).tolist() == [-12]
    with pytest.raises(ValueError, match="has 9 sites, but X has 4 features"):
        xy.energy(X[:, :4])


@pytest.mark.parametrize("low", [0, -180])
def test_degrees_are_refused(low):
    X = np.random.default_rng(0).uniform(low, low + 360, (5, 9))
    xy = XYSampler((3, 3), n_sweeps=1, burn_in=1, random_state=0).fit(np.deg2rad(X))
    for method in (xy.energy, xy.transform):
        with pytest.raises(ValueError, match=r"X seems to hold degrees.*radians"):
            method(X)
        assert np.isfinite(method(np.deg2rad(X))).all()


# ------------------------------------------------------------------ reproducible


@pytest.mark.parametrize("method", METHODS)
def test_results_do_not_depend_on_n_jobs(method):
    xy = XYSampler((4, 4), 1.0, method=method, n_chains=70, random_state=0)
    one = xy.sample(n_samples=300)
    np.testing.assert_array_equal(one, clone(xy).set_params(n_jobs=2).sample(n_samples=300))
    evolved = clone(xy).set_params(n_jobs=2, n_sweeps=3).fit_transform(one)
    np.testing.assert_array_equal(evolved, clone(xy).set_params(n_sweeps=3).fit_transform(one))


def test_seeds():
    xy = XYSampler((4, 4), 1.0, random_state=0)
    X = xy.sample(n_samples=50)
    for same in (xy.sample(n_samples=50), xy.sample(n_samples=50, random_state=0)):
        np.testing.assert_array_equal(X, same)
    np.testing.assert_array_equal(X, pickle.loads(pickle.dumps(xy)).sample(n_samples=50))
    assert (xy.sample(n_samples=50, random_state=1) != X).any()
    assert (xy.sample(1.1, n_samples=50) != X).any()


def test_blocks_of_a_stream_are_one_equilibrium():
    xy = XYSampler((4, 4), 1.5, random_state=0)
    blocks = list(xy.iter_sample(n_samples=3100, block_size=1000))
    assert [len(X) for X in blocks] == [1000] * 3 + [100]
    E, whole = xy.energy(np.concatenate(blocks)), xy.energy(xy.sample(n_samples=3000, random_state=1))
    assert abs(E.mean() - whole.mean()) < 5 * math.sqrt(2 * whole.var() / 3000)


# ------------------------------------------------------------------ transformer


@pytest.mark.parametrize("method", METHODS)
def test_transform_brings_any_row_to_equilibrium(method):
    start = np.full((2000, 16), -3.0)
    xy = XYSampler((4, 4), 1.5, method=method, random_state=0).fit(start)
    E, X = xy.energy(xy.transform(start)), xy.sample(n_samples=2000, random_state=1)
    assert abs(E.mean() - xy.energy(X).mean()) < 5 * math.sqrt(2 * E.var() / 2000)
    assert (start == -3).all()
    with pytest.raises(NotFittedError):
        clone(xy).transform(start)


def test_frames_keep_their_names():
    X = pd.DataFrame(np.ones((5, 4)), columns=list("abcd"))
    evolved = XYSampler((2, 2), 1.0, random_state=0).set_output(transform="pandas").fit_transform(X)
    assert list(evolved.columns) == list("abcd")
    assert (evolved.dtypes == np.float64).all()


# ------------------------------------------------------------------ refusals


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_chains_that_do_not_decorrelate_are_reported(monkeypatch):
    """Long waves of a cold chain, which local moves hardly see."""
    monkeypatch.setattr("skhamiltonian._xy.planning.NANOSECONDS_PER_TRIAL", 1e7)
    slow = XYSampler((256,), 0.02, method="heat-bath", random_state=0)
    with pytest.raises(ConvergenceWarning, match=r"sweeps at temperature 0.02.*another method than 'heat-bath'"):
        slow.sample(n_samples=10)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"temperature": 0}, ValueError, "temperature must be a positive number, got 0"),
        ({"temperature": math.nan}, ValueError, "temperature must be a positive number, got nan"),
        ({"coupling": math.inf}, ValueError, "coupling must be a finite number, got inf"),
        ({"coupling": (1.0,)}, ValueError, r"each of the 2 axes, got \(1.0,\)"),
        ({"field": "x"}, TypeError, "field must be a finite number, got 'x'"),
        ({"field": [0.0, 1.0]}, ValueError, "field must be a finite number, or 16, one for each site"),
        ({"method": "swendsen-wang"}, ValueError, "got 'swendsen-wang'"),
        ({"n_sweeps": 0}, ValueError, "n_sweeps must be an integer >= 1, got 0"),
        ({"burn_in": -1}, ValueError, "burn_in must be an integer >= 0, got -1"),
        ({"n_chains": True}, TypeError, "n_chains must be an integer >= 1, got True"),
        ({"boundary": ("open",)}, ValueError, r"each of the 2 axes, got \('open',\)"),
        ({"lattice_shape": None}, ValueError, "lattice_shape must be given"),
        ({"lattice_shape": (10**6, 10**6)}, MemoryError, "GiB"),
    ],
)
def test_wrong_parameters_are_refused_with_their_value(parameters, error, message):
    xy = XYSampler(**{"lattice_shape": (4, 4), **parameters})
    for entrance in (xy.sample, lambda: phase_curve(xy, [1.0], n_samples=100)):
        with pytest.raises(error, match=message):
            entrance()


def test_a_sample_beyond_memory_is_refused_by_its_eight_bytes_a_site():
    with pytest.raises(MemoryError, match="an array of configurations"):
        XYSampler((2**10, 2**10)).sample(n_samples=room() // 2**21)


def test_measured_angles_are_averaged_as_angles():
    """Rows are not rounded to integers, and the magnetization is the length of the mean vector."""
    xy = XYSampler((4, 4), 1.0, random_state=0)
    X = xy.sample(n_samples=2000)
    observables = {"first": lambda X: X[:, 0]}
    measured = PhaseCurve.from_samples({1.0: X}, energy=xy.energy, observables=observables, states="angle")
    assert measured["first"].value[0] == pytest.approx(X[:, 0].mean(), rel=1e-12)
    assert measured["abs_magnetization"].value[0] == pytest.approx(np.abs(np.exp(1j * X).mean(axis=1)).mean())
    curve = phase_curve(xy, [1.0], n_samples=2000, random_state=0)
    for name in ("magnetization", "abs_magnetization", "susceptibility", "binder_cumulant", "energy"):
        error = math.hypot(measured[name].error[0], curve[name].error[0])
        assert abs(measured[name].value[0] - curve[name].value[0]) < 4.5 * error
    with pytest.raises(ValueError, match="states must be one of 'auto', 'angle', got 'spin'"):
        PhaseCurve.from_samples({1.0: X}, states="spin")


# ------------------------------------------------------------------ faults


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_is_heard_and_leaves_the_sampler_as_it_was(method, n_jobs):
    xy = XYSampler((32, 32), 1.0, method=method, burn_in=10**8, n_sweeps=1, n_chains=64, n_jobs=n_jobs, random_state=0)
    clone(xy).set_params(burn_in=1).sample(n_samples=64)  # compiles
    before, pressed, default = dict(vars(xy)), [], signal.signal(signal.SIGINT, signal.default_int_handler)

    def press():
        time.sleep(0.2)
        pressed.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            xy.sample(n_samples=64)
    finally:
        signal.signal(signal.SIGINT, default)
    assert time.process_time() - pressed[0] < 0.5  # 0.05 s a call of each thread
    assert vars(xy) == before
    time.sleep(0.2)
    used = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - used < 0.1, "threads work on"
