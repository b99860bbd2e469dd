"""Probabilities of strings that are not in the vocabulary of a language model."""

import itertools
import math
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skem import RNNLanguageModel
from skem.datasets import load_python_reference
from skem.deep.sequences._spelling import Spelling

N_CODE_POINTS = 0x110000
COMMON = "the value of the expression is the result ."
STRANGE = "zorgle plimsey quaggy vundt brellow"
POEMS = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。", "白日依山尽，黄河入海流。"] * 3
words = st.lists(st.text("abc", max_size=4), min_size=1, max_size=6)


class Reference:
    """The equations one after the other; letters that were never met are one symbol, '?'."""

    def __init__(self, strings, counts):
        self.letters = sorted(set("".join(strings)))
        firsts, inner = Counter(), {a: Counter() for a in self.letters}
        for string, n in zip(strings, counts, strict=True):
            for a, c in itertools.pairwise(["start", *string, "end"]):
                (firsts if a == "start" else inner[a])[c] += n
        symbols = [*self.letters, "end", "?"]
        uniform = dict.fromkeys(symbols, 1 / (N_CODE_POINTS + 1))
        letters, after = Counter(), Counter()
        for counter in (firsts, *inner.values()):
            letters.update({c: n for c, n in counter.items() if c != "end"})
        for counter in inner.values():
            after.update(counter)
        u = self.mixed(letters, uniform)
        v = self.mixed(after, u)
        self.p = {"start": self.mixed(firsts, u), "?": v}
        self.p |= {a: self.mixed(counter, v) for a, counter in inner.items()}

    @staticmethod
    def mixed(counter, broad):
        n, kinds = sum(counter.values()), len(counter) or 1
        return {c: (counter[c] + kinds * broad[c]) / (n + kinds) for c in broad}

    def prob(self, string, end=True):
        """Of a string, or of all that begin with it."""
        known = [c if c in self.letters else "?" for c in string]
        steps = itertools.pairwise(["start", *known, *(["end"] if end else [])])
        return math.prod(self.p[a][c] for a, c in steps)


# ---------------------------------------------------------------------- the distribution
@given(words, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_strings_have_the_probabilities_of_the_equations_which_sum_to_one(strings, n):
    counts = n + np.arange(len(strings))
    spelling, reference = Spelling(strings, counts), Reference(strings, counts)
    symbols = [*reference.letters, "z"]  # the last stands for all code points that were not met
    others = N_CODE_POINTS - len(reference.letters)
    total = 0.0
    for length in range(4):
        for letters in itertools.product(symbols, repeat=length):
            p = np.exp(spelling.log_prob(["".join(letters)])[0])
            assert p == pytest.approx(reference.prob(letters), rel=1e-9)
            total += p * others ** letters.count("z")
    longer = [
        reference.prob(letters, end=False) * others ** letters.count("z")
        for letters in itertools.product(symbols, repeat=4)
    ]
    assert total <= 1 + 1e-9
    assert total + sum(longer) == pytest.approx(1, abs=1e-9)


@given(words, words)
@settings(max_examples=30, deadline=None)
def test_known_strings_leave_their_share_to_the_others(strings, known):
    known = sorted({word + "b" for word in known})
    counts = np.ones(len(strings))
    plain, without = Spelling(strings, counts), Spelling(strings, counts, known)
    left = 1 - np.exp(plain.log_prob(known)).sum()
    some = ["", "a", "ac", "xyz"]
    np.testing.assert_allclose(
        without.log_prob(some), plain.log_prob(some) - np.log(left), atol=1e-9
    )


def test_single_characters_are_uniform_over_code_points_of_which_nothing_is_known():
    """All characters of a vocabulary are known, and each was met as often."""
    letters = list("abcdefghijklmnopqrstuvwxyz")
    spelling = Spelling(letters, np.ones(26), letters)
    uniform = -np.log(N_CODE_POINTS - 26)
    np.testing.assert_allclose(spelling.log_prob(["é", "月", "\U0010ffff"]), uniform, atol=0.3)


def test_any_string_has_a_probability():
    for learned in (["ab", "b"], [""], ["\ud800", "月\n"]):
        spelling = Spelling(learned, np.ones(len(learned)), ["x"])
        strange = ["", "\x00", "\ud800\udfff", "a" * 3000, "月" * 40, *learned]
        log_p = spelling.log_prob(strange)
        assert np.isfinite(log_p).all()
        assert (log_p < 0).all()
    assert spelling.log_prob([]).shape == (0,)


def test_words_like_those_that_were_met_are_likelier():
    spelling = Spelling(["running", "sitting", "jumping"], [1, 2, 1])
    log_p = spelling.log_prob(["hitting", "gnittih", "ГИТТИНГ"])
    assert log_p[0] > log_p[1] + 5
    assert log_p[1] > log_p[2] + 20


def test_parts_of_many_strings_are_looked_at_one_after_the_other(monkeypatch):
    strings = ["".join(s) for s in itertools.product("abcd", repeat=3)]
    spelling = Spelling(strings, np.ones(64))
    whole = spelling.log_prob(strings)
    monkeypatch.setattr("skem.deep.sequences._spelling._BLOCK", 5)
    np.testing.assert_array_equal(spelling.log_prob(strings), whole)


# ---------------------------------------------------------------------- scores
def fitted(X, **options):
    chosen = {"hidden_size": 32, "max_epochs": 4, "tokenizer": "word", "random_state": 0}
    return RNNLanguageModel(**(chosen | options)).fit(X)


@pytest.fixture(scope="module")
def texts():
    return load_python_reference().data[:70]


@pytest.fixture(scope="module")
def model(texts):
    return fitted(texts[:60], min_frequency=2)


def as_symbols(model, function):
    """What is given where all unknown words are one symbol."""
    model.set_params(unknown_score="symbol")
    try:
        return function(model)
    finally:
        model.set_params(unknown_score="spelling")


def test_five_unknown_words_are_less_likely_than_a_common_sentence(model):
    assert model.vocabulary_.encode([STRANGE])[0].tolist() == [model.vocabulary_.unknown] * 5
    assert model.score([STRANGE]) < model.score([COMMON]) - 5
    assert as_symbols(model, lambda m: m.score([STRANGE])) > model.score([COMMON]) - 1


def test_a_small_vocabulary_does_not_flatter(texts, model):
    held_out = texts[60:]
    least, some = (fitted(texts[:60], max_vocabulary=n) for n in (2, 100))
    bits = [m.bits_per_character(held_out) for m in (least, some, model)]
    assert bits[0] > bits[1] > bits[2] > 1
    assert least.perplexity(held_out) > some.perplexity(held_out) > model.perplexity(held_out)
    assert as_symbols(least, lambda m: m.bits_per_character(held_out)) < 0.5


def test_texts_without_unknown_words_have_the_score_of_their_symbols(model):
    documents = [COMMON, "", "the name of the class"]
    assert not np.isin(model.vocabulary_.unknown, model.vocabulary_.encode(documents).tokens)
    for function in (lambda m: m.score_samples(documents), lambda m: m.bits_per_character(COMMON)):
        np.testing.assert_array_equal(function(model), as_symbols(model, function))


def test_an_unknown_word_has_the_probability_of_the_symbol_and_of_its_string(model):
    documents = ["", "the zorgle of", "zorgle", "the vundt of", "", "the zorgle of the zorgle", ""]
    symbols = as_symbols(model, lambda m: m.score_tokens(documents))
    strings = {word: model.spelling_.log_prob([word])[0] for word in ("zorgle", "vundt")}
    scores = model.score_tokens(documents)
    for document, log_p, symbol in zip(documents, scores, symbols, strict=True):
        added = [strings.get(word, 0.0) for word in [*document.split(), "</s>"]]
        np.testing.assert_allclose(log_p, symbol + added, rtol=1e-6)
    sums = [log_p.sum() for log_p in scores]
    np.testing.assert_allclose(model.score_samples(documents), sums, rtol=1e-5)
    n = sum(map(len, scores))
    assert model.score(documents) == pytest.approx(sum(sums) / n, rel=1e-5)


def test_sums_do_not_depend_on_the_blocks_they_are_made_in(model, monkeypatch):
    documents = ["", STRANGE, COMMON, "", "a zorgle", STRANGE + COMMON, ""]
    whole = model.score_samples(documents)
    monkeypatch.setattr("skem.deep.sequences._sequences._BLOCK", 3)
    np.testing.assert_allclose(model.score_samples(documents), whole, rtol=1e-6)


def test_the_network_is_trained_without_spelling(texts):
    a, b = (fitted(texts[:20], min_frequency=2, unknown_score=s) for s in ("spelling", "symbol"))
    for p, q in zip(a.net_.module_.parameters(), b.net_.module_.parameters(), strict=True):
        assert (p == q).all()
    a.set_params(early_stopping=True).fit(texts[:20], X_val=texts[60:])
    loss = as_symbols(a, lambda m: -m.score(texts[60:]))
    assert loss == pytest.approx(min(row["valid_loss"] for row in a.history_), rel=1e-5)


def test_an_unknown_symbol_that_is_written_is_a_token_of_its_own():
    """As in corpora whose rare words were replaced before."""
    X = [["the", "<unk>", "sat"], ["a", "<unk>", "ran", "off"], ["<unk>", "cat"]] * 4
    model = fitted(X)
    assert model.vocabulary_.tokens_.count("<unk>") == 1
    for function in (lambda m: m.perplexity(X), lambda m: m.score_samples([["<unk>"]])):
        np.testing.assert_array_equal(function(model), as_symbols(model, function))
    assert model.score([["the", "zorgle", "sat"]]) < model.score([["the", "<unk>", "sat"]]) - 1


@pytest.mark.parametrize("tokenizer", ["char", "word", list, str.split])
@pytest.mark.parametrize("min_frequency", [1, 3])
def test_all_kinds_of_strings_have_a_spelling(tokenizer, min_frequency):
    X = [*POEMS, "青天 明月 青天"]
    model = fitted(X, tokenizer=tokenizer, min_frequency=min_frequency if tokenizer else 1)
    new = ["明月 沧海", "x", "", "床前"]
    scores = model.score_samples(new)
    assert np.isfinite(scores).all()
    assert (scores <= as_symbols(model, lambda m: m.score_samples(new)) + 1e-6).all()
    assert scores[1] < as_symbols(model, lambda m: m.score_samples(new))[1] - 5
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).score_samples(new), scores)


def test_batches_go_on_with_the_spelling_of_the_first():
    model = RNNLanguageModel(hidden_size=4, min_frequency=2, random_state=0).partial_fit(POEMS)
    spelling = model.spelling_
    assert model.partial_fit(["江南好，风景旧曾谙。"]).spelling_ is spelling


def test_integers_have_no_spelling_nor_has_a_model_without_unknown_tokens():
    rows = np.array([[1, 2, 3], [3, 2, 1]] * 4)
    model = fitted(rows)
    assert model.spelling_ is None
    unknown = np.array([[1, 9, -1]])
    found = model.score_samples(unknown)
    np.testing.assert_array_equal(as_symbols(model, lambda m: m.score_samples(unknown)), found)
    assert fitted(POEMS, unknown_token=False).spelling_ is None
    with pytest.raises(ValueError, match="unknown_score"):
        fitted(POEMS, unknown_score="none")
