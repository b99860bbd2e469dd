"""Pairs of sequences in batches: what encoder and decoder get, and how much of it there is."""

import numpy as np
import pytest
import torch

from skem.deep.modules.draws import own_generators
from skem.deep.sequences._pairs import PairBatches, Pairs
from skem.deep.sequences._sequences import Sequences

START, END = 9, 8
CPU = torch.device("cpu")


def pairs(n=23, weight=None):
    rng = np.random.default_rng(0)
    x = [rng.integers(0, 6, size=rng.integers(1, 7)) for _ in range(n)]
    y = [rng.integers(0, 5, size=rng.integers(0, 6)) for _ in range(n)]
    made = Pairs(
        Sequences.from_list(x), Sequences.from_list(y), start=START, end=END, weight=weight
    )
    return made, x, y


def test_the_decoder_gets_each_token_before_the_one_it_has_to_predict():
    made, x, y = pairs()
    rows = torch.tensor([4, 0, 17])
    source, inputs, targets, weight = made.batch(rows, CPU)
    assert weight is None
    for i, row in enumerate(rows.tolist()):
        n = len(y[row]) + 1
        assert source.ids[: source.lengths[i], i].tolist() == x[row].tolist()
        assert inputs.lengths[i] == n
        assert inputs.ids[:n, i].tolist() == [START, *y[row]]
        assert targets[:n, i].tolist() == [*y[row], END]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_each_pair_is_in_one_batch(batch_size, shuffle):
    weight = np.arange(1.0, 24.0)
    made, *_ = pairs(weight=weight)
    with own_generators(0, CPU):
        batches = PairBatches(made, batch_size, shuffle=shuffle)
        found = list(batches)
    assert len(found) == len(batches) == -(-23 // batch_size)
    seen = torch.cat([w for *_, w, _ in found])
    assert sorted(seen.tolist()) == weight.tolist()
    total = sum((y.lengths * w).sum().item() for _, y, _, w, _ in found)
    assert total == pytest.approx(made.total)
    assert found[0][-1] == pytest.approx(made.total / len(found))
    assert max(len(y.lengths) for _, y, *_ in found) <= batch_size


def test_batches_hold_pairs_of_about_the_same_length():
    made, *_ = pairs(200)
    with own_generators(0, CPU):
        found = list(PairBatches(made, 20, shuffle=True))
    padding = sum(int(y.ids.numel() - y.lengths.sum()) for _, y, *_ in found)
    assert padding < 0.2 * made.total
