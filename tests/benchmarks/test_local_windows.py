"""LocalHamiltonian on windows: how far its energy is from the true one, and whether its errors are honest."""

import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skhamiltonian import DomainBinarizer, IsingSampler, LocalHamiltonian, extract_windows

pytestmark = pytest.mark.benchmark

T0 = 2.5
PIXELS, BLUR, PHOTONS, FILTER = 4, 1.4, 40, 0.03


def learned(windows, temperature):
    symmetries = ("point-group", "spin-flip")
    return LocalHamiltonian(temperature, lattice_shape=(16, 16), symmetries=symmetries, random_state=0).fit(windows)


def energy_changes(system):
    """Return what single flips change of the energy, on the same 400 configurations for every system."""
    X = IsingSampler((16, 16), T0, random_state=99).sample(n_samples=400)
    flipped = X.copy()
    rows = np.arange(len(X))
    flipped[rows, np.random.default_rng(0).integers(0, X.shape[1], len(X))] *= -1
    return system.energy(flipped) - system.energy(X)


@pytest.mark.parametrize(("n_windows", "worst"), [(200, 0.05), (2000, 0.016), (60_000, 0.003)])
def test_slope_of_energy_changes(n_windows, worst, report):
    """Windows 16 x 16 of a 128 x 128 sample; `worst` is about four standard errors."""
    dE = energy_changes(IsingSampler((16, 16)))
    for seed in range(3):
        sample = IsingSampler((128, 128), T0, random_state=seed).sample(n_samples=-(-n_windows // 64))
        windows, _ = extract_windows(sample.reshape(-1, 128, 128), 16)
        start = time.process_time()
        local = learned(windows[:n_windows], T0)
        seconds = time.process_time() - start
        found = energy_changes(local.to_sampler((16, 16)))
        slope, rms = found @ dE / (dE @ dE), np.sqrt(np.mean((found - dE) ** 2))
        note = f"rms {rms:.3f}, {len(local.couplings_)} clusters, {seconds:.1f} s"
        report(f"slope - 1, {n_windows} windows", slope - 1, "", note)
        assert abs(slope - 1) < worst


def micrographs(seed):
    """Return 40 images of 64 x 64 spins: blur, photon noise, uneven light; the blur filtered out."""
    restoration = pytest.importorskip("skimage.restoration", reason="scikit-image is not installed")
    spins = IsingSampler((64, 64), T0, random_state=seed).sample(n_samples=40).reshape(-1, 64, 64)
    rng = np.random.default_rng(seed)
    y, x = np.indices((64 * PIXELS, 64 * PIXELS)) / (64 * PIXELS) - 0.5
    r = np.arange(-8, 9)
    spread = np.exp(-np.add.outer(r**2, r**2) / (2 * BLUR**2))
    spread /= spread.sum()
    for s in spins:
        blurred = 1 + 0.35 * gaussian_filter(np.kron(s, np.ones((PIXELS, PIXELS))), BLUR)
        image = rng.poisson(PHOTONS * (1 + 0.5 * x - 0.3 * y) * blurred).astype(np.uint16)
        yield restoration.wiener(image.astype(float), spread, FILTER, clip=False)


def test_coupling_from_micrographs(report):
    """Deviations in units of the stated error are of order one, from few images and from many."""
    z = {4: [], 12: [], 40: []}
    for seed in range(8):
        images = list(micrographs(100 + seed))
        for n, values in z.items():
            for first in range(0, 41 - n, n):
                binarizer = DomainBinarizer(background="plane", pixels_per_site=PIXELS)
                spins = np.stack(binarizer.fit_transform(images[first : first + n]))
                local = learned(extract_windows(spins, 16)[0], 1.0)
                values.append((local.couplings_[0] - 1 / T0) / local.covariance_[0, 0] ** 0.5)
    for n, values in z.items():
        rms = np.sqrt(np.mean(np.square(values)))
        within = np.mean(np.abs(values) < 1)
        report(f"J/T0 from {n} images", rms, "stated errors, rms", f"{len(values)} sets, {within:.0%} within one")
        assert rms < 1 + 3 / np.sqrt(2 * len(values))
