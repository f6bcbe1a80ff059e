"""X is the same byte for byte before and after every public method, in whatever kind of memory it is."""

import mmap

import numpy as np
import pytest

from skhamiltonian import (
    BlockSpinTransformer,
    EnergyDisplay,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    MADEHamiltonian,
    PseudolikelihoodIsing,
    XYSampler,
    extract_windows,
    pseudo_log_likelihood,
)
from skhamiltonian._utils.mapped import release_pages

SHAPE = (300, 9)
ROWS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), SHAPE)
ISING = IsingSampler((3, 3), 2.5, random_state=0)
MADE = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
FITTED = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(ROWS)
PAIRS = PseudolikelihoodIsing(2.5).fit(ROWS)
FREE = IndependentSites(2.5).fit(ROWS)
BLOCKS = BlockSpinTransformer(lattice_shape=(3, 3)).fit(ROWS)
EXPANSION = InteractionExpansion(lattice_shape=(3, 3)).fit(ROWS, ISING.energy)


def filled(buffer):
    X = np.frombuffer(buffer, np.int8).reshape(SHAPE)
    X[:] = ROWS
    return X


def stored(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, ROWS)
    return path


def changed(X):
    X[:, ::2] *= -1
    return X


MEMORY = {
    "owned": lambda path: ROWS.copy(),
    "copy-on-write": lambda path: changed(np.load(stored(path), mmap_mode="c")),
    "copy-on-write as ndarray": lambda path: np.asarray(changed(np.load(stored(path), mmap_mode="c"))),
    "copy-on-write slice": lambda path: changed(np.load(stored(path), mmap_mode="c"))[:200],
    "shared file": lambda path: changed(np.load(stored(path), mmap_mode="r+")),
    "read-only file": lambda path: np.load(stored(path), mmap_mode="r"),
    "anonymous shared": lambda path: filled(mmap.mmap(-1, ROWS.size)),
    "anonymous private": lambda path: filled(mmap.mmap(-1, ROWS.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)),
    "private file": lambda path: filled(private_file(path)),
    "bytes": lambda path: np.frombuffer(ROWS.tobytes(), np.int8).reshape(SHAPE),
    "bytearray": lambda path: np.frombuffer(bytearray(ROWS.tobytes()), np.int8).reshape(SHAPE),
}


def private_file(path):
    with open(stored(path), "r+b") as file:
        return mmap.mmap(file.fileno(), ROWS.size, access=mmap.ACCESS_COPY)


METHODS = {
    "MADEHamiltonian.fit": lambda X: MADE.fit(X),
    "MADEHamiltonian.partial_fit": lambda X: MADE.partial_fit(X),
    "MADEHamiltonian.score_samples": FITTED.score_samples,
    "MADEHamiltonian.energy": FITTED.energy,
    "IsingSampler.fit": lambda X: IsingSampler(temperature=2.5).fit(X),
    "IsingSampler.energy": ISING.energy,
    "IsingSampler.transform": lambda X: IsingSampler((3, 3), 2.5, random_state=0).fit(X).transform(X),
    "XYSampler.energy": XYSampler((3, 3)).energy,
    "XYSampler.transform": lambda X: XYSampler((3, 3), random_state=0).fit(X).transform(X),
    "PseudolikelihoodIsing.fit": lambda X: PseudolikelihoodIsing(2.5).fit(X),
    "PseudolikelihoodIsing.energy": PAIRS.energy,
    "PseudolikelihoodIsing.score": PAIRS.score,
    "IndependentSites.fit": lambda X: IndependentSites(2.5).fit(X),
    "IndependentSites.score_samples": FREE.score_samples,
    "BlockSpinTransformer.transform": BLOCKS.transform,
    "InteractionExpansion.fit": lambda X: InteractionExpansion(lattice_shape=(3, 3)).fit(X, ISING.energy),
    "InteractionExpansion.predict": EXPANSION.predict,
    "extract_windows": lambda X: extract_windows(X, 2),
    "pseudo_log_likelihood": lambda X: pseudo_log_likelihood(ISING, X),
    "EnergyDisplay": lambda X: EnergyDisplay.from_estimator(ISING, X, ISING.energy(X)),
}


@pytest.mark.skipif(not hasattr(mmap, "MAP_ANONYMOUS"), reason="POSIX maps")
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_memory_is_left_as_it_was(method, tmp_path):
    for kind, make in MEMORY.items():
        X = make(tmp_path)
        before = X.tobytes()
        METHODS[method](X)
        assert X.tobytes() == before, kind


def test_a_model_of_changed_pages_is_that_of_a_copy(tmp_path):
    X = MEMORY["copy-on-write"](tmp_path)
    kept = np.array(X)
    np.testing.assert_array_equal(MADE.fit(X).score_samples(kept), MADE.fit(kept).score_samples(kept))


def resident(X):
    """Return how many kilobytes of the mapping of X are in memory (Linux)."""
    address, size = X.__array_interface__["data"][0], 0
    with open("/proc/self/smaps") as maps:
        for line in maps:
            first = line.split()[0]
            if "-" in first:
                low, high = (int(part, 16) for part in first.split("-"))
            elif first == "Rss:" and low <= address < high:
                size = int(line.split()[1])
    return size


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="POSIX maps")
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_pages_of_a_file_are_given_back(mode, tmp_path):
    np.save(tmp_path / "X.npy", np.ones((1000, 1000), np.int8))
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    assert X.sum() == 1e6
    if mode == "r+":
        X[::7] = 2
    before = resident(X)
    release_pages(np.asarray(X)[::2])
    assert resident(X) < before / 2
    assert X.sum() == (1e6 if mode == "r" else 1e6 + 143 * 1000)
