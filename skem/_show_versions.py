"""What a bug report should say about the installation."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import skem

_DEPENDENCIES = (
    "pip",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "joblib",
    "threadpoolctl",
    "torch",
    "skorch",
    "pandas",
    "matplotlib",
    "rich",
    "dask",
    "distributed",
)


def _system_info() -> dict[str, str]:
    """System, interpreter and cores."""
    import joblib

    return {
        "machine": platform.platform(),
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "cores": f"{os.cpu_count()} in the machine, {joblib.cpu_count()} usable by this process",
    }


def _package_info() -> dict[str, str]:
    """Version of skem and of each dependency, without importing it."""
    versions = {"skem": skem.__version__}
    for name in _DEPENDENCIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _thread_pool_info() -> list[dict[str, Any]]:
    """Thread pools of the numerical libraries that are loaded."""
    import scipy.linalg  # noqa: F401  (loads NumPy's and SciPy's BLAS, so that both are listed)
    from threadpoolctl import threadpool_info

    return threadpool_info()


def show_versions() -> None:
    """Print versions, thread pools and cores, for use in a bug report.

    Nothing is imported that is slow to import: versions come from the packages' metadata.

    Examples
    --------
    >>> import skem
    >>> skem.show_versions()
    System:
    ...
    Packages:
    ...
    Thread pools:
    ...
    """
    _print_table("System", _system_info())
    print()
    _print_table("Packages", _package_info())
    print()
    print("Thread pools:")
    for pool in _thread_pool_info():
        print(
            f"  {pool['internal_api']} {pool['version']}: {pool['num_threads']} threads, "
            f"{pool['filepath']}"
        )


def _print_table(title: str, rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    print(f"{title}:")
    for name, value in rows.items():
        print(f"  {name:>{width}}: {value}")
