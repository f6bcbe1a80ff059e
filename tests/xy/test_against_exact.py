"""XYSampler against exact answers: transfer matrices of rings and ladders, series, spin waves, the transition."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ive

from skhamiltonian import XYSampler, helicity_modulus, phase_curve, vortex_density

METHODS = ["heat-bath", "wolff"]
FULL_TURN = 2 * math.pi
T_KT = 0.8933


def log_z(shape, T, coupling=1.0, field=0.0, boundary="periodic"):
    """ln Z of a chain (n,) or a ladder (n, 2), by a transfer matrix on a grid of angles.

    The trapezoidal rule is exact to 1e-9 for these smooth periodic functions. The rungs of a ladder have one bond if
    they are open, and two if they are periodic.
    """
    (J, rung), (ends, across) = ((x, x) if np.ndim(x) == 0 else x for x in (coupling, boundary))
    width = shape[1] if len(shape) > 1 else 1
    grid = FULL_TURN * np.arange(48 if width == 1 else 20) / (48 if width == 1 else 20)
    states = np.stack([x.ravel() for x in np.meshgrid(*[grid] * width)])
    inside = field * np.cos(states).sum(axis=0)
    if width == 2:
        inside = inside + rung * (1 + (across == "periodic")) * np.cos(states[0] - states[1])
    along = J * np.cos(states[:, :, None] - states[:, None, :]).sum(axis=0)
    M = np.exp((along - abs(J) * width + inside[:, None] / 2 + inside[None] / 2) / T) * (grid[1] ** width)
    if ends == "periodic":
        z = np.trace(np.linalg.matrix_power(M, shape[0]))
        return math.log(z) + shape[0] * abs(J) * width / T
    half = np.exp(inside / 2 / T)
    z = half @ np.linalg.matrix_power(M, shape[0] - 1) @ half * grid[1] ** width
    return math.log(z) + (shape[0] - 1) * abs(J) * width / T


def exact(shape, T, coupling=1.0, field=0.0, boundary="periodic"):
    """Energy, heat capacity and sum of cos theta by differences of ln Z."""
    beta, step = 1 / T, 1e-3 / T
    low, middle, high = (log_z(shape, 1 / b, coupling, field, boundary) for b in (beta - step, beta, beta + step))
    up, down = (log_z(shape, T, coupling, field + h, boundary) for h in (1e-3, -1e-3))
    return {
        "energy": -(high - low) / (2 * step),
        "heat_capacity": beta**2 * (high - 2 * middle + low) / step**2,
        "cosines": T * (up - down) / 2e-3,
    }


def ring(N, T):
    """Energy, helicity modulus and <m^2> of a ring, by Fourier modes of its transfer matrix."""
    k = np.arange(-80, 81)
    mode = ive(np.abs(k), 1 / T)
    slope = (ive(np.abs(k - 1), 1 / T) + ive(np.abs(k + 1), 1 / T)) / 2
    Z = (mode**N).sum()
    correlation = [(mode ** (N - r) * ive(np.abs(k + 1), 1 / T) ** r).sum() / Z for r in range(N)]
    return {
        "energy": -N * (mode ** (N - 1) * slope).sum() / Z,
        "helicity": T * N * (k**2 * mode**N).sum() / Z,
        "m2": np.mean(correlation),
    }


def m2(X):
    return np.abs(np.exp(1j * X).mean(axis=1)) ** 2


def cosines(X):
    return np.cos(X).sum(axis=1)


@pytest.mark.parametrize("T", [0.2, 0.6, 2.0])
@pytest.mark.parametrize("N", [4, 9])
def test_two_ways_to_the_exact_ring_are_one(N, T):
    assert ring(N, T)["energy"] == pytest.approx(exact((N,), T)["energy"], rel=2e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("N", "temperatures"), [(9, [0.3, 0.6, 1.0, 3.0]), (24, [0.4, 1.0])])
def test_rings_are_those_of_bessel_functions(method, N, temperatures):
    """Short cold rings need turns along the ring, which clusters make; the heat bath is not asked for them."""
    observables = {"helicity": helicity_modulus((N,)), "m2": m2}
    curve = phase_curve(
        XYSampler((N,), method=method), temperatures, observables=observables, n_samples=5000, random_state=1
    )
    for i, T in enumerate(temperatures):
        for name, wanted in ring(N, T).items():
            if method == "heat-bath" and N == 24 and T == 0.4:
                continue
            value, error = (x[i] * (N if name == "energy" else 1) for x in curve[name])
            assert abs(value - wanted) < 4.5 * error, (name, T)
            assert error < 0.03 * (N if name == "energy" else 1)


SYSTEMS = {
    "open chain": dict(shape=(7,), T=0.5, boundary="open"),
    "field": dict(shape=(7,), T=0.5, field=0.3),
    "open chain in a field against the axis": dict(shape=(6,), T=0.7, field=-0.4, boundary="open"),
    "frustrated ring": dict(shape=(5,), T=0.3, coupling=-1.0),
    "frustrated ring in a field": dict(shape=(5,), T=0.4, coupling=-1.0, field=0.7),
    "anisotropic ladder": dict(shape=(6, 2), T=0.9, coupling=(1.0, 0.4), boundary=("periodic", "open")),
    "double bonds": dict(shape=(5, 2), T=1.1, coupling=(0.8, 0.3), field=0.2),
    "open ladder, one axis antiferromagnetic": dict(
        shape=(4, 2), T=0.8, coupling=(-1.0, 0.5), boundary=("open", "open")
    ),
}


@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("name", SYSTEMS)
def test_chains_and_ladders_are_those_of_the_transfer_matrix(method, name):
    parameters = dict(SYSTEMS[name])
    shape, T = parameters.pop("shape"), parameters.pop("T")
    xy = XYSampler(shape, method=method, **parameters)
    curve = phase_curve(xy, [T], observables={"cosines": cosines}, n_samples=5000, random_state=2)
    for name, wanted in exact(shape, T, **parameters).items():
        value, error = (x[0] * (1 if name == "cosines" else math.prod(shape)) for x in curve[name])
        assert abs(value - wanted) < 4.5 * error, name


def test_auto_is_the_heat_bath_where_terms_compete():
    competing = dict(coupling=-1.0), dict(coupling=-1.0, field=0.1), dict(field=[1.0, -1.0] + [0.0] * 23)
    for parameters in competing:
        assert XYSampler((5, 5), 1.0, random_state=0, **parameters).draws().method == "heat-bath"
    for parameters in (dict(field=-1.0), dict(coupling=-1.0, boundary="open"), {}):
        assert XYSampler((5, 5), 1.0, random_state=0, **parameters).draws().method == "wolff"


def test_the_plane_follows_the_series_at_high_temperature():
    """ln Z / N = 2 ln I_0(K) + 2 u^4 + 4 u^6 + ..., u = I_1(K) / I_0(K): single squares and pairs of them."""
    T = np.array([3.0, 4.0])
    curve = phase_curve(XYSampler((12, 12)), T, n_samples=8000, random_state=0)
    K = 1 / T
    u = ive(1, K) / ive(0, K)
    slope = 1 - u / K - u**2
    series = -(2 * u + (8 * u**3 + 24 * u**5) * slope)
    value, error = curve["energy"]
    assert (abs(value - series) < 4 * error + 80 * u**7).all()
    assert (error < 1.2e-3).all()


@pytest.mark.parametrize("shape", [(8, 8), (4, 3, 5)])
def test_both_methods_agree(shape):
    observables = {"helicity": helicity_modulus(shape), "vortices": vortex_density(shape)}
    one, two = (
        phase_curve(
            XYSampler(shape, method=method), [0.9, 1.5], observables=observables, n_samples=3000, random_state=3
        )
        for method in METHODS
    )
    for name, (value, error) in one.observables.items():
        assert (abs(value - two[name].value) < 4.5 * np.hypot(error, two[name].error)).all(), name


@pytest.mark.parametrize("method", METHODS)
def test_errors_by_the_effective_sample_size_are_honest(method):
    """z-scores of energy and m^2 over 50 seeds, from draws that are far from independent."""
    wanted, z = ring(16, 0.5), np.empty((50, 2))
    for seed in range(50):
        xy = XYSampler((16,), 0.5, method=method, n_sweeps=1, burn_in=200, n_chains=8, random_state=seed)
        draws = xy.draws(n_samples=8 * 400)
        X = draws.configurations.reshape(-1, 16)
        for k, (x, mean) in enumerate(((xy.energy(X), wanted["energy"]), (m2(X), wanted["m2"]))):
            z[seed, k] = (x.mean() - mean) / (x.std() / math.sqrt(draws.effective_sample_size))
        assert draws.effective_sample_size < 2000
    spread = math.sqrt(2 / 50)
    assert (abs(z.mean(axis=0)) < 4 / math.sqrt(50)).all()
    assert 1 - 3.5 * spread < z.var(axis=0).max() < 1 + 3.5 * spread


def test_errors_of_a_curve_are_honest():
    """z-scores of energy and helicity modulus of 50 curves have variance 1."""
    observables, T = {"helicity": helicity_modulus((8,))}, np.full(50, 0.7)
    curve = phase_curve(XYSampler((8,)), T, observables=observables, n_samples=1000, random_state=0)
    for name, size in (("energy", 8), ("helicity", 1)):
        value, error = curve[name]
        z = (value * size - ring(8, 0.7)[name]) / (error * size)
        assert abs(z.mean()) < 4 / math.sqrt(50)
        assert 0.4 < z.var() < 1.7


@pytest.mark.parametrize("method", METHODS)
def test_infinite_temperature_is_uniform(method):
    X = XYSampler((4, 4), math.inf, coupling=-1.0, field=2.0, method=method, random_state=0).sample(n_samples=4000)
    assert stats.kstest(X.ravel() / FULL_TURN, "uniform").pvalue > 1e-3
    correlation = np.abs(np.exp(1j * (X[:, None] - X[..., None])).mean(axis=0) - np.eye(16))
    assert correlation.max() < 5 / math.sqrt(4000)


@pytest.mark.parametrize("method", METHODS)
def test_low_temperatures_are_equipartition(method):
    """N - 1 spin waves have T / 2 each; at the smallest numbers everything is finite."""
    curve = phase_curve(XYSampler((4, 4), method=method), [1e-3], n_samples=2000, random_state=0)
    value, error = curve["energy"]
    assert abs(value[0] + 2 - 15 / 32 * 1e-3) < 4 * error[0] + 1e-6
    tiny = XYSampler((4, 4), 1e-300, coupling=1e100, field=1e-5, method=method, n_sweeps=2, burn_in=9, random_state=0)
    assert np.isfinite(tiny.sample(n_samples=3)).all()


@pytest.mark.slow
def test_helicity_follows_the_logarithm_to_the_universal_jump():
    """Y / T = 2 / pi (1 + 1 / (2 ln L + C)) at the transition (Weber and Minnhagen 1988, Hasenbusch 2005).

    One C must fit L = 16, 32 and 64; without the logarithm the modulus would be 2 / pi, or the same, at all of them.
    """
    L = np.array([16, 32, 64])
    value, error = np.empty((2, 3))
    for k, length in enumerate(L):
        observables = {"helicity": helicity_modulus((length, length))}
        curve = phase_curve(
            XYSampler((length, length)), [T_KT], observables=observables, n_samples=6000, random_state=0
        )
        value[k], error[k] = (x[0] / T_KT for x in curve["helicity"])
    C = np.linspace(0, 8, 801)[:, None]
    chi2 = (((value - 2 / math.pi * (1 + 1 / (2 * np.log(L) + C))) / error) ** 2).sum(axis=1)
    assert chi2.min() < stats.chi2.isf(1e-3, 2)
    assert ((value - 2 / math.pi) > 10 * error).all()
    mean = np.average(value, weights=error**-2)
    assert (((value - mean) / error) ** 2).sum() > stats.chi2.isf(1e-6, 2)
