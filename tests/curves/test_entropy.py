"""Entropy from rows: exact laws, histograms, pipelines, and errors that cover."""

import numba
import numpy as np
import pytest
from scipy.special import i0, i1
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold, PredefinedSplit
from sklearn.pipeline import make_pipeline

from skhamiltonian import (
    BlockSpinTransformer,
    Estimate,
    IndependentSites,
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    PseudolikelihoodIsing,
    XYSampler,
    entropy,
    ising_exact,
    phase_curve,
)
from skhamiltonian._curves.entropy import _Density, _density, _disagreement, _Fold, _log_partition, _table
from skhamiltonian._utils.alphabet import enumerate_states

if numba.config.DISABLE_JIT:
    pytest.skip("draws rows by compiled kernels as it is imported", allow_module_level=True)

SEED = np.random.SeedSequence(0)


def rows(T=2.5, shape=(3, 3), n=1000, seed=0):
    return IsingSampler(shape, T, random_state=seed).sample(n_samples=n)


@pytest.fixture(scope="module")
def pairs_table():
    return entropy(PseudolikelihoodIsing(2.5), rows(), random_state=0)


def test_the_cross_entropy_of_the_true_law_is_the_mean_energy_and_ln_z():
    ising, exact = IsingSampler((3, 3), 2.5), ising_exact((3, 3), 2.5)
    X = rows()
    table = entropy(ising, X, random_state=0)
    log_prob = -ising.energy(X) / 2.5 - exact.log_partition
    np.testing.assert_allclose(table.log_likelihood, log_prob, rtol=1e-9)
    assert table.upper_bound.value == pytest.approx(-log_prob.mean())
    assert table.upper_bound.error == pytest.approx(log_prob.std(ddof=1) / np.sqrt(1000))
    assert table.entropy == pytest.approx(table.upper_bound)  # two fits of a known system do not differ
    assert abs(table.model.value - exact.entropy) < 4 * table.model.error


def test_free_sites_of_several_states_have_the_entropy_of_their_counts():
    p = np.array([0.7, 0.2, 0.1])
    X = np.random.default_rng(0).choice(3, size=(6000, 4), p=p)
    table = entropy(IndependentSites(), X, random_state=0)
    exact = -4 * (p * np.log(p)).sum()
    share = [np.bincount(column) / 6000 for column in X.T]
    plug_in = -sum((q * np.log(q)).sum() for q in share)
    assert table.independent.value == pytest.approx(plug_in + 4 * 2 / 12_000, rel=1e-12)
    for name in ("entropy", "upper_bound", "model", "independent"):
        value, error = getattr(table, name)
        assert abs(value - exact) < 3 * error < 0.15
    assert abs(table.multi_information.value) < 3 * table.multi_information.error < 0.01


@pytest.mark.parametrize("cv", [2, 4])
def test_the_error_of_the_models_entropy_is_that_of_a_mean_over_folds(cv):
    """Each fold has as many draws of its own, with the standard deviation of -ln p."""
    p = np.array([0.7, 0.2, 0.1])
    X = np.random.default_rng(0).choice(3, size=(6000, 4), p=p)
    error = entropy(IndependentSites(), X, cv, n_samples=1000, random_state=0).model.error
    variance = 4 * (p @ np.log(p) ** 2 - (p @ np.log(p)) ** 2)
    assert error == pytest.approx(np.sqrt(variance / 1000 / cv), rel=0.1)


def test_a_row_that_is_drawn_twice_counts_twice():
    X, half = rows(n=40), np.arange(20)
    twice = np.append(half, half[:5])
    table = entropy(IndependentSites(), X, [(twice, half + 20), (half + 20, half)], random_state=0)
    expected = IndependentSites().fit(X[twice]).score_samples(X[20:])
    np.testing.assert_allclose(table.log_likelihood[20:], expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Draws at the temperature")
def test_free_angles_have_the_entropy_of_the_circle():
    """Two sites with two bonds: each angle is uniform, and their difference d follows exp(2 cos d)."""
    X = XYSampler((2,), 1.0, random_state=0).sample(n_samples=2000)
    table = entropy(XYSampler((2,), 1.0), X, n_samples=2000, random_state=0)
    value, error = table.independent
    assert abs(value - 2 * np.log(2 * np.pi)) < 4 * error < 0.05
    value, error = table.multi_information
    assert abs(value - 2 * i1(2.0) / i0(2.0) + np.log(i0(2.0))) < 4 * error < 0.2
    model = MADEHamiltonian(states="angle", hidden_layer_sizes=(4,), max_iter=1, calibrate=False)
    learned = entropy(model, X, n_samples=100, random_state=0)
    assert learned.independent == pytest.approx(table.independent)


def test_a_histogram_gives_what_its_rows_give():
    X = enumerate_states((-1, 1), 4)
    counts = np.random.default_rng(0).poisson(30 * (1 + (X.sum(axis=1) > 0)))
    counts[3] = 0
    both = [
        entropy(IndependentSites(), *given, random_state=0)
        for given in ((X, 2, counts), (np.repeat(X, counts, axis=0), 2))
    ]
    for name in ("entropy", "upper_bound", "model", "independent", "multi_information"):
        np.testing.assert_allclose(getattr(both[0], name), getattr(both[1], name), rtol=1e-9)
    assert np.isnan(both[0].log_likelihood[3])
    mean = counts @ np.nan_to_num(both[0].log_likelihood) / counts.sum()
    assert mean == pytest.approx(both[1].log_likelihood.mean())


def test_counts_of_rows_are_rows_in_the_folds_of_a_splitter():
    X, fold = enumerate_states((-1, 1), 5), np.arange(32) % 3
    counts = np.random.default_rng(0).poisson(9 * (1 + (X.sum(axis=1) > 0)))
    weighted = entropy(IndependentSites(), X, PredefinedSplit(fold), counts, random_state=0)
    repeated = np.repeat(X, counts, axis=0), PredefinedSplit(np.repeat(fold, counts))
    assert weighted.upper_bound.value == pytest.approx(entropy(IndependentSites(), *repeated).upper_bound.value)


def test_a_pipeline_has_the_entropy_of_its_last_rows():
    X = rows(shape=(4, 4))
    blocks = BlockSpinTransformer(2, lattice_shape=(4, 4))
    of_pipeline = entropy(make_pipeline(blocks, IndependentSites()), X, random_state=0)
    of_blocks = entropy(IndependentSites(), blocks.fit_transform(X), random_state=0)
    assert of_pipeline.entropy == of_blocks.entropy
    assert of_pipeline.independent == of_blocks.independent
    weighted = entropy(make_pipeline(blocks, IndependentSites()), X, sample_weight=np.full(1000, 2), random_state=0)
    assert weighted.upper_bound.value == pytest.approx(of_blocks.upper_bound.value, rel=1e-2)


def test_the_disagreement_is_the_mean_of_both_relative_entropies():
    fits = [PseudolikelihoodIsing(2.5).fit(rows(n=300, seed=k)) for k in range(2)]
    found = _disagreement([_density(fit, 40_000, seed) for fit, seed in zip(fits, SEED.spawn(2), strict=True)])
    log_p = [-fit.energy(enumerate_states((-1, 1), 9)) / 2.5 for fit in fits]
    log_p = [one - np.logaddexp.reduce(one) for one in log_p]
    exact = (np.exp(log_p[0]) - np.exp(log_p[1])) @ (log_p[0] - log_p[1]) / 2
    assert found == pytest.approx(exact, rel=0.03)


def test_the_disagreement_of_several_fits_is_the_mean_over_a_ring_of_pairs():
    """Two fits are one pair; of three, each with each, the last with the first as well."""

    class Table:
        def __init__(self, seed):
            self.log_p = np.log(np.random.default_rng(seed).dirichlet(np.ones(8)))

        def score_samples(self, draws):
            return self.log_p[draws]

    models = [Table(seed) for seed in range(3)]
    draws = [np.random.default_rng(10 + k).integers(8, size=50) for k in range(3)]
    densities = [
        _Density(model, np.nan, Estimate(0.0, 0.0), rows, model.score_samples(rows))
        for model, rows in zip(models, draws, strict=True)
    ]

    def divergence(a, b):
        return (models[a].log_p - models[b].log_p)[draws[a]].mean()

    for n, pairs in ((2, [(0, 1)]), (3, [(0, 1), (1, 2), (2, 0)])):
        wanted = np.mean([(divergence(a, b) + divergence(b, a)) / 2 for a, b in pairs])
        assert _disagreement(densities[:n]) == pytest.approx(wanted)


def test_the_error_of_an_integrated_normaliser_is_that_of_its_free_energy():
    """ln Z = -F / T, for more configurations than can be enumerated, at a temperature that is not 1."""
    ising, T = IsingSampler((17,), 3.0, method="heat-bath", burn_in=20, n_sweeps=2), 3.0
    value, error = _log_partition(ising, T, 200, 17, np.random.default_rng(0))
    curve = phase_curve(ising, [T], n_samples=200, entropy=True, random_state=np.random.default_rng(0))
    assert value == pytest.approx(-17 * curve["free_energy"].value[0] / T)
    assert error == pytest.approx(17 * curve["free_energy"].error[0] / T)


def test_a_normaliser_counts_by_the_rows_of_its_fold():
    """No row differs from another, so only ln Z of both fits is uncertain: by 0.3 for one row, by 0.1 for three."""
    X, log_p = np.array([[-1], [1], [-1], [1]]), np.full(4, -np.log(2))
    folds = []
    for part, error in ((slice(0, 1), 0.3), (slice(1, 4), 0.1)):
        density = _Density(IsingSampler((1,), 1.0), 1.0, Estimate(np.log(2), error), X, log_p)
        folds.append(_Fold(np.arange(4)[part], np.ones(4, int)[part], log_p[part], X[part], density))
    assert _table(folds, 4).upper_bound.error == pytest.approx(np.hypot(0.3 * 1 / 4, 0.1 * 3 / 4))


def test_noise_of_the_fits_is_taken_off_and_errors_cover():
    """200 rows fix 36 couplings badly: the cross-entropy is far above, and half of J is by how much."""
    exact, off = ising_exact((3, 3), 3.5).entropy, []
    for seed in range(30):
        table = entropy(PseudolikelihoodIsing(3.5), rows(3.5, n=300, seed=seed), n_samples=1000, random_state=seed)
        off.append([table.entropy.value - exact, table.entropy.error, table.upper_bound.value - exact])
    best, error, bound = np.transpose(off)
    assert bound.mean() > 5 * bound.std() / np.sqrt(30)
    assert abs(best.mean()) < bound.mean() / 3
    assert np.mean(np.abs(best) < error) > 0.6
    assert np.mean(np.abs(best) < 3 * error) == 1


def test_a_local_energy_is_normalised_by_integration():
    X = rows(3.0, (5, 5), 1000)
    local = LocalHamiltonian(3.0, lattice_shape=(5, 5), boundary="periodic", symmetries=("point-group", "spin-flip"))
    value, error = entropy(local, X, n_samples=800, random_state=0).entropy
    assert abs(value - ising_exact((5, 5), 3.0).entropy) < 3 * error < 1


def test_a_network_bounds_the_entropy_of_a_small_lattice():
    X = rows(2.5, (3, 3), 2000)
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(32,), max_iter=30, random_state=0)
    table = entropy(made, X, n_samples=4000, random_state=0)
    exact = ising_exact((3, 3), 2.5).entropy
    assert abs(table.entropy.value - exact) < 3 * table.entropy.error < 0.4
    assert table.upper_bound.value > exact - 3 * table.upper_bound.error
    assert table.multi_information.value > 10 * table.multi_information.error


def test_pairs_predict_better_than_free_sites_by_the_paired_difference(pairs_table):
    free = entropy(IndependentSites(), rows(), random_state=0)
    gain = pairs_table.log_likelihood - free.log_likelihood
    assert gain.mean() > 10 * gain.std() / np.sqrt(1000)
    assert pairs_table.multi_information.value == pytest.approx(
        pairs_table.independent.value - pairs_table.entropy.value
    )


def test_rows_of_a_group_stay_together_and_the_table_is_printed(pairs_table):
    X = np.repeat(rows(n=200), 5, axis=0)
    groups = np.repeat(np.arange(200), 5)
    table = entropy(IndependentSites(), X, GroupKFold(2).split(X, groups=groups), random_state=0)
    assert np.isfinite(table.log_likelihood).all()
    lines = str(pairs_table).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "entropy", "upper bound (cross-entropy)", "entropy of the model", "entropy of independent sites",
        "multi-information",
    ]  # fmt: skip
    assert all(line.endswith(" nats") for line in lines)


@pytest.mark.parametrize("routed", [False, True])
def test_weights_reach_the_last_step_of_a_pipeline(routed):
    """scikit-learn has two ways to hand weights to a step."""
    X, counts = rows(n=60), np.resize([1, 2, 3], 60)
    pipeline = make_pipeline(BlockSpinTransformer(3, lattice_shape=(3, 3)), IndependentSites(states=range(-9, 10, 2)))
    blocks = pipeline[0].fit_transform(X)
    with config_context(enable_metadata_routing=routed):
        table = entropy(pipeline, X, 2, counts, random_state=0)
    wanted = entropy(pipeline[-1], blocks, 2, counts, random_state=0)
    np.testing.assert_allclose(table.log_likelihood, wanted.log_likelihood)


X0 = rows(n=40)
FIRST = np.arange(40) < 20


def test_folds_may_be_masks_negative_indices_or_copies():
    """As index, True would be row 1, so all but two rows would be left out."""
    below, above = np.flatnonzero(FIRST), np.flatnonzero(~FIRST)
    wanted = entropy(IndependentSites(), X0, [(below, above), (above, below)], random_state=0)
    for folds in ([(FIRST, ~FIRST), (~FIRST, FIRST)], [(below - 40, above - 40), (above - 40, below - 40)]):
        np.testing.assert_equal(vars(entropy(IndependentSites(), X0, folds, random_state=0)), vars(wanted))
    once_more = [(np.append(below, below[:5]), above), (above, below)]
    weighted = IndependentSites().fit(X0[below], sample_weight=np.repeat([2, 1], [5, 15]))
    table = entropy(IndependentSites(), X0, once_more, random_state=0)
    np.testing.assert_allclose(table.log_likelihood[above], weighted.score_samples(X0[above]))


REFUSED = {
    "one fold": (lambda: entropy(IndependentSites(), X0, 1), "cv must be an integer >= 2, got 1"),
    "one split": (lambda: entropy(IndependentSites(), X0, [(range(20), range(20, 40))]), "at least two folds.*got 1"),
    "one row": (lambda: entropy(IndependentSites(), X0[:1]), "n_splits=2.*samples: n_samples=1|n_splits=2 greater"),
    "no draws": (lambda: entropy(IndependentSites(), X0, n_samples=0), "n_samples must be an integer >= 2, got 0"),
    "rows in both parts": (
        lambda: entropy(IndependentSites(), X0, [(range(40), range(20, 40)), (range(20), range(20, 40))]),
        "rows that are not trained on, got row 20 in both",
    ),
    "rows that do not exist": (
        lambda: entropy(IndependentSites(), X0, [(range(20), range(20, 41))] * 2),
        "cv must yield pairs .* of the 40 rows: index 40",
    ),
    "a short mask": (lambda: entropy(IndependentSites(), X0, [(FIRST[1:], ~FIRST)] * 2), "masks of the 40 rows"),
    "an empty fold": (
        lambda: entropy(IndependentSites(), X0, [(range(40), np.zeros(0, int))] * 2),
        "rows to hold out, got 40 and 0",
    ),
    "a number of folds as text": (lambda: entropy(IndependentSites(), X0, "two"), "two"),
    "weights": (lambda: entropy(IndependentSites(), X0, sample_weight=np.full(40, 0.5)), "counts of rows.*0.5"),
    "no density": (lambda: entropy(BlockSpinTransformer(lattice_shape=(3, 3)), X0), "density .*or an energy, got Bl"),
    "a search": (
        lambda: entropy(GridSearchCV(IndependentSites(), {"smoothing": [1]}), X0),
        "or an energy, got GridSearchCV.*: pass its best_estimator_",
    ),
    "windows": (
        lambda: entropy(LocalHamiltonian(lattice_shape=(9,), window_shape=2), X0),
        "windows of something larger",
    ),
    "NaN": (lambda: entropy(IndependentSites(), np.full((9, 2), np.nan)), "NaN .*in row 0, column 0"),
    "text": (lambda: entropy(IndependentSites(), X0.astype(str)), "must be numbers"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_entropy_is_refused_by_name(kind):
    call, message = REFUSED[kind]
    with pytest.raises((ValueError, TypeError), match=message):
        call()
