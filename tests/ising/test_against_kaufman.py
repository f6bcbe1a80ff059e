"""IsingSampler against exact answers: finite lattices, enumerated many-body systems, glasses and extremes."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import chi2

from skhamiltonian import IsingSampler, ising_exact, phase_curve

CRITICAL = 2 / np.log1p(np.sqrt(2))

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
    (32, 3.0): (0.085099, 0.000262, 0.011307, 0.000063, 0.000374, 0.000005),
}


def drawn(ising, *temperature, n_samples):
    """Return all rows of the draws, chain after chain, and the draws."""
    draws = ising.draws(*temperature, n_samples=n_samples)
    return draws.configurations.reshape(-1, draws.configurations.shape[2]), draws


def estimate(sampler, X, function):
    """A function of the data and its error by leaving out one of 50 blocks; chains stand together in X."""
    blocks = np.array_split(np.arange(len(X)), 50)
    replicates = np.array([function(np.delete(X, block, axis=0)) for block in blocks])
    return function(X), 7 * replicates.std(axis=0)


def assert_kaufman(method, length, temperature, n_samples):
    ising = IsingSampler((length, length), temperature, method=method, random_state=1)
    H = ising.energy(ising.sample(n_samples=n_samples))
    exact = ising_exact((length, length), temperature)
    (U, U2), (U_error, U2_error) = estimate(ising, H[:, None], lambda H: np.array([H.mean(), H.var() / temperature**2]))
    assert abs(U - exact.energy) < 5 * U_error
    assert abs(U2 - exact.heat_capacity) < 5 * U2_error
    assert U_error < 0.01 * length**2


ALL_METHODS = ("auto", "heat-bath", "swendsen-wang")


@pytest.mark.parametrize(
    ("method", "length", "temperature"),
    [
        *((method, 4, CRITICAL) for method in ALL_METHODS),
        *((method, 8, 2.0) for method in ALL_METHODS),
        *((method, 8, 2.5) for method in ALL_METHODS),
        ("auto", 4, 1.0),
        ("swendsen-wang", 4, 4.0),
        ("heat-bath", 8, 1.5),
        ("heat-bath", 16, CRITICAL),
        ("auto", 16, CRITICAL),
        ("swendsen-wang", 16, 3.0),
        ("auto", 32, 2.5),
    ],
)
def test_energy_and_heat_capacity_are_those_of_kaufman(method, length, temperature):
    assert_kaufman(method, length, temperature, 8000)


@pytest.mark.slow
@pytest.mark.parametrize("length", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, CRITICAL, 2.5, 3.0, 4.0])
def test_energy_and_heat_capacity_are_those_of_kaufman_on_every_lattice(length, temperature):
    """On the largest with a quarter of the draws, whose energies are per site as exact as those of the next one."""
    assert_kaufman("auto", length, temperature, 2000 if length == 64 else 8000)


@pytest.mark.parametrize(("length", "temperature"), MAGNETIZATION)
def test_magnetization_and_binder_cumulant_are_those_of_the_reference(length, temperature):
    ising = IsingSampler((length, length), temperature, random_state=2)
    X, draws = drawn(ising, n_samples=8000)
    m = X.mean(axis=1, dtype=float)

    def moments(m):
        moment = np.array([np.mean(abs(m)), np.mean(m**2), np.mean(m**4)])
        return np.append(moment, 1 - moment[2] / (3 * moment[1] ** 2))

    value, error = estimate(ising, m, moments)
    abs_m, abs_m_error, m2, m2_error, m4, m4_error = MAGNETIZATION[length, temperature]
    ratio = m4 / (3 * m2**2)
    reference = np.array([abs_m, m2, m4, 1 - ratio])
    reference_error = np.array([abs_m_error, m2_error, m4_error, ratio * math.hypot(m4_error / m4, 2 * m2_error / m2)])
    assert (abs(value - reference) < 5 * np.hypot(error, reference_error)).all()
    assert abs(m.mean()) < 5 * math.sqrt(m2 / draws.effective_sample_size)


@pytest.mark.parametrize("method", ["heat-bath", "swendsen-wang"])
def test_errors_by_the_effective_sample_size_are_honest(method):
    """z-scores of energy and |m| over 50 seeds, from draws that are far from independent."""
    n_sites, temperature, exact_m = 64, CRITICAL, 0.777515
    U = ising_exact((8, 8), temperature).energy
    z = np.empty((50, 2))
    for seed in range(50):
        ising = IsingSampler((8, 8), temperature, method=method, n_sweeps=2, burn_in=300, n_chains=8, random_state=seed)
        X, draws = drawn(ising, n_samples=8 * 500)
        for k, (x, mean) in enumerate(((ising.energy(X), U), (abs(X.mean(axis=1)), exact_m))):
            z[seed, k] = (x.mean() - mean) / (x.std() / math.sqrt(draws.effective_sample_size))
        assert draws.effective_sample_size < 3500
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
@pytest.mark.parametrize("method", ["auto", "heat-bath"])
def test_counts_and_energy_of_any_hamiltonian_are_those_of_enumeration(name, method):
    """Two G-tests, of all levels of energy and magnetization and of pairs of spins, and the mean energy."""
    ising = IsingSampler(**SYSTEMS[name], method=method, random_state=3)
    n_samples, T = 100_000, ising.temperature
    s = np.array(list(itertools.product((-1, 1), repeat=12)), dtype=np.int8)
    H = ising.energy(s)
    p = np.exp(-(H - H.min()) / T)
    p /= p.sum()
    X, draws = drawn(ising, n_samples=n_samples)
    E, n_samples = ising.energy(X), len(X)
    factor = n_samples / draws.effective_sample_size
    assert abs(E.mean() - p @ H) < 5 * math.sqrt((p @ H**2 - (p @ H) ** 2) / draws.effective_sample_size)

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
    p = np.exp(-(H - H.min()) / temperature)
    X, draws = drawn(ising, temperature, n_samples=20_000)
    n_samples = len(X)
    factor = n_samples / draws.effective_sample_size
    assert factor < 2
    expected = n_samples * p / p.sum()
    counts = np.bincount((X > 0) @ (1 << np.arange(16)[::-1]), minlength=2**16)
    common = expected > 50
    seen, wanted = (np.append(x[common], x[~common].sum()) for x in (counts, expected))
    G = 2 * np.sum(seen * np.log(np.maximum(seen, 1e-300) / wanted))
    return chi2.sf(G / factor, common.sum())


@pytest.mark.parametrize(
    ("seed", "temperature"),
    [(0, 0.2), (0, 1.6), (1, 0.4), (1, 0.8), (2, 0.2), (2, 0.8), (3, 0.4), (3, 1.6), (4, 0.2), (5, 0.4)],
)
def test_a_glass_is_drawn_from_all_its_valleys(seed, temperature):
    ising, H = glass(seed)
    assert glass_p_value(ising, H, temperature) > 1e-4
    assert ising.draws(temperature).method == "parallel-tempering"


def test_single_spins_alone_stay_in_the_valleys_of_a_glass():
    """The test above can fail: few chains fall into a high valley, none leaves it, and the trial run sees nothing."""
    ising, H = glass(9)
    X, draws = drawn(ising.set_params(method="heat-bath"), 0.4, n_samples=4000)
    assert draws.autocorrelation_time < 10
    p = np.exp(-(H - H.min()) / 0.4)
    mean = p @ H / p.sum()
    error = math.sqrt((p @ (H - mean) ** 2 / p.sum()) / draws.effective_sample_size)
    assert abs(ising.energy(X).mean() - mean) > 10 * error
    X = ising.set_params(method="auto").sample(0.4, n_samples=4000)
    assert abs(ising.energy(X).mean() - mean) < 5 * error


def test_single_spins_are_tried_where_tempering_takes_too_long(monkeypatch):
    monkeypatch.setattr("skhamiltonian._ising.planning.NANOSECONDS_PER_TRIAL", 1e8)
    ising = IsingSampler((24, 24), 2.8, next_nearest_coupling=-0.05, random_state=0)
    assert ising.draws(n_samples=10).method == "heat-bath"


def test_two_dimensions_with_double_bonds_by_hand():
    """2 x 2 periodic: eight bonds, each pair of neighbours twice."""
    ising = IsingSampler((2, 2))
    assert ising.energy([[1, 1, 1, 1], [1, -1, 1, 1], [1, -1, -1, 1]]).tolist() == [-8, 0, 8]
    assert IsingSampler((2, 2), boundary="open").energy([[1, 1, 1, 1]]).tolist() == [-4]
    assert IsingSampler((1, 1)).energy([[1]]).tolist() == [0]


# ------------------------------------------------------------------ extremes


@pytest.mark.parametrize("method", ["heat-bath", "swendsen-wang"])
def test_infinite_temperature_is_uniform(method):
    X = IsingSampler((3, 2), math.inf, field=2.0, method=method, random_state=0).sample(n_samples=64_000)
    counts = np.bincount((X > 0) @ (1 << np.arange(6)), minlength=64)
    assert chi2.sf(((counts - 1000) ** 2 / 1000).sum(), 63) > 1e-4


@pytest.mark.parametrize("method", ["auto", "heat-bath", "swendsen-wang"])
@pytest.mark.parametrize("temperature", [1e-300, 1e-3, 0.1])
def test_low_temperatures_reach_the_ground_states(method, temperature):
    X = IsingSampler((4, 4), temperature, method=method, random_state=0).sample(n_samples=200)
    assert (abs(X.sum(axis=1)) == 16).all()
    assert 60 < (X[:, 0] > 0).sum() < 140
    checkered = IsingSampler((4, 4), temperature, coupling=-1.0, method=method, random_state=0)
    assert (checkered.energy(checkered.sample(n_samples=200)) == -32).all()
    X = IsingSampler((4, 4), temperature, method=method, random_state=0).sample(n_samples=50, field=-0.5)
    assert (X == -1).all()


def test_a_plaquette_system_is_cooled_to_low_energy():
    ising = IsingSampler((8, 8), 0.3, coupling=0.0, plaquette_coupling=1.0, burn_in=3000, n_sweeps=10, random_state=0)
    assert ising.energy(ising.sample(n_samples=64)).mean() < -0.85 * 64


@pytest.mark.parametrize("method", ["auto", "heat-bath"])
def test_no_run_freezes_in_a_stripe(method):
    """160 chains, of which each begins and burns in by itself."""
    m = [
        abs(IsingSampler((32, 32), 1.5, method=method, random_state=seed).sample(n_samples=16).mean(axis=1))
        for seed in range(10)
    ]
    assert np.min(m) > 0.9
    assert np.mean(m) == pytest.approx(0.986517, abs=0.002)


@pytest.mark.parametrize("n_samples", [0, 1, 2, 63, 65])
def test_any_number_of_samples(n_samples):
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=n_samples)
    assert X.shape == (n_samples, 9)
    assert X.dtype == np.int8
    assert np.isin(X, (-1, 1)).all()


def test_no_temperature_of_a_glass_is_left_in_a_valley():
    """Sixteen spins on a random graph, down to where all but the ground states are rare, against enumeration."""
    rng = np.random.default_rng(9)
    pairs = rng.permutation(list(itertools.combinations(range(16), 2)))[:40]
    couplings = list(zip(rng.choice([-1.0, 1.0], 40) + 0.2 * rng.normal(size=40), pairs, strict=True))
    ising = IsingSampler((16,), coupling=0.0, couplings=couplings)
    T = np.array([0.3, 0.45, 0.6, 1.0, 1.5, 2.5, 6.0])
    curve = phase_curve(ising, T, n_samples=10_000, random_state=0)
    s = np.array(list(itertools.product((-1, 1), repeat=16)), dtype=np.int8)
    H, m = ising.energy(s), abs(s.mean(axis=1))
    p = np.exp(-(H - H.min()) / T[:, None])
    p /= p.sum(axis=1, keepdims=True)
    exact = {"energy": p @ H / 16, "abs_magnetization": p @ m}
    exact["heat_capacity"] = (p @ H**2 - (p @ H) ** 2) / (16 * T**2)
    for name, wanted in exact.items():
        value, error = curve[name]
        assert (abs(value - wanted) < 5 * error).all(), name
        assert (error < 0.02).all()
