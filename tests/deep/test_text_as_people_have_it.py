"""Empty documents, frames, symbols of several code points, and tokens that name ends."""

import numpy as np
import pytest

from skem import RNNClassifier, RNNLanguageModel, RNNTagger
from skem.deep.sequences._documents import read
from skem.deep.sequences._words import join_words, split_words

TEXTS = ["the cat sat", "a dog ran off", "the dog sat down", "cats and dogs ran"] * 4
WORDS = [text.split() for text in TEXTS]
TAGS = [["a" if "a" in word else "other" for word in words] for words in WORDS]
Y = np.array(["cat", "dog", "dog", "both"] * 4)


@pytest.fixture(scope="module")
def tagger():
    return RNNTagger(hidden_size=4, max_epochs=2, random_state=0).fit(WORDS, TAGS)


@pytest.fixture(scope="module")
def classifier():
    return RNNClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(TEXTS, Y)


@pytest.fixture(scope="module")
def language_model():
    model = RNNLanguageModel(hidden_size=4, max_epochs=2, tokenizer="word", random_state=0)
    return model.fit(TEXTS)


# ---------------------------------------------------------------------- empty documents
def test_tags_of_no_tokens_are_none(tagger):
    mixed = [[], WORDS[0], [], WORDS[1], []]
    assert tagger.predict(mixed) == [
        [],
        *tagger.predict(WORDS[:1]),
        [],
        *tagger.predict(WORDS[1:2]),
        [],
    ]
    proba = tagger.predict_proba(mixed)
    assert [p.shape for p in proba] == [(len(words), 2) for words in mixed]
    np.testing.assert_allclose(proba[1], tagger.predict_proba(WORDS[:1])[0], atol=1e-6)
    assert tagger.predict([[], []]) == [[], []]
    tags = [["a"] * len(words) for words in mixed]
    assert tagger.score(mixed, tags) == tagger.score(WORDS[:2], tags[1:4:2])
    with pytest.raises(ValueError, match="every document is empty"):
        tagger.score([[]], [[]])


def test_empty_documents_change_no_tagger(tagger):
    other = RNNTagger(hidden_size=4, max_epochs=2, random_state=0)
    other.fit([[], *WORDS, []], [[], *TAGS, []])
    assert other.predict(WORDS) == tagger.predict(WORDS)


def test_a_document_without_tokens_has_the_shares_of_the_classes(classifier):
    mixed = ["", TEXTS[0], "", TEXTS[1]]
    proba = classifier.predict_proba(mixed)
    np.testing.assert_allclose(proba[[0, 2]], [[0.25, 0.25, 0.5]] * 2)
    np.testing.assert_allclose(proba[[1, 3]], classifier.predict_proba(TEXTS[:2]), atol=1e-6)
    assert classifier.predict(["", ""]).tolist() == ["dog", "dog"]


def test_empty_documents_count_among_the_classes_and_train_nothing():
    model = RNNClassifier(hidden_size=4, max_epochs=2, random_state=0)
    model.fit([*TEXTS, "", ""], [*Y, "cat", "cat"], sample_weight=[1] * 16 + [2, 2])
    np.testing.assert_allclose(model.class_prior_, np.array([4, 8, 8]) / 20)
    np.testing.assert_allclose(model.predict_proba([""])[0], model.class_prior_)


def test_a_document_without_tokens_has_the_chance_of_its_end(language_model):
    scores = language_model.score_samples(["", TEXTS[0], ""])
    end = language_model.vocabulary_.end
    wanted = np.log(language_model.predict_proba([""])[0, end])
    np.testing.assert_allclose(scores[[0, 2]], wanted, rtol=1e-5)
    np.testing.assert_allclose(scores[1], language_model.score_samples(TEXTS[:1])[0], rtol=1e-5)
    tokens = language_model.score_tokens(["", TEXTS[0]])
    assert [len(t) for t in tokens] == [1, 4]
    assert language_model.transform(["", TEXTS[0]]).shape == (2, 4)


def test_without_an_end_no_tokens_are_certain():
    model = RNNLanguageModel(hidden_size=4, max_epochs=2, tokenizer="word", end_token=False)
    model.fit(TEXTS)
    assert model.score_samples(["", TEXTS[0], ""])[[0, 2]].tolist() == [0, 0]
    assert model.score_samples([""]).tolist() == [0]
    assert [len(log_p) for log_p in model.score_tokens(["", ""])] == [0, 0]
    with pytest.raises(ValueError, match="every document is empty"):
        model.score([""])


def test_language_models_learn_from_documents_without_tokens():
    model = RNNLanguageModel(hidden_size=4, max_epochs=20, tokenizer="word", random_state=0)
    often = model.fit(TEXTS + [""] * 40).score_samples([""])[0]
    assert often > np.log(0.4)


# ---------------------------------------------------------------------- kinds of columns
class Column:
    """An array of a kind whose items are scalars of its own, as pyarrow's are."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter([object() for _ in self.values])

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=object)

    def to_pylist(self):
        return list(self.values)


def test_a_column_of_text_is_text_however_it_is_held(classifier):
    wanted = classifier.predict_proba(TEXTS)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": TEXTS})
    shapes = [
        frame,
        frame["text"],
        frame.to_numpy(),
        np.array(TEXTS)[:, None],
        frame.astype("string"),
        Column(TEXTS),
    ]
    for X in shapes:
        np.testing.assert_array_equal(classifier.predict_proba(X), wanted)
    fitted = RNNClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(frame, Y)
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), wanted)


# ---------------------------------------------------------------------- symbols
@pytest.mark.parametrize(
    "symbol",
    [
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",  # a family
        "\U0001f44d\U0001f3fd",  # a thumb of a skin tone
        "\U0001f468\U0001f3fd\u200d\U0001f4bb",  # both
        "\U0001f1e9\U0001f1ea",  # a flag of a country
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # of a region
        "\u2764\ufe0f\u200d\U0001f525",  # with a variation mark
        "1\ufe0f\u20e3",  # a key
        "e\u0301te\u0301",  # accents of their own
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # a joiner of Persian
        "\u0915\u094d\u200d\u0937",  # of Devanagari
    ],
)
def test_symbols_of_several_code_points_are_one_token_and_come_back(symbol):
    text = f"so {symbol} there"
    assert split_words(text) == ["so", symbol, "there"]
    assert join_words(split_words(text)) == text
    assert split_words(symbol + "!") == [symbol, "!"]
    assert read([text], "word").types == ["so", symbol, "there"]


def test_flags_and_symbols_beside_each_other_are_tokens_each():
    assert split_words("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7") == [
        "\U0001f1e9\U0001f1ea",
        "\U0001f1eb\U0001f1f7",
    ]
    assert split_words("\U0001f600\U0001f600") == ["\U0001f600"] * 2


@pytest.mark.parametrize("mark", ["\u0301", "\u3099", "\u309a", "\ufe0f"])
@pytest.mark.parametrize("run", ["...", "--", "—", "……", "\U0001f1e9\U0001f1ea", "か"])
def test_marks_belong_to_what_they_follow(run, mark):
    """Accents, voiced sound marks of kana, variation marks."""
    assert split_words(f"so {run}{mark} there") == ["so", run + mark, "there"]
    assert split_words(f"{run}{mark}{run}") == [run + mark, run]
    text = join_words(["so", run + mark, "there"])
    assert split_words(text) == ["so", run + mark, "there"]


# ---------------------------------------------------------------------- ends
@pytest.mark.parametrize("token", ["<s>", "</s>"])
def test_tokens_that_name_the_ends_of_documents_are_refused(token):
    documents = [["a", "b"], [token, "a", "b"], ["b", "a", "a"]]
    model = RNNLanguageModel(hidden_size=4, max_epochs=1)
    with pytest.raises(ValueError, match=f"X has the token '{token}'.*is added to each"):
        model.fit(documents)
    assert not hasattr(model, "net_")
    model.fit([["a", "b"], ["b", "a", "a"]])
    for use in (model.score, model.score_samples, model.transform, model.predict_proba):
        with pytest.raises(ValueError, match=f"X has the token '{token}'"):
            use(documents)


def test_where_no_ends_are_added_their_names_are_tokens_like_others():
    documents = [["<s>", "a", "b", "</s>"]] * 6
    tags = [["out", "in", "in", "out"]] * 6
    model = RNNTagger(hidden_size=4, max_epochs=30, learning_rate=0.05, random_state=0)
    assert model.fit(documents, tags).predict(documents[:1]) == tags[:1]
