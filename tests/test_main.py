"""`python -m skhamiltonian` shows lines that run, and refuses what it cannot read."""

import contextlib
import re
from importlib.metadata import packages_distributions
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skhamiltonian import Estimate, IsingSampler, extract_windows, peak_temperature
from skhamiltonian.__main__ import main, run


@pytest.fixture(scope="module")
def packages():
    return packages_distributions()


@pytest.fixture(autouse=True)
def packages_are_listed_once(packages, monkeypatch):
    """Half a second a call."""
    monkeypatch.setattr("skhamiltonian.__main__.packages_distributions", lambda: packages)


def test_lines_are_shown_as_they_run(capsys):
    run("x = [1,\n     2]\n\n# a remark\nprint(sum(x))\n")
    assert capsys.readouterr().out == ">>> x = [1,\n...      2]\n>>>\n>>> # a remark\n>>> print(sum(x))\n3\n"


@pytest.mark.parametrize("name", ["skhamiltonian", "numpy", "random.py"])
def test_the_script_never_hides_a_package(name, tmp_path, capsys):
    """Python looks for modules beside a script first, so that a second run would import the lines of the first."""
    with pytest.raises(SystemExit):
        main(["--output", str(tmp_path / name)])
    assert "would be imported in place of a package" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", "0", "must be a positive number, got 0"),
        ("--temperature", "nan", "must be a positive number, got nan"),
        ("--output", "", "must be the name of a file"),
        ("--pixels-per-site", "0", "must be at least 1, got 0"),
        ("--output", "no/such/folder", "cannot be written"),
    ],
)
def test_options_that_cannot_be(option, value, message, capsys):
    with pytest.raises(SystemExit):
        main([option, value])
    assert message in capsys.readouterr().err


def test_pixels_are_of_images(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(write("rows", tmp_path)), "--pixels-per-site", "2"])
    assert "--pixels-per-site is for images" in capsys.readouterr().err


def test_an_archive_is_no_array_and_one_bad_image_is_named(tmp_path, capsys):
    from skimage.io import imsave

    with open(tmp_path / "archive.npy", "wb") as file:
        np.savez(file, first=np.ones((5, 4)))
    (tmp_path / "images").mkdir()
    imsave(tmp_path / "images" / "a.png", np.eye(9, dtype=np.uint8), check_contrast=False)
    (tmp_path / "images" / "b.tif").write_bytes(b"x")
    for name, message in (("archive.npy", "must hold one array, got an archive of first"), ("images", "b.tif cannot")):
        with pytest.raises(SystemExit):
            main([str(tmp_path / name)])
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npy", None, "there is no"),
        ("text.csv", b"1,2", "must be a .npy file, an image"),
        ("flat.npy", np.zeros(3), "of shape"),
        ("words.npy", np.array([["a", "b"]]), "must hold numbers"),
        ("objects.npy", np.array([[None]], dtype=object), "cannot be read"),
        ("broken.npy", b"x", "cannot be read"),
        ("nothing.npy", b"", "cannot be read"),
        ("empty.npy", np.zeros((0, 4)), "of shape (n, n_sites)"),
        ("chains.npy", np.ones((2, 3, 4, 4)), "join axes that count configurations, X.reshape(-1, height, width)"),
        ("one.npy", np.ones((1, 4)), "at least two configurations"),
        ("small.npy", np.arange(18).reshape(2, 3, 3), "edges of at least 5 pixels, got 3"),
        ("broken.tif", b"x", "cannot be read"),
        ("cut.tif", b"II*\x00\x08\x00\x00\x00\x01\x00", "cut.tif cannot be read"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00", "cut.png cannot be read"),
        ("folder", "folder", "holds no images"),
    ],
)
def test_what_it_cannot_read(name, content, message, tmp_path, capsys):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.mkdir()
    elif content is not None:
        np.save(path, content)
    with pytest.raises(SystemExit):
        main([str(path)])
    assert message in capsys.readouterr().err


def microscope(rng, n_images=3):
    """Return grey images of domains, and noise."""
    ising = IsingSampler((48, 48), 2.5, random_state=0)
    spins = ising.sample(n_samples=n_images).reshape(-1, 48, 48)
    return (100 + 50 * spins + rng.normal(scale=5, size=spins.shape)).astype(np.uint8)


def write(kind, folder):
    """Write data of one kind and return their path."""
    from skimage.io import imsave
    from tifffile import imwrite

    rng, path = np.random.default_rng(0), folder / "data"
    if kind in ("rows", "lattices", "stack"):
        path = path.with_suffix(".npy")
        rows = rng.choice([-1, 1], size=(500, 12), p=[0.4, 0.6])
        np.save(path, {"rows": rows, "lattices": rows.reshape(-1, 3, 4)}.get(kind, microscope(rng)))
    elif kind.startswith("pages"):
        path = path.with_suffix(".tif")
        imwrite(path, microscope(rng, int(kind[-1])), photometric="minisblack")
    elif kind == "image":
        path = path.with_suffix(".png")
        imsave(path, microscope(rng)[0], check_contrast=False)
    else:
        path.mkdir()
        for number, image in enumerate(microscope(rng)):
            imsave(path / f"{number}.tif", image, check_contrast=False)
    return path


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("rows", ["lattice_shape=None", "# 500 configurations of 12 sites"]),
        ("lattices", ["lattice_shape=(3, 4)", "# 500 configurations of 3 x 4 sites"]),
        ("stack", ["DomainBinarizer", "values: taken for grey images"]),
        ("folder", ["glob('[!.]*')", "# 3 images"]),
        ("image", ["images = [img_as_float(imread(", "# one image"]),
        ("pages3", ["images = imread(", "# a stack of 3"]),
    ],
)
def test_lines_for_every_kind_of_data(kind, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: compile(source, "", "exec"))
    main([str(write(kind, tmp_path)), "--temperature", "2.5", "--output", str(tmp_path / "first")])
    script = (tmp_path / "first.py").read_text(encoding="utf-8")
    assert all(words in script for words in wanted)
    assert re.search(r"\b[A-Z]{4,}\b", script) is None, "a word of the template is left"


@pytest.mark.parametrize("kind", ["rows", "stack", "folder"])
def test_a_path_may_hold_words_of_the_template(kind, tmp_path, monkeypatch):
    """Paths such as TEMPERATURE_2.5/X.npy or IMAGES/ stay as they are."""
    folder, lines = tmp_path / "PICTURES_OF_DATA_TEMPERATURE_LATTICE_WINDOW_IMAGES_READ", []
    folder.mkdir()
    path = write(kind, folder)
    monkeypatch.setattr("skhamiltonian.__main__.run", lines.append)
    main([str(path), "--output", str(folder / "first")])
    assert lines[0].count(str(folder)) == 2
    assert f"savefig({str(folder / 'first.png')!r})" in lines[0]
    compile(lines[0], "", "exec")


def test_a_name_with_a_point_is_kept(tmp_path, monkeypatch, capsys):
    """The curve at 2.6 must not replace that at 2.5."""
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    for name in ("T2.5", "T2.6", "T2.7.png", "T2.8.py"):
        main(["--output", str(tmp_path / name)])
        assert f"{name[:4]}.png" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["T2.5.py", "T2.6.py", "T2.7.py", "T2.8.py"]


@pytest.mark.parametrize("n_pages", [1, 4])
def test_pages_of_a_file_are_images_and_no_colours(n_pages, tmp_path, monkeypatch):
    """scikit-image takes three or four pages for the colours of one image, and mixes them."""
    path, lines = write(f"pages{n_pages}", tmp_path), []
    monkeypatch.setattr("skhamiltonian.__main__.run", lines.append)
    main([str(path), "--output", str(tmp_path / "first")])
    read = {}
    exec(lines[0].partition("binarizer =")[0], read)
    np.testing.assert_array_equal(read["images"], microscope(np.random.default_rng(0), n_pages))


def test_a_folder_of_one_stack_is_that_stack(tmp_path, monkeypatch):
    folder, lines = tmp_path / "folder", []
    folder.mkdir()
    path = write("pages3", folder)
    monkeypatch.setattr("skhamiltonian.__main__.run", lines.append)
    main([str(folder), "--output", str(tmp_path / "first")])
    assert f"images = imread({str(path)!r})  # a stack of 3" in lines[0]


def test_lines_of_an_earlier_run_stay(tmp_path, monkeypatch, capsys):
    """The user is told to change lines there: equal ones are replaced, and others keep script and picture."""
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    script = tmp_path / "first.py"
    for _ in range(2):
        main(["--output", str(tmp_path / "first")])
        assert "stays as it is" not in capsys.readouterr().out
    script.write_text("mine", encoding="utf-8")
    for _ in range(2):
        main(["--output", str(tmp_path / "first")])
        assert f"first.py holds other lines and stays as it is: these lines are {tmp_path / 'first_2.py'}" in (
            capsys.readouterr().out
        )
    assert script.read_text(encoding="utf-8") == "mine"
    assert "first_2.png" in (tmp_path / "first_2.py").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.py", "first_2.py"]


def test_stacks_in_a_folder_and_odd_channels_are_refused(tmp_path, capsys):
    from tifffile import imwrite

    for name, shape, photometric, planes, message in (
        ("folder", (3, 9, 9), "minisblack", None, "holds a stack of 3 images: give it alone"),
        ("alpha.tif", (9, 9, 2), "minisblack", "contig", "a stack of grey ones, got shape (9, 9, 2) of axes YXS"),
        ("frames.tif", (2, 9, 9, 3), "rgb", None, "a stack of grey ones, got shape (2, 9, 9, 3)"),
    ):
        path = file = tmp_path / name
        if name == "folder":
            path.mkdir()
            file = path / "pages.tif"
            imwrite(path / "one.tif", np.ones((9, 9), np.uint8))
        imwrite(file, np.ones(shape, np.uint8), photometric=photometric, planarconfig=planes)
        with pytest.raises(SystemExit):
            main([str(path), "--output", str(tmp_path / "first")])
        assert message in capsys.readouterr().err


def test_grey_and_colour_images_of_one_folder_are_read_alike(tmp_path, monkeypatch):
    """The line that reads the images is run: intensities are between 0 and 1 in all."""
    from skimage.io import imsave

    grey = np.random.default_rng(0).choice(np.array([60, 200], np.uint8), (40, 40))
    imsave(tmp_path / "a.png", grey, check_contrast=False)
    imsave(tmp_path / "b.png", np.stack([grey] * 3, axis=-1), check_contrast=False)
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    main([str(tmp_path), "--output", str(tmp_path / "first")])
    exec((tmp_path / "first.py").read_text(encoding="utf-8").partition("binarizer = ")[0], names := {})
    for image in names["images"]:
        np.testing.assert_allclose(image, grey / 255, atol=1e-3)


def test_errors_that_are_printed_are_standard_errors(tmp_path, monkeypatch, capsys):
    """The lines up to the couplings are run."""
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    main([str(write("stack", tmp_path)), "--output", str(tmp_path / "first")])
    lines, names = (tmp_path / "first.py").read_text(encoding="utf-8").partition("# Does the learned")[0], {}
    capsys.readouterr()
    exec(lines, names)
    printed = re.findall(r"J/T0 = ([+-][0-9.]+) \+- ([0-9.]+) of", capsys.readouterr().out)
    local = names["local"]
    assert len(printed) == len(local.couplings_) > 0
    for (J, error), wanted, variance in zip(printed, local.couplings_, local.covariance_.diagonal(), strict=True):
        assert float(J) == pytest.approx(wanted, abs=1e-4)
        assert float(error) ** 2 == pytest.approx(variance, rel=0.1)


@pytest.mark.filterwarnings("ignore:these rows hardly determine")  # a pixel within a spin follows from its neighbours
@pytest.mark.filterwarnings("ignore:The error bars at 1 of 1 temperatures", "ignore:up and down change every 4 pixels")
@pytest.mark.filterwarnings("ignore:sites .* have a coupling")
@pytest.mark.parametrize(
    ("option", "blur", "first", "sites", "refused"),
    [
        ([], 0.0, 0, 4, None),
        ([], 0.0, 3, 4, None),
        (["--pixels-per-site", "4"], 0.0, 0, 4, None),
        (["--pixels-per-site", "3"], 0.0, 0, 3, "Sites are not the squares"),
        ([], 2.0, 0, 1, "NOT like these"),
    ],
)
def test_spins_larger_than_pixels_are_found_or_said(option, blur, first, sites, refused, tmp_path, monkeypatch, capsys):
    """The lines before the curve are run, on images without their first rows or with blur that hides the squares."""
    spins = IsingSampler((32, 32), 2.5, random_state=0).sample(n_samples=6).reshape(-1, 32, 32)
    pixels = np.kron(spins, np.ones((4, 4)))[:, first:] + np.random.default_rng(0).normal(0, 0.1, (6, 128 - first, 128))
    np.save(tmp_path / "images.npy", gaussian_filter(pixels, (0, blur, blur)))
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    main([str(tmp_path / "images.npy"), *option, "--output", str(tmp_path / "first")])
    lines = (tmp_path / "first.py").read_text(encoding="utf-8").partition("# A lattice of 64")[0]
    with pytest.raises(SystemExit, match=refused) if refused else contextlib.nullcontext():
        exec(lines, names := {})
    assert names["binarizer"].pixels_per_site_ == sites
    shown = capsys.readouterr().out
    assert ("Like these" in shown) == (refused is None)
    assert (f"begin at row {4 - first} and column 0 now" in shown) == (first > 0)
    if refused is None:
        np.testing.assert_array_equal(np.array(names["spins"]), spins[:, first > 0 :])


@pytest.fixture
def lines_for_images(tmp_path, monkeypatch):
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    main([str(write("stack", tmp_path)), "--output", str(tmp_path / "first")])
    return (tmp_path / "first.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("means", "flips", "words"),
    [
        ([0.1, -0.2, 0.0], True, "-0.033 +- 0.088\nUp and down are taken as equivalent: zero is within three errors"),
        ([0.1, 0.12, 0.11], False, "+0.110 +- 0.006\nUp and down are NOT taken as equivalent: zero is beyond three"),
        ([0.0], False, "NOT taken as equivalent: one image gives no error. To change it, set spin_flip."),
    ],
)
def test_images_decide_whether_up_and_down_are_alike(means, flips, words, lines_for_images, capsys):
    """The decision alone is run, on images of two shapes."""
    lines, given = lines_for_images.partition("# Are up and down")[2].partition("# One energy")[0], []
    exec("# " + lines, names := {"np": np, "spins": [np.full((4, 4 + k), m) for k, m in enumerate(means)]})
    assert names["spin_flip"] == flips
    assert words in capsys.readouterr().out
    names["LocalHamiltonian"] = lambda **options: given.append(options) or SimpleNamespace(fit=lambda X: None)
    fit = lines_for_images.partition("# One energy")[2].partition("for cluster")[0]
    exec("# " + fit, names | {"shape": (4, 4), "windows": None})
    assert ("spin-flip" in given[0]["symmetries"]) == flips


def board(kind, n):
    """Return a lattice: a chessboard, one colour, stripes along one axis or along a diagonal, or noise."""
    y, x = np.indices((n, n))
    noise = np.random.default_rng(0).integers(2, size=(n, n))
    return {"noise": noise, "chess": (x + y) % 2, "full": 0 * x, "stripes": x % 4 < 2, "dots": (x + y) % 4 < 2}[
        kind
    ] * 2 - 1


@pytest.mark.parametrize(
    ("seen", "drawn", "alike"),
    [
        ("chess", "full", False),
        ("full", "chess", False),
        ("chess", "chess", True),
        ("full", "full", True),
        ("stripes", "stripes", True),
        ("stripes", "dots", False),
        ("dots", "noise", False),
    ],
)
def test_draws_are_compared_at_all_distances_and_axes(seen, drawn, alike, lines_for_images):
    """The check alone is run: in dots and in noise, every other pair of next neighbours is equal."""
    images, draws = board(seen, 64), board(drawn, 64)
    names = {
        "np": np,
        "shape": (64, 64),
        "binarizer": SimpleNamespace(n_modes_=2),
        "spins": images[None],
        "extract_windows": extract_windows,
    }
    names["local"] = SimpleNamespace(to_sampler=lambda shape: None)
    names["phase_curve"] = lambda *_, observables, **__: {
        name: (f(draws.reshape(1, -1)), 0 * f(draws.reshape(1, -1))) for name, f in observables.items()
    }
    lines = lines_for_images.partition("make images like these?")[2].partition("# A lattice of 64")[0]
    with contextlib.nullcontext() if alike else pytest.raises(SystemExit, match="NOT like these"):
        exec("# " + lines, names)


@pytest.mark.parametrize(("top", "words"), [(0.3, "below T = 0.3"), (1.55, "above T = 1.6"), (0.6, "at T/T0 = 0.6")])
def test_doubts_about_the_curve_are_printed(top, words, lines_for_images, capsys):
    """The lines after the draws are run: a peak at an end, and chains that disagree."""
    T = np.linspace(0.3, 1.6, 27)
    names = {"T": T, "np": np, "peak_temperature": peak_temperature, "curve": Curve(T, top)}
    exec("for t, m" + lines_for_images.partition("\nfor t, m")[2].partition("display =")[0], names)
    shown = capsys.readouterr().out
    assert "T/T0 = 0.60: <|m|> = 0.5000 +- 0.0100, unreliable: r_hat 1.07 is above 1.05" in shown
    assert shown.count("unreliable") == 1
    assert words in shown


class Curve(dict):
    """A curve with a peak of the heat capacity, and chains that disagree at one temperature."""

    def __init__(self, T, top):
        heat = np.exp(-(((T - top) / 0.2) ** 2))
        m, noise = 0 * T + 0.5, 0 * T + 0.01
        super().__init__(abs_magnetization=Estimate(m, noise), heat_capacity=Estimate(heat, noise))
        self.temperatures, self.parameter_shifts, self.r_hat = T, None, np.where(np.isclose(T, 0.6), 1.07, 1.0)


def test_images_of_one_shape_stay_whole(tmp_path, monkeypatch):
    """The lines before the fit are run. A site at an edge does not count, so cut images have wider errors."""
    spins = np.random.default_rng(0).choice([-1, 1], (3, 12, 13))
    np.save(
        tmp_path / "images.npy", np.kron(spins, np.ones((4, 4))) + np.random.default_rng(1).normal(0, 0.1, (3, 48, 52))
    )
    monkeypatch.setattr("skhamiltonian.__main__.run", lambda source: None)
    main([str(tmp_path / "images.npy"), "--pixels-per-site", "4", "--output", str(tmp_path / "first")])
    names = {}
    exec((tmp_path / "first.py").read_text(encoding="utf-8").partition("# Are up and down")[0], names)
    assert names["shape"] == (12, 13)
    np.testing.assert_array_equal(names["windows"], spins.reshape(3, -1) * names["windows"][0, 0] * spins[0, 0, 0])


def test_data_that_do_not_fit_end_with_their_message(tmp_path, capsys):
    np.save(tmp_path / "angles.npy", np.random.default_rng(0).uniform(0, 6, (50, 4)))
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "angles.npy"), "--output", str(tmp_path / "first")])
    assert stopped.value.code == 1
    assert "states='angle'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nothing", "lattices", "folder"])
def test_a_first_curve(kind, tmp_path, capsys):
    data = [] if kind == "nothing" else [str(write(kind, tmp_path))]
    main([*data, "--output", str(tmp_path / "first")])
    shown = capsys.readouterr().out
    assert "<|m|>" in shown
    assert (tmp_path / "first.png").stat().st_size > 10_000
    script = (tmp_path / "first.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line and f" {line}" not in shown] == []
