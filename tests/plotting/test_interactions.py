"""InteractionDisplay: bars and maps show the couplings that are there."""

import numpy as np
import pytest

from skhamiltonian import InteractionDisplay, InteractionExpansion, IsingSampler
from skhamiltonian._interactions.operators import Operator
from skhamiltonian._lattice.bonds import nearest_neighbours


@pytest.fixture
def plt():
    plt = pytest.importorskip("matplotlib.pyplot")
    yield plt
    plt.close("all")


@pytest.mark.usefixtures("plt")
def test_bars_show_couplings_and_errors(spins):
    X, noise = spins(400, 16), np.random.default_rng(1).normal(size=400)
    expansion = InteractionExpansion(lattice_shape=(4, 4), sparse=False).fit(X, IsingSampler((4, 4)).energy(X) + noise)
    display = InteractionDisplay.from_estimator(expansion, color="red")
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], expansion.coef_)
    segments = display.bars_.errorbar.lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(s[:, 0]) / 2 for s in segments], expansion.coef_std_)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == [o.name for o in expansion.operators_]


@pytest.mark.usefixtures("plt")
def test_of_many_couplings_the_clearest_have_bars():
    rng = np.random.default_rng(0)
    operators = [Operator(f"pair {k}", np.array([[0, k + 1]]), np.nan) for k in range(40)]
    coupling, error = rng.normal(size=40), rng.random(40) + 0.1
    display = InteractionDisplay(operators=operators, coupling=coupling, error=error, lattice_shape=(41,)).plot()
    shown = np.sort(np.argsort(-np.abs(coupling) / error)[:24])
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], coupling[shown])
    segments = np.array(display.bars_.errorbar.lines[2][0].get_segments())
    np.testing.assert_allclose(np.ptp(segments[:, :, 0], axis=1) / 2, error[shown])


@pytest.mark.usefixtures("plt")
@pytest.mark.parametrize("shape", [(5, 6), (7,)])
def test_the_map_shows_the_coupling_at_each_displacement(shape, spins):
    ising = IsingSampler(shape, coupling=1.0, next_nearest_coupling=-0.4)
    expansion = InteractionExpansion(lattice_shape=shape).fit(spins(500, np.prod(shape)), ising.energy)
    image = InteractionDisplay.from_estimator(expansion, kind="map").map_
    picture = np.asarray(image.get_array().filled(np.nan))
    left, right, bottom, top = image.get_extent()
    assert (right - left, bottom - top) == picture.shape[::-1]
    x, y = np.meshgrid(np.arange(left + 0.5, right), np.arange(top + 0.5, bottom))
    near, next_near = (1, 2) if len(shape) > 1 else (1, 4)
    wanted = np.where(x**2 + y**2 == near, 1.0, np.where(x**2 + y**2 == next_near, -0.4, 0.0))
    wanted[x**2 + y**2 == 0] = np.nan
    np.testing.assert_allclose(picture, wanted, atol=1e-12)
    assert image.get_clim() == pytest.approx((-1, 1))


@pytest.mark.usefixtures("plt")
def test_the_map_of_a_glass_has_its_bonds_on_the_lattice(spins):
    rng, bonds = np.random.default_rng(0), nearest_neighbours((3, 4), (True, False))
    J = rng.normal(size=len(bonds))
    glass = IsingSampler((3, 4), coupling=0.0, couplings=list(zip(J.tolist(), bonds, strict=True)))
    options = {"boundary": ("periodic", "open"), "symmetries": (), "lattice_shape": (3, 4), "operators": ["pairs"]}
    expansion = InteractionExpansion(**options).fit(spins(500, 12), glass.energy)
    display = InteractionDisplay.from_estimator(expansion, kind="map")
    halves = np.array(display.map_.get_segments())
    assert len(halves) == 2 * len(bonds)
    np.testing.assert_allclose(np.linalg.norm(halves[:, 1] - halves[:, 0], axis=1), 0.5)
    for (column, row), J_half in zip(halves[:, 0].astype(int), display.map_.get_array(), strict=True):
        assert np.isclose(J[(bonds == row * 4 + column).any(axis=1)], J_half).any()


@pytest.mark.usefixtures("plt")
def test_the_map_without_a_lattice_is_the_matrix(spins):
    system = IsingSampler((6,), coupling=0.0, couplings=[(0.5, [0, 3]), (-1.0, [1, 5])])
    expansion = InteractionExpansion().fit(spins(200, 6), system.energy)
    picture = np.asarray(InteractionDisplay.from_estimator(expansion, kind="map").map_.get_array())
    wanted = np.zeros((6, 6))
    wanted[0, 3] = wanted[3, 0] = 0.5
    wanted[1, 5] = wanted[5, 1] = -1.0
    np.testing.assert_allclose(picture, wanted, atol=1e-12)


def test_what_cannot_be_drawn_is_refused(spins):
    cube = InteractionExpansion(lattice_shape=(3, 3, 3)).fit(spins(100, 27), IsingSampler((3, 3, 3)).energy)
    with pytest.raises(ValueError, match=r"one or two axes for kind='map', got \(3, 3, 3\)"):
        InteractionDisplay.from_estimator(cube, kind="map")
    with pytest.raises(ValueError, match=r"kind .*got 'pie'"):
        InteractionDisplay.from_estimator(cube, kind="pie")
