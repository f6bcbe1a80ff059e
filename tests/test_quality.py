"""The table of promises names tests that exist."""

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
