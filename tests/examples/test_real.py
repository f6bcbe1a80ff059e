"""The scripts of examples/real on small stand-ins, whose truth is known, in the formats of the real files."""

import importlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skhamiltonian import IsingSampler

FOLDER = Path(__file__).parents[2] / "examples" / "real"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        for one in (name, "common"):
            sys.modules.pop(one, None)
        return importlib.import_module(name)

    yield load
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def histogram(X):
    """Rows with their counts in front, as an annealer's file has them."""
    rows, counts = np.unique(X, axis=0, return_counts=True)
    return np.column_stack([counts, rows])


def ring(n_samples, n_sites=8, temperature=2.0, seed=0):
    return IsingSampler((n_sites,), temperature, random_state=seed).sample(n_samples=n_samples)


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_a_histogram_is_read_from_csv_and_zip(script, tmp_path):
    common, X = script("common"), ring(500)
    np.savetxt(tmp_path / "a.csv", histogram(X), fmt="%d", delimiter=",")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.csv", "a.csv")
    for name in ("a.csv", "a.zip"):
        rows, counts = common.load_rows(tmp_path / name)
        np.testing.assert_array_equal(np.column_stack([counts, rows]), histogram(X))
    np.testing.assert_array_equal(histogram(common.some_rows(rows, counts, 10**6)), histogram(X))


def test_matlab_files_are_read_by_name_or_refused_with_the_remedy(script, tmp_path, monkeypatch):
    common, X = script("common"), ring(50)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install h5py"):
        common.load_rows(tmp_path / "a.mat")
    monkeypatch.undo()
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["words"] = (X > 0).astype(np.uint8)
    np.testing.assert_array_equal(common.load_rows(tmp_path / "a.mat")[0], X > 0)
    with pytest.raises(KeyError, match="holds words: name one of them, got 'spikes'"):
        common.load_rows(tmp_path / "a.mat", "spikes")


def test_the_annealer_script_finds_the_ring_and_its_temperature(script, tmp_path, capsys):
    np.savetxt(tmp_path / "a.csv", histogram(ring(2000)), fmt="%d", delimiter=",")
    options = dict(max_iter=5, n_units=16, strength=1.0, figure=tmp_path / "a.png")
    tables, pairs = script("annealer").run(tmp_path / "a.csv", 2000, **options)
    assert is_png(tmp_path / "a.png")
    assert tables["pairs"].log_likelihood.mean() > tables["independent"].log_likelihood.mean() + 0.5
    printed = capsys.readouterr().out
    assert "8 of 28 couplings exceed 4 standard errors" in printed
    assert "the graph of these couplings has 2.0 neighbours a site" in printed
    temperature = float(printed.split(": T = ")[1].split()[0])
    assert temperature == pytest.approx(2.0, abs=0.25)
    assert np.isclose(pairs.coupling_[0, 1], 0.5, atol=0.12)


def test_the_spike_script_normalises_every_model_exactly(script, tmp_path, capsys):
    spikes = script("spikes")
    X = ring(4000, 6)
    np.save(tmp_path / "a.npy", X > 0)
    options = dict(hidden_layer_sizes=(16,), max_iter=10, figure=tmp_path / "a.png")
    tables, divergences = spikes.run(tmp_path / "a.npy", **options)
    assert is_png(tmp_path / "a.png")
    assert divergences["pairs"][1] < divergences["independent"][1] / 5
    exact = spikes.log_law(IsingSampler((6,), 1.0, coupling=0.5), 6)
    assert np.exp(exact).sum() == pytest.approx(1)
    S = -(np.exp(exact) @ exact)
    assert abs(tables["pairs"].entropy.value - S) < 3 * tables["pairs"].entropy.error
    printed, counts = capsys.readouterr().out, histogram(X)[:, 0]
    assert f"{len(counts)} rows differ; the most frequent one occurs {counts.max()} times" in printed
    floor = float(printed.split("would be at about ")[1].split(",")[0])
    assert abs(divergences["pairs"][1] - floor) < 0.01


@pytest.mark.filterwarnings("default")  # of a film this small, the binarizer and the curve warn
def test_the_skyrmion_script_finds_the_discs(script, tmp_path):
    from skimage.io import imsave

    rng, y, x = np.random.default_rng(0), *np.indices((240, 320))
    for number in range(2):
        mask = np.zeros((240, 320), bool)
        for cy, cx in zip(rng.integers(20, 220, 60), rng.integers(20, 300, 60), strict=True):
            near = (y - cy) ** 2 + (x - cx) ** 2
            if not mask[near < 20**2].any():
                mask |= near < 9**2
        grey = 130 - 40 * gaussian_filter(mask.astype(float), 1.0) + rng.normal(0, 12, mask.shape)
        imsave(tmp_path / f"image-{number}.png", grey.clip(0, 255).astype(np.uint8), check_contrast=False)
        imsave(tmp_path / f"mask-{number}.png", (255 * mask).astype(np.uint8), check_contrast=False)
    skyrmions = script("skyrmions")
    files = [sorted(map(str, tmp_path.glob(f"{kind}-*.png"))) for kind in ("image", "mask")]
    images = script("common").load_images(files[0])
    masks = skyrmions.load_masks(files[1])
    spins, (found, n_discs) = skyrmions.binarized(images, masks)
    assert found >= 0.97 * n_discs > 20
    assert skyrmions.judge(np.ones((120, 160)), masks[0], 2)[:1] == (0,)
    local, X, held_out = skyrmions.learn(spins)
    assert local.couplings_.size
    assert X.shape[1] == 256
    skyrmions.draw(tmp_path / "a.png", spins[0], masks[0], local, held_out, n=32)
    assert is_png(tmp_path / "a.png")


@pytest.mark.filterwarnings("default")  # a few couplings of nearly ordered rings are not determined
def test_the_snapshot_script_names_the_set_at_the_transition(script, tmp_path, capsys):
    """Rings of 12 Ising spins: ordered, critical-like and free."""
    for name, T in (("a", 0.3), ("b", 1.2), ("c", 50.0)):
        np.save(tmp_path / f"{name}.npy", ring(400, 12, T, seed=1) > 0)
    paths = [tmp_path / f"{name}.npy" for name in "abc"]
    found = script("snapshots").run(paths, figure=tmp_path / "a.png", n_units=8, max_iter=5)
    assert is_png(tmp_path / "a.png")
    printed = capsys.readouterr().out
    assert f"fluctuations of the order are largest in {paths[1]}" in printed
    shared = [table.multi_information.value for _, table in found.values()]
    assert shared[0] > shared[1] > shared[2]


def test_an_exact_wave_function_is_the_truth_to_compare_with(script, tmp_path, capsys):
    p = np.arange(1, 65) / np.arange(1, 65).sum()
    words = np.random.default_rng(0).choice(64, 2000, p=p)
    np.savetxt(tmp_path / "a.txt", words[:, None] >> np.arange(6) & 1, fmt="%d")
    np.savetxt(tmp_path / "psi.txt", np.column_stack([np.sqrt(p), 0 * p]))
    script("snapshots").describe(tmp_path / "a.txt", tmp_path / "psi.txt", n_units=8, max_iter=5)
    exact = -(p * np.log(p)).sum()
    assert f"exact entropy of the wave function {exact:.4f} nats" in capsys.readouterr().out
