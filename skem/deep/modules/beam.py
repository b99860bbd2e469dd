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

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from skem.deep.modules.decoder import Memory
from skem.deep.modules.encoder_decoder import EncoderDecoder
from skem.deep.modules.recurrent import State
from skem.deep.modules.sequence import Tokens

_ENOUGH = 4
"""One of so many sequences must be done before the others are moved together: that costs a copy."""


class Outputs(NamedTuple):
    """Outputs of each sequence, the best first."""

    ids: Tensor  # (N, K, T): the tokens, the end among them; what is after it does not matter
    lengths: Tensor  # (N, K): of the tokens, without the end
    log_p: Tensor  # (N, K), in nats; -inf where there are fewer than K outputs


class Place(NamedTuple):
    """Where one member is, in each row."""

    memory: Memory
    feed: Tensor
    state: State
    attention: Tensor | None = None  # of the last step


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
            feed = member.decoder.first_feed(state, memory)
            feed, *first = (s.repeat_interleave(repeats, dim=0) for s in (feed, *state))
            self.places.append(Place(memory, feed, tuple(first)))

    def go_on_from(self, rows: Tensor, sequences: Tensor | None = None) -> None:
        """Each row goes on from another one, of its sequence; or some sequences only."""
        for i, (memory, feed, state, _) in enumerate(self.places):
            memory = memory if sequences is None else memory.take(sequences)
            self.places[i] = Place(memory, feed[rows], tuple(s[rows] for s in state))

    def next(self, ids: Tensor) -> Tensor:
        """Log p of the V tokens after ``ids``, the last ones of the rows, (rows, V)."""
        found = []
        for i, (member, place) in enumerate(zip(self.members, self.places, strict=True)):
            e = member.target_embedding(ids)
            noise = member.decoder.cells.draw_noise(e)
            step = member.decoder.step(e, place.feed, place.state, place.memory, noise)
            self.places[i] = Place(place.memory, step.feed, step.state, step.attention)
            found.append(member.log_chances(step.features))
        return mean_of_members(found)

    @property
    def attention(self) -> Tensor:
        """Of the last step, the mean of the members, (rows, S)."""
        weights = [p.attention for p in self.places if p.attention is not None]
        return torch.stack(weights).mean(0)


def mean_of_members(log_p: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean of probabilities."""
    if len(log_p) == 1:
        return log_p[0]
    return torch.stack(list(log_p)).logsumexp(0) - math.log(len(log_p))


@dataclasses.dataclass
class _Beams:
    """Beginnings of outputs of some sequences, the best first."""

    sequences: Tensor  # (N,): their numbers
    limit: Tensor  # (N,): tokens, at most
    log_p: Tensor  # (N, K)
    ids: Tensor  # (N, K, T)
    ended: Tensor  # (N, K)
    lengths: Tensor  # (N, K): the end counts

    @classmethod
    def at_start(cls, limit: Tensor, width: int) -> _Beams:
        n, device = len(limit), limit.device
        log_p = torch.full((n, width), -torch.inf, device=device)
        log_p[:, 0] = 0.0  # at first all beginnings are the same
        none = torch.zeros((n, width), dtype=torch.int64, device=device)
        ids = none[..., None][..., :0]
        return cls(torch.arange(n, device=device), limit, log_p, ids, none > 0, none)

    def take(self, rows: Tensor) -> _Beams:
        """Of those sequences."""
        return _Beams(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))


def _extended(
    beams: _Beams, following: Tensor, end: int | None, penalty: float
) -> tuple[_Beams, Tensor]:
    """The best beginnings of one token more, and which one each goes on from, (N, K).

    Parameters
    ----------
    beams : _Beams
    following : Tensor of shape (N, K, V)
        Log p of what comes next, which is changed.
    end : int or None
    penalty : float
    """
    width, step = beams.log_p.shape[1], beams.ids.shape[2]
    if end is not None:
        following[beams.ended] = -torch.inf
        following[..., end][beams.ended] = 0.0  # stays as it is
    following, token = following.topk(min(width, following.shape[2]), dim=2)
    total = beams.log_p[..., None] + following
    sizes = torch.where(beams.ended, beams.lengths, step + 1)
    rank = total / sizes[..., None] ** penalty if penalty else total
    best = rank.flatten(1).sort(dim=1, descending=True, stable=True).indices[:, :width]
    before, token = best // token.shape[2], token.flatten(1).gather(1, best)
    ids = beams.ids.gather(1, before[..., None].expand_as(beams.ids))
    new = dataclasses.replace(
        beams,
        log_p=total.flatten(1).gather(1, best),
        ids=torch.cat([ids, token[..., None]], dim=2),
        ended=beams.ended.gather(1, before) | (token == (-1 if end is None else end)),
        lengths=sizes.gather(1, before),
    )
    return new, before


@torch.no_grad()
def beam_search(
    members: Sequence[EncoderDecoder],
    x: Tokens,
    *,
    width: int,
    end: int | None,
    max_length: int | Tensor,
    length_penalty: float = 0.0,
    never: Sequence[int] = (),
    n_best: int | None = None,
) -> Outputs:
    """Likely outputs for each sequence of a batch.

    Parameters
    ----------
    members : sequence of EncoderDecoder
    x : Tokens
    width : int
        K.
    end : int or None
        Id of the end; None if outputs have ``max_length`` tokens.
    max_length : int or Tensor of shape (N,)
        Tokens of an output, at most; then it ends.
    length_penalty : float, default=0.0
        Above 0, longer outputs win more often.
    never : sequence of int, default=()
        Ids that outputs do not have.
    n_best : int, default=None
        How many outputs are wanted; others may not be complete. K if None.

    Returns
    -------
    outputs : Outputs
    """
    wanted = width if n_best is None or length_penalty else n_best
    chances, n, device = Chances(members, x, width), x.ids.shape[1], x.ids.device
    limit = torch.as_tensor(max_length, device=device).expand(n)
    beams, done = _Beams.at_start(limit, width), []
    last = torch.full((n * width,), members[0].start, device=device)
    for step in range(int(limit.max()) + (end is not None)):
        following = chances.next(last).unflatten(0, (-1, width))
        following[..., list(never)] = -torch.inf
        if end is not None and (beams.limit <= step).any():
            other = torch.arange(following.shape[2], device=device) != end
            following.masked_fill_((beams.limit <= step)[:, None, None] & other, -torch.inf)
        beams, before = _extended(beams, following, end, length_penalty)
        rows = torch.arange(len(before), device=device)[:, None] * width + before
        left, complete = None, _complete(beams, end, wanted)
        if _ENOUGH * int(complete.sum()) >= len(complete):
            done.append(beams.take(complete))
            left = torch.nonzero(~complete)[:, 0]
            if not len(left):
                break
            beams, rows = beams.take(left), rows[left]
        chances.go_on_from(rows.flatten(), left)
        last = beams.ids[..., -1].flatten()
    return _gathered(done, end)


def _complete(beams: _Beams, end: int | None, wanted: int) -> Tensor:
    """Whether that many of the best outputs cannot change any more, (N,)."""
    if end is None:
        return beams.limit == beams.ids.shape[2]
    return (beams.ended | (beams.log_p == -torch.inf))[:, :wanted].all(1)


def _gathered(done: list[_Beams], end: int | None) -> Outputs:
    """In the order of the sequences."""
    longest = max(beams.ids.shape[2] for beams in done)
    ids = [functional.pad(beams.ids, (0, longest - beams.ids.shape[2])) for beams in done]
    order = torch.cat([beams.sequences for beams in done]).argsort()
    log_p = torch.cat([beams.log_p for beams in done])
    lengths = torch.cat([beams.lengths for beams in done]) - int(end is not None)
    return Outputs(torch.cat(ids)[order], lengths[order], log_p[order])
