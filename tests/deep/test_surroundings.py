"""Fits and calls do not depend on what torch is set to where they are made."""

import contextlib

import numpy as np
import pytest
import torch

from skem import RNNClassifier, RNNLanguageModel, RNNSeq2Seq, RNNTagger, VAETransformer

X = np.random.default_rng(0).normal(size=(60, 4))
NUMBERS = np.random.default_rng(1).integers(0, 5, (24, 6))
WORDS = [[f"w{i}" for i in row] for row in NUMBERS]
TAGS = [["even" if i % 2 == 0 else "odd" for i in row] for row in NUMBERS]


def network(n_inputs, n_outputs):
    module = torch.nn.Linear(n_inputs, n_outputs or 5)
    module.n_outputs = n_outputs or 5
    return module


def autoencoder(**options):
    return lambda: VAETransformer(2, max_epochs=2, random_state=0, **options).fit(X)


MODELS = {
    "autoencoder": (autoencoder(), X),
    "flows": (autoencoder(posterior="iaf"), X),
    "vamp": (autoencoder(prior="vamp", n_importance_samples=2), X),
    "own networks": (autoencoder(encoder=network, decoder=network), X),
    "language model": (
        lambda: RNNLanguageModel(hidden_size=4, max_epochs=2, random_state=0).fit(NUMBERS),
        NUMBERS,
    ),
    "classifier": (
        lambda: RNNClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(
            NUMBERS, NUMBERS[:, 0] > 2
        ),
        NUMBERS,
    ),
    "tagger": (
        lambda: RNNTagger(hidden_size=4, max_epochs=2, random_state=0).fit(WORDS, TAGS),
        WORDS,
    ),
    "encoder-decoder": (
        lambda: RNNSeq2Seq(
            hidden_size=4, max_epochs=2, n_members=2, teacher_forcing=0.5, random_state=0
        ).fit(NUMBERS, NUMBERS[:, :2]),
        NUMBERS,
    ),
}


def results(model, rows):
    names = ("score_samples", "transform", "reconstruct", "predict_proba")
    found = [getattr(model, name)(rows) for name in names if hasattr(model, name)]
    if hasattr(model, "sample"):
        found.append(model.sample(rows if isinstance(model, RNNSeq2Seq) else 3))
    return np.concatenate([np.ravel(np.concatenate(list(map(np.atleast_1d, f)))) for f in found])


@contextlib.contextmanager
def double():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


AROUND = {
    "default float64": double,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", MODELS)
def test_fits_and_calls_are_the_same(kind, around):
    make, rows = MODELS[kind]
    model = make()
    wanted = results(model, rows)
    with AROUND[around]():
        np.testing.assert_array_equal(results(model, rows), wanted)
        found = make()
    np.testing.assert_array_equal(results(found, rows), wanted)


# ---------------------------------------------------------------------- labels
@pytest.mark.parametrize("missing", [None, float("nan"), np.datetime64("NaT")])
def test_missing_classes_are_refused(missing):
    labels = np.array(["a", "b", missing, "a"] * 6, dtype=object)
    with pytest.raises(ValueError, match=r"y contains missing values: y\[2\]"):
        RNNClassifier().fit(NUMBERS, labels)
    for options in ({"prior": "class"}, {"conditional": True}):
        with pytest.raises(ValueError, match=r"labels contains missing values: labels\[2\]"):
            VAETransformer(2, **options).fit(X[:24], labels=labels)
    numbers = np.array([0.0, 1.0, np.nan] * 8)
    with pytest.raises(ValueError, match="labels contains NaN"):
        VAETransformer(2, prior="class").fit(X[:24], labels=numbers)


# ---------------------------------------------------------------------- extremes
@pytest.mark.parametrize("temperature", [1e-300, 1e-45, 1e-12])
def test_cold_draws_are_the_likeliest_tokens(temperature):
    model = MODELS["language model"][0]()
    drawn = model.generate(n_tokens=8, temperature=temperature, random_state=0)
    assert drawn == model.generate(n_tokens=8, top_k=1, random_state=0)


def test_hot_draws_are_uniform():
    model = MODELS["language model"][0]()
    drawn = [model.generate(n_tokens=40, temperature=1e300, random_state=s) for s in range(20)]
    counts = np.bincount(np.concatenate([d for d in drawn if d]), minlength=5)
    assert counts.min() > 0.5 * counts.mean()


def test_columns_far_from_zero_keep_their_digits():
    """Seconds since 1970: a step of float32 there is 128."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([1.7e9 + rng.normal(0, 20, 300), rng.normal(size=300)])
    model = VAETransformer(2, max_epochs=30, random_state=0).fit(rows)
    for found in (model.reconstruct(rows), model.sample(300), model.inverse_transform(np.eye(2))):
        assert found.dtype == np.float64
        assert len(np.unique(found[:, 0])) == len(found)
        assert abs(found[:, 0].mean() - 1.7e9) < 60
    assert model.fit(rows.astype(np.float32)).sample(3).dtype == np.float32


def test_units_are_those_in_which_the_module_sees_rows():
    """What a training loop of the user's own must do with its rows."""
    rows = X * [1e3, 1, 1e-4, 1] + [5.0, 0, 0, 1e6]
    model = VAETransformer(2, max_epochs=2, random_state=0).fit(rows)
    inside = torch.tensor((rows - model.center_) / model.scale_, dtype=torch.float32)
    module = model.net_.module_.eval()
    mean = module.posterior(inside)[0].detach().numpy()
    np.testing.assert_allclose(mean, model.transform(rows), atol=1e-6)
