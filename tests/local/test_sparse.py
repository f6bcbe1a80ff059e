"""Windows and the pseudo-likelihood of clusters: two routes to each number."""

import numpy as np
import pytest

from skhamiltonian import LocalHamiltonian
from skhamiltonian._local.clusters import basis, clusters_of, window_group
from skhamiltonian._local.observations import Rows, WindowGeometry, counted, each_site, neighbourhoods, tiles
from skhamiltonian._local.problem import NOTHING, Problem
from skhamiltonian._local.pseudolikelihood import loss_and_slope, soft_threshold_descent
from skhamiltonian._local.quadratic import exchanges, sandwich
from skhamiltonian._local.sparse import _Newton, _penalty, fit_sparse
from skhamiltonian._utils.alphabet import enumerate_states

RNG = np.random.default_rng(0)
GEOMETRY = WindowGeometry((2, 3), 3, (False, True))
RATIOS = np.array([0.5, 1.0, 1.7])


@pytest.fixture(scope="module")
def rows():
    codes = RNG.integers(0, 3, (15, 4, 5)).astype(np.int8)
    measured = RNG.random(codes.shape) < 0.98
    codes, measured, ratio = (np.repeat(each, 2, axis=0) for each in (codes, measured, RNG.choice(RATIOS, 15)))
    return Rows(codes, ratio, RNG.integers(0, 3, 30).astype(float), measured)


@pytest.fixture(scope="module")
def problem(rows):
    clusters = clusters_of((2, 3), 3, window_group((2, 3), (4, 5), (False, True)), even=True)
    seen = counted([rows], GEOMETRY, RATIOS)
    return Problem(clusters, seen, GEOMETRY.powers, [each_site(rows, GEOMETRY)], 1.0, False, NOTHING, RNG)


def test_an_inner_site_sees_its_neighbours():
    values = np.arange(20).reshape(1, 4, 5)
    assert GEOMETRY.inner_shape((4, 5)) == (2, 5)
    for offset in GEOMETRY.neighbourhood:
        seen = GEOMETRY.seen_at(values, offset)[0]
        for i, j in np.ndindex(2, 5):
            assert seen[i, j] == values[0, 1 + i + offset[0], (j + offset[1]) % 5]


def test_counting_keeps_every_site(rows, problem):
    one_by_one, seen = each_site(rows, GEOMETRY), problem.observations
    assert len(seen) < len(one_by_one) == len(neighbourhoods(rows, GEOMETRY))
    assert seen.counts.sum(axis=0) == pytest.approx(one_by_one.counts.sum(axis=0))

    def sums(sites):
        weight = sites.counts.sum(axis=1) * sites.ratio
        return [weight @ sites.bases.astype(float), weight @ sites.bases.astype(float) ** 2]

    np.testing.assert_allclose(sums(seen), sums(one_by_one))


def test_temperatures_are_told_apart_where_their_numbers_need_more_than_32_bits():
    """3^19 neighbourhoods fit, and four times as many do not."""
    geometry, ratios = WindowGeometry((10,), 3, (True,)), np.array([0.5, 1.0, 1.7, 2.0])
    rows = Rows(np.random.default_rng(4).integers(0, 3, (8, 24)).astype(np.int8), np.repeat(ratios, 2), np.ones(8))
    seen, one_by_one = counted([rows], geometry, ratios), each_site(rows, geometry)
    for ratio in ratios:
        sums = [(each.bases * each.counts.sum(axis=1, keepdims=True))[each.ratio == np.float32(ratio)].sum(axis=0)
                for each in (seen, one_by_one)]  # fmt: skip
        np.testing.assert_allclose(*sums)
        assert sums[0].min() > 0


@pytest.mark.parametrize(
    ("shape", "n_tiles", "least", "sides"),
    [((6, 6), 2, (1, 3), (3, 6)), ((6, 6), 3, (1, 3), (2, 6)), ((4, 4), 99, (2, 2), (2, 2)), ((8,), 1, (1,), (8,))],
)
def test_tiles_cut_the_side_that_is_longest_for_the_windows(shape, n_tiles, least, sides):
    found = tiles(shape, n_tiles, least).reshape(shape)
    corners = np.ndindex(*(n // side for n, side in zip(shape, sides, strict=True)))
    for number, corner in enumerate(corners):
        at = tuple(slice(c * side, (c + 1) * side) for c, side in zip(corner, sides, strict=True))
        assert np.all(found[at] == number)


def test_the_tiles_of_a_row_count_as_rows():
    rng = np.random.default_rng(3)
    rows = Rows(rng.integers(0, 3, (3, 4, 5)).astype(np.int8), RATIOS, np.array([1.0, 2.0, 3.0]))
    tile = tiles((2, 5), 2, (1, 1))
    seen, whole = each_site(rows, GEOMETRY, 4, tile), each_site(rows, GEOMETRY)
    for number, (row, part) in enumerate(np.ndindex(3, 2), start=4 * 2):
        here, own = seen.row == number, (whole.row == row) & np.tile(tile == part, 3)
        for name in ("bases", "counts", "ratio"):
            np.testing.assert_array_equal(getattr(seen, name)[here], getattr(whole, name)[own])
    numbers = neighbourhoods(rows, GEOMETRY, 4, tile).row
    np.testing.assert_array_equal(np.sort(numbers), seen.row)
    np.testing.assert_array_equal(numbers - 2 * (whole.row + 4), np.tile(tile, 3))


def test_block_scores_add_up_to_the_gradient(problem):
    couplings = 0.1 * RNG.normal(size=problem.basis.n_clusters)
    scores, counts = problem.block_scores(couplings, np.arange(problem.basis.n_clusters))
    gradient = problem.loss_and_gradient(couplings)[1]
    assert scores.sum(axis=0) == pytest.approx(gradient, abs=1e-2)
    assert counts.sum() == problem.observations.counts.sum()
    assert np.abs(gradient).max() > 5


def test_gradient_and_information_are_derivatives(problem):
    couplings = 0.1 * RNG.normal(size=problem.basis.n_clusters)
    columns = np.array([0, 3, 10])
    information = problem.information(couplings, columns)
    _, gradient = problem.loss_and_gradient(couplings)
    for k, column in enumerate(columns):
        step = np.zeros_like(couplings)
        step[column] = 1e-4
        (above, up), (below, down) = (problem.loss_and_gradient(couplings + s) for s in (step, -step))
        assert (above - below) / 2e-4 == pytest.approx(gradient[column], rel=1e-5, abs=1e-4)
        assert ((up - down) / 2e-4)[columns] == pytest.approx(information[k], rel=1e-3, abs=1e-2)


@pytest.mark.kernel
@pytest.mark.parametrize("ratio", [[0.7], [0.5, 1.0, 1.7, 1.2]])
def test_the_loss_is_that_of_softmax_conditionals(ratio):
    rng, powers = np.random.default_rng(5), 3 ** np.arange(2)
    bases = np.stack([3 * rng.integers(0, 3, 4), rng.integers(0, 3, 4)], axis=1).astype(np.uint16)
    counts, g, slope = rng.integers(0, 4, (4, 3)).astype(float), rng.normal(size=9), np.zeros(9)
    r = np.broadcast_to(ratio, 4)

    def loss(g):
        log_w = -r[:, None] * g[bases[:, None] + np.arange(3)[:, None] * powers].sum(axis=2)
        return -np.sum(counts * (log_w - np.logaddexp.reduce(log_w, axis=1, keepdims=True)))

    assert loss_and_slope(bases, counts, np.array(ratio), powers, g, slope) == pytest.approx(loss(g))
    numeric = [(loss(g + step) - loss(g - step)) / 2e-5 for step in 1e-5 * np.eye(9)]
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.kernel
def test_soft_thresholds_end_at_the_minimum_of_the_penalised_quadratic():
    """There the slope is the penalty, against the sign of x; it is less where x is zero."""
    rng = np.random.default_rng(9)
    A, x, penalty = rng.normal(size=(12, 6)), rng.normal(size=6), np.array([0.0, 0.05, 0.3, 0.3, 4.0, 0.1])
    hessian, linear = A.T @ A, rng.normal(size=6)
    soft_threshold_descent(hessian, linear, penalty, x)
    slope, on = hessian @ x - linear, x != 0
    assert on.tolist() == [True, True, False, True, False, True]
    np.testing.assert_allclose(slope[on], -penalty[on] * np.sign(x[on]), atol=1e-4)
    assert np.all(np.abs(slope[~on]) < penalty[~on])


def test_couplings_are_those_of_the_table(problem):
    clusters = problem.basis
    couplings = RNG.normal(size=clusters.n_clusters)
    assert clusters.couplings(clusters.table(couplings)) == pytest.approx(couplings)


def test_clusters_of_a_square_window():
    assert clusters_of((3, 3), 2, [np.arange(9)], even=False).n_clusters == 2**9 - 2 * 2**6 + 2**4
    names = clusters_of((2, 2), 2, window_group((2, 2), (8, 8), (True, True)), even=True).degrees
    assert sorted(names.sum(axis=1)) == [2, 2, 4]  # nearest, diagonal, plaquette
    unequal = clusters_of((2, 2), 2, window_group((2, 2), (8, 9), (True, True)), even=True)
    assert unequal.n_clusters == 4  # nearest neighbours along each axis


def test_the_size_of_a_cluster_is_its_sites_and_its_number_is_products_for_each_site():
    clusters = clusters_of((2, 2), 2, window_group((2, 2), (8, 8), (True, True)), even=True)
    assert clusters.order.tolist() == [2, 2, 4]
    assert clusters.n_products.tolist() == [2, 2, 1]


@pytest.mark.parametrize("n_states", [2, 3, 5])
def test_polynomials_of_the_code_are_orthonormal_and_even_or_odd(n_states):
    columns = basis(n_states)
    np.testing.assert_allclose(columns.T @ columns, n_states * np.eye(n_states), atol=1e-12)
    np.testing.assert_allclose(columns[::-1], columns * (-1) ** np.arange(n_states), atol=1e-12)
    assert (columns[-1] > 0).all()
    np.testing.assert_allclose(np.diff(columns[:, 1], 2), 0, atol=1e-12)  # the code itself, in its unit


@pytest.mark.parametrize(
    ("window", "lattice", "periodic", "size"),
    [
        ((2, 2), (8, 8), (True, True), 8),
        ((2, 2), (8, 9), (True, True), 4),
        ((2, 2), (8, 8), (True, False), 4),
        ((2, 3), (8, 8), (True, True), 4),
    ],
)
def test_axes_are_exchanged_if_nothing_tells_them_apart(window, lattice, periodic, size):
    """Neither the window, nor the length, nor the ends."""
    assert len({tuple(element) for element in window_group(window, lattice, periodic)}) == size


@pytest.mark.parametrize(("errors", "kept"), [(2.1, False), (2.4, True)])
def test_a_coupling_is_kept_if_noise_rarely_yields_it(errors, kept):
    """A field of so many errors, and a pair without: noise yields one of both, of any sign, in 5 % if above 2.24."""
    n, length = 400, 100
    n_up = n * length // 2 + round(errors * np.sqrt(n * length) / 2)
    X = np.random.default_rng(0).permutation(2 * (np.arange(n * length) < n_up) - 1).reshape(n, length)
    found = LocalHamiltonian(1.0, boundary="periodic", window_shape=2).fit(X)
    assert found.clusters_.tolist() == ([[1, 0]] if kept else [])


def test_a_field_beside_strong_bonds_is_found_and_not_pulled():
    """Blume-Capel spins by enumeration, as ordered as their field makes them: fields of 6.5 and of 13 stated errors.

    Independent sites would have twice the error, so that the first was missed and the second was pulled to its half.
    """
    states = enumerate_states((-1, 0, 1), 9).astype(int)
    s = states.reshape(-1, 3, 3)
    even = -(s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).sum((1, 2)) + 0.8 * (s**2).sum((1, 2))
    for field in (0.05, 0.1):
        p = np.exp(-(even - field * s.sum((1, 2))) / 1.5)
        X = states[np.random.default_rng(0).choice(len(p), 5000, p=p / p.sum())]
        local = LocalHamiltonian(1.5, lattice_shape=(3, 3), boundary="periodic", symmetries="point-group").fit(X)
        first = [k for k, cluster in enumerate(local.clusters_) if cluster.sum() == 1]
        assert len(first) == 1
        J, error = local.couplings_[first[0]], np.sqrt(local.covariance_[first[0], first[0]])
        assert 0.005 < error < 0.007
        assert 3 * error < J  # less than two thresholds, so the first is pulled
        assert field < 0.1 or abs(J - np.sqrt(2 / 3) * field) < 3 * error
        assert len(local.couplings_) == 3


def test_the_covariance_of_equal_columns_is_that_of_the_pseudo_inverse():
    """Columns 3 and 4 are column 0 and twice column 1: of all solutions the ridge chooses the shortest."""
    x = RNG.normal(size=(400, 3))
    x = np.column_stack([x, x[:, 0], 2 * x[:, 1]])
    information, variance = 1e6 * x.T @ x, 1e8 * (x * RNG.random((400, 1))).T @ x
    bread = np.linalg.pinv(information, rcond=1e-9)
    found = sandwich(information + 1e-3 * np.eye(5), variance, 1e-3)
    np.testing.assert_allclose(found, bread @ variance @ bread, rtol=1e-6, atol=1e-9)


def test_every_step_is_reported_once(problem):
    seen = []
    fit = fit_sparse(problem, 3.0, 4, None, lambda step, loss: bool(seen.append((step, loss))))
    assert seen == list(enumerate(fit.loss))
    assert len(seen) > 1


def test_pairs_and_selected_couplings_stay_beside_new_ones(problem):
    order, theta = problem.basis.order, np.zeros(problem.basis.n_clusters)
    pairs, more = np.flatnonzero(order <= 2), np.flatnonzero(order > 2)
    theta[more[0]] = 0.1
    newton = _Newton(problem, np.union1d(pairs, more[:2]), theta, 0.0, theta)
    assert newton.beside(more[2:3]).free.tolist() == sorted([*pairs, more[0], more[2]])


def test_the_penalty_reaches_two_thresholds_of_the_error_beside_the_others():
    A = np.random.default_rng(0).normal(size=(5, 9))
    information, sd, x = A @ A.T, np.arange(1.0, 6.0), np.array([0.3, 0.0, 0.2, 0.0, -1.0])
    on, own = [0, 2, 4], np.diag(information)
    error = sd / own
    error[on] = sd[on] * np.sqrt(np.diag(np.linalg.inv(information[np.ix_(on, on)])) / own[on])
    penalty = _penalty(x, information, sd, 3.0)
    np.testing.assert_allclose(penalty.reach, 6 * error)
    np.testing.assert_allclose(penalty.pull, 3 * sd)


def test_the_penalty_of_clusters_that_coincide_reaches_far():
    """Two columns are equal up to rounding; their information has a negative eigenvalue."""
    information = 1e4 * np.array([[1, 1 + 1e-7, 0.2], [1 + 1e-7, 1, 0.2], [0.2, 0.2, 1]])
    reach = _penalty(np.array([0.1, 0.1, 0.3]), information, np.full(3, 100.0), 3.0).reach
    assert np.isfinite(reach).all()
    assert reach.min() == reach[2] < 0.01 * reach[0]


def test_an_exchange_lowers_the_minimum_of_a_quadratic():
    """The first two of five columns make y, and the third is almost their sum."""
    x = RNG.normal(size=(500, 5))
    x[:, 2] = x[:, 0] + x[:, 1] + 0.5 * RNG.normal(size=500)
    y = 3 * x[:, 0] + x[:, 1]
    information, linear = x.T @ x, x.T @ y

    def least(*on):
        return -linear[list(on)] @ np.linalg.solve(information[np.ix_(on, on)], linear[list(on)]) / 2

    leaves, enters = exchanges(information, linear, np.array([0, 2]), np.array([0, 2]))[0]
    assert (leaves, enters) == (2, 1)
    assert least(0, 1) < least(0, 2)
    assert least(0, 1) == min(least(0, k) for k in range(1, 5))
    assert {enters for _, enters in exchanges(information, linear, np.array([0, 1]), np.array([0, 1]))} == {2}
    assert exchanges(information, linear, np.arange(5), np.arange(5)) == []
