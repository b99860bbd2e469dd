"""Maximum entropy: distributions from facts about expectations, and the classifier."""

from skem.maxent._classifier import MaxEntClassifier
from skem.maxent._distribution import MaxEntDistribution

__all__ = ["MaxEntClassifier", "MaxEntDistribution"]
