"""Faults: Ctrl-C, killed workers, NaN in training, full disks, no home, a damaged cache and little memory."""

import errno
import functools
import glob
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skhamiltonian
from skhamiltonian import IsingSampler, MADEHamiltonian, PhaseCurve, phase_curve
from skhamiltonian._made import training as _training

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")
X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2000, 16))
SMALL = MADEHamiltonian(2.5, hidden_layer_sizes=(16,), max_iter=4, random_state=0)


def run(script, *arguments, cwd=None, **environment):
    """Run Python code in a process of its own and return what it prints."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


INTERRUPTIONS = """
import copy, json, os, pickle, signal, sys, threading, time
import numpy as np
from skhamiltonian import IsingSampler, MADEHamiltonian

what, n = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
X = IsingSampler((8, 8), 2.5, random_state=0).sample(n_samples=5000)
first = MADEHamiltonian(2.5, hidden_layer_sizes=(128,), max_iter=8, random_state=0)
fitted = copy.deepcopy(first).fit(X)
model = first if what == "first fit" else fitted
act = {
    "first fit": lambda model: model.fit(X),
    "refit": lambda model: model.fit(X[:, :50]),
    "sample": lambda model: model.sample(2.0, n_samples=3_000),
    "tempered": lambda model: model.sample(2.0, n_samples=3_000, method="tempered"),
}[what]
start = time.perf_counter()
act(copy.deepcopy(model))
duration = time.perf_counter() - start
state, latencies, unchanged = pickle.dumps(vars(model)), [], 0
signal.signal(signal.SIGINT, signal.default_int_handler)

def press(delay, pressed):
    time.sleep(delay)
    pressed.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

while len(latencies) < n:
    pressed, trial, done = [], copy.deepcopy(model), False
    before = pickle.dumps(vars(trial))
    thread = threading.Thread(target=press, args=(rng.uniform(0, 0.9 * duration), pressed))
    try:
        thread.start()
        act(trial)
        done = True
        thread.join()
        time.sleep(1)
    except KeyboardInterrupt:
        if not done:
            latencies.append(time.perf_counter() - pressed[0])
            unchanged += pickle.dumps(vars(trial)) == before
print(json.dumps([latencies, unchanged]))
"""


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize(("what", "times"), [("first fit", 50), ("refit", 25), ("sample", 25), ("tempered", 25)])
def test_ctrl_c_at_any_moment_is_heard_and_leaves_the_object_as_it_was(what, times):
    """Wherever it strikes: whitening, training, calibration, sweeps."""
    latencies, unchanged = json.loads(run(INTERRUPTIONS, what, times))
    print(f"{what}: median {np.median(latencies):.3f} s, longest {max(latencies):.3f} s")
    assert unchanged == times
    assert np.median(latencies) < 0.2


def killer(marker):
    """An observable that ends the process it is computed in by SIGKILL, the first time."""

    def observable(X):
        if marker and not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return X[:, 0].astype(float)

    return {"first": observable}


@POSIX
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # loky's, of the worker that stopped
def test_a_killed_worker_is_an_error_and_the_next_call_works(tmp_path):
    ising, T = IsingSampler((4, 4), 2.5, random_state=0), [2.0, 2.4, 2.8, 3.2]
    before, options = pickle.dumps(ising), {"n_samples": 500, "random_state": 0}
    with pytest.raises(RuntimeError, match="SIGKILL"):  # TerminatedWorkerError
        phase_curve(ising, T, observables=killer(str(tmp_path / "killed")), n_jobs=2, **options)
    assert (tmp_path / "killed").exists()
    assert pickle.dumps(ising) == before
    again = phase_curve(ising, T, observables=killer(""), n_jobs=2, **options)
    alone = phase_curve(ising, T, observables=killer(""), **options)
    for name in alone.observables:
        np.testing.assert_array_equal(again[name], alone[name])


def test_nan_in_a_later_epoch_keeps_the_best_one_and_says_so(monkeypatch):
    step, calls = _training._step, []

    def poisoned(*arguments):
        calls.append(1)
        return np.nan if len(calls) > 10 else step(*arguments)

    model = clone(SMALL).set_params(batch_size=450, calibrate=False)  # 5 steps an epoch
    monkeypatch.setattr(_training, "_step", poisoned)
    with pytest.warns(ConvergenceWarning, match=r"in epoch 3, learning rate .*: an earlier epoch is kept"):
        model.fit(X)
    assert model.n_iter_ == 2
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_first_epoch_is_an_error_and_learns_nothing(monkeypatch, value):
    monkeypatch.setattr(_training, "_step", lambda *arguments: value)
    model = clone(SMALL)
    with pytest.raises(ArithmeticError, match=r"epoch 1, learning rate .*lower learning_rate_init"):
        model.fit(X)
    assert not hasattr(model, "coefs_")


# ------------------------------------------------------------------ disks


@pytest.fixture(scope="module")
def curve():
    return phase_curve(IsingSampler((4, 4), 2.5), [2.0, 3.0], n_samples=500, random_state=0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_an_error(curve):
    with pytest.raises(OSError, match="No space left") as full:
        curve.save("/dev/full")
    assert full.value.errno == errno.ENOSPC


LIMITED = """
import resource, signal, sys
from skhamiltonian import PhaseCurve
curve = PhaseCurve.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    curve.save(sys.argv[1])
except OSError as error:
    print(error)
"""


@POSIX
def test_a_write_that_is_cut_short_leaves_the_file_there_was(curve, tmp_path):
    path = tmp_path / "curve.npz"
    curve.save(path)
    whole = path.read_bytes()
    assert "File too large" in run(LIMITED, path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_through_a_link_and_nothing_is_left_beside_it(curve, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "curve.npz")
    for _ in range(2):
        curve.save(tmp_path / "link")
    assert repr(PhaseCurve.load(tmp_path / "curve.npz")) == repr(curve)
    assert {file.name for file in tmp_path.iterdir()} == {"curve.npz", "link"}


# ------------------------------------------------------------------ installation


SAMPLE = """
import skhamiltonian
ising = skhamiltonian.IsingSampler((4, 4), 2.5, method="heat-bath", n_sweeps=1, burn_in=1, random_state=0)
print(skhamiltonian.__file__, ising.sample(n_samples=50).sum())
"""


ENERGY = """
from skhamiltonian import IsingSampler
print(IsingSampler((2, 3), next_nearest_coupling=0.5).energy([[1, 1, -1, 1, -1, -1]]))
"""


@functools.cache
def expected():
    return run(SAMPLE).split()[1]


@pytest.mark.slow
def test_a_read_only_installation_without_a_home_works(tmp_path):
    """A file stands where numba would make a directory: not even root can write there."""
    package = tmp_path / "skhamiltonian"
    shutil.copytree(Path(skhamiltonian.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").touch()
    nowhere = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    file, total = run(SAMPLE, cwd=tmp_path, PYTHONPATH=str(tmp_path), **nowhere).split()
    assert Path(file) == package / "__init__.py"
    assert total == expected()
    assert not [path for path in package.iterdir() if path.suffix in (".nbi", ".nbc")]


@pytest.mark.slow
@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="no compiler, no cache")
def test_a_damaged_cache_of_compiled_kernels_is_written_anew(tmp_path):
    """One kernel stands for all: each is looked up and written the same way."""
    energy = run(ENERGY, NUMBA_CACHE_DIR=str(tmp_path))
    for suffix in (".nbi", ".nbc"):
        files = glob.glob(f"{tmp_path}/**/*{suffix}", recursive=True)
        assert files
        for file in map(Path, files):
            file.write_bytes(file.read_bytes()[:50])
        assert run(ENERGY, NUMBA_CACHE_DIR=str(tmp_path)) == energy
        assert all(len(Path(file).read_bytes()) > 50 for file in files)


# ------------------------------------------------------------------ memory


MEMORY = """
import resource, sys
import numpy as np
from sklearn import config_context
from skhamiltonian import MADEHamiltonian

X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (20_000, 64))
made = MADEHamiltonian(2.5, hidden_layer_sizes=(256,), max_iter=1, calibrate=False, random_state=0).fit(X[:1000])

def work():
    return made.score_samples(X), made.sample(2.0, n_samples=256, burn_in=1, n_sweeps=1)

with config_context(working_memory=1):
    work()  # what is loaded or compiled at first use
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 12 * 2**20, resource.RLIM_INFINITY))
with config_context(working_memory=int(sys.argv[1])):
    try:
        limited = work()
    except MemoryError:
        sys.exit("too little memory")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(*(np.abs(a - b).max() for a, b in zip(work(), limited)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_twelve_megabytes_are_enough_where_working_memory_is_one():
    """Beyond what the process has used before, and not where it is a thousand; freed memory counts as used."""
    error, differ = run(MEMORY, 1).split()
    assert float(error) < 1e-10
    assert int(differ) == 0
    with pytest.raises(AssertionError, match="too little memory"):
        run(MEMORY, 1000)
