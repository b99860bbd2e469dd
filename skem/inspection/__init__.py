"""Displays: pictures of fitted models, in the manner of scikit-learn's Display classes."""

from skem.inspection._bound import BoundDisplay
from skem.inspection._mixture import MixtureDisplay

__all__ = ["BoundDisplay", "MixtureDisplay"]
