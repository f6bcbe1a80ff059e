"""Symmetries that the data refute are named, and those that hold are not."""

import warnings

import numpy as np
import pytest

from skhamiltonian import IsingSampler, LocalHamiltonian, MADEHamiltonian
from skhamiltonian._lattice.refuted import _of_all_sites, error_of_mean, refuted, warn_of_refuted
from skhamiltonian._utils.alphabet import enumerate_states

ALL = ("translation", "point-group", "spin-flip")


def names(X, shape, asked=ALL):
    return [r.name for r in refuted(X, shape, asked)]


def ising(shape, T, n_samples=2000, seed=0, **system):
    return IsingSampler(shape, T, random_state=seed, **system).sample(n_samples=n_samples)


def site(shape, *place):
    return int(np.ravel_multi_index([i % n for i, n in zip(place, shape, strict=True)], shape))


def triangular(n):
    return [(1.0, [[site((n, n), i, j), site((n, n), i + 1, j + 1)] for i in range(n) for j in range(n)])]


def gradient(n):
    return [(0.1 * (j - (n - 1) / 2), [site((n, n), i, j)]) for i in range(n) for j in range(n)]


def test_one_phase_refutes_the_flip():
    X = ising((6, 6), 2.0)
    assert names(X[X.mean(axis=1) > 0], (6, 6)) == ["spin-flip"]


def test_a_triangular_lattice_refutes_the_point_group_of_the_square():
    assert names(ising((6, 6), 4.0, couplings=triangular(6)), (6, 6)) == ["point-group"]


def test_open_boundaries_refute_translation():
    assert names(ising((6, 6), 2.5, boundary="open"), (6, 6)) == ["translation"]


def test_a_gradient_of_the_field_refutes_all():
    assert names(ising((6, 6), 3.0, couplings=gradient(6)), (6, 6)) == list(ALL)


@pytest.mark.parametrize("flips", [0.05, 2.0])
def test_rare_flips_at_some_sites_are_no_evidence(flips):
    """So many of 2048 rows have a flip at a site: some sites have none, and others several."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = np.where(rng.random((2048, 100)) < flips / 2048, -1, 1)
        assert names(X, (10, 10), ("translation",)) == []
    X[rng.random(2048) < 0.05, 6] = -1
    assert names(X, (10, 10), ("translation",)) == ["translation"]


def test_sites_of_a_feature_share_error_and_skewness():
    """Two columns of one feature, of which one never changes, and one column of another."""
    a = np.array([[0.0, 0, 1], [0, 4, -1], [0, 0, 1], [0, 0, -1]])
    error, skew = _of_all_sites(a, np.array([3.0, 4, 5]), np.array([8.0, 10, 4]), np.array([0, 0, 1]))
    np.testing.assert_allclose(error, [np.sqrt(12.5), np.sqrt(12.5), 5])
    third, second = np.mean([0, (27 - 3) / 4]), np.mean([0, (9 + 3) / 4])
    np.testing.assert_allclose(skew, [third / second**1.5 / 3, third / second**1.5 / 3, 0], atol=1e-15)


def test_unequal_axes_of_a_square_refute_the_point_group():
    weak = [(-0.5, [[site((6, 6), i, j), site((6, 6), i + 1, j)] for i in range(6) for j in range(6)])]
    assert names(ising((6, 6), 2.5, couplings=weak), (6, 6)) == ["point-group"]


def test_a_third_order_coupling_without_moment_refutes_the_flip():
    """p(s) of three spins 1 + a s1 s2 s3: all means and pairs vanish."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1, 1], (4000, 3))
    X = X[rng.random(4000) < (1 + 0.4 * X.prod(axis=1)) / 2]
    assert names(X, (3,)) == ["spin-flip"]


def test_an_enumeration_refutes_nothing():
    X = enumerate_states((-1, 1), 12)
    assert names(X, (3, 4)) == []
    assert names(X, (3, 4), ("spin-flip",)) == []


def test_an_offset_of_all_states_is_no_evidence():
    """Products of numbers near 10^9 have no digits left in single precision."""
    for system, expected in (({}, []), ({"couplings": gradient(6)}, list(ALL[:2]))):
        assert names(ising((6, 6), 3.0, **system).astype(np.int64) + 10**9, (6, 6), ALL[:2]) == expected


@pytest.mark.filterwarnings("ignore:sites .* have a coupling")  # a consequence
def test_a_local_energy_of_periodic_rows_assumes_translations():
    X = np.where(np.random.default_rng(0).random((500, 16)) < np.linspace(0.2, 0.8, 16), 1, -1)
    local = LocalHamiltonian(window_shape=2)
    with pytest.warns(UserWarning, match="the data refute symmetries \\('translation'"):
        local.set_params(boundary="periodic").fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        local.fit(ising((16,), 1.0))


@pytest.mark.parametrize("symmetry", ["translation", "point-group"])
def test_columns_in_another_order_are_named_as_a_cause(symmetry):
    """Columns s0, s1, s10, ..., as a program sorts their names."""
    X = ising((6, 6), 2.5)[:, np.argsort([f"s{i}" for i in range(36)])]
    with pytest.warns(UserWarning, match=r"not the sites of lattice_shape=\(6, 6\) in C order: .* s1, s10"):
        warn_of_refuted(X, (6, 6), (symmetry,))


def test_weights_decide_what_is_refuted():
    """Rows of one phase with a weight, among all rows or with the others."""
    X = ising((6, 6), 2.0)
    up = (X.mean(axis=1) > 0).astype(float)
    assert [r.name for r in refuted(X, (6, 6), ALL, up)] == ["spin-flip"]
    some = np.append(up, 1 - up)
    assert refuted(np.concatenate([X, X]), (6, 6), ALL, some) == []
    assert refuted(X, (6, 6), ALL, np.where(np.arange(len(X)) < 40, up, 0)) == []


def test_only_what_is_asked_for_is_tested():
    X = ising((6, 6), 2.5, boundary="open")
    assert names(X, (6, 6), ("point-group", "spin-flip", "rotation")) == []
    assert names(X[:40], (6, 6)) == []


@pytest.mark.parametrize(("shape", "T"), [((5,), 1.0), ((4, 4), 1.8), ((3, 5), 2.5), ((2, 2, 3), 4.0), ((8, 8), 2.3)])
def test_symmetries_that_hold_are_not_refuted(shape, T):
    for seed in range(10):
        assert names(ising(shape, T, 1500, seed), shape) == []


@pytest.mark.parametrize("interleaved", [False, True])
def test_slow_chains_are_not_rows(interleaved):
    """20 chains that each stay in a phase of their own: the mean is that of 20 signs."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        signs = rng.permutation(np.repeat([-1, 1], [8, 12]))
        flips = rng.choice([-1, 1], (20, 100, 9), p=[0.05, 0.95])
        X = (signs[:, None, None] * flips).swapaxes(0, 1) if interleaved else signs[:, None, None] * flips
        assert names(X.reshape(-1, 9), (3, 3)) == []


def potts(n_rows, bias=(0, 0, 0), own=(1, 1, 1)):
    """Draw rings of four sites with three states: fields of the states, and the coupling of two neighbours in each."""
    X = enumerate_states((3, 5, 9), 4)
    codes = np.searchsorted([3, 5, 9], X)
    alike = codes == np.roll(codes, 1, axis=1)
    log_p = np.sum(np.take(bias, codes) + alike * np.take(own, codes), axis=1)
    return X[np.random.default_rng(0).choice(len(X), n_rows, p=np.exp(log_p) / np.exp(log_p).sum())]


def test_a_permutation_of_states_is_refuted_by_a_field_and_by_unequal_couplings():
    asked = ("translation", "permutation")
    assert names(potts(4000), (4,), asked) == []
    assert names(potts(4000, bias=(0.2, 0, 0)), (4,), asked) == ["permutation"]
    # The field makes all states equally frequent, so only pairs tell.
    X = potts(4000, bias=(1.49549, 0, 0), own=(-1, 1, 1))
    assert abs(np.mean(X == 3) - 1 / 3) < 0.01
    assert names(X, (4,), asked) == ["permutation"]


def angles(density, size, rng):
    """Draw angles from a law of the circle, a function at most 2, by rejection."""
    theta = rng.uniform(0, 2 * np.pi, (4 * size,))
    return theta[rng.uniform(0, 2, 4 * size) < density(theta)][:size]


OF_ONE_HARMONIC = {
    "cos 1": (lambda x: 1 + 0.5 * np.cos(x), ["rotation"]),
    "cos 2": (lambda x: 1 + 0.5 * np.cos(2 * x), ["rotation"]),
    "sin 1": (lambda x: 1 + 0.5 * np.sin(x), ["rotation", "reflection"]),
    "sin 2": (lambda x: 1 + 0.5 * np.sin(2 * x), ["rotation", "reflection"]),
    "none": (lambda x: 1 + 0 * x, []),
}


@pytest.mark.parametrize("law", OF_ONE_HARMONIC)
def test_one_harmonic_of_a_law_refutes_what_it_breaks(law):
    density, broken = OF_ONE_HARMONIC[law]
    X = angles(density, 4000, np.random.default_rng(0)).reshape(1000, 4)
    found = refuted(X, (2, 2), ("translation", "point-group", "rotation", "reflection"), are_angles=True)
    assert [r.name for r in found] == broken


@pytest.mark.parametrize("quarter", [0, 1])
def test_one_component_of_angles_refutes_translation(quarter):
    """Cosines, or sines, have another mean at the first site; the other component has mean zero everywhere."""
    rng = np.random.default_rng(1)
    X = rng.uniform(0, 2 * np.pi, (1000, 4))
    X[:, 0] = angles(lambda x: 1 + np.cos(x - quarter * np.pi / 2), 1000, rng)
    assert [r.name for r in refuted(X, (4,), ("translation",), are_angles=True)] == ["translation"]


def test_the_error_of_a_mean_counts_autocorrelation():
    """The variance of the mean of x_t = rho x_{t-1} + noise is (1 + rho) / (1 - rho) / n."""
    rng, n, columns, rho = np.random.default_rng(2), 2000, 300, 0.5
    x, noise = np.empty((n, columns)), rng.normal(size=(n, columns)) * np.sqrt(1 - rho**2)
    x[0] = rng.normal(size=columns)
    for t in range(1, n):
        x[t] = rho * x[t - 1] + noise[t]
    error, n_eff = error_of_mean(x)
    tau = (1 + rho) / (1 - rho)
    assert np.mean(error**2) == pytest.approx(tau / n, rel=0.15)
    assert np.mean(n_eff) == pytest.approx(n / tau, rel=0.15)
    error, n_eff = error_of_mean(noise)
    assert np.mean(error) == pytest.approx(np.sqrt((1 - rho**2) / n), rel=0.01)
    assert np.mean(n_eff) == pytest.approx(n, rel=0.02)


def test_fit_names_the_refuted_symmetry_once():
    X = ising((4, 4), 2.0, 1000)
    model = MADEHamiltonian(2.0, symmetries=("spin-flip",), hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="data refute .*'spin-flip': the mean of all sites is 0.") as seen:
        model.fit(X[X.mean(axis=1) > 0])
    assert [one.filename for one in seen if one.category is UserWarning] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Draws at the temperature of X")  # one epoch
        model.fit(X)


def test_a_local_energy_names_the_refuted_symmetry():
    X = ising((6, 6), 2.0, 1000)
    local = LocalHamiltonian(2.0, lattice_shape=(6, 6), window_shape=2, symmetries=("spin-flip",), random_state=0)
    with pytest.warns(UserWarning, match="data refute .*'spin-flip'") as seen:
        local.fit(X[X.mean(axis=1) > 0])
    assert [one.filename for one in seen if one.category is UserWarning] == [__file__]


def test_a_local_energy_is_asked_with_the_weights_of_its_rows():
    X = ising((6, 6), 2.0, 1000)
    up = (X.mean(axis=1) > 0).astype(float)
    local = LocalHamiltonian(2.0, lattice_shape=(6, 6), window_shape=2, symmetries=("spin-flip",), random_state=0)
    with pytest.warns(UserWarning, match="data refute .*'spin-flip'"):
        local.fit(X, sample_weight=up)
    uneven = np.concatenate([X, X[up > 0], X[up > 0]])
    weight = np.repeat([1.0, 1e-3], [len(X), len(uneven) - len(X)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        local.fit(uneven, sample_weight=weight)
