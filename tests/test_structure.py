"""The package is as the design page draws it: no circles, layers downward, short files."""

import ast
import re
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skem"
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    """Dotted name of a module or package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imported(path):
    """Modules of skem that a file imports, anywhere in it, also for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skem"):
            full = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in MODULES else node.module for name in full}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("skem")}
    return found


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def is_package(name):
    return MODULES[name].name == "__init__.py"


def folder_of(name):
    return name if is_package(name) else name.rpartition(".")[0]


def folders():
    """Folders that each folder imports from; what a package exports is not its own code."""
    uses = defaultdict(set)
    for name, targets in IMPORTS.items():
        if not is_package(name):
            uses[folder_of(name)] |= {folder_of(t) for t in targets} - {folder_of(name)}
    return uses


def drawn():
    """The table of the design page: folder, folders that it imports from."""
    page = (ROOT / "docs" / "design.rst").read_text(encoding="utf-8")
    table = page.split("Where things are")[1].split("A private module")[0]
    for row in table.split("   * - ")[2:]:
        folder, _, uses = row.split("\n     - ")
        folder = folder.strip().strip("`").removesuffix("/*.py")
        names = re.findall(r"``([^`]+)``", uses)
        dotted = (name if name == "skem" else f"skem.{name.replace('/', '.')}" for name in names)
        yield folder.replace("/", "."), set(dotted)


def test_imports_are_those_of_the_design_page():
    table, uses = dict(drawn()), folders()
    with_code = {folder_of(name) for name in MODULES if not is_package(name)}
    assert set(table) == with_code
    for folder, expected in table.items():
        assert uses[folder] == expected, folder


def test_folders_import_only_from_folders_above_them():
    above = set()
    for folder, uses in drawn():
        assert uses <= above, folder
        above.add(folder)


def test_no_module_imports_itself_through_others():
    state = {}

    def visit(name, path):
        if state.get(name) == "done":
            return
        assert state.get(name) != "open", f"circle: {[*path[path.index(name) :], name]}"
        state[name] = "open"
        for target in IMPORTS[name]:
            if target in MODULES and not is_package(target):
                visit(target, [*path, name])
        state[name] = "done"

    for name in MODULES:
        if not is_package(name):
            visit(name, [])


def is_kernel(name):
    return ".kernels." in name or name.endswith(("_kernels", "._kernels_content"))


@pytest.mark.parametrize("name", [name for name in MODULES if is_kernel(name)])
def test_kernels_know_only_kernels(name):
    helpers = {"skem._compiled", "skem._kernel_cache", "skem._numbers", "skem.topics._limits"}
    assert all(target in helpers or is_kernel(target) for target in IMPORTS[name])


def test_the_engine_knows_no_model():
    for name in MODULES:
        if name.startswith("skem.em"):
            assert all(target.startswith(("skem.em", "skem._")) for target in IMPORTS[name])


def test_folders_hold_few_files_and_files_are_short():
    counts = Counter(path.parent for path in FILES)
    assert max(counts.values()) <= 15
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in FILES]
    assert statistics.median(lengths) < 170


def code_lines(source, function):
    """Lines of a function without docstrings, comments and blank ones."""
    docs = set()
    for node in ast.walk(function):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            docs |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = source.splitlines()
    return sum(
        1
        for number in range(function.lineno, function.end_lineno + 1)
        if number not in docs and not re.match(r"\s*(#|$)", lines[number - 1])
    )


def test_functions_are_short():
    long = []
    for name, path in MODULES.items():
        if is_kernel(name):
            continue
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                n = code_lines(source, node)
                long += [(n, name, node.name)] if n >= 60 else []
    assert not long


def walks():
    """The walks of X through the fits on the design page: lines of (depth, names) each."""
    page = (ROOT / "docs" / "design.rst").read_text(encoding="utf-8")
    for block in re.findall(r"\n\n((?:   fit\(.*\n)(?:   .*\n)+)", page):
        walk = []
        for line in block.splitlines():
            depth = (len(line) - len(line.lstrip()) - 3) // 2
            if walk and depth > walk[-1][0] + 1:  # a remark that goes on
                continue
            head = re.split(r"\s{2,}| +-> ", line.strip())[0]
            names = re.sub(r"\(.*?\)", "", head).split(", ")
            walk.append((depth, names))
        yield walk


def definitions():
    """Functions and classes by name: what each refers to, by itself or by others of its module."""
    found = defaultdict(set)
    for path in MODULES.values():
        nodes = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        ]
        uses = {node.name: set() for node in nodes}
        for node in nodes:
            for part in ast.walk(node):
                if isinstance(part, (ast.Name, ast.Attribute)):
                    uses[node.name].add(part.id if isinstance(part, ast.Name) else part.attr)
        for name in uses:
            reached, left = set(), {name}
            while left:
                new = uses[left.pop()] - reached
                reached |= new
                left |= new & uses.keys()
            found[name] |= reached
    return found


def test_walks_of_the_design_page_are_those_of_the_code():
    found, n_walks = definitions(), 0
    for walk in walks():
        n_walks += 1
        above = []
        for depth, names in walk:
            del above[depth:]
            callers = [caller for names_above in above for caller in names_above]
            for name in names:
                assert name in found, name
                assert not callers or any(name in found[caller] for caller in callers), name
            above.append(names)
    assert n_walks == 4
