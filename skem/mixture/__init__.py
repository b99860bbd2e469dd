"""Mixtures fitted by EM: real-valued data, binary data, and the three coins of the textbook."""

from skem.mixture._bernoulli import BernoulliMixtureEM
from skem.mixture._gaussian import GaussianMixtureEM
from skem.mixture._scorers import InSample, bic_score, held_out_score, icl_score
from skem.mixture._selection import MixtureSelection, select_gaussian_mixture
from skem.mixture._three_coins import ThreeCoinMixture

__all__ = [
    "BernoulliMixtureEM",
    "GaussianMixtureEM",
    "InSample",
    "MixtureSelection",
    "ThreeCoinMixture",
    "bic_score",
    "held_out_score",
    "icl_score",
    "select_gaussian_mixture",
]
