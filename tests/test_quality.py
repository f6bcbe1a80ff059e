"""The tables of promises and of rooms name tests and files that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "quality.rst"


def test_every_test_of_the_table_exists():
    if not PAGE.exists():
        pytest.skip("the documentation is not here")
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", text, flags=re.MULTILINE))
    named = re.findall(r"``(test_\w+)``", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 50
    assert sorted(set(named) - there) == []


def test_files_named_by_contributing_exist():
    root = TESTS.parent
    if not (root / "CONTRIBUTING.md").exists():
        pytest.skip("the contributor's guide is not here")
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:skhamiltonian|tests|docs|examples)/[\w/]+\.(?:py|rst)", text)
    rooms = re.findall(r"^\| `(_[\w/]+)` \|", text, flags=re.MULTILINE)
    assert len(named) > 10
    assert len(rooms) > 9
    assert [name for name in named if not (root / name).is_file()] == []
    assert [room for room in rooms if not (root / "skhamiltonian" / room).is_dir()] == []
    top = {path.name for path in (root / "skhamiltonian").glob("_*/") if path.name != "__pycache__" and path.is_dir()}
    assert top <= set(rooms)
