"""Maximum entropy: distributions from constraints on expectations, and the classifier."""

from skem.maxent.classifier._classifier import MaxEntClassifier
from skem.maxent.distribution._distribution import MaxEntDistribution

__all__ = ["MaxEntClassifier", "MaxEntDistribution"]
