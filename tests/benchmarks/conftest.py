"""What benchmarks measure is printed as one table at the end of the run."""

import platform

import pytest

_ROWS = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[_ROWS] = []


@pytest.fixture
def report(request):
    """Add a row to the table: report(what, value, unit, note)."""
    rows = request.config.stash[_ROWS]

    def add(what, value, unit, note=""):
        rows.append((what, f"{value:.3g}", unit, note))

    return add


def pytest_terminal_summary(terminalreporter, config):
    if rows := config.stash[_ROWS]:
        rows = [("measured", "value", "unit", "how"), *rows]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        terminalreporter.section(f"measured on one thread, if not said otherwise, {machine}")
        for row in rows:
            terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
