"""What can be read only once, such as zip, map or a generator, is refused by name and never found empty later."""

import inspect
import warnings

import numpy as np
import pytest

import skhamiltonian
from skhamiltonian import InteractionExpansion, IsingSampler, ising_exact

X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (300, 16))
ONCE = {
    "map": lambda: map(int, (4, 4)),
    "zip": lambda: zip((1.0, 2.0), ([0, 1], [1, 2]), strict=True),
    "iter": lambda: iter(("translation",)),
    "generator": lambda: (length for length in (4, 4)),
}
ESTIMATORS = {
    name: value
    for name in skhamiltonian.__all__
    if inspect.isclass(value := getattr(skhamiltonian, name)) and hasattr(value, "get_params")
}
ELSEWHERE = {"random_state", "n_jobs"}  # scikit-learn and joblib answer for theirs
PARAMETERS = [
    (name, parameter)
    for name, value in ESTIMATORS.items()
    for parameter in inspect.signature(value).parameters
    if parameter not in ELSEWHERE
]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_a_parameter_that_is_read_once_is_refused(name, parameter):
    for make in ONCE.values():
        model = ESTIMATORS[name](**{parameter: make()})
        if "lattice_shape" in model.get_params() and parameter != "lattice_shape":
            model.set_params(lattice_shape=(4, 4))
        data = (X[:2].reshape(2, 4, 4),) if name == "DomainBinarizer" else (X,)
        if name == "InteractionExpansion":
            data = (X, IsingSampler((4, 4)).energy)
        with pytest.raises((TypeError, ValueError), match=parameter):
            fit_and_draw(model, data)


def fit_and_draw(model, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*data)
        getattr(model, "sample", model.fit)(n_samples=2)


@pytest.mark.parametrize("kind", ["map", "generator"])
def test_a_shape_that_is_read_once_is_refused_by_functions(kind):
    with pytest.raises(
        TypeError, match=r"lattice_shape must be a list or a tuple, got <.*, which can be read only once"
    ):
        ising_exact(ONCE[kind](), 2.5)


def test_models_that_are_read_once_are_refused():
    model = IsingSampler((4, 4), 2.5)
    with pytest.raises(TypeError, match="y must be a list or a tuple"):
        InteractionExpansion(lattice_shape=(4, 4)).fit(X, iter([model, model]))


def test_a_set_is_no_shape():
    with pytest.raises(TypeError, match="lattice_shape must be a tuple"):
        ising_exact({8, 4}, 2.5)
