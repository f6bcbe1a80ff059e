"""The house rules that a machine can hold: imports point down, files stay short, public names are documented."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skhamiltonian

PACKAGE = Path(skhamiltonian.__file__).parent
FILES = {path.stem: path for path in sorted(PACKAGE.glob("*.py"))}

# A file may import those that stand after it.
CORES = (
    "_training", "_network_chains", "_sampling", "_local_moves", "_metropolis", "_network_sweep", "_network_kernels",
    "_vector", "_tempered_draws", "_autoregressive", "_calibration", "_lattice_symmetry", "_chains", "_chain_groups",
    "_multispin", "_parallel_tempering", "_spin_kernels", "_operators", "_lattice_terms", "_statistics", "_compile",
)  # fmt: skip
ROOMS = (
    "__init__", "_display_fit", "_display_interactions", "_display", "_phase", "_critical", "_phase_curve",
    "_hamiltonian", "_callbacks", "_stored", "_tempered_model", "_fitting", "_auto", "_density_ratio", "_interactions",
    "_interaction_terms", "_expansion", "_pseudolikelihood", "_independent_sites", "_ising", "_ising_system",
    "_block_spin", "_images", "_windows", "_exact", "_validation", *CORES,
)  # fmt: skip
HEAVY = {"matplotlib", "pandas", "polars", "skimage", "arviz_stats", "xarray"}

# Summary; Parameters and Returns that match the code, with types and descriptions; Examples where asked for.
DOCSTRING_RULES = {
    "GL01", "GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS04", "SS06", "PR01", "PR02",
    "PR03", "PR04", "PR05", "PR06", "PR07", "PR10", "RT01", "RT03", "SA02", "SA03",
}  # fmt: skip


def imports(path):
    """Yield (imported room or package, whether a function holds the import) for every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    late = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], id(node) in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level and not node.module:
            yield from ((alias.name, id(node) in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0], id(node) in late


@pytest.mark.parametrize("room", FILES)
def test_imports_point_down(room):
    assert room in ROOMS, f"{room}.py has no room yet: give it its place in ROOMS"
    for name, late in imports(FILES[room]):
        if name in FILES:
            assert ROOMS.index(name) > ROOMS.index(room), f"{room} must not import {name}"
        assert name != "skhamiltonian", f"{room}: import relatively"
        assert name != "torch" or room == "_training", f"{room} must leave torch to _training"
        assert name not in HEAVY or late, f"{room} must import {name} inside the function that needs it"
        assert room not in CORES or name not in HEAVY | {"sklearn"}, f"{room} is a core and must not import {name}"


@pytest.mark.parametrize("room", FILES)
def test_files_stay_short(room):
    text = FILES[room].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"the body of {node.name} has {length} lines"


def test_the_public_names_are_those_of_all():
    public = {name for name, value in vars(skhamiltonian).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert set(skhamiltonian.__all__) == public


def test_every_public_name_is_on_the_page_of_names():
    page = Path(__file__).parents[1].joinpath("docs", "api.rst").read_text(encoding="utf-8").splitlines()
    assert [name for name in skhamiltonian.__all__ if not {f"   {name}", f".. data:: {name}"} & set(page)] == []


def public_objects():
    """Yield the dotted path of every public name and of the methods it defines."""
    for name in skhamiltonian.__all__:
        yield f"skhamiltonian.{name}"
        value = getattr(skhamiltonian, name)
        members = vars(value) if inspect.isclass(value) else {}
        yield from (f"skhamiltonian.{name}.{member}" for member in members if member[0] != "_")


def is_data(path):
    """Whether a dotted path is a constant, or a field or a property, which its class documents."""
    *parents, name = path.split(".")[1:]
    owner = getattr(skhamiltonian, parents[0]) if parents else skhamiltonian
    return not callable(getattr(owner, name))


@pytest.mark.parametrize("path", [path for path in public_objects() if not is_data(path)])
def test_public_docstrings_are_numpydoc(path):
    wanted = DOCSTRING_RULES | ({"EX01"} if path.count(".") == 1 else set())
    assert [error for error in validate(path)["errors"] if error[0] in wanted] == []


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_import_needs_no_optional_package_and_no_torch():
    run(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name in {sorted(HEAVY | {'torch'})}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import skhamiltonian"
    )
