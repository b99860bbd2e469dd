"""What the recurrent tagger computes, and what of scikit-learn's habits is special to it."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score

from skem import RNNTagger

X = [
    ["The", "cat", "sat", "on", "the", "mat", "."],
    ["A", "dog", "ran"],
    ["cats", "run", "!"],
    ["Walking", "helps"],
    ["Dogs"],
] * 6
Y = [
    ["DET", "NOUN", "VERB", "ADP", "DET", "NOUN", "PUNCT"],
    ["DET", "NOUN", "VERB"],
    ["NOUN", "VERB", "PUNCT"],
    ["NOUN", "VERB"],
    ["NOUN"],
] * 6
IDS = [[3, 1, 4], [1, 5, 9, 2], [6, 5, 3, 5, 8], [9, 7], [9]] * 6
PARITY = [[i % 2 for i in row] for row in IDS]
TABLE = np.random.default_rng(0).integers(0, 5, (30, 6))
TEXTS = ["今天天气好", "天好", "好天气今天"] * 6
BORDERS = [list("BEBEB"), list("BB"), list("BBEBE")] * 6
KINDS = {
    "words": (X, Y, {}),
    "ids": (IDS, PARITY, {}),
    "table": (TABLE, TABLE % 3, {}),
    "text": (TEXTS, BORDERS, {"tokenizer": "char"}),
}
VARIANTS = {
    "rnn": {"characters": "rnn"},
    "cnn": {"characters": "cnn", "early_stopping": True},
    "none": {"characters": None, "bidirectional": False, "cell": "gru"},
    "two layers": {
        "characters": "rnn",
        "n_layers": 2,
        "dropout_hidden": 0.2,
        "dropout_weights": 0.1,
    },
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def small(**options):
    chosen = {
        "hidden_size": 8, "embedding_dim": 8, "character_dim": 4, "character_features": 6,
        "max_epochs": 3, "learning_rate": 0.02, "random_state": 0,
    }  # fmt: skip
    return RNNTagger(**(chosen | options))


def assert_same(a, b, **tolerance):
    assert len(a) == len(b)
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p, q, **({"rtol": 0, "atol": 0} | tolerance))


# ---------------------------------------------------------------------- probabilities
@every_kind
@every_variant
def test_what_is_predicted_does_not_depend_on_the_batch_or_the_order(kind, variant):
    documents, tags, options = KINDS[kind]
    model = small(**options, **VARIANTS[variant]).fit(documents, tags)
    p = model.predict_proba(documents)
    assert [len(q) for q in p] == [len(document) for document in documents]
    order = np.random.default_rng(0).permutation(len(documents))
    moved = model.predict_proba([documents[i] for i in order])
    assert_same(moved, [p[i] for i in order], atol=1e-6)
    alone = [model.predict_proba([document])[0] for document in documents]
    assert_same(alone, p, atol=1e-5)


@every_kind
def test_probabilities_sum_to_one_and_the_most_probable_tags_are_predicted(kind):
    documents, tags, options = KINDS[kind]
    model = small(**options).fit(documents, tags)
    p = model.predict_proba(documents)
    assert_same([q.sum(1) for q in p], [np.ones(len(q)) for q in p], atol=1e-12)
    assert_same([np.log(q) for q in p], model.predict_log_proba(documents), atol=1e-12)
    predicted = model.predict(documents)
    assert predicted == [model.classes_[q.argmax(1)].tolist() for q in p]
    right = [
        a == b for u, v in zip(predicted, tags, strict=True) for a, b in zip(u, v, strict=True)
    ]
    assert model.score(documents, tags) == pytest.approx(np.mean(right), rel=1e-12)


@every_variant
def test_the_tagger_is_its_equation(variant):
    """Each word spelled alone, and the layers over one document without padding."""
    model = small(**VARIANTS[variant]).fit(X, Y)
    module, letters = model.net_.module_, model.letters_
    for document in X[:3]:
        lower = [[word.lower() for word in document]]
        ids = torch.from_numpy(model.vocabulary_.encode(lower)[0])
        with torch.inference_mode():
            e = module.embedding.vectors(ids)
            if letters is not None:
                e = torch.cat([e, torch.stack([spelled(model, word) for word in document])], dim=1)
            h = module.recurrent(e[:, None])[0][:, 0]
            expected = module.output(h).double().softmax(1)
        np.testing.assert_allclose(model.predict_proba([document])[0], expected, atol=1e-5)


def spelled(model, word):
    """Features of one word by its letters."""
    letters, reader = model.letters_, model.net_.module_.characters
    ids = [letters.start, *(letters.id_of(letter) for letter in word), letters.end]
    e = reader.vectors(torch.tensor(ids))
    if model.characters == "cnn":
        e = torch.nn.functional.pad(e, (0, 0, 1, 1))
        answers = [reader.filters(e[i : i + 3].flatten()) for i in range(len(ids))]
        return torch.stack(answers).amax(0).tanh()
    h = reader.recurrent(e[:, None])[0][:, 0]
    n = h.shape[1] // 2
    return torch.cat([h[-1, :n], h[0, n:]])


# ---------------------------------------------------------------------- learning
@every_kind
@pytest.mark.parametrize("characters", ["rnn", "cnn", None])
def test_it_learns(kind, characters):
    documents, tags, options = KINDS[kind]
    model = small(characters=characters, max_epochs=40, hidden_size=16, **options)
    assert model.fit(documents, tags).score(documents, tags) > 0.97
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]


@pytest.mark.parametrize("characters", ["rnn", "cnn"])
def test_letters_tell_of_words_that_were_never_seen(characters):
    rng = np.random.default_rng(0)
    stems = ["".join(rng.choice(list("abdeklmort"), 4)) for _ in range(80)]
    words = [[stem + rng.choice(["ing", "ly"])] for stem in stems]
    tags = [["VERB" if word.endswith("ing") else "ADV"] for [word] in words]
    for kind, least, most in ((characters, 0.95, 1.0), (None, 0.0, 0.8)):
        model = small(characters=kind, max_epochs=30, hidden_size=16)
        model.fit(words[:60], tags[:60])
        assert least <= model.score(words[60:], tags[60:]) <= most


def test_what_comes_later_is_seen_by_two_directions():
    documents = np.random.default_rng(0).integers(0, 4, (100, 6))
    tags = np.hstack([documents[:, 1:], documents[:, :1] * 0])
    model = small(max_epochs=40, hidden_size=16, dropout=0.1, dropout_input=0)
    assert model.fit(documents, tags).score(documents, tags) > 0.95
    assert clone(model).set_params(bidirectional=False).fit(documents, tags).score(
        documents, tags
    ) < 0.7  # fmt: skip


# ---------------------------------------------------------------------- weights
def test_balanced_tags_weigh_the_same():
    documents = np.random.default_rng(0).integers(0, 5, (40, 8))
    tags = (np.arange(320).reshape(40, 8) % 10 == 0).astype(int)
    plain, balanced = (
        np.concatenate(
            small(class_weight=w, max_epochs=1, learning_rate=1e-6)
            .fit(documents, tags)
            .predict_proba(documents)
        )
        for w in (None, "balanced")
    )
    assert plain[:, 1].mean() < 0.25
    assert balanced[:, 1].mean() == pytest.approx(0.5, abs=0.2)
    given = small(class_weight={0: 320 / 2 / 288, 1: 320 / 2 / 32}).fit(documents, tags)
    same = small(class_weight="balanced").fit(documents, tags)
    assert_same(given.predict_proba(documents), same.predict_proba(documents), rtol=1e-4)


# ---------------------------------------------------------------------- scikit-learn's tools
def test_searches_and_validation_take_lists():
    search = GridSearchCV(small(max_epochs=30), {"hidden_size": [1, 16]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"hidden_size": 16}
    assert search.best_score_ > 0.9
    assert cross_val_score(small(max_epochs=30), X, Y, cv=3).mean() > 0.9


@pytest.mark.parametrize("kind", ["words", "text", "ids"])
def test_predictions_of_folds_are_put_together(kind):
    documents, tags, options = KINDS[kind]
    documents, tags = list(documents), [list(row) for row in tags]
    model, folds = small(max_epochs=1, **options), KFold(3)
    found = cross_val_predict(model, documents, tags, cv=folds)
    assert found.shape == (len(documents),)
    assert [len(row) for row in found] == [len(row) for row in tags]
    train, test = next(folds.split(documents))
    model.fit([documents[i] for i in train], [tags[i] for i in train])
    assert found[test].tolist() == model.predict([documents[i] for i in test])
    assert model.score(documents, found) == model.score(documents, found.tolist())


def test_predictions_are_lists_and_an_array_of_lists():
    model = small().fit(X, Y)
    equal = [document for document in X if len(document) == len(X[0])]
    predicted = model.predict(equal)
    assert isinstance(predicted, list)
    assert predicted == pickle.loads(pickle.dumps(predicted)) == [list(row) for row in predicted]
    assert isinstance(predicted[0][0], str)
    assert np.asarray(predicted).shape == (len(equal),)
    assert np.concatenate([predicted, model.predict(X)]).tolist() == predicted + model.predict(X)
    assert np.array(list(predicted)).shape == (len(equal), len(X[0]))
    with pytest.raises(ValueError, match="copy=False"):
        np.array(predicted, copy=False)
    rows = np.asarray(small().fit(TABLE, TABLE % 3).predict(TABLE))
    assert rows.shape == TABLE.shape


def test_a_matrix_may_have_any_tag_where_it_is_padded():
    padded, tags = np.array([[1, 2, -1], [2, 1, 2]] * 4), np.array([[0, 1, -100], [1, 0, 1]] * 4)
    model = small().fit(padded, tags)
    assert model.classes_.tolist() == [0, 1]
    assert [len(row) for row in model.predict(padded)] == [2, 3] * 4
    assert np.asarray(model.predict(padded)).shape == (8,)


@pytest.mark.parametrize("missing", [None, np.nan, float("nan"), -100, np.int64(-100), "NA"])
@pytest.mark.parametrize("method", ["fit", "score"])
def test_a_token_without_a_tag_is_named(missing, method):
    if missing == "NA":
        missing = pytest.importorskip("pandas").NA
    model = small().fit(IDS, PARITY)
    tags = [list(row) for row in PARITY]
    tags[2][1] = missing
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"y\[2\]\[1\] is (None|nan|<NA>|-100), .* a tag of their"):
        getattr(model, method)(IDS, tags)
    assert vars(model) == before
    if missing is None:
        words = [[*Y[0][:-1], None], *Y[1:]]
        with pytest.raises(ValueError, match=r"y\[0\]\[6\] is None"):
            small().fit(X, words)


def test_a_warm_start_goes_on_with_the_tags_of_the_first_fit():
    model = small(warm_start=True).fit(X, Y)
    assert model.fit(X[1:3], Y[1:3]).classes_.tolist() == ["ADP", "DET", "NOUN", "PUNCT", "VERB"]
    with pytest.raises(ValueError, match="warm_start=True goes on from a fit with"):
        model.fit([["a", "b"]], [["X", "NOUN"]])


def test_tags_that_were_never_seen_are_never_right():
    model = small(max_epochs=30).fit(X, Y)
    assert model.score([["The", "cat"]], [["DET", "X"]]) == 0.5
    with pytest.raises(
        ValueError, match="y has tags such as 1, and those of fit are such as 'ADP'"
    ):
        model.score([["The", "cat"]], [[1, 2]])


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("documents", "tags", "options", "error", "message"),
    [
        (X, Y[:-1], {}, ValueError, "X has 30 documents, and y has tags of 29"),
        (X, [Y[0][:-1], *Y[1:]], {}, ValueError, r"Document 0 has 7 tokens, and y\[0\] has 6 tags"),
        (X, None, {}, ValueError, "requires y to be passed"),
        (X, ["DET"] * 30, {}, TypeError, r"y must be a list of lists of tags, .*; y\[0\] is 'DET'"),
        (X[1:2], [["A", 1, "B"]], {}, TypeError, "Tags must be all strings or all integers"),
        (X, [["A"] * len(row) for row in X], {}, ValueError, "y has 1 tag, 'A'"),
        ([[], ["a", "b"]], [["A"], ["A", "B"]], {}, ValueError, r"Document 0 has 0 tokens, and y"),
        (TEXTS, BORDERS, {}, ValueError, "tokenizer=None needs integer token ids or lists of"),
        (X, Y, {"class_weight": {"X": 2}}, ValueError, "class_weight has 'X'"),
        (X, Y, {"hidden_size": [3, 4]}, ValueError, "hidden_size=.* has 2 layers, and n_layers=1"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong_and_leave_the_estimator_as_it_was(
    documents, tags, options, error, message
):
    model = small().fit(X, Y)
    expected = model.predict_proba(X)
    model.set_params(**options)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(documents, tags)
    assert vars(model) == before
    assert_same(model.predict_proba(X), expected)


def test_what_is_predicted_from_must_fit():
    model = small().fit(X, Y)
    with pytest.raises(TypeError, match="X has integers, and tokens were strings"):
        model.predict(IDS)
    with pytest.raises(ValueError, match="X has 3 features, but RNNTagger is expecting 6"):
        small().fit(TABLE, TABLE % 3).predict(TABLE[:, :3])
    with pytest.raises(Exception, match="not fitted"):
        small().predict(X)
