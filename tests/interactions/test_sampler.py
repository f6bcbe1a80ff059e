"""InteractionExpansion: the sampler and the frame that it gives, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skhamiltonian import (
    BlockSpinTransformer,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    XYSampler,
)


@pytest.mark.parametrize("options", [{}, {"symmetries": ()}, {"symmetries": ["translation"]}, {"boundary": "open"}])
def test_the_sampler_has_the_energy_of_the_expansion_up_to_its_constant(options, spins):
    boundary = options.get("boundary", "periodic")
    ising = IsingSampler((4, 5), plaquette_coupling=0.5, field=0.2, boundary=boundary)
    X, rng = spins(500, 20), np.random.default_rng(0)
    expansion = InteractionExpansion(lattice_shape=(4, 5), **options)
    expansion.fit(X, ising.energy(X) + 7 + rng.normal(size=500))
    sampler = expansion.to_sampler(temperature=8.0, random_state=1)
    new = spins(200, 20, seed=1)
    np.testing.assert_allclose(sampler.energy(new), expansion.predict(new) - expansion.intercept_, atol=1e-11)
    np.testing.assert_array_equal(expansion.energy(new), expansion.predict(new))
    assert sampler.temperature == 8.0
    assert sampler.lattice_shape == (4, 5)
    assert sampler.sample(n_samples=3).shape == (3, 20)


def test_the_sampler_of_other_states_is_refused():
    X = np.random.default_rng(0).choice([0, 1, 2], (100, 4))
    with pytest.raises(ValueError, match=r"states -1 and 1, got \[0, 1, 2\]"):
        InteractionExpansion().fit(X, X.sum(axis=1)).to_sampler()


def test_the_frame_has_a_row_for_each_operator(spins):
    ising = IsingSampler((6, 6))
    expansion = InteractionExpansion(lattice_shape=(6, 6)).fit(spins(500, 36), ising.energy)
    frame = expansion.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame) == ["operator", "order", "distance", "n_terms", "coupling", "error"]
    row = frame.set_index("operator").loc["pair (1, 2)"]
    assert row.tolist() == [2, np.sqrt(5), 144, 0, row["error"]]
    assert frame["coupling"].tolist() == expansion.coef_.tolist()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"operators": "field"}, "'auto' or a list .*got 'field'"),
        ({"operators": ["quintets"]}, "each of operators .*got 'quintets'"),
        ({"operators": [("a", [0, 99])]}, r"in 0 \.\.\. 15, got \[0, 99\]"),
        ({"operators": [3]}, "got 3"),
        ({"operators": []}, "at least one"),
        ({"operators": ["triples"], "lattice_shape": None}, "got 'triples'"),
        ({"lattice_shape": (4, 5)}, "20 sites, but X has 16"),
        ({"boundary": "twisted"}, "got 'twisted'"),
        ({"max_distance": -1}, "max_distance .*got -1"),
        ({"symmetries": "rotation"}, "got 'rotation'"),
        ({"symmetries": ("translation",), "lattice_shape": None}, "need lattice_shape"),
        ({"symmetries": ("point-group",)}, "need 'translation'"),
        ({"method": "guess"}, "got 'guess'"),
        ({"method": "contrastive"}, "score_samples, sample and temperature_"),
        ({"sparse": 3}, "sparse must be True or False, got 3"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message, spins):
    expansion = InteractionExpansion(lattice_shape=(4, 4)).set_params(**parameters)
    with pytest.raises((ValueError, TypeError), match=message):
        expansion.fit(spins(50, 16), IsingSampler((4, 4)).energy)


def test_energies_that_do_not_fit_are_refused(spins):
    X = spins(50, 16)
    with pytest.raises(ValueError, match="finite, got nan in row 3"):
        InteractionExpansion().fit(X, np.where(np.arange(50) == 3, np.nan, 0.0))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        InteractionExpansion().fit(X, np.zeros(49))


def test_models_of_different_temperatures_are_refused(spins):
    X = spins(50, 16)
    models = [IndependentSites(temperature=T).fit(X) for T in (1.0, 2.0)]
    with pytest.raises(ValueError, match=r"one temperature, got \[1.0, 2.0\]"):
        InteractionExpansion(method="contrastive").fit(X, models)


def test_models_of_angles_are_refused():
    """The operators would be powers of the angle."""
    xy = XYSampler((8,), 1.0, random_state=0)
    X = xy.sample(n_samples=300)
    local = LocalHamiltonian(1.0, boundary="periodic", states="angle").fit(X)
    made = MADEHamiltonian(1.0, states="angle", hidden_layer_sizes=(4,), max_iter=1, calibrate=False, random_state=0)
    made.fit(X)
    for y in (xy, xy.energy, local.energy, made, [made, made]):
        for method in ("projection", "contrastive"):
            with pytest.raises(ValueError, match=r"y must not be .*angles, .*LocalHamiltonian\(states='angle'\)"):
                InteractionExpansion(lattice_shape=(8,), method=method).fit(X, y)


@pytest.mark.parametrize("method", ["projection", "contrastive"])
def test_pipelines_and_searches_get_the_way_to_their_model(method, spins):
    X = spins(40, 16)
    made = MADEHamiltonian(max_iter=1, calibrate=False, random_state=0)
    pipe = make_pipeline(BlockSpinTransformer(block_size=2, lattice_shape=(4, 4)), made).fit(X)
    search = GridSearchCV(made, {"max_iter": [1]}, cv=2).fit(X)
    expansion = InteractionExpansion(lattice_shape=(2, 2), method=method)
    with pytest.raises(TypeError, match=r"a Pipeline: pass pipe\[:-1\].transform\(X\) and pipe\[-1\]"):
        expansion.fit(pipe[:-1].transform(X), pipe)
    with pytest.raises(TypeError, match="got GridSearchCV: pass its best_estimator_"):
        InteractionExpansion(lattice_shape=(4, 4), method=method).fit(X, search)


# ---------------------------------------------------------------------------------------------- other lattices


@pytest.mark.parametrize("boundary", ["periodic", "open", ("open", "periodic")])
@pytest.mark.parametrize("symmetries", [("translation", "point-group"), ("translation",)])
def test_the_same_couplings_on_a_larger_lattice(boundary, symmetries, spins):
    system = {"coupling": 0.7, "next_nearest_coupling": -0.2, "plaquette_coupling": 0.3, "field": 0.1}
    small, large = (IsingSampler(shape, 2.0, boundary=boundary, **system) for shape in ((5, 5), (7, 9)))
    expansion = InteractionExpansion(lattice_shape=(5, 5), boundary=boundary, symmetries=symmetries)
    expansion.fit(spins(1500, 25), small.energy)
    X = spins(50, 63)
    sampler = expansion.to_sampler((7, 9))
    np.testing.assert_allclose(sampler.energy(X), large.energy(X) if boundary == "periodic" else sampler.energy(X))
    assert sampler.temperature == 2.0
    if boundary != "periodic":
        terms = sum(len(table) for _, table in sampler.couplings)
        assert terms == sum(len(table) for _, table in expansion.to_sampler((7, 9)).couplings)


def test_own_translates_are_recognised(spins):
    x, y = np.indices((6, 6)).reshape(2, -1)
    right, down, both = x * 6 + (y + 1) % 6, (x + 1) % 6 * 6 + y, (x + 1) % 6 * 6 + (y + 1) % 6
    triangles = np.concatenate([np.c_[x * 6 + y, right, down], np.c_[right, down, both]])
    system = IsingSampler((6, 6), 3.0, coupling=0.0, couplings=[(0.8, triangles)])
    expansion = InteractionExpansion([("triangles", triangles), "pairs"], lattice_shape=(6, 6))
    expansion.fit(spins(500, 36), system.energy)
    larger = expansion.to_sampler((12, 12))
    up = np.ones((1, 144))
    assert larger.energy(up)[0] == pytest.approx(-0.8 * 288)
    flipped = up.copy()
    flipped[0, 40] = -1
    assert larger.energy(flipped)[0] == pytest.approx(-0.8 * (288 - 12))


def test_lattices_without_a_meaning_are_refused(spins):
    X, ising = spins(500, 16), IsingSampler((4, 4), 2.0)
    shared = InteractionExpansion(lattice_shape=(4, 4)).fit(X, ising.energy)
    with pytest.raises(ValueError, match=r"at least \(1, 2\) for 'pair \(0, 1\)', got \(8, 1\)|axes of \(4, 4\)"):
        shared.to_sampler((8, 1))
    with pytest.raises(ValueError, match=r"axes of \(4, 4\), got \(64,\)"):
        shared.to_sampler((64,))
    single = InteractionExpansion(lattice_shape=(4, 4), symmetries=()).fit(X, ising.energy)
    with pytest.raises(ValueError, match="not translation-invariant"):
        single.to_sampler((8, 8))


@pytest.mark.parametrize("y", ["energy", "model", "list"])
def test_the_temperature_is_that_of_the_model(y, spins):
    ising, X = IsingSampler((4, 4), 2.5), spins(300, 16)
    y = {"energy": ising.energy, "model": ising, "list": [ising, ising.energy]}[y]
    assert InteractionExpansion(lattice_shape=(4, 4)).fit(X, y).to_sampler().temperature == 2.5
    numbers = InteractionExpansion(lattice_shape=(4, 4)).fit(X, ising.energy(X))
    with pytest.raises(ValueError, match="temperature must be given"):
        numbers.to_sampler()
    given = InteractionExpansion(lattice_shape=(4, 4), temperature=3.0).fit(X, ising.energy(X))
    assert given.to_sampler().temperature == 3.0


def test_couplings_that_no_memory_holds_are_refused_at_once(spins, monkeypatch):
    with pytest.raises(MemoryError, match=r"\(499500, 499500\).*max_distance"):
        InteractionExpansion().fit(spins(10, 1000), np.zeros(10))


def test_a_mixed_boundary_is_that_of_a_larger_lattice(spins):
    """The first axis is open, the second periodic, on either lattice."""
    mixed = ("open", "periodic")
    small, large = (IsingSampler(shape, 1.5, coupling=(0.7, -0.3), boundary=mixed) for shape in ((3, 4), (5, 6)))
    X, rows = spins(200, 12), spins(20, 30, seed=1)
    options = {"lattice_shape": (3, 4), "boundary": mixed, "max_distance": 1, "symmetries": ("translation",)}
    found = InteractionExpansion(["pairs"], temperature=1.5, **options).fit(X, small.energy(X)).to_sampler((5, 6))
    np.testing.assert_allclose(found.energy(rows), large.energy(rows), atol=1e-9)
