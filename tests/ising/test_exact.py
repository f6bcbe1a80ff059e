"""Kaufman's formula against enumeration, published digits and itself."""

import math

import numpy as np
import pytest

from skhamiltonian import IsingSampler
from skhamiltonian._ising.exact import ising_exact
from skhamiltonian._utils.alphabet import enumerate_states

CRITICAL = 2 / np.log1p(np.sqrt(2))


def enumerated(shape, temperature, coupling=1.0):
    """ln Z, F, U, S and C from all configurations."""
    n_sites = math.prod(shape)
    H = IsingSampler(shape, coupling=coupling).energy(enumerate_states((-1, 1), n_sites))
    w = np.exp(-(H - H.min()) / temperature)
    p = w / w.sum()
    log_z, U = np.log(w.sum()) - H.min() / temperature, p @ H
    return log_z, -temperature * log_z, U, log_z + U / temperature, p @ (H - U) ** 2 / temperature**2


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (2, 3), (3, 2), (3, 3), (2, 8), (3, 5), (4, 4)])
@pytest.mark.parametrize("temperature", [0.5, 1.0, CRITICAL, 2.5, 10.0])
def test_kaufman_is_enumeration(shape, temperature):
    np.testing.assert_allclose(ising_exact(shape, temperature), enumerated(shape, temperature), rtol=1e-11)


SMALL = [(1, 1), (1, 3), (4, 1), (2, 2), (2, 3), (3, 2), (3, 3), (2, 6), (3, 5)]
COUPLINGS = [(1, 0.05), (20, 1), (0, 1), (1, 0), (0, 0), (-1, 0.7), (0.7, -1), (-0.3, -2), (1e-3, 5)]


@pytest.mark.parametrize("shape", SMALL)
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_couplings_of_two_axes_are_enumeration(shape, coupling):
    frustrated = [length > 1 and length % 2 == 1 and J < 0 for length, J in zip(shape, coupling, strict=True)]
    for T in (0.2, 1.0, CRITICAL, 10.0, 1e6):
        if all(frustrated):
            with pytest.raises(ValueError, match="positive along one axis at least if both lengths are odd"):
                ising_exact(shape, T, coupling)
        else:
            wanted = enumerated(shape, T, coupling)
            np.testing.assert_allclose(ising_exact(shape, T, coupling), wanted, rtol=1e-10, atol=1e-10)


def test_a_trotterised_chain_has_its_quantum_partition_sum():
    """Transverse-field chain of 8 sites, H = -sum s^z s^z - sum s^x, in slices of 1/8; Z is a trace of matrices."""
    step, n = 1 / 8, 8
    s = enumerate_states((-1, 1), n)
    diagonal = np.exp(step / 2 * (s * np.roll(s, 1, axis=1)).sum(axis=1))
    kinetic = np.ones((1, 1))
    for _ in range(n):
        kinetic = np.kron(kinetic, [[np.cosh(step), np.sinh(step)], [np.sinh(step), np.cosh(step)]])
    eigenvalues = np.linalg.eigvalsh(diagonal[:, None] * kinetic * diagonal)
    coupling = (-np.log(np.tanh(step)) / 2, step)
    for n_slices in (4, 8, 16, 32):
        log_z = np.log(np.sum((eigenvalues / eigenvalues[-1]) ** n_slices)) + n_slices * np.log(eigenvalues[-1])
        constant = n * n_slices * np.log(np.sinh(2 * step) / 2) / 2
        exact = ising_exact((n_slices, n), 1.0, coupling).log_partition
        assert exact + constant == pytest.approx(log_z, rel=1e-12)


# Per site: ln Z, energy, entropy, heat capacity, from a 60-digit evaluation of Kaufman's formula.
PUBLISHED = {
    (4, 1.0): (2.043670087617, -1.997158440256, 0.046511647362, 0.023409397457),
    (4, 2.0): (1.069085444921, -1.755380288777, 0.191395300532, 0.605532657210),
    (4, 2.3): (0.960947265681, -1.541311492455, 0.290811834178, 0.794329749298),
    (4, 2.5): (0.910068313990, -1.379116482259, 0.358421721087, 0.812515229440),
    (4, 4.0): (0.762579439055, -0.625486129709, 0.606207906628, 0.240108654843),
    (16, 1.0): (2.003055889875, -1.997160204112, 0.005895685763, 0.023379564687),
    (16, 2.0): (1.028500822008, -1.745530668991, 0.155735487512, 0.725508767737),
    (16, 2.3): (0.923754563730, -1.406067925600, 0.312420683034, 1.544920987597),
    (16, 2.5): (0.879800182640, -1.131317984411, 0.427272988876, 1.064976882853),
    (16, 4.0): (0.759106485156, -0.557272832720, 0.619788276976, 0.171191610896),
    (32, 1.0): (2.001025185244, -1.997160204112, 0.003864981132, 0.023379564687),
    (32, 2.0): (1.026469714467, -1.745564527035, 0.153687450950, 0.724873978199),
    (32, 2.3): (0.922025988737, -1.375465805187, 0.323997377787, 1.900816613345),
    (32, 2.5): (0.879373347425, -1.107291660978, 0.436456683034, 0.885812501066),
    (32, 4.0): (0.759106478535, -0.557272240629, 0.619788418378, 0.171188411478),
    (64, 1.0): (2.000517509087, -1.997160204112, 0.003357304974, 0.023379564687),
    (64, 2.0): (1.025962038081, -1.745564575313, 0.153179750425, 0.724871448605),
    (64, 2.3): (0.921646342227, -1.355590370536, 0.332259224603, 2.125049111196),
    (64, 2.5): (0.879363835298, -1.106082992472, 0.436930638309, 0.861855083163),
    (64, 4.0): (0.759106478535, -0.557272240628, 0.619788418378, 0.171188411476),
}


@pytest.mark.parametrize(("length", "temperature"), PUBLISHED)
def test_kaufman_has_the_published_digits(length, temperature):
    exact = ising_exact((length, length), temperature)
    per_site = np.array([exact.log_partition, exact.energy, exact.entropy, exact.heat_capacity]) / length**2
    np.testing.assert_allclose(per_site, PUBLISHED[length, temperature], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("length", [4, 17, 64])
def test_energy_and_heat_capacity_are_derivatives_of_ln_z(length):
    """A second route: U = -d ln Z / d(1/T) and C = dU/dT by central differences."""
    T = np.array([0.8, 2.0, CRITICAL, 2.3, 4.0, 10.0])
    step = 1e-3 * T
    up, mid, down = (ising_exact((length, length), T + k * step) for k in (1, 0, -1))
    U = -(up.log_partition - down.log_partition) / (1 / (T + step) - 1 / (T - step))
    C = (up.energy - down.energy) / (2 * step)
    np.testing.assert_allclose(mid.energy, U, rtol=2e-5)
    np.testing.assert_allclose(mid.heat_capacity, C, rtol=2e-3)


@pytest.mark.parametrize("coupling", [(20.0, 1.0), (1.0, 0.05), (0.3, -4.0)])
@pytest.mark.parametrize("length", [4, 17, 32])
def test_derivatives_hold_with_two_couplings(length, coupling):
    if length % 2 and min(coupling) < 0:
        length += 1
    T = np.array([0.5, 1.0, 2.0, 5.0, 12.0]) * max(coupling) ** 0.5
    step = 1e-4 * T
    up, mid, down = (ising_exact((length, 2 * length), T + k * step, coupling) for k in (1, 0, -1))
    U = -(up.log_partition - down.log_partition) / (1 / (T + step) - 1 / (T - step))
    np.testing.assert_allclose(mid.energy, U, rtol=1e-5)
    np.testing.assert_allclose(mid.heat_capacity, (up.energy - down.energy) / (2 * step), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("one", "two"), [(1, 1), (2, 0.1), (0.5, -3), (-1, 2)])
def test_axes_commute(one, two):
    for a, b in ((4, 6), (9, 4), (8, 5)):
        if not (one < 0 and a % 2) and not (two < 0 and b % 2 and one < 0):
            wanted = ising_exact((b, a), 2.2, (two, one))
            np.testing.assert_allclose(ising_exact((a, b), 2.2, (one, two)), wanted, rtol=1e-11)


def test_even_axes_do_not_know_the_sign_of_a_coupling():
    wanted = ising_exact((6, 8), 1.3, (2.0, 0.5))
    for coupling in [(-2.0, 0.5), (2.0, -0.5), (-2.0, -0.5)]:
        np.testing.assert_array_equal(ising_exact((6, 8), 1.3, coupling), wanted)


@pytest.mark.parametrize(
    ("coupling", "error", "message"),
    [
        ((1.0,), ValueError, r"one for each of the 2 axes, got \(1.0,\)"),
        (np.ones(2), TypeError, "a tuple of numbers, one per axis, got array"),
        ("1", TypeError, "coupling must be a finite number, got '1'"),
        ((1.0, math.nan), ValueError, "each coupling must be a finite number, got nan"),
        ((1.0, None), TypeError, "each coupling must be a finite number, got None"),
    ],
)
def test_couplings_that_are_none_are_refused(coupling, error, message):
    for use in (lambda: ising_exact((4, 4), 2.5, coupling), lambda: IsingSampler((4, 4), coupling=coupling).sample()):
        with pytest.raises(error, match=message):
            use()


@pytest.mark.parametrize("length", [4, 16, 64])
def test_limits_of_temperature_are_finite(length):
    """T -> 0: two ground states. T = inf: 2^N equally likely configurations."""
    n_sites = length**2
    cold, hot = ising_exact((length, length), 1e-3), ising_exact((length, length), np.inf)
    np.testing.assert_allclose([cold.energy, cold.entropy], [-2 * n_sites, np.log(2)], rtol=1e-8)
    assert cold.heat_capacity == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose([hot.log_partition, hot.entropy], n_sites * np.log(2), rtol=1e-13)
    np.testing.assert_allclose([hot.energy, hot.heat_capacity], 0, atol=1e-9)
    assert hot.free_energy == -np.inf


@pytest.mark.parametrize(("T", "entropy"), [(1e-300, 0.0), (1e300, 16 * np.log(2))])
def test_no_square_of_a_temperature_overflows(T, entropy):
    exact = ising_exact((4, 4), T)
    assert exact.heat_capacity == 0
    assert exact.entropy == pytest.approx(entropy)


def test_an_array_of_temperatures_is_each_of_them():
    T = np.array([[0.5, CRITICAL, 2.5], [4.0, 7.0, np.inf]])
    exact = ising_exact((4, 6), T)
    assert all(np.shape(total) == T.shape for total in exact)
    for index in np.ndindex(T.shape):
        np.testing.assert_allclose([total[index] for total in exact], ising_exact((4, 6), T[index]), rtol=1e-13)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be a positive number, got {temperature}"):
        ising_exact((4, 4), temperature)


@pytest.mark.parametrize("temperature", ["2.5", True, None, 1j, ["a"]])
def test_a_temperature_that_is_not_a_number_is_refused(temperature):
    with pytest.raises(TypeError, match="temperature must be a positive number"):
        ising_exact((4, 4), temperature)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 4)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(ValueError, match=r"lattice_shape must have 2 axes.*" + str(shape[0])):
        ising_exact(shape, 2.5)


def test_enumeration_is_in_c_order_and_complete():
    np.testing.assert_array_equal(enumerate_states((-1, 1), 2), [[-1, -1], [-1, 1], [1, -1], [1, 1]])
    assert len(np.unique(enumerate_states((-4, 0, 4), 5), axis=0)) == 3**5


def test_one_temperature_gives_plain_floats():
    assert all(type(total) is float for total in ising_exact((4, 4), 2))
