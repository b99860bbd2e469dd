"""Displays: pictures of fitted models, in the manner of scikit-learn's Display classes."""

from skem.inspection._attention import AttentionDisplay
from skem.inspection._bound import BoundDisplay
from skem.inspection._document_topics import DocumentTopicsDisplay
from skem.inspection._expectations import ExpectationsDisplay
from skem.inspection._latent import LatentSpaceDisplay
from skem.inspection._loss import LossDisplay
from skem.inspection._manifold import ManifoldDisplay
from skem.inspection._mixture import MixtureDisplay
from skem.inspection._reconstruction import ReconstructionDisplay
from skem.inspection._topics import TopicsDisplay
from skem.inspection._weights import WeightsDisplay

__all__ = [
    "AttentionDisplay",
    "BoundDisplay",
    "DocumentTopicsDisplay",
    "ExpectationsDisplay",
    "LatentSpaceDisplay",
    "LossDisplay",
    "ManifoldDisplay",
    "MixtureDisplay",
    "ReconstructionDisplay",
    "TopicsDisplay",
    "WeightsDisplay",
]
