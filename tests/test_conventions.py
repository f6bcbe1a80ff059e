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
FILES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}

# What each room may import, beside itself. Rooms that do not stand in one line never meet.
ARROWS = {
    "_plotting": {"_curves", "_interactions", "_montecarlo", "_utils"},
    "_interactions": {"_ising", "_lattice", "_montecarlo", "_utils"},
    "_baselines": {"_interactions", "_ising", "_lattice", "_montecarlo", "_utils"},
    "_curves": {"_lattice", "_montecarlo", "_utils"},
    "_made": {"_lattice", "_local", "_montecarlo", "_utils"},
    "_ising": {"_lattice", "_montecarlo", "_utils"},
    "_local": {"_lattice", "_montecarlo", "_utils"},
    "_xy": {"_lattice", "_montecarlo", "_utils"},
    "_coarse": {"_lattice", "_utils"},
    "_montecarlo": {"_utils"},
    "_lattice": {"_utils"},
    "_utils": set(),
}
HEAVY = {"matplotlib", "pandas", "polars", "skimage", "arviz_stats", "xarray"}

# Summary; Parameters and Returns that match the code, with types and descriptions; Examples where asked for.
DOCSTRING_RULES = {
    "GL01", "GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS04", "SS06", "PR01", "PR02",
    "PR03", "PR04", "PR05", "PR06", "PR07", "PR10", "RT01", "RT03", "SA02", "SA03",
}  # fmt: skip


def imports(file):
    """Yield (room or package that is imported, file of this package or None, whether late) for every import."""
    tree = ast.parse(FILES[file].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    late = {id(node) for function in functions for node in ast.walk(function)}
    folder = file.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], None, id(node) in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0], None, id(node) in late
        elif isinstance(node, ast.ImportFrom):
            start = folder[: len(folder) + 1 - node.level] + (node.module.split(".") if node.module else [])
            for path in {"/".join([*start, alias.name]) for alias in node.names} & set(FILES) or ["/".join(start)]:
                yield path.split("/")[0], path, id(node) in late


@pytest.mark.parametrize("file", FILES)
def test_imports_point_down(file):
    room = file.split("/")[0]
    assert room in ARROWS or file in ("__init__", "__main__"), f"{room} has no place yet: give it its arrows"
    for name, path, late in imports(file):
        assert name != "skhamiltonian", f"{file}: import relatively"
        if path is not None:
            assert file == "__init__" or name == room or name in ARROWS[room], f"{file} must not import {path}"
        allowed = file.endswith("/training") or (late and file == "_utils/torch_state")
        assert name != "torch" or allowed, f"{file} must leave torch to training"
        assert name not in HEAVY or late, f"{file} must import {name} inside the function that needs it"


def test_no_import_goes_in_a_circle():
    below = {file: {path for _, path, _ in imports(file) if path in FILES} for file in FILES}
    while free := [file for file, needs in below.items() if not needs & set(below)]:
        for file in free:
            del below[file]
    assert not below


def code_lines(tree, text):
    """Count lines that are neither blank, nor a comment, nor part of a docstring."""
    prose = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            prose |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(
        bool(line.strip()) and line.strip()[0] != "#" and number not in prose
        for number, line in enumerate(text.splitlines(), 1)
    )


@pytest.mark.parametrize("file", FILES)
def test_files_and_functions_stay_short(file):
    text = FILES[file].read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert code_lines(tree, text) <= 250
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"the body of {node.name} has {length} lines"
            given = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            n_arguments = len(given) - (given[:1] in (["self"], ["cls"]))
            wide = {"__init__", "sample", "phase_curve"}
            assert n_arguments <= 7 or node.name in wide, f"{node.name} takes {n_arguments} arguments"


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
