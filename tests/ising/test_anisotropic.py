"""One coupling per axis and one field per site, against Kaufman and enumeration, down to an axis that is rigid."""

import itertools
import math
import time

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2
from sklearn.exceptions import ConvergenceWarning

from skhamiltonian import IsingSampler, ising_exact, phase_curve


def critical_temperature(ratio):
    """Of the infinite lattice with couplings (ratio, 1): sinh(2 J_1 / T) sinh(2 J_2 / T) = 1."""
    return brentq(lambda T: math.log(math.sinh(2 * ratio / T)) + math.log(math.sinh(2 / T)), 0.5, 100)


def scores(energy, temperature, exact):
    """How many errors, from leaving out one of 50 blocks, U and C are off; chains stand together."""

    def averages(E):
        return np.array([E.mean(), E.var() / temperature**2])

    blocks = np.array_split(np.arange(len(energy)), 50)
    error = 7 * np.std([averages(np.delete(energy, block)) for block in blocks], axis=0)
    return (averages(energy) - [exact.energy, exact.heat_capacity]) / np.maximum(error, 1e-12)


def z_of(length, ratio, factor, n_samples, seed=0):
    T = factor * critical_temperature(ratio)
    ising = IsingSampler((length, length), T, coupling=(ratio, 1.0))
    energy = ising.draws(n_samples=n_samples, random_state=seed).energy.ravel()
    return scores(energy, T, ising_exact((length, length), T, (ratio, 1.0)))


@pytest.mark.parametrize("ratio", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.6])
def test_two_couplings_are_those_of_kaufman(ratio, factor):
    assert (abs(z_of(8, ratio, factor, 2000)) < 5).all()


@pytest.mark.slow
def test_two_couplings_have_honest_errors_on_every_lattice():
    cases = itertools.product((4, 8, 16, 32), (1.0, 2.0, 5.0, 20.0), (0.6, 1.0, 1.6))
    z = np.array([z_of(*case, 1600, seed) for seed, case in enumerate(cases)])
    assert abs(z).max() < 5
    assert ((z**2).mean(axis=0) < 1 + 4 * math.sqrt(2 / len(z))).all()


TORUS = {"lattice_shape": (16, 8), "temperature": 1.0, "coupling": (-math.log(math.tanh(1 / 8)) / 2, 1 / 8)}


def along(X, axis):
    """Mean product of neighbours along an axis, of every row."""
    s = X.reshape(len(X), *TORUS["lattice_shape"]).astype(int)
    return (s * np.roll(s, 1, axis=axis + 1)).mean(axis=(1, 2))


@pytest.mark.slow
def test_no_axis_is_frozen_in_200_seeds():
    """Few draws at a time, so that each seed has its own start; bonds of either axis from derivatives of ln Z."""
    ising, step = IsingSampler(**TORUS), 1e-4
    found = np.array(
        [
            [along(X, axis).mean() for axis in (0, 1)]
            for X in (ising.sample(n_samples=8, random_state=k) for k in range(200))
        ]
    )
    for axis, J in enumerate(TORUS["coupling"]):
        up, down = (
            ising_exact(TORUS["lattice_shape"], 1.0, tuple(np.where(np.arange(2) == axis, J + d, TORUS["coupling"])))
            for d in (step, -step)
        )
        exact = (up.log_partition - down.log_partition) / (2 * step) / 128
        error = found[:, axis].std(ddof=1) / math.sqrt(200)
        assert abs(found[:, axis].mean() - exact) < 5 * error
    assert found[:, 1].std() > 0.05


def test_a_rigid_axis_is_drawn_by_clusters():
    """Single spins never flip along it: their trial sees nothing move, and proves nothing."""
    rigid = IsingSampler((16, 16), 1.0, coupling=(6.0, 0.02), random_state=0)
    draws = rigid.draws(n_samples=200)
    assert draws.method == "swendsen-wang"
    lines = draws.configurations.reshape(-1, 16, 16)[:, 0]
    assert abs(np.mean(lines[:, 1:] * lines[:, :-1])) < 0.9
    with pytest.warns(ConvergenceWarning, match="or another method than 'heat-bath'"):
        rigid.sample(n_samples=200, method="heat-bath")


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_a_chain_in_the_cold_has_its_domain_walls(temperature):
    chain = IsingSampler((200,), temperature, random_state=0)
    energy = chain.draws(n_samples=3000).energy.ravel()
    exact = ising_exact((1, 200), temperature)
    error = temperature * math.sqrt(max(exact.heat_capacity, 1e-12) / 2000)
    assert abs(energy.mean() - exact.energy) < 5 * error + 1e-9


SPINS = np.array(list(itertools.product((-1, 1), repeat=12)), dtype=np.int8)


@pytest.mark.parametrize("method", ["auto", "heat-bath"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"lattice_shape": (2, 6), "temperature": 2.0, "coupling": (-0.7, 1.5)},
        {"lattice_shape": (3, 4), "temperature": 2.0, "coupling": (-0.7, 1.5)},
        {"lattice_shape": (3, 2, 2), "temperature": 3.0, "coupling": (1.0, 0.3, 0.0), "boundary": "open"},
        {"lattice_shape": (12, 1), "temperature": 2.0, "coupling": (0.8, 5.0)},
        {"lattice_shape": (3, 4), "temperature": 2.0, "coupling": 0.5, "field": np.linspace(-1, 1, 12)},
    ],
)
def test_counts_of_couplings_per_axis_are_enumeration(parameters, method):
    ising = IsingSampler(**parameters, method=method, random_state=3)
    H, n_samples = ising.energy(SPINS), 40_000
    p = np.exp(-(H - H.min()) / ising.temperature)
    p /= p.sum()
    draws = ising.draws(n_samples=n_samples)
    X = draws.configurations.reshape(-1, 12)
    factor = len(X) / draws.effective_sample_size
    counts = np.bincount((X > 0) @ (1 << np.arange(12)[::-1]), minlength=4096)
    common = p * len(X) > 10
    observed, expected = (np.append(x[common], x[~common].sum()) for x in (counts, p * len(X)))
    G = 2 * np.sum(observed * np.log(np.maximum(observed, 1e-300) / expected))
    assert chi2.sf(G / factor, len(observed) - 1) > 1e-4


def test_one_coupling_is_the_same_on_every_axis():
    one = IsingSampler((4, 6), 2.5, coupling=0.7, random_state=0).sample(n_samples=300)
    np.testing.assert_array_equal(
        one, IsingSampler((4, 6), 2.5, coupling=(0.7, 0.7), random_state=0).sample(n_samples=300)
    )


def test_a_field_per_site_turns_each_spin():
    h = np.array([-2.0, -0.5, 0.0, 0.5, 1.0, 2.0])
    ising = IsingSampler((6,), 1.5, coupling=0.0, field=h, random_state=0)
    X = ising.sample(n_samples=20_000, field=0.25)
    np.testing.assert_allclose(X.mean(axis=0), np.tanh((h + 0.25) / 1.5), atol=5 / math.sqrt(20_000))
    assert ising.energy([[1, 1, 1, 1, 1, -1]]).tolist() == [3.0]
    np.testing.assert_array_equal(
        X, IsingSampler(**{**ising.get_params(), "field": list(h + 0.25)}).sample(n_samples=20_000)
    )


@pytest.mark.parametrize("field", [np.ones(5), np.ones((6, 1)), [1.0] * 5 + [math.nan], ["a"] * 6])
def test_a_field_of_another_shape_is_refused(field):
    for use in (lambda s: s.sample(), lambda s: phase_curve(s, [2.0], n_samples=50)):
        with pytest.raises(ValueError, match=r"field must be a finite number, or .*one for each site, got"):
            use(IsingSampler((6,), 2.0, field=field))


# ------------------------------------------------------------------ one system a call, work in proportion


def test_couplings_are_read_once_a_call():
    class Counted(list):
        n_read = 0

        def __iter__(self):
            Counted.n_read += 1
            return super().__iter__()

    couplings = Counted([(1.0, [0, 1]), (-0.5, [1, 2])])
    ising = IsingSampler((6,), 2.0, couplings=couplings, random_state=0).fit(np.ones((1, 6)))
    for call in (ising.sample, lambda: ising.energy(np.ones((1, 6))), lambda: ising.transform(np.ones((1, 6)))):
        Counted.n_read = 0
        call()
        assert Counted.n_read == 1


@pytest.mark.parametrize("couplings", [{1.0: [0, 1]}, "ab", 3])
def test_couplings_that_are_no_list_are_refused(couplings):
    with pytest.raises(TypeError, match=r"couplings must be a list of \(strength, sites\), got"):
        IsingSampler((6,), 2.0, couplings=couplings).sample()


def processor_seconds(ising, n_samples):
    start = time.process_time()
    ising.sample(n_samples=n_samples)
    return time.process_time() - start


def test_one_large_picture_costs_what_it_takes():
    """In units of 125 cluster updates, 100 of which are burn-in; chains have to be watched for ten tau."""
    by_hand = {"method": "swendsen-wang", "n_sweeps": 25, "burn_in": 100}
    automatic, known = (IsingSampler((128, 128), 2.269, random_state=0, **given) for given in ({}, by_hand))
    automatic.sample(n_samples=1)  # compiled
    assert processor_seconds(automatic, 1) < 12 * processor_seconds(known, 1)
