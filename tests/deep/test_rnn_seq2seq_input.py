"""What an encoder-decoder may be given, and what it refuses."""

import pickle

import numpy as np
import pytest

from skem import RNNSeq2Seq
from tests.deep.test_rnn_seq2seq import NEW, X, Y, small

IDS = [[ord(c) for c in x] for x in X]
OUT = [[ord(c) for c in y] for y in Y]
LISTS = [list(x) for x in X]
TABLE = np.random.default_rng(0).integers(0, 4, (40, 5))


# ---------------------------------------------------------------------- kinds
def test_outputs_are_of_the_kind_of_the_targets():
    texts = small().fit(X, Y).predict(NEW)
    assert isinstance(texts, np.ndarray)
    assert texts.dtype == object
    assert all(type(y) is str for y in texts)
    tokens = small().fit(X, [list(y) for y in Y]).predict(NEW)
    assert [list(y) for y in texts] == tokens
    assert np.asarray(tokens).shape == (len(NEW),)
    ids = small().fit(X, OUT).predict(NEW)
    assert all(type(i) is int for y in ids for i in y)
    words = small(target_tokenizer="word").fit(X, ["one " * len(x) + "end" for x in X])
    assert set(" ".join(words.predict(NEW)).split()) <= {"one", "end"}


def test_an_array_of_targets_has_outputs_of_its_shape_whose_probabilities_sum_to_one():
    one = small().fit(TABLE, TABLE[:, 0])
    assert one.predict(TABLE).shape == (40,)
    assert one.predict(TABLE).dtype == np.int64
    p = sum(np.exp(one.score_samples(TABLE, np.full(40, k))) for k in range(4))
    np.testing.assert_allclose(p, 1, rtol=1e-5)
    assert one.predict_n_best(TABLE[:1], 4)[0][0][0] == one.predict(TABLE[:1])[0]
    two = small().fit(TABLE, TABLE[:, :2])
    assert two.predict(TABLE).shape == (40, 2)
    p = sum(
        np.exp(two.score_samples(TABLE, np.full((40, 2), [j, k])))
        for j in range(4)
        for k in range(4)
    )
    np.testing.assert_allclose(p, 1, rtol=1e-5)
    (found,) = two.predict_n_best(TABLE[:1], 16)
    assert len({tuple(y) for y, _ in found}) == 16
    assert two.sample(TABLE).shape == (40, 2)
    assert two.attention_weights(TABLE[:1])[0].shape == (2, 5)
    with pytest.raises(ValueError, match="y must have 2 tokens in each row"):
        two.score_samples(TABLE, TABLE[:, :3])
    for method in (two.score, two.error_rate):
        with pytest.raises(ValueError, match="y must have 2 tokens in each row"):
            method(TABLE, TABLE[:, :3])
    with pytest.raises(ValueError, match="fewer tokens than the 2 of a whole output"):
        two.predict_next_proba(TABLE, TABLE[:, :2])
    with pytest.raises(ValueError, match="n=17 is more than the 16 outputs"):
        two.predict_n_best(TABLE, 17)
    column = small().fit(TABLE, TABLE[:, :1])
    assert column.predict(TABLE).shape == (40, 1)
    np.testing.assert_array_equal(column.predict(TABLE)[:, 0], one.predict(TABLE))
    listed = small().fit(TABLE, TABLE[:, 0].tolist())
    np.testing.assert_array_equal(listed.predict(TABLE), one.predict(TABLE))


def test_a_padded_array_is_the_lists_without_the_padding():
    width = max(map(len, OUT)) + 1
    padded = np.array([[*y, *[-1] * (width - len(y))] for y in OUT])
    one, other = small().fit(X, OUT), small().fit(X, padded)
    np.testing.assert_array_equal(one.transform(NEW), other.transform(NEW))
    assert one.predict(NEW) == other.predict(NEW)
    np.testing.assert_array_equal(one.score_samples(X, OUT), one.score_samples(X, padded))


@pytest.mark.parametrize("kind", ["numpy", "object", "pandas", "polars", "pyarrow", "tuple"])
def test_columns_of_strings_are_texts(kind):
    def column(texts):
        if kind == "numpy":
            return np.array(texts)
        if kind == "object":
            return np.array(texts, dtype=object)
        if kind == "tuple":
            return tuple(texts)
        library = pytest.importorskip(kind)
        make = {"pandas": "Series", "polars": "Series", "pyarrow": "array"}[kind]
        return getattr(library, make)(texts)

    given, wanted = small().fit(column(X), column(Y)), small().fit(X, Y)
    np.testing.assert_array_equal(given.predict(column(NEW)), wanted.predict(NEW))
    np.testing.assert_array_equal(
        given.score_samples(column(X), column(Y)), wanted.score_samples(X, Y)
    )
    assert given.score(column(X), column(Y)) == wanted.score(X, Y)


def test_texts_tokens_and_integers_are_the_same_model():
    """But for the order of the ids, which is that of the tokens."""
    found = [
        small().fit(x, y).score_samples(x, y)
        for x, y in ((X, Y), (LISTS, Y), (IDS, OUT), (X, [list(y) for y in Y]))
    ]
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], rtol=1e-6)


def test_one_vocabulary_is_shared_if_asked():
    mixed = [f"{x}{y}" for x, y in zip(X, Y, strict=True)]
    model = small(share_vocabulary=True).fit(mixed, Y)
    assert model.vocabulary_.tokens_ == model.target_vocabulary_.tokens_
    (member,) = model.net_.module_.members
    assert member.embedding.vectors is member.target_embedding.vectors
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW))
    two = small().fit(mixed, Y)
    assert set(two.target_vocabulary_.tokens_) == {"</s>", "A", "B", "C"}
    with pytest.raises(TypeError, match="share_vocabulary=True needs X and y of one kind"):
        small(share_vocabulary=True).fit(X, OUT)


def test_rare_tokens_are_never_in_outputs():
    rare = [*Y[:-1], "Q"]
    model = small(min_frequency=2).fit(X, rare)
    assert "Q" not in model.target_vocabulary_
    assert "<unk>" in model.target_vocabulary_
    for some in model.predict_n_best(NEW, 10):
        assert all("<" not in y and "Q" not in y for y, _ in some)
    assert not any("<" in y for y in model.sample(NEW * 20, temperature=3.0))
    assert np.isfinite(model.score_samples(["c"], ["Q"])).all()  # of the unknown token
    assert model.score(["c"], ["Q"]) == 0


def test_unknown_tokens_of_x_are_read_and_those_of_y_are_wrong():
    model = small().fit(X, Y)
    np.testing.assert_array_equal(model.transform(["xyz", "axb"]), model.transform(["???", "a?b"]))
    assert (model.transform(["a?b"]) != model.transform(["aab"])).any()
    assert model.score(["abc"], ["???"]) == 0
    assert model.error_rate(["abc"], ["???"]) >= 1
    with pytest.raises(ValueError, match=r"y has a token that is not in the vocabulary .*'\?'"):
        model.score_samples(["abc"], ["A?"])


def test_an_empty_output_has_a_probability():
    model = small().fit(X, Y)
    assert -np.inf < model.score_samples(["abc"], [""])[0] < 0
    assert model.score_tokens(["abc"], [""])[0].shape == (1,)
    assert model.attention_weights(["abc"], [""])[0].shape == (1, 3)
    assert model.score(["abc"], [""]) == (model.predict(["abc"])[0] == "")


# ---------------------------------------------------------------------- refused
REFUSED = {
    "an empty x": (["abc", ""], ["A", "B"], {}, "Sequence 1 of X has no tokens"),
    "an empty y": (["abc", "b"], ["AB", ""], {}, "Sequence 1 of y has no tokens"),
    "no y": (["abc", "b"], None, {}, "requires y to be passed"),
    "lengths": (["abc", "b"], ["AB"], {}, "X has 2 sequences, and y has 1"),
    "one token of y": (["abc", "b"], ["A", "AA"], {}, "y has a vocabulary of one token, 'A'"),
    "one token of x": (["a", "aa"], ["A", "B"], {}, "X has a vocabulary of one token, 'a'"),
    "too long a y": (X, Y, {"max_length": 2}, r"max_length=2 is too short for y\[0\], which has 3"),
    "too wide a beam": (
        X, Y, {"max_length": 3, "beam_size": 41},
        "beam_size=41 is more than the 40 outputs that there are, of at most 3 of 3 different",
    ),
    "fractions": ([[1, 2], [3, 4]], np.array([[1.5, 2], [1, 2]]), {}, "y contains 1.5"),
    "dates": (
        [[1, 2], [3, 4]], np.array(["2024-01-01", "2024-01-02"], "M8[D]"), {}, "y holds dates",
    ),
    "complex": ([[1, 2], [3, 4]], np.array([1j, 2]), {}, "y has complex numbers"),
    "missing": ([[1, 2], [3, 4]], np.array([1.0, np.nan]), {}, "Input y contains NaN"),
    "odd size": (X, Y, {"hidden_size": 5, "attention": "dot"}, "hidden_size=5 is odd"),
    "no fall": (X, Y, {"teacher_forcing_steps": 5}, "teacher_forcing_steps is the fall"),
    "negative y": (X, [[-1, *y] for y in OUT], {}, "y has negative token ids"),
    "rare": (X, Y, {"min_frequency": 1000}, "min_frequency=1000"),
    "no tokenizer": (X, Y, {"target_tokenizer": None}, "target_tokenizer=None needs.*y has text"),
    "one token of y, shared": (["abc", "b"], ["A", "AA"], {"share_vocabulary": True}, "'A'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_the_way_out_and_leaves_the_estimator_as_it_was(case):
    x, y, options, message = REFUSED[case]
    model = small().fit(X, Y)
    before, predicted = model.__dict__.copy(), model.predict(NEW)
    model.set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y)
    model.set_params(**{name: before[name] for name in options})
    assert model.__dict__.keys() == before.keys()
    np.testing.assert_array_equal(model.predict(NEW), predicted)


@pytest.mark.parametrize("name", ["predict", "transform", "sample", "score_samples"])
def test_an_empty_x_is_refused_later_too(name):
    with pytest.raises(ValueError, match="Sequence 1 of X has no tokens"):
        getattr(small(max_epochs=1).fit(X, Y), name)(["ab", ""])


def test_validation_pairs_belong_together_and_have_known_targets():
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        small().fit(X, Y, X_val=NEW)
    with pytest.raises(ValueError, match="X_val has 6 sequences, and y_val has 2"):
        small().fit(X, Y, X_val=NEW, y_val=["A", "B"])
    with pytest.warns(UserWarning, match="1 of 2 sequences of y_val have tokens that are not in y"):
        model = small().fit(X, Y, X_val=["ab", "ba"], y_val=["BA", "?"])
    assert model.history_[-1]["valid_loss"] > 0
    with pytest.raises(ValueError, match="X_val has no documents"):
        small().fit(X, Y, X_val=[], y_val=[])
    with pytest.raises(
        TypeError, match=r"X_val\[0\] is a string, and X_val\[1\] is of type NoneType"
    ):
        small().fit(X, Y, X_val=["a", None], y_val=["A", "B"])
    with pytest.raises(TypeError, match="y_val has integers, and tokens were strings in fit"):
        small().fit(X, Y, X_val=["a", "b"], y_val=[1, 2])
    with pytest.raises(TypeError, match="y has text, and tokens were integers in fit"):
        small(max_epochs=1).fit(X, OUT).score(["a"], ["A"])
    with pytest.raises(ValueError, match="y_val has tokens in each sequence that are not in y"):
        small().fit(X, Y, X_val=["ab"], y_val=["?"])


def test_a_beam_of_auto_has_no_more_places_than_there_are_outputs():
    """Of two outputs, with the default width of five."""
    model = RNNSeq2Seq(hidden_size=4, embedding_dim=4, max_epochs=1).fit(TABLE, TABLE[:, 0] % 2)
    assert set(model.predict(TABLE)) <= {0, 1}
    with pytest.raises(ValueError, match="n=3 is more than the 2 outputs"):
        model.predict_n_best(TABLE, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("beam_size", v) for v in (0, -1, 2.0, "x", None, True)),
        *(("max_length", v) for v in (0, -1, 1.5, "x", None, True)),
        *(("length_penalty", v) for v in (-1, "a", None, np.nan, np.inf)),
    ],
)
def test_parameters_that_are_set_after_the_fit_are_checked(name, value):
    model = small(max_epochs=1).fit(X, Y).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of RNNSeq2Seq must be"):
        model.predict(NEW)
    with pytest.raises(ValueError, match=f"The '{name}' parameter of RNNSeq2Seq must be"):
        model.fit(X, Y)


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_the_number_of_outputs_is_a_positive_integer(n):
    with pytest.raises((ValueError, TypeError), match="n must be"):
        small(max_epochs=1).fit(X, Y).predict_n_best(NEW, n)
