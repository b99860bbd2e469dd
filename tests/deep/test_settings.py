"""Parameters that are set after a fit: those of the model, and those of training."""

import copy
import functools
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import EpochTimer
from torch import nn

from skem import RNNClassifier, RNNLanguageModel, RNNSeq2Seq, RNNTagger, VAETransformer
from skem.deep.training._settings import same_setting

TEXTS = ["the cat sat", "a dog ran off", "the dog sat down", "cats and dogs ran"] * 4
CLASSES = ["cat", "dog", "dog", "both"] * 4
TAGS = [["x" if "a" in word else "y" for word in text.split()] for text in TEXTS]
ROWS = np.random.default_rng(0).random((40, 3))
LABELS = np.arange(40) % 2

TRAINING = {
    "learning_rate": 0.001,
    "learning_rate_schedule": "constant",
    "weight_decay": 0.1,
    "gradient_clip": 0.5,
    "batch_size": 3,
    "max_epochs": 2,
    "early_stopping": True,
    "validation_fraction": 0.3,
    "patience": 1,
    "warm_start": False,
    "device": "cpu",
    "precision": "bfloat16",
    "random_state": 1,
    "callbacks": [EpochTimer()],
    "verbose": 0,
}
DROPOUT = {f"dropout{of}": 0.2 for of in ("", "_embedding", "_input", "_hidden", "_weights")}
RECURRENT = {
    "cell": "rnn_relu",  # layers of the same shapes
    "embedding_dim": 3,
    "hidden_size": 5,
    "n_layers": 2,
    "tokenizer": "char",
    "min_frequency": 2,
    "max_vocabulary": 3,
}
LABELLED = {"bidirectional": False}

# For each estimator other values of all parameters, those of the model before those of training.
PARAMETERS = {
    RNNLanguageModel: (
        RECURRENT
        | {"tie_weights": False, "cutoffs": [2, 4], "unknown_token": False, "end_token": False},
        TRAINING
        | DROPOUT
        | {
            "activation_regularization": 0.1,
            "temporal_activation_regularization": 0.1,
            "bptt": 3,
            "truncation": "none",
            "teacher_forcing": 0.9,
            "teacher_forcing_steps": 0,
            "representation": "mean",
            "unknown_score": "symbol",
            "optimizer": "nt-asgd",
            "averaging_patience": 1,
        },
    ),
    RNNClassifier: (
        RECURRENT | LABELLED | {"pooling": "last"},
        TRAINING | DROPOUT | {"word_dropout": 0.1, "class_weight": "balanced"},
    ),
    RNNTagger: (
        RECURRENT
        | LABELLED
        | {
            "characters": None,
            "character_dim": 5,
            "character_features": 6,
            "lowercase": False,
        },
        TRAINING | DROPOUT | {"word_dropout": 0.1, "class_weight": "balanced"},
    ),
    RNNSeq2Seq: (
        RECURRENT
        | LABELLED
        | {
            "attention": "dot",
            "input_feeding": "state",
            "tie_weights": True,
            "share_vocabulary": True,
            "target_tokenizer": "char",
            "n_members": 2,
        },
        TRAINING
        | DROPOUT
        | {
            "word_dropout": 0.1,
            "label_smoothing": 0.2,
            "teacher_forcing": 0.9,
            "teacher_forcing_steps": 0,
            "beam_size": 2,
            "length_penalty": 0.5,
            "max_length": 30,
        },
    ),
    VAETransformer: (
        {
            "n_components": 3,
            "hidden_layer_sizes": (4, 4),
            "activation": "tanh",
            "likelihood": "bernoulli",
            "variance": "shared",
            "standardize": False,
            "posterior": "iaf",
            "n_flows": 2,
            "prior": "vamp",
            "n_pseudo_inputs": 7,
            "conditional": True,
            "encoder": lambda n_inputs, n_outputs: nn.Identity(),
            "decoder": nn.Linear,
        },
        TRAINING
        | {
            "binarize": True,
            "kl_weight": 0.5,
            "kl_warmup_steps": 1,
            "free_bits": 0.1,
            "n_importance_samples": 2,
        },
    ),
}
OPTIONS = {
    RNNLanguageModel: {"cell": "rnn_tanh", "hidden_size": 4, "tokenizer": "word"},
    RNNClassifier: {"cell": "rnn_tanh", "hidden_size": 4, "embedding_dim": 4},
    RNNTagger: {
        "cell": "rnn_tanh",
        "hidden_size": 4,
        "embedding_dim": 4,
        "character_dim": 3,
        "character_features": 4,
        "tokenizer": "word",
    },
    RNNSeq2Seq: {
        "cell": "rnn_tanh",
        "hidden_size": 4,
        "embedding_dim": 4,
        "tokenizer": "word",
        "target_tokenizer": "word",
    },
    VAETransformer: {"hidden_layer_sizes": (4,)},
}
DATA = {
    RNNLanguageModel: (TEXTS,),
    RNNClassifier: (TEXTS, CLASSES),
    RNNTagger: (TEXTS, TAGS),
    RNNSeq2Seq: (TEXTS, TEXTS),
    VAETransformer: (ROWS,),
}
OF_MODEL = [(kind, name) for kind, (model, _) in PARAMETERS.items() for name in model]
OF_TRAINING = [(kind, name) for kind, (_, training) in PARAMETERS.items() for name in training]

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")


@functools.cache
def fitted_once(kind):
    model = kind(max_epochs=1, warm_start=True, random_state=0, **OPTIONS[kind])
    return model.fit(*DATA[kind])


def fitted(kind):
    return copy.deepcopy(fitted_once(kind))


def outputs(model):
    """What the fitted model is asked, as arrays."""
    if isinstance(model, RNNLanguageModel):
        drawn = model.generate("the cat", 5, random_state=0)
        asked = [model.score_samples(TEXTS), model.predict_proba(["the", ""]), [drawn]]
        return [*asked, model.transform(TEXTS), [model.bits_per_character(TEXTS)]]
    if isinstance(model, VAETransformer):
        X = ROWS - 1  # outside of the range of other likelihoods
        Z = model.transform(X)
        return [Z, model.inverse_transform(Z), model.score_samples(X), model.sample(5)]
    if isinstance(model, RNNSeq2Seq):
        scores = model.score_samples(TEXTS, TEXTS)  # without a beam
        return [scores, model.transform(TEXTS), model.predict_next_proba(TEXTS, TEXTS)]
    if isinstance(model, RNNTagger):
        return model.predict_proba([text.upper() for text in TEXTS])
    return [model.predict_proba(TEXTS)]


def assert_same_outputs(a, b):
    for x, y in zip(outputs(a), outputs(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_each_parameter_is_one_of_the_model_or_of_training(kind):
    of_model, of_training = PARAMETERS[kind]
    assert set(of_model) == set(kind._defining)
    assert not set(of_model) & set(of_training)
    # torch.compile takes long, and makes the same module.
    assert set(of_model) | set(of_training) | {"compile"} == set(kind().get_params())


@pytest.mark.parametrize(("kind", "name"), OF_MODEL)
def test_a_fitted_model_answers_as_it_was_fitted(kind, name):
    model = fitted(kind).set_params(**{name: PARAMETERS[kind][0][name]})
    if name != "encoder":  # a lambda
        model = pickle.loads(pickle.dumps(model))
    assert_same_outputs(model, fitted(kind))


@pytest.mark.parametrize(("kind", "name"), OF_MODEL)
def test_a_fit_does_not_go_on_with_the_weights_of_another_model(kind, name):
    model = fitted(kind)
    before, after = getattr(model, name), PARAMETERS[kind][0][name]
    model.set_params(**{name: after})
    known = dict(vars(model))
    message = rf"{name} was .* then, and is .* now. Set it back, or fit anew with warm_start=False"
    calls = [model.fit, model.partial_fit] if kind is RNNLanguageModel else [model.fit]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(*DATA[kind])
        assert vars(model) == known
    resumed = model.set_params(**{name: before}).fit(*DATA[kind])
    assert_same_outputs(resumed, fitted(kind).fit(*DATA[kind]))


@pytest.mark.parametrize(("kind", "name"), OF_TRAINING)
def test_parameters_of_training_may_change(kind, name):
    model = fitted(kind).set_params(**{name: PARAMETERS[kind][1][name]})
    for result in outputs(model):
        assert len(result)
    assert model.fit(*DATA[kind]).n_iter_ == (2 if name == "max_epochs" else 1)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_cold_fit_takes_the_parameters_as_they_are(kind):
    model = fitted(kind).set_params(warm_start=False)
    first = next(iter(PARAMETERS[kind][0]))
    model.set_params(**{first: PARAMETERS[kind][0][first]}).fit(*DATA[kind])
    resumed = model.set_params(warm_start=True).fit(*DATA[kind])
    assert getattr(resumed, first) == PARAMETERS[kind][0][first]


@pytest.mark.parametrize("kind", PARAMETERS)
def test_copies_and_equal_values_go_on(kind):
    model = pickle.loads(pickle.dumps(fitted(kind)))
    if kind is VAETransformer:
        model.set_params(hidden_layer_sizes=np.array([4]), n_components=np.int64(2))
    else:
        model.set_params(hidden_size=np.int64(4), n_layers=np.int64(1))
    assert_same_outputs(model.fit(*DATA[kind]), fitted(kind).fit(*DATA[kind]))


def test_a_model_with_labels_asks_for_them_whatever_is_set_later():
    model = VAETransformer(prior="class", conditional=True, max_epochs=1, random_state=0)
    model.fit(ROWS, labels=LABELS)
    Z = model.transform(ROWS, labels=LABELS)
    model.set_params(prior="normal", conditional=False)
    np.testing.assert_array_equal(model.transform(ROWS, labels=LABELS), Z)
    with pytest.raises(ValueError, match="labels are needed with conditional=True"):
        model.transform(ROWS)
    with pytest.raises(ValueError, match="interpolate has no label"):
        model.interpolate(ROWS[0], ROWS[1])


@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_frozen_model_stays_as_it_was_fitted(kind):
    model = fitted(kind)
    frozen = clone(FrozenEstimator(model))
    model.set_params(**PARAMETERS[kind][0], **PARAMETERS[kind][1])
    assert frozen.fit(DATA[kind][0], None).estimator is model
    method = "transform" if hasattr(model, "transform") else "predict"
    for a, b in zip(
        getattr(frozen, method)(DATA[kind][0]),
        getattr(fitted(kind).set_params(**PARAMETERS[kind][1]), method)(DATA[kind][0]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert not hasattr(clone(model), "_settings")


def test_a_list_that_is_changed_later_is_another_value():
    sizes = [4]
    model = VAETransformer(hidden_layer_sizes=sizes, max_epochs=1, warm_start=True).fit(ROWS)
    sizes.append(4)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes was \[4\] then, and is \[4, 4\] now"):
        model.fit(ROWS)


# ---------------------------------------------------------------------- values of any kind
class Strange:
    """A maker of modules that cannot be compared."""

    def __call__(self, n_inputs, n_outputs):
        return nn.Linear(n_inputs, n_outputs)

    def __eq__(self, other):
        raise RuntimeError("not to be compared")

    __hash__ = None


class Named(Strange):
    """One that can."""

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Named) and self.name == other.name

    __hash__ = None


STRANGE = Strange()


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (STRANGE, STRANGE, True),
        (STRANGE, Strange(), False),
        (Strange(), None, False),
        (None, Strange(), False),
        (Named("a"), Named("a"), True),
        (Named("a"), Named("b"), False),
        (nn.Linear, nn.Linear, True),
        (nn.Linear, nn.Identity, False),
        (str.split, str.split, True),
        ("a b".split, "word", False),
        ([3, 4], (3, 4), True),
        ([3, 4], np.array([3, 4]), True),
        ([3, 4], [4, 3], False),
        (3, [3, 4], False),
        (["a", [1, 2]], ["a"], False),
        ([np.zeros(2)], [np.zeros(2)], False),  # cannot say: another one
        ("columns", 1.0, False),
        (True, "auto", False),
        (None, 5, False),
    ],
)
def test_values_are_compared_and_nothing_is_raised(before, now, same):
    assert same_setting(before, now) is same


def test_modules_of_the_user_are_the_same_where_they_say_so():
    model = VAETransformer(decoder=Named("a"), max_epochs=1, warm_start=True).fit(ROWS)
    model.set_params(decoder=Named("a")).fit(ROWS)
    copied = copy.deepcopy(model).fit(ROWS)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(copied)).transform(ROWS), copied.transform(ROWS)
    )
    with pytest.raises(ValueError, match=r"decoder was .* then"):
        model.set_params(decoder=Named("b")).fit(ROWS)
    strange = VAETransformer(decoder=STRANGE, max_epochs=1, warm_start=True).fit(ROWS)
    resumed = pickle.loads(pickle.dumps(strange)).fit(ROWS)  # the same object within the pickle
    with pytest.raises(ValueError, match=r"decoder was .* then"):
        resumed.set_params(decoder=Strange()).fit(ROWS)
