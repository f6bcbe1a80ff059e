"""How ordered configurations are, by hand."""

import numpy as np
import pytest

from skhamiltonian._utils.alphabet import ANGLES, Alphabet


@pytest.mark.parametrize("n_states", [2, 3, 5])
def test_the_order_of_numbers_is_the_distance_from_the_middle_of_all_states(n_states):
    last = n_states - 1
    codes = np.array([[0, 0, 0, 0], [last] * 4, [0, last, 0, last], [0, 0, 0, last]], np.int8)
    order = Alphabet.of_numbers(np.arange(n_states)).order(codes)
    np.testing.assert_allclose(order, [0.5, 0.5, 0, 0.25])


def test_the_order_of_angles_is_the_length_of_their_mean():
    codes = np.array([[0, 0], [0, 32], [0, 16], [5, 5]], np.int8)  # of 64 angles
    np.testing.assert_allclose(ANGLES.order(codes), [1, 0, 0.5**0.5, 1], atol=1e-15)
