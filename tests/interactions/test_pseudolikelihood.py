"""Couplings straight from rows: against enumeration and dense formulas, with errors that cover."""

import warnings

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit
from sklearn.base import clone

from skhamiltonian import InteractionExpansion, IsingSampler
from skhamiltonian._interactions.operators import FAMILIES, Geometry, lattice_operators, operator_sums
from skhamiltonian._interactions.pseudolikelihood import covariance, estimate, maximum, totals
from skhamiltonian._interactions.site_laws import Rows, site_groups
from skhamiltonian._lattice.bonds import nearest_neighbours
from skhamiltonian._utils.alphabet import enumerate_states

TORUS = ("translation", "point-group")
STATES = enumerate_states((-1, 1), 9).astype(np.int8)


SIZES = ((20, None), (60, False), (400, False))  # rows, and whether a warning is due


def exact_draws(system, temperature, n_samples, seed, states=STATES):
    log_p = -system.energy(states) / temperature
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    return states[np.random.default_rng(seed).choice(len(p), n_samples, p=p)]


def found(expansion, needed=True):
    names = [operator.name for operator in expansion.operators_]
    return {name: J for name, J in zip(names, expansion.coef_, strict=True) if J != 0 or not needed}


def from_rows(**options):
    return InteractionExpansion(**{"method": "pseudolikelihood", "temperature": 1.0} | options)


# ---------------------------------------------------------------------------------------------- the formula


def brute_force(X, operators, states, beta, coupling, sites):
    """The loss, and for every row and site D_a and p_a, by flipping every site of every row."""
    loss, D, p, residual = 0.0, [], [], []
    for s, b in zip(X, beta, strict=True):
        for i in sites:
            changed = np.repeat(s[None].astype(float), len(states), axis=0)
            changed[:, i] = states
            sums = b * operator_sums(changed, operators)
            log_p = sums @ coupling - np.logaddexp.reduce(sums @ coupling)
            is_state = np.asarray(states) == s[i]
            loss -= log_p[is_state][0]
            D.append(sums), p.append(np.exp(log_p)), residual.append(is_state - np.exp(log_p))
    return loss, np.array(D), np.array(p), np.array(residual)


@pytest.mark.parametrize(
    ("states", "symmetries", "periodic"),
    [
        ((-1, 1), TORUS, (True, True)),
        ((-1, 1), ("translation",), (False, True)),
        ((-1, 1), (), (True, True)),
        ((0, 1), TORUS, (True, True)),
        ((-1, 0, 1), TORUS, (True, True)),
        ((0, 1, 2, 3), TORUS, (False, False)),
    ],
)
def test_loss_and_derivatives_are_those_of_flips(states, symmetries, periodic):
    rng, shape = np.random.default_rng(0), (3, 4)
    geometry = Geometry(shape, periodic, 1.5, symmetries, len(states) - 1)
    operators = [operator for family in FAMILIES for operator in lattice_operators(family, geometry)]
    operators.append(operators[0]._replace(name="own", sites=np.array([[3, 0, 0], [5, 5, 5], [1, 7, 3]])))
    X, beta, weight = rng.choice(states, (5, 12)), rng.uniform(0.3, 2, 5), rng.integers(1, 4, 5)
    coupling = 0.3 * rng.normal(size=len(operators))
    sites = np.array([0, 3, 4, 7, 11])
    rows = Rows(X, beta, weight.astype(float), np.array(states, dtype=float))
    sums = totals(rows, site_groups(operators, sites, 12), coupling)
    every = np.repeat(np.arange(5), weight)
    loss, D, p, residual = brute_force(X[every], operators, states, beta[every], coupling, sites)
    assert sums.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(sums.gradient, -np.einsum("oak,oa->k", D, residual), atol=1e-10)
    mean = np.einsum("oak,oa->ok", D, p)
    hessian = np.einsum("oak,oal,oa->kl", D, D, p) - mean.T @ mean
    np.testing.assert_allclose(sums.hessian, hessian, atol=1e-10)


def dense_errors(X, operators, beta, coupling):
    """The sandwich with each row's root of 1 - H_n H^-1 by eigenvalues, or the model's variance times the effect."""
    n, p = len(X), len(coupling)
    G, H, independent = np.zeros((n, p)), np.zeros((n, p, p)), np.zeros((p, p))
    for row in range(n):
        _, D, q, r = brute_force(X[row : row + 1], operators, (-1, 1), beta[row : row + 1], coupling, range(X.shape[1]))
        each = np.einsum("oak,oa->ok", D, r)
        mean = np.einsum("oak,oa->ok", D, q)
        G[row], independent = each.sum(axis=0), independent + each.T @ each
        H[row] = np.einsum("oak,oal,oa->kl", D, D, q) - mean.T @ mean
    total = H.sum(axis=0)
    inverse, values = np.linalg.inv(total), np.linalg.eigh(total)
    root = values[1] / np.sqrt(values[0]) @ values[1].T
    back, plain = np.linalg.inv(root), G.copy()
    for row in range(n):
        size, direction = np.linalg.eigh(root @ H[row] @ root)
        G[row] = back @ (direction / np.sqrt(1 - size) @ direction.T) @ root @ G[row]
    effect = np.diag(inverse @ plain.T @ plain @ inverse) / np.diag(inverse @ independent @ inverse)
    return np.sqrt(np.maximum(np.diag(inverse @ G.T @ G @ inverse), effect * np.diag(inverse)))


@pytest.mark.parametrize("seed", [0, 1])
def test_errors_of_twenty_rows_are_the_dense_formula(seed):
    ising = IsingSampler((3, 3), next_nearest_coupling=0.3)
    X, beta = exact_draws(ising, 5.0, 20, seed), np.full(20, 0.2)
    geometry = Geometry((3, 3), (True, True), 3, TORUS)
    operators = [operator for name in ("field", "pairs") for operator in lattice_operators(name, geometry)]
    rows = Rows(X, beta, np.ones(20), np.array([-1.0, 1.0]))
    one = estimate(rows, site_groups(operators, np.arange(9), 9), len(operators))
    wanted = stdtrit(19, ndtr(1.0)) * dense_errors(X, operators, beta, one.projection.coupling)
    np.testing.assert_allclose(np.sqrt(np.diag(one.projection.covariance)), wanted, rtol=1e-3)


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_the_field_of_equal_spins_is_kept_finite_by_its_prior(beta):
    """Of 45 spins up: the loss 45 ln(1 + e^(-2 beta h)) and 0.04 times the information of one free spin, beta^2."""
    field = lattice_operators("field", Geometry((3, 3), (True, True), 3, TORUS))
    rows = Rows(np.ones((5, 9), np.int8), np.full(5, beta), np.ones(5), np.array([-1.0, 1.0]))
    (h,), _, (unit,) = maximum(rows, site_groups(field, np.arange(9), 9), 1)
    assert 45 * 2 * beta / (1 + np.exp(2 * beta * h)) == pytest.approx(0.04 * beta**2 * h, rel=1e-3)
    assert unit == pytest.approx(2 * beta)


def test_the_maximum_is_where_the_gradient_vanishes():
    ising = IsingSampler((3, 3), plaquette_coupling=0.3)
    X = exact_draws(ising, 4.0, 500, 0)
    expansion = from_rows(lattice_shape=(3, 3), temperature=4.0, sparse=False).fit(X)
    rows = Rows(X, np.full(500, 0.25), np.ones(500), np.array([-1.0, 1.0]))
    sums = totals(rows, site_groups(expansion.operators_, np.arange(9), 9), expansion.coef_)
    step = np.linalg.solve(sums.hessian, sums.gradient)
    assert (np.abs(step) < 0.02 * expansion.coef_std_).all()


def test_the_score_is_the_mean_of_a_site():
    ising = IsingSampler((3, 3))
    X = exact_draws(ising, 3.0, 200, 0)
    expansion = from_rows(lattice_shape=(3, 3), temperature=3.0).fit(X)
    loss, *_ = brute_force(X, expansion.operators_, (-1, 1), np.full(200, 1 / 3), expansion.coef_, range(9))
    assert expansion.score(X) == pytest.approx(-loss / (200 * 9), abs=1e-12)


# ---------------------------------------------------------------------------------------------- right couplings


def test_every_bond_of_a_glass():
    rng, bonds = np.random.default_rng(1), nearest_neighbours((3, 3), (True, True))
    J = rng.normal(size=len(bonds)).round(2)
    glass = IsingSampler(
        (3, 3), coupling=0.0, couplings=[(float(one), bond) for one, bond in zip(J, bonds, strict=True)]
    )
    expansion = from_rows(temperature=2.5).fit(exact_draws(glass, 2.5, 10_000, 0))
    wanted = {f"pair {min(bond)}-{max(bond)}": value for value, bond in zip(J, bonds.tolist(), strict=True)}
    errors = dict(zip(found(expansion, needed=False), expansion.coef_std_, strict=True))
    for name, value in found(expansion, needed=False).items():
        assert abs(value - wanted.get(name, 0.0)) < 4.5 * max(errors[name], 0.02), name


def test_rows_at_several_temperatures_share_one_energy():
    ising = IsingSampler((3, 3), next_nearest_coupling=0.4)
    T = np.repeat([2.5, 4.0, 8.0], 1500)
    X = np.concatenate([exact_draws(ising, t, 1500, k) for k, t in enumerate((2.5, 4.0, 8.0))])
    expansion = from_rows(lattice_shape=(3, 3), temperature=None).fit(X, T)
    assert found(expansion) == pytest.approx({"pair (0, 1)": 1.0, "pair (1, 1)": 0.4}, abs=0.06)
    assert np.isnan(expansion.temperature_)
    with pytest.raises(ValueError, match="temperature must be given"):
        expansion.to_sampler()
    assert expansion.to_sampler((8, 8), 3.0).lattice_shape == (8, 8)


def test_a_potts_like_gas_of_three_states():
    states = enumerate_states((-1, 0, 1), 9)
    bonds = nearest_neighbours((3, 3), (True, True))

    class BlumeCapel:
        def energy(self, X):
            return -0.8 * (X[:, bonds[:, 0]] * X[:, bonds[:, 1]]).sum(axis=1) + 0.5 * (X**2).sum(axis=1)

    X = exact_draws(BlumeCapel(), 2.0, 6000, 0, states.astype(np.int64))
    expansion = from_rows(lattice_shape=(3, 3), temperature=2.0).fit(X)
    assert found(expansion) == pytest.approx({"pair (0, 1)": 0.8, "s^2": -0.5}, abs=0.08)


def test_weights_are_counts():
    X = exact_draws(IsingSampler((3, 3)), 3.0, 200, 0)
    counts = np.random.default_rng(0).integers(0, 4, 200)
    weighted = from_rows(lattice_shape=(3, 3), temperature=3.0).fit(X, sample_weight=counts)
    repeated = from_rows(lattice_shape=(3, 3), temperature=3.0).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-5)
    np.testing.assert_allclose(weighted.coef_std_, repeated.coef_std_, rtol=1e-4)


def test_copies_in_groups_have_the_errors_of_single_rows():
    X, T = exact_draws(IsingSampler((3, 3)), 3.0, 100, 0), np.repeat([3.0, 2.0], 50)
    model = from_rows(lattice_shape=(3, 3), sparse=False, temperature=None)
    once = clone(model).fit(X, T)
    copies = np.random.default_rng(0).permutation(np.tile(np.arange(100), 5))  # of every row, in any order
    grouped = clone(model).fit(X[copies], T[copies], groups=copies.astype(str))
    np.testing.assert_allclose(grouped.coef_std_, once.coef_std_, rtol=5e-3)  # the weak prior counts once
    weighted = clone(model).fit(X[copies[:200]], T[copies[:200]], sample_weight=np.full(200, 2), groups=copies[:200])
    twice = np.repeat(copies[:200], 2)
    repeated = clone(model).fit(X[twice], T[twice], groups=twice)
    np.testing.assert_allclose(weighted.coef_std_, repeated.coef_std_, rtol=1e-4)


@pytest.mark.parametrize("group", [None, np.repeat([0, 1, 2, 3, 4], [30, 3, 7, 60, 20])])
def test_the_size_of_blocks_does_not_matter(group):
    X, sites = exact_draws(IsingSampler((3, 3)), 3.0, 120, 0), np.arange(9)
    operators = lattice_operators("pairs", Geometry((3, 3), (True, True), 3, TORUS))
    rows = Rows(X, np.full(120, 1 / 3), np.arange(120) % 3 + 1.0, np.array([-1.0, 1.0]), group)
    groups, coupling = site_groups(operators, sites, 9), np.array([0.9, 0.1])
    hessian = totals(rows, groups, coupling).hessian
    known, V = covariance(rows, groups, coupling, hessian, 1000)
    assert known.all()
    np.testing.assert_allclose(covariance(rows, groups, coupling, hessian, 20)[1], V, rtol=1e-3)


def test_groups_that_repeat_rows_refute_no_symmetry():
    X, copies = exact_draws(IsingSampler((3, 3)), 3.0, 60, 0), np.arange(6000) % 60
    model = from_rows(lattice_shape=(3, 3), symmetries=(*TORUS, "spin-flip"), sparse=False)
    with pytest.warns(UserWarning, match="refute the symmetry 'translation' and"):
        clone(model).fit(X[copies])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(model).fit(X[copies], groups=copies)


# ---------------------------------------------------------------------------------------------- windows


@pytest.fixture(scope="module")
def windows():
    """Windows of 10x10 out of 40x40 at T = 2.5."""
    X = IsingSampler((40, 40), 2.5, random_state=0).sample(n_samples=60)
    return X.reshape(60, 4, 10, 4, 10).transpose(0, 1, 3, 2, 4).reshape(-1, 100)


def test_windows_know_the_coupling_and_nothing_beyond(windows):
    expansion = from_rows(lattice_shape=(10, 10), boundary="open", temperature=2.5).fit(windows)
    assert found(expansion) == pytest.approx({"pair (0, 1)": 1.0}, abs=0.04)
    assert abs(expansion.coef_[1] - 1) < 3 * expansion.coef_std_[1] < 0.06
    sampler = expansion.to_sampler((6, 5))
    assert sampler.energy(np.ones((1, 30)))[0] == pytest.approx(-60 * expansion.coef_[1])  # a torus


def test_scrambled_edges_of_windows_do_not_matter(windows):
    X = windows.reshape(-1, 10, 10).copy()
    rng = np.random.default_rng(0)
    for edge in (X[:, 0], X[:, -1], X[:, :, 0], X[:, :, -1]):
        edge[...] = rng.choice([-1, 1], edge.shape)
    options = {"lattice_shape": (10, 10), "boundary": "open", "temperature": 2.5, "max_distance": 2.0}
    scrambled = from_rows(**options).fit(X.reshape(-1, 100))
    assert abs(found(scrambled)["pair (0, 1)"] - 1) < 3 * scrambled.coef_std_[1]


def test_few_windows_are_not_biased(windows):
    J = [
        from_rows(lattice_shape=(10, 10), boundary="open", temperature=2.5, max_distance=1.0).fit(windows[k::40])
        for k in range(40)
    ]
    z = np.array([(one.coef_[1] - 1) / one.coef_std_[1] for one in J])
    assert abs(np.mean([one.coef_[1] for one in J]) - 1) < 0.02
    assert 0.52 < np.mean(np.abs(z) < 1) < 0.83


def test_windows_too_small_for_their_operators_are_refused(spins):
    with pytest.raises(ValueError, match=r"no site of windows of shape \(5, 5\) .* smaller max_distance"):
        from_rows(lattice_shape=(5, 5), boundary="open").fit(spins(100, 25))
    own = [("a bond", [0, 1]), ("two bonds", [[0, 1], [5, 6]])]
    with pytest.raises(ValueError, match="'two bonds' is not translation-invariant"):
        from_rows(operators=own, lattice_shape=(5, 5), boundary="open").fit(spins(100, 25))


# ---------------------------------------------------------------------------------------------- errors that cover


@pytest.mark.parametrize(
    ("n_samples", "n_sets", "warned"),
    [(40, 60, False), *(pytest.param(n, 200, warned, marks=pytest.mark.slow) for n, warned in SIZES)],
)
def test_intervals_cover_the_truth(n_samples, n_sets, warned):
    """Of many data sets and all couplings."""
    ising, truth = IsingSampler((3, 3), next_nearest_coupling=0.3), {"pair (0, 1)": 1.0, "pair (1, 1)": 0.3}
    model, inside, told = from_rows(lattice_shape=(3, 3), temperature=6.0, sparse=False), [], []
    for seed in range(n_sets):
        with warnings.catch_warnings(record=True) as log:
            warnings.simplefilter("always")
            fit = clone(model).fit(exact_draws(ising, 6.0, n_samples, seed))
        true = np.array([truth.get(operator.name, 0.0) for operator in fit.operators_])
        inside.append(np.abs(fit.coef_ - true) <= fit.coef_std_)
        told.append(len(log))
    assert 0.60 < np.mean(inside) < 0.76
    assert max(told) <= 1
    assert warned is None or any(told) == warned


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [4, 40])
def test_intervals_from_groups_of_copies_cover_the_truth(n_groups):
    ising, inside = IsingSampler((3, 3), next_nearest_coupling=0.3), []
    model = from_rows(lattice_shape=(3, 3), temperature=6.0, sparse=False, operators=["pairs"])
    for seed in range(200):
        X = np.repeat(exact_draws(ising, 6.0, n_groups * 5, seed), 3, axis=0)
        fit = clone(model).fit(X, groups=np.arange(len(X)) // 15)
        inside.append(np.abs(fit.coef_ - [1.0, 0.3]) <= fit.coef_std_)
    assert 0.60 < np.mean(inside) < 0.76


@pytest.mark.parametrize("n_samples", [4, 30])
def test_separable_rows_have_wide_errors_and_one_warning(n_samples):
    with pytest.warns(UserWarning, match="these rows hardly determine") as log:
        fit = from_rows(lattice_shape=(4, 4), sparse=False).fit(np.ones((n_samples, 16), np.int8))
    assert len(log) == 1
    assert (np.abs(fit.coef_ - (np.array([o.name == "pair (0, 1)" for o in fit.operators_]))) < fit.coef_std_).all()


def test_one_row_has_no_errors(spins):
    with pytest.warns(UserWarning, match="these rows hardly determine"):
        fit = from_rows(lattice_shape=(8, 8)).fit(spins(1, 64))
    assert np.isinf(fit.coef_std_).all()


@pytest.mark.parametrize(
    ("n_samples", "n_sets"), [(50, 40), *(pytest.param(n, 200, marks=pytest.mark.slow) for n in (20, 100, 500))]
)
def test_noise_has_no_couplings(n_samples, n_sets, spins):
    """Free spins: not one false coupling in 95 % of the data sets."""
    model = from_rows(lattice_shape=(6, 6))
    false = [clone(model).fit(spins(n_samples, 36, seed)).coef_.any() for seed in range(n_sets)]
    assert np.mean(false) <= 0.05


def test_absent_couplings_come_out_absent():
    ising = IsingSampler((6, 6), 4.0, next_nearest_coupling=-0.3, plaquette_coupling=0.4, random_state=0)
    fit = from_rows(lattice_shape=(6, 6), temperature=4.0).fit(ising.sample(n_samples=3000))
    wanted = {"pair (0, 1)": 1.0, "pair (1, 1)": -0.3, "plaquette": 0.4}
    assert found(fit) == pytest.approx(wanted, abs=0.05)


@pytest.mark.slow
def test_couplings_of_sixty_thousand_rows_are_within_one_percent():
    system = {"coupling": 0.83, "next_nearest_coupling": -0.21, "plaquette_coupling": 0.37}
    X = IsingSampler((8, 8), 3.3, random_state=0, **system).sample(n_samples=60_000)
    fit = from_rows(lattice_shape=(8, 8), temperature=3.3).fit(X)
    wanted = dict(zip(("pair (0, 1)", "pair (1, 1)", "plaquette"), system.values(), strict=True))
    assert found(fit) == pytest.approx(wanted, rel=0.01)


# ---------------------------------------------------------------------------------------------- the world outside


def test_rows_on_disk_are_read_in_blocks(tmp_path, spins):
    X = spins(4000, 16)
    np.save(tmp_path / "X.npy", X)
    mapped = from_rows(lattice_shape=(4, 4), sparse=False).fit(np.load(tmp_path / "X.npy", mmap_mode="r"))
    np.testing.assert_array_equal(mapped.coef_, from_rows(lattice_shape=(4, 4), sparse=False).fit(X).coef_)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"temperature": None}, None, "temperature must be given"),
        ({"temperature": -1.0}, None, "temperature must be .*got -1.0"),
        ({}, np.zeros(50), "y must be .*got 0.0"),
        ({}, np.ones(49), "inconsistent numbers of samples"),
        ({"operators": iter(["pairs"])}, None, "operators must be .*a list"),
    ],
)
def test_bad_temperatures_are_refused_by_name(options, y, message, spins):
    with pytest.raises((ValueError, TypeError), match=message):
        from_rows(**{"lattice_shape": (4, 4)} | options).fit(spins(50, 16), y)


@pytest.mark.parametrize(
    ("options", "groups", "message"),
    [
        ({}, np.zeros(50), "groups must hold at least two different labels, got only"),
        ({}, np.arange(49), r"groups must hold one label for each of the 50 rows, got shape \(49,\)"),
        ({}, np.where(np.arange(50) % 7, 1.0, np.nan), "groups must hold one label for each row, got nan in row 0"),
        ({}, np.array([1, None, np.nan] + 47 * [2], object), "groups must hold labels of one type"),
        ({}, np.array(["2026-01-01", "NaT"] * 25, "M8[D]"), "groups must hold one label .*, got NaT in row 1"),
        ({}, ["a", float("nan")] * 25, "groups must hold labels of one type"),  # a list: numpy makes "nan" of it
        ({}, [1, "1"] * 25, "groups must hold labels of one type"),
        ({"method": "projection"}, np.arange(50), "groups have no effect with method='projection'"),
    ],
)
def test_bad_groups_are_refused_by_name(options, groups, message, spins):
    with pytest.raises((ValueError, TypeError), match=message):
        from_rows(**{"lattice_shape": (4, 4)} | options).fit(spins(50, 16), groups=groups)


def test_a_model_is_no_temperature_of_rows():
    ising = IsingSampler((4, 4), 2.5, random_state=0)
    X = ising.sample(n_samples=200)
    rows = InteractionExpansion(lattice_shape=(4, 4), method="pseudolikelihood", temperature=2.5).fit(X)
    for call in (rows.fit, rows.score):
        with pytest.raises(TypeError, match="y must be a positive number, got IsingSampler"):
            call(X, ising)
    with pytest.raises(ValueError, match=r"1-dimensional, got an array of shape \(200, 1\)$"):
        rows.fit(X, np.full((200, 1), 2.5))
