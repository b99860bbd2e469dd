"""A cache on disk that cannot be read or written changes no result, and is said once."""

import ast
import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import skem
from skem import _kernel_cache
from skem._kernel_cache import KernelCache, njit

ROOT = Path(skem.__file__).parent

SOURCE = """
from skem._kernel_cache import njit


@njit(cache=True)
def double(x):
    return 2 * x


@njit(cache=True)
def quadruple(x):
    return double(double(x))
"""


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(_kernel_cache, "_has_warned", False)


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Makes the two kernels anew, as another process would."""
    path = tmp_path / "kernels.py"
    path.write_text(SOURCE)

    def make():
        namespace = {"__name__": "kernels", "__file__": str(path)}
        exec(compile(SOURCE, str(path), "exec"), namespace)
        return namespace["quadruple"]

    return make


def files(tmp_path):
    return sorted((tmp_path / "__pycache__").iterdir())


def test_where_it_can_be_written_code_is_kept_and_read(kernels, tmp_path):
    first, second = kernels(), kernels()
    assert first(3) == 12
    assert {path.suffix for path in files(tmp_path)} == {".nbi", ".nbc"}
    assert second(3) == 12
    assert sum(second.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_files_that_were_cut_off_are_replaced(kernels, tmp_path, suffix, kept):
    kernels()(3)
    for path in files(tmp_path):
        if path.suffix == suffix:
            path.write_bytes(path.read_bytes()[:kept])
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR") as caught:
        assert kernels()(3) == 12
    assert len(caught) == 1
    assert caught[0].filename == __file__
    again = kernels()
    assert again(3) == 12
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_full_disk_is_said_once(kernels, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    with pytest.warns(RuntimeWarning, match="No space left on device") as caught:
        assert [kernels()(3), kernels()(3.0)] == [12, 12.0]
    assert len(caught) == 1


def test_where_no_directory_can_be_written_kernels_are_compiled(kernels, monkeypatch):
    def read_only(self):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", read_only)
    quadruple = kernels()  # defining one says nothing
    with pytest.warns(RuntimeWarning, match="no locator available") as caught:
        assert [quadruple(3), quadruple(3.0)] == [12, 12.0]
    assert len(caught) == 1


def test_ctrl_c_while_the_cache_is_read_is_no_fault_of_the_cache(kernels, monkeypatch):
    def interrupted(self, key):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error

    quadruple = kernels()
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.load", interrupted)
    with pytest.raises(SystemError):
        quadruple(3)


def test_without_cache_there_is_none():
    assert not isinstance(njit(lambda x: x)._cache, KernelCache)


def test_all_kernels_of_the_package_have_this_cache():
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "numba":
                assert "njit" not in {alias.name for alias in node.names}, path


def test_kernels_of_the_package_work_where_nothing_can_be_written():
    """In a process of its own, so that they are defined there."""
    code = """
        import warnings
        import numpy as np
        from numba.core import caching

        def read_only(self):
            raise OSError("Read-only file system")

        caching._CacheLocator.ensure_cache_path = read_only
        from skem.maxent.classifier.designs._kernels import subtract_share

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            q = np.ones(3)
            share = subtract_share(q, np.ones(3), np.ones(3), 3.0, 0.0)
        assert share == 1.0 and not q.any(), (share, q)
        assert ["NUMBA_CACHE_DIR" in str(w.message) for w in caught] == [True], caught
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
