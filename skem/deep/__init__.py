"""Deep models on torch, trained through skorch."""

from skem.deep._rnn_classifier import RNNClassifier
from skem.deep._rnn_lm import RNNLanguageModel
from skem.deep._rnn_tagger import RNNTagger
from skem.deep._vae import VAETransformer

__all__ = ["RNNClassifier", "RNNLanguageModel", "RNNTagger", "VAETransformer"]
