"""Deep models on torch, trained through skorch."""

from skem.deep.recurrent._classifier import RNNClassifier
from skem.deep.recurrent._language_model import RNNLanguageModel
from skem.deep.recurrent._tagger import RNNTagger
from skem.deep.vae._vae import VAETransformer

__all__ = ["RNNClassifier", "RNNLanguageModel", "RNNTagger", "VAETransformer"]
