"""Streams of blocks, which every sampler of a known energy has."""

import numpy as np
import pytest

from skhamiltonian import IsingSampler, XYSampler
from skhamiltonian._local.energy import LocalEnergy
from skhamiltonian._local.sampler import LocalSampler

SWEEPS = {"burn_in": 5, "n_sweeps": 1, "method": "heat-bath"}
BOND = LocalEnergy(np.array([-1, 1], np.int8), (2,), np.array([-1.0, 1.0, 1.0, -1.0]))
SAMPLERS = {
    "ising": IsingSampler((8,), 2.0, **SWEEPS),
    "xy": XYSampler((8,), 2.0, **SWEEPS),
    "local": LocalSampler(BOND, (8,), 2.0, **SWEEPS),
}


@pytest.mark.parametrize("field", [0.0, 1.5])
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_first_block_of_a_stream_is_a_sample(name, field):
    """At the temperature and in the field that are asked for."""
    stream = SAMPLERS[name].iter_sample(3.0, 200, block_size=200, field=field, random_state=0)
    sample = SAMPLERS[name].sample(3.0, n_samples=200, field=field, random_state=0)
    np.testing.assert_array_equal(next(stream), sample)
    mean = np.cos(sample).mean() if name == "xy" else sample.mean()
    assert (mean > 0.2) == (field > 0)
