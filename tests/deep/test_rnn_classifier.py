"""What the recurrent classifier computes."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skem import RNNClassifier

TEXTS = ["the cat sat", "a cat ran home", "the stock fell", "stocks rose again today", "a dog"] * 6
Y = np.array(["animals", "animals", "money", "money", "animals"] * 6)
WORDS = [text.split() for text in TEXTS]
POEMS = ["床前明月光", "疑是地上霜。举头望明月", "股票今天又跌了", "市场上涨", "低头思故乡"] * 6
IDS = [[3, 1, 4], [1, 5, 9, 2], [6, 5, 3, 5, 8], [9, 7], [9, 3, 2, 3, 8, 4]] * 6
TABLE = np.random.default_rng(0).integers(0, 4, (30, 6))
KINDS = {"texts": TEXTS, "Chinese": POEMS, "words": WORDS, "ids": IDS, "table": TABLE}
every_kind = pytest.mark.parametrize("kind", KINDS)
LAYERS = [
    {},
    {"bidirectional": False, "pooling": "last"},
    {"pooling": "last", "n_layers": 2, "cell": "gru", "dropout_hidden": 0.2},
    {"cell": "rnn_tanh", "hidden_size": [5, 4], "n_layers": 2, "dropout_weights": 0.1},
]
every_layers = pytest.mark.parametrize("layers", LAYERS)


def small(**options):
    chosen = {
        "hidden_size": 8, "embedding_dim": 8, "max_epochs": 3, "learning_rate": 0.02,
        "random_state": 0,
    }  # fmt: skip
    return RNNClassifier(**(chosen | options))


# ---------------------------------------------------------------------- probabilities
@every_kind
@every_layers
def test_what_is_predicted_does_not_depend_on_the_batch_or_the_order(kind, layers):
    X = KINDS[kind]
    model = small(**layers).fit(X, Y)
    log_p = model.predict_log_proba(X)
    order = np.random.default_rng(0).permutation(len(X))
    moved = model.predict_log_proba([X[i] for i in order])
    np.testing.assert_allclose(moved, log_p[order], rtol=1e-6)  # equal ones stand side by side
    alone = np.concatenate([model.predict_log_proba([x]) for x in X])
    np.testing.assert_allclose(alone, log_p, atol=1e-5)


@every_kind
def test_probabilities_sum_to_one_and_the_most_probable_class_is_predicted(kind):
    X = KINDS[kind]
    model = small().fit(X, Y)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.log(p), model.predict_log_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(1)])
    assert model.classes_.tolist() == ["animals", "money"]


@every_layers
def test_the_classifier_is_its_equation(layers):
    """The layers over one sequence without padding, pooled by hand."""
    model = small(**layers).fit(TEXTS, Y)
    module = model.net_.module_
    for text in TEXTS[:5]:
        ids = torch.from_numpy(model.vocabulary_.encode([text])[0])[:, None]
        with torch.inference_mode():
            h = module.recurrent(module.embedding.vectors(ids))[0][:, 0]
            n = h.shape[1] // module.recurrent.n_directions
            pooled = h.mean(0)
            if model.pooling == "last":
                pooled = torch.cat([h[-1, :n], h[0, n:]])
            expected = module.output(pooled).double().log_softmax(0)
        np.testing.assert_allclose(model.predict_log_proba([text])[0], expected, atol=1e-5)


def test_the_history_is_the_loss_of_the_model():
    """Of held-out documents, for which there is no dropout."""
    of = dict(zip(TEXTS, Y, strict=True))
    texts = sorted(of)
    model = small(early_stopping=True, patience=50, validation_fraction=0.5)
    model.fit(texts, [of[text] for text in texts])
    losses = [row["valid_loss"] for row in model.history_]
    log_p = model.predict_log_proba(texts)
    each = [-log_p[i, list(model.classes_).index(of[t])] for i, t in enumerate(texts)]
    pairs = [(a + b) / 2 for i, a in enumerate(each) for b in each[i + 1 :]]
    assert min(abs(np.array(pairs) - min(losses))) < 1e-5


# ---------------------------------------------------------------------- learning
@every_kind
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_it_learns(kind, pooling):
    X = KINDS[kind]
    y = Y if kind != "table" else (TABLE[:, 0] < 2).astype(int)
    model = small(pooling=pooling, max_epochs=40, dropout=0.2).fit(X, y)
    assert model.score(X, y) == 1
    assert model.history_[-1]["train_loss"] < model.history_[0]["train_loss"]


def test_the_order_of_tokens_is_seen():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5, (150, 7))
    y = X[:, 0] > X[:, -1]
    model = small(max_epochs=60, pooling="last", dropout=0, hidden_size=16).fit(X, y)
    assert model.score(X, y) > 0.95


# ---------------------------------------------------------------------- weights
@every_kind
def test_a_weight_of_two_is_a_sequence_twice_and_of_zero_none(kind):
    X = KINDS[kind]
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = [x for x, w in zip(X, weight, strict=True) for _ in range(w)]
    a = small(early_stopping=True).fit(X, Y, sample_weight=weight)
    b = small(early_stopping=True).fit(repeated, np.repeat(Y, weight))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_weights_of_classes_are_weights_of_their_sequences_and_only_ratios_matter():
    """They change no epoch, unlike counts of sequences; nor do weights of one or less."""
    X = np.array([np.random.default_rng(seed).permutation(6) for seed in range(30)])
    by_class = {"animals": 3.0, "money": 0.5}
    model = small(word_dropout=0)
    a = clone(model).set_params(class_weight=by_class).fit(X, Y)
    for factor in (1 / 3, 1e-9):
        b = clone(model).fit(X, Y, sample_weight=[factor * by_class[y] for y in Y])
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-4)
    fourfold = {label: 4 * w for label, w in by_class.items()}
    c = clone(model).set_params(class_weight=fourfold).fit(X, Y)
    np.testing.assert_allclose(a.predict_proba(X), c.predict_proba(X), rtol=1e-4)


def test_balanced_classes_weigh_the_same():
    y = np.where(Y == "money", "rare", "often")
    y[:20] = "often"
    plain, balanced = (
        small(class_weight=w, max_epochs=1, learning_rate=1e-6).fit(TABLE, y)
        for w in (None, "balanced")
    )
    assert plain.predict_proba(TABLE)[:, 1].mean() < 0.2
    assert balanced.predict_proba(TABLE)[:, 1].mean() == pytest.approx(0.5, abs=0.2)
    everywhere = small(class_weight="balanced").fit(TABLE, y, sample_weight=[1, 2] * 15)
    twice = np.repeat(np.arange(30), [1, 2] * 15)
    repeated = small(class_weight="balanced").fit(TABLE[twice], y[twice])
    np.testing.assert_allclose(
        everywhere.predict_proba(TABLE), repeated.predict_proba(TABLE), rtol=1e-5
    )


# ---------------------------------------------------------------------- unknown tokens
def test_tokens_that_were_never_seen_are_unknown():
    model = small().fit(TEXTS, Y)
    p = model.predict_proba(["zebra", "quagga", "the zebra", "the quagga"])
    np.testing.assert_allclose(p[0], p[1], atol=1e-6)
    np.testing.assert_allclose(p[2], p[3], atol=1e-6)


def test_numbers_that_are_no_integers_are_tokens_and_that_is_said():
    X = TABLE + 0.5
    with pytest.warns(UserWarning, match="no integers.*Bin them first"):
        model = small().fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X[:3]), model.predict_proba(X)[:3])
    model.predict(TABLE)
    with pytest.raises(
        ValueError, match=r"X contains .\.5, and tokens that are numbers must be integers"
    ):
        small().fit(TABLE, Y).predict(TABLE + 0.5)
