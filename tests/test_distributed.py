"""The same numbers from a cluster as from one process."""

import os

import joblib
import numpy as np
import pytest

from skhamiltonian import IsingSampler, phase_curve

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
    ising = IsingSampler((8, 8), 2.5, algorithm="heat-bath")
    marker = str(tmp_path / "killed") if killed else ""
    options = {"n_samples": 2000, "random_state": 0}
    alone = phase_curve(ising, T, observables={"first": once_killed("")}, **options)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        curve = phase_curve(ising, T, observables={"first": once_killed(marker)}, **options)
    assert os.path.exists(marker) == killed
    for name in alone.observables:
        np.testing.assert_array_equal(curve[name], alone[name])
