"""Mixtures fitted by EM: real-valued data, binary data, and the three coins of the textbook."""

from skem.mixture._bernoulli import BernoulliMixtureEM
from skem.mixture._gaussian import GaussianMixtureEM
from skem.mixture._selection import (
    InSample,
    MixtureSelection,
    bic_score,
    icl_score,
    select_gaussian_mixture,
)
from skem.mixture._three_coins import ThreeCoinMixture

__all__ = [
    "BernoulliMixtureEM",
    "GaussianMixtureEM",
    "InSample",
    "MixtureSelection",
    "ThreeCoinMixture",
    "bic_score",
    "icl_score",
    "select_gaussian_mixture",
]
