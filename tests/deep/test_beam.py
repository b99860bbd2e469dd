"""Beam search against the enumeration of all outputs."""

import itertools

import numpy as np
import pytest
import torch

from skem.deep.modules.beam import Chances, beam_search
from tests.deep.test_encoder_decoder import FORMS, V, model, steps, tokens

END = V - 1
X = [3, 1, 6, 2], [4], [5, 5]


def bold(form="feeding, bilinear", seed=0):
    """Chances that differ much, so that paths do."""
    made = model(form)
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(std=1.0)
    return made


def log_p_of(members, x, y):
    """Log p of an output, by the averaged chances of each token."""
    with torch.no_grad():
        parts = torch.stack([member.log_prob(tokens(x), *steps(y))[:, 0] for member in members])
        return (parts.logsumexp(0) - np.log(len(members))).sum().item()


def all_outputs(members, x, longest):
    """Outputs of at most so many tokens, the likeliest first."""
    outputs = [y for n in range(longest + 1) for y in itertools.product(range(END), repeat=n)]
    return sorted(((log_p_of(members, x, y), y) for y in outputs), reverse=True)


def searched(members, *xs, width, max_length=3, **options):
    with torch.no_grad():
        found = beam_search(
            members, tokens(*xs), width=width, end=END, max_length=max_length, **options
        )
    return [
        [
            (p.item(), tuple(ids[:n].tolist()))
            for ids, n, p in zip(*of_one, strict=True)
            if p > -torch.inf
        ]
        for of_one in zip(*found, strict=True)
    ]


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_a_wide_beam_finds_all_outputs_in_their_order(form, n_members):
    members = [bold(form, seed) for seed in range(n_members)]
    # the last end is forced: what is longer than three tokens is cut there
    wanted = all_outputs(members, X[0], 3)
    (found,) = searched(members, X[0], width=60)
    np.testing.assert_allclose([p for p, _ in found], [p for p, _ in wanted], rtol=1e-9)
    assert [y for _, y in found] == [y for _, y in wanted]


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_takes_the_likeliest_token_at_each_step(seed):
    made, y = bold(seed=seed), []
    with torch.no_grad():
        chances, last = Chances([made], tokens(X[0])), torch.tensor([made.start])
        while len(y) < 8:
            last = chances.next(last).argmax(1)
            if last.item() == END:
                break
            y.append(last.item())
    ((found,),) = searched([made], X[0], width=1, max_length=8)
    assert found[1] == tuple(y)
    assert found[0] == pytest.approx(log_p_of([made], X[0], y), rel=1e-9)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_result_depends_neither_on_the_batch_nor_on_its_order(width):
    members = [bold(seed=seed) for seed in range(2)]
    alone = [searched(members, x, width=width, max_length=6)[0] for x in X]
    together = searched(members, *X, width=width, max_length=6)
    backwards = searched(members, *X[::-1], width=width, max_length=6)[::-1]
    for one, two, three in zip(alone, together, backwards, strict=True):
        assert [y for _, y in one] == [y for _, y in two] == [y for _, y in three]
        np.testing.assert_allclose([p for p, _ in one], [p for p, _ in two], rtol=1e-9)


@pytest.mark.parametrize("width", [2, 4])
def test_outputs_have_the_log_probability_that_is_said(width):
    made = bold(seed=3)
    (found,) = searched([made], X[0], width=width, max_length=6)
    assert len({y for _, y in found}) == len(found) == width
    for p, y in found:
        assert p == pytest.approx(log_p_of([made], X[0], y), rel=1e-9)
    assert [p for p, _ in found] == sorted((p for p, _ in found), reverse=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_each_kept_beginning_may_be_the_whole_output(seed, penalty):
    """An end that is unlikely beside the other tokens, and yet better than what follows."""
    made = bold(seed=seed)
    with torch.no_grad():
        made.bias[END] -= 3

    def rank(output):
        return output[0] / (len(output[1]) + 1) ** penalty

    for width in (2, 3):
        (found,) = searched(
            [made], X[0], width=width, max_length=8, length_penalty=penalty, n_best=2
        )
        whole = {y: (log_p_of([made], X[0], y), y) for y in [(), *((i,) for i in range(END))]}
        kept = sorted((log_p_of_beginning(made, X[0], y), y) for y in range(END))[-width:]
        offered = sorted(map(rank, [whole[()], *(whole[(y,)] for _, y in kept)]))
        assert rank(found[1]) >= offered[-2] - 1e-9


def log_p_of_beginning(made, x, token):
    with torch.no_grad():
        return made.log_prob(tokens(x), *steps((token,)))[0, 0].item()


@pytest.mark.parametrize("penalty", [1, 20, 50.0, 400.0])
def test_penalties_of_any_size_rank_outputs(penalty):
    made = bold(seed=1)
    wanted = all_outputs([made], X[0], 3)

    def key(output):
        return np.log(-output[0]) - penalty * np.log(len(output[1]) + 1)

    (found,) = searched([made], X[0], width=60, length_penalty=penalty)
    assert [y for _, y in found] == [y for _, y in sorted(wanted, key=key)]
    assert np.isfinite([p for p, _ in found]).all()


@pytest.mark.parametrize("penalty", [0.0, 2.0])
@pytest.mark.parametrize("width", [1, 2])
def test_what_is_found_stays_while_other_sequences_go_on(width, penalty):
    made, options = bold(seed=4), {"width": width, "length_penalty": penalty, "max_length": 9}
    xs = [list(x) for x in itertools.product(range(1, 7), repeat=2)]
    together = searched([made], *xs, n_best=1, **options)
    for x, some in zip(xs, together, strict=True):
        assert searched([made], x, n_best=1, **options)[0][0][1] == some[0][1]


def test_a_wider_beam_than_there_are_outputs_gives_those_there_are():
    (found,) = searched([bold()], X[0], width=50, max_length=1)
    assert {y for _, y in found} == {(), *((i,) for i in range(END))}


def test_a_penalty_of_length_ranks_by_log_p_over_its_power():
    made = bold(seed=1)
    wanted = all_outputs([made], X[0], 3)
    by_rank = sorted(wanted, key=lambda o: o[0] / (len(o[1]) + 1) ** 1.5, reverse=True)
    (found,) = searched([made], X[0], width=60, length_penalty=1.5)
    assert [y for _, y in found] == [y for _, y in by_rank]


def test_tokens_that_are_never_to_come_do_not():
    (found,) = searched([bold()], X[0], width=20, never=[0])
    assert found
    assert all(0 not in y for _, y in found)
