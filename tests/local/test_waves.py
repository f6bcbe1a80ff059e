"""Energies of angles in a basis of waves: brute force, exact derivatives, and couplings of known systems."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import i0e, i1e

from skhamiltonian import LocalHamiltonian, MADEHamiltonian, XYSampler
from skhamiltonian._local.clusters import window_group
from skhamiltonian._local.energy import LocalEnergy, term_sum
from skhamiltonian._local.observations import Rows, WindowGeometry, neighbourhoods
from skhamiltonian._local.problem import NOTHING, RIDGE
from skhamiltonian._local.wave_problem import WaveProblem
from skhamiltonian._local.waves import N_HARMONICS, laws, waves_of
from skhamiltonian._utils.alphabet import ANGLES

RNG = np.random.default_rng(0)
FINE = np.int16(16)  # points of the fine grid in one cell
SHAPE, WINDOW, PERIODIC = (4, 5), (2, 3), (False, True)
GEOMETRY = WindowGeometry(WINDOW, 64, PERIODIC)
GROUP = window_group(WINDOW, SHAPE, PERIODIC)
SYMMETRIES = {
    "none": ((), [np.arange(6)]),
    "point group": ((), GROUP),
    "rotation": (("rotation",), [np.arange(6)]),
    "all": (("rotation", "reflection"), GROUP),
}
CHAIN = LocalHamiltonian(lattice_shape=(12,), boundary="periodic", window_shape=2, states="angle", random_state=0)


def energy_by_images(angles, pattern, phase, group):
    """Sum cos(n theta - phase) over all distinct placements of a pattern and of its images, one row of angles.

    A pattern and its negative are the same cosine, and sines of opposite sign; those that cancel are left out.
    """
    total, seen = 0.0, set()
    for permutation in group:
        image = np.zeros(pattern.size, int)
        image[permutation] = pattern.ravel()
        image = image.reshape(WINDOW)
        for corner in np.ndindex(SHAPE):
            places = [(tuple(np.add(corner, place)), image[place]) for place in np.ndindex(WINDOW) if image[place]]
            if any(place[0] >= SHAPE[0] for place, _ in places):
                continue
            n = np.zeros(SHAPE, int)
            for place, factor in places:
                n[place[0], place[1] % SHAPE[1]] += factor
            key = tuple(n.ravel())
            if key in seen or (phase == 0 and tuple(-n.ravel()) in seen):
                continue
            seen.add(key)
            total += np.cos(n.ravel() @ angles - phase)
    return total


@pytest.fixture(params=SYMMETRIES)
def problem(request):
    symmetries, group = SYMMETRIES[request.param]
    waves = waves_of(WINDOW, group, symmetries)
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 64, (6, *SHAPE)).astype(np.int8)
    rows = Rows(codes, rng.choice([0.5, 1.0, 1.7], 6), rng.integers(1, 4, 6).astype(float))
    sites = neighbourhoods(replace(rows, codes=codes * FINE), GEOMETRY)
    return WaveProblem(waves, GEOMETRY.neighbourhood, sites, sites, 1.0, False, NOTHING), rows, group


def energy_of(waves, couplings):
    offsets = waves.offsets(np.arange(waves.n_clusters))
    return LocalEnergy(ANGLES.states, WINDOW, waves.table(couplings, offsets), offsets=np.array(offsets))


def test_a_wave_is_the_sum_over_its_images(problem):
    problem, rows, group = problem
    waves, codes = problem.basis, rows.codes.reshape(6, -1)
    patterns, phases = waves.patterns(), waves.phases()
    for wave in RNG.choice(waves.n_clusters, 8, replace=False):
        terms = term_sum(energy_of(waves, np.eye(waves.n_clusters)[wave]), SHAPE, PERIODIC)
        wanted = [energy_by_images(ANGLES.states[row], patterns[wave], phases[wave], group) for row in codes]
        np.testing.assert_allclose(terms.energies(codes), wanted, atol=1e-9)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_a_wave_knows_its_sites_and_the_terms_of_a_site(name):
    """Angles that are all zero add up every term of a cosine."""
    symmetries, group = SYMMETRIES[name]
    waves, near = waves_of(WINDOW, group, symmetries), GEOMETRY.neighbourhood
    np.testing.assert_array_equal(waves.order, np.count_nonzero(waves.patterns(), axis=(1, 2)))
    fields, is_cosine = waves.fields(np.zeros((1, len(near)), np.int16), near).ravel(), waves.phases() == 0
    np.testing.assert_allclose(waves.n_products[is_cosine], fields[is_cosine])


def test_the_loss_is_that_of_conditionals_by_brute_force(problem):
    problem, rows, _ = problem
    waves = problem.basis
    x = RNG.normal(0, 0.3, waves.n_clusters)
    terms = term_sum(energy_of(waves, x), SHAPE, PERIODIC)
    loss = RIDGE / 2 * x @ x
    for codes, ratio, weight in zip(rows.codes, rows.ratio, rows.weight, strict=True):
        for site in np.ndindex(SHAPE):
            if 1 <= site[0] < SHAPE[0] - 1:
                changed = np.repeat(codes[None], 64, axis=0)
                changed[:, *site] = np.arange(64)
                log_w = -ratio * terms.energies(changed.reshape(64, -1))
                loss -= weight * (log_w[codes[site]] - np.logaddexp.reduce(log_w))
    assert problem.loss_and_gradient(x)[0] == pytest.approx(loss, rel=1e-5)


def test_gradient_information_and_scores_are_derivatives(problem):
    problem, columns = problem[0], np.arange(problem[0].basis.n_clusters)
    x, step = RNG.normal(0, 0.2, len(columns)), 1e-2
    gradient = problem.loss_and_gradient(x)[1]
    information = problem.information(x, columns)
    direction = RNG.normal(size=len(columns)) / np.sqrt(len(columns))
    ahead, behind = (problem.loss_and_gradient(x + sign * step * direction) for sign in (1, -1))
    assert (ahead[0] - behind[0]) / (2 * step) == pytest.approx(gradient @ direction, rel=0.01, abs=0.05)
    np.testing.assert_allclose((ahead[1] - behind[1]) / (2 * step), information @ direction, rtol=0.01, atol=0.1)
    np.testing.assert_allclose(information, problem.information(x, columns, np.float64), rtol=1e-3, atol=1e-3)
    scores, n_sites = problem.block_scores(x, columns)
    assert n_sites.sum() == problem.n_seen
    assert scores.shape == (6, len(columns))
    np.testing.assert_allclose(scores.sum(axis=0), gradient - RIDGE * x, rtol=1e-3, atol=1e-2)


def test_many_sites_are_represented_by_some():
    """The information of very many sites, and the sites to start from, are those of a sample of all rows."""
    rows = Rows(RNG.integers(0, 1024, (300, 20)).astype(np.int16), np.ones(300), np.repeat([1.0, 3.0], 150))
    geometry = WindowGeometry((2,), 64, (True,))
    sites = neighbourhoods(rows, geometry)
    waves = waves_of((2,), [np.arange(2)], ("rotation", "reflection"))
    few = WaveProblem(waves, geometry.neighbourhood, sites, sites, 1.0, False, NOTHING)
    many = replace(few, sites=sites.part(np.repeat(np.arange(6000), 60)))
    x, columns = np.full(N_HARMONICS, -0.2), np.arange(N_HARMONICS)
    np.testing.assert_allclose(many.information(x, columns), 60 * few.information(x, columns), rtol=0.03, atol=150)
    assert few.first_part() is None
    part = many.first_part()
    assert len(part.sites) < len(many.sites) / 2
    assert part.n_seen / len(part.sites) == pytest.approx(2, rel=0.01)


def test_laws_of_a_cosine_have_bessel_functions():
    from scipy.special import ive, logsumexp

    kappa, mu = np.array([0.3, 4.0, 20.0]), 0.7
    coefficients = np.zeros((3, N_HARMONICS), complex)
    coefficients[:, 0] = kappa * np.exp(-1j * mu)
    log_z, means = laws(coefficients)
    grid = logsumexp(kappa[:, None] * np.cos(ANGLES.states - mu), axis=1)
    np.testing.assert_allclose(log_z, grid, rtol=1e-5)
    for k in range(1, 2 * N_HARMONICS + 1):
        wanted = ive(k, kappa) / ive(0, kappa) * np.exp(1j * k * mu)
        np.testing.assert_allclose(means[:, k - 1], wanted, atol=1e-5)


def energy_by_clusters(local, angles):
    """Return the energies of rings by the clusters of two neighbours."""
    fitted = zip(local.couplings_, local.clusters_, local.phases_, strict=True)
    following = np.roll(angles, -1, axis=1)
    return -sum(J * np.cos(n[0] * angles + n[1] * following - phase).sum(axis=1) for J, n, phase in fitted)


def test_the_energy_of_angles_is_that_between_the_points_of_the_grid():
    local = CHAIN.set_params(temperature=0.8, symmetries=()).fit(
        XYSampler((12,), 0.8, field=0.4, random_state=0).sample(n_samples=500)
    )
    angles = RNG.uniform(-10, 10, (4, 12))
    assert len(local.couplings_) >= 2
    np.testing.assert_allclose(local.energy(angles), energy_by_clusters(local, angles), rtol=0, atol=1e-9)


def test_rounding_of_angles_takes_nothing_off_a_coupling():
    """On a grid of 64 the same rows have a coupling that is smaller by 0.0023, a dozen times the noise left here."""
    local = LocalHamiltonian(0.9, lattice_shape=(8, 8), boundary="periodic", window_shape=2, states="angle")
    local.set_params(symmetries=("point-group", "rotation", "reflection"), sparsity=20.0)
    X = XYSampler((8, 8), 0.9, random_state=0).sample(n_samples=800)
    neighbours = sum(np.exp(1j * np.roll(X.reshape(-1, 8, 8), step, axis)) for step in (1, -1) for axis in (1, 2))
    length, own = np.abs(neighbours).ravel(), (np.exp(-1j * X.reshape(-1, 8, 8)) * neighbours).real.mean()

    def slope(J):
        return own - (length * i1e(J * length / 0.9) / i0e(J * length / 0.9)).mean()

    assert local.fit(X).couplings_ == pytest.approx([brentq(slope, 0.9, 1.1)], abs=2e-4)


def test_a_chain_in_a_field_is_found():
    xy = XYSampler((12,), 0.8, coupling=0.7, field=0.4, random_state=0)
    X = xy.sample(n_samples=1500)
    local = CHAIN.set_params(temperature=0.8, symmetries=()).fit(X)
    np.testing.assert_array_equal(local.clusters_, [[1, 0], [1, -1]])
    z = (local.couplings_ - [0.4, 0.7]) / np.sqrt(np.diag(local.covariance_))
    assert np.abs(z).max() < 4
    assert np.polyfit(xy.energy(X), local.energy(X), 1)[0] == pytest.approx(1, abs=0.05)
    again = pickle.loads(pickle.dumps(local))
    np.testing.assert_array_equal(again.energy(X[:9]), local.energy(X[:9]))
    assert again.score(X[:9]) == local.score(X[:9])


def test_a_twist_is_a_sine():
    """Angles of a ring, each turned by a step more than the one before: -J cos(theta_i+1 - theta_i - step)."""
    step = 2 * np.pi / 12
    X = XYSampler((12,), 0.5, random_state=0).sample(n_samples=1500) + step * np.arange(12)
    local = CHAIN.set_params(temperature=0.5, symmetries="rotation").fit(X)
    np.testing.assert_array_equal(local.clusters_, [[1, -1], [1, -1]])
    np.testing.assert_allclose(local.phases_, [0, np.pi / 2])
    # cos(theta_i+1 - theta_i - step) = cos step cos(d) - sin step sin(d) with d = theta_i - theta_i+1
    z = (local.couplings_ - [np.cos(step), -np.sin(step)]) / np.sqrt(np.diag(local.covariance_))
    assert np.abs(z).max() < 4
    assert local.score(X) == pytest.approx(-local.loss_curve_[-1] - ANGLES.log_cell, abs=1e-4)
    np.testing.assert_allclose(local.energy(X[:4]), energy_by_clusters(local, X[:4]), rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="'spin-flip' is no symmetry of angles"):
        CHAIN.set_params(symmetries="spin-flip").fit(X)


def test_a_sum_of_two_angles_is_found():
    """If every second angle of a ring is negated, cos(theta_i - theta_j) becomes cos(theta_i + theta_j)."""
    X = XYSampler((12,), 0.7, random_state=0).sample(n_samples=800) * (-1) ** np.arange(12)
    local = CHAIN.set_params(temperature=0.7, symmetries="reflection").fit(X)
    np.testing.assert_array_equal(local.clusters_, [[1, 1]])
    sigma = np.sqrt(local.covariance_[0, 0])
    assert abs(local.couplings_[0] - 1) < 4 * sigma
    energy = LocalEnergy(ANGLES.states, (2,), local.table_, errors=local.table_errors_, offsets=local.offsets_)
    codes = ANGLES.encode(X[:9])
    errors, on_grid = term_sum(energy, (12,), (True,)).energy_errors(codes), ANGLES.states[codes]
    np.testing.assert_allclose(np.abs(errors[:, 0]), sigma / local.couplings_[0] * np.abs(local.energy(on_grid)))


def test_windows_temperatures_and_parts_give_the_same_coupling():
    """Open windows of rings, rows of two temperatures, and a stream: each finds J = 1 within its error."""
    T = np.repeat([0.7, 1.2], 400)
    X = np.concatenate([XYSampler((12,), t, random_state=1).sample(n_samples=400) for t in (0.7, 1.2)])
    symmetries = ("point-group", "rotation", "reflection")
    local = LocalHamiltonian(lattice_shape=(7,), window_shape=2, states="angle", symmetries=symmetries)
    whole = local.fit(X[:, :7], T)
    stream = LocalHamiltonian(lattice_shape=(7,), window_shape=2, states="angle", symmetries=symmetries)
    for part in (slice(0, None, 2), slice(1, None, 2)):
        stream.partial_fit(X[part, :7], T[part])
    for each in (whole, stream):
        error = np.sqrt(each.covariance_[0, 0])
        assert len(each.couplings_) == 1
        assert 0.01 < error < 0.05
        assert abs(each.couplings_[0] - 1) < 4 * error
    assert stream.couplings_ == pytest.approx(whole.couplings_, abs=0.02)
    J = whole.couplings_.copy()
    whole.set_params(warm_start=True).fit(X[:, :7], T)
    assert whole.couplings_ == pytest.approx(J, abs=1e-3)
    assert whole.n_iter_ > 0


def test_free_angles_score_the_whole_circle():
    X = np.random.default_rng(0).uniform(0, 2 * np.pi, (300, 12))
    local = CHAIN.set_params(temperature=1.0, symmetries="rotation").fit(X)
    assert len(local.couplings_) == 0
    assert local.score(X) == pytest.approx(-np.log(2 * np.pi), abs=1e-6)
    np.testing.assert_array_equal(local.energy(X[:5]), 0)


def test_a_local_energy_of_angles_calibrates_a_network():
    xy = XYSampler((6,), 1.0, random_state=0)
    X = xy.sample(n_samples=600)
    local = LocalHamiltonian(1.0, lattice_shape=(6,), boundary="periodic", window_shape=2, states="angle").fit(X)
    made = MADEHamiltonian(1.0, states="angle", hidden_layer_sizes=(8,), max_iter=2, calibrate=local, random_state=0)
    made.fit(X)
    on_grid = ANGLES.states[ANGLES.encode(X)]
    shift = made.energy(X) - local.energy(on_grid)
    np.testing.assert_allclose(shift, shift.mean(), atol=1e-9)


def test_what_angles_have_not_is_refused_by_name():
    X = np.random.default_rng(0).uniform(0, 6, (50, 12))
    with pytest.raises(ValueError, match="hidden_layer_sizes must be 'auto' or"):
        CHAIN.set_params(symmetries=(), hidden_layer_sizes=(4,)).fit(X)
    local = CHAIN.set_params(hidden_layer_sizes="auto").fit(X)
    with pytest.raises(ValueError, match="no chains of angles"):
        local.to_sampler()
    with pytest.raises(ValueError, match="radians"):
        local.fit(60 * X)
    with pytest.raises(ValueError, match="'rotation' is no symmetry of numbers"):
        LocalHamiltonian(symmetries="rotation").fit(np.sign(X - 3).astype(int))
