"""InteractionExpansion: exact energies come back to rounding, and stated errors are honest."""

import warnings

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import IndependentSites, InteractionExpansion, IsingSampler, LocalHamiltonian, MADEHamiltonian
from skhamiltonian._interactions.operators import Geometry, lattice_operators, operator_sums
from skhamiltonian._interactions.projection import Problem, Projection, contrast, expand, support
from skhamiltonian._lattice.bonds import nearest_neighbours
from skhamiltonian._utils.alphabet import enumerate_states

TORUS = ("translation", "point-group")


@parametrize_with_checks([InteractionExpansion(), InteractionExpansion(sparse=False)])
def test_sklearn_contract(estimator, check):
    check(estimator)


def couplings(expansion, needed=True):
    """The couplings by name, those that are exactly zero left out."""
    names = [operator.name for operator in expansion.operators_]
    return {name: J for name, J in zip(names, expansion.coef_, strict=True) if J != 0 or not needed}


# ---------------------------------------------------------------------------------------------- exact energies


@pytest.mark.parametrize("boundary", ["periodic", "open", ("open", "periodic")])
@pytest.mark.parametrize("shape", [(6, 6), (5, 7), (2, 6)])
def test_an_exact_energy_comes_back_to_rounding(shape, boundary, spins):
    system = {"coupling": 1.0, "next_nearest_coupling": -0.3, "plaquette_coupling": 0.5, "field": 0.07}
    ising = IsingSampler(shape, boundary=boundary, **system)
    X = spins(2000, np.prod(shape))
    expansion = InteractionExpansion(lattice_shape=shape, boundary=boundary).fit(X, ising.energy)
    wanted = {"field": 0.07, "pair (0, 1)": 1.0, "pair (1, 1)": -0.3, "plaquette": 0.5}
    assert couplings(expansion) == pytest.approx(wanted, abs=1e-12)
    assert abs(expansion.intercept_) < 1e-10
    assert expansion.coef_std_.max() < 1e-12
    assert expansion.score(X, ising.energy) == pytest.approx(1, abs=1e-14)
    full = clone(expansion).set_params(sparse=False).fit(X, ising.energy)
    assert couplings(full, needed=False) == pytest.approx(
        {name: wanted.get(name, 0) for name in couplings(full, needed=False)}, abs=1e-12
    )


def test_double_bonds_of_two_by_two():
    ising = IsingSampler((2, 2), coupling=1.5, next_nearest_coupling=-0.25, plaquette_coupling=0.125)
    X = enumerate_states((-1, 1), 4)
    expansion = InteractionExpansion(lattice_shape=(2, 2)).fit(X, ising.energy)
    wanted = {"pair (0, 1)": 1.5, "pair (1, 1)": -0.25, "plaquette": 0.125}
    assert couplings(expansion) == pytest.approx(wanted, abs=1e-13)
    every = clone(expansion).set_params(symmetries=()).fit(X, ising.energy)
    wanted = dict.fromkeys(["pair 0-1", "pair 2-3", "pair 0-2", "pair 1-3"], 3.0)
    wanted |= dict.fromkeys(["pair 0-3", "pair 1-2"], -1.0) | {"plaquette 0-1-2-3": 0.5}
    assert couplings(every) == pytest.approx(wanted, abs=1e-13)


@pytest.mark.parametrize("on_lattice", [True, False])
def test_a_glass_comes_back_bond_by_bond(on_lattice, spins):
    rng, shape = np.random.default_rng(1), (4, 5)
    bonds = nearest_neighbours(shape, (True, True))
    J, h = rng.normal(size=len(bonds)), rng.normal(size=20) * (rng.random(20) < 0.5)
    terms = [*zip(J.tolist(), bonds, strict=True), *((float(value), [i]) for i, value in enumerate(h))]
    glass = IsingSampler(shape, coupling=0.0, couplings=terms)
    options = {"lattice_shape": shape, "symmetries": ()} if on_lattice else {}
    expansion = InteractionExpansion(**options).fit(spins(3000, 20), glass.energy)
    wanted = {f"pair {min(bond)}-{max(bond)}": value for value, bond in zip(J, bonds.tolist(), strict=True)}
    wanted |= {f"field {i}": value for i, value in enumerate(h) if value}
    assert couplings(expansion) == pytest.approx(wanted, abs=1e-11)


def test_three_spin_couplings_on_the_triangular_lattice(spins):
    """Baxter and Wu's model: both kinds of triangles of a square lattice with one diagonal."""
    x, y = np.indices((6, 6)).reshape(2, -1)
    right, down, both = x * 6 + (y + 1) % 6, (x + 1) % 6 * 6 + y, (x + 1) % 6 * 6 + (y + 1) % 6
    triangles = np.concatenate([np.c_[x * 6 + y, right, down], np.c_[right, down, both]])
    system = IsingSampler((6, 6), coupling=0.0, couplings=[(0.8, triangles)])
    X = spins(1000, 36)
    expansion = InteractionExpansion(lattice_shape=(6, 6), symmetries=["translation"]).fit(X, system.energy)
    pairs = zip(expansion.operators_, expansion.coef_, strict=True)
    found = {tuple(map(tuple, o.sites.tolist())): J for o, J in pairs if J}
    assert list(found.values()) == pytest.approx([0.8, 0.8], abs=1e-12)
    assert sorted(tuple(sorted(t)) for sites in found for t in sites) == sorted(map(tuple, np.sort(triangles).tolist()))


@pytest.mark.parametrize("states", [(-1, 0, 1), (0, 1), (0, 1, 2, 3), (-4, -2, 0, 2, 4)])
def test_alphabets_of_any_number_of_states(states):
    """H = -J sum s s' + any function of one site, which the powers of s are together."""
    rng = np.random.default_rng(0)
    X = rng.choice(states, (1500, 16))
    bonds, V = nearest_neighbours((4, 4), (True, True)), rng.normal(size=len(states))
    energy = -0.7 * (X[:, bonds[:, 0]] * X[:, bonds[:, 1]]).sum(axis=1) + V[np.searchsorted(states, X)].sum(axis=1)
    expansion = InteractionExpansion(lattice_shape=(4, 4)).fit(X, energy)
    found = couplings(expansion)
    assert found.pop("pair (0, 1)") == pytest.approx(0.7, abs=1e-12)
    assert list(found) == ["field", "s^2", "s^3", "s^4"][: len(states) - 1]
    np.testing.assert_allclose(expansion.predict(X), energy, atol=1e-10)
    constant = V[states.index(0)] * 16
    assert expansion.intercept_ == pytest.approx(constant, abs=1e-9)


def potts(X):
    """H = -sum over bonds of delta(s, s')."""
    bonds = nearest_neighbours((4, 4), (True, True))
    return -(X[:, bonds[:, 0]] == X[:, bonds[:, 1]]).sum(axis=1).astype(float)


@pytest.mark.parametrize(("n_states", "share"), [(2, None), (3, "5.%"), (4, "6.%")])
def test_operators_that_do_not_make_the_energy_are_told(n_states, share):
    """Products of powers of one site and of s s' are all functions of two states, but not of three labels."""
    X, expansion = (
        np.random.default_rng(0).integers(0, n_states, (2000, 16)),
        InteractionExpansion(lattice_shape=(4, 4)),
    )
    if share is None:
        assert couplings(expansion.fit(X, potts)) == pytest.approx({"field": -4.0, "pair (0, 1)": 2.0})
        return
    with pytest.warns(UserWarning, match=f"leave {share} of the variance .* unexplained .*LocalHamiltonian"):
        expansion.fit(X, potts)


@pytest.mark.parametrize("labels", [True, False])
def test_noise_of_three_states_is_no_lack_of_operators(labels):
    """Noise leaves a half unexplained; only labels of a Potts model warn."""
    rng, bonds = np.random.default_rng(0), nearest_neighbours((4, 4), (True, True))
    X = rng.integers(0, 3, (2000, 16)) - 1
    energy = potts(X) if labels else -(X[:, bonds[:, 0]] * X[:, bonds[:, 1]]).sum(axis=1) + (X**2).sum(axis=1)
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        InteractionExpansion(lattice_shape=(4, 4)).fit(X, energy + energy.std() * rng.normal(size=2000))
    assert ["unexplained" in str(one.message) for one in log] == [True] * labels


@pytest.mark.parametrize("labels", [True, False])
def test_contrastive_couplings_of_labels_are_told(labels):
    """The weights of a network are those of labels or of spins 1; draws are compared at the same temperature."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (3000, 6)) - 1
    for _ in range(30):  # Metropolis moves on a ring
        for site in range(6):
            new, beside = rng.integers(0, 3, 3000) - 1, X[:, [site - 1, (site + 1) % 6]]
            gain = [
                (one[:, None] == beside if labels else one[:, None] * beside).sum(axis=1) for one in (new, X[:, site])
            ]
            X[:, site] = np.where(rng.random(3000) < np.exp(gain[0] - gain[1]), new, X[:, site])
    made = MADEHamiltonian(1.0, lattice_shape=(6,), symmetries="translation", max_iter=20, random_state=0).fit(X)
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        InteractionExpansion(lattice_shape=(6,), method="contrastive", random_state=0).fit(X, made)
    assert ["unexplained" in str(one.message) for one in log] == [True] * labels


def test_own_operators_and_any_graph(spins):
    terms = np.array([[0, 3, 5], [1, 2, 7], [2, 4, 6]])
    system = IsingSampler((8,), coupling=0.0, couplings=[(0.4, terms), (-1.1, [2, 5])])
    operators = [("threes", terms), ("a bond", [2, 5]), ("another", [0, 1]), "field"]
    expansion = InteractionExpansion(operators).fit(spins(200, 8), system.energy)
    assert couplings(expansion) == pytest.approx({"threes": 0.4, "a bond": -1.1}, abs=1e-12)
    assert len(expansion.operators_) == 3 + 8


def test_a_constant_changes_the_constant_alone(spins):
    X, ising = spins(300, 16), IsingSampler((4, 4))
    noise = np.random.default_rng(0).normal(size=300)
    one = InteractionExpansion(lattice_shape=(4, 4)).fit(X, ising.energy(X) + noise)
    other = InteractionExpansion(lattice_shape=(4, 4)).fit(X, ising.energy(X) + noise + 1000)
    np.testing.assert_allclose(other.coef_, one.coef_, atol=1e-12)
    np.testing.assert_allclose(other.coef_std_, one.coef_std_, rtol=1e-9)
    assert other.intercept_ == pytest.approx(one.intercept_ + 1000)


def test_energies_may_be_numbers_functions_or_models(spins):
    X, ising = spins(300, 16), IsingSampler((4, 4), next_nearest_coupling=0.2)
    fits = [
        InteractionExpansion(lattice_shape=(4, 4)).fit(X, y)
        for y in (ising.energy(X), ising.energy(X).tolist(), ising.energy, ising, [ising, ising.energy])
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.coef_, fits[0].coef_, atol=1e-13)
    again = InteractionExpansion(lattice_shape=(4, 4)).fit(X, fits[0])
    np.testing.assert_allclose(again.coef_, fits[0].coef_, atol=1e-13)


def test_nothing_is_found_in_a_constant(spins):
    expansion = InteractionExpansion(lattice_shape=(4, 4)).fit(spins(100, 16), np.full(100, 3.0))
    assert not expansion.coef_.any()
    assert expansion.intercept_ == 3.0


def test_operators_that_are_constant_on_the_configurations_have_no_coupling(spins):
    X = spins(200, 6)
    X[:, 2] = 1
    expansion = InteractionExpansion(["field"]).fit(X, 2.0 * X[:, 0] + X[:, 1])
    constant = [operator.name == "field 2" for operator in expansion.operators_]
    assert expansion.coef_[constant] == 0
    assert np.isnan(expansion.coef_std_[constant]).all()
    assert couplings(expansion) == pytest.approx({"field 0": -2, "field 1": -1}, abs=1e-13)


def test_operators_that_cannot_be_told_apart_have_no_error(spins):
    X = spins(200, 6)
    X[:, 2] = X[:, 4]
    expansion = InteractionExpansion(["field"]).fit(X, -3.0 * X[:, 0] - 2.0 * X[:, 2])
    np.testing.assert_allclose(expansion.coef_, [3, 0, 1, 0, 1, 0], atol=1e-12)
    np.testing.assert_array_equal(np.isnan(expansion.coef_std_), [False, False, True, False, True, False])


def test_operators_that_resemble_each_other_are_told_apart():
    """Near the ordered phase operators are all but collinear, and squaring their condition number shows."""
    ising = IsingSampler((8, 8), 2.0, plaquette_coupling=0.5, random_state=0)
    X = ising.sample(n_samples=5000)
    expansion = InteractionExpansion(lattice_shape=(8, 8), sparse=False).fit(X, ising.energy)
    truth = {"pair (0, 1)": 1.0, "plaquette": 0.5}
    true = [truth.get(operator.name, 0.0) for operator in expansion.operators_]
    np.testing.assert_allclose(expansion.coef_, true, atol=1e-13)


def test_too_few_configurations_have_no_errors(spins):
    """With as many couplings as configurations nothing says how wrong they are."""
    X, ising = spins(20, 16), IsingSampler((4, 4))
    expansion = InteractionExpansion().fit(X, ising.energy)
    assert np.isnan(expansion.coef_std_).all()
    np.testing.assert_allclose(expansion.predict(X), ising.energy(X), atol=1e-10)


# ---------------------------------------------------------------------------------------------- errors


def noisy(n, seed, shape=(4, 4), sigma=3.0):
    """Configurations, and their energies with a noise that depends on the configuration."""
    X = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (n, int(np.prod(shape))))
    rng = np.random.default_rng([seed, 1])
    ising = IsingSampler(shape, plaquette_coupling=0.5)
    return X, ising.energy(X) + sigma * (1 + np.abs(X.sum(axis=1)) / 8) * rng.normal(size=n)


@pytest.mark.parametrize("n_samples", [20, 400])
def test_errors_are_the_dense_formula(n_samples):
    X, E = noisy(n_samples, 0)
    expansion = InteractionExpansion(lattice_shape=(4, 4), sparse=False).fit(X, E)
    A = np.column_stack([-operator_sums(X, expansion.operators_), np.ones(n_samples)])
    inverse = np.linalg.inv(A.T @ A)
    residual, leverage = E - A @ inverse @ A.T @ E, np.einsum("ni,ij,nj->n", A, inverse, A)
    V = inverse @ (A.T * (residual**2 / (1 - leverage))) @ A @ inverse
    student = stdtrit(n_samples - A.shape[1], ndtr(1.0))
    np.testing.assert_allclose(expansion.coef_std_, student * np.sqrt(np.diag(V))[:-1], rtol=1e-6)


def test_errors_of_twenty_rows_are_the_scatter():
    model = InteractionExpansion(lattice_shape=(4, 4), sparse=False)
    fits = [clone(model).fit(*noisy(20, seed)) for seed in range(150)]
    scatter = np.std([fit.coef_ for fit in fits], axis=0)
    quoted = np.sqrt(np.mean([fit.coef_std_**2 for fit in fits], axis=0))
    assert 0.93 < np.mean(quoted / scatter) < 1.20


def coverage(fits, truth):
    """How often value +- error holds the truth, for all couplings of all fits; operators not in `truth` are absent."""
    names = [operator.name for operator in fits[0].operators_]
    true = np.array([truth.get(name, 0.0) for name in names])
    return np.mean([np.abs(fit.coef_ - true) <= fit.coef_std_ for fit in fits])


@pytest.mark.parametrize("n_samples", [40, 400])
def test_intervals_cover_the_truth_when_energies_are_noisy(n_samples):
    """40 data sets of 9 couplings: 68 % intervals hold it in 55-80 %."""
    model = InteractionExpansion(lattice_shape=(4, 4), sparse=False)
    fits = [clone(model).fit(*noisy(n_samples, seed)) for seed in range(40)]
    assert 0.60 < coverage(fits, {"pair (0, 1)": 1.0, "plaquette": 0.5}) < 0.76


@pytest.mark.parametrize("n_models", [2, 5])
def test_intervals_cover_the_truth_when_models_differ(n_models, spins):
    """Exact energies of models that each have couplings of their own around the truth."""
    model, fits = InteractionExpansion(["pairs", "plaquettes"], lattice_shape=(4, 4), sparse=False), []
    X = spins(300, 16)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        J = rng.normal([1.0, 0.0, 0.5], 0.05, (n_models, 3))
        names = ("coupling", "next_nearest_coupling", "plaquette_coupling")
        models = [IsingSampler((4, 4), **dict(zip(names, map(float, one), strict=True))) for one in J]
        fits.append(clone(model).fit(X, models))
    coupled = [k for k, o in enumerate(fits[0].operators_) if o.name in ("pair (0, 1)", "pair (1, 1)", "plaquette")]
    true = np.array([1.0, 0.0, 0.5])
    held = np.mean([np.abs(f.coef_[coupled] - true) <= f.coef_std_[coupled] for f in fits])
    assert 0.55 < held < 0.80


@pytest.mark.parametrize("J", [[0.9, 1.2], [0.9, 1.0, 1.4]])
def test_the_error_of_a_mean_over_exact_models_is_students(J, spins):
    """The standard error of the mean of so few couplings, times Student's quantile of M - 1."""
    models = [IsingSampler((4, 4), coupling=one) for one in J]
    fit = InteractionExpansion(["pairs"], lattice_shape=(4, 4), max_distance=1, sparse=False)
    fit.fit(spins(300, 16), models)
    assert fit.coef_ == pytest.approx(np.mean(J))
    wanted = stdtrit(len(J) - 1, ndtr(1.0)) * np.std(J, ddof=1) / np.sqrt(len(J))
    assert fit.coef_std_ == pytest.approx(wanted)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_projection_has_the_errors_of_its_model(sparse):
    """Couplings of clusters of spins are those of operators, and their covariance is known."""
    ising = IsingSampler((4, 4), 3.0, next_nearest_coupling=0.3, random_state=0)
    X, options = ising.sample(n_samples=1000), {"lattice_shape": (4, 4), "symmetries": ("point-group", "spin-flip")}
    local = LocalHamiltonian(3.0, boundary="periodic", **options).fit(X)
    options["symmetries"] += ("translation",)
    made = MADEHamiltonian(3.0, hidden_layer_sizes=(8,), max_iter=2, calibrate=local, random_state=0, **options).fit(X)
    wanted = np.sqrt(np.diag(local.covariance_))
    for y in (local, local.to_sampler().energy, made, [made]):
        fit = InteractionExpansion(lattice_shape=(4, 4), sparse=sparse).fit(X, y)
        names = [operator.name for operator in fit.operators_]
        kept = [names.index("pair (0, 1)"), names.index("pair (1, 1)")]
        np.testing.assert_allclose(fit.coef_[kept], local.couplings_, atol=1e-9)
        np.testing.assert_allclose(fit.coef_std_[kept], wanted, rtol=1e-6)
    assert InteractionExpansion(lattice_shape=(4, 4)).fit(X, [local, local]).coef_std_.max() < 1e-9


def test_sparse_fits_of_noisy_energies_find_what_is_there():
    truth = {"pair (0, 1)": 1.0, "plaquette": 0.5}
    fits = [InteractionExpansion(lattice_shape=(4, 4)).fit(*noisy(400, seed)) for seed in range(40)]
    assert all(truth.keys() <= couplings(fit).keys() for fit in fits)
    assert sum(len(couplings(fit)) - 2 for fit in fits) <= 14  # of 280 that are absent


@pytest.mark.parametrize(("n_samples", "n_operators", "free"), [(1000, 10, 1e6), (200, 3, 1e6), (200, 3, 20.0)])
def test_an_operator_is_selected_above_its_price(n_samples, n_operators, free):
    """One coupling beside zeros, with independent errors: t^2 > x = ln n + 2 ln p, or f (exp(x / f) - 1)."""
    x = np.log(n_samples) + 2 * np.log(n_operators)
    price = free * np.expm1(x / free)
    for factor in (0.98, 1.02):
        t = np.zeros(n_operators)
        t[1] = np.sqrt(factor * price)
        selected = support(Projection(t, 0.0, np.eye(n_operators)), np.zeros(n_operators), n_samples, free)
        assert np.flatnonzero(selected).tolist() == ([1] if factor > 1 else [])


def test_errors_of_a_fit_have_as_many_degrees_of_freedom_as_rows_are_left():
    """14 rows less six operators and a constant: f = 7, and one coupling has to pay f (exp(x / f) - 1) = 10.0."""
    values = np.random.default_rng(0).normal(size=(14, 6))
    for square, n_selected in ((9.8, 0), (10.2, 1)):
        t = np.array([0, np.sqrt(square), 0, 0, 0, 0])

        def known(columns, t=t):
            return Projection(t if columns.shape[1] == 6 else np.ones(columns.shape[1]), 0.0, np.eye(columns.shape[1]))

        coupling, _, error = expand(Problem(values, np.ones(14), known, 0.0, 14), sparse=True)
        assert np.count_nonzero(coupling) == n_selected
        np.testing.assert_array_equal(error, np.ones(6))


def test_the_score_is_the_explained_part_of_the_variance():
    X, E = noisy(20_000, 3)
    expansion = InteractionExpansion(lattice_shape=(4, 4)).fit(X, E)
    ising = IsingSampler((4, 4), plaquette_coupling=0.5)
    explained = ising.energy(X).var() / E.var()
    assert expansion.score(X, E) == pytest.approx(explained, abs=0.02)
    assert expansion.score(X, ising.energy) > 0.999


# ---------------------------------------------------------------------------------------------- asking the data again


def exact_draws(ising, temperature, n_samples, seed):
    """Independent configurations of a small system, by enumeration."""
    states = enumerate_states((-1, 1), int(np.prod(ising.lattice_shape))).astype(np.int8)
    log_p = -ising.energy(states) / temperature
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    return states[np.random.default_rng(seed).choice(len(p), n_samples, p=p)]


def test_contrast_has_a_flat_likelihood_and_dense_errors():
    """Odds of data to draws are n_data p / (n_draws q), p = exp((sum J O - c) / T); no units of the operators."""
    rng, n, T = np.random.default_rng(0), 80, 1.7
    operators, log_q, weight = 3 + 2 * rng.normal(size=(n, 3)), rng.normal(size=n), rng.integers(1, 4, n).astype(float)
    from_data = rng.random(n) < 0.4 + 0.05 * operators[:, 0]
    found = contrast(operators, log_q, from_data, T, weight)
    odds = np.log(weight[from_data].sum() / weight[~from_data].sum()) - log_q
    p = 1 / (1 + np.exp(-odds - (operators @ found.coupling - found.constant) / T))
    A = np.column_stack([operators, np.ones(n)])
    np.testing.assert_allclose(A.T @ (weight * (p - from_data)), 0, atol=1e-3)
    inverse = np.linalg.inv((A.T * (weight * p * (1 - p))) @ A)
    leverage = p * (1 - p) * np.einsum("ni,ij,nj->n", A, inverse, A)
    V = inverse @ ((A.T * (weight * (p - from_data) ** 2 / (1 - leverage))) @ A) @ inverse
    np.testing.assert_allclose(found.covariance, T**2 * V[:3, :3], rtol=1e-3)


def test_contrast_is_the_likelihood_where_the_draws_are_many():
    """With draws of a known law the couplings are those of maximum likelihood: data and model have the same <O_k>."""
    ising = IsingSampler((3, 3), next_nearest_coupling=0.3)
    X = exact_draws(ising, 3.0, 2000, 0)
    states = enumerate_states((-1, 1), 9).astype(np.int8)
    operators = lattice_operators("pairs", Geometry((3, 3), (True, True), 3.0, TORUS))
    data, everything = operator_sums(X, operators), operator_sums(states, operators)
    draws = np.tile(everything, (2000, 1))  # the uniform law without its noise
    from_data = np.arange(len(data) + len(draws)) < len(data)
    log_q = np.full(len(from_data), -9 * np.log(2))
    found = contrast(np.vstack([data, draws]), log_q, from_data, 3.0, np.ones(len(from_data)))
    log_p = everything @ found.coupling / 3.0
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    np.testing.assert_allclose(p @ everything, data.mean(axis=0), atol=0.05 * data.std(axis=0).max())
    assert -found.constant / 3.0 == pytest.approx(-np.logaddexp.reduce(log_p), abs=0.02)
    fisher = np.sqrt(np.diag(np.linalg.inv(len(data) * np.cov(everything.T, aweights=p)))) * 3.0
    assert (np.sqrt(np.diag(found.covariance)) > 0.99 * fisher).all()
    assert (np.sqrt(np.diag(found.covariance)) < 2 * fisher).all()


def test_intervals_of_contrastive_couplings_cover_the_truth():
    """40 data sets of a system with four-spin terms; the reference knows nothing of any interaction."""
    ising = IsingSampler((3, 3), next_nearest_coupling=0.3, plaquette_coupling=0.4)
    model, fits = InteractionExpansion(lattice_shape=(3, 3), method="contrastive", sparse=False), []
    for seed in range(40):
        X = exact_draws(ising, 6.0, 1500, seed)
        sites = IndependentSites(temperature=6.0, random_state=seed).fit(X)
        fits.append(clone(model).fit(X, sites))
    truth = {"pair (0, 1)": 1.0, "pair (1, 1)": 0.3, "plaquette": 0.4}
    assert 0.60 < coverage(fits, truth) < 0.76
    states = enumerate_states((-1, 1), 9).astype(np.int8)
    free_energy = -6.0 * np.logaddexp.reduce(-ising.energy(states) / 6.0)
    assert np.mean([fit.intercept_ for fit in fits]) == pytest.approx(-free_energy, abs=0.05)
    log_norm = [np.logaddexp.reduce(-fit.predict(states) / 6.0) for fit in fits]
    assert abs(np.mean(log_norm)) < 3 * np.std(log_norm) / np.sqrt(40) < 0.05


def test_contrastive_errors_of_few_rows_are_honest():
    """78 couplings of free spins: 100 rows hardly determine them, and 60 rows not at all."""
    rng, z = np.random.default_rng(0), []
    for seed in range(4):
        X = rng.choice(np.array([-1, 1], np.int8), (100, 12))
        expansion = InteractionExpansion(method="contrastive", temperature=1.0, sparse=False, random_state=seed)
        expansion.fit(X, IndependentSites(1.0).fit(X))
        z.append(expansion.coef_ / expansion.coef_std_)
    assert 0.55 < np.mean(np.abs(z) < 1) < 0.8
    with pytest.warns(UserWarning, match="hardly determine 78 of 78 couplings"):
        expansion.fit(X[:60], IndependentSites(1.0).fit(X[:60]))
    assert np.isinf(expansion.coef_std_).all()


@pytest.mark.slow
def test_contrastive_couplings_of_networks_cover_the_truth():
    """40 data sets, each with a network of its own: too small a one, whose projection is wrong."""
    ising = IsingSampler((4, 4), plaquette_coupling=0.5)
    truth, fits = {"pair (0, 1)": 1.0, "plaquette": 0.5}, {"projection": [], "contrastive": []}
    for seed in range(40):
        X = exact_draws(ising, 4.5, 2000, seed)
        options = {
            "lattice_shape": (4, 4),
            "symmetries": (*TORUS, "spin-flip"),
            "max_iter": 20,
            "calibrate": "smooth",
            "random_state": seed,
        }
        made = MADEHamiltonian(4.5, hidden_layer_sizes=(8,), batch_size=100, **options).fit(X)
        for method, found in fits.items():
            found.append(InteractionExpansion(lattice_shape=(4, 4), method=method, sparse=False).fit(X, made))
    assert 0.55 < coverage(fits["contrastive"], truth) < 0.80
    assert coverage(fits["projection"], truth) < 0.4


def test_contrast_corrects_a_wrong_model():
    """A network that has seen other data is wrong; asked about these data, the couplings are right."""
    ising, other = IsingSampler((4, 4), plaquette_coupling=0.5), IsingSampler((4, 4))
    wrong = MADEHamiltonian(4.5, hidden_layer_sizes=(32,), max_iter=15, random_state=0)
    wrong.fit(exact_draws(other, 4.5, 5000, 0))
    X = exact_draws(ising, 4.5, 20_000, 1)
    projected = InteractionExpansion(lattice_shape=(4, 4)).fit(X, wrong)
    assert abs(couplings(projected).get("plaquette", 0)) < 0.2
    asked = InteractionExpansion(lattice_shape=(4, 4), method="contrastive").fit(X, [wrong, wrong])
    found, error = couplings(asked), dict(zip(couplings(asked, needed=False), asked.coef_std_, strict=True))
    assert found.keys() == {"pair (0, 1)", "plaquette"}
    assert abs(found["pair (0, 1)"] - 1) < 3 * error["pair (0, 1)"] < 0.15
    assert abs(found["plaquette"] - 0.5) < 3 * error["plaquette"] < 0.25
    states = enumerate_states((-1, 1), 16).astype(np.int8)
    assert np.logaddexp.reduce(-asked.predict(states) / 4.5) == pytest.approx(0, abs=0.05)


def test_contrastive_draws_have_a_seed():
    ising = IsingSampler((3, 3))
    X = exact_draws(ising, 5.0, 400, 0)
    sites = IndependentSites(temperature=5.0).fit(X)
    model = InteractionExpansion(lattice_shape=(3, 3), method="contrastive", sparse=False)
    one, same, other = (clone(model).set_params(random_state=seed).fit(X, sites).coef_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_weights_are_counts_of_rows():
    X, E = noisy(200, 0)
    counts = np.random.default_rng(0).integers(0, 4, 200)
    weighted = InteractionExpansion(lattice_shape=(4, 4)).fit(X, E, sample_weight=counts)
    repeated = InteractionExpansion(lattice_shape=(4, 4)).fit(np.repeat(X, counts, axis=0), np.repeat(E, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-10)
    np.testing.assert_allclose(weighted.coef_std_, repeated.coef_std_, rtol=1e-8)
    score = weighted.score(X, E, sample_weight=counts)
    assert score == pytest.approx(repeated.score(np.repeat(X, counts, axis=0), np.repeat(E, counts)))
    assert score != pytest.approx(weighted.score(X, E), rel=1e-3)


def test_counted_rows_are_repeated_rows_beside_draws():
    """Couplings, their errors and the constant, which is ln Z."""
    rng = np.random.default_rng(0)
    values, log_q, from_data = rng.normal(size=(90, 2)), rng.normal(size=90), np.arange(90) < 40
    counts = np.where(from_data, rng.integers(1, 5, 90), 1)
    counted = contrast(values, log_q, from_data, 2.0, counts.astype(float))
    each = (np.repeat(one, counts, axis=0) for one in (values, log_q, from_data))
    repeated = contrast(*each, 2.0, np.ones(counts.sum()))
    np.testing.assert_allclose(counted.coupling, repeated.coupling, atol=1e-4)
    np.testing.assert_allclose(counted.covariance, repeated.covariance, rtol=1e-3)
    assert counted.constant == pytest.approx(repeated.constant, abs=1e-4)
