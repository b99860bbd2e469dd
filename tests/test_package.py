"""The package as a whole: what importing it costs, and what it offers."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import skem

HEAVY = {"joblib", "matplotlib", "numba", "numpy", "pandas", "scipy", "sklearn", "skorch", "torch"}


def imported_by(statement):
    """Which of the heavy packages does a fresh interpreter hold after `statement`?"""
    code = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return HEAVY & set(run.stdout.splitlines()[-1].split())


def test_importing_the_package_imports_nothing_heavy():
    assert imported_by("import skem; dir(skem); skem.__version__") == set()


def test_importing_the_mixtures_imports_neither_torch_nor_matplotlib():
    assert not imported_by("from skem import GaussianMixtureEM") & {"matplotlib", "skorch", "torch"}


def test_show_versions_imports_no_torch():
    assert "torch" not in imported_by("import skem; skem.show_versions()")


@pytest.mark.parametrize("name", skem.__all__)
def test_every_public_name_is_there(name):
    assert name in dir(skem)
    assert getattr(skem, name) is not None


@pytest.mark.parametrize("name", sorted(skem._MODULE_OF))
def test_lazy_name_is_the_object_of_its_module(name):
    module = importlib.import_module(skem._MODULE_OF[name])
    assert getattr(skem, name) is getattr(module, name)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(skem.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = [alias.asname for node in block.body for alias in node.names]
    assert sorted(seen) == skem.__all__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'skem' has no attribute 'nonsense'"):
        _ = skem.nonsense


def test_version_is_that_of_the_installed_metadata():
    assert skem.__version__ == version("skem")


def test_show_versions_names_system_packages_and_thread_pools(capsys):
    skem.show_versions()
    printed = capsys.readouterr().out
    assert f"skem: {skem.__version__}\n" in printed
    for name in ("numpy", "scipy", "scikit-learn", "numba", "skorch", "torch"):
        assert f" {name}: {version(name)}\n" in printed
    assert f"executable: {sys.executable}\n" in printed
    assert re.search(r"cores: \d+ in the machine, \d+ usable", printed)
    assert re.search(r"Thread pools:\n(.*\n)*  \w+ \S+: \d+ threads, ", printed)


def test_show_versions_says_what_is_not_installed(capsys, monkeypatch):
    from skem import _show_versions

    monkeypatch.setattr(_show_versions, "_DEPENDENCIES", ("no-such-distribution",))
    skem.show_versions()
    assert "no-such-distribution: not installed\n" in capsys.readouterr().out


def test_a_script_beside_a_checkout_of_that_name_finds_the_package(tmp_path):
    """An editable install comes before the folder skem, which is a package of no files."""
    pytest.importorskip("setuptools", minversion="77")
    root = Path(skem.__file__).parents[1]
    if not (root / "pyproject.toml").exists():
        pytest.skip("not a checkout")
    checkout, site = tmp_path / "skem", tmp_path / "site"
    shutil.copytree(root / "skem", checkout / "skem", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, checkout)
    site.mkdir()
    build = f"from setuptools.build_meta import build_editable; build_editable({str(site)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=checkout, capture_output=True, check=True)
    (wheel,) = site.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    use = f"import site; site.addsitedir({str(site)!r}); import skem; print(skem.__file__)"
    command = [sys.executable, "-E", "-S", "-c", use]  # without what is installed here
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(run.stdout.strip()) == checkout / "skem" / "__init__.py"
