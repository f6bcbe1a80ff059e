"""LocalSampler against exact answers: enumeration, Kaufman, and the same energy in other hands."""

import itertools
import math
import pickle
import types
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.base import clone

from skhamiltonian import IsingSampler, LocalHamiltonian, ising_exact, phase_curve
from skhamiltonian._curves.integration import EnergyPoint, energy_point, integrate_energy, with_entropy
from skhamiltonian._curves.measure import Request, measure
from skhamiltonian._local import planning
from skhamiltonian._local.energy import LocalEnergy
from skhamiltonian._local.network_moves import NetworkMoves, colours
from skhamiltonian._local.sampler import LocalSampler
from skhamiltonian._local.system import LocalSystem, ordered_states
from skhamiltonian._local.tempering import TemperedGroup, tempered_group
from skhamiltonian._montecarlo.draws import Draws, Estimate


def patterns(window):
    """All patterns of +-1 in a window, the first site changing fastest."""
    n = math.prod(window)
    return 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).reshape(-1, *window) - 1


def ising_energy(J=1.0, diagonal=0.0, plaquette=0.0):
    s = patterns((2, 2))
    bonds = s[:, 0, 0] * s[:, 0, 1] + s[:, 1, 0] * s[:, 1, 1] + s[:, 0, 0] * s[:, 1, 0] + s[:, 0, 1] * s[:, 1, 1]
    cross = s[:, 0, 0] * s[:, 1, 1] + s[:, 0, 1] * s[:, 1, 0]
    table = -J / 2 * bonds - diagonal * cross - plaquette * s.prod(axis=(1, 2))
    return LocalEnergy(np.array([-1, 1], np.int8), (2, 2), table)


def potts_energy(n_states=3):
    codes = np.arange(n_states**4)[:, None] // n_states ** np.arange(4) % n_states
    table = -1.0 * (codes[:, 0] == codes[:, 1]) - 1.0 * (codes[:, 0] == codes[:, 2])
    return LocalEnergy(np.arange(n_states), (2, 2), table)


def as_network(energy):
    powers = energy.powers
    network = types.SimpleNamespace(g=lambda codes: energy.table[codes.astype(np.int64) @ powers])
    return LocalEnergy(energy.states, energy.window_shape, None, network)


def enumerated(sampler, T):
    """Mean energy and mean |m| by summation over all states."""
    n = math.prod(sampler.lattice_shape)
    X = sampler.states_[np.array(list(itertools.product(range(len(sampler.states_)), repeat=n)))]
    H = sampler.energy(X)
    w = np.exp(-(H - H.min()) / T)
    return (w @ H) / w.sum(), (w @ np.abs(X.mean(axis=1))) / w.sum()


def z_score(values, exact):
    """Deviation of the mean over chains (n_chains, n_draws) in standard errors."""
    each = values.mean(axis=1)
    return (each.mean() - exact) / (each.std(ddof=1) / math.sqrt(len(each)))


METHODS = ["auto", "heat-bath", "metropolis", "cluster", "parallel-tempering"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("T", [1.0, 2.3, 5.0, math.inf])
def test_means_are_those_of_kaufman(method, T):
    draws = LocalSampler(ising_energy(), (8, 8), random_state=1).draws(T, n_samples=2000, method=method)
    exact = ising_exact((8, 8), T).energy if math.isfinite(T) else 0.0
    assert abs(z_score(draws.energy, exact)) < 4.5
    assert draws.method in METHODS[1:]
    assert draws.autocorrelation_time >= 1


@pytest.mark.parametrize("method", METHODS[1:])
def test_many_body_means_are_those_of_enumeration(method):
    sampler = LocalSampler(ising_energy(0.83, -0.21, 0.37), (3, 4), random_state=2)
    E, m = enumerated(sampler, 3.3)
    draws = sampler.draws(3.3, n_samples=4000, method=method)
    assert abs(z_score(draws.energy, E)) < 4.5
    assert abs(z_score(np.abs(draws.configurations.mean(axis=2)), m)) < 4.5


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("method", ["auto", "metropolis"])
def test_three_states_follow_their_law(method, network):
    energy = as_network(potts_energy()) if network else potts_energy()
    sampler = LocalSampler(energy, (2, 3), boundary=("periodic", "open"), random_state=0)
    E, m = enumerated(sampler, 1.1)
    draws = sampler.draws(1.1, n_samples=1000 if network else 4000, method=method)
    assert abs(z_score(draws.energy, E)) < 4.5
    assert abs(z_score(draws.configurations.mean(axis=2), m)) < 4.5


@pytest.mark.parametrize("field", [0.0, 0.4])
def test_an_external_field_is_that_of_the_ising_sampler(field):
    sampler = LocalSampler(ising_energy(), (2, 3), random_state=0)
    draws = sampler.draws(2.0, n_samples=3000, field=field)
    X = np.array(list(itertools.product((-1, 1), repeat=6)), dtype=np.int8)
    H = IsingSampler((2, 3), field=field).energy(X)
    np.testing.assert_allclose(sampler.energy(X) - field * X.sum(axis=1), H, atol=1e-12)
    w = np.exp(-(H - H.min()) / 2.0)
    assert abs(z_score(draws.energy, (w @ H) / w.sum())) < 4.5
    assert abs(z_score(draws.configurations.mean(axis=2), (w @ X.mean(axis=1)) / w.sum())) < 4.5


def test_an_antiferromagnet_starts_in_both_of_its_orders():
    X = LocalSampler(ising_energy(-1.0), (8, 8), random_state=0).sample(0.8, n_samples=200)
    staggered = (X * (1 - 2 * (np.indices((8, 8)).sum(axis=0).ravel() % 2))).mean(axis=1)
    assert np.abs(staggered).min() > 0.8
    assert abs(staggered.mean()) < 0.4


def test_cold_chains_start_in_every_phase():
    draws = LocalSampler(potts_energy(), (8, 8), random_state=0).draws(0.5, n_samples=256)
    most = [np.bincount(row, minlength=3).argmax() for row in draws.configurations[:, 0]]
    counts = np.bincount(most, minlength=3)
    assert chi2.sf(((counts - counts.mean()) ** 2 / counts.mean()).sum(), 2) > 1e-4


@pytest.mark.parametrize("T", [0.4, 0.8])
def test_cold_chains_do_not_freeze_in_stripes(T):
    draws = LocalSampler(ising_energy(), (32, 32), random_state=0).draws(T, n_samples=64, method="metropolis")
    m = draws.configurations.mean(axis=2)
    assert np.abs(m).min() > 0.9
    assert abs(m.mean()) < 0.5
    assert not draws.frozen


@pytest.mark.parametrize("method", METHODS[1:])
def test_same_seed_same_rows_whatever_n_jobs(method):
    rows = [
        LocalSampler(ising_energy(), (6, 6), 2.5, n_jobs=n_jobs, random_state=3).sample(n_samples=300, method=method)
        for n_jobs in (1, 1, 2)
    ]
    np.testing.assert_array_equal(rows[1], rows[0])
    np.testing.assert_array_equal(rows[2], rows[0])
    other = LocalSampler(ising_energy(), (6, 6), 2.5, random_state=4).sample(n_samples=300, method=method)
    assert not np.array_equal(other, rows[0])


def test_sampler_is_cloned_pickled_and_left_alone():
    sampler = LocalSampler(ising_energy(), (4, 4), 2.0, random_state=0)
    before = dict(vars(sampler))
    rows = sampler.sample(n_samples=20)
    assert vars(sampler) == before
    for copy in (clone(sampler), pickle.loads(pickle.dumps(sampler))):
        np.testing.assert_array_equal(copy.sample(n_samples=20), rows)


@pytest.mark.parametrize("method", METHODS)
def test_given_sweeps_and_chains_are_those_of_the_draws(method):
    sampler = LocalSampler(
        ising_energy(), (4, 4), 2.5, method=method, n_sweeps=3, burn_in=200, n_chains=16, random_state=0
    )
    draws = sampler.draws(n_samples=16 * 300)
    assert draws.configurations.shape == (16, 300, 16)
    assert draws.method == ("cluster" if method == "auto" else method)
    assert abs(z_score(draws.energy, 16 * ising_exact((4, 4), 2.5).energy / 16)) < 4.5
    assert draws.autocorrelation_time >= 3
    assert draws.effective_sample_size <= draws.energy.size


def test_rows_are_moved_to_equilibrium():
    sampler = LocalSampler(potts_energy(), (4, 4), 2.0, n_sweeps=100, random_state=0)
    X = sampler.fit_transform(np.zeros((2000, 16), int))
    E = sampler.energy(X)
    wanted = sampler.energy(sampler.sample(n_samples=2000, random_state=1))
    assert abs(E.mean() - wanted.mean()) < 4.5 * np.hypot(E.std(), wanted.std()) / 2000**0.5
    np.testing.assert_array_equal(sampler.set_params(n_jobs=2).transform(np.zeros((2000, 16), int)), X)
    assert set(np.unique(X)) == {0, 1, 2}


def test_blocks_are_those_of_one_sample():
    sampler = LocalSampler(potts_energy(), (4, 4), 2.0, n_chains=10, random_state=0)
    blocks = list(sampler.iter_sample(n_samples=250, block_size=100))
    assert [len(block) for block in blocks] == [100, 100, 50]
    np.testing.assert_array_equal(blocks[0][:10], sampler.sample(n_samples=100)[:10])  # of the first chain
    assert set(np.concatenate(blocks).ravel()) == {0, 1, 2}


def test_a_phase_curve_measures_it():
    curve = phase_curve(LocalSampler(ising_energy(), (4, 4), random_state=0), [2.5], n_samples=2000, random_state=0)
    value, error = curve["abs_magnetization"]
    assert abs(value[0] - 0.76471239) < 4.5 * error[0]
    for name, exact in (("entropy", ising_exact((4, 4), 2.5).entropy), ("free_energy", -2.5 * 16 * 0.9100683140)):
        value, error = curve[name]
        assert abs(value[0] - exact / 16) < 4.5 * error[0]
        assert error[0] < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lattice_shape": (8,)}, "2 axes"),
        ({"lattice_shape": (1, 8), "boundary": "open"}, "too small"),
        ({"lattice_shape": (8, 8), "boundary": "helical"}, "boundary"),
        ({"lattice_shape": (8, 0)}, "lattice_shape"),
        ({"lattice_shape": (8, 8), "temperature": -1.0}, "temperature"),
        ({"lattice_shape": (8, 8), "n_sweeps": 0}, "n_sweeps"),
        ({"lattice_shape": (8, 8), "burn_in": -1}, "burn_in"),
        ({"lattice_shape": (8, 8), "n_chains": 0}, "n_chains"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LocalSampler(ising_energy(), **options).sample()


def test_wrong_methods_and_rows_are_named():
    with pytest.raises(ValueError, match="two states"):
        LocalSampler(potts_energy(), (4, 4)).sample(method="cluster")
    with pytest.raises(ValueError, match="too many"):
        LocalSampler(as_network(ising_energy()), (4, 4)).sample(method="cluster")
    with pytest.raises(ValueError, match="wolff"):
        LocalSampler(ising_energy(), (4, 4)).sample(method="wolff")
    with pytest.raises(ValueError, match="not one of the states"):
        LocalSampler(ising_energy(), (2, 2)).energy([[1, 1, 0, 1]])


def test_competing_couplings_are_tempered_if_single_sites_do_not_forget():
    """Diagonals against bonds at a low temperature: four striped ground states, out of which single sites are slow."""
    sampler = LocalSampler(ising_energy(0.5, -1.0), (4, 4), random_state=0)
    E, _ = enumerated(sampler, 0.9)
    draws = sampler.draws(0.9, n_samples=2000, method="parallel-tempering")
    assert draws.method == "parallel-tempering"
    assert abs(z_score(draws.energy, E)) < 4.5
    X = draws.configurations.astype(float)  # as many stripes along one axis as along the other
    assert abs(z_score(X[:, :, 0] * X[:, :, 1] - X[:, :, 0] * X[:, :, 4], 0.0)) < 4.5


def test_replicas_travel_along_the_whole_ladder():
    """If all rungs are equal, every exchange is made: the coldest and the hottest replica meet and pass."""

    class Equal(TemperedGroup):
        ladder = np.full(4, 0.3)

    system = LocalSystem(ising_energy(), (3, 3), (True, True))
    group = Equal(np.zeros((2, 9), np.int8), system, np.random.SeedSequence(0))
    before = group.column.copy()
    for n_sweeps in (1, 2, 1):
        group.advance(n_sweeps, 1.0)
    np.testing.assert_array_equal(group.column, before[:, ::-1])
    arrivals, was_hot = 0, set(group.column[:, -1])
    group.arrivals, group.from_hot[:] = 0, np.isin(np.arange(8), list(was_hot))
    for _ in range(30):
        group.advance(1, 1.0)
        was_hot |= set(group.column[:, -1])
        arrived = was_hot & set(group.column[:, 0])
        arrivals, was_hot = arrivals + len(arrived), was_hot - arrived
    assert group.arrivals == arrivals > 10
    assert group.renewal_time() == 34 * 2 / arrivals


def test_a_trial_of_tempering_runs_ten_times_between_arrivals(monkeypatch):
    """Observables forget sooner here, but a replica that has not been hot is no independent draw."""
    monkeypatch.setattr(TemperedGroup, "renewal_time", lambda self: 77.0)
    system, seed = LocalSystem(ising_energy(0.5, -1.0), (4, 4), (True, True)), np.random.SeedSequence(0)
    kind = tempered_group(system, 4.0, seed)
    engine = planning.Engine("parallel-tempering", system, 4.0, kind, planning.Starts(ordered_states(system)))
    trial = planning._run_trial(engine, 1e12, seed)
    assert trial.converged
    assert trial.tau < 20
    assert trial.n_forget == 77.0
    assert trial.n_run >= 770


@pytest.mark.parametrize("boundary", ["open", ("periodic", "open"), "periodic"])
def test_energy_errors_are_the_changes_of_the_energy(boundary):
    """On a lattice with any ends, by one standard error of each parameter."""
    energy = ising_energy(0.7, 0.2)
    errors = np.stack([ising_energy(0.1).table, ising_energy(0, 0, 0.3).table])

    def sampler(table):
        local = replace(energy, table=table, errors=errors)
        return LocalSampler(local, (3, 4), 2.0, boundary=boundary, burn_in=1, n_sweeps=1, random_state=0)

    draws = sampler(energy.table).draws(n_samples=10, method="heat-bath")
    X = draws.configurations.reshape(-1, 12)
    changes = [sampler(energy.table + error).energy(X) - sampler(energy.table).energy(X) for error in errors]
    np.testing.assert_allclose(draws.energy_errors.reshape(-1, 2), np.transpose(changes), atol=1e-12)


# ------------------------------------------------------------------ networks


@pytest.mark.parametrize(
    ("shape", "periodic"),
    [((6, 5), (True, True)), ((7, 4), (False, True)), ((2, 1), (True, True)), ((13, 11), (True, True))],
)
def test_no_window_holds_two_sites_of_a_colour(shape, periodic):
    system = LocalSystem(as_network(ising_energy()), shape, periodic)
    sites = LocalSystem(ising_energy(), shape, periodic).windows().sites
    every = colours(system, sites)
    assert len(every) <= 9  # windows are 2 x 2: two colours of an axis, and one more of an odd axis
    np.testing.assert_array_equal(np.sort(np.concatenate([c.sites for c in every])), np.arange(system.n_sites))
    for colour in every:
        for window in sites:
            assert len(set(window) & set(colour.sites)) <= 1


@pytest.mark.parametrize("metropolis", [False, True])
@pytest.mark.parametrize("n_states", [2, 3])
def test_network_moves_keep_g_and_follow_the_law(n_states, metropolis):
    table = 1.2 * np.random.default_rng(0).normal(size=n_states**2)
    known = LocalEnergy(np.arange(n_states), (1, 2), table)
    system = LocalSystem(as_network(known), (2, 2), (True, False), field=0.2)
    same = LocalSystem(known, (2, 2), (True, False), field=0.2)
    sites, rng = same.windows().sites, np.random.default_rng(1)
    codes = np.zeros((800, 4), np.int8)
    moves, place = NetworkMoves(codes, system, sites), n_states ** np.arange(4)
    counts = np.zeros(n_states**4)
    for sweep in range(130):
        moves.sweep(codes, 1.0, metropolis, rng)
        if sweep >= 10 and sweep % 8 == 0:
            counts += np.bincount(codes @ place, minlength=len(counts))
    np.testing.assert_array_equal(moves.g, table[codes[:, sites] @ known.powers])
    every = (np.arange(n_states**4)[:, None] // place % n_states).astype(np.int8)
    w = np.exp(-same.energies(every))
    expected = w / w.sum() * counts.sum()
    assert chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1) > 1e-4


# ------------------------------------------------------------------ entropy


def exact_point(shape, beta):
    N = math.prod(shape)
    if beta == 0:
        return EnergyPoint(Estimate(0.0, 0.0), Estimate(2.0 * N, 0.0))
    exact = ising_exact(shape, 1 / beta)
    return EnergyPoint(Estimate(exact.energy, 0.0), Estimate(exact.heat_capacity / beta**2, 0.0))


@pytest.mark.parametrize("L", [8, 16, 64])
@pytest.mark.parametrize("temperatures", [[1.0], [4.0], [2.0, 2.269, 2.5], np.linspace(4, 1, 14), [math.inf, 3.0]])
def test_exact_energies_give_exact_entropies(L, temperatures):
    """The error of the rule alone: within 0.0005 nats a site, with few temperatures added, and stated."""
    N, added = L * L, []

    def energy_at(beta):
        added.append(beta)
        return exact_point((L, L), beta)

    T = np.array(temperatures)
    log_z, S = integrate_energy(1 / T, {}, energy_at, N, N * math.log(2))
    assert len(added) <= len(T) + 16
    for k in np.flatnonzero(np.isfinite(T)):
        exact = ising_exact((L, L), T[k])
        assert log_z.value[k] / N == pytest.approx(exact.log_partition / N, abs=5e-4)
        assert S.value[k] / N == pytest.approx(exact.entropy / N, abs=5e-4)
        assert abs(S.value[k] - exact.entropy) < 4 * S.error[k] + 1e-9 * N
    assert S.value[np.isinf(T)] == pytest.approx(N * math.log(2))


def test_errors_of_an_entropy_are_those_of_repeated_measurements():
    rng, N = np.random.default_rng(0), 64

    def noisy(beta):
        U, V = (each.value for each in exact_point((8, 8), beta))
        return EnergyPoint(Estimate(U + 0.3 * rng.normal(), 0.3), Estimate(V, 0.0))

    found = [integrate_energy(np.array([0.25, 0.4, 0.5]), {}, noisy, N, N * math.log(2)) for _ in range(80)]
    for k in (0, 1):
        values = np.array([each[k].value for each in found])
        np.testing.assert_allclose(values.std(axis=0), found[0][k].error, rtol=0.35)


def test_mean_and_variance_of_draws_have_errors():
    E = np.random.default_rng(0).normal(-3.0, 2.0, (64, 50))
    U, V = energy_point(Draws(np.zeros((64, 50, 4), np.int8), E))
    assert abs(U.value + 3) < 4 * U.error
    assert U.error == pytest.approx(2 / math.sqrt(3200), rel=0.3)
    assert abs(V.value - 4) < 4 * V.error
    assert V.error == pytest.approx(4 * math.sqrt(2 / 3200), rel=0.3)


@pytest.mark.slow
def test_entropies_of_the_ising_table_are_those_of_kaufman():
    T, N = np.array([1.0, 2.0, 2.3, 3.0, math.inf]), 256
    sampler, request = LocalSampler(ising_energy(), (16, 16)), Request(10_000, 0.0, "auto", {})
    seeds = np.random.SeedSequence(0).spawn(len(T) + 1)
    points = [measure(sampler, t, request, seed) for t, seed in zip(T, seeds, strict=False)]
    points = with_entropy(sampler, T, points, request, seeds[-1])
    for t, point in zip(T[:-1], points, strict=False):
        exact = ising_exact((16, 16), t)
        for name, value in (("entropy", exact.entropy / N), ("free_energy", exact.free_energy / N)):
            found = point.observables[name]
            assert abs(found.value - value) < 4 * found.error
            assert name == "free_energy" or abs(found.value - value) < 0.002
    assert points[-1].observables["entropy"].value == pytest.approx(math.log(2))


def test_entropy_of_four_sites_is_that_of_enumeration():
    T, sampler = np.array([1.5, 3.0]), LocalSampler(ising_energy(), (2, 2))
    request, seeds = Request(4000, 0.0, "auto", {}), np.random.SeedSequence(0).spawn(3)
    points = [measure(sampler, t, request, seed) for t, seed in zip(T, seeds, strict=False)]
    again = [with_entropy(sampler, T, points, request, np.random.SeedSequence(9)) for _ in range(2)]
    assert again[0] == again[1]
    for t, point in zip(T, again[0], strict=True):
        exact = ising_exact((2, 2), t)
        value, error = point.observables["entropy"]
        assert abs(value - exact.entropy / 4) < 4 * error


def test_rows_of_one_site_along_an_axis_say_nothing_about_it():
    X = IsingSampler((1, 8), 2.0, random_state=0).sample(n_samples=500)
    local = LocalHamiltonian(2.0, lattice_shape=(1, 8), boundary="periodic").fit(X)
    with pytest.raises(ValueError, match="longer along axis 0 than the rows"):
        local.to_sampler((8, 8))
    assert local.to_sampler((1, 16)).sample(n_samples=2).shape == (2, 16)
