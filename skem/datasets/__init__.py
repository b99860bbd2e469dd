"""Small real data sets that come with the package, or with Python."""

from skem.datasets._old_faithful import load_old_faithful
from skem.datasets._python_reference import load_python_reference

__all__ = ["load_old_faithful", "load_python_reference"]
