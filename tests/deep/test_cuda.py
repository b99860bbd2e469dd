"""Estimators on a GPU. Skipped where there is none; SKEM_TEST_DEVICE=cpu runs it there."""

import os
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skem import RNNClassifier, RNNLanguageModel, RNNSeq2Seq, RNNTagger, VAETransformer
from skem.deep.training._device import same_device

DEVICE = os.environ.get("SKEM_TEST_DEVICE", "cuda")
needs_device = pytest.mark.skipif(
    DEVICE.startswith("cuda") and not torch.cuda.is_available(), reason="needs a CUDA device"
)

RNG = np.random.default_rng(0)
ROWS = (RNG.random((60, 6)) < RNG.random((60, 1))).astype(np.float32)
TEXTS = ["to be or not to be", "that is the question", "whether it is nobler"] * 4
WORDS = [text.split() for text in TEXTS]
TAGS = [["short" if len(word) < 3 else "long" for word in words] for words in WORDS]
CLASSES = ["be", "is", "it"] * 4
SMALL = {"hidden_size": 8, "random_state": 0, "device": DEVICE}

FITS = {
    "autoencoder": lambda **o: VAETransformer(
        2, likelihood="bernoulli", max_epochs=2, random_state=0, **{"device": DEVICE} | o
    ).fit(ROWS),
    "language model": lambda **o: RNNLanguageModel(max_epochs=2, bptt=8, **SMALL | o).fit(TEXTS),
    "random truncation": lambda **o: RNNLanguageModel(
        max_epochs=2, bptt=8, truncation="random", **SMALL | o
    ).fit(TEXTS),
    "scheduled sampling": lambda **o: RNNLanguageModel(
        max_epochs=2, bptt=8, teacher_forcing=0.5, **SMALL | o
    ).fit(TEXTS),
    "classifier": lambda **o: RNNClassifier(max_epochs=2, **SMALL | o).fit(TEXTS, CLASSES),
    "tagger": lambda **o: RNNTagger(max_epochs=2, **SMALL | o).fit(WORDS, TAGS),
    "encoder-decoder": lambda **o: RNNSeq2Seq(
        max_epochs=2, n_members=2, teacher_forcing=0.5, **SMALL | o
    ).fit(TEXTS, TEXTS),
}


def used(model):
    """What a fitted model says of its data."""
    if isinstance(model, RNNClassifier):
        return model.predict_log_proba(TEXTS)
    if isinstance(model, RNNSeq2Seq):
        found = [model.score_samples(TEXTS, TEXTS), model.transform(TEXTS).ravel()]
        return np.concatenate([*found, *map(np.ravel, model.attention_weights(TEXTS, TEXTS))])
    if isinstance(model, RNNTagger):
        return np.concatenate(model.predict_log_proba(WORDS))
    if isinstance(model, VAETransformer):
        return model.transform(ROWS)
    return np.concatenate([model.score_samples(TEXTS), model.predict_proba(TEXTS).ravel()])


@needs_device
@pytest.mark.parametrize("name", FITS)
def test_weights_are_on_the_device_and_say_the_same_on_the_cpu(name):
    model = FITS[name]()
    devices = {p.device.type for p in model.net_.module_.parameters()}
    assert devices == {torch.device(DEVICE).type}
    there = used(model)
    assert np.isfinite(there).all()
    here = used(pickle.loads(pickle.dumps(model)).set_params(device="cpu"))
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)


@needs_device
@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_that_of_its_seed(name):
    before = torch.get_rng_state(), torch.cuda.get_rng_state() if DEVICE != "cpu" else None
    np.testing.assert_allclose(used(FITS[name]()), used(FITS[name]()), rtol=1e-3, atol=1e-4)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] is None or torch.equal(before[1], torch.cuda.get_rng_state())


@needs_device
@pytest.mark.skipif(DEVICE == "cpu", reason="mixed precision is for CUDA")
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", FITS)
def test_mixed_precision_trains(name, precision):
    mixed, full = FITS[name](precision=precision), FITS[name]()
    assert np.isfinite(used(mixed)).all()
    losses = [model.history_[-1]["train_loss"] for model in (mixed, full)]
    np.testing.assert_allclose(*losses, rtol=0.1)


@needs_device
def test_text_is_generated_there():
    model = FITS["language model"]()
    text = model.generate("to ", 12, random_state=0)
    assert text == model.generate("to ", 12, random_state=0)
    assert text == "".join(model.generate("to ", 12, random_state=0, stream=True))


@needs_device
def test_a_clone_trains_on_the_cpu():
    model = clone(FITS["language model"]()).set_params(device="cpu").fit(TEXTS)
    assert {p.device.type for p in model.net_.module_.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("wanted", "device", "same"),
    [
        ("cpu", "cpu", True),
        ("cuda", "cuda:1", True),
        ("cuda:0", "cuda:1", False),
        ("cpu", "cuda:0", False),
    ],
)
def test_a_device_without_a_number_is_any_of_its_type(wanted, device, same):
    assert same_device(torch.device(wanted), torch.device(device)) == same
