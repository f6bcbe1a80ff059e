"""Spins that are squares of pixels, known beforehand: their edge and their place."""

import warnings

import numpy as np
import pytest

from skhamiltonian import DomainBinarizer, IsingSampler
from skhamiltonian._coarse.squares import Squares, _borders, _walls, squares_of_spins


def ising(n_images, length, temperature, seed=0):
    sampler = IsingSampler((length, length), temperature, random_state=seed)
    return sampler.sample(n_samples=n_images).reshape(-1, length, length)


def magnified(spins, edge, row=0, column=0):
    """Pixels of spins, without the first rows and columns, so that the first whole squares begin there."""
    pixels = spins.repeat(edge, axis=1).repeat(edge, axis=2)
    return pixels[:, (edge - row) % edge :, (edge - column) % edge :]


def seen(pixels, most=16):
    return squares_of_spins([np.ma.masked_array(each > 0) for each in pixels], most)


@pytest.mark.parametrize("temperature", [2.1, 3.5])
@pytest.mark.parametrize(
    ("edge", "row", "column"), [(2, 0, 0), (2, 1, 0), (3, 0, 2), (4, 3, 1), (6, 0, 0), (16, 5, 15)]
)
def test_squares_are_those_of_the_pixels(edge, row, column, temperature):
    assert seen(magnified(ising(3, 48, temperature), edge, row, column)) == (edge, row, column)


def test_squares_are_seen_in_images_of_other_shapes_and_through_masks():
    pixels = magnified(ising(2, 48, 2.5), 3)
    images = [np.ma.masked_array(pixels[0] > 0), np.ma.masked_array(pixels[1, :90, :77] > 0)]
    images[0][5:40, 30:33] = np.ma.masked
    assert squares_of_spins(images, 16) == (3, 0, 0)


@pytest.mark.parametrize("temperature", [1.7, 2.0, 2.27, 2.6, 4.0, 1e9])
def test_spins_of_one_pixel_are_no_squares(temperature):
    for seed in range(20):
        assert seen(ising(2, 64, temperature, seed)) is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.where(np.arange(64) // 4 % 2, 1, -1) * np.ones((1, 64, 1)),  # stripes: no walls along the other axis
        np.where(np.add.outer(np.arange(64), np.arange(64)) % 2, 1, -1)[None],  # a wall at each pixel
        np.where(np.add.outer(np.arange(64), np.arange(64)) // 4 % 2, 1, -1)[None],  # diagonal stripes
        np.where(np.add.outer(np.arange(64) > 20, np.arange(64) > 40) == 1, 1, -1)[None],  # two straight walls
        np.ones((1, 64, 64)),
        np.ones((1, 3, 3)),
    ],
)
def test_order_of_spins_of_one_pixel_is_no_square(pixels):
    assert seen(pixels) is None


def test_walls_are_pairs_of_unlike_neighbours_that_are_not_masked():
    up = np.ma.masked_array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], mask=[[0, 0, 1, 0]] + [[0] * 4] * 2).astype(
        bool
    )
    assert _walls(up, 1).tolist() == [1, 1, 1]
    assert _walls(up, 0).tolist() == [1, 2]


def test_excess_is_the_share_of_walls_less_that_by_chance():
    borders = _borders([np.array([0, 6, 1, 5, 0, 4, 0, 5])], 2)  # the walls before columns 1 to 8
    assert borders.first == 0
    assert borders.excess == pytest.approx(20 / 21 - 1 / 2)
    at, elsewhere = np.array([6, 5, 4, 5]), np.array([0, 1, 0, 0])
    assert borders.sigmas == pytest.approx((5 - 0.25) / np.sqrt(at.var(ddof=1) / 4 + elsewhere.var(ddof=1) / 4))
    assert _borders([np.array([0, 7, 0, 7, 0])], 2).sigmas == np.inf
    assert _borders([np.array([3, 3, 3, 3, 3, 3])], 2).sigmas == 0


@pytest.mark.parametrize("noise", [0.0, 0.3, 0.5])
def test_sites_are_the_squares_that_are_seen(noise):
    spins = ising(4, 64, 2.5)
    images = 100 + 20 * (magnified(spins, 3) + noise * np.random.default_rng(0).normal(size=(4, 192, 192)))
    binarizer = DomainBinarizer(background="plane").fit(images)
    assert binarizer.squares_ == Squares(3, 0, 0)
    assert binarizer.pixels_per_site_ == 3
    np.testing.assert_array_equal(binarizer.transform(images), spins)


@pytest.mark.parametrize(("given", "row", "column", "message"), [
    (1, 0, 0, r"up and down change every 2 pixels only, .* squares of 2 x 2 pixels: pass pixels_per_site=2, not 1$"),
    (3, 0, 0, "pass pixels_per_site=2, not 3$"),
    (4, 0, 0, "pass pixels_per_site=2, not 4$"),
    ("auto", 1, 0, r"of 2 x 2 pixels. The first begins at row 1 and column 0: crop images, image\[1:, 0:\]"),
    (2, 0, 1, r"crop images, image\[0:, 1:\]"),
    (3, 1, 1, r"pass pixels_per_site=2, not 3. The first begins at row 1 and column 1"),
])  # fmt: skip
def test_sites_that_are_not_the_squares_are_said(given, row, column, message):
    images = magnified(ising(4, 64, 2.5), 2, row, column).astype(float)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="up and down are not well|the histogram")
        with pytest.warns(UserWarning, match=message):
            DomainBinarizer(pixels_per_site=given).fit(images)
    right = DomainBinarizer(pixels_per_site=2).fit(images[:, row:, column:])  # without a warning
    assert right.squares_ == (2, 0, 0)
