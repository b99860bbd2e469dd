"""Segments: every prediction once, in its place; cuts with the chances that they should have."""

import itertools

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skem.deep.sequences._segments import NextTokens, Segments, buckets

START, END = 100, 101


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def documents(lengths, **options):
    """Documents of the tokens 0, 1, 2, ..., each token once."""
    offsets = np.cumsum([0, *lengths])
    return NextTokens(np.arange(offsets[-1]), offsets, **options)


def predictions(segments):
    """Pairs of input and target of an epoch."""
    found = []
    for segment in segments:
        tokens, targets = segment.tokens, segment.targets
        weight = torch.ones(tokens.shape) if segment.weight is None else segment.weight
        for x, y, w in zip(tokens.flatten(), targets.flatten(), weight.flatten(), strict=True):
            if w:
                found.append((int(x), int(y)))
    return found


def columns(segments):
    """Sequences of inputs as the model reads them, from a fresh state to the next."""
    found, open_ = [], []
    for segment in segments:
        if segment.fresh:
            found += open_
            open_ = [[] for _ in range(segment.tokens.shape[1])]
        valid = segment.weight if segment.weight is not None else torch.ones(segment.tokens.shape)
        for i in range(segment.tokens.shape[1]):
            open_[i] += segment.tokens[valid[:, i] > 0, i].tolist()
    return found + open_


# ---------------------------------------------------------------------- documents
def test_each_token_is_the_target_of_the_one_before():
    given = documents([3, 0, 1], start=START, end=END)
    assert given.inputs.tolist() == [START, 0, 1, 2, START, START, 3]
    assert given.targets.tolist() == [0, 1, 2, END, END, 3, END]
    assert given.lengths.tolist() == [4, 1, 2]
    assert given.starts.tolist() == [0, 4, 5]


def test_without_start_the_first_token_is_given_and_without_end_nothing_ends():
    given = documents([3, 0, 1, 2])
    assert given.inputs.tolist() == [0, 1, 4]
    assert given.targets.tolist() == [1, 2, 5]
    assert given.lengths.tolist() == [2, 0, 0, 1]
    given = documents([2, 0], start=START)
    assert (given.inputs.tolist(), given.targets.tolist()) == ([START, 0], [0, 1])
    given = documents([2, 0], end=END)
    assert (given.inputs.tolist(), given.targets.tolist()) == ([0, 1], [1, END])


def test_whole_documents_beside_each_other():
    (segment,) = Segments(documents([2, 3, 1], start=START), 3, truncation="none")
    tokens, targets = segment.tokens[:, [0, 2]], segment.targets[:, [0, 2]]
    valid = segment.weight[:, [0, 2]] > 0
    assert tokens[:, 0].tolist() == [START, 2, 3]
    assert targets[:, 0].tolist() == [2, 3, 4]
    assert targets[0, 1] == 5
    assert valid.sum(0).tolist() == [3, 1]


def test_arrays_that_are_read_only_will_do():
    tokens = np.arange(4)
    tokens.flags.writeable = False
    assert len(NextTokens(tokens, np.array([0, 4])).inputs) == 3


def test_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="no token to predict"):
        Segments(documents([1, 1]), 2)


# ---------------------------------------------------------------------- every prediction once
LENGTHS = [7, 1, 30, 12, 12, 5, 0, 19]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("layout", ["stream", "documents"])
@pytest.mark.parametrize("truncation", ["none", "fixed", "random"])
def test_an_epoch_has_every_prediction_once(truncation, layout, shuffle):
    given = documents(LENGTHS, start=START, end=END)
    segments = Segments(given, 3, shuffle, bptt=6, truncation=truncation, layout=layout)
    expected = zip(given.inputs.tolist(), given.targets.tolist(), strict=True)
    assert sorted(predictions(segments)) == sorted(expected)
    sizes = [s.size for s in segments]
    assert sizes[0] == pytest.approx(given.n_predictions / len(segments))
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("truncation", ["none", "fixed", "random"])
def test_a_document_is_read_from_its_start_to_its_end_in_one_column(truncation, shuffle):
    given = documents(LENGTHS, start=START)
    segments = Segments(given, 3, shuffle, bptt=6, truncation=truncation, layout="documents")
    found = sorted(c[1:] for c in columns(segments) if len(c) > 1)
    offsets = np.cumsum([0, *LENGTHS])
    expected = [list(range(a, b - 1)) for a, b in itertools.pairwise(offsets) if b > a + 1]
    assert found == sorted(expected)


def test_a_stream_is_cut_in_columns_that_go_on_from_segment_to_segment():
    found = columns(Segments(documents([1001]), 4, bptt=10))
    assert [len(c) for c in found] == [250] * 4
    assert [t for c in sorted(found) for t in c] == list(range(1000))
    found = columns(Segments(documents([1001]), 4, True, bptt=10))
    starts = sorted(c[0] for c in found)
    assert np.diff(starts).tolist() == [250] * 3
    for column in found:
        assert column == [(column[0] + i) % 1000 for i in range(250)]


def test_a_shuffled_stream_has_whole_documents_in_another_order():
    given = documents([50] * 20, start=START)
    (column,) = columns(Segments(given, 1, True, bptt=5))
    text = " ".join(map(str, column * 2))
    for i in range(20):
        assert " ".join(map(str, [START, *range(50 * i, 50 * i + 49)])) in text
    assert [t for t in column if t != START] != sorted(t for t in column if t != START)


# ---------------------------------------------------------------------- shapes
def test_segments_have_bptt_steps_at_most_and_as_many_as_told():
    for lengths, layout in [([1001], "stream"), (LENGTHS, "documents")]:
        segments = Segments(documents(lengths, start=START), 4, bptt=9, layout=layout)
        shapes = [s.tokens.shape for s in segments]
        assert len(shapes) == len(segments)
        assert max(t for t, _ in shapes) <= 9
        assert all(s.joins == () for s in segments)


def test_long_documents_make_a_stream_and_short_ones_do_not():
    assert Segments(documents([2001]), 8, bptt=10).layout == "stream"
    assert Segments(documents([30] * 50), 8, bptt=10).layout == "documents"
    assert Segments(documents([2001]), 8, bptt=10, truncation="none").layout == "documents"


def test_columns_of_a_short_stream_are_fewer_rather_than_shorter():
    assert Segments(documents([101]), 64, bptt=5, layout="stream").n_columns == 5
    assert Segments(documents([3]), 64, bptt=5, layout="stream").n_columns == 1


def test_buckets_have_documents_of_a_length_and_little_time_is_lost_on_padding():
    lengths = torch.from_numpy(np.random.default_rng(0).geometric(0.02, size=4000))
    parts = buckets(lengths, 32, shuffle=True)
    assert sorted(torch.cat(list(parts)).tolist()) == list(range(4000))
    assert all(lengths[p].diff().max() <= 0 and len(p) <= 32 for p in parts)
    padded = sum(int(lengths[p].max()) * len(p) for p in parts)
    assert padded < 1.05 * int(lengths.sum())


def test_columns_that_have_ended_are_let_go():
    segments = list(Segments(documents([40, 12, 3], start=START), 3, bptt=4, layout="documents"))
    assert [s.tokens.shape[1] for s in segments] == [3, 2, 2] + [1] * 7
    padding = sum(0 if s.weight is None else int((s.weight == 0).sum()) for s in segments)
    assert padding == 1


# ---------------------------------------------------------------------- random truncation
@pytest.mark.parametrize("stride", [1, 3, None])
def test_random_segments_have_a_mean_of_bptt_steps_and_join_with_the_chance_that_they_reweight(
    stride,
):
    n, bptt = 120_001, 12
    segments = Segments(documents([n]), 1, bptt=bptt, truncation="random")
    step = segments.stride = segments.stride if stride is None else stride
    lengths, joined, seen = [], {}, {}
    for segment in segments:
        count = len(segment.joins)
        lengths.append(len(segment.tokens))
        assert [at for at, _ in segment.joins] == [step * (i + 1) for i in range(count)]
        for i in range(count + 1):
            seen[i] = seen.get(i, 0) + 1
        for i, (_, factor) in enumerate(segment.joins):
            joined.setdefault(i, [0, factor])[0] += 1
            assert factor == joined[i][1]
    error = np.std(lengths) / np.sqrt(len(lengths))
    assert abs(np.mean(lengths) - bptt) < 4 * error
    assert sum(lengths) == n - 1
    for i in range(3):  # pi = 1 / factor
        often, factor = joined[i]
        pi, m = 1 / factor, seen[i]
        assert abs(often / m - pi) < 4 * np.sqrt(pi * (1 - pi) / m)
    assert len(segments) == pytest.approx(len(lengths), rel=0.05)


def test_random_truncation_needs_room_to_cut():
    with pytest.raises(ValueError, match="bptt above its stride, 1; got 1"):
        Segments(documents([9]), 1, bptt=1, truncation="random")


def test_random_state_of_torch_decides():
    def epoch():
        torch.manual_seed(5)
        return [s.tokens for s in Segments(documents(LENGTHS), 2, True, truncation="random")]

    for a, b in zip(epoch(), epoch(), strict=True):
        assert_close(a, b)
