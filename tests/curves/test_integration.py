"""Free energy and entropy by integration of the energy from T = infinity, against Kaufman."""

import numpy as np
import pytest

from skhamiltonian import Estimate, IsingSampler, ising_exact, phase_curve
from skhamiltonian._curves.integration import EnergyPoint, integrate_energy


def test_entropy_by_integration_is_kaufmans():
    """With honest errors; the phase transition lies on the way, and T = infinity is exact."""
    ising = IsingSampler((8, 8), 2.5, random_state=0)
    T = np.array([1.5, 2.0, 2.5, 4.0, np.inf])
    z = []
    for seed in range(6):
        curve = phase_curve(ising, T, n_samples=2000, entropy=True, random_state=seed)
        for name in ("entropy", "free_energy"):
            value, error = curve[name]
            exact = [getattr(ising_exact((8, 8), t), name) / 64 for t in T[:4]]
            np.testing.assert_allclose(value[:4], exact, atol=0.008)
            z.append((value[:4] - exact) / error[:4])
        assert curve["entropy"].value[4] == pytest.approx(np.log(2), abs=1e-12)
    assert 0.3 < np.std(z) < 1.3


def test_free_spins_in_a_field_have_their_entropy_by_integration():
    """S / N = ln(2 cosh x) - x tanh x with x = h / T; the temperatures that are added feel the field, too."""
    spins, x = IsingSampler((64,), 1.0, coupling=0.0, burn_in=0, n_sweeps=1, method="heat-bath"), 1.5 / np.array([1, 3])
    curve = phase_curve(spins, [1.0, 3.0], field=1.5, n_samples=500, entropy=True, random_state=0)
    exact = np.log(2 * np.cosh(x)) - x * np.tanh(x)
    np.testing.assert_allclose(curve["entropy"].value, exact, atol=0.01)


def test_entropy_is_integrated_on_demand():
    ising = IsingSampler((4, 4), 2.5, random_state=0)
    assert "entropy" not in phase_curve(ising, [2.5], n_samples=500, random_state=0).observables
    for wrong in ("yes", 1, None):
        with pytest.raises(TypeError, match="entropy must be True or False"):
            phase_curve(ising, [2.5], entropy=wrong)


def test_errors_of_an_integral_are_those_of_its_coefficients():
    """ln Z = -sum of trapezoids of U and of h^2 / 12 dV; S = ln Z + beta U, whose own U counts in both terms."""
    betas, h = np.array([0.0, 0.02, 0.05]), np.array([0.02, 0.03])
    U, V = -100 * betas, np.full(3, 100.0)
    for noisy in range(3):
        dU, dV = np.where(np.arange(3) == noisy, 0.7, 0.0), np.where(np.arange(3) == noisy, 40.0, 0.0)
        points = [EnergyPoint(Estimate(U[k], dU[k]), Estimate(V[k], dV[k])) for k in range(3)]
        known = dict(zip(betas.tolist(), points, strict=True))
        log_z, S = integrate_energy(betas, known, None, 16, 16 * np.log(2))
        by_U = np.array([[0, 0, 0], [h[0], h[0], 0], [h[0], h[0] + h[1], h[1]]]) / 2
        first, second = h**2 / 12
        by_V = np.array([[0, 0, 0], [-first, first, 0], [-first, first - second, second]])
        np.testing.assert_allclose(log_z.value, 16 * np.log(2) - by_U @ U - by_V @ V)
        np.testing.assert_allclose(S.value, log_z.value + betas * U)
        wanted = np.hypot((np.diag(betas) - by_U)[:, noisy] * 0.7, by_V[:, noisy] * 40.0)
        np.testing.assert_allclose(S.error, wanted, rtol=1e-6, atol=1e-9)
        wanted = np.hypot(by_U[:, noisy] * 0.7, by_V[:, noisy] * 40.0)
        np.testing.assert_allclose(log_z.error, wanted, rtol=1e-6, atol=1e-9)
