"""Mixtures fitted by EM: real-valued data, binary data, and the three coins of the textbook."""

from skem.mixture._scorers import InSample, bic_score, held_out_score, icl_score
from skem.mixture.bernoulli._bernoulli_mixture import BernoulliMixtureEM
from skem.mixture.bernoulli._three_coins import ThreeCoinMixture
from skem.mixture.gaussian._gaussian_mixture import GaussianMixtureEM
from skem.mixture.gaussian._selection import MixtureSelection, select_gaussian_mixture

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
