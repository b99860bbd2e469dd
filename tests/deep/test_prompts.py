"""What a language model continues: all that it gives probabilities to."""

import numpy as np
import pytest

from skem import RNNLanguageModel

LINES = ["the cat sat", "on the mat", "a dog", "the dog sat on the log", "a"] * 4
POEMS = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"] * 4
IDS = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8, 9, 7, 9]] * 4
FITS = {
    "characters": (LINES, {}),
    "words": (LINES, {"tokenizer": "word"}),
    "callable": (LINES, {"tokenizer": str.split}),
    "Chinese characters": (POEMS, {}),
    "Chinese words": (POEMS, {"tokenizer": "word", "min_frequency": 5}),
    "tokens": ([line.split() for line in LINES], {}),
    "ids": (IDS, {}),
    "table": (np.random.default_rng(0).integers(0, 4, (20, 6)), {}),
}
TEXT_FITS = [kind for kind, (X, _) in FITS.items() if isinstance(X[0], str)]


@pytest.fixture(scope="module")
def models():
    options = {"hidden_size": 8, "max_epochs": 6, "learning_rate": 0.05, "random_state": 0}
    return {kind: RNNLanguageModel(**options, **more).fit(X) for kind, (X, more) in FITS.items()}


def drawn(model, prompt):
    return model.generate(prompt, 8, random_state=1)


def documents_of(kind):
    """Documents that are scored, with tokens that the fit has not met, and without any."""
    if kind in TEXT_FITS:
        strange = ["a\nb\r\n", "\x00\ud800", "\U0001f44d\U0001f3fd", "a" * 600]
        return ["the cat", "明月#月", "zorgle!", "", " ", *strange]
    if kind == "tokens":
        return [["the"], ["zorgle", "cat"], [], [""], ["the cat", "\n", "月"]]
    return [[3, 1], [77], [], [-1], [1, -1, 2, -1, -1], [True, 2], [1.0, 2.0]]


@pytest.mark.parametrize("kind", FITS)
def test_what_is_scored_is_continued_in_any_way_of_drawing(models, kind):
    model = models[kind]
    ways = [{}, {"top_k": 1}, {"top_k": 2, "top_p": 0.5}, {"temperature": 1e-9}, {"stream": True}]
    for document in documents_of(kind):
        if kind != "table":  # whose rows have six columns
            assert np.isfinite(model.score_samples([document])).all()
        for way in ways:
            for _ in model.generate(document, 4, random_state=0, **way):
                pass


@pytest.mark.parametrize("kind", FITS)
def test_no_prompt_is_an_empty_one(models, kind):
    model = models[kind]
    expected = drawn(model, None)
    for empty in ("", [], (), np.array([]), [[]], np.empty((1, 0))):
        assert drawn(model, empty) == expected


@pytest.mark.parametrize("kind", FITS)
def test_a_token_that_was_never_met_is_read_as_the_unknown_one(models, kind):
    model, X = models[kind], FITS[kind][0]
    of_ids = not isinstance(model.vocabulary_.tokens_[-1], str)
    first, unknown = list(X[0])[:1], [-1] if of_ids else ["<unk>"]
    others = ([77], [88]) if of_ids else (["§"], ["ж"])
    expected = drawn(model, [*first, *unknown])
    for other in others:
        assert drawn(model, [*first, *other]) == expected


@pytest.mark.parametrize("kind", TEXT_FITS)
def test_text_may_come_in_a_list_as_it_is_scored(models, kind):
    pd = pytest.importorskip("pandas")
    model = models[kind]
    for text in ("the cat sat", "明月 光", "zorgle zorgle", "the"):
        expected = drawn(model, text)
        arrays = [np.array(text), np.array([text]), np.array([[text]], dtype=object)]
        frames = [pd.Series([text], [7]), pd.DataFrame({"text": [text]})]
        for given in ([text], (text,), *arrays, *frames):
            assert drawn(model, given) == expected


@pytest.mark.parametrize("kind", FITS)
def test_tokens_may_come_in_any_sequence(models, kind):
    pd = pytest.importorskip("pandas")
    model, X = models[kind], FITS[kind][0]
    tokens = model.vocabulary_.encode([X[0]])[0][:3]
    tokens = model.vocabulary_.tokens(tokens)
    expected = drawn(model, tokens)
    if kind in ("characters", "Chinese characters"):
        assert drawn(model, "".join(tokens)) == expected
    index = [5, 6, 7][: len(tokens)]
    for given in (tuple(tokens), np.array(tokens), np.array(tokens, dtype=object),
                  pd.Series(tokens, index), [tokens], [np.array(tokens)], iter(tokens),
                  np.array([tokens])):  # fmt: skip
        assert drawn(model, given) == expected


@pytest.mark.parametrize(
    ("kind", "prompt", "message"),
    [
        ("words", ["the cat", "a dog"], r"2 items, and 'the cat' is not one token"),
        ("characters", ["the", "cat"], r"2 items, and 'the' is not one token"),
        ("words", ["the", ["cat"]], "prompt must be one document"),
        ("words", [[["the"]]], "prompt must be one document"),
        ("words", ["the", None], "None is not one token"),
        ("words", [None], "got NoneType"),
        ("words", {"the": 1}, "got dict"),
        ("words", b"the", "got bytes"),
        ("words", 5, "got int"),
        ("words", [1, 2], "prompt has integers, and tokens were strings in fit"),
        ("tokens", "the cat", "prompt has text, and tokens were in lists in fit"),
        ("ids", "the cat", "prompt has text, and tokens were integers in fit"),
        ("ids", ["the"], "prompt has text, and tokens were integers in fit"),
        ("ids", [[1, 2], [3]], "prompt must be one document"),
        ("ids", [1, "a"], "Tokens must be all strings or all integers"),
    ],
)
def test_what_is_no_document_is_refused_by_name(models, kind, prompt, message):
    with pytest.raises(TypeError, match=message):
        models[kind].generate(prompt)


def test_without_an_unknown_token_a_prompt_has_none():
    model = RNNLanguageModel(hidden_size=4, max_epochs=1, unknown_token=False).fit(LINES)
    with pytest.raises(ValueError, match=r"prompt has a token .*'%'"):
        model.generate("the % cat")
