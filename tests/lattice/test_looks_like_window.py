"""Windows of something larger are told from tori and from boxes with open boundaries."""

import numpy as np
import pytest

from skhamiltonian import IsingSampler, extract_windows
from skhamiltonian._lattice.looks_like_window import looks_like_window


def boxes(boundary, temperature, n_samples=8000):
    ising = IsingSampler((8, 8), temperature, boundary=boundary, random_state=0)
    return ising.sample(n_samples=n_samples)


@pytest.fixture(scope="module", params=[1.0, -1.0], ids=["ferromagnet", "antiferromagnet"])
def windows(request):
    large = IsingSampler((32, 32), 2.5, coupling=request.param, random_state=0).sample(n_samples=400)
    return extract_windows(large.reshape(-1, 32, 32), 8)[0]


def test_windows_of_a_larger_lattice_are_seen(windows):
    assert looks_like_window(windows, (8, 8))
    assert looks_like_window(np.where(windows > 0, 3, 1), (8, 8))  # whatever the states are called


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("temperature", [1.5, 2.0, 2.5, 3.5])
def test_closed_systems_are_none(boundary, temperature):
    assert not looks_like_window(boxes(boundary, temperature), (8, 8))


def test_what_cannot_be_told_is_not_said(windows):
    assert not looks_like_window(windows[:40], (8, 8))
    assert not looks_like_window(windows, (64,))
    noise = np.random.default_rng(0).choice([-1, 1], (8000, 64))
    assert not looks_like_window(noise, (8, 8))


def test_every_second_row_does_not_decide(windows):
    """Windows between boxes: more rows than are read, and two halves of which only one looks like windows."""
    n = 2**14
    rows = np.empty((2 * n, 64), np.int8)
    rows[::2] = windows[np.random.default_rng(0).integers(len(windows), size=n)]
    rows[1::2] = np.tile(boxes("open", 2.5), (3, 1))[:n]
    assert looks_like_window(rows[::2], (8, 8))
    assert not looks_like_window(rows, (8, 8))
