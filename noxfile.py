"""Environments for checks: `nox` runs the first three, `nox -s NAME` one of them, `nox -l` lists all."""

import glob

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True

PARALLEL = ["-n", "auto", "--dist", "worksteal"]


@nox.session
def lint(session):
    """Rules, format, types and spelling."""
    session.install("-e", ".[test,dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("codespell")


@nox.session(python=["3.11", "3.13"])
def tests(session):
    """The default tests on the oldest and the newest Python; arguments go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python="3.11")
def oldest(session):
    """The default tests with the oldest supported numpy and scikit-learn."""
    # scikit-learn 1.7 hands generators to pytest, of which pytest 9 warns, and warnings are errors.
    session.install("-e", ".[test]", "scikit-learn==1.7.*", "numpy==2.2.*", "pytest<9")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def slow(session):
    """Proofs that take longer, and comparisons with other packages."""
    session.install("-e", ".[test,peers]")
    session.run("pytest", *PARALLEL, "-m", "slow and not benchmark", "tests", *session.posargs)


@nox.session
@nox.parametrize("variable", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def kernels(session, variable):
    """Kernels without the compiler, and with checks of every index."""
    session.install("-e", ".[test]")
    # A cache of its own: numba would take unchecked kernels from the common one.
    variables = {variable: "1", "NUMBA_CACHE_DIR": session.create_tmp()}
    session.run("pytest", *PARALLEL, "-m", "kernel and not slow", "tests", *session.posargs, env=variables)


@nox.session
def coverage(session):
    """Branches that the tests of kernels and of the rest take, without the compiler."""
    session.install("-e", ".[test]", "coverage>=7.6")
    variables = {"NUMBA_DISABLE_JIT": "1"}
    session.run(
        "coverage", "run", "-m", "pytest", "-m", "kernel and not slow", "tests", *session.posargs, env=variables
    )
    session.run("coverage", "report")


@nox.session
def docs(session):
    """The site with its gallery, in docs/_build/html; `nox -s docs -- -D plot_gallery=0` leaves the examples out."""
    session.install("-e", ".[docs]")
    variables = {"OMP_NUM_THREADS": "1"}
    session.run("sphinx-build", "-W", "--keep-going", *session.posargs, "docs", "docs/_build/html", env=variables)


@nox.session
def links(session):
    """Links of the site that lead elsewhere; needs the network."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-b", "linkcheck", "-D", "plot_gallery=0", "docs", "docs/_build/links")


@nox.session
def benchmarks(session):
    """Times and memory, against other packages; needs a quiet machine."""
    session.install("-e", ".[benchmark]")
    session.run("pytest", "-m", "benchmark", "tests/benchmarks", *session.posargs)


@nox.session
def release(session):
    """A wheel and an sdist in dist/, checked, and dependencies without known holes."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *glob.glob("dist/*"))
    session.run("validate-pyproject", "pyproject.toml")
    session.run("pip-audit", "--local", "--skip-editable")
