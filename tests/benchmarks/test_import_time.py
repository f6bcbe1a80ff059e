"""What importing the library costs, beside scikit-learn which it cannot do without."""

import statistics
import subprocess
import sys

import pytest

pytestmark = pytest.mark.benchmark


def processor_time(package):
    code = f"import time, {package}; print(time.process_time())"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True) for _ in range(5)]
    return statistics.median(float(run.stdout) for run in runs)


def test_import_takes_less_than_two_seconds(report):
    ours, theirs = processor_time("skhamiltonian"), processor_time("sklearn.base")
    report("import skhamiltonian", ours, "s", f"{theirs:.2f} s of it scikit-learn")
    assert ours < 2
