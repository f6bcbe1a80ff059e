"""IsingSampler.iter_sample: memory does not grow with the length of the stream."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.benchmark

STREAM = """
import resource, sys
from skhamiltonian import IsingSampler
ising = IsingSampler((16, 16), 2.5, random_state=0)
assert sum(len(X) for X in ising.iter_sample(n_samples=int(sys.argv[1]))) == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(n_samples):
    run = subprocess.run([sys.executable, "-c", STREAM, str(n_samples)], check=True, capture_output=True, text=True)
    return int(run.stdout) / (2**20 if sys.platform == "darwin" else 2**10)


def test_ten_million_configurations_pass_through_the_memory_of_a_block(report):
    few, many = peak(20_000), peak(10_000_000)
    report("iter_sample, 10 000 000 configurations 16x16", many - few, "MB", f"peak above that of 20 000, {few:.0f} MB")
    assert many - few < 20  # as int8 they are 2560 MB
