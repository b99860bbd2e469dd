"""Maximum entropy: distributions from facts about expectations."""

from skem.maxent._distribution import MaxEntDistribution

__all__ = ["MaxEntDistribution"]
