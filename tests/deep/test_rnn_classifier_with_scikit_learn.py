"""What of scikit-learn's habits and tools is special to the recurrent classifier."""

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score

from tests.deep.test_rnn_classifier import IDS, TABLE, TEXTS, Y, small


# ---------------------------------------------------------------------- going on
def test_a_warm_start_goes_on_from_the_weights():
    model = small(warm_start=True, dropout=0, max_epochs=10).fit(TEXTS, Y)
    before = model.history_[-1]["train_loss"]
    model.fit(TEXTS, Y)
    assert model.history_[0]["train_loss"] < before + 0.1
    with pytest.raises(ValueError, match="warm_start=True goes on from a fit with"):
        model.fit(TEXTS, np.where(Y == "money", "gold", Y))
    with pytest.raises(ValueError, match="hidden_size was 8 then, and is 7 now"):
        model.set_params(hidden_size=7).fit(TEXTS, Y)


def test_early_stopping_takes_the_weights_of_the_best_epoch():
    X = np.random.default_rng(0).integers(0, 3, (60, 4))
    y = np.random.default_rng(1).integers(0, 2, 60)
    model = small(early_stopping=True, patience=2, max_epochs=200, learning_rate=0.05).fit(X, y)
    assert model.n_iter_ == len(model.history_) < 200


# ---------------------------------------------------------------------- scikit-learn's tools
def test_searches_and_validation_take_text():
    assert is_classifier(small())
    search = GridSearchCV(small(max_epochs=20), {"hidden_size": [1, 8]}, cv=2).fit(TEXTS, Y)
    assert search.best_score_ > 0.9
    assert cross_val_score(small(max_epochs=20), IDS, Y, cv=3).mean() > 0.9


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (TEXTS, Y[:-1], {}, "X has 30 sequences, and y has 29 classes"),
        (TEXTS, None, {}, "requires y to be passed"),
        (TEXTS, ["one"] * 30, {}, "y has 1 class, 'one'"),
        ([""] * 30, Y, {}, "X has no tokens: every document is empty"),
        (["a"] * 30, Y, {}, "vocabulary of one token, 'a'"),
        (TEXTS, Y, {"tokenizer": None}, "tokenizer=None needs integer token ids"),
        (TEXTS, Y, {"hidden_size": [3, 4]}, "hidden_size=.* has 2 layers, and n_layers=1"),
        (TEXTS, Y, {"hidden_size": [0]}, "hidden_size must be an integer of at least 1"),
        (TEXTS, Y, {"class_weight": {"gold": 1}}, "class_weight has 'gold'"),
        (TEXTS, Y, {"class_weight": {"money": -1}}, "class_weight must be numbers of 0 or more"),
        (TEXTS, Y, {"max_vocabulary": 2, "min_frequency": 99}, "leave 0, and at least two"),
        (TEXTS[:2], ["a", "b"], {"early_stopping": True, "validation_fraction": 0.9},
         "validation_fraction=0.9 of 2 sequences"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong_and_leave_the_estimator_as_it_was(X, y, options, message):
    model = small().fit(TEXTS, Y)
    expected = model.predict_proba(TEXTS)
    model.set_params(**options)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert vars(model) == before
    model.set_params(tokenizer="word")
    np.testing.assert_array_equal(model.predict_proba(TEXTS), expected)


def test_what_is_predicted_from_must_fit():
    model = small().fit(TEXTS, Y)
    with pytest.raises(TypeError, match="X has integers, and tokens were strings"):
        model.predict(IDS)
    with pytest.raises(ValueError, match="X has 3 features, but RNNClassifier is expecting 6"):
        small().fit(TABLE, Y).predict(TABLE[:, :3])
