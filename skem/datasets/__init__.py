"""Small real data sets that come with the package."""

from skem.datasets._old_faithful import load_old_faithful

__all__ = ["load_old_faithful"]
