"""Probabilistic models with scikit-learn's interface.

Public names are imported when they are first used, so that ``import skem`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skem import datasets as datasets
    from skem import deep as deep
    from skem import em as em
    from skem import inspection as inspection
    from skem import maxent as maxent
    from skem import mixture as mixture
    from skem import topics as topics
    from skem._show_versions import show_versions as show_versions
    from skem.deep import RNNClassifier as RNNClassifier
    from skem.deep import RNNLanguageModel as RNNLanguageModel
    from skem.deep import RNNSeq2Seq as RNNSeq2Seq
    from skem.deep import RNNTagger as RNNTagger
    from skem.deep import VAETransformer as VAETransformer
    from skem.maxent import MaxEntClassifier as MaxEntClassifier
    from skem.maxent import MaxEntDistribution as MaxEntDistribution
    from skem.mixture import BernoulliMixtureEM as BernoulliMixtureEM
    from skem.mixture import GaussianMixtureEM as GaussianMixtureEM
    from skem.mixture import ThreeCoinMixture as ThreeCoinMixture
    from skem.topics import PLSA as PLSA
    from skem.topics import LatentDirichletAllocationVB as LatentDirichletAllocationVB

__version__ = "0.1.0"

_SUBMODULES = ("datasets", "deep", "em", "inspection", "maxent", "mixture", "topics")

_MODULE_OF = {
    "BernoulliMixtureEM": "skem.mixture",
    "GaussianMixtureEM": "skem.mixture",
    "LatentDirichletAllocationVB": "skem.topics",
    "MaxEntClassifier": "skem.maxent",
    "MaxEntDistribution": "skem.maxent",
    "PLSA": "skem.topics",
    "RNNClassifier": "skem.deep",
    "RNNLanguageModel": "skem.deep",
    "RNNSeq2Seq": "skem.deep",
    "RNNTagger": "skem.deep",
    "ThreeCoinMixture": "skem.mixture",
    "VAETransformer": "skem.deep",
    "show_versions": "skem._show_versions",
}

__all__ = sorted([*_MODULE_OF, *_SUBMODULES])


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"skem.{name}")
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
