"""Fits and calls draw from generators of their own, in any thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skem import RNNClassifier, RNNLanguageModel, RNNTagger, VAETransformer
from skem.deep.modules import draws

X = np.random.default_rng(0).normal(size=(120, 5))
TEXTS = ["the cat sat", "a dog ran off", "the dog sat down", "cats and dogs ran"] * 6
NUMBERS = np.random.default_rng(1).integers(0, 5, (24, 6))


def network(n_inputs, n_outputs):
    """Layers that draw from torch's global generator, which no caller can change."""
    width = n_outputs or 6
    module = nn.Sequential(nn.Linear(n_inputs, width), nn.Dropout(0.3), nn.Tanh())
    module.n_outputs = width
    return module


def autoencoder(**options):
    model = VAETransformer(2, max_epochs=3, batch_size=16, random_state=0, **options)
    fitted = model.fit(X)
    return np.column_stack([fitted.reconstruct(X), fitted.sample(120)])


def language_model():
    model = RNNLanguageModel(hidden_size=8, max_epochs=2, dropout=0.2, random_state=0)
    model = model.set_params(dropout_weights=0.2, dropout_embedding=0.1, teacher_forcing=0.8)
    model.fit(TEXTS)
    drawn = [model.generate(n_tokens=9, random_state=seed) for seed in range(3)]
    return np.append(model.score_samples(TEXTS), [len(t) for t in drawn])


def classifier():
    model = RNNClassifier(hidden_size=8, max_epochs=2, random_state=0)
    return model.fit(NUMBERS, NUMBERS[:, 0] > 2).predict_proba(NUMBERS)


def tagger():
    model = RNNTagger(hidden_size=8, max_epochs=2, random_state=0)
    documents = [text.split() for text in TEXTS]
    tags = [["x" if "a" in word else "y" for word in words] for words in documents]
    model.fit(documents, tags)
    return np.concatenate(model.predict_proba(documents))


FITS = {
    "autoencoder": autoencoder,
    "flows": lambda: autoencoder(posterior="planar"),
    "vamp": lambda: autoencoder(prior="vamp"),
    "networks of the user's own": lambda: autoencoder(encoder=network, decoder=network),
    "language model": language_model,
    "classifier": classifier,
    "tagger": tagger,
}

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")


@pytest.mark.parametrize("kind", FITS)
def test_fits_in_threads_are_those_made_one_after_the_other(kind):
    alone = FITS[kind]()
    state = torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: FITS[kind](), range(3)):
            np.testing.assert_array_equal(found, alone)
    assert torch.equal(torch.get_rng_state(), state)


def test_numbers_drawn_in_another_thread_are_those_of_the_global_generator():
    """What the user draws while fits run elsewhere is what it would be without them."""
    wanted = torch.rand(4000, generator=torch.Generator().manual_seed(7))
    torch.manual_seed(7)
    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(autoencoder), pool.submit(language_model)]
        drawn = []
        while not all(fit.done() for fit in fits) or len(drawn) < 40:
            if len(drawn) < 40:
                drawn.append(torch.rand(100))
    assert torch.equal(torch.cat(drawn), wanted)


class Draws(Callback):
    """Draws from torch's global generator, and calls the module, which draws."""

    def on_epoch_end(self, net, dataset_train, **kwargs):
        torch.randn(3)
        net.module_(*dataset_train[:4])


@pytest.mark.parametrize("networks", [{}, {"encoder": network}])
def test_a_callback_that_draws_does_not_change_the_fit(networks):
    plain = autoencoder(**networks)
    np.testing.assert_array_equal(autoencoder(callbacks=[Draws()], **networks), plain)


def test_draws_follow_the_seed_inside_and_torch_outside():
    like = torch.zeros(2, 3)
    chances = torch.full((5, 4), 0.25)

    def all_draws():
        return [
            draws.normal((2, 3), like),
            draws.uniform((4,), like.device),
            draws.dropout(torch.ones(6), 0.5),
            draws.bernoulli(torch.full((9,), 0.5)),
            draws.choice(chances),
            draws.integers(9, 5, like.device),
        ]

    with draws.own_generators(3, like.device):
        one = all_draws()
        with draws.set_aside():
            aside = all_draws()
        more = all_draws()
    with draws.own_generators(3, like.device):
        two = all_draws()
        again = all_draws()
    for a, b, c, d, e in zip(one, two, more, again, aside, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(c, d)
        assert a.shape == e.shape
    torch.manual_seed(3)
    outside = all_draws()
    torch.manual_seed(3)
    assert all(map(torch.equal, outside, all_draws()))


def test_borrowed_generators_go_on_where_they_were():
    cpu = torch.device("cpu")
    state = torch.get_rng_state()
    with draws.own_generators(1, cpu):
        with draws.borrowed(cpu):
            first = torch.rand(3)
        second = draws.uniform((3,), cpu)
    with draws.own_generators(1, cpu):
        both = draws.uniform((3,), cpu), draws.uniform((3,), cpu)
    assert torch.equal(first, both[0])
    assert torch.equal(second, both[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_has_the_mean_of_what_it_drops_from():
    x = torch.full((20000,), 2.0)
    dropped = draws.dropout(x, 0.25)
    assert dropped.unique().tolist() == pytest.approx([0, 8 / 3])
    assert dropped.mean() == pytest.approx(2, abs=0.05)
    assert draws.dropout(x, 0.25, training=False) is x
