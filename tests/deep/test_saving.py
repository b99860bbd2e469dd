"""Fitted networks carry what is used, and nothing of the training."""

import pickle

import numpy as np
import pytest

from skem import RNNClassifier, RNNLanguageModel, RNNSeq2Seq, RNNTagger, VAETransformer

ROWS = np.random.default_rng(0).normal(size=(60, 30))
NUMBERS = np.random.default_rng(0).integers(0, 50, (40, 6))
TEXTS = [[f"w{i}" for i in row] for row in NUMBERS]

FITS = {
    "autoencoder": lambda: VAETransformer(2, hidden_layer_sizes=(200,), max_epochs=2).fit(ROWS),
    "language model": lambda: RNNLanguageModel(hidden_size=100, max_epochs=2).fit(NUMBERS),
    "averaged": lambda: RNNLanguageModel(hidden_size=100, optimizer="nt-asgd", max_epochs=2).fit(
        NUMBERS
    ),
    "classifier": lambda: RNNClassifier(hidden_size=100, max_epochs=2).fit(
        NUMBERS, NUMBERS[:, 0] > 20
    ),
    "encoder-decoder": lambda: RNNSeq2Seq(hidden_size=100, max_epochs=2, n_members=2).fit(
        NUMBERS, NUMBERS
    ),
    "tagger": lambda: RNNTagger(hidden_size=100, max_epochs=2).fit(
        TEXTS, [["ab"[len(w) % 2] for w in row] for row in TEXTS]
    ),
}


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
@pytest.mark.parametrize("kind", FITS)
def test_a_pickle_is_about_as_large_as_the_weights(kind):
    model = FITS[kind]()
    weights = sum(p.numel() * p.element_size() for p in model.net_.module_.parameters())
    assert weights > 2e4
    assert len(pickle.dumps(model)) < 1.2 * weights + 1e5
