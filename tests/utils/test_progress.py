"""What `verbose` prints: the same words everywhere, the time left by the rate so far, and no other results."""

import re
import time

import numpy as np
import pytest
from joblib import parallel_config

from skhamiltonian import (
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    XYSampler,
    phase_curve,
)
from skhamiltonian._utils.progress import Progress

LINE = re.compile(r"\w+: [a-z ]+\d+(/\d+)?(, .+)?(, (about )?\d+ (s|min|h)( left)?)?")
X = np.random.default_rng(0).choice([-1, 1], (300, 4)).astype(np.int8)


def test_time_left_follows_from_the_rate(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress(1, "task", "step", 100)
    now[0] += 50.0  # a start that says nothing about the other steps
    for _ in range(100):
        now[0] += 2.0
        progress.done()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "task: step 1/100"
    assert lines[1] == "task: step 4/100, about 3 min left"  # six seconds later; the third step is too early
    assert lines[-2] == "task: step 97/100, about 6 s left"
    assert lines[-1] == "task: step 100/100, 4 min"
    assert len(lines) <= 200 / 5 + 2


def test_a_short_draw_says_nothing(capsys):
    for verbose, lines in ((0, 0), (1, 0), (2, 1)):
        progress = Progress(verbose, "task", "draw", 1, is_often_short=True)
        progress.done()
        assert len(capsys.readouterr().out.splitlines()) == lines


SAMPLERS = {
    "heat-bath": IsingSampler((4, 4), 2.5, method="heat-bath", field=0.1),
    "many spins in a word": IsingSampler((4, 4), 2.5, method="heat-bath", n_chains=70),
    "clusters": IsingSampler((4, 4), 2.5, method="swendsen-wang", n_jobs=2),
    "cooled": IsingSampler((3, 3), 0.5, coupling=-1.0, method="heat-bath", burn_in=70),
    "tempering": IsingSampler((3, 3), 0.5, coupling=-1.0, method="parallel-tempering"),
    "angles": XYSampler((4, 4), 1.0, n_sweeps=2, burn_in=8),
    "local": LocalHamiltonian(boundary="periodic"),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_all_sweeps_of_a_draw_are_counted(name, capsys):
    sampler = SAMPLERS[name]
    if name == "local":
        sampler = sampler.fit(X).to_sampler((8,))
    silent = sampler.set_params(random_state=0, verbose=0).sample(n_samples=100)
    assert not capsys.readouterr().out
    shown = sampler.set_params(verbose=2).sample(n_samples=100)
    lines = capsys.readouterr().out.splitlines()
    assert all(map(LINE.fullmatch, lines)), lines
    done, planned = re.search(r"sweep (\d+)/(\d+)", lines[-1]).groups()
    assert done == planned
    assert np.array_equal(silent, shown)


def of_fit(verbose):
    made = MADEHamiltonian(2.5, max_iter=3, verbose=verbose, random_state=0).fit(X)
    return made.sample(2.0, n_samples=70, method="metropolis", burn_in=2)


TASKS = {
    "fit": (of_fit, ["MADEHamiltonian: epoch 3/3", "MADEHamiltonian: draw 2/2"]),
    "local": (
        lambda verbose: LocalHamiltonian(boundary="periodic", verbose=verbose).fit(X).energy(X),
        ["LocalHamiltonian: iteration 1"],
    ),
    "curve": (
        lambda verbose: phase_curve(
            IsingSampler((2, 2)), [2.0, 3.0], n_samples=500, entropy=True, random_state=0, verbose=verbose
        )["entropy"],
        ["phase_curve: temperature 2/2", "phase_curve: added temperature 1, for the entropy"],
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_verbose_shows_steps_and_changes_nothing(name, capsys):
    task, steps = TASKS[name]
    silent = task(0)
    assert not capsys.readouterr().out
    assert np.array_equal(silent, task(2))
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.startswith(step) for line in lines) for step in steps), lines
    assert all(LINE.fullmatch(line) for line in lines if line != "MADEHamiltonian: calibration"), lines


def test_parallel_tasks_report_to_the_caller(capsys):
    with parallel_config("threading"):
        phase_curve(IsingSampler((2, 2)), [2.0, 3.0, 4.0], n_samples=500, n_jobs=2, verbose=2, random_state=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"phase_curve: temperature {n}/3" for n in (1, 2, 3)]


def test_wrong_verbose_is_refused():
    with pytest.raises(ValueError, match="verbose"):
        phase_curve(IsingSampler((2, 2)), [2.0], verbose=-1)
    with pytest.raises(TypeError, match="verbose"):
        IsingSampler((2, 2), verbose="yes").sample()
