"""What of scikit-learn's habits and tools is special to the language model: text, and errors."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skem import MaxEntClassifier
from tests.deep.test_rnn_lm import IDS, LINES, TABLE, TEXT, small


def outputs(model, X):
    drawn = model.generate(n_tokens=5, random_state=0)
    return [model.transform(X), model.score_samples(X), model.predict_proba(X), drawn]


def assert_same_outputs(a, b, X):
    for x, y in zip(outputs(a, X), outputs(b, X), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_pickle_holds_no_text():
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh "), 100_000))
    model = small(max_epochs=1, early_stopping=True).fit(text)
    weights = sum(p.nbytes for p in model.net_.module_.parameters())
    assert len(pickle.dumps(model)) < 3 * weights + 60_000


def test_a_stream_of_tokens_leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    for _ in small().fit(LINES).generate("the", 3, stream=True):
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.get_rng_state(), state)


# ---------------------------------------------------------------------- going on
def test_partial_fits_learn_with_the_vocabulary_of_the_first():
    model = small()
    losses = []
    for _ in range(15):
        losses.append(-model.partial_fit(LINES).score(LINES))
    assert losses[-1] < losses[0] - 0.5
    assert [row["epoch"] for row in model.history_] == list(range(1, 16))
    tokens = model.vocabulary_.tokens_
    model.partial_fit(["new signs: #?", "the end"])
    assert model.vocabulary_.tokens_ == tokens


def test_a_warm_start_goes_on_from_the_weights():
    model = small(warm_start=True).fit(LINES)
    before = -model.score(LINES)
    model.fit(LINES)
    assert model.history_[0]["train_loss"] < before + 0.1
    model.set_params(hidden_size=7)
    with pytest.raises(ValueError, match="hidden_size was 12 then, and is 7 now"):
        model.fit(LINES)


def test_early_stopping_takes_the_weights_of_the_best_epoch():
    model = small(early_stopping=True, patience=2, learning_rate=0.05, max_epochs=60).fit(
        TEXT[:400]
    )
    losses = [row["valid_loss"] for row in model.history_]
    assert len(losses) - 1 - int(np.argmin(losses)) <= 2
    model = small(early_stopping=True, patience=1, max_epochs=50, learning_rate=0.1)
    model.set_params(unknown_score="symbol")  # of 'z'
    model.fit(LINES[:4] * 2, X_val=["zzz", "ccc"])
    best = min(row["valid_loss"] for row in model.history_)
    assert best == pytest.approx(-model.score(["zzz", "ccc"]), rel=1e-4)


class Weights(Callback):
    """The weights that were trained last and their averages, at the end of the training."""

    def on_train_end(self, net, **kwargs):
        optimizer, module = net.optimizer_, net.module_
        assert optimizer.averages
        optimizer.train()
        self.trained_ = [p.detach().clone() for p in module.parameters()]
        optimizer.eval()
        self.averages_ = [p.detach().clone() for p in module.parameters()]


def test_averages_are_what_is_used_once_the_loss_has_stopped_to_fall():
    options = {"optimizer": "nt-asgd", "learning_rate": 4.0, "averaging_patience": 1}
    weights = Weights()
    model = small(**options, max_epochs=40, gradient_clip=0.25, callbacks=[weights]).fit(LINES)
    used = list(model.net_.module_.parameters())
    assert all(map(torch.equal, weights.averages_, used))
    assert not all(map(torch.equal, weights.trained_, used))


# ---------------------------------------------------------------------- input
def test_characters_are_a_text_and_a_list_of_one_text_is_that_text():
    model = small().fit(LINES)
    characters = [list(line) for line in LINES]
    np.testing.assert_array_equal(small().fit(characters).score_samples(characters),
                                  model.score_samples(LINES))  # fmt: skip
    text = small().fit(TEXT)
    np.testing.assert_array_equal(small().fit([TEXT]).transform([TEXT]), text.transform(TEXT))
    assert not hasattr(text, "n_features_in_")


def test_predictions_are_tokens():
    assert small().fit(IDS).predict(IDS).dtype.kind == "i"
    assert small().fit(LINES).predict(["the"])[0] in set("".join(LINES))


def test_states_feed_a_classifier():
    y = np.array(["cat" in line or "dog" in line for line in LINES])
    pipeline = make_pipeline(
        small(max_epochs=40, hidden_size=32, representation="mean"), MaxEntClassifier()
    )
    assert pipeline.fit(LINES, y).score(LINES, y) > 0.9


def test_a_search_finds_that_one_unit_is_too_few():
    search = GridSearchCV(small(max_epochs=10), {"hidden_size": [1, 24]}, cv=2).fit(LINES)
    assert search.best_params_ == {"hidden_size": 24}


# ---------------------------------------------------------------------- errors
BAD_FITS = [
    ({}, ["", ""], "every document is empty"),
    ({}, [], "no documents"),
    ({"end_token": False}, ["ab", ""], "Sequence 1 of X has no tokens"),
    ({}, "aaaa", "vocabulary of one token, 'a'"),
    ({}, ["a", "b"], "Sequence 0 of X has 1 token"),
    ({}, np.ones((5, 1), int), "at least two tokens"),
    ({"tokenizer": None}, LINES, "tokenizer=None"),
    ({"min_frequency": 100}, LINES[:3], "min_frequency=100"),
    ({}, np.array([[0.5, 1.0], [1.0, 2.0]]), "must be integers"),
    ({"hidden_size": (3, 4)}, LINES, "hidden_size"),
    ({"hidden_size": (3, -4), "n_layers": 2}, LINES, "hidden_size"),
    ({"cutoffs": [5, 3]}, LINES, "cutoffs must be rising"),
    ({"cutoffs": [5, 1000]}, LINES, "cutoffs must be rising"),
    ({"bptt": 1, "truncation": "random"}, LINES, "bptt"),
    ({"teacher_forcing_steps": 9}, LINES, "teacher_forcing_steps"),
    ({"early_stopping": True, "validation_fraction": 0.9}, "abc", "validation_fraction"),
    ({"device": "nonsense"}, LINES, "device='nonsense'"),
]


@pytest.mark.parametrize(("options", "X", "message"), BAD_FITS)
def test_bad_input_is_named_and_leaves_the_estimator_as_it_was(options, X, message):
    model = small(max_epochs=1).fit(LINES)
    before = vars(model.set_params(**options)).copy()
    score = model.score(LINES)
    for method in (model.fit, model.set_params().fit):
        with pytest.raises(ValueError, match=message):
            method(X)
    assert vars(model) == before
    assert model.score(LINES) == score


def test_bad_use_is_named():
    model = small(max_epochs=1, unknown_token=False).fit(TABLE)
    with pytest.raises(ValueError, match="X has 5 features, but RNNLanguageModel is expecting 6"):
        model.score_samples(TABLE[:, :5])
    with pytest.raises(ValueError, match="not in the vocabulary of 5: 9"):
        model.score_samples([[0, 1, 9]])
    with pytest.raises(ValueError, match=r"negative|not in the vocabulary"):
        model.score_samples([[0, -1, 2]])
    model = small(max_epochs=1).fit(LINES)
    with pytest.raises(TypeError, match="has integers, and tokens were strings"):
        model.score_samples([[1, 2]])
    with pytest.raises(TypeError, match="prompt must be one document"):
        model.generate(["the", ["cat"]])
    for options, message in (
        ({"temperature": 0}, "temperature must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_p": 1.5}, "top_p must be"),
        ({"n_tokens": 0}, "n_tokens must be"),
    ):
        with pytest.raises(ValueError, match=message):
            model.generate("the", **options)
    with pytest.raises(ValueError, match="bits_per_character needs documents that are strings"):
        small(max_epochs=1).fit(IDS).bits_per_character(IDS)


def test_unknown_tokens_have_a_chance_of_their_own():
    model = small().fit(LINES)
    assert np.isfinite(model.score_samples(["the # cat"])).all()
    assert model.predict_proba(["the % cat"]) == pytest.approx(model.predict_proba(["the # cat"]))
