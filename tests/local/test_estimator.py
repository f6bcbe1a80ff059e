"""LocalHamiltonian: learned energies against true ones, the scikit-learn contract, and bad input."""

import copy
import pickle

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import InteractionExpansion, IsingSampler, LocalHamiltonian, Worldlines, extract_windows
from skhamiltonian._local.clusters import clusters_of
from skhamiltonian._local.premise import common_hamiltonian_gain
from skhamiltonian._utils.alphabet import enumerate_states

SYMMETRIES = ("point-group", "spin-flip")


# The check draws real numbers, not states; test_weights_count_as_repeated_rows is the same law.
NOT_FOR_STATES = {"check_sample_weight_equivalence_on_dense_data": "X is not a table of states"}


@pytest.mark.filterwarnings("ignore:the data refute symmetries")  # sites of the checks have different means
@parametrize_with_checks(
    [LocalHamiltonian(boundary="periodic", window_shape=2, random_state=0)],
    expected_failed_checks=lambda estimator: NOT_FOR_STATES,
)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def windows():
    """Windows 8x8 of a 32x32 lattice at T = 2.5."""
    X = IsingSampler((32, 32), 2.5, random_state=1).sample(n_samples=250)
    return X.reshape(250, 4, 8, 4, 8).swapaxes(2, 3).reshape(4000, 64)


@pytest.fixture(scope="module")
def local(windows):
    return LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=SYMMETRIES, random_state=0).fit(windows)


def test_open_windows_teach_the_coupling(local):
    assert local.clusters_.tolist() == [[[1, 1, 0], [0, 0, 0], [0, 0, 0]]]
    error = np.sqrt(local.covariance_[0, 0])
    assert error < 0.008
    assert abs(local.couplings_[0] - 1) < 3 * error


def test_scrambled_edges_do_not_matter(windows, local):
    scrambled = windows.reshape(-1, 8, 8).copy()
    edge = np.ones((8, 8), bool)
    edge[1:-1, 1:-1] = False
    # An inner site sees neighbours that are two sites away; none of them is on this edge if rows grow by one site.
    larger = np.random.default_rng(0).choice([-1, 1], (len(windows), 10, 10)).astype(np.int8)
    larger[:, 1:-1, 1:-1] = scrambled
    mask = np.ones(larger.shape, bool)
    mask[:, 1:-1, 1:-1] = False
    masked = np.ma.masked_array(larger, mask).reshape(len(larger), 100)
    again = clone(local).set_params(lattice_shape=(10, 10)).fit(masked)
    assert again.table_ == pytest.approx(local.table_, abs=1e-9)


def brute_force_energy(table, X, lattice_shape, window_shape, n_states, periodic):
    """Sum the table over windows, site by site."""
    energy = np.zeros(len(X))
    starts = [range(n if periodic else n - w + 1) for n, w in zip(lattice_shape, window_shape, strict=True)]
    codes = X.reshape(len(X), *lattice_shape).astype(int)
    for corner in np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(starts)):
        index = 0
        for place in reversed(list(np.ndindex(*window_shape))):
            site = (corner + place) % lattice_shape
            index = index * n_states + codes[(slice(None), *site)]
        energy += table[index]
    return energy


@pytest.mark.filterwarnings("ignore:the data refute symmetries")  # windows are not periodic
@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_energy_is_the_sum_of_the_table_over_windows(boundary, windows, local):
    model = clone(local).set_params(boundary=boundary, lattice_shape=(8, 8)).fit(windows[:500])
    X = windows[:5]
    brute = brute_force_energy(model.table_, (X + 1) // 2, (8, 8), (3, 3), 2, boundary == "periodic")
    assert model.energy(X) == pytest.approx(brute)


def test_score_is_the_mean_of_the_conditional_of_inner_sites(windows, local):
    X, table = windows[:20], local.table_
    total = []
    for site in [(2, 2), (2, 5), (4, 3), (5, 5)]:
        flipped = X.reshape(-1, 8, 8).copy()
        flipped[:, *site] *= -1
        energy, other = (
            brute_force_energy(table, (Y.reshape(-1, 64) + 1) // 2, (8, 8), (3, 3), 2, False) for Y in (X, flipped)
        )
        alone = np.ma.masked_array(X.reshape(-1, 8, 8), np.ones((20, 8, 8), bool))
        alone.mask[:, site[0] - 2 : site[0] + 3, site[1] - 2 : site[1] + 3] = False
        log_p = -np.log1p(np.exp((energy - other) / 2.5))
        assert local.score(alone.reshape(20, 64)) == pytest.approx(log_p.mean())
        total.append(log_p.mean())
    assert local.score(X) == pytest.approx(np.mean(total), abs=0.1)


def test_sites_count_alike_in_the_score_of_rows_with_unlike_masks(windows, local):
    X = np.ma.masked_array(windows[:2], np.zeros((2, 64), bool))
    X.mask[1, 16] = True  # of the 4 x 4 inner sites, three have this site in one of their windows
    by_row = [local.score(X[:1]), local.score(X[1:])]
    assert local.score(X) == pytest.approx(np.average(by_row, weights=[16, 13]), rel=1e-9)


def test_rows_at_several_temperatures_share_one_energy():
    T = np.repeat([2.0, 2.6, 3.5], 800)
    X = np.concatenate(
        [IsingSampler((8, 8), t, random_state=k).sample(n_samples=800) for k, t in enumerate((2.0, 2.6, 3.5))]
    )
    local = LocalHamiltonian(lattice_shape=(8, 8), boundary="periodic", symmetries=SYMMETRIES, random_state=0).fit(X, T)
    assert local.temperature_ == pytest.approx(2.7)
    assert len(local.couplings_) == 1
    assert abs(local.couplings_[0] - 1) < 3 * np.sqrt(local.covariance_[0, 0]) < 0.03
    with pytest.warns(UserWarning, match="not in equilibrium at a known temperature"):
        wrong = clone(local).fit(X, T[::-1])
    assert local.score(X, T) > wrong.score(X, T[::-1])


def test_a_row_without_weight_adds_no_state():
    X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (200, 16))
    X[0] = 0
    local = LocalHamiltonian(window_shape=2).fit(X, sample_weight=np.arange(200) > 0)
    np.testing.assert_array_equal(local.states_, [-1, 1])
    np.testing.assert_array_equal(local.table_, clone(local).fit(X[1:]).table_)


def test_weights_count_as_repeated_rows(windows):
    weight = np.random.default_rng(0).integers(0, 3, 500)
    model = LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=SYMMETRIES, random_state=0)
    weighted = clone(model).fit(windows[:500], sample_weight=weight)
    repeated = model.fit(np.repeat(windows[:500], weight, axis=0))
    assert weighted.table_ == pytest.approx(repeated.table_, abs=1e-3)


@pytest.mark.filterwarnings("ignore:the data refute symmetries")  # few rows that are copies
@pytest.mark.parametrize("n_rows", [12, 300])
def test_copies_in_groups_have_the_errors_of_single_rows(n_rows, windows):
    model = LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=SYMMETRIES, window_shape=2, sparsity=0)
    once = clone(model).fit(windows[:n_rows], groups=np.arange(n_rows))
    copies = np.random.default_rng(0).permutation(np.tile(np.arange(n_rows), 5))
    grouped = clone(model).fit(windows[copies], groups=copies.astype(str))
    np.testing.assert_allclose(grouped.couplings_, once.couplings_, atol=1e-3)
    np.testing.assert_allclose(grouped.covariance_, once.covariance_, rtol=1e-2, atol=1e-6)
    if n_rows == 300:
        np.testing.assert_allclose(
            np.diag(clone(model).fit(windows[:300]).covariance_), np.diag(once.covariance_), rtol=0.1
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the data refute symmetries")  # few images
@pytest.mark.parametrize("n_images", [4, 12])
def test_intervals_from_few_images_cover_the_truth(n_images):
    """16 windows of each image, each of them twice."""
    sample = IsingSampler((32, 32), 2.5, random_state=5).sample(n_samples=80 * n_images).reshape(80, n_images, 32, 32)
    local, inside = LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=SYMMETRIES, random_state=0), []
    for images in sample:
        X, groups = extract_windows(np.concatenate([images, images]), 8)
        fit = clone(local).fit(X, groups=groups % n_images)
        inside.append(abs(fit.couplings_[0] - 1) < fit.covariance_[0, 0] ** 0.5)
    assert abs(np.mean(inside) - 0.683) < 2.6 * np.sqrt(0.683 * 0.317 / 80)


@pytest.mark.filterwarnings("ignore:no coupling is kept")
def test_noise_in_few_groups_has_no_couplings():
    """Three free rows, copied: not one false coupling in 95 % of the sets."""
    model, copies, false = LocalHamiltonian(lattice_shape=(8, 8), window_shape=2), np.arange(90) % 3, []
    for seed in range(40):
        X = np.random.default_rng(seed).choice([-1, 1], (3, 64)).astype(np.int8)[copies]
        false.append(len(clone(model).fit(X, groups=copies).couplings_) > 0)
    assert np.mean(false) <= 0.05


def test_groups_add_up_over_parts(windows):
    model, groups = LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=SYMMETRIES), np.arange(400) // 10
    whole = clone(model).fit(windows[:400], groups=groups)
    parts = (
        clone(model).partial_fit(windows[:200], groups=groups[:200]).partial_fit(windows[200:400], groups=groups[200:])
    )
    np.testing.assert_allclose(parts.covariance_, whole.covariance_, rtol=0.1)


@pytest.mark.parametrize("unit", [1 / 400, 1e-12, 1e40])
def test_the_unit_of_weights_that_are_no_counts_has_no_effect(unit):
    """Weights 1/n, which sum to one, and weights that single precision does not hold."""
    X = IsingSampler((6, 6), 2.5, random_state=0).sample(n_samples=400)
    model = LocalHamiltonian(2.5, lattice_shape=(6, 6), boundary="periodic", window_shape=2, symmetries=SYMMETRIES)
    expected = clone(model).fit(X)
    scaled = model.fit(X, sample_weight=np.full(400, unit))
    assert len(expected.couplings_) == 1
    np.testing.assert_allclose(scaled.couplings_, expected.couplings_, rtol=1e-6)
    np.testing.assert_allclose(scaled.covariance_, expected.covariance_, rtol=1e-6)


def test_weights_that_are_no_counts_multiply_one_row_each():
    """So do the weights of groups of one row."""
    X = IsingSampler((6, 6), 2.5, random_state=0).sample(n_samples=400)
    model = LocalHamiltonian(2.5, lattice_shape=(6, 6), boundary="periodic", window_shape=2, symmetries=SYMMETRIES)
    weight = np.tile([0.5, 4.5], 200)
    by_group = clone(model).fit(X, sample_weight=weight, groups=np.arange(400))
    of_rows = model.fit(X, sample_weight=weight)
    np.testing.assert_allclose(of_rows.covariance_, by_group.covariance_, rtol=0.02)
    by_counts = clone(model).fit(X, sample_weight=2 * weight)
    assert by_counts.covariance_[0, 0] < 0.6 * of_rows.covariance_[0, 0]


def test_parts_teach_what_the_whole_teaches(windows, local):
    parts = clone(local)
    for k in range(4):
        parts.partial_fit(windows[k * 1000 : (k + 1) * 1000])
    assert parts.n_samples_seen_ == 4000
    assert parts.couplings_ == pytest.approx(local.couplings_, abs=5e-4)
    assert parts.covariance_ == pytest.approx(local.covariance_, rel=0.1)


def test_warm_start_ends_at_the_same_couplings(windows, local):
    again = clone(local).set_params(warm_start=True).fit(windows)
    cold = again.n_iter_
    assert again.fit(windows).table_ == pytest.approx(local.table_, abs=1e-5)
    assert again.n_iter_ - cold < cold


def test_free_spins_have_no_couplings():
    X = np.random.default_rng(0).choice([-1, 1], (500, 64))
    model = LocalHamiltonian(lattice_shape=(8, 8), symmetries=SYMMETRIES).fit(X)
    assert len(model.couplings_) == 0
    assert not model.table_.any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": 0}, "temperature must be a positive"),
        ({"boundary": "closed"}, "boundary must be"),
        ({"window_shape": 5}, r"no site of lattice_shape.*boundary='periodic' if rows are whole.*with open"),
        ({"window_shape": (3,)}, "one length for each axis"),
        ({"window_shape": (9, 1)}, "longer than an axis"),
        ({"window_shape": 0}, "window_shape must be"),
        ({"symmetries": "turn"}, "each of symmetries"),
        ({"batch_size": 10}, "has no effect without hidden layers"),
        ({"learning_rate_init": 0.1}, "has no effect without hidden layers"),
        ({"sparsity": -1}, "sparsity must be"),
        ({"max_iter": 0}, "max_iter must be"),
        ({"hidden_layer_sizes": "none"}, "hidden_layer_sizes must be"),
        ({"validation_fraction": 1.0}, "validation_fraction must be"),
        ({"lattice_shape": (8, 9)}, "72 sites"),
        ({"window_shape": 5, "boundary": "periodic", "hidden_layer_sizes": ()}, "patterns, but without hidden layers"),
    ],
)
def test_bad_parameters_are_named(parameters, message, windows, local):
    with pytest.raises((ValueError, TypeError), match=message):
        clone(local).set_params(**parameters).fit(windows[:10])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(10), "positive finite temperatures"),
        (np.ones(9), "one temperature for each"),
        (np.full(10, np.inf), "positive finite temperatures"),
        (["hot"] * 10, "one temperature for each row"),
    ],
)
def test_bad_temperatures_are_named(y, message, windows, local):
    with pytest.raises((ValueError, TypeError), match=message):
        clone(local).fit(windows[:10], y)


def test_a_failed_fit_changes_nothing(windows, local):
    before = pickle.dumps(local)
    with pytest.raises(ValueError, match="longer than"):
        local.set_params(window_shape=(9, 9)).fit(windows)
    local.set_params(window_shape=3)
    assert pickle.dumps(local) == before


def test_all_masked_rows_are_refused(windows, local):
    with pytest.raises(ValueError, match="every site of X is masked"):
        clone(local).fit(np.ma.masked_array(windows[:5], np.ones((5, 64), bool)))


@pytest.mark.filterwarnings(r"ignore:sites .* no window of shape \(1, 1\)")
def test_temperatures_pass_through_model_selection(windows):
    model = LocalHamiltonian(lattice_shape=(8, 8), symmetries=SYMMETRIES)
    T = np.full(400, 2.5)
    assert cross_val_score(model, windows[:400], T, cv=2).mean() == pytest.approx(-0.36, abs=0.03)
    search = GridSearchCV(model, {"window_shape": [(1, 1), (3, 3)]}, cv=2).fit(windows[:400], T)
    assert search.best_params_ == {"window_shape": (3, 3)}


def test_three_states_against_enumeration():
    """Blume-Capel on a 2x3 torus: the learned energy differences are those of the law the rows are drawn from."""
    states = enumerate_states((-1, 0, 1), 6)
    s = states.reshape(-1, 2, 3)
    H = -(s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).sum((1, 2)) + 0.4 * (s**2).sum((1, 2))
    p = np.exp(-H / 2.0)
    X = states[np.random.default_rng(0).choice(len(p), 40_000, p=p / p.sum())]
    model = LocalHamiltonian(
        2.0, lattice_shape=(2, 3), boundary="periodic", window_shape=2, symmetries=SYMMETRIES, random_state=0
    ).fit(X)
    error = model.energy(states) - H
    error -= p @ error / p.sum()
    assert np.sqrt(p @ error**2 / p.sum()) < 0.06
    assert len(model.couplings_) <= 6


def test_a_three_spin_chain_is_found():
    states = enumerate_states((-1, 1), 12)
    H = -sum(states * np.roll(states, 1, 1) * np.roll(states, 2, 1) * 0.8 for _ in [0]).sum(1)
    p = np.exp(-H)
    X = states[np.random.default_rng(0).choice(len(p), 5000, p=p / p.sum())]
    model = LocalHamiltonian(boundary="periodic").fit(X)
    assert model.clusters_.tolist() == [[1, 1, 1]]
    assert model.couplings_[0] == pytest.approx(0.8, abs=4 * np.sqrt(model.covariance_[0, 0]))


def test_a_cubic_lattice_and_a_cross_of_windows():
    X = IsingSampler((4, 4, 4), 5.0, random_state=1).sample(n_samples=2000)
    model = LocalHamiltonian(
        5.0, lattice_shape=(4, 4, 4), boundary="periodic", window_shape=2, symmetries=SYMMETRIES, random_state=0
    ).fit(X)
    assert model.clusters_.shape == (1, 2, 2, 2)
    assert model.couplings_[0] == pytest.approx(1, abs=4 * np.sqrt(model.covariance_[0, 0]))


def test_the_sampler_of_any_size_has_the_learned_energy(local):
    sampler = local.to_sampler((4, 4), 3.0)
    X = sampler.sample(n_samples=5, random_state=0)
    nearest = IsingSampler((4, 4), coupling=float(local.couplings_[0]))
    assert np.ptp(sampler.energy(X) - nearest.energy(X)) < 1e-9
    with pytest.raises(ValueError, match="2 axes"):
        local.to_sampler((4,))


@pytest.fixture(scope="module")
def by_network(windows):
    return LocalHamiltonian(
        2.5,
        lattice_shape=(8, 8),
        window_shape=2,
        symmetries=SYMMETRIES,
        hidden_layer_sizes=(8,),
        max_iter=6,
        batch_size=256,
        random_state=0,
    ).fit(windows[:800])


def test_a_network_learns_the_same_energy(windows, local, by_network):
    assert by_network.n_iter_ == len(by_network.validation_scores_) == 6
    X = windows[:200]
    assert by_network.score(X) == pytest.approx(local.score(X), abs=0.03)  # other sites are inner ones
    flipped = X.copy()
    flipped[:, 27] *= -1
    change, true = (model.energy(flipped) - model.energy(X) for model in (by_network, IsingSampler((8, 8))))
    assert (true @ change) / (true @ true) == pytest.approx(1, abs=0.08)


def test_a_network_has_its_symmetries_exactly(by_network):
    table = by_network.table_.reshape(2, 2, 2, 2)
    assert table == pytest.approx(table[::-1, ::-1, ::-1, ::-1])
    assert table == pytest.approx(table.transpose(0, 2, 1, 3))  # axes exchanged
    assert table == pytest.approx(table.transpose(1, 0, 3, 2))  # an axis reflected


def test_network_without_a_table_scores_as_with_one(windows, by_network):
    without = copy.deepcopy(by_network)
    without.table_ = None
    X = windows[:20]
    assert without.score(X) == pytest.approx(by_network.score(X))
    torus = X[:, :16]
    energies = [model.to_sampler((4, 4)).energy(torus) for model in (without, by_network)]
    assert np.ptp(np.subtract(*energies)) < 1e-5  # on a torus no gauge is left, but a constant


def test_a_network_goes_on_and_needs_its_own_shape(windows, by_network):
    again = clone(by_network).set_params(max_iter=1, warm_start=True).fit(windows[:200])
    again.partial_fit(windows[200:400])
    assert again.n_iter_ == 2
    assert again.n_samples_seen_ == 400
    with pytest.raises(ValueError, match="cannot continue"):
        again.set_params(hidden_layer_sizes=(7,)).fit(windows[:200])
    with pytest.raises(ValueError, match="cannot continue"):
        again.set_params(hidden_layer_sizes=(), batch_size="auto").fit(windows[:200])


def test_torch_is_left_as_it_was(windows, by_network):
    torch = pytest.importorskip("torch")
    short = clone(by_network).set_params(max_iter=1)
    expected = short.fit(windows[:300]).table_.copy()
    state = torch.random.get_rng_state().clone()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            again = short.fit(windows[:300]).table_
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert (torch.random.get_rng_state() == state).all()
    np.testing.assert_array_equal(again, expected)


def test_one_energy_for_all_rows_is_tested_on_rows_held_out():
    T = np.repeat([2.2, 3.0], 300)
    rows = [IsingSampler((6, 6), t, random_state=k).sample(n_samples=300) for k, t in enumerate((2.2, 3.0))]
    model = LocalHamiltonian(lattice_shape=(6, 6), boundary="periodic", symmetries=SYMMETRIES)
    right = common_hamiltonian_gain(model, np.concatenate(rows), T, cv=2)
    assert right.value > -2 * right.error
    wrong = common_hamiltonian_gain(model, np.concatenate(rows), np.repeat([2.2, 2.3], 300), cv=2)
    assert wrong.value < -4 * wrong.error
    with pytest.raises(ValueError, match="two different"):
        common_hamiltonian_gain(model, rows[0], T[:300])
    with pytest.raises(ValueError, match="cv must hold out rows that are not trained on, got row 0 in both"):
        common_hamiltonian_gain(model, np.concatenate(rows), T, cv=[(range(300), range(9))])


@pytest.mark.parametrize(
    "damage",
    [
        {"table_": np.zeros(5)},
        {"table_": np.full(512, np.nan)},
        {"states_": np.array([1, -1])},
        {"window_shape_": (3, 9)},
        {"temperature_": -1.0},
        {"lattice_shape_": (4, 4)},
        {"summary_": None},
        {"table_": None},
    ],
)
def test_a_damaged_model_is_refused(damage, local):
    state = {**local.__getstate__(), **damage}
    with pytest.raises(ValueError, match="damaged"):
        LocalHamiltonian().__setstate__(state)


def test_ctrl_c_leaves_the_model_as_it_was(windows, local, monkeypatch):
    again = pickle.loads(pickle.dumps(local)).set_params(verbose=2)
    before = pickle.dumps(again)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", stop)
    with pytest.raises(KeyboardInterrupt):
        again.fit(windows[:500])
    assert pickle.dumps(again) == before


def test_couplings_of_a_dense_energy_are_within_their_errors():
    """All clusters of a 2x2 window with random couplings, drawn from the enumerated law on a 3x3 torus."""
    rng = np.random.default_rng(3)
    clusters = clusters_of((2, 2), 2, [np.arange(4)], even=False)
    truth = 0.2 * rng.normal(size=clusters.n_clusters)
    states = enumerate_states((-1, 1), 9)
    H = brute_force_energy(clusters.table(truth), (states + 1) // 2, (3, 3), (2, 2), 2, True)
    p = np.exp(-H)
    X = states[rng.choice(len(p), 20_000, p=p / p.sum())]
    model = LocalHamiltonian(lattice_shape=(3, 3), boundary="periodic", window_shape=2, sparsity=0).fit(X)
    error = model.couplings_ + truth
    assert len(error) == 10
    assert 1 - chi2.cdf(error @ np.linalg.solve(model.covariance_, error), 10) > 1e-3
    assert model.table_ == pytest.approx(clusters.table(truth), abs=0.05)


def test_a_weak_coupling_does_not_make_steps_cycle():
    """The errors, and so the penalty, depend on the couplings."""
    ising = IsingSampler((16, 16), 3.0, next_nearest_coupling=0.08, plaquette_coupling=0.08, random_state=7)
    X = ising.sample(n_samples=600)[:25]
    local = LocalHamiltonian(3.0, lattice_shape=(16, 16), boundary="periodic", symmetries=SYMMETRIES, random_state=0)
    assert local.fit(X).n_iter_ < 50


def test_a_fit_that_stops_early_warns(windows):
    local = LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=SYMMETRIES, max_iter=2)
    with pytest.warns(ConvergenceWarning, match=r"has not converged in max_iter=2 steps"):
        local.fit(windows[:500])


def test_few_large_rows_have_errors_as_many_small_ones():
    X = IsingSampler((36, 36), 2.5, random_state=3).sample(n_samples=40)
    kwargs = {"boundary": "periodic", "symmetries": SYMMETRIES, "random_state": 0}
    z, errors = [], []
    for k in range(20):
        model = LocalHamiltonian(2.5, lattice_shape=(36, 36), **kwargs).fit(X[2 * k : 2 * k + 2])
        errors.append(np.sqrt(model.covariance_[0, 0]))
        z.append((model.couplings_[0] - 1) / errors[-1])
    assert max(errors) < 2 * min(errors)
    assert 0.6 < np.sqrt(np.mean(np.square(z))) < 1.5


def test_neighbours_are_told_from_diagonals_in_almost_frozen_time():
    """World lines: a coupling of 1.39 along time makes a neighbour in space almost equal to a diagonal one."""
    lines = Worldlines((16, 8), 1 / 8, 0.5)
    X = IsingSampler((16, 8), 1.0, coupling=lines.action_couplings, random_state=0).sample(n_samples=3000)
    local = LocalHamiltonian(1.0, lattice_shape=(16, 8), boundary="periodic", window_shape=2, symmetries="spin-flip")
    local.fit(X)
    assert local.clusters_.tolist() == [[[1, 1], [0, 0]], [[1, 0], [1, 0]]]
    error = local.couplings_ - lines.action_couplings[::-1]
    assert error @ np.linalg.solve(local.covariance_, error) < chi2.isf(1e-3, 2)


@pytest.mark.parametrize(("shape", "window", "T"), [((3, 2, 2), 2, 2.5), ((2, 3), 3, 2.0)])
def test_clusters_that_coincide_on_short_axes_have_variances(shape, window, T):
    """All rows with the weights of a law: the variances do not depend on the unit of the weights."""
    X = enumerate_states((-1, 1), int(np.prod(shape)))
    p = np.exp(-IsingSampler(shape).energy(X) / T)
    model = LocalHamiltonian(
        T, lattice_shape=shape, boundary="periodic", window_shape=window, symmetries="spin-flip", sparsity=0
    )
    low, high = (np.diag(model.fit(X, sample_weight=n * p / p.sum()).covariance_) for n in (1e5, 1e6))
    assert low.min() > 0
    assert high == pytest.approx(low, rel=0.02)


def test_few_groups_that_hide_all_couplings_are_said():
    windows, image = extract_windows(
        IsingSampler((64, 64), 2.5, random_state=0).sample(n_samples=5).reshape(-1, 64, 64), 16
    )
    local = LocalHamiltonian(2.5, lattice_shape=(16, 16), symmetries=SYMMETRIES)
    two, lower = image < 2, clone(local).set_params(sparsity=3.3)
    with pytest.warns(UserWarning, match="with 2 groups, one must exceed 560 standard errors"):
        assert not len(local.fit(windows[two], groups=image[two]).couplings_)
    assert len(lower.fit(windows[two], groups=image[two]).couplings_)  # and no warning
    assert len(local.fit(windows, groups=image).couplings_)
    expansion = InteractionExpansion(
        lattice_shape=(16, 16), boundary="open", method="pseudolikelihood", temperature=2.5, max_distance=1.5
    )
    with pytest.warns(UserWarning, match="no coupling is kept: 2 groups are too few"):
        assert not expansion.fit(windows[two], groups=image[two]).coef_.any()
    assert expansion.set_params(sparse=False).fit(windows[two], groups=image[two]).coef_.any()
