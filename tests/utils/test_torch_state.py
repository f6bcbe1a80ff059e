"""A fit gives the same bits whatever the global state of torch, and leaves that state as it was."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch

from skhamiltonian import LocalHamiltonian, MADEHamiltonian
from skhamiltonian._utils.torch_state import plain_torch

X = np.random.default_rng(0).choice(np.array([-1, 0, 1], np.int8), (300, 9))
MADE = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}


def weights(**parameters):
    made = MADEHamiltonian(1.0, **MADE, **parameters).fit(X)
    return np.concatenate([np.ravel(a) for a in (*made.coefs_, *made.intercepts_, made.skip_coef_)])


@pytest.fixture(scope="module")
def expected():
    return weights()


@contextlib.contextmanager
def globally(setter, value, before):
    setter(value)
    try:
        yield
    finally:
        setter(before)


STATES = {
    "float64": lambda: globally(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: globally(torch.set_default_dtype, torch.float16, torch.float32),
    "tensor type": lambda: globally(torch.set_default_tensor_type, torch.DoubleTensor, torch.FloatTensor),
    "device": lambda: globally(torch.set_default_device, "meta", None),
    "device context": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "grad off": lambda: globally(torch.set_grad_enabled, False, True),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: globally(torch.use_deterministic_algorithms, True, False),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
}


def state():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state().sum().item() if torch.get_default_device().type == "cpu" else None,
    )


@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type", "ignore:Anomaly Detection")
@pytest.mark.parametrize("name", STATES)
def test_a_fit_is_the_same_in_any_state_of_torch(name, expected):
    with STATES[name]():
        before = state()
        found = weights()
        assert state() == before
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["float64", "device", "no_grad", "inference_mode", "autocast"])
def test_a_local_fit_is_the_same_in_any_state_of_torch(name):
    def energies():
        local = LocalHamiltonian(1.0, lattice_shape=(3, 3), boundary="periodic", hidden_layer_sizes=(4,), max_iter=2)
        return local.set_params(window_shape=2, random_state=0).fit(X).energy(X)

    expected = energies()
    with STATES[name]():
        before = state()
        found = energies()
        assert state() == before
    np.testing.assert_array_equal(found, expected)


def test_the_state_returns_after_an_error():
    with torch.inference_mode(), torch.device("meta"):
        before = state()
        with pytest.raises(RuntimeError, match="grad on cpu"), plain_torch():
            raise RuntimeError(f"{'grad' if torch.is_grad_enabled() else ''} on {torch.get_default_device()}")
        assert state() == before


def test_other_threads_keep_their_default_dtype():
    seen, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            seen.add(torch.get_default_dtype())

    with STATES["float64"]():
        watcher = threading.Thread(target=watch)
        watcher.start()
        weights()
        done.set()
        watcher.join()
    assert seen == {torch.float64}


FORK = """
import os, sys, threading
import numpy as np
from skhamiltonian import MADEHamiltonian
import torch
torch.set_num_threads(2)
X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (500, 32))
made = MADEHamiltonian(2.5, hidden_layer_sizes=(256,), calibrate=False, max_iter=1, random_state=0)
alone = made.fit(X).score(X)
child = os.fork()
if not child:
    threading.Timer(60, os._exit, [3]).start()  # the threads of torch's pool are waited for without end
    again = made.fit(X).score(X)
    os._exit(0 if abs(again - alone) < 1e-6 * abs(alone) and torch.get_num_threads() == 2 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fit_in_a_forked_child_answers():
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FORK)], env=environment, timeout=300, check=False)
    assert done.returncode == 0
