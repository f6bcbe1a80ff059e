"""Laws that every entry obeys: the unit of energy, the order of axes, and the order of rows change no result."""

import numpy as np
import pytest

from skhamiltonian import (
    BlockSpinTransformer,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    PhaseCurve,
    PseudolikelihoodIsing,
    Worldlines,
    XYSampler,
    entropy,
    helicity_modulus,
    ising_exact,
    peak_temperature,
    phase_curve,
    quantum_couplings,
    vortex_density,
)
from skhamiltonian._local.energy import LocalEnergy
from skhamiltonian._local.sampler import LocalSampler

# No axis is like another, no bond like another, and no site like another.
SHAPE, SITES = (2, 3), np.array([0.3, -0.2, 0.1, 0.4, -0.5, 0.2])
RNG = np.random.default_rng(0)
ROWS = RNG.choice(np.array([-1, 1], np.int8), (300, 6), p=[0.35, 0.65])
ROWS[:, 1] = np.where(RNG.random(300) < 0.8, ROWS[:, 0], -ROWS[:, 0])
TABLE = RNG.normal(size=3**4)
SWEEPS = {"burn_in": 6, "n_sweeps": 2, "random_state": 0}


def ising(c, method="heat-bath", **terms):
    more = {"coupling": (0.7 * c, -0.3 * c), "field": c * SITES}
    return IsingSampler(SHAPE, 1.5 * c, method=method, **more, **{k: c * v for k, v in terms.items()}, **SWEEPS)


def xy(c, method):
    return XYSampler(SHAPE, 1.5 * c, coupling=(0.7 * c, 0.3 * c), field=c * SITES, method=method, **SWEEPS)


def local(c, method, n_states=3):
    table = TABLE if n_states == 3 else TABLE[:16]
    energy = LocalEnergy(np.array([-1, 0, 2])[:n_states], (2, 2), c * table)
    return LocalSampler(energy, (3, 4), 1.5 * c, boundary=("open", "periodic"), method=method, **SWEEPS)


def draws(sampler, c):
    """Draws at another temperature than the sampler's own, in one more field."""
    drawn = sampler.draws(2.5 * c, n_samples=40, field=0.3 * c, random_state=1)
    return {"1": drawn.configurations, "E": drawn.energy}


def moved(sampler, rows):
    return {"1": sampler.fit(rows).transform(rows), "E": sampler.energy(rows)}


def curve(sampler, c, **options):
    """Values and errors by unit; entropies and heat capacities have none."""
    found = phase_curve(
        sampler, [1.0 * c, 2.5 * c], field=0.3 * c, n_samples=200, entropy=False, random_state=0, **options
    )
    assert found.field == 0.3 * c
    return {
        "1": [
            found[name]
            for name in ("magnetization", "heat_capacity", "entropy", "binder_cumulant")
            if name in found.observables
        ],
        "E": [found[name] for name in ("energy", "free_energy") if name in found.observables],
        "1/E": [found["susceptibility"]],
    }


def learned(model):
    """Couplings and fields with their errors, and the energy."""
    return {"E": [model.coupling_, model.coupling_std_, model.field_, model.field_std_, model.energy(ROWS)]}


def expanded(c, method, y=None, **options):
    model = InteractionExpansion(
        ["field", "pairs"], lattice_shape=SHAPE, method=method, sparse=False, temperature=1.5 * c, **options
    ).fit(ROWS, y)
    return {"E": [model.coef_, model.coef_std_, [model.intercept_, model.temperature_]], "1": model.score(ROWS, y)}


def windows(c, y=None, **options):
    """Couplings, their errors and those of the table; a score and a row's loss have no unit."""
    settings = {"lattice_shape": SHAPE, "boundary": "periodic", "window_shape": 2, "sparsity": 0.0}
    rows = options.pop("rows", ROWS)
    model = LocalHamiltonian(1.5 * c, **settings, **options).fit(rows, y)
    errors = np.sqrt((model.table_errors_**2).sum(axis=0))
    return {
        "E": [model.couplings_, model.table_, errors, model.energy(rows), [model.temperature_]],
        "E2": model.covariance_,
        "1": [model.score(rows, y), *model.loss_curve_],
    }


def exact(found):
    return {"1": [found.log_partition, found.entropy, found.heat_capacity], "E": [found.free_energy, found.energy]}


def peak(c):
    T = np.linspace(1.5, 2.5, 9)
    of_T = PhaseCurve(c * T, {"heat_capacity": (1 - (T - 1.9) ** 2, np.full(9, 0.01))}, *np.ones((4, 9)), 6)
    return {"E": list(peak_temperature(of_T))}


def quantum(c):
    """Energies by c, and so times by 1/c."""
    lines = Worldlines((4, 3), time_step=0.2 / c, field=0.9 * c, coupling=1.3 * c)
    rows = np.sign(RNG_ROWS)
    found = quantum_couplings((0.8, 0.02), (0.3, 0.01), time_step=0.2 / c)
    values = [lines.transverse_magnetization(rows), lines.bond_correlation(rows)]
    return {
        "1": [*values, np.array(lines.action_couplings), [lines.log_constant]],
        "E": [lines.quantum_energy(rows), [lines.temperature], *found],
    }


RNG_ROWS = np.random.default_rng(1).normal(size=(20, 12))
EACH_T = 1 + np.arange(300) % 3
ANGLES = np.random.default_rng(2).uniform(0, 2 * np.pi, (60, 6))
UNITS = {
    "ising_exact": lambda c: exact(ising_exact(SHAPE, c * 1.5, (0.7 * c, 0.3 * c))),
    "ising, heat bath": lambda c: draws(ising(c, plaquette_coupling=0.4, next_nearest_coupling=-0.2), c),
    "ising, clusters": lambda c: draws(ising(c, "swendsen-wang"), c),
    "ising, replicas": lambda c: draws(ising(c, "parallel-tempering", plaquette_coupling=0.4), c),
    "ising, rows": lambda c: moved(ising(c), ROWS),
    "ising, curve": lambda c: curve(ising(c), c),
    "angles, heat bath": lambda c: draws(xy(c, "heat-bath"), c),
    "angles, clusters": lambda c: draws(xy(c, "wolff"), c),
    "angles, curve": lambda c: curve(xy(c, "heat-bath"), c),
    "windows, heat bath": lambda c: draws(local(c, "heat-bath"), c),
    "windows, metropolis": lambda c: draws(local(c, "metropolis"), c),
    "windows, clusters": lambda c: draws(local(c, "cluster", 2), c),
    "windows, replicas": lambda c: draws(local(c, "parallel-tempering"), c),
    "windows, curve": lambda c: curve(local(c, "heat-bath"), c),
    "free sites": lambda c: (
        draws(IndependentSites(1.5 * c).fit(ROWS), c) | {"E": IndependentSites(c).fit(ROWS).energy(ROWS)}
    ),
    "free sites, curve": lambda c: curve(IndependentSites(1.5 * c).fit(ROWS), c),
    "pairs": lambda c: learned(PseudolikelihoodIsing(1.5 * c).fit(ROWS)),
    "pairs, penalty": lambda c: learned(PseudolikelihoodIsing(1.5 * c, C=0.5).fit(ROWS)),
    "pairs, shared": lambda c: learned(
        PseudolikelihoodIsing(1.5 * c, lattice_shape=SHAPE, symmetries="translation").fit(ROWS)
    ),
    "pairs, score": lambda c: {"1": PseudolikelihoodIsing(1.5 * c).fit(ROWS).score(ROWS)},
    "expansion of energies": lambda c: expanded(c, "projection", ising(c, plaquette_coupling=0.4).energy(ROWS)),
    "expansion of draws": lambda c: expanded(c, "contrastive", IndependentSites(1.5 * c).fit(ROWS), random_state=0),
    "expansion of rows": lambda c: expanded(c, "pseudolikelihood"),
    "expansion of rows, each at its temperature": lambda c: {
        "E": InteractionExpansion(["pairs"], lattice_shape=SHAPE, method="pseudolikelihood", sparse=False)
        .fit(ROWS, c * EACH_T)
        .coef_std_
    },
    "local energy": windows,
    "local energy, each at its temperature": lambda c: windows(c, c * EACH_T),
    "local energy of angles": lambda c: windows(c, states="angle", symmetries=("rotation", "reflection"), rows=ANGLES),
    "entropy": lambda c: {
        "1": list(entropy(PseudolikelihoodIsing(1.5 * c), ROWS, n_samples=50, random_state=0).entropy)
    },
    "peak": peak,
    "quantum": quantum,
}


def flat(values):
    return np.concatenate(
        [np.ravel(np.asarray(x, dtype=float)) for x in (values if isinstance(values, list) else [values])]
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("entry", UNITS)
def test_energies_and_temperatures_have_one_unit(entry):
    """All energies, fields, couplings and temperatures times four: results by the power of their unit."""
    one, four = UNITS[entry](1.0), UNITS[entry](4.0)
    for unit, factor in (("1", 1), ("E", 4), ("E2", 16), ("1/E", 0.25)):
        if unit in one:
            np.testing.assert_allclose(flat(four[unit]), factor * flat(one[unit]), rtol=1e-6, atol=1e-9, err_msg=unit)


# ------------------------------------------------------------------------------------------------- rows and counts

THREE = np.random.default_rng(3).choice([-1, 0, 2], (300, 6), p=[0.2, 0.3, 0.5])
MASK = np.random.default_rng(5).random((300, 6)) < 0.05


def of_windows(rows, y, counts, groups, **options):
    settings = {"lattice_shape": SHAPE, "boundary": "periodic", "window_shape": 2, "sparsity": 0.0, "max_iter": 50}
    model = LocalHamiltonian(1.5, **settings | options).fit(rows, y, counts, groups)
    return [
        model.couplings_,
        np.diag(model.covariance_),
        model.loss_curve_[-1:],
        [model.temperature_, model.n_samples_seen_],
    ]


def of_operators(rows, y, counts, groups, **options):
    settings = {"lattice_shape": SHAPE, "method": "pseudolikelihood", "temperature": 1.5, "sparse": False}
    model = InteractionExpansion(["field", "pairs"], **settings | options).fit(rows, y, counts, groups)
    return [model.coef_, model.coef_std_, model.score(rows, y, counts)]


def of_energies(rows, y, counts, groups):
    """Energies with noise that differs from row to row, but is the same for copies of a row."""
    E = -(rows * np.roll(rows, 1, axis=1)).sum(axis=1) + (rows[:, 0] * rows[:, 2] * rows[:, 3]) * (2 + rows[:, 5])
    model = InteractionExpansion(["field", "pairs"], lattice_shape=SHAPE, sparse=False).fit(rows, E, counts)
    return [model.coef_, model.coef_std_, [model.intercept_, model.score(rows, E, counts)]]


def of_pairs(rows, y, counts, groups, **options):
    model = PseudolikelihoodIsing(1.5, **options).fit(rows, sample_weight=counts, groups=groups)
    return [model.coupling_, model.coupling_std_, model.field_, model.field_std_]


def of_sites(rows, y, counts, groups):
    model = IndependentSites(1.5).fit(rows, sample_weight=counts)
    return [model.log_prob_, model.unseen_states_]


COUNTED = {
    "windows": (of_windows, ROWS, {}),
    "windows, open": (of_windows, ROWS, {"boundary": ("periodic", "open"), "window_shape": (2, 1)}),
    "windows of three states": (of_windows, THREE[:120], {}),
    "windows with a mask": (of_windows, np.ma.masked_array(ROWS, MASK), {}),
    "windows of angles": (of_windows, ANGLES, {"states": "angle", "symmetries": ("rotation", "reflection")}),
    "operators": (of_operators, ROWS, {}),
    "operators, open": (of_operators, ROWS, {"boundary": ("periodic", "open"), "max_distance": 1}),
    "operators of three states": (of_operators, THREE, {"max_distance": 1}),
    "energies": (of_energies, ROWS, {}),
    "pairs": (of_pairs, ROWS, {}),
    "pairs, penalty": (of_pairs, ROWS, {"C": 0.05}),
    "pairs, shared": (of_pairs, ROWS, {"lattice_shape": SHAPE, "symmetries": "translation"}),
    "free sites": (of_sites, THREE, {}),
}


KINDS = {of_windows: 4, of_operators: 4, of_pairs: 2, of_energies: 1, of_sites: 1}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (entry, kind)
        for entry, (fit, *_) in COUNTED.items()
        for kind in ("rows", "groups", "temperatures", "groups and temperatures")[: KINDS[fit]]
    ],
)
def test_counted_rows_in_any_order_are_repeated_rows(entry, kind):
    """Values and errors; some rows do not count, groups have unequal sizes, and each row has its temperature."""
    fit, rows, options = COUNTED[entry]
    n, rng = len(rows), np.random.default_rng(4)
    counts, groups = rng.integers(0, 4, n), rng.integers(0, 25, n) ** 2 // 25
    T = rng.choice([1.0, 1.5, 2.5], n)
    counts[:2] = 0
    y, of_row = T if "temperatures" in kind else None, groups if "groups" in kind else None
    every = np.repeat(np.arange(n), counts)
    every = every[np.argsort(groups[every], kind="stable")]
    counted = fit(rows, y, counts, of_row, **options)
    repeated = fit(
        rows[every], None if y is None else y[every], None, None if of_row is None else of_row[every], **options
    )
    for k, (a, b) in enumerate(zip(counted, repeated, strict=True)):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5, err_msg=str(k))


# ----------------------------------------------------------------------------------------------------------- axes


def swapped(rows, shape):
    """The same configurations with their axes in reverse."""
    return np.ascontiguousarray(rows.reshape(-1, *shape).transpose(0, 2, 1)).reshape(len(rows), -1)


def turned(pair):
    return pair[::-1] if isinstance(pair, tuple) else pair


LATTICE = (3, 4)
WIDE = np.random.default_rng(6).choice(np.array([-1, 1], np.int8), (200, 12), p=[0.4, 0.6])
WIDE[:, 1] = np.where(np.random.default_rng(7).random(200) < 0.8, WIDE[:, 0], -WIDE[:, 0])
TURNS = 2 * np.pi * np.random.default_rng(8).random((50, 12))
MIXED = ("open", "periodic")
CODES = np.random.default_rng(9).choice([-1, 0, 2], (50, 12))


def axes_of_ising(turn, rows):
    sampler = IsingSampler(
        turn(LATTICE), 1.5, coupling=turn((0.7, -0.3)), next_nearest_coupling=0.2, plaquette_coupling=0.4,
        field=swapped(np.arange(12)[None], LATTICE)[0] if turn is turned else np.arange(12), boundary=turn(MIXED),
    )  # fmt: skip
    return [sampler.energy(rows(WIDE))]


def axes_of_windows(turn, rows, states="auto", X=WIDE, **options):
    model = LocalHamiltonian(
        1.5,
        lattice_shape=turn(LATTICE),
        window_shape=turn((2, 1)),
        boundary=turn(MIXED),
        states=states,
        sparsity=0.0,
        **options,
    ).fit(rows(X))
    return [
        np.sort(model.couplings_),
        np.sort(np.diag(model.covariance_)),
        model.energy(np.ma.getdata(rows(X))),
        [model.score(rows(X))],
    ]


def axes_of_a_sampler(turn, rows):
    """Patterns of a window count its sites in C order, the first one fastest."""
    table = TABLE.reshape(3, 3, 3, 3)  # from the last site to the first
    table = table.transpose(0, 2, 1, 3) if turn is turned else table
    energy = LocalEnergy(np.array([-1, 0, 2]), (2, 2), np.ascontiguousarray(table).ravel())
    return [LocalSampler(energy, turn(LATTICE), boundary=turn(MIXED)).energy(rows(CODES))]


def axes_of_operators(turn, rows, **options):
    model = InteractionExpansion(
        lattice_shape=turn(LATTICE),
        boundary=turn(MIXED),
        method="pseudolikelihood",
        temperature=1.5,
        sparse=False,
        max_distance=1.5,
        **options,
    ).fit(rows(WIDE))
    larger = InteractionExpansion.to_sampler(model, turn((5, 6)))
    big = np.random.default_rng(0).choice([-1, 1], (20, 30))
    big = swapped(big, (5, 6)) if turn is turned else big
    return [np.sort(model.coef_), np.sort(model.coef_std_), model.predict(rows(WIDE)), larger.energy(big)]


def axes_of_energies(turn, rows):
    E = IsingSampler(LATTICE, 1.5, coupling=(0.7, -0.3), plaquette_coupling=0.4, boundary=MIXED).energy(WIDE)
    model = InteractionExpansion(lattice_shape=turn(LATTICE), boundary=turn(MIXED), max_distance=1.0).fit(rows(WIDE), E)
    return [
        np.sort(model.coef_[model.coef_ != 0]),
        model.predict(rows(WIDE)),
        model.to_sampler(temperature=1.5).energy(rows(WIDE)),
    ]


def axes_of_lines(turn, rows):
    """Two axes of space after that of time."""
    lines = Worldlines((4, *turn((2, 3))), time_step=0.2, field=0.9, coupling=1.3)
    X = np.sign(np.random.default_rng(1).normal(size=(20, 4, 2, 3)))
    X = (X.transpose(0, 1, 3, 2) if turn is turned else X).reshape(20, -1)
    return [f(X) for f in lines.observables.values()]


AXES = {
    "ising": axes_of_ising,
    "ising_exact": lambda turn, rows: [ising_exact(turn(LATTICE), 1.5, turn((0.7, 0.3)))],
    "angles": lambda turn, rows: [
        XYSampler(turn(LATTICE), coupling=turn((0.7, -0.3)), boundary=turn(MIXED)).energy(rows(TURNS))
    ],
    "helicity": lambda turn, rows: [
        helicity_modulus(turn(LATTICE), turn((0.7, 0.3))).of_averages(
            helicity_modulus(turn(LATTICE), turn((0.7, 0.3)))(rows(TURNS)), 1.5
        )
    ],
    "vortices": lambda turn, rows: [vortex_density(turn(LATTICE), turn(MIXED))(rows(TURNS))],
    "windows": axes_of_windows,
    "windows of angles": lambda turn, rows: axes_of_windows(
        turn, rows, "angle", TURNS, symmetries=("rotation", "reflection")
    ),
    "windows with a mask": lambda turn, rows: axes_of_windows(turn, rows, X=np.ma.masked_array(WIDE, WIDE_MASK)),
    "windows of three states": lambda turn, rows: [
        LocalHamiltonian(lattice_shape=turn(LATTICE), window_shape=2, boundary=turn(MIXED))
        .fit(rows(CODES))
        .energy(rows(CODES))
    ],
    "windows of a sampler": axes_of_a_sampler,
    "operators": axes_of_operators,
    "energies": axes_of_energies,
    "pairs": lambda turn, rows: [
        PseudolikelihoodIsing(
            1.5, lattice_shape=turn(LATTICE), symmetries="translation", boundary=turn(MIXED), max_distance=1
        )
        .fit(rows(WIDE))
        .energy(rows(WIDE))
    ],
    "lines": axes_of_lines,
    "blocks": lambda turn, rows: [
        BlockSpinTransformer(turn((2, 1)), stride=turn((1, 2)), lattice_shape=turn(LATTICE), boundary="periodic")
        .fit_transform(rows(CODES))
        .reshape(-1, *turn((3, 2)))
        .transpose(0, *((2, 1) if turn is turned else (1, 2)))
    ],
}
WIDE_MASK = np.random.default_rng(5).random((200, 12)) < 0.03


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("entry", AXES)
def test_axes_in_reverse_are_the_same_lattice(entry):
    """Rows, shape, windows, boundaries and couplings along the axes of (3, 4) against those of (4, 3)."""

    def swap(X):
        if isinstance(X, np.ma.MaskedArray):
            return np.ma.masked_array(swapped(X.data, LATTICE), swapped(X.mask, LATTICE))
        return swapped(X, LATTICE)

    for a, b in zip(AXES[entry](lambda x: x, lambda X: X), AXES[entry](turned, swap), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)


# Two axes in reverse hide a reversal; three axes in turn do not.
DEEP = (2, 3, 4)
DEEP_ROWS = np.random.default_rng(10).choice(np.array([-1, 1], np.int8), (150, 24), p=[0.4, 0.6])
DEEP_TURNS = 2 * np.pi * np.random.default_rng(11).random((20, 24))
DEEP_BOUNDARY = ("open", "periodic", "periodic")


def deep_windows(turn, rows):
    model = LocalHamiltonian(
        1.5, lattice_shape=turn(DEEP), window_shape=turn((1, 2, 2)), boundary=turn(DEEP_BOUNDARY), sparsity=0.0
    ).fit(rows(DEEP_ROWS))
    return [model.energy(rows(DEEP_ROWS))]


DEEP_AXES = {
    "ising": lambda turn, rows: [
        IsingSampler(turn(DEEP), coupling=turn((0.7, -0.3, 0.2)), boundary=turn(DEEP_BOUNDARY)).energy(rows(DEEP_ROWS))
    ],
    "angles": lambda turn, rows: [
        XYSampler(turn(DEEP), coupling=turn((0.7, -0.3, 0.2)), boundary=turn(DEEP_BOUNDARY)).energy(rows(DEEP_TURNS))
    ],
    "helicity": lambda turn, rows: [
        np.sort(helicity_modulus(turn(DEEP), turn((0.7, 0.3, 0.2)))(rows(DEEP_TURNS)), axis=1)
    ],
    "vortices": lambda turn, rows: [vortex_density(turn(DEEP), turn(DEEP_BOUNDARY))(rows(DEEP_TURNS))],
    "windows": deep_windows,
    "windows of a sampler": lambda turn, rows: [
        LocalSampler(
            LocalEnergy(np.array([-1, 1]), turn((1, 2, 1)), np.array([0.1, -0.7, 0.4, 0.9])),
            turn(DEEP),
            boundary=turn(("periodic", "open", "periodic")),
        ).energy(rows(DEEP_ROWS))
    ],
}


@pytest.mark.parametrize("entry", DEEP_AXES)
def test_axes_in_turn_are_the_same_lattice(entry):
    def turn(axes):
        return (*axes[1:], axes[0])

    def rows(X):
        return np.ascontiguousarray(X.reshape(-1, *DEEP).transpose(0, 2, 3, 1)).reshape(len(X), -1)

    for a, b in zip(DEEP_AXES[entry](lambda x: x, lambda X: X), DEEP_AXES[entry](turn, rows), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
