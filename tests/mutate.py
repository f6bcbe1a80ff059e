"""Change one operator, comparison or number of a file at a time, and see whether its tests notice (POSIX).

python tests/mutate.py skhamiltonian/_made/calibration.py [--every 3] -- tests/made/test_calibration.py -k features
"""

import ast
import copy
import importlib.abc
import importlib.util
import os
import resource
import signal
import sys
from pathlib import Path

OTHER = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
    ast.Pow: ast.Mult, ast.MatMult: ast.Add, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
PACKAGES = ("numpy", "numba", "pandas", "polars", "scipy", "sklearn", "torch", "hypothesis")


def places(tree):
    """Yield what can be changed, as (index of the node in a walk, field, index in the field)."""
    for i, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            yield i, "value", None
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
            yield i, "ops", 0
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.AugAssign)) and type(node.op) in OTHER:
            yield i, "op", None


def mutant(tree, i, field, index):
    """Return the changed tree, and what was changed."""
    tree = copy.deepcopy(tree)
    node = list(ast.walk(tree))[i]
    before = ast.unparse(node)
    if field == "value":
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif field == "ops":
        node.ops[index] = OTHER[type(node.ops[index])]()
    else:
        node.op = OTHER[type(node.op)]()
    return ast.fix_missing_locations(tree), f"line {node.lineno}: {before}  ->  {ast.unparse(node)}"


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module from a tree."""

    def __init__(self, path, tree):
        folders = [folder.name for folder in path.parents if (folder / "__init__.py").exists()]
        self.name, self.path, self.tree = ".".join([*folders[::-1], path.stem]), path, tree

    def find_spec(self, name, path=None, target=None):
        """Claim the module."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def exec_module(self, module):
        """Run the tree."""
        exec(compile(self.tree, self.path, "exec"), module.__dict__)


def killed(path, tree, arguments, seconds=600):
    """Whether the tests fail on a tree or take too long, in a process of its own that has all packages but ours."""
    if child := os.fork():
        return os.waitpid(child, 0)[1] != 0
    signal.setitimer(signal.ITIMER_PROF, seconds)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1), os.dup2(nowhere.fileno(), 2)
    import pytest

    sys.meta_path.insert(0, Changed(path, tree))
    os._exit(
        int(
            pytest.main(
                ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments]
            )
        )
    )


def main():
    """Print the survivors and the score."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")  # 0 is for files without kernels
    for package in PACKAGES:
        importlib.import_module(package)  # once for all
    options, arguments = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    path, step = Path(options[0]).resolve(), int(options[2]) if len(options) > 1 else 1
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if killed(path, tree, arguments):
        sys.exit("the tests fail without any change")
    if not killed(path, ast.parse("raise ImportError"), arguments):
        sys.exit("the tests do not import the file")
    seconds = 10 + 4 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime  # an endless loop is noticed, too
    found = list(places(tree))[::step]
    n_killed = 0
    for place in found:
        changed, what = mutant(tree, *place)
        if killed(path, changed, arguments, seconds):
            n_killed += 1
        else:
            print("survives,", what, flush=True)
    print(f"{n_killed} of {len(found)} noticed ({n_killed / len(found):.0%})")


if __name__ == "__main__":
    main()
