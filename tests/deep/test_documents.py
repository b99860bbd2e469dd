"""Text, token lists and arrays are read alike; what cannot be read is named."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

from skem.deep.sequences import _documents, _words
from skem.deep.sequences._text import check_tokens, learn_vocabulary, read
from skem.deep.sequences._words import split_words


def tokens_of(X, tokenizer=None):
    documents = read(X, tokenizer)
    return [[documents.types[i] for i in sequence] for sequence in documents.sequences]


def test_one_long_string_is_one_document():
    documents = read("to be", "char")
    assert len(documents) == 1
    assert documents.n_characters.tolist() == [5]


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        lambda X: np.array(X, dtype=object),
        pd.Series,
        lambda X: pd.Series(X, index=[7, 7, 7]),
    ],
)
def test_strings_in_all_sorts_of_containers(make):
    X = ["to be", "", "or not"]
    assert tokens_of(make(X), "char") == [list(text) for text in X]
    assert tokens_of(make(X), "word") == [text.split() for text in X]
    assert read(make(X), "word").n_characters.tolist() == [5, 0, 6]


@pytest.mark.parametrize(
    "make",
    [
        list,
        lambda X: [np.array(row) for row in X],
        lambda X: [tuple(map(float, row)) for row in X],
        lambda X: pd.Series(X),
        lambda X: [pd.Series(row, dtype=int) for row in X],
    ],
)
def test_integers_in_all_sorts_of_containers(make):
    X = [[3, 1, 4, 1], [5], [9, 2]]
    assert tokens_of(make(X)) == X
    assert read(make(X), "char").kind == "int"  # tokens are tokens, whatever the tokenizer
    assert read(X).n_characters is None


def test_string_tokens_in_an_array():
    X = [["a", "b"], ["b", "c"]]
    for array in (np.array(X), np.array(X, dtype=object), pd.DataFrame(X)):
        assert tokens_of(array) == X


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.float16, np.float64, object])
def test_negative_numbers_pad_a_row_or_are_unknown(dtype):
    X = np.array([[1, 2, -1, -5], [-1, 2, -7, 3], [-1, -1, -1, -1], [4, 4, 4, 4]]).astype(dtype)
    expected = [[1, 2], [-1, 2, -1, 3], [], [4, 4, 4, 4]]
    assert tokens_of(X) == expected
    assert tokens_of(X.tolist()) == expected
    vocabulary = learn_vocabulary(read(X))
    assert vocabulary.tokens_[3:] == [4, 2, 1, 3]
    assert vocabulary.counts_[vocabulary.unknown] == 2
    assert [vocabulary.decode(ids) for ids in vocabulary.encode(X)] == expected


@given(st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1))
def test_padding_is_what_is_negative_up_to_the_end(rows):
    expected = []
    for row in rows:
        row = list(row)
        while row and row[-1] < 0:
            row.pop()
        expected.append([max(token, -1) for token in row])
    assert tokens_of(np.array(rows)) == expected
    assert tokens_of(rows) == expected


@given(st.lists(st.integers(-(2**40), 2**53) | st.integers(0, 3), min_size=2))
def test_large_and_small_ids_are_told_apart(ids):
    ids.append(0)
    assert tokens_of([ids]) == [[max(i, -1) for i in ids]]


@given(st.lists(st.text(st.sampled_from("ab \n\r.é日\U0001f600\u0301'-1,"), max_size=40)))
def test_long_texts_are_read_in_pieces(texts):
    texts.append("ab")
    before = [tokens_of(texts, tokenizer) for tokenizer in ("char", "word")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_documents, "_PIECE", 3)
        patch.setattr(_words, "_PIECE", 3)
        assert tokens_of(texts, "char") == before[0] == [list(text) for text in texts]
        assert tokens_of(texts, "word") == before[1] == [split_words(text) for text in texts]


@given(st.lists(st.text(), min_size=1), st.data())
def test_documents_are_taken_like_sequences(X, data):
    order = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1))
    chosen = read(X, "char").take(order)
    assert ["".join(chosen.types[i] for i in s) for s in chosen.sequences] == [X[i] for i in order]
    assert chosen.n_characters.tolist() == [len(X[i]) for i in order]


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("X", "tokenizer", "error", "message"),
    [
        ("abc", None, ValueError, "Set tokenizer to 'char', 'word' or a callable"),
        (["abc"], "syllable", ValueError, "tokenizer must be 'char', 'word', None, or a callable"),
        ([], "char", ValueError, "no documents"),
        (np.array([], dtype=object), "char", ValueError, "no documents"),
        (5, "char", TypeError, "got int"),
        (None, "char", TypeError, "got NoneType"),
        (b"abc", "char", TypeError, "got bytes"),
        ({"a": 1}, "char", TypeError, "got dict"),
        ([b"abc"], "char", TypeError, r"X\[0\] is b'abc'"),
        (["abc", None], "char", TypeError, r"X\[1\] is of type NoneType"),
        ([np.nan, "abc"], "char", TypeError, r"X\[0\] is nan"),
        (pd.Series([np.nan, "abc"], dtype=object), "char", TypeError, r"X\[0\] is nan"),
        ([["a"], "b"], "char", TypeError, r"X\[1\] must be a list of tokens"),
        ([["a"], ["b", 1]], None, TypeError, "type int, str"),
        ([[1, None]], None, TypeError, "type NoneType, int"),
        ([[[1], [2]]], None, TypeError, "type list"),
        ([1, 2, 3], None, ValueError, r"One sequence is given as \[X\]"),
        (np.ones((2, 2, 2)), None, ValueError, r"expected \(n_samples, n_tokens\)"),
        (
            [[0.5, 1.0]],
            None,
            ValueError,
            "X contains 0.5, and tokens that are numbers must be integers",
        ),
        ([[1, np.nan], [1]], None, ValueError, "X contains NaN"),
        (np.array([[1.0, np.inf]]), None, ValueError, "X contains infinity"),
        (np.array([[1.0, 1e30]]), None, ValueError, r"X contains 1e\+30"),
        (np.array([[2**63]], dtype=np.uint64), None, ValueError, r"X contains 9.22337e\+18"),
        (sp.csr_array(np.eye(3)), None, TypeError, "sparse"),
        (["abc"], str.lower, TypeError, "tokenizer returned str"),
        (["abc"], len, TypeError, "tokenizer returned int"),
        (["abc"], lambda text: [1, 2], TypeError, "tokenizer must return a list of strings"),
    ],
)
def test_what_cannot_be_read_is_named(X, tokenizer, error, message):
    with pytest.raises(error, match=message):
        read(X, tokenizer)


# ---------------------------------------------------------------- scikit-learn's habits
class Unigram(BaseEstimator):
    """Token frequencies: the least that reads its input as language models do."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags

    def fit(self, X, y=None):
        documents = read(check_tokens(self, X, reset=True), "char")
        self.vocabulary_ = learn_vocabulary(documents)
        counts = self.vocabulary_.counts_ + 1.0
        self.log_prob_ = np.log(counts / counts.sum())
        return self

    def score_samples(self, X):
        check_is_fitted(self)
        sequences = self.vocabulary_.encode(check_tokens(self, X, reset=False))
        return np.array([self.log_prob_[sequence].sum() for sequence in sequences])

    def predict(self, X):
        return self.score_samples(X) > np.log(0.5)


def test_scikit_learn_checks_integer_matrices():
    results = check_estimator(Unigram(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) >= 40


def test_the_width_of_an_array_is_checked_and_text_has_none():
    model = Unigram().fit(np.array([[1, 2], [2, 1]]))
    with pytest.raises(ValueError, match="X has 3 features, but Unigram is expecting 2 features"):
        model.score_samples(np.ones((1, 3)))
    model.fit(pd.DataFrame({"first": [1, 2], "second": [2, 1]}))
    assert model.n_features_in_ == 2
    assert model.feature_names_in_.tolist() == ["first", "second"]
    assert model.score_samples([[1], [1, 2, 3]]).shape == (2,)
    model.fit(["some text", "some more"])
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match="Reshape your data"):
        model.fit(np.ones(3))


def test_float_arrays_of_whole_numbers_are_integers():
    X = np.array([[0.0, 1.0], [2.0, 1.0]])
    checked = check_tokens(Unigram(), X, reset=True)
    assert checked.dtype == np.int64
    np.testing.assert_array_equal(checked, X)
    for value, name in ((np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "-inf"), (0.5, "0.5")):
        with pytest.raises(ValueError, match=f"contains {name}.*must be integers"):
            check_tokens(Unigram(), np.array([[0.0, value]]), reset=True)
    with pytest.raises(TypeError, match="Sparse"):
        check_tokens(Unigram(), sp.csr_array(X), reset=True)
