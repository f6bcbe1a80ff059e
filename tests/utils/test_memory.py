"""Memory is counted before it is allocated, and X that may be transposed is named."""

import numpy as np
import pytest

from skhamiltonian import MADEHamiltonian, PseudolikelihoodIsing
from skhamiltonian._made import training
from skhamiltonian._utils import memory

WIDE = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (12, 1000))


@pytest.fixture
def small_machine(monkeypatch):
    monkeypatch.setattr(memory, "room", lambda: 2**23)


MODELS = {
    "MADEHamiltonian": MADEHamiltonian(1.0, max_iter=1),
    "whiten": MADEHamiltonian(1.0, max_iter=1, whiten=True, skip_connections=False, hidden_layer_sizes=(4,)),
    "PseudolikelihoodIsing": PseudolikelihoodIsing(1.0),
}


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize("name", MODELS)
def test_a_transposed_table_is_refused_before_any_work(name):
    message = r"of shape \(1000, 1000\) .*GiB. X has 12 configurations \(rows\) of 1000 sites .* pass X.T"
    with pytest.raises(MemoryError, match=message):
        MODELS[name].fit(WIDE)


@pytest.mark.usefixtures("small_machine")
def test_no_mask_is_made_for_connections_that_are_absent(monkeypatch):
    def made(*_):
        raise AssertionError("a mask of n_sites x n_sites")

    monkeypatch.setattr(training, "skip_mask", made)
    model = MADEHamiltonian(1.0, hidden_layer_sizes=(4,), skip_connections=False, max_iter=1, random_state=0)
    assert np.isfinite(model.fit(WIDE).score(WIDE))


def test_a_table_of_many_rows_is_not_called_transposed(monkeypatch):
    monkeypatch.setattr(memory, "room", lambda: 100)
    with pytest.raises(MemoryError, match=r"weights of shape \(9, 9\) would need about 0 GiB$"):
        memory.check_memory((9, 9), np.float64, "weights", n_samples=50)


def test_a_limit_of_the_process_counts(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (12345, 12345))
    assert memory.room() == 12345
