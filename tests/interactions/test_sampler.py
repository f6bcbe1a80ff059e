"""InteractionExpansion: the sampler and the frame that it gives, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from skhamiltonian import IndependentSites, InteractionExpansion, IsingSampler


@pytest.mark.parametrize("options", [{}, {"symmetries": ()}, {"symmetries": ["translation"]}, {"boundary": "open"}])
def test_the_sampler_has_the_energy_of_the_expansion_up_to_its_constant(options, spins):
    boundary = options.get("boundary", "periodic")
    ising = IsingSampler((4, 5), plaquette_coupling=0.5, field=0.2, boundary=boundary)
    X, rng = spins(500, 20), np.random.default_rng(0)
    expansion = InteractionExpansion(lattice_shape=(4, 5), **options)
    expansion.fit(X, ising.energy(X) + 7 + rng.normal(size=500))
    sampler = expansion.to_sampler(2.5, random_state=1)
    new = spins(200, 20, seed=1)
    np.testing.assert_allclose(sampler.energy(new), expansion.predict(new) - expansion.intercept_, atol=1e-11)
    np.testing.assert_array_equal(expansion.energy(new), expansion.predict(new))
    assert sampler.temperature == 2.5
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
