"""Displays: what they show is what was measured, complete and unclipped."""

import ast
import dataclasses
import inspect
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skhamiltonian._curves.result import PhaseCurve
from skhamiltonian._montecarlo.draws import Draws, Estimate
from skhamiltonian._montecarlo.sampler import ThermalSampler
from skhamiltonian._plotting import curves as _display
from skhamiltonian._plotting import fit as _display_fit
from skhamiltonian._plotting.curves import PhaseCurveDisplay
from skhamiltonian._plotting.fit import EnergyDisplay, LossCurveDisplay, line_fit

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


T = np.array([3.0, 1.0, 2.0, 2.5])
CURVE = PhaseCurve(
    T,
    {"abs_magnetization": Estimate(1 / T, 0.1 / T), "energy": Estimate(-2 / T, 0.01 * T), "mine": Estimate(T, 0 * T)},
    effective_sample_size=100 * T,
    r_hat=np.ones(4),
    support=np.full(4, np.nan),
    acceptance=np.full(4, np.nan),
    n_sites=16,
)
LEARNED = dataclasses.replace(CURVE, support=np.array([900.0, 1e-3, 49.0, 6e4]), data_temperature=2.2)


def errorbar_data(container):
    """Positions, heights and errors of an errorbar, in order of T."""
    x, y = container.lines[0].get_data()
    low, high = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()]).T
    np.testing.assert_allclose(high - y, y - low, atol=1e-12)
    return x, y, high - y


def assert_nothing_is_clipped(figure):
    figure.canvas.draw()
    inside = figure.get_tightbbox()  # in inches
    assert np.all(np.array(inside.min) >= 0), inside
    assert np.all(np.array(inside.max) <= figure.get_size_inches()), inside


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("observable", ["abs_magnetization", "energy"])
def test_points_carry_their_error_bars(observable):
    display = PhaseCurveDisplay.from_curves({"Ising": CURVE}, observable=observable)
    order, (value, error) = np.argsort(T), CURVE[observable]
    x, y, bar = errorbar_data(display.errorbars_["Ising"])
    np.testing.assert_allclose([x, y, bar], [T[order], value[order], error[order]])


def test_an_array_at_each_temperature_is_no_curve():
    arrays = dataclasses.replace(CURVE, observables={"G": Estimate(np.ones((4, 3)), np.ones((4, 3)))})
    with pytest.raises(ValueError, match=r"G must be one number at each temperature, got arrays of shape \(3,\): mea"):
        PhaseCurveDisplay.from_curves({"a": arrays}, observable="G")


def test_points_without_data_behind_them_are_pale_and_open_and_the_legend_says_so():
    ax = PhaseCurveDisplay.from_curves({"MADE": LEARNED}).ax_
    full, pale = ax.containers
    np.testing.assert_array_equal(errorbar_data(full)[0], [2.5, 3.0])
    np.testing.assert_array_equal(errorbar_data(pale)[0], [1.0, 2.0])
    assert pale.lines[0].get_markerfacecolor() == "white"
    assert pale.lines[0].get_alpha() < 0.5
    assert pale.lines[0].get_color() == full.lines[0].get_color()
    assert legend_texts(ax) == ["MADE", "data, $T_0$ = 2.2", "generalisation (support below 50)"]


def test_a_true_system_has_neither_star_nor_pale_points():
    ax = PhaseCurveDisplay.from_curves({"Ising": CURVE, "again": CURVE}).ax_
    assert legend_texts(ax) == ["Ising", "again"]
    assert len(ax.containers) == 2


def test_a_known_system_is_a_line_beside_learned_points_and_points_alone():
    together = PhaseCurveDisplay.from_curves({"truth": CURVE, "MADE": LEARNED}).errorbars_
    line = together["truth"].lines[0]
    assert (line.get_linestyle(), line.get_marker()) == ("-", "None")
    assert together["MADE"].lines[0].get_marker() != "None"
    np.testing.assert_allclose(line.get_data(), [np.sort(T), 1 / np.sort(T)])
    alone = PhaseCurveDisplay.from_curves({"truth": CURVE}).errorbars_["truth"]
    assert alone.lines[0].get_marker() != "None"


def test_a_star_marks_the_data_temperature_on_the_curve():
    """At T0 = 2.2, between 1/2 at T = 2 and 1/2.5 at T = 2.5."""
    (star,) = (line for line in PhaseCurveDisplay.from_curves({"MADE": LEARNED}).ax_.lines if line.get_marker() == "*")
    np.testing.assert_allclose(np.ravel(star.get_data()), [2.2, 0.5 - 0.1 * 0.4])
    far = dataclasses.replace(LEARNED, data_temperature=3.5)
    ax = PhaseCurveDisplay.from_curves({"MADE": far}).ax_
    assert not [line for line in ax.lines if line.get_marker() == "*"]


def test_curves_of_the_same_data_share_one_legend_entry():
    ax = PhaseCurveDisplay.from_curves({"MADE": LEARNED, "Metropolis": LEARNED}).ax_
    assert legend_texts(ax) == ["MADE", "Metropolis", "data, $T_0$ = 2.2", "generalisation (support below 50)"]


def test_colors_and_keywords_of_errorbar_are_the_users():
    display = PhaseCurveDisplay.from_curves({"a": LEARNED}, color="red", capsize=0)
    assert {container.lines[0].get_color() for container in display.ax_.containers} == {"red"}
    assert not display.errorbars_["a"].lines[1]


@pytest.mark.parametrize("observable", ["abs_magnetization", "mine"])
def test_axes_are_labelled_and_can_be_given(observable):
    figure, axes = plt.subplots(1, 2)
    display = PhaseCurveDisplay(curves={"a": CURVE}).plot(axes[1], observable=observable)
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert axes[1].get_xlabel() == "temperature $T$"
    assert axes[1].get_ylabel() == {"mine": "mine"}.get(observable, r"magnetization $\langle |m| \rangle$")
    assert not axes[0].has_data()


def test_what_was_not_measured_is_refused_before_anything_is_drawn():
    with pytest.raises(KeyError, match=r"'entropy' was not measured; phase_curve.*entropy=True"):
        PhaseCurveDisplay.from_curves({"a": CURVE}, observable="entropy")
    assert not plt.get_fignums()
    for curves in (CURVE, {"a": 3}):
        with pytest.raises(TypeError, match="curves must be a dict of labels and PhaseCurves"):
            PhaseCurveDisplay.from_curves(curves)


class Spins(ThermalSampler, BaseEstimator):
    """64 chains of 100 independent spins up with probability 3/4; its learned energy is 3 + 2 H + noise."""

    def _draw(self, temperature, n_samples, field, method, seed):
        X = np.random.default_rng(seed).choice([-1, 1], p=[0.25, 0.75], size=(64, n_samples // 64, 100))
        return Draws(X, -X.sum(axis=2))

    def energy(self, X):
        return 3 - 2 * X.sum(axis=1)


def test_from_estimator_measures_the_curve():
    display = PhaseCurveDisplay.from_estimator(
        make_pipeline(Spins()),
        [1.0, 2.0],
        observable="magnetization",
        n_samples=6400,
        random_state=0,
        errorbar_kw={"color": "green"},
    )
    x, y, bar = errorbar_data(display.errorbars_["Spins"])
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_less(abs(y - 0.5), 4 * bar)
    assert display.errorbars_["Spins"].lines[0].get_color() == "green"
    named = PhaseCurveDisplay.from_estimator(Spins(), [1.0], label="free spins", n_samples=6400)
    assert list(named.curves) == ["free spins"]


def test_line_fit_recovers_a_line_with_honest_errors():
    """z-scores of 2000 noisy lines y = 3 + 2 x have variance 1."""
    rng, x = np.random.default_rng(0), np.linspace(-5, 1, 50)
    fits = [line_fit(x, 3 + 2 * x + rng.normal(size=50)) for _ in range(2000)]
    z = [[(slope.value - 2) / slope.error, (intercept.value - 3) / intercept.error] for slope, intercept in fits]
    np.testing.assert_allclose(np.mean(z, axis=0), 0, atol=0.1)
    np.testing.assert_allclose(np.var(z, axis=0), 1, atol=0.15)


def test_line_fit_is_polyfit():
    x, y = np.random.default_rng(1).normal(size=(2, 30)) + 100
    (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
    fitted = line_fit(x, y)
    np.testing.assert_allclose(fitted, np.transpose([[slope, intercept], np.sqrt(np.diag(covariance))]), rtol=1e-6)


@pytest.mark.parametrize("x", [[1.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
def test_a_line_needs_three_points_of_different_energy(x):
    with pytest.raises(ValueError, match=f"got {len(x)} from {x[0]} to {x[-1]}"):
        EnergyDisplay.from_predictions(x, x)


@pytest.mark.parametrize("energy", [lambda X: -X.sum(axis=1), "array"], ids=["callable", "array"])
@pytest.mark.parametrize(
    "wrap", [lambda model: model, make_pipeline, lambda m: make_pipeline(FunctionTransformer(), m)]
)
def test_energy_display_fits_the_learned_energy(energy, wrap):
    X = np.random.default_rng(2).choice([-1, 1], size=(500, 100))
    display = EnergyDisplay.from_estimator(wrap(Spins()), X, -X.sum(axis=1) if energy == "array" else energy)
    np.testing.assert_allclose([display.slope_.value, display.intercept_.value], [2, 3])
    np.testing.assert_allclose(display.line_.get_ydata(), 3 + 2 * display.line_.get_xdata())
    assert legend_texts(display.ax_) == ["slope 2\nintercept 3"]


def test_a_pipelines_true_energy_is_that_of_the_untransformed_configurations():
    X = np.random.default_rng(3).choice([-1, 1], size=(500, 100))
    flipped = make_pipeline(FunctionTransformer(np.negative), Spins())
    display = EnergyDisplay.from_estimator(flipped, X, lambda X: -X.sum(axis=1))
    assert display.slope_.value == pytest.approx(-2)


def test_energy_display_shows_errors_and_at_most_2000_points():
    x, noise = np.random.default_rng(4).normal(size=(2, 5000))
    display = EnergyDisplay.from_predictions(x.tolist(), (1 + x + noise).tolist(), s=3)
    assert len(display.points_.get_offsets()) == 2000
    assert display.points_.get_sizes() == [3]
    assert "(" in legend_texts(display.ax_)[0].split("\n")[0]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, 4\]"):
        EnergyDisplay.from_predictions([1, 2, 3], [1, 2, 3, 4])


class Model(BaseEstimator):
    def fit(self, X):
        self.loss_curve_ = [4.0, 3.0]
        return self


@pytest.mark.parametrize("validation", [None, [-4.5, -3.5]])
def test_loss_display_shows_losses_by_epoch(validation):
    model = Model().fit(None)
    if validation:
        model.validation_scores_ = validation
    lines = LossCurveDisplay.from_estimator(model, linewidth=3).lines_
    np.testing.assert_array_equal(lines[0].get_data(), [[1, 2], [4, 3]])
    assert lines[0].get_linewidth() == 3
    assert [line.get_label() for line in lines] == ["training", "validation"][: len(lines)]
    assert len(lines) == (1 if validation is None else 2)
    if validation:
        np.testing.assert_array_equal(lines[1].get_data(), [[1, 2], [4.5, 3.5]])


def test_loss_display_of_a_model_that_was_not_fitted():
    with pytest.raises(NotFittedError, match="Model instance is not fitted"):
        LossCurveDisplay.from_estimator(Model())
    assert len(LossCurveDisplay.from_estimator(make_pipeline(Model().fit(None))).loss) == 2


@pytest.mark.parametrize(
    "plot",
    [
        lambda ax=None: PhaseCurveDisplay.from_curves({"MADE": LEARNED, "Ising": CURVE}, observable="energy", ax=ax),
        lambda ax=None: EnergyDisplay.from_predictions(1e4 * T, 1e4 * T + 1e6, ax=ax),
        lambda ax=None: LossCurveDisplay(loss=[1e5, 1e3], validation_scores=[-1e5, -2e3]).plot(ax),
    ],
    ids=["phase", "energy", "loss"],
)
def test_labels_are_not_clipped(plot):
    assert_nothing_is_clipped(plot().figure_)


@pytest.mark.parametrize("module", [_display, _display_fit])
def test_matplotlib_is_imported_only_where_it_is_needed(module, monkeypatch):
    top = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("matplotlib" in ast.unparse(node) for node in top)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LossCurveDisplay\.plot needs matplotlib: pip install matplotlib"):
        LossCurveDisplay(loss=[1.0]).plot()
