"""PhaseCurve: files that return what was saved or refuse, frames, datasets and the table."""

import pickle
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from skhamiltonian import IsingSampler, MADEHamiltonian, PhaseCurve, phase_curve
from skhamiltonian._montecarlo.draws import with_error


@pytest.fixture(scope="module")
def curve(spins):
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(spins(500, 9))
    corner = {"corner": lambda X: X.mean(axis=1) > 0.5}
    options = {"field": 0.1, "observables": corner, "method": "metropolis", "n_samples": 2000, "random_state": 0}
    return phase_curve(made, [2.0, 2.5, 3.0], **options)


def test_save_and_load_return_the_same_curve(curve, tmp_path):
    curve.save(tmp_path / "curve")
    loaded = PhaseCurve.load(tmp_path / "curve")
    assert list(loaded.observables) == list(curve.observables)
    for name in curve.observables:
        np.testing.assert_array_equal(loaded[name], curve[name])
    for name in ("temperatures", "effective_sample_size", "r_hat", "support", "acceptance"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(curve, name))
    assert (loaded.n_sites, loaded.field, loaded.data_temperature) == (9, 0.1, 2.5)
    assert repr(loaded) == repr(curve)
    assert loaded.spread is None
    assert list(loaded.parameter_shifts) == list(curve.parameter_shifts)
    for name, shift in curve.parameter_shifts.items():
        np.testing.assert_array_equal(loaded.parameter_shifts[name], shift)
    assert loaded.parameters is None
    replace(curve, parameters="abc").save(tmp_path / "curve")
    assert PhaseCurve.load(tmp_path / "curve").parameters == "abc"
    replace(curve, parameter_shifts=None).save(tmp_path / "curve")
    assert PhaseCurve.load(tmp_path / "curve").parameter_shifts is None


def test_a_damaged_file_is_one_clear_error_or_the_same_curve(curve, tmp_path):
    """Truncated anywhere: refused. One bit flipped: refused, unless it was in what zip does not use."""
    path = tmp_path / "curve.npz"
    curve.save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for length in [0, 1, 100, *rng.integers(len(whole), size=50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"curve.npz' is not a PhaseCurve file, or is damaged"):
            PhaseCurve.load(path)
    refused = 0
    for bit in rng.integers(8 * len(whole), size=500):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert repr(PhaseCurve.load(path)) == repr(curve)
        except ValueError as error:
            refused += "is damaged" in str(error)
    assert refused > 300


@pytest.mark.parametrize(
    "tampered",
    [
        {"temperatures": np.array([2.0, -2.5, 3.0])},
        {"temperatures": np.array([2.0, 2.5])},
        {"value_1": np.zeros((3, 3))},
        {"error_1": np.zeros(3, dtype=np.float32)},
        {"names": np.array(["a"] * 7)},
        {"names": np.arange(7)},
        {"r_hat": np.zeros(4)},
        {"scalars": np.array([9.5, 0.0, 2.5])},
        {"scalars": np.array([9.0, np.nan, 2.5])},
        {"scalars": np.array([9.0, 0.0, -2.5])},
        {"scalars": np.array([9.0])},
        {"spread_0": np.zeros(2)},
        {"support": np.array([None, 1, 2])},
    ],
)
def test_contents_that_cannot_be_a_curve_are_refused(curve, tmp_path, tampered):
    path = tmp_path / "curve.npz"
    curve.save(path)
    with np.load(path) as stored:
        arrays = dict(stored) | tampered
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="is not a PhaseCurve file, or is damaged"):
        PhaseCurve.load(path)


def test_loading_runs_no_code(curve, tmp_path):
    class Payload:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "curve.npz"
    curve.save(path)
    with np.load(path) as stored:
        arrays = dict(stored) | {"support": np.array([Payload(), 1, 2])}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="is not a PhaseCurve file, or is damaged"):
        PhaseCurve.load(path)
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused_and_a_missing_one_is_missing(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text").write_text("temperature,energy")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("temperatures.npy", "not an array")
    for name in ("array.npy", "text", "other.zip"):
        with pytest.raises(ValueError, match="is not a PhaseCurve file"):
            PhaseCurve.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        PhaseCurve.load(tmp_path / "missing")


def test_frame_has_a_row_for_each_temperature(curve):
    frame = curve.to_frame()
    np.testing.assert_array_equal(frame["temperature"], [2.0, 2.5, 3.0])
    for name, (value, error) in curve.observables.items():
        np.testing.assert_array_equal(frame[[name, f"{name}_error"]], np.transpose([value, error]))
    np.testing.assert_array_equal(frame["support"], curve.support)


def test_dataset_holds_what_the_curve_holds(curve, monkeypatch):
    pytest.importorskip("xarray")
    dataset = curve.to_xarray()
    np.testing.assert_array_equal(dataset["temperature"], [2.0, 2.5, 3.0])
    for name, (value, error) in curve.observables.items():
        np.testing.assert_array_equal(dataset[name], value)
        np.testing.assert_array_equal(dataset[f"{name}_error"].sel(temperature=2.5), error[1])
    np.testing.assert_array_equal(dataset["support"], curve.support)
    assert dataset.attrs == {"n_sites": 9, "field": 0.1, "data_temperature": 2.5}
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="pip install xarray"):
        curve.to_xarray()


def test_frame_without_pandas_says_what_to_install(curve, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        curve.to_frame()


def test_table_fits_a_terminal_and_shows_errors(curve):
    head, columns, *rows = repr(curve).splitlines()
    assert head == "PhaseCurve: 9 sites, field 0.1, learned at T0 = 2.5, energies from F(T0)"
    assert columns.split()[:2] == ["T", "abs_magnetization"]
    assert len(rows) == 3
    assert rows[0].split()[1] == with_error(curve["abs_magnetization"].value[0], curve["abs_magnetization"].error[0])
    assert columns.endswith("support")
    assert max(map(len, (columns, *rows))) <= 100
    assert repr(phase_curve(IsingSampler((3, 3)), [2.0], n_samples=2000)).splitlines()[1].endswith("r_hat")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.67128, 0.00231, "0.6713(23)"),
        (-1.4, 0.25, "-1.40(25)"),
        (1234.5, 23.0, "1234(23)"),
        (0.5, np.nan, "0.5(?)"),
        (1, 0, "1"),
        (2, 1e-15, "2"),
        (0, 0.02, "0.000(20)"),
        (-1.3803e-21, 1.2e-24, "-1.3803(12)e-21"),
        (0.0, 2.8e-32, "0.0(28)e-32"),
        (3.04e-5, 2.6e-7, "0.00003040(26)"),
        (0.0, 1e-300, "0.0(10)e-300"),
        (-2.5e90, 1.3e88, "-2.500(13)e90"),
        (123456789.0, 12345.0, "123456789(12345)"),
        (np.inf, 1, "inf"),
    ],
)
def test_errors_are_written_in_the_last_digits(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize("path", [None, 0, True, 1.5, ["curve.npz"]])
def test_a_path_is_a_path_and_no_file_descriptor(curve, path):
    for function in (PhaseCurve.load, curve.save):
        with pytest.raises(TypeError, match=f"not {type(path).__name__}"):
            function(path)


def test_a_folder_that_is_missing_is_named(curve, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere: make it first"):
        curve.save(tmp_path / "nowhere" / "curve.npz")


def test_an_observable_as_an_attribute_gets_the_way_to_it(curve):
    with pytest.raises(AttributeError, match=r"its value and error are curve\['energy'\]"):
        curve.energy  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'energies'$"):
        curve.energies  # noqa: B018
    assert repr(pickle.loads(pickle.dumps(curve))) == repr(curve)
