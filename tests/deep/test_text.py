"""Documents become ids and come back; the vocabulary is a matter of counts, not of order."""

import copy
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skem.deep.sequences._text import learn_vocabulary, read

POEM = "明月几时有？把酒问青天。\n不知天上宫阙，今夕是何年。"
SPEECH = "First Citizen:\nWe know't; \"speak, speak,\" he said (twice). Don't stop--it's 3.50!"


def learned(X, tokenizer=None, **options):
    return learn_vocabulary(read(X, tokenizer), **options)


def as_lists(sequences):
    return [sequence.tolist() for sequence in sequences]


def tokens_of(X, tokenizer=None):
    documents = read(X, tokenizer)
    return [[documents.types[i] for i in sequence] for sequence in documents.sequences]


def two_different(documents):
    return len(set().union(*documents)) > 1


texts = st.lists(st.text(), min_size=1).filter(two_different)
token_lists = st.lists(st.lists(st.sampled_from(["a", "b", "c", "the", "月", "."])), min_size=1)
token_lists = token_lists.filter(two_different)
id_lists = st.lists(st.lists(st.integers(0, 2**53)), min_size=1).filter(two_different)


# ---------------------------------------------------------------- there and back
@given(texts)
def test_characters_come_back(X):
    vocabulary = learned(X, "char")
    assert [vocabulary.decode(ids) for ids in vocabulary.encode(X)] == X


@given(token_lists | id_lists)
def test_token_lists_come_back(X):
    vocabulary = learned(X)
    assert [vocabulary.decode(ids) for ids in vocabulary.encode(X)] == X


@given(st.text() | st.text("ab,. '\"-3\n月（”", max_size=30))
def test_words_hold_all_of_a_text_but_its_blanks(text):
    (words,) = tokens_of(text, "word")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    squeezed = [c for c in text if c == "\n" or not c.isspace()]
    assert "".join(words) == "".join(squeezed)


@pytest.mark.parametrize("text", [POEM, SPEECH, "他说：“使用 Python 编程……”——是吗？"])
def test_words_and_punctuation_are_joined_as_usual(text):
    vocabulary = learned(text, "word")
    (ids,) = vocabulary.encode(text)
    joined = vocabulary.decode(ids)
    assert tokens_of(joined, "word") == tokens_of(text, "word")
    assert joined.replace(" ", "") == text.replace(" ", "")
    if text is POEM:
        assert joined == text


def test_words_of_english():
    (words,) = tokens_of(SPEECH, "word")
    assert words == [
        *["First", "Citizen", ":", "\n", "We", "know't", ";", '"', "speak", ",", "speak", ","],
        *['"', "he", "said", "(", "twice", ")", ".", "Don't", "stop", "--", "it's", "3.50", "!"],
    ]
    vocabulary = learned(SPEECH, "word")
    said = vocabulary.decode(vocabulary.encode(SPEECH)[0])
    assert "\"speak, speak,\" he said (twice). Don't stop -- it's 3.50!" in said


def test_words_of_chinese_are_characters():
    assert tokens_of("今夕是2024年，iPhone 好。", "word") == [
        ["今", "夕", "是", "2024", "年", "，", "iPhone", "好", "。"]
    ]


def test_marks_belong_to_their_letters():
    """Accents in decomposed form, vowel signs, variation selectors."""
    decomposed = "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}"
    assert tokens_of(f"{decomposed} हिन्दी well-known l’été", "word") == [
        [decomposed, "हिन्दी", "well-known", "l’été"]
    ]


def test_a_callable_cuts_as_it_likes():
    X = ["the cat sat", "the dog"]
    vocabulary = learned(X, str.split)
    assert vocabulary.tokens_[3:] == ["the", "cat", "dog", "sat"]
    assert [vocabulary.decode(ids) for ids in vocabulary.encode(X)] == X


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.booleans(), st.booleans())
def test_start_and_end_are_not_part_of_the_text(ids, start, end):
    vocabulary = learned("abcdef", "char", start=start, end=end)
    text = "".join("abcdef"[i] for i in ids)
    framed = vocabulary.encode(text).framed(vocabulary.start, vocabulary.end)
    assert len(framed[0]) == len(text) + start + end
    assert vocabulary.decode(framed[0]) == text
    assert (vocabulary.start is not None, vocabulary.end is not None) == (start, end)


def test_a_vocabulary_is_pickled_and_copied():
    vocabulary = learned(POEM, "char")
    for other in (pickle.loads(pickle.dumps(vocabulary)), copy.deepcopy(vocabulary)):
        assert other.tokens_ == vocabulary.tokens_
        np.testing.assert_array_equal(other.encode(POEM)[0], vocabulary.encode(POEM)[0])


# ---------------------------------------------------------------- the vocabulary
@given(token_lists, st.booleans(), st.booleans(), st.booleans())
def test_counts_are_those_of_the_documents(X, start, end, unknown):
    vocabulary = learned(X, start=start, end=end, unknown=unknown)
    expected = Counter(token for document in X for token in document)
    special = {"<s>": 0, "</s>": len(X), "<unk>": 0}
    used = dict(zip(special, (start, end, unknown), strict=True))
    expected.update({token: special[token] for token in special if used[token]})
    assert dict(zip(vocabulary.tokens_, vocabulary.counts_.tolist(), strict=True)) == expected
    assert vocabulary.size == len(vocabulary) == len(expected)
    assert vocabulary.special == list(range(start + end + unknown))


@given(token_lists, st.integers(1, 4), st.none() | st.integers(2, 4))
def test_the_most_frequent_are_kept_ties_by_their_own_order(X, min_frequency, max_vocabulary):
    counts = Counter(token for document in X for token in document)
    frequent = [token for token in counts if counts[token] >= min_frequency]
    kept = sorted(frequent, key=lambda token: (-counts[token], token))[:max_vocabulary]
    options = {"min_frequency": min_frequency, "max_vocabulary": max_vocabulary}
    if len(kept) < 2:
        with pytest.raises(ValueError, match="min_frequency"):
            learned(X, **options)
        return
    vocabulary = learned(X, **options)
    assert vocabulary.tokens_ == ["<s>", "</s>", "<unk>", *kept]
    assert vocabulary.counts_[vocabulary.unknown] == counts.total() - sum(counts[t] for t in kept)
    ids = vocabulary.encode(X).tokens
    assert (ids == vocabulary.unknown).sum() == vocabulary.counts_[vocabulary.unknown]
    assert ((ids >= 3) | (ids == vocabulary.unknown)).all()


@given(token_lists, st.none() | st.integers(2, 3), st.randoms(use_true_random=False))
def test_the_order_of_documents_does_not_matter(X, max_vocabulary, random):
    other = random.sample(X, len(X))
    first, second = (learned(D, max_vocabulary=max_vocabulary) for D in (X, other))
    assert first.tokens_ == second.tokens_
    np.testing.assert_array_equal(first.counts_, second.counts_)


@given(token_lists, st.data())
def test_a_weight_is_so_many_copies(X, data):
    weight = data.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X)))
    copies = [document for document, w in zip(X, weight, strict=True) for _ in range(w)]
    if not copies or not two_different(copies):
        return
    weighted = learned(X, min_frequency=1, sample_weight=np.array(weight, dtype=float))
    repeated = learned(copies, min_frequency=1)
    assert weighted.tokens_ == repeated.tokens_
    np.testing.assert_array_equal(weighted.counts_, repeated.counts_)


def test_an_unknown_token_in_the_text_is_the_unknown_token():
    X = [["a", "<unk>", "b"], ["<unk>", "a"]]
    vocabulary = learned(X)
    assert vocabulary.tokens_ == ["<s>", "</s>", "<unk>", "a", "b"]
    assert vocabulary.counts_.tolist() == [0, 2, 2, 2, 1]
    assert as_lists(vocabulary.encode(X)) == [[3, 2, 4], [2, 3]]
    plain = learned([*X, ["</s>"]], start=False, end=False, unknown=False)
    assert plain.tokens_ == ["<unk>", "a", "</s>", "b"]


def test_unknown_tokens():
    vocabulary = learned(["abba"], "char")
    assert as_lists(vocabulary.encode("xab")) == [[vocabulary.unknown, 3, 4]]
    assert vocabulary.decode([vocabulary.unknown, 3]) == "<unk>a"
    assert vocabulary.id_of("a") == 3
    assert vocabulary.id_of("x") == vocabulary.unknown
    assert "a" in vocabulary
    assert "x" not in vocabulary
    closed = learned(["abba"], "char", unknown=False)
    with pytest.raises(ValueError, match=r"prompt has tokens .* 'x', 'y', first in document 1"):
        closed.encode(["ab", "xy"], name="prompt")
    with pytest.raises(ValueError, match=r"X has a token that is not in the vocabulary of 4: 'x'"):
        closed.encode(["ab", "", "x"])
    with pytest.raises(KeyError):
        closed.id_of("x")


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("X", "tokenizer", "options", "message"),
    [
        ("", "char", {}, "X has no tokens"),
        ([[], []], None, {}, "X has no tokens"),
        (" \t ", "word", {}, "X has no tokens"),
        (-np.ones((2, 2)), None, {}, "X has no tokens"),
        ("aaaa", "char", {}, "vocabulary of one token, 'a'"),
        (np.ones((3, 2)), None, {}, "vocabulary of one token, 1"),
        ("abc", "char", {"min_frequency": 2}, "leave 0.* occur 1 and 1 times"),
        ("aabc", "char", {"max_vocabulary": 1}, "max_vocabulary=1 leave 1"),
        ("aabbc", "char", {"min_frequency": 2, "unknown": False}, "there is no unknown token"),
        ([[1, -1, 2]], None, {"unknown": False}, "negative token ids"),
    ],
)
def test_vocabularies_of_nothing_are_named(X, tokenizer, options, message):
    with pytest.raises(ValueError, match=message):
        learned(X, tokenizer, **options)


def test_padding_needs_no_unknown_token():
    X = np.array([[1, 2, -1], [2, 2, 2]])
    vocabulary = learned(X, start=False, end=False, unknown=False)
    assert as_lists(vocabulary.encode(X)) == [[1, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="not in the vocabulary of 2: -1"):
        vocabulary.encode([[1, -1, 2]])


def test_ids_and_kinds_that_do_not_fit_are_named():
    text, numbers = learned("abc", "char"), learned([[1, 2]])
    with pytest.raises(TypeError, match="tokens were integers in fit"):
        numbers.encode([["a"]])
    with pytest.raises(TypeError, match="X has integers, and tokens were strings"):
        text.encode([[1, 2]])
    assert as_lists(text.encode([["a", "b"]])) == as_lists(text.encode("ab"))
    with pytest.raises(TypeError, match="prompt has text, and tokens were in lists in fit"):
        learned([["a", "b"]], "char").encode("ab", name="prompt")
    for bad in ([0, 6], [-1]):
        with pytest.raises(ValueError, match="ids must be from 0 to 5"):
            text.decode(bad)
    with pytest.raises(ValueError, match="ids must be integers"):
        text.decode([0.5])
    assert text.decode([]) == ""
    assert numbers.decode([numbers.unknown, 3, numbers.end]) == [-1, 1]
