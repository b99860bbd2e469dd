"""Ragged sequences in one array are the lists they stand for."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skem.deep.sequences import _sequences
from skem.deep.sequences._sequences import blocks, id_type, in_content_order
from skem.deep.sequences._text import Sequences, check_lengths, distinct_sequences


def as_lists(sequences):
    return [sequence.tolist() for sequence in sequences]


ragged = st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1)


@given(ragged, st.data())
def test_sequences_are_their_lists(lists, data):
    sequences = Sequences.from_list(lists)
    assert as_lists(sequences) == lists
    assert len(sequences) == len(lists)
    assert sequences.lengths.tolist() == [len(row) for row in lists]
    assert sequences[-1].tolist() == lists[-1]
    order = data.draw(st.lists(st.integers(0, len(lists) - 1)))
    assert as_lists(sequences.take(order)) == [lists[i] for i in order]
    assert as_lists(sequences.framed(8, 9)) == [[8, *row, 9] for row in lists]
    assert as_lists(sequences.framed(end=9)) == [[*row, 9] for row in lists]
    assert as_lists(sequences.framed(8)) == [[8, *row] for row in lists]
    assert as_lists(sequences.framed()) == lists
    table = np.array([5, 6, 7, 8])
    assert as_lists(sequences.mapped(table)) == [[i + 5 for i in row] for row in lists]


@pytest.mark.parametrize("block", [1, 2, 5])
@given(ragged, st.data())
def test_blocks_of_any_size_give_the_same(block, lists, data):
    sequences = Sequences.from_list(lists)
    order = data.draw(st.lists(st.integers(0, len(lists) - 1)))
    weight = np.array(
        data.draw(st.lists(st.floats(0, 9), min_size=len(lists), max_size=len(lists)))
    )
    flat = [token for row in lists for token in row]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sequences, "_BLOCK", block)
        each = [(p.stop - p.start, len(n), n.sum()) for p, _, n in blocks(sequences.offsets)]
        assert all(size == total <= block for size, _, total in each)
        assert sum(size for size, _, _ in each) == len(flat)
        assert as_lists(sequences.take(order)) == [lists[i] for i in order]
        assert as_lists(sequences.mapped(np.arange(4) + 5)) == [[i + 5 for i in r] for r in lists]
        assert sequences.counts(4).tolist() == np.bincount(flat, minlength=4).tolist()
        own = np.repeat(weight, sequences.lengths)
        expected = np.bincount(np.array(flat, dtype=int), weights=own, minlength=4)
        np.testing.assert_array_equal(sequences.counts(4, weight), expected)


def test_ids_are_of_the_smallest_type_and_keep_it():
    sizes = (1, 256, 257, 2**15, 2**15 + 1, 2**31, 2**31 + 1)
    kinds = ["uint8", "uint8", "int16", "int16", "int32", "int32", "int64"]
    assert [id_type(n).name for n in sizes] == kinds
    sequences = Sequences(np.array([1, 2, 3], dtype=np.uint8), [0, 1, 3])
    for other in (sequences.take([1, 0]), sequences.framed(4, 5)):
        assert other.tokens.dtype == np.uint8
    assert as_lists(sequences.framed(300)) == [[300, 1], [300, 2, 3]]
    assert Sequences([], [0]).tokens.dtype == np.int64


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64])
@given(lists=st.lists(st.lists(st.sampled_from([0, 1, 2, 127]), max_size=12), min_size=1))
def test_the_order_of_contents_is_that_of_their_bytes(kind, lists):
    rows = [np.array(row, dtype=kind) for row in lists]
    sequences = Sequences.of_lengths(np.concatenate(rows), [len(row) for row in rows])
    expected = sorted(range(len(rows)), key=lambda i: rows[i].tobytes())
    assert in_content_order(sequences).tolist() == expected


def test_a_sequence_is_a_view():
    sequences = Sequences.from_list([[1, 2], [3]])
    assert np.shares_memory(sequences[1], sequences.tokens)
    with pytest.raises(IndexError):
        sequences[2]
    assert repr(sequences) == "Sequences(2 sequences, 3 tokens)"


@given(ragged, st.data())
def test_equal_sequences_are_put_together(lists, data):
    n = len(lists)
    each = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    weight, labels = (data.draw(st.none() | each.map(np.array)) for _ in range(2))
    sequences = Sequences.from_list(lists)
    rows, total = distinct_sequences(sequences, weight, labels)
    expected = Counter()
    for i, row in enumerate(lists):
        w = 1 if weight is None else int(weight[i])
        expected[tuple(row), None if labels is None else int(labels[i])] += w
    keys = [(tuple(lists[i]), None if labels is None else int(labels[i])) for i in rows]
    sums = np.ones(len(rows)) if total is None else total
    assert dict(zip(keys, sums.tolist(), strict=True)) == +expected
    assert (total is None) == (weight is None and len(set(keys)) == n)

    order = np.array(data.draw(st.permutations(range(n))))
    turned = [None if v is None else v[order] for v in (weight, labels)]
    others, again = distinct_sequences(sequences.take(order), *turned)
    assert [lists[i] for i in order[others]] == [lists[i] for i in rows]
    np.testing.assert_array_equal(again, total)


def test_short_sequences_are_named():
    sequences = Sequences.from_list([[1, 2], [3], [], [4]])
    check_lengths(sequences, 0)
    with pytest.raises(ValueError, match=r"Sequence 2 of X has no tokens, and at least 1 must be"):
        check_lengths(sequences, 1)
    with pytest.raises(ValueError, match=r"Sequence 1 of prompts has 1 token, .*3 of 4 are"):
        check_lengths(sequences, 2, "prompts")
