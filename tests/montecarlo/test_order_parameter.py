"""Magnetizations of numbers and of angles by hand."""

import numpy as np

from skhamiltonian._montecarlo.order_parameter import mean_state, mean_vector_length


def test_the_mean_is_over_the_largest_absolute_state():
    X = np.array([[-2, 1, 1, 1], [-2, -2, -2, -2]], np.int8)
    np.testing.assert_allclose(mean_state(X), [0.125, -1])
    np.testing.assert_allclose(mean_state(X, states=np.array([-4, -2, 1])), [0.0625, -0.5])
    np.testing.assert_allclose(mean_state(np.full((1, 2), -128, np.int8)), [-1])
    np.testing.assert_allclose(mean_state(np.zeros((1, 2))), [0])


def test_the_mean_vector_has_a_length():
    np.testing.assert_allclose(
        mean_vector_length(np.array([[0, np.pi / 2], [1, 1], [0, np.pi]])), [0.5**0.5, 1, 0], atol=1e-15
    )
