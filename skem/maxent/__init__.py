"""Maximum entropy."""

from skem.maxent._classifier import MaxEntClassifier

__all__ = ["MaxEntClassifier"]
