"""Micrographs whose spins are known."""

import sys
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import find_peaks
from skimage import filters

from skhamiltonian import DomainBinarizer, IsingSampler, extract_windows
from skhamiltonian._coarse.binarizer import count_modes, separation
from skhamiltonian._coarse.levels import domain_range, site_levels


@pytest.fixture(scope="module")
def spins():
    return IsingSampler((64, 64), temperature=2.6, random_state=0).sample(n_samples=4).reshape(4, 64, 64)


def micrograph(spins, noise, slope, seed=0):
    rng = np.random.default_rng(seed)
    pixels = spins.repeat(3, axis=1).repeat(3, axis=2)
    tilt = slope * np.linspace(-1, 1, pixels.shape[2])
    return 200.0 + 40.0 * pixels + tilt + noise * rng.normal(size=pixels.shape)


@pytest.mark.parametrize("threshold", ["otsu", "li", 200.0])
def test_spins_come_back_from_noise_and_a_tilted_illumination(spins, threshold):
    binarizer = DomainBinarizer(threshold, background="plane", pixels_per_site=3)
    found = binarizer.fit_transform(micrograph(spins, 30, 60))
    assert found.dtype == np.int8
    assert np.mean(found != spins) < 0.005
    np.testing.assert_allclose(binarizer.up_fraction_, (found == 1).mean(axis=(1, 2)))
    assert abs(binarizer.threshold_ - 200) < 15
    assert binarizer.n_modes_ == 2


def test_without_its_background_an_image_is_misread(spins):
    with pytest.warns(UserWarning, match=r"are not well separated: .* differ by 2\.\d times"):
        found = DomainBinarizer(200.0, pixels_per_site=3).fit_transform(micrograph(spins, 1, 60))
    assert np.mean(found != spins) > 0.05


def test_gaussian_background_takes_out_what_no_plane_is(spins):
    y = np.linspace(-1, 1, 192)
    images = micrograph(spins, 5, 0) + 70 * (y**2 + y[:, None] ** 2)
    plain = DomainBinarizer(background="plane", pixels_per_site=3)
    with pytest.warns(UserWarning, match="are not well separated"):
        wrong = np.mean(plain.fit_transform(images) != spins)
    blurred = DomainBinarizer(background="gaussian", background_sigma=12, pixels_per_site=3)
    assert np.mean(blurred.fit_transform(images) != spins) < 0.25 * wrong


def test_a_blurred_background_has_the_mean_zero_over_the_sites_that_count():
    """Half a picture is masked, a tenth of the rest is far too bright: neither changes the mean of the others."""
    rng = np.random.default_rng(0)
    image = np.ma.array(100 + np.add.outer(np.linspace(0, 50, 40), np.zeros(40)) + rng.normal(size=(40, 40)))
    image[:20] = np.ma.masked
    image[20:22] = 1000
    limits = np.array([0.0, 200.0])
    counts = ~image.mask & (image.data <= 200)
    level = site_levels(image, 1, limits, "gaussian", 5.0)
    np.testing.assert_array_equal(level.counts, counts)
    assert level.counted().mean() == pytest.approx(image.data[counts].mean())
    assert level.counted().std() < image.data[counts].std() / 2


def test_the_share_of_up_is_that_of_unmasked_sites():
    """A masked pixel keeps its intensity, which is that of up here."""
    image = np.ma.array(np.where(np.random.default_rng(0).random((30, 30)) < 0.4, 10.0, 0.0))
    image[:10] = 10.0
    image[:10] = np.ma.masked
    binarizer = DomainBinarizer(pixels_per_site=1).fit(image)
    assert binarizer.up_fraction_ == pytest.approx([np.mean(image.data[10:] > 5)])


@pytest.mark.parametrize("background", ["plane", "gaussian"])
def test_masked_pixels_do_not_touch_the_background_of_the_others(spins, background):
    images = np.ma.array(micrograph(spins, 10, 60), mask=False)
    images[:, :90, :90] = 1e5
    images[:, :90, :90] = np.ma.masked
    found = DomainBinarizer(background=background, background_sigma=8, pixels_per_site=3).fit_transform(images)
    assert found.mask.sum() == 4 * 30 * 30
    assert np.mean(found != spins) < 0.01


@pytest.mark.parametrize("background", [None, "plane", "gaussian"])
def test_an_image_that_is_masked_changes_no_other(spins, background):
    images = micrograph(spins, 10, 0)
    images[0] = np.nan
    binarizer = DomainBinarizer(background=background, pixels_per_site=3)
    others = binarizer.fit_transform(images)[1:]
    assert np.isnan(binarizer.up_fraction_[0])
    np.testing.assert_array_equal(others, binarizer.fit_transform(images[1:]))


@pytest.mark.parametrize("background", ["plane", "gaussian"])
def test_a_background_is_taken_out_up_to_its_mean(spins, background):
    binarizer = DomainBinarizer(background=background, background_sigma=20, pixels_per_site=3)
    assert abs(binarizer.fit(micrograph(spins, 10, 60)).threshold_ - 200) < 15


def test_otsu_lies_half_way_between_two_levels_and_li_is_that_of_scikit_image(spins):
    assert DomainBinarizer().fit(10.0 * (spins > 0)).threshold_ == 5
    skewed = np.random.default_rng(0).gamma(2.0, size=(64, 64)) + 3 * (spins[0] > 0)
    with pytest.warns(UserWarning, match="are not well separated"):
        assert DomainBinarizer("li").fit(skewed).threshold_ == filters.threshold_li(skewed)


def test_a_single_reversed_spin_is_a_mode_of_an_image_of_two_levels():
    image = np.ones((64, 64))
    image[3, 5] = -1
    assert DomainBinarizer().fit(image).n_modes_ == 2


def test_spins_from_tiff_files_are_those_of_the_arrays(spins, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    images = micrograph(spins, 10, 60).astype(np.uint16)
    for k, image in enumerate(images):
        tifffile.imwrite(tmp_path / f"{k}.tif", image)
    read = [tifffile.imread(path) for path in sorted(tmp_path.glob("*.tif"))]
    binarizer = DomainBinarizer(background="plane", pixels_per_site=3)
    np.testing.assert_array_equal(np.stack(binarizer.fit_transform(read)), spins)


def test_a_quantile_prescribes_the_up_fraction(spins):
    with pytest.warns(UserWarning, match="are not well separated"):
        binarizer = DomainBinarizer("quantile", quantile=0.7).fit(micrograph(spins, 10, 0))
    assert abs(binarizer.up_fraction_.mean() - 0.3) < 1e-4


def test_the_threshold_is_common_so_images_may_be_magnetized(spins):
    images = np.stack([np.full((64, 64), 1), np.full((64, 64), -1)]) * 10.0
    np.testing.assert_array_equal(DomainBinarizer().fit(images).up_fraction_, [1, 0])


def test_local_threshold_is_that_of_a_neighbourhood(spins):
    image = micrograph(spins, 0, 500)[0]
    binarizer = DomainBinarizer("local", block_size=61, pixels_per_site=3)
    with pytest.warns(UserWarning, match="are not well separated"):
        found = binarizer.fit_transform(image)
    assert np.mean(found != spins[0]) < 0.2
    level = image.reshape(64, 3, 64, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(found == 1, level > filters.threshold_local(level, 61))


def test_one_mode_is_reported():
    image = np.random.default_rng(0).normal(size=(128, 128))
    with pytest.warns(UserWarning, match="are not well separated"):
        assert DomainBinarizer().fit(image).n_modes_ == 1


def test_form_of_the_images_is_kept(spins):
    images = micrograph(spins, 1, 0)
    binarizer = DomainBinarizer().fit(images)
    stack = binarizer.transform(images)
    np.testing.assert_array_equal(binarizer.transform(images[0]), stack[0])
    parts = binarizer.transform([images[0], images[1, :50]])
    assert [part.shape for part in parts] == [(64, 64), (16, 64)]


def test_gaps_stay_gaps_and_windows_with_gaps_are_refused_or_skipped(spins):
    images = micrograph(spins, 1, 0)
    images[2, 0, 0] = np.nan
    found = DomainBinarizer(pixels_per_site=3).fit_transform(images)
    assert found.mask.sum() == 1
    assert found.mask[2, 0, 0]
    with pytest.raises(ValueError, match="1 of 64 windows hold masked or NaN sites: crop"):
        extract_windows(found, 16)
    with pytest.warns(UserWarning, match="1 of 64 windows .* are skipped"):
        X, groups = extract_windows(found, 16, masked="skip")
    np.testing.assert_array_equal(np.bincount(groups), [16, 16, 15, 16])
    assert X.dtype == np.int8
    with pytest.raises(ValueError, match="requires images without masked"):
        DomainBinarizer("local").fit(images)


@pytest.mark.parametrize("stride", [None, 3, (2, 5)])
def test_windows_are_those_of_a_loop(stride):
    images = np.arange(2 * 11 * 13).reshape(2, 11, 13)
    X, groups = extract_windows(images, (4, 3), stride=stride)
    down, right = {None: (4, 3), 3: (3, 3)}.get(stride, stride)
    brute = [
        (image[i : i + 4, j : j + 3].ravel(), n)
        for n, image in enumerate(images)
        for i in range(0, 11 - 4 + 1, down)
        for j in range(0, 13 - 3 + 1, right)
    ]
    np.testing.assert_array_equal(X, [window for window, _ in brute])
    np.testing.assert_array_equal(groups, [n for _, n in brute])


@pytest.mark.parametrize(
    ("parameters", "images", "message"),
    [
        ({"threshold": "mean"}, np.eye(4), "threshold must be one of 'otsu', .*, got 'mean'"),
        ({"quantile": 1.0}, np.eye(4), "quantile must be a number in"),
        ({"block_size": 4}, np.eye(4), "block_size must be odd, got 4"),
        ({"pixels_per_site": 5}, np.eye(4), "pixels_per_site must be at most 4 for an image of shape"),
        ({}, np.ones((4, 4)), "one intensity only"),
        (
            {"pixels_per_site": 2},
            np.indices((8, 8)).sum(axis=0) % 2,
            "pixels_per_site=2 must leave domains",
        ),
        ({}, 0.3 + 1e-16 * np.eye(8), "one intensity only"),
        (
            {"background": "plane"},
            0.1 * np.add.outer(np.arange(40), 3 * np.arange(40)),
            "'plane' .* one intensity only",
        ),
        ({}, np.eye(8) * 1e-200, "intensities must be of order 1e-100 to 1e100, got up to 1e-200"),
        ({}, np.eye(8) * 1e200, "intensities must be of order 1e-100 to 1e100, got up to 1e.200"),
        ({"pixels_per_site": "big"}, np.eye(4), "pixels_per_site must be 'auto' or an integer >= 1, got 'big'"),
        ({}, np.ones((9, 9, 3)), "which has colours: use skimage.color.rgb2gray"),
        ({}, np.ones((9, 9, 1)), r"which has one channel: pass images\[..., 0\]"),
        ({}, [], "at least one image"),
        ({}, np.ones(4), r"image 0 must be a 2-D array of grey levels, got shape \(4,\)"),
        ({}, np.full((3, 3), np.nan), "masked pixels only"),
        ({}, np.array([[np.inf, 1.0]]), "image 0 must have finite intensities"),
    ],
)
def test_what_is_no_image_is_refused(parameters, images, message):
    with pytest.raises(ValueError, match=message):
        DomainBinarizer(**parameters).fit(images)


def test_a_window_may_be_the_whole_image():
    X, groups = extract_windows(np.arange(12).reshape(3, 4), (3, 4))
    np.testing.assert_array_equal(X, [np.arange(12)])
    np.testing.assert_array_equal(groups, [0])


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"window_shape must fit into image 0 of shape \(4, 9\), got \(5, 5\)"):
        extract_windows(np.ones((4, 9)), 5)


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        DomainBinarizer().fit(np.eye(4))


def discs(seed, contrast=32, noise=23, n_discs=60, shape=(512, 672)):
    """8-bit picture of dark discs on a bright field, as noisy as a Kerr micrograph, and where the discs are."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    centres, dark = [], np.zeros(shape, dtype=bool)
    while len(centres) < n_discs:
        place = rng.uniform((10, 10), (shape[0] - 10, shape[1] - 10))
        if all(np.hypot(*(place - other)) > 30 for other in centres):
            centres.append(place)
            dark |= (y - place[0]) ** 2 + (x - place[1]) ** 2 < rng.uniform(8, 12) ** 2
    grey = 129 - contrast * gaussian_filter(dark.astype(float), 1.5) + noise * rng.normal(size=shape)
    return np.clip(np.round(grey), 0, 255).astype(np.uint8), dark, np.array(centres)


@pytest.mark.parametrize("seed", range(3))
def test_the_defaults_find_dark_discs_in_a_noisy_picture(seed):
    """At least 97 % of the discs are found, and at most 2 % of the background misread."""
    image, dark, centres = discs(seed)
    binarizer = DomainBinarizer()
    found = binarizer.fit_transform(image) < 0
    n = binarizer.pixels_per_site_
    pixels = np.kron(found, np.ones((n, n), dtype=bool))
    background = ~dark[: pixels.shape[0], : pixels.shape[1]]
    assert np.mean([found[tuple((centre // n).astype(int))] for centre in centres]) >= 0.97
    assert pixels[background].mean() <= 0.02
    assert binarizer.separation_ > 4


@pytest.mark.parametrize("contrast", [0, 4])
def test_discs_that_cannot_be_found_are_said(contrast):
    image, _, _ = discs(0, contrast, shape=(256, 256), n_discs=20)
    with pytest.warns(UserWarning, match=r"are not well separated: .* differ by [23]\.\d times the noise"):
        binarizer = DomainBinarizer().fit(image)
    assert binarizer.pixels_per_site_ == 1


def test_the_comb_of_grey_levels_is_no_mode():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        image = np.round(rng.normal(120, rng.uniform(3, 30), (300, 300))).astype(np.uint8)
        assert count_modes(image.ravel().astype(float)) == 1
    image = np.round(np.concatenate([rng.normal(80, 8, 50_000), rng.normal(150, 8, 50_000)]))
    assert count_modes(image) == 2


@pytest.mark.parametrize("seed", range(12))
def test_modes_are_those_of_a_kernel_density(seed):
    """Silverman's rule, a kernel at each value, maxima on a fine grid that stand out by four sigma of their noise."""
    rng = np.random.default_rng(seed)
    centres, widths = np.cumsum(rng.uniform(0, 5, 4)), rng.uniform(0.05, 0.8, 4)
    values = np.concatenate([rng.normal(c, w, 500) for c, w in zip(centres, widths, strict=True)])
    spread = min(values.std(), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.34)
    width = 0.9 * spread * len(values) ** -0.2
    grid = np.arange(values.min() - 4 * width, values.max() + 4 * width, width / 10)
    kernel = np.exp(-((grid[:, None] - values) ** 2) / (2 * width**2)) / (np.sqrt(2 * np.pi) * width)
    density = kernel.sum(axis=1)
    noise = 1 / np.sqrt(2 * np.sqrt(np.pi) * width * density.max())
    wanted = find_peaks(density, prominence=density.max() * max(0.02, 4 * noise))[0]
    assert count_modes(values) == len(wanted)


def test_separation_is_that_of_two_normal_classes():
    rng = np.random.default_rng(0)
    margin = np.concatenate([rng.normal(5, 1, 10**5), rng.normal(-5, 1, 10**5)])
    assert separation(margin) == pytest.approx(10, abs=0.05)
    assert separation(rng.normal(size=10**5)) == pytest.approx(2 / np.sqrt(np.pi / 2 - 1), abs=0.02)
    assert separation(np.array([1.0, -1.0])) == np.inf
    assert separation(np.ones(3)) == 0


def overlaid(spins, kind):
    """Domains at 900 and 1100, with what belongs to none."""
    rng = np.random.default_rng(0)
    images = (1000 + 100 * spins.astype(int) + rng.normal(0, 15, spins.shape)).astype(np.uint16)
    if kind == "scale bar":
        images[:, 58:62, 40:60] = 4095
    elif kind == "strip":
        images[:, 56:] = 0
    elif kind == "hot pixel":
        images[0, 3, 5] = 65535
    elif kind == "hot pixels":
        images.reshape(-1)[rng.integers(0, images.size, 40)] = rng.integers(3000, 65535, 40)
    elif kind == "both ends":
        images[:, :2], images[:, 2:4] = 0, 65535
    return images


@pytest.mark.parametrize("background", [None, "plane", "gaussian"])
@pytest.mark.parametrize("kind", ["scale bar", "strip", "hot pixel", "hot pixels", "both ends"])
def test_what_is_no_domain_does_not_own_the_threshold(spins, kind, background):
    images = overlaid(spins, kind)
    binarizer = DomainBinarizer(background=background, background_sigma=20)
    with pytest.warns(UserWarning, match="% of the pixels are outside .*mask these"):
        found = binarizer.fit_transform(images)
    domains = (images > 700) & (images < 1300)
    assert abs(binarizer.threshold_ - 1000) < 20
    assert np.mean((found == spins)[domains]) > 0.99
    np.testing.assert_array_equal(binarizer.intensity_range_, [images[domains].min(), images[domains].max()])


def test_masked_overlays_are_not_mentioned(spins):
    images = np.ma.masked_equal(overlaid(spins, "scale bar"), 4095)
    found = DomainBinarizer().fit_transform(images)
    np.testing.assert_array_equal(found.filled(9), np.where(found.mask, 9, spins))


def test_a_domain_of_one_level_is_no_overlay(spins):
    """A camera that clips the dark domain to zero."""
    images = np.where(spins > 0, np.random.default_rng(0).normal(200, 10, spins.shape), 0)
    np.testing.assert_array_equal(DomainBinarizer().fit_transform(images), spins)


def test_a_third_mode_is_said(spins):
    images = overlaid(spins, "none").astype(float)
    images[:, :16] = np.random.default_rng(1).normal(1600, 15, (4, 16, 64))
    with pytest.warns(UserWarning, match="has 3 modes instead of two, up and down: mask pixels"):
        DomainBinarizer().fit(images)


def test_images_in_another_unit_than_those_of_fit_are_said(spins):
    """Readers give bytes or numbers from 0 to 1; the threshold of one lies beyond all pixels of the other."""
    grey = (128 + 80.0 * spins).astype(np.uint8)
    binarizer = DomainBinarizer().fit(grey)
    for bright in (grey, grey + np.uint8(40)):
        np.testing.assert_array_equal(binarizer.transform(bright), binarizer.transform(grey))
    with pytest.warns(UserWarning, match=r"nearly all pixels are on one side of \[48, 208\].* such as bytes or 0 to 1"):
        binarizer.transform(grey / 255)


def test_images_whose_types_have_different_ranges_are_not_mixed(spins):
    """A colour image that is read as grey is between 0 and 1, a grey one between 0 and 255."""
    images = (micrograph(spins, 5, 0) - 80).astype(np.uint8)
    for others, name in ((images / 255, "float and uint8"), (images.astype(np.uint16) * 16, "uint16 and uint8")):
        with pytest.raises(ValueError, match=f"images must have intensities of one type, got {name}"):
            DomainBinarizer().fit([images[0], others[1]])


def test_wide_and_narrow_floats_and_integers_are_numbers_of_one_kind(spins):
    images = micrograph(spins, 5, 0)
    mixed = [images[0].astype(np.float32), images[1].astype(np.float64), *np.round(images[2:]).astype(np.int64)]
    binarizer = DomainBinarizer(pixels_per_site=3).fit(mixed)
    assert (binarizer.transform(images) == spins).all()


GREY = 100 + np.linspace(0, 1, 2001)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([GREY, [101.6]], [100, 101]),  # a gap of more than half the range
        ([GREY, [101.4]], [100, 101.4]),
        ([GREY, [101.6, 101.65]], [100, 101.65]),  # two are not alone
        ([*[GREY] * 8, 110 + 10 * np.arange(70)], [100, 101]),  # 64 by their gaps, 6 by their distance
        ([GREY, [103] * 1200], [100, 101]),  # 37 % of the pixels
        ([GREY, [103] * 1500], [100, 103]),  # 43 %
        ([[100] * 500, [101] * 500], [100, 101]),
        ([[100] * 500], [100, 100]),
    ],
)
def test_the_range_of_domains_has_no_lonely_intensities(values, wanted, sign):
    np.testing.assert_allclose(domain_range(sign * np.concatenate(values)), np.sort(sign * np.array(wanted)))


def test_squares_that_hold_several_spins_are_named():
    """Spins of 2 x 2 pixels that begin anywhere in an image, in squares of 4 x 4: sites hold several spins."""
    spins = np.random.default_rng(0).choice([-1.0, 1.0], (2, 80, 80))
    pixels = np.kron(spins, np.ones((2, 2))) + np.random.default_rng(1).normal(0, 0.1, (2, 160, 160))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="up and down are not well separated")
        with pytest.warns(UserWarning, match="fewer pixels_per_site than 4 if squares of 4 x 4 pixels hold"):
            binarizer = DomainBinarizer(pixels_per_site=4).fit([pixels[0], pixels[1, 1:, 1:]])
    assert binarizer.squares_ is None
