"""Free energy and entropy by integration of the energy from T = infinity, against Kaufman."""

import numpy as np
import pytest

from skhamiltonian import IsingSampler, ising_exact, phase_curve


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


def test_entropy_is_integrated_on_demand():
    ising = IsingSampler((4, 4), 2.5, random_state=0)
    assert "entropy" not in phase_curve(ising, [2.5], n_samples=500, random_state=0).observables
    for wrong in ("yes", 1, None):
        with pytest.raises(TypeError, match="entropy must be True or False"):
            phase_curve(ising, [2.5], entropy=wrong)
