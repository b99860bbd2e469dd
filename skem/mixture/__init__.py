"""Mixtures fitted by EM."""

from skem.mixture._gaussian import GaussianMixtureEM

__all__ = ["GaussianMixtureEM"]
