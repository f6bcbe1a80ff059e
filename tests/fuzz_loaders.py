"""Fuzz the loaders, guided by the branches that an input takes: one member of a stored network, or of a curve.

pip install atheris
python tests/fuzz_loaders.py network -runs=10000 -max_len=4096
python tests/fuzz_loaders.py curve -runs=10000 -max_len=4096
"""

import inspect
import io
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["skops"]):
    import skops.io

from skhamiltonian import (
    SKOPS_TRUSTED_TYPES,
    IsingSampler,
    MADEHamiltonian,
    PhaseCurve,
    _phase_curve,
    _stored,
    phase_curve,
)

# One by one: numba compiles no instrumented code.
for module in (_stored, _phase_curve):
    for function in filter(inspect.isfunction, vars(module).values()):
        if function.__module__ == module.__name__:
            atheris.instrument_func(function)
atheris.instrument_func(PhaseCurve.load.__func__)

ising = IsingSampler((2, 2), 2.5, random_state=0)
X = ising.sample(n_samples=300)


def stored_network():
    return skops.io.dumps(MADEHamiltonian(2.5, hidden_layer_sizes=(3,), max_iter=1, random_state=0).fit(X))


def use_network(content):
    """Predict and draw; whatever is not a network is an error of any kind, never a crash."""
    try:
        made = skops.io.loads(content, trusted=list(SKOPS_TRUSTED_TYPES))
        made.energy(X[:9])
        made.sample(2.0, n_samples=4, random_state=0)
    except Exception:
        return


def stored_curve():
    file = Path(directory, "curve.npz")
    phase_curve(ising, [2.0, 3.0], n_samples=300, random_state=0).save(file)
    return file.read_bytes()


def use_curve(content):
    """Read; whatever is not a curve is one clear error."""
    file = Path(directory, "fuzzed.npz")
    file.write_bytes(content)
    try:
        repr(PhaseCurve.load(file))
    except ValueError as error:
        if "is not a PhaseCurve file, or is damaged" not in str(error):
            raise


with tempfile.TemporaryDirectory() as directory:
    store, use = {"network": (stored_network, use_network), "curve": (stored_curve, use_curve)}[sys.argv.pop(1)]
    with zipfile.ZipFile(io.BytesIO(store())) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    corpus = Path(directory, "corpus")
    corpus.mkdir()
    for place, content in enumerate(members.values()):
        Path(corpus, str(place)).write_bytes(bytes([place]) + content)

    def one_input(data):
        """Let the first byte choose the member that the others replace; its checksum is right."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as changed:
            for place, (name, content) in enumerate(members.items()):
                changed.writestr(name, data[1:] if data and data[0] % len(members) == place else content)
        use(out.getvalue())

    warnings.simplefilter("ignore")
    atheris.Setup([*sys.argv, str(corpus)], one_input)
    atheris.Fuzz()
