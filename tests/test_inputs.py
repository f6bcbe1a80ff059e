"""The door: what every public entry point takes in any form, and what it refuses with the value and the way out."""

import functools
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import OrdinalEncoder

from skhamiltonian import (
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
    crossing_temperature,
    entropy,
    extract_windows,
    helicity_modulus,
    ising_exact,
    peak_temperature,
    phase_curve,
    pseudo_log_likelihood,
    vortex_density,
)
from skhamiltonian._montecarlo.draws import Estimate

SHAPE, NAMES = (2, 3), [f"s{i}" for i in range(6)]
X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (60, 6))
IMAGES = np.random.default_rng(1).normal(X.reshape(10, 6, 6), 0.1)
ISING = IsingSampler(SHAPE, 2.0, n_sweeps=1, burn_in=1, random_state=0)
XY = XYSampler(SHAPE, 2.0, n_sweeps=1, burn_in=1, random_state=0)
MADE = MADEHamiltonian(2.0, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
FREE, PAIRS = IndependentSites(2.0, random_state=0), PseudolikelihoodIsing(2.0, random_state=0)
LOCAL = LocalHamiltonian(2.0, lattice_shape=SHAPE, boundary="periodic", window_shape=2, random_state=0)
EXPANSION = InteractionExpansion(lattice_shape=SHAPE)
BLOCKS = BlockSpinTransformer(2, stride=1, lattice_shape=SHAPE)
MAJORITY = clone(BLOCKS).set_params(rule="majority")


@functools.cache
def fitted(estimator):
    return clone(estimator).fit(X, *([ISING.energy] if estimator is EXPANSION else []))


LEARNERS = {
    "MADEHamiltonian.fit": lambda X: np.concatenate([w.ravel() for w in clone(MADE).fit(X).coefs_]),
    "MADEHamiltonian.partial_fit": lambda X: clone(MADE).partial_fit(X).intercepts_[-1],
    "IndependentSites.fit": lambda X: clone(FREE).fit(X).log_prob_,
    "LocalHamiltonian.fit": lambda X: clone(LOCAL).fit(X).table_,
    "LocalHamiltonian.partial_fit": lambda X: clone(LOCAL).partial_fit(X).table_,
}
READERS = {
    "MADEHamiltonian.energy": lambda X: fitted(MADE).energy(X),
    "MADEHamiltonian.score": lambda X: fitted(MADE).score(X),
    "IndependentSites.energy": lambda X: fitted(FREE).energy(X),
    "IsingSampler.energy": lambda X: fitted(ISING).energy(X),
    "LocalHamiltonian.energy": lambda X: fitted(LOCAL).energy(X),
    "LocalHamiltonian.score": lambda X: fitted(LOCAL).score(X),
    "LocalSampler.energy": lambda X: fitted(LOCAL).to_sampler().energy(X),
    "PseudolikelihoodIsing.energy": lambda X: fitted(PAIRS).energy(X),
    "PseudolikelihoodIsing.score": lambda X: fitted(PAIRS).score(X),
    "pseudo_log_likelihood": lambda X: pseudo_log_likelihood(fitted(MADE), X),
    "PseudolikelihoodIsing.fit": lambda X: clone(PAIRS).fit(X).coupling_,
}
ANY_NUMBERS = {  # which take other values than those seen
    "IsingSampler.fit_transform": lambda X: clone(ISING).fit_transform(X),
    "IsingSampler.transform": lambda X: fitted(ISING).transform(X),
    "XYSampler.energy": lambda X: fitted(XY).energy(X),
    "XYSampler.fit_transform": lambda X: clone(XY).fit_transform(X),
    "XYSampler.transform": lambda X: fitted(XY).transform(X),
    "BlockSpinTransformer.fit_transform": lambda X: clone(BLOCKS).fit_transform(X),
    "BlockSpinTransformer.transform": lambda X: fitted(MAJORITY).transform(X),
    "InteractionExpansion.fit": lambda X: clone(EXPANSION).fit(X, ISING.energy(np.ones((60, 6))) + np.arange(60)).coef_,
    "InteractionExpansion.fit by pseudolikelihood": lambda X: (
        clone(EXPANSION).set_params(method="pseudolikelihood", temperature=2.0).fit(X).coef_
    ),
    "entropy of fits": lambda X: entropy(FREE, X, n_samples=9, random_state=0).upper_bound.value,
    "PhaseCurve.from_samples without fit": lambda X: PhaseCurve.from_samples({2.0: X})["abs_magnetization"].value,
    "InteractionExpansion.predict": lambda X: fitted(EXPANSION).predict(X),
}
CONFIGURATIONS = LEARNERS | READERS | ANY_NUMBERS
PICTURES = {
    "extract_windows": lambda X: extract_windows(X, 3)[0],
    "DomainBinarizer.fit_transform": lambda X: DomainBinarizer(0.0).fit_transform(X),
    "DomainBinarizer.transform": lambda X: DomainBinarizer().fit(IMAGES).transform(X),
}


def frozen(X):
    X = X.copy()
    X.flags.writeable = False
    return X


REPRESENTATIONS = {
    "list": lambda X: X.tolist(),
    "tuple": lambda X: tuple(map(tuple, X.tolist())),
    **{t: lambda X, t=t: X.astype(t) for t in ("i2", "i4", "i8", "f2", "f4", "f8", "longdouble", ">i4", ">f8")},
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": frozen,
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "torch": lambda X: torch.from_numpy(X.copy()),
    "torch with gradients": lambda X: torch.from_numpy(X.astype(float)).requires_grad_(),
}
OBJECTS = {
    "nullable": lambda X: pd.DataFrame(X).astype("Int8"),
    "objects": lambda X: X.astype(object),
}


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize(
    ("entry", "form"),
    [(e, f) for e in CONFIGURATIONS for f in REPRESENTATIONS | OBJECTS]
    + [(e, f) for e in PICTURES for f in REPRESENTATIONS],
)
def test_every_form_of_the_same_numbers_gives_the_same_result_and_is_not_changed(entry, form):
    function, given = (CONFIGURATIONS | PICTURES)[entry], (REPRESENTATIONS | OBJECTS)[form](X)
    np.testing.assert_array_equal(function(given), function(X))
    np.testing.assert_array_equal(np.asarray(given.detach() if "torch" in form else given), X)


EIGHTHS = np.random.default_rng(2).integers(1, 50, (60, 6)) / 8  # radians that every float type holds
ANGLE = {"states": "angle"}
OF_ANGLES = {
    "MADEHamiltonian.fit": lambda X: clone(MADE).set_params(**ANGLE).fit(X).intercepts_[-1],
    "MADEHamiltonian.energy": lambda X: clone(MADE).set_params(**ANGLE).fit(EIGHTHS).energy(X),
    "LocalHamiltonian.fit": lambda X: clone(LOCAL).set_params(**ANGLE, sparsity=0).fit(X).table_,
    "LocalHamiltonian.score": lambda X: clone(LOCAL).set_params(**ANGLE, sparsity=0).fit(EIGHTHS).score(X),
    "XYSampler.energy": lambda X: fitted(XY).energy(X),
    "XYSampler.transform": lambda X: fitted(XY).transform(X),
}


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.parametrize("form", [f for f in REPRESENTATIONS if "i" not in f[:2]] + ["objects"])
@pytest.mark.parametrize("entry", OF_ANGLES)
def test_every_form_of_the_same_angles_gives_the_same_result_and_is_not_changed(entry, form):
    function, given = OF_ANGLES[entry], (REPRESENTATIONS | OBJECTS)[form](EIGHTHS)
    np.testing.assert_allclose(function(given), function(EIGHTHS), rtol=1e-12)
    np.testing.assert_array_equal(np.asarray(given.detach() if "torch" in form else given), EIGHTHS)


@pytest.mark.parametrize("entry", OF_ANGLES)
@pytest.mark.parametrize("value", [np.nan, np.inf, "degrees"])
def test_what_is_no_angle_is_refused_by_name(entry, value):
    given = 57 * EIGHTHS
    if value != "degrees":
        given = EIGHTHS.copy()
        given[3, 2] = value
    with pytest.raises(ValueError, match={"nan": "NaN", "inf": "infinity", "degrees": "radians"}[str(value)]):
        OF_ANGLES[entry](given)


@pytest.mark.parametrize("entry", CONFIGURATIONS | PICTURES)
def test_a_memmap_is_read_where_it_is(entry, tmp_path):
    np.save(tmp_path / "X.npy", X)
    function = (CONFIGURATIONS | PICTURES)[entry]
    np.testing.assert_array_equal(function(np.load(tmp_path / "X.npy", mmap_mode="r")), function(X))
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


@pytest.mark.parametrize("entry", [*LEARNERS, *ANY_NUMBERS, *PICTURES])
@pytest.mark.filterwarnings("ignore:X holds 0 in row 0", "ignore:these rows hardly determine")
def test_booleans_are_zeros_and_ones(entry):
    function = (CONFIGURATIONS | PICTURES)[entry]
    np.testing.assert_array_equal(function(X > 0), function((X > 0).astype(int)))


def with_value(value):
    """X with another value in row 2, column 3, in whatever type holds it."""
    return np.where((np.arange(6) == 3) & (np.arange(60) == 2)[:, None], value, X)


REFUSED = {
    "3-D": (lambda: X.reshape(-1, 2, 3), r"X.reshape\(len\(X\), -1\) and lattice_shape=\(2, 3\)"),
    "1-D": (lambda: X[0], r"(?s)array=\[ 1  1  1 -1 -1 -1\].*reshape"),
    "no rows": (lambda: X[:0], r"0 sample\(s\) \(shape=\(0, 6\)\)"),
    "no sites": (lambda: X[:, :0], r"0 feature\(s\) \(shape=\(60, 0\)\)"),
    "masked": (lambda: np.ma.masked_equal(X, 1), "masked array.*X.filled"),
    "category": (lambda: pd.DataFrame(X, columns=NAMES).astype("category"), r"'s0' .*a category.*categories=.* \* 6\)"),
    "polars category": (lambda: pl.DataFrame(X.astype(str), schema=NAMES).cast(pl.Categorical), "'s0' .* is a cat"),
    "strings": (lambda: X.astype(str), r"strings.*OrdinalEncoder\(categories=.* \* 6\)"),
    "bytes": (lambda: X.astype(bytes), r"strings.*OrdinalEncoder\(categories=.* \* 6\)"),
    "frame of strings": (lambda: pd.DataFrame(X.astype(str)), r"strings.*OrdinalEncoder\(categories=.* \* 6\)"),
    "complex": (lambda: X * 1j, r"(?s)Complex data not supported.*0\.\+1\.j"),
    "sparse matrix": (lambda: sp.csr_matrix(X), r"X.toarray\(\)"),
    "sparse array": (lambda: sp.coo_array(X), r"X.toarray\(\)"),
    "dates": (lambda: X.astype("datetime64[s]"), r"dates or durations \(dtype datetime64\[s\]\)"),
    "durations": (lambda: pd.DataFrame(X.astype("timedelta64[s]")), r"dates or durations \(dtype timedelta64\[s\]\)"),
    "polars dates": (lambda: pl.DataFrame(X.astype("M8[ms]"), schema=NAMES), r"dates or durations \(dtype Datetime"),
    "NaN": (lambda: with_value(np.nan), r"NaN \(nan in row 2, column 3\): crop .*impute"),
    "infinity": (lambda: with_value(-np.inf), r"infinity \(-inf in row 2, column 3\): crop .*impute"),
    "missing": (lambda: pd.DataFrame(with_value(0)).astype("Int8").replace(0, pd.NA), r"NaN .* in row 2, column 3"),
    "None": (lambda: with_value(None), r"NaN .* in row 2, column 3"),
    "ragged": (lambda: [[1, -1], [1]], "inhomogeneous"),
    "nothing": (lambda: None, "array=None"),
}


def refuses(function, given, message):
    """The error is ours, says what it should, and leaves the data alone."""
    before = given.copy() if isinstance(given, np.ndarray) else None
    with pytest.raises((ValueError, TypeError), match=message):
        function(given)
    if before is not None:
        np.testing.assert_array_equal(given, before)


TAKES_MASKS = {"LocalHamiltonian.fit", "LocalHamiltonian.partial_fit", "LocalHamiltonian.score"}


@pytest.mark.parametrize(
    ("entry", "kind"),
    [(e, k) for e in CONFIGURATIONS for k in REFUSED if not (e in TAKES_MASKS and k == "masked")],
)
def test_what_is_no_table_of_numbers_is_refused_with_the_way_out(entry, kind):
    make, message = REFUSED[kind]
    refuses(CONFIGURATIONS[entry], make(), message)


NO_STATES = {
    "halves": (
        with_value(0.5),
        r"X holds .*0\.5.*, which is not an integer: pass states=.*KBinsDiscretizer.*threshold",
    ),
    "one state": (np.ones_like(X), r"one state only, .*1.*: pass .*states=\(-1, 1\)"),
    "many states": (np.arange(360).reshape(60, 6), r"at most 64 states, got 360: .*KBinsDiscretizer"),
    "beyond 64 bits": (with_value(2.0**63), r"at most 64 bits, got .*9\.2233720368547.*e\+18.*: number them 0, 1"),
    "beyond unsigned": (with_value(0).astype(np.uint64) + 2**63, "at most 64 bits, got "),
}


@pytest.mark.parametrize("kind", NO_STATES)
@pytest.mark.parametrize("entry", LEARNERS)
def test_what_is_no_alphabet_is_refused_with_the_way_out(entry, kind):
    refuses(LEARNERS[entry], *NO_STATES[kind])


@pytest.mark.parametrize("value", [99, 0.5, 2.0**70, -128])
@pytest.mark.parametrize("entry", READERS)
def test_a_state_that_was_not_seen_is_named_with_its_place(entry, value):
    refuses(READERS[entry], with_value(value), rf"{np.asarray(value)!s}.*row 2, column 3".replace("+", r"\+"))


def test_a_state_that_was_not_seen_comes_with_the_states_to_pass():
    with pytest.raises(ValueError, match=r"X holds 3 .*pass states=\[-1, 1, 3\] to the estimator"):
        clone(FREE).fit(X).score(with_value(3))
    IndependentSites(states=[-1, 1, 3]).fit(X).score(with_value(3))


@pytest.mark.parametrize("entry", [name for name in CONFIGURATIONS if "fit" not in name])
def test_another_number_of_sites_is_refused(entry):
    refuses(CONFIGURATIONS[entry], X[:, :5], "X has 5 features|but X has 5 features")


def test_a_score_that_needs_more_states_than_the_rows_hold_is_not_rounded():
    """Rows of 0 and 1 in int8, of a model that knows 0.5 as well."""
    model = IndependentSites(states=(0, 0.5, 1)).fit(X > 0)
    rows = (X > 0).astype(np.int8)
    assert pseudo_log_likelihood(model, rows) == pytest.approx(model.score(rows), rel=1e-12)


def test_a_lattice_that_has_changed_since_fit_is_refused_before_a_kernel_sees_it():
    for change in ({"lattice_shape": (10**6,)}, {"lattice_shape": None, "lattice_shape_": (10**6,)}):
        sampler = clone(ISING).fit(X)
        vars(sampler).update(change)
        with pytest.raises(ValueError, match="has 1000000 sites, but X has 6 features"):
            sampler.transform(X)


def test_names_of_sites_are_checked_and_forgotten_by_the_pseudo_likelihood():
    frame = pd.DataFrame(X, columns=NAMES)
    model = clone(FREE).fit(frame)
    assert pseudo_log_likelihood(model, frame) == pytest.approx(model.score(frame), rel=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        pseudo_log_likelihood(model, frame[NAMES[::-1]])


BAD_PICTURES = {
    "4-D": (X.reshape(-1, 1, 2, 3), r"image 0 must be a 2-D array of grey levels, got shape \(60, 1, 2, 3\)"),
    "strings": (X.astype(str), "image 0 .*dtype <U4"),
    "complex": (X * 1j, "image 0 .*dtype complex128"),
    "dates": (X.astype("datetime64[s]"), r"image 0 .*dtype datetime64\[s\]"),
    "objects": (X.astype(object), "image 0 .*dtype object"),
    "sparse": (sp.csr_array(X), r"image 0 .*got shape \(\) of dtype object"),
    "infinity": (with_value(np.inf), "image 0 must have finite intensities, got infinity: mask these"),
    "no pixels": (X[:0], r"image 0 .*got shape \(0, 6\)"),
    "colours": (np.ones((9, 9, 3)), "use skimage.color.rgb2gray"),
    "none": ([], "at least one image"),
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
@pytest.mark.parametrize("entry", PICTURES)
def test_what_is_no_picture_is_refused(entry, kind):
    refuses(PICTURES[entry], *BAD_PICTURES[kind])


# ------------------------------------------------------------------ parameters

HOSTILE = [
    float("nan"), -float("inf"), -1, -1.5, "bogus", b"x", None, {}, (), ("bogus",), 3 + 1j, float, 1e30, True,
    np.array([1.0, np.nan]), np.datetime64("2020"), [[1, 2], [3]], -(10**30), 10**30,
]  # fmt: skip
ELSEWHERE = {"random_state", "n_jobs"}  # scikit-learn and joblib answer for theirs
ENDLESS = {"max_iter", "burn_in", "n_sweeps", "n_iter_no_change"}  # 1e30 epochs are what was asked for


def curve_of(sampler):
    """The other entrance to a sampler."""
    return phase_curve(sampler, [2.0], n_samples=500, random_state=0)["energy"].value


ESTIMATORS = [
    (clone(MADE).set_params(lattice_shape=SHAPE), lambda m: m.fit(X).score(X)),
    (ISING, lambda m: m.sample(n_samples=3)),
    (ISING, lambda m: m.fit_transform(X)),
    (XY, lambda m: m.sample(n_samples=3)),
    (XY, lambda m: m.fit_transform(X)),
    (XY, lambda m: curve_of(m)),
    (BLOCKS, lambda m: m.fit_transform(X)),
    (PAIRS, lambda m: m.fit(X).energy(X) + m.sample().sum()),
    (FREE, lambda m: m.fit(X).score(X) + m.sample().sum()),
    (LOCAL, lambda m: m.fit(X).score(X) + m.energy(X)),
    (LOCAL, lambda m: m.fit(X).to_sampler().sample(n_samples=3)),
    (ISING, lambda m: curve_of(m)),
    (FREE, lambda m: curve_of(m.fit(X))),
    (PAIRS, lambda m: curve_of(m.fit(X))),
    (LOCAL, lambda m: curve_of(m.fit(X).to_sampler())),
    (clone(MADE).set_params(lattice_shape=SHAPE), lambda m: curve_of(m.fit(X))),
    (EXPANSION, lambda m: m.fit(X, ISING.energy).predict(X)),
    (DomainBinarizer(), lambda m: m.fit_transform(IMAGES)),
]
CURVE = PhaseCurve(
    np.linspace(1, 2, 9), {"heat_capacity": Estimate(1 - np.linspace(-1, 1, 9) ** 2, np.full(9, 0.01))},
    *np.ones((4, 9)), n_sites=9,
)  # fmt: skip
TILTED = PhaseCurve(
    CURVE.temperatures, {"heat_capacity": Estimate(np.linspace(0, 1, 9), np.full(9, 0.01))}, *np.ones((4, 9)), n_sites=9
)
FUNCTIONS = {
    "MADEHamiltonian.sample": (lambda **k: fitted(MADE).sample(**k), "temperature n_samples field method n_chains"),
    "LocalHamiltonian.to_sampler": (lambda **k: fitted(LOCAL).to_sampler(**k).sample(), "lattice_shape temperature"),
    "LocalSampler.sample": (
        lambda **k: fitted(LOCAL).to_sampler().sample(**k),
        "temperature n_samples field method",
    ),
    "IsingSampler.sample": (lambda **k: ISING.sample(**k), "temperature n_samples field"),
    "XYSampler.sample": (lambda **k: XY.sample(**k), "temperature n_samples field method"),
    "helicity_modulus": (
        lambda **k: helicity_modulus(**({"lattice_shape": SHAPE} | k))(X.astype(float)),
        "lattice_shape coupling",
    ),
    "vortex_density": (
        lambda **k: vortex_density(**({"lattice_shape": SHAPE} | k))(X.astype(float)),
        "lattice_shape boundary",
    ),
    "IsingSampler.iter_sample": (
        lambda **k: next(ISING.iter_sample(**({"n_samples": 2} | k)), 0),
        "temperature block_size field",
    ),
    "IndependentSites.sample": (lambda **k: fitted(FREE).sample(**k), "temperature n_samples field"),
    "PseudolikelihoodIsing.sample": (lambda **k: fitted(PAIRS).sample(**k), "temperature n_samples field"),
    "InteractionExpansion.to_sampler": (
        lambda **k: fitted(EXPANSION).to_sampler(**k).sample(),
        "temperature",
    ),
    "phase_curve": (
        lambda **k: phase_curve(**({"sampler": ISING, "temperatures": [2.0], "n_samples": 500} | k))["energy"].value,
        "sampler temperatures field observables n_samples method",
    ),
    "ising_exact": (
        lambda **k: ising_exact(**({"lattice_shape": (4, 4), "temperature": 2.0} | k)).energy,
        "lattice_shape temperature",
    ),
    "peak_temperature": (lambda **k: peak_temperature(CURVE, **k), "observable"),
    "crossing_temperature": (
        lambda **k: crossing_temperature(CURVE, TILTED, **({"observable": "heat_capacity"} | k)),
        "observable",
    ),
    "extract_windows": (
        lambda **k: extract_windows(X, **({"window_shape": 2} | k))[0],
        "window_shape stride masked",
    ),
}


def refused_by_name_or_harmless(function, name, value):
    """Call a function with a hostile argument: an error that names it and shows what came, or finite numbers."""
    try:
        result, error = function(), None
    except (TypeError, ValueError, MemoryError, ArithmeticError, KeyError) as raised:
        result, error = 0.0, raised
    assert np.isfinite(np.asarray(result, dtype=float)).all()
    message = str(error)
    # These say what is too large, diverged or missing; a dict is no key.
    if error is None or isinstance(error, (MemoryError, ArithmeticError, KeyError)) or "unhashable type" in message:
        return
    parts = [value] if isinstance(value, (str, bytes)) or not np.iterable(value) else [value, *value]
    shown = [text(part) for part in parts for text in (repr, str)] + ["array([]"]
    assert name in message, f"unnamed: {message}"
    assert any(one in message for one in shown), f"not shown: {message}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "use", "name"),
    [(e, use, name) for e, use in ESTIMATORS for name in e.get_params() if name not in ELSEWHERE],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_a_hostile_parameter_is_refused_by_its_name_or_does_no_harm(estimator, use, name):
    for value in HOSTILE:
        if not (name in ENDLESS and value is HOSTILE[-1]):
            model = clone(estimator).set_params(**{name: value})
            refused_by_name_or_harmless(lambda model=model: use(model), name, value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("entry", "name"), [(e, name) for e, (_, names) in FUNCTIONS.items() for name in names.split()]
)
def test_a_hostile_argument_is_refused_by_its_name_or_does_no_harm(entry, name):
    function, _ = FUNCTIONS[entry]
    for value in HOSTILE:
        refused_by_name_or_harmless(lambda value=value: function(**{name: value}), name, value)


def test_every_parameter_of_the_tables_exists():
    for entry, (_, names) in FUNCTIONS.items():
        owner, _, method = entry.partition(".")
        here = globals() | {"LocalSampler": type(fitted(LOCAL).to_sampler())}
        function = here[owner] if not method else getattr(here[owner], method)
        assert set(names.split()) <= set(inspect.signature(function).parameters), entry


CURES = {
    "list of images": (
        lambda: LOCAL.fit(list(IMAGES > 0)),
        r"pass np.array\(X\).reshape\(len\(X\), -1\) and lattice_shape=\(6, 6\)",
    ),
    "times and chains": (
        lambda: MADE.fit(np.ones((5, 4, 2, 3))),
        "If several axes count configurations, join these first",
    ),
    "three states": (lambda: PseudolikelihoodIsing().fit([[0, 1]] * 9), "For other states there are LocalHamiltonian"),
    "open rows": (lambda: entropy(LocalHamiltonian(2.0, window_shape=2), X), "fit with boundary='periodic'"),
    "a search": (
        lambda: phase_curve(GridSearchCV(LocalHamiltonian(2.0), {"sparsity": [1.0]}), [2.0]),
        "sampler must have a method",
    ),
    "a finished search": (lambda: phase_curve(FINISHED, [2.0]), r"got GridSearchCV\(.{1,30}: pass its best_estimator_"),
    "flips of labels": (
        lambda: MADEHamiltonian(lattice_shape=(3, 2), symmetries="spin-flip").fit([[0, 1, 2, 0, 1, 2]] * 9),
        "have 'permutation'",
    ),
    "a folder": (lambda: DomainBinarizer().fit("images/"), "got the path 'images/': read it first"),
    "paths": (lambda: DomainBinarizer().fit([Path("a.png"), Path("b.png")]), "got the path 'a.png': read it first"),
}
FINISHED = GridSearchCV(IndependentSites(), {"smoothing": [0.5]})
FINISHED.best_estimator_ = IndependentSites()


@pytest.mark.parametrize("name", CURES)
def test_a_message_names_the_cure(name):
    use, message = CURES[name]
    with pytest.raises((TypeError, ValueError), match=message):
        use()


@pytest.mark.parametrize("missing", [False, True])
def test_the_advised_encoder_has_one_map_and_finds_what_is_missing(missing):
    """A column that is always up has the number of up; a missing category does not become a state."""
    names = np.where(X > 0, "up", "down")
    names[:, 0] = "up"
    frame = pd.DataFrame(names, columns=NAMES).astype("category")
    encoder = OrdinalEncoder(categories=[["down", "up"]] * 6)
    if missing:
        frame.iloc[2, 3] = None
        with pytest.raises(ValueError, match="nan"):
            IndependentSites().fit(encoder.fit_transform(frame))
    else:
        np.testing.assert_array_equal(encoder.fit_transform(frame), names == "up")


def test_numbers_of_numpy_are_shown_as_numbers():
    for T, shown in ((np.float64(-1), r"-1\.0"), (np.float32(np.nan), "nan")):
        with pytest.raises(ValueError, match=rf"temperature must be a positive number, got {shown}$"):
            ISING.sample(T)
    with pytest.raises(ValueError, match=r"n_samples must be an integer >= 0, got -1$"):
        ISING.sample(n_samples=np.int64(-1))
