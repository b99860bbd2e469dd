r"""Beam search: likely outputs of an encoder–decoder, or of several whose chances are averaged.

Of each sequence the ``width`` likeliest beginnings are kept, step by step; those that have ended
keep their place until likelier ones come. With a width of one that is the likeliest token at each
step; with one as large as the number of all beginnings it finds the likeliest output.

Beginnings are compared by log p / length ** length_penalty, where the length counts the end.

Conventions:
    N sequences, K of the width, V tokens, M members; rows (N K) are the beginnings of one sequence
    after those of the other
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skem.deep.modules.decoder import Memory
from skem.deep.modules.encoder_decoder import EncoderDecoder
from skem.deep.modules.recurrent import State
from skem.deep.modules.sequence import Tokens


class Outputs(NamedTuple):
    """Outputs of each sequence, the best first."""

    ids: Tensor  # (N, K, T): the tokens, the end among them; what is after it does not matter
    lengths: Tensor  # (N, K): tokens, without the end
    log_p: Tensor  # (N, K), in nats; -inf where there are fewer than K outputs


class Place(NamedTuple):
    """Where one member is, in each row."""

    memory: Memory
    feed: Tensor
    state: State


class Chances:
    """Log-probabilities of the next token, for all rows: those of members are averaged.

    Parameters
    ----------
    members : sequence of EncoderDecoder
        Of the same vocabularies.
    x : Tokens
        N sequences.
    repeats : int, default=1
        Rows of each sequence.
    """

    def __init__(self, members: Sequence[EncoderDecoder], x: Tokens, repeats: int = 1):
        self.members = members
        self.places = []
        for member in members:
            memory, state = member.encode(x)
            each = torch.arange(len(memory.last), device=memory.last.device)
            rows = each.repeat_interleave(repeats)
            memory, state = memory.take(rows), tuple(s[rows] for s in state)
            self.places.append(Place(memory, member.decoder.first_feed(state, memory), state))

    def go_on_from(self, rows: Tensor) -> None:
        """Each row goes on from another one of its sequence, whose memory is the same."""
        self.places = [
            Place(place.memory, place.feed[rows], tuple(s[rows] for s in place.state))
            for place in self.places
        ]

    def next(self, ids: Tensor) -> Tensor:
        """Log p of the V tokens after ``ids``, the last ones of the rows, (rows, V)."""
        found = []
        for i, (member, place) in enumerate(zip(self.members, self.places, strict=True)):
            e = member.target_embedding(ids)
            noise = member.decoder.cells.draw_noise(e)
            step = member.decoder.step(e, place.feed, place.state, place.memory, noise)
            self.places[i] = Place(place.memory, step.feed, step.state)
            found.append(member.log_chances(step.features))
        if len(found) == 1:
            return found[0]
        return torch.stack(found).logsumexp(0) - math.log(len(found))


@torch.no_grad()
def beam_search(
    members: Sequence[EncoderDecoder],
    x: Tokens,
    *,
    width: int,
    end: int,
    max_length: int,
    length_penalty: float = 0.0,
    never: Sequence[int] = (),
) -> Outputs:
    """Likely outputs for each sequence of a batch.

    Parameters
    ----------
    members : sequence of EncoderDecoder
    x : Tokens
    width : int
        K.
    end : int
        Id of the end.
    max_length : int
        Tokens of an output, at most; then it ends.
    length_penalty : float, default=0.0
        Above 0, longer outputs win more often.
    never : sequence of int, default=()
        Ids that outputs do not have.

    Returns
    -------
    outputs : Outputs
    """
    chances = Chances(members, x, width)
    n, device = x.ids.shape[1], x.ids.device
    log_p = torch.full((n, width), -torch.inf, device=device)
    log_p[:, 0] = 0.0  # at first all beginnings are the same
    ids = torch.empty((n, width, 0), dtype=torch.int64, device=device)
    last = torch.full((n * width,), members[0].start, device=device)
    ended = torch.zeros((n, width), dtype=torch.bool, device=device)
    lengths = torch.zeros((n, width), dtype=torch.int64, device=device)  # the end counts
    for step in range(max_length + 1):
        following = chances.next(last).view(n, width, -1)
        v = following.shape[2]
        following[..., list(never)] = -torch.inf
        if step == max_length:
            following[..., [i for i in range(v) if i != end]] = -torch.inf
        following[ended] = -torch.inf
        following[..., end][ended] = 0.0  # stays as it is
        total = log_p[..., None] + following
        sizes = torch.where(ended, lengths, step + 1)
        rank = total / sizes[..., None] ** length_penalty if length_penalty else total
        best = rank.flatten(1).sort(dim=1, descending=True, stable=True).indices[:, :width]
        before, token = best // v, best % v
        log_p = total.flatten(1).gather(1, best)
        lengths = sizes.gather(1, before)
        ended = ended.gather(1, before) | (token == end)
        ids = torch.cat([ids.gather(1, before[..., None].expand_as(ids)), token[..., None]], dim=2)
        if (ended | (log_p == -torch.inf)).all():
            break
        first = torch.arange(n, device=device)[:, None] * width
        chances.go_on_from((first + before).flatten())
        last = token.flatten()
    return Outputs(ids, lengths - 1, log_p)
