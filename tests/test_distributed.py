"""The same numbers from a cluster as from one process."""

import os

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from skhamiltonian import IsingSampler, MADEHamiltonian, phase_curve

distributed = pytest.importorskip("distributed", reason="dask's distributed is not installed")

T = [2.0, 2.4, 2.8, 3.2]


def once_killed(marker):
    """Return an observable that ends the process it runs in, the first time."""

    def observable(X):
        if marker and not os.path.exists(marker):
            open(marker, "w").close()
            os._exit(1)
        return X[:, 0].astype(float)

    return observable


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of dask and of its sockets
@pytest.mark.parametrize("killed", [False, True], ids=["two workers", "one of them killed"])
def test_dask_and_one_process_agree_to_the_last_bit(tmp_path, killed):
    ising = IsingSampler((8, 8), 2.5, method="heat-bath")
    marker = str(tmp_path / "killed") if killed else ""
    options = {"n_samples": 2000, "random_state": 0}
    alone = phase_curve(ising, T, observables={"first": once_killed("")}, **options)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        curve = phase_curve(ising, T, observables={"first": once_killed(marker)}, **options)
    assert os.path.exists(marker) == killed
    for name in alone.observables:
        np.testing.assert_array_equal(curve[name], alone[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_models_trained_by_dask_are_those_of_one_process_to_the_last_bit():
    X = IsingSampler((4, 4), 2.5, random_state=0).sample(n_samples=1500)
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(16,), max_iter=3, random_state=0)
    search = GridSearchCV(made, {"hidden_layer_sizes": [(4,), (16,)]}, cv=2)

    def results():
        return cross_val_score(made, X, cv=3), search.fit(X).cv_results_["mean_test_score"], search.score_samples(X)

    alone = results()
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with (
        cluster,
        distributed.Client(cluster) as client,
        distributed.get_task_stream(client) as stream,
        joblib.parallel_config(backend="dask"),
    ):
        spread = results()
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({task["worker"] for task in stream.data}) == 2


def blocks_of(kind, X, tmp_path):
    """Yield the rows of X, 2000 at a time, from a file, or from a dask array in blocks of other lengths."""
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        yield from (mapped[start : start + 2000] for start in range(0, len(mapped), 2000))
    else:
        array = pytest.importorskip("dask.array").from_array(X, chunks=(700, 3)).rechunk((2000, -1))
        yield from (block.compute() for block in array.blocks)


@pytest.mark.parametrize("kind", ["memmap", "dask"])
def test_partial_fit_learns_the_same_bits_from_blocks_of_any_origin(kind, tmp_path):
    ising = IsingSampler((4, 4), 2.5, random_state=0)
    X = ising.sample(n_samples=5000)
    stored, stream = (MADEHamiltonian(2.5, hidden_layer_sizes=(8,), random_state=0) for _ in range(2))
    for start in range(0, len(X), 2000):
        stored.partial_fit(X[start : start + 2000])
    for block in blocks_of(kind, X, tmp_path):
        stream.partial_fit(block)
    assert stream.n_samples_seen_ == len(X)
    np.testing.assert_array_equal(stream.energy(X), stored.energy(X))
