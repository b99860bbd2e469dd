"""Deep models on torch, trained through skorch."""

from skem.deep.recurrent._classifier import RNNClassifier
from skem.deep.recurrent._language_model import RNNLanguageModel
from skem.deep.recurrent._tagger import RNNTagger
from skem.deep.seq2seq._error_rate import token_error_rate, token_error_rate_scorer
from skem.deep.seq2seq._seq2seq import RNNSeq2Seq
from skem.deep.vae._vae import VAETransformer

__all__ = [
    "RNNClassifier",
    "RNNLanguageModel",
    "RNNSeq2Seq",
    "RNNTagger",
    "VAETransformer",
    "token_error_rate",
    "token_error_rate_scorer",
]
