"""The reference of the language, as passages that hold each paragraph once."""

import re
import sys
from collections import Counter

import numpy as np
import pytest

from skem.datasets import load_python_reference
from skem.datasets._python_reference import _own_paragraphs, _passages, _without_markup


@pytest.fixture(scope="module")
def reference():
    return load_python_reference()


def test_bunch(reference):
    n = len(reference.data)
    assert n > 200
    assert len(reference.names) == len(set(reference.names)) == n
    assert reference.target.shape == (n,)
    assert reference.target_names == sorted(reference.target_names)
    assert len(reference.target_names) > 50
    assert set(reference.target) == set(range(len(reference.target_names)))
    assert all(isinstance(text, str) and text.strip() for text in reference.data)
    assert "Python Software Foundation" in reference.DESCR
    for name, topic in zip(reference.names, reference.target, strict=True):
        assert name.rpartition(" ")[0] == reference.target_names[topic]


def test_passages_have_about_the_size_asked_for(reference):
    sizes = np.array([len(text.split()) for text in reference.data])
    assert 110 <= np.median(sizes) <= 180
    assert np.mean((sizes >= 60) & (sizes < 300)) > 0.9
    assert len(load_python_reference(n_words=300).data) < len(reference.data)


def test_no_paragraph_is_there_twice(reference):
    paragraphs = Counter(
        " ".join(part.split()) for text in reference.data for part in text.split("\n\n")
    )
    long = [text for text, count in paragraphs.items() if count > 1 and len(text.split()) > 12]
    assert long == []


def test_each_call_gives_the_same(reference):
    again = load_python_reference()
    assert again.data == reference.data
    assert again.names == reference.names
    data, target = load_python_reference(return_X_y=True)
    assert data == reference.data
    np.testing.assert_array_equal(target, reference.target)


def test_markup_is_left_out_if_asked(reference):
    text = "\n".join(reference.data)
    raw = "\n".join(load_python_reference(strip_markup=False).data)
    for mark in (r"^\*{5,}$", r"^={5,}$", r'"while"', r"-\[ Footnotes \]-", r"while_stmt *:"):
        assert re.search(mark, raw, re.MULTILINE)
        assert not re.search(mark, text, re.MULTILINE)


def test_markup_by_hand():
    assert _without_markup('The "for" statement\n*******************') == "The for statement"
    assert _without_markup('   a ::= "b" c') == ""
    assert _without_markup('   while_stmt: "while" test ":" suite') == ""
    assert _without_markup("   x: int") == "   x: int"
    assert _without_markup("an *iterable* object [2], *two words*") == (
        "an iterable object , two words"
    )
    assert _without_markup("f(*args, **kwargs) is a * b * c") == "f(*args, **kwargs) is a * b * c"
    assert _without_markup("-[ Footnotes ]-") == ""


def test_shared_paragraphs_stay_in_the_shortest_topic():
    topics = {"long": "one\n\ntwo  words\n\nthree", "short": "two\nwords", "same": "two words"}
    own = _own_paragraphs(topics, strip_markup=True)
    assert own == {"long": ["one", "three"], "same": ["two words"]}


def test_passages_by_hand():
    paragraphs = ["a b", "c", "d e f", "g", "h"]
    assert _passages(paragraphs, 3) == [["a b", "c"], ["d e f"], ["g", "h"]]
    assert _passages(paragraphs[:4], 3) == [["a b", "c"], ["d e f", "g"]]
    assert _passages(paragraphs, 100) == [paragraphs]


def test_wrong_size_and_missing_module_are_errors(monkeypatch):
    with pytest.raises(ValueError, match="n_words must be an integer of at least 1, got 0"):
        load_python_reference(n_words=0)
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ImportError, match=r"needs pydoc_data.*standard library"):
        load_python_reference()
