"""Rows of a lattice that nobody named are told from chains."""

import warnings

import numpy as np
import pytest

from skhamiltonian import BlockSpinTransformer, IsingSampler, LocalHamiltonian, XYSampler, extract_windows
from skhamiltonian._lattice.looks_folded import folded_length


def draws(shape, temperature=2.5, n_samples=2000, **kwargs):
    return IsingSampler(shape, temperature, random_state=0, **kwargs).sample(n_samples=n_samples)


@pytest.mark.parametrize("coupling", [1.0, -1.0])
@pytest.mark.parametrize(
    ("shape", "temperature"), [((8, 8), 2.0), ((8, 8), 4.0), ((6, 10), 2.5), ((8, 2), 2.5), ((4, 4, 4), 8.0)]
)
def test_the_last_axis_of_a_lattice_is_seen(shape, temperature, coupling):
    X = draws(shape, temperature, coupling=coupling)
    assert folded_length(X, False) == shape[-1]
    assert folded_length(np.where(X > 0, 3, 1), False) == shape[-1]


def test_windows_are_seen():
    large = draws((64, 64), n_samples=20).reshape(-1, 64, 64)
    assert folded_length(extract_windows(large, 8)[0], False) == 8


def test_two_rows_are_seen():
    assert folded_length(draws((2, 8), coupling=-1.0), False) == 8


def test_angles_are_seen():
    X = XYSampler((6, 6), 1.5, random_state=0).sample(n_samples=1000)
    assert folded_length(X + 2 * np.pi, True) == 6


@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize("field", [0.0, 0.2])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_chains_are_chains(temperature, field, boundary):
    """The two ends of an open chain in a field are less ordered, which no row of a lattice explains."""
    for length in (12, 30):
        assert folded_length(draws((length,), temperature, field=field, boundary=boundary), False) is None


def test_few_rows_and_constant_rows_say_nothing():
    X = draws((8, 8))
    assert folded_length(X[:40], False) is None
    assert folded_length(np.ones((100, 8)), False) is None
    assert folded_length(X[:, :7], False) is None


def test_the_largest_numbers_do_not_overflow():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert folded_length(1e300 * draws((8, 8)), False) == 8


@pytest.mark.filterwarnings("ignore:sites .* have a coupling")  # a consequence
@pytest.mark.parametrize("estimator", [LocalHamiltonian(), BlockSpinTransformer()], ids=lambda e: type(e).__name__)
def test_estimators_warn_until_they_are_told(estimator):
    X = draws((8, 8))
    with pytest.warns(UserWarning, match="lattice with rows of 8 sites"):
        estimator.fit(X)
    for shape in ((8, 8), (64,)):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="neighbours are less correlated")
            estimator.set_params(lattice_shape=shape).fit(X)
