"""The README's code runs as it stands, with few updates of its networks."""

import re
from pathlib import Path

import pytest

from skhamiltonian._made import parameters as _auto

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_python_blocks_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_auto, "_MIN_UPDATES", 50)
    monkeypatch.setattr(_auto, "_MAX_UPDATES", 50)
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "curve.png").exists()
    assert names["X"].shape == (20_000, 64)
    assert names["made"].n_iter_ == 2
    assert names["local"].couplings_ == pytest.approx([0.4], abs=0.02)
