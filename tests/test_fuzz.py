"""Arrays, parameters and files that nobody would make: an error or finite numbers, never a crash."""

import io
import math
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from skhamiltonian import (
    SKOPS_TRUSTED_TYPES,
    BlockSpinTransformer,
    DomainBinarizer,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    PhaseCurve,
    PseudolikelihoodIsing,
    XYSampler,
    entropy,
    extract_windows,
    phase_curve,
    pseudo_log_likelihood,
)
from skhamiltonian._utils.alphabet import enumerate_states

N = int(os.environ.get("FUZZ_EXAMPLES", "25"))
REFUSALS = (ValueError, TypeError, MemoryError)

SPINS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (300, 4))
FREE = IndependentSites().fit(SPINS)
LOCAL = LocalHamiltonian(window_shape=2, boundary="periodic").fit(SPINS)


def finite(result):
    assert np.isfinite(np.asarray(result, dtype=float)).all()


# ------------------------------------------------------------------ arrays

few = st.sampled_from([-1, 0, 1, 2])
values = st.one_of(few, st.integers(-(2**63), 2**64 - 1), st.floats(width=16), st.floats(-1e100, 1e100))
mixed = st.one_of(few, st.booleans(), st.none(), st.text(max_size=2), st.floats(), st.integers(), st.complex_numbers())
shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)
tables = npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)
four_sites = st.tuples(st.integers(1, 8), st.just(4))  # as many as there were where a model is asked
scalars = st.one_of(npst.scalar_dtypes(), npst.integer_dtypes(endianness=">"))
arrays = st.one_of(
    npst.arrays(npst.integer_dtypes() | npst.floating_dtypes(), tables, elements=few),
    npst.arrays(np.int8, tables, elements=st.sampled_from([-1, 1])),
    npst.arrays(npst.integer_dtypes() | npst.floating_dtypes(), four_sites, elements=st.sampled_from([-1, 1])),
    npst.arrays(scalars, shapes),
    npst.arrays(object, shapes, elements=mixed),
    st.lists(st.lists(values, max_size=4), max_size=4),
)
ENTRIES = {
    "IndependentSites": lambda X: (model := IndependentSites(random_state=0)).fit(X).energy(X) + model.sample().sum(),
    "IndependentSites.energy": FREE.energy,
    "pseudo_log_likelihood": lambda X: pseudo_log_likelihood(FREE, X),
    "IsingSampler.energy": IsingSampler((2, 2)).energy,
    "IsingSampler.transform": IsingSampler(n_sweeps=1, random_state=0).fit_transform,
    "XYSampler.energy": XYSampler((2, 2)).energy,
    "XYSampler.transform": XYSampler(n_sweeps=1, random_state=0).fit_transform,
    "BlockSpinTransformer.sum": BlockSpinTransformer(2, stride=1).fit_transform,
    "BlockSpinTransformer.majority": BlockSpinTransformer(2, boundary="periodic", rule="majority").fit_transform,
    "PseudolikelihoodIsing": lambda X: PseudolikelihoodIsing().fit(X).energy(X),
    "InteractionExpansion": lambda X: InteractionExpansion().fit(X, np.arange(len(X))).predict(X),
    "extract_windows": lambda X: extract_windows(X, 2, masked="skip")[0],
    "DomainBinarizer": lambda X: np.ma.filled(DomainBinarizer("quantile").fit_transform(X), 0),
    "InteractionExpansion.pseudolikelihood": lambda X: (
        InteractionExpansion(method="pseudolikelihood", temperature=2.0).fit(X).coef_
    ),
    "LocalHamiltonian": lambda X: (model := LocalHamiltonian(window_shape=2)).fit(X).energy(X) + model.score(X),
    "LocalSampler.energy": LOCAL.to_sampler().energy,
    "entropy": lambda X: entropy(FREE, X, n_samples=9, random_state=0).upper_bound.value,
    "PhaseCurve.from_samples": lambda X: PhaseCurve.from_samples({2.0: X})["abs_magnetization"].value,
    "MADEHamiltonian.angles": lambda X: (
        MADEHamiltonian(states="angle", hidden_layer_sizes=(2,), max_iter=1).fit(X).score(X)
    ),
    "MADEHamiltonian": lambda X: MADEHamiltonian(hidden_layer_sizes=(2,), max_iter=1).fit(X).score(X),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES)
def test_any_array_is_refused_or_gives_finite_numbers_and_is_not_changed(entry):
    @settings(max_examples=N)
    @given(arrays)
    def check(X):
        before = X.copy() if isinstance(X, np.ndarray) else None
        try:
            result = ENTRIES[entry](X)
        except REFUSALS as refusal:
            assert str(refusal)  # noqa: PT017 (many calls, of which some are refused)
        else:
            for part in result if isinstance(result, list) else [result]:
                finite(part)
        if before is not None:
            assert before.tobytes() == X.tobytes()

    check()


# ------------------------------------------------------------------ parameters


@st.composite
def networks(draw):
    n_sites, hidden = draw(st.integers(1, 5)), draw(st.lists(st.integers(1, 6), max_size=2))
    alphabet = draw(st.lists(st.integers(-100, 100) | st.floats(-9, 9, width=16), min_size=2, max_size=4, unique=True))
    options = {
        "hidden_layer_sizes": tuple(hidden),
        "ordering": draw(st.permutations(range(n_sites)) | st.sampled_from(["natural", "random"])),
        "activation": draw(st.sampled_from(["relu", "tanh", "logistic", "silu"])),
        "temperature": draw(st.floats(1e-3, 1e3)),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        **{name: draw(st.booleans()) for name in ("skip_connections", "whiten", "early_stopping")},
    }
    return MADEHamiltonian(states=alphabet, max_iter=1, **options), n_sites


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=N)
@given(networks(), st.data())
def test_networks_of_any_shape_are_normalised_and_draw_from_their_alphabet(network, data):
    model, n_sites = network
    rows = st.lists(st.sampled_from(model.states), min_size=n_sites, max_size=n_sites)
    X = np.array(data.draw(st.lists(rows, min_size=3, max_size=12)))
    model.fit(X)
    finite(model.energy(X))
    log_p = model.score_samples(enumerate_states(model.states_, n_sites))
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-10)
    T = data.draw(st.sampled_from([1e-3, 0.5, 1.0, 1e3, math.inf]))
    method = data.draw(st.sampled_from(["metropolis", "tempered", "independence"]))
    assert np.isin(model.sample(T, n_samples=3, method=method, burn_in=1), model.states_).all()


@st.composite
def ising_systems(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    n_sites = math.prod(shape)
    term = st.lists(st.integers(0, n_sites - 1), min_size=1, max_size=4, unique=True)
    strength = st.floats(-3, 3)
    return IsingSampler(
        shape,
        draw(st.floats(0.01, 100) | st.just(math.inf)),
        coupling=draw(strength),
        next_nearest_coupling=draw(st.just(0.0) | strength),
        plaquette_coupling=draw(st.just(0.0) | strength),
        field=draw(strength),
        couplings=draw(st.none() | st.lists(st.tuples(strength, term), max_size=3)),
        boundary=tuple(draw(st.sampled_from(["periodic", "open"])) for _ in shape),
        method=draw(st.sampled_from(["heat-bath", "swendsen-wang", "parallel-tempering"])),
        n_sweeps=1,
        burn_in=1,
        random_state=draw(st.integers(0, 99)),
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=N)
@given(ising_systems())
def test_ising_systems_of_any_form_give_spins_and_finite_energies(ising):
    try:
        X = ising.sample(n_samples=5)
    except ValueError as refusal:
        assert "term of" in str(refusal)  # noqa: PT017
    else:
        assert set(np.unique(X)) <= {-1, 1}
        finite(ising.energy(X))


@st.composite
def xy_systems(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    n_sites, strength = math.prod(shape), st.floats(-3, 3)
    return XYSampler(
        shape,
        draw(st.floats(1e-12, 100) | st.just(math.inf)),
        coupling=tuple(draw(strength) for _ in shape),
        field=draw(strength | st.lists(strength, min_size=n_sites, max_size=n_sites)),
        boundary=tuple(draw(st.sampled_from(["periodic", "open"])) for _ in shape),
        method=draw(st.sampled_from(["auto", "heat-bath", "wolff"])),
        n_sweeps=1,
        burn_in=1,
        random_state=draw(st.integers(0, 99)),
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=N)
@given(xy_systems())
def test_xy_systems_of_any_form_give_angles_and_finite_energies(xy):
    X = xy.sample(n_samples=5)
    assert X.min() >= 0
    assert X.max() < 2 * math.pi
    finite(xy.energy(X))


# ------------------------------------------------------------------ files


def damaged(whole, rng):
    """Flip a bit, cut the end off, blank or repeat a piece."""
    kind, place, length = rng.integers(4), rng.integers(len(whole)), rng.integers(1, 50)
    if kind == 0:
        return whole[:place] + bytes([whole[place] ^ (1 << rng.integers(8))]) + whole[place + 1 :]
    if kind == 1:
        return whole[:place]
    if kind == 2:
        return whole[:place] + bytes(length) + whole[place + length :]
    return whole[: place + length] + whole[place:]


def tampered(whole, rng):
    """Damage the contents of one member of a zip file, whose checksums are right again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w") as new:
        victim = old.namelist()[rng.integers(len(old.namelist()))]
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, damaged(content, rng) if name == victim and content else content)
    return out.getvalue()


MODELS = {
    "MADEHamiltonian": (
        lambda: MADEHamiltonian(2.5, hidden_layer_sizes=(3,), max_iter=1, random_state=0).fit(SPINS),
        lambda model: model.energy(SPINS[:9]),
        lambda model: model.sample(2.0, n_samples=4, random_state=0),
    ),
    "IsingSampler": (
        lambda: IsingSampler(temperature=2.5, n_sweeps=1, burn_in=1, random_state=0).fit(SPINS),
        lambda model: model.energy(SPINS[:9]),
        lambda model: model.transform(SPINS[:9]),
    ),
    "XYSampler": (
        lambda: XYSampler(n_sweeps=1, burn_in=1, random_state=0).fit(SPINS),
        lambda model: model.energy(SPINS[:9]),
        lambda model: model.transform(SPINS[:9]),
    ),
    "BlockSpinTransformer": (
        lambda: BlockSpinTransformer(2, stride=1).fit(SPINS),
        lambda model: model.transform(SPINS[:9]),
    ),
    "InteractionExpansion": (
        lambda: InteractionExpansion().fit(SPINS, IsingSampler((4,)).energy),
        lambda model: model.predict(SPINS[:9]),
    ),
    "PseudolikelihoodIsing": (
        lambda: PseudolikelihoodIsing(2.5).fit(SPINS),
        lambda model: model.energy(SPINS[:9]),
    ),
    "IndependentSites": (lambda: IndependentSites(2.5).fit(SPINS), lambda model: model.energy(SPINS[:9])),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_a_damaged_or_tampered_model_is_an_error_or_a_model(name):
    """What is damaged predicts the same or nothing; what is tampered with may predict nonsense, but runs."""
    sio = pytest.importorskip("skops.io")
    make, *uses = MODELS[name]
    model, rng = make(), np.random.default_rng(0)
    whole, wanted = sio.dumps(model), [use(model) for use in uses]
    for damage in (damaged, tampered):
        for _ in range(N):
            try:
                found = sio.loads(damage(whole, rng), trusted=list(SKOPS_TRUSTED_TYPES))
                results = [use(found) for use in uses]
            except Exception:
                continue
            for result, expected in zip(results, wanted, strict=True):
                if damage is damaged:
                    np.testing.assert_array_equal(result, expected)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_or_tampered_curve_is_one_clear_error_or_a_curve(tmp_path):
    path, rng = tmp_path / "curve.npz", np.random.default_rng(0)
    curve = phase_curve(IsingSampler((2, 2), 2.5), [2.0, 3.0], n_samples=300, random_state=0)
    curve.save(path)
    whole = path.read_bytes()
    for damage in (damaged, tampered):
        for _ in range(N):
            path.write_bytes(damage(whole, rng))
            try:
                found = PhaseCurve.load(path)
            except ValueError as error:
                assert "is not a PhaseCurve file, or is damaged" in str(error)  # noqa: PT017
            else:
                assert repr(found)
                assert damage is tampered or repr(found) == repr(curve)
