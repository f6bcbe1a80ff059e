"""MADEHamiltonian: learned laws against enumeration, the scikit-learn contract, and bad input."""

import pickle

import numpy as np
import pytest
from laws import taken_as_true
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import BlockSpinTransformer, IsingSampler, MADEHamiltonian, extract_windows, phase_curve
from skhamiltonian._utils.alphabet import enumerate_states

SMALL = MADEHamiltonian(hidden_layer_sizes=(8,), max_iter=3, random_state=0)
ALL_SYMMETRIES = ("translation", "point-group", "spin-flip")


REAL_NUMBERS = "X holds real numbers; test_counts_of_rows_are_rows asks the same of states"


@parametrize_with_checks(
    [SMALL, MADEHamiltonian(hidden_layer_sizes=(8,), max_iter=3, early_stopping=True)],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": REAL_NUMBERS,
    },
)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def X():
    return IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=20_000)


@pytest.fixture(scope="module")
def made(X):
    return MADEHamiltonian(
        2.5, hidden_layer_sizes=(64, 48), max_iter=20, lattice_shape=(4, 4), symmetries=ALL_SYMMETRIES, random_state=0
    ).fit(X[:10_000])


@pytest.fixture(scope="module")
def states():
    return enumerate_states((-1, 1), 16).astype(np.int8)


def true_log_prob(states, temperature=2.5):
    log_weight = -IsingSampler(lattice_shape=(4, 4)).energy(states) / temperature
    return log_weight - np.logaddexp.reduce(log_weight)


def averages(log_weight, states):
    """<|m|> and its tempered law, by enumeration."""
    p = np.exp(log_weight - np.logaddexp.reduce(log_weight))
    return p @ np.abs(states.mean(axis=1))


def test_learned_law_is_normalised_and_near_the_true_one(made, states):
    log_p = made.score_samples(states)
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-12)
    log_q = true_log_prob(states)
    assert np.exp(log_q) @ (log_q - log_p) < 0.01  # KL in nats; independent sites give 1.9


def test_energy_is_that_of_the_system_up_to_its_free_energy(made, states):
    true = IsingSampler(lattice_shape=(4, 4)).energy(states)
    p = np.exp(true_log_prob(states))
    learned = made.energy(states)
    slope = (p @ (true * learned) - (p @ true) * (p @ learned)) / (p @ true**2 - (p @ true) ** 2)
    assert slope == pytest.approx(1, abs=0.02)
    assert p @ (learned - true) == pytest.approx(16 * 2.5 * 0.9100683140, abs=0.05)  # -F(T0) = T0 ln Z


@pytest.mark.parametrize(
    ("method", "temperature", "field"),
    [
        ("metropolis", 1.5, 0.0),
        ("metropolis", 2.0, 0.1),
        ("tempered", 1.5, 0.0),
        ("tempered", 2.5, 0.0),
        ("tempered", 4.0, 0.0),
        ("tempered", 2.0, 0.1),
        ("independence", 4.0, 0.0),
    ],
)
def test_curve_of_the_model_agrees_with_its_enumeration(made, states, method, temperature, field):
    log_weight = 2.5 / temperature * made.score_samples(states) + field / temperature * states.sum(axis=1)
    law = taken_as_true(made)
    curve = phase_curve(law, [temperature], field=field, method=method, n_samples=8192, random_state=1)
    value, error = curve["abs_magnetization"]
    assert error[0] < 0.01
    assert abs(value[0] - averages(log_weight, states)) < 4.5 * error[0]


def test_predicted_curve_agrees_with_the_true_system(made, states):
    """From T0 = 2.5 to other temperatures: the model's law, tempered, against the true one."""
    for temperature in (1.5, 2.0, 3.0, 4.0):
        predicted = averages(2.5 / temperature * made.score_samples(states), states)
        assert predicted == pytest.approx(averages(true_log_prob(states, temperature), states), abs=0.02)


def test_shuffled_sites_are_told_from_the_system(X, states):
    """The negative control of the tests above: the same spins without their correlations."""
    shuffled = np.random.default_rng(0).permuted(X, axis=0)
    model = MADEHamiltonian(2.5, hidden_layer_sizes=(32,), max_iter=10, random_state=0).fit(shuffled)
    log_q = true_log_prob(states)
    assert np.exp(log_q) @ (log_q - model.score_samples(states)) > 1


def test_sample_at_its_own_temperature_repeats_the_data(made, X):
    drawn = made.sample(n_samples=20_000, random_state=3)
    assert drawn.dtype == np.int8
    assert np.abs(drawn.mean(axis=1)).mean() == pytest.approx(np.abs(X.mean(axis=1)).mean(), abs=0.02)


def test_extreme_temperatures(made):
    uniform = made.sample(np.inf, n_samples=20_000, random_state=0)
    assert abs(uniform.mean()) < 4 / np.sqrt(uniform.size)
    assert np.abs(np.corrcoef(uniform.T)[np.triu_indices(16, 1)]).max() < 5 / np.sqrt(20_000)
    cold = made.sample(1e-3, n_samples=200, random_state=0)
    assert np.abs(cold.mean(axis=1)).min() > 0.9


def test_sample_shapes_and_seeds(made):
    assert made.sample(2.0, n_samples=0).shape == (0, 16)
    assert made.sample(2.0, n_samples=3).shape == (3, 16)
    np.testing.assert_array_equal(made.sample(2.0, n_samples=9), made.sample(2.0, n_samples=9))
    assert (made.sample(2.0, n_samples=9) != made.sample(2.0, n_samples=9, random_state=5)).any()


@pytest.mark.parametrize("ordering", ["natural", "random", list(range(15, -1, -1))])
@pytest.mark.parametrize("alphabet", [(-1, 1), (0, 1, 3), (-4, -2, 0, 2, 4)])
def test_any_alphabet_and_order(ordering, alphabet):
    X = np.random.default_rng(0).choice(alphabet, (300, 16))
    model = clone(SMALL).set_params(ordering=ordering).fit(X)
    assert model.states_.tolist() == list(alphabet)
    assert np.isin(model.sample(2.0, n_samples=10), alphabet).all()
    assert np.isfinite(model.score(X))


def test_pipeline_of_blocks(X):
    coarse = make_pipeline(
        BlockSpinTransformer(lattice_shape=(4, 4)), clone(SMALL).set_params(temperature=2.5, max_iter=40)
    )
    assert np.isfinite(cross_val_score(coarse, X[:500], cv=3)).all()
    curve = phase_curve(coarse.fit(X[:500]), [2.0, 3.0], n_samples=512, random_state=0)
    assert curve["abs_magnetization"].value[0] > curve["abs_magnetization"].value[1]


@pytest.mark.parametrize("method", ["auto", "metropolis"])
@pytest.mark.parametrize("steps", [(), (BlockSpinTransformer(lattice_shape=(4, 4)),)], ids=["alone", "pipeline"])
def test_a_curve_of_what_is_not_fitted_says_so(method, steps):
    with pytest.raises(NotFittedError, match="This MADEHamiltonian instance is not fitted yet"):
        phase_curve(make_pipeline(*steps, MADEHamiltonian(2.5)), [2.0], method=method)


def test_grid_search_over_blocks_and_networks(X):
    """Each stride has scores of its own scale: sums of four blocks, or of nine that overlap."""
    coarse = make_pipeline(BlockSpinTransformer(lattice_shape=(4, 4)), clone(SMALL).set_params(random_state=0))
    grid = {"blockspintransformer__stride": [1, 2], "madehamiltonian__hidden_layer_sizes": [(4,), (8,)]}
    search = GridSearchCV(coarse, grid, cv=2).fit(X[:500])
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert scores[0].max() < scores[1].min() < 0
    best = search.best_estimator_
    assert best[0].stride == 2
    assert best[0].n_features_in_ == 16
    assert best[1].n_features_in_ == 4
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.score_samples(X[:50]), best.score_samples(X[:50]))


BAD_PARAMETERS = [
    ("temperature", 0, "positive finite number, got 0"),
    ("temperature", float("nan"), "got nan"),
    ("temperature", "2.5", "got '2.5'"),
    ("hidden_layer_sizes", (180, 0), "got 0"),
    ("activation", "gelu", "got 'gelu'"),
    ("whiten", "pca", "one of .auto., True, False, got .pca."),
    ("batch_size", 2.5, "got 2.5"),
    ("max_iter", 0, "got 0"),
    ("learning_rate_init", -1.0, "got -1.0"),
    ("learning_rate_init", "fast", "learning_rate_init must be 'auto' or a positive number, got 'fast'"),
    ("sparsity", "high", "sparsity must be 'auto' or a non-negative number, got 'high'"),
    ("batch_size", "all", "batch_size must be 'auto' or an integer >= 1, got 'all'"),
    ("max_iter", "few", "max_iter must be 'auto' or an integer >= 1, got 'few'"),
    ("hidden_layer_sizes", "deep", "hidden_layer_sizes must be 'auto' or a tuple of integers >= 1, got 'deep'"),
    ("validation_fraction", 1.5, "got 1.5"),
    ("ordering", [0, 1, 1], "permutation of range"),
    ("symmetries", ("rotation",), "'rotation' is no symmetry of numbers"),
    ("symmetries", ("translation",), "need lattice_shape"),
    ("lattice_shape", (4, 5), "20 sites, but X has 16"),
    ("states", (1,), "at least two"),
    ("states", (0, 1), r"one of the states \[0, 1\]"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD_PARAMETERS)
def test_bad_parameters_are_refused_with_their_value(X, name, value, message):
    model = clone(SMALL).set_params(**{name: value})
    if name == "lattice_shape":
        model.set_params(symmetries="translation")
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X[:50])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 1), "temperature must be a positive number, got -1.0"),
        ((2.0, -1), "n_samples must be an integer >= 0, got -1"),
        ((2.0, 1.5), "n_samples must be an integer >= 0, got 1.5"),
        ((2.0, True), "n_samples must be an integer >= 0, got True"),
    ],
)
def test_bad_sample_arguments(made, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        made.sample(arguments[0], n_samples=arguments[1])


def test_a_temperature_that_looks_like_a_number_is_noticed(made):
    with pytest.warns(UserWarning, match=r"write sample\(n_samples=1000\)") as record:
        assert made.sample(1000).shape == (1, made.n_features_in_)
    assert record[0].filename == __file__
    made.sample(1000.0)
    made.sample(1000, n_samples=2)


def test_absurd_sample_is_refused_before_allocation(made):
    with pytest.raises(MemoryError, match="GiB"):
        made.sample(2.0, n_samples=10**15)


def test_unseen_state_names_value_row_and_column(made, X):
    bad = X[:5].astype(int)
    bad[3, 7] = 9
    with pytest.raises(ValueError, match=r"9.*row 3, column 7.*\[-1, 1\]"):
        made.score_samples(bad)


def test_divergence_names_epoch_and_rate_and_leaves_the_object(X):
    model = clone(SMALL).fit(X[:300])
    before = pickle.dumps(model)
    with pytest.raises(ArithmeticError, match=r"epoch 1, learning rate .*lower learning_rate_init"):
        model.set_params(learning_rate_init=1e38, batch_size=20).fit(X[:300])
    model.set_params(learning_rate_init=SMALL.learning_rate_init, batch_size=SMALL.batch_size)
    assert pickle.loads(before).__dict__.keys() == model.__dict__.keys()
    np.testing.assert_array_equal(model.coefs_[0], pickle.loads(before).coefs_[0])


def test_score_does_not_depend_on_working_memory(made, X):
    from sklearn import config_context

    with config_context(working_memory=0.05):
        few = made.score_samples(X[:500])
    np.testing.assert_allclose(few, made.score_samples(X[:500]), rtol=0, atol=1e-10)


def test_partial_fit_learns_from_a_stream_and_keeps_the_alphabet(states):
    """Twenty parts reach the entropy as near as the same rows in one piece; a part alone does not."""
    ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0)
    X = ising.sample(n_samples=100_000)
    stream = MADEHamiltonian(2.5, hidden_layer_sizes=(64,), batch_size=100, random_state=0)
    log_q = true_log_prob(states)
    divergences = []
    for part in np.array_split(X, 20):
        stream.partial_fit(part)
        divergences.append(np.exp(log_q) @ (log_q - stream.score_samples(states)))
    assert divergences[-1] < 0.02 < 0.2 < divergences[0]
    assert stream.n_samples_seen_ == 100_000
    assert stream.n_iter_ == len(stream.loss_curve_) == 20
    with pytest.raises(
        ValueError, match=r"X holds .*3.* \(row 1, column 2\), which is not one of the states \[-1, 1\]"
    ):
        stream.partial_fit(np.where(np.arange(32).reshape(2, 16) == 18, 3, 1))
    assert stream.n_iter_ == 20


def test_warm_start_goes_on_where_fit_ended(X, states):
    model = MADEHamiltonian(2.5, hidden_layer_sizes=(32,), max_iter=5, warm_start=True, random_state=0).fit(X)
    first = model.loss_curve_.copy()
    model.fit(X)
    assert model.loss_curve_[:5] == first
    assert model.loss_curve_[5] < first[1]
    assert model.n_iter_ == 10
    assert model.n_samples_seen_ == len(X)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes.*\(32,\).*\(16,\)"):
        model.set_params(hidden_layer_sizes=(16,)).fit(X)
    assert model.score(X[:10]) == pytest.approx(model.set_params(warm_start=False).score(X[:10]))


class EpochCounter:
    """A callback that counts epochs and stops fit after the third."""

    max_propagation_depth = None

    def __init__(self):
        self.tasks = []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.tasks.append(context.task_name)
        return self.tasks.count("epoch") == 3


def test_callbacks_see_every_epoch_and_may_stop(X):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    counter = EpochCounter()
    model = clone(SMALL).set_params(max_iter=10).set_callbacks(counter).fit(X[:200])
    assert counter.tasks == ["setup", "epoch", "epoch", "epoch", "fit", "teardown"]
    assert model.n_iter_ == 3
    counter = EpochCounter()
    search = GridSearchCV(clone(SMALL), {"alpha": [0.0, 0.1]}, cv=2, refit=False).set_callbacks(counter)
    search.fit(X[:200])
    assert counter.tasks.count("epoch") == 4 * SMALL.max_iter


def test_grid_search_chooses_by_held_out_likelihood(X):
    """One hidden unit, or a weight decay that leaves no weights, lose by more than the noise of 5000 rows."""
    grid = {"hidden_layer_sizes": [(1,), (48,)], "alpha": [0.0, 100.0]}
    model = MADEHamiltonian(2.5, max_iter=10, skip_connections=False, calibrate=False, random_state=0)
    search = GridSearchCV(model, grid, cv=2).fit(X[:5000])
    assert search.best_params_ == {"hidden_layer_sizes": (48,), "alpha": 0.0}
    held_out = X[10_000:]
    table = zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True)
    for parameters, score in table:
        fitted = clone(model).set_params(**parameters).fit(X[:2500])
        assert fitted.score(held_out) == pytest.approx(score, abs=0.15)


RING = MADEHamiltonian(
    2.0, max_iter=30, batch_size=500, learning_rate_init=0.02, sparsity=0.0, calibrate=False, random_state=0
)


def ring_of_three():
    """Every state of the ring of three spins of Appendix A, as often as at T = 2: rounding costs 1e-8 nats."""
    states = enumerate_states((-1, 1), 3).astype(np.int8)
    energy = -(states * np.roll(states, 1, axis=1)).sum(axis=1)
    p = np.exp(-energy / 2.0)
    p /= p.sum()
    return np.repeat(states, np.round(5000 * p).astype(int), axis=0), states, p


@pytest.mark.parametrize("ordering", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_appendix_a_any_order_learns_the_ring(ordering):
    X, states, p = ring_of_three()
    model = clone(RING).set_params(ordering=ordering, hidden_layer_sizes=(8, 8), skip_connections=False)
    log_q = model.fit(X).score_samples(states)
    assert p @ (np.log(p) - log_q) < 1e-3


def test_one_linear_layer_learns_pairs_but_no_three_spin_term():
    """Appendix A holds that one linear layer cannot learn the ring. For spins +-1 it can: the logit of
    p(s_3 | s_1, s_2) is -2 (s_1 + s_2) / T. What needs a hidden layer is a product of three spins."""
    X, states, p = ring_of_three()
    three = np.exp(0.8 * states.prod(axis=1))
    three /= three.sum()
    laws = {"ring": (X, p), "product": (np.repeat(states, np.round(5000 * three).astype(int), axis=0), three)}
    divergence = {}
    for name, (rows, law) in laws.items():
        for hidden in [(), (8, 8)]:
            model = clone(RING).set_params(hidden_layer_sizes=hidden).fit(rows)
            divergence[name, hidden] = law @ (np.log(law) - model.score_samples(states))
    assert divergence.pop(("product", ())) > 0.2
    assert max(divergence.values()) < 1e-3


def test_held_out_scores_stand_beside_the_loss():
    """After a warm start too; epochs without rows held back have none."""
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=400)
    model = MADEHamiltonian(2.5, hidden_layer_sizes=(8,), max_iter=3, warm_start=True, random_state=0).fit(X)
    first = model.validation_scores_
    model.fit(X)
    assert model.validation_scores_[:3] == first
    assert len(model.validation_scores_) == len(model.loss_curve_) == 6
    model.set_params(calibrate=False).fit(X)
    assert np.isnan(model.validation_scores_[6:]).all()
    assert len(model.validation_scores_) == len(model.loss_curve_) == 9


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_a_shared_generator_advances(make):
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=100)
    rng = make(0)
    models = [MADEHamiltonian(2.5, hidden_layer_sizes=(8,), max_iter=2, random_state=rng).fit(X) for _ in range(2)]
    assert models[0].score(X) != models[1].score(X)


def test_counts_of_rows_are_rows():
    """A histogram gives the same bits as its rows, and a row that counts zero is absent."""
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=300)
    model = MADEHamiltonian(2.5, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    counts = np.random.default_rng(0).integers(4, size=300)
    weighted, repeated = clone(model).fit(X, sample_weight=counts), clone(model).fit(np.repeat(X, counts, axis=0))
    assert weighted.score(X) == repeated.score(X)
    assert weighted.n_samples_seen_ == counts.sum()
    for bad, message in (([0.5] * 300, "integers >= 0, got 0.5 in row 0"), ([1, 2], r"shape \(300,\), got \(2,\)")):
        with pytest.raises(ValueError, match=message):
            clone(model).fit(X, sample_weight=bad)
    with pytest.raises(ValueError, match="at least one non-zero"):
        clone(model).fit(X, sample_weight=np.zeros(300))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # one epoch makes poor proposals
def test_windows_are_named_at_another_temperature():
    """p^(T0/T) is not the law of windows; at T0 nothing is wrong."""
    large = IsingSampler((32, 32), 2.5, random_state=0).sample(n_samples=400)
    X = extract_windows(large.reshape(-1, 32, 32), 8)[0]
    made = MADEHamiltonian(2.5, lattice_shape=(8, 8), hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)
    made.sample(2.5)
    phase_curve(made, [2.5], n_samples=2000, random_state=0)
    for use in (lambda: made.sample(2.0), lambda: phase_curve(made, [2.0, 2.5], n_samples=2000, random_state=0)):
        with pytest.warns(UserWarning, match="windows of something larger") as record:
            use()
        assert [w.filename for w in record if "windows of something" in str(w.message)] == [__file__]
    torus = MADEHamiltonian(2.5, lattice_shape=(8, 8), hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    torus.fit(IsingSampler((8, 8), 2.5, random_state=0).sample(n_samples=8000)).sample(2.0)


class Small(MADEHamiltonian):
    """A subclass with other parameters than its base."""

    def __init__(self, temperature=1.0, *, label="", random_state=None):
        super().__init__(temperature, hidden_layer_sizes=(8,), max_iter=1, calibrate=False, random_state=random_state)
        self.label = label


@pytest.mark.filterwarnings("ignore:Draws at the temperature of X")
def test_a_subclass_may_have_its_own_parameters(X):
    wanted = MADEHamiltonian(2.5, hidden_layer_sizes=(8,), max_iter=1, calibrate=False, random_state=0).fit(X[:500])
    found = clone(Small(2.5, label="a", random_state=0)).fit(X[:500])
    np.testing.assert_array_equal(found.score_samples(X[:9]), wanted.score_samples(X[:9]))
    np.testing.assert_array_equal(
        found.partial_fit(X[:500]).score_samples(X[:9]), wanted.partial_fit(X[:500]).score_samples(X[:9])
    )
    assert pickle.loads(pickle.dumps(found)).score(X[:9]) == found.score(X[:9])
