r"""Beam search: likely outputs of an encoder–decoder, or of several whose chances are averaged.

Of each sequence the ``width`` likeliest beginnings are kept open, step by step. Each of them could
also end there, and the best of these outputs are kept apart, so that they take no place of a
beginning. The search is over when no open beginning can become better than they are. With a width
as large as the number of all beginnings it finds the best outputs.

A width of one is greedy: the likeliest token at each step, and the end where that is likeliest.

Outputs are compared by log p / length ** length_penalty, where the length counts the end.

Conventions:
    N sequences, K of the width, V tokens, n outputs that are wanted; rows (N K) are the beginnings
    of one sequence after those of the other
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

    ids: Tensor  # (N, n, T): the tokens; what is after them does not matter
    lengths: Tensor  # (N, n): of the tokens, without the end
    log_p: Tensor  # (N, n), in nats; -inf where there are fewer than n outputs


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


def _rank(log_p: Tensor, length: int | Tensor, penalty: float) -> Tensor:
    """Grows with log p / length ** penalty, whose numbers may be too large or too small."""
    if not penalty:
        return log_p.double()
    sizes = torch.as_tensor(length, dtype=torch.float64, device=log_p.device)
    return penalty * sizes.log() - (-log_p.double()).clamp(min=0).log()


@dataclasses.dataclass
class _Beams:
    """Of some sequences, beginnings that are open and outputs that are found, the best first."""

    sequences: Tensor  # (N,): their numbers
    limit: Tensor  # (N,): tokens, at most
    log_p: Tensor  # (N, K)
    ids: Tensor  # (N, K, T)
    found_log_p: Tensor  # (N, n)
    found_rank: Tensor  # (N, n)
    found_ids: Tensor  # (N, n, T)
    found_lengths: Tensor  # (N, n)

    @classmethod
    def at_start(cls, limit: Tensor, width: int, n_best: int) -> _Beams:
        n, device = len(limit), limit.device
        log_p = torch.full((n, width), -torch.inf, device=device)
        log_p[:, 0] = 0.0  # at first all beginnings are the same
        none = torch.full((n, n_best), -torch.inf, device=device)
        lengths = torch.zeros((n, n_best), dtype=torch.int64, device=device)
        ids = torch.empty((n, width, 0), dtype=torch.int64, device=device)
        found = ids.new_empty((n, n_best, 0))
        numbers = torch.arange(n, device=device)
        return cls(numbers, limit, log_p, ids, none, none.double(), found, lengths)

    def take(self, rows: Tensor) -> _Beams:
        """Of those sequences."""
        return _Beams(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))

    def end(self, log_p: Tensor, penalty: float, with_end: int) -> None:
        """Open beginnings are outputs, which are kept if they are good enough.

        Parameters
        ----------
        log_p : Tensor of shape (N, K)
            Of these outputs.
        penalty : float
        with_end : int
            Tokens that their ends count for.
        """
        length, n_best = self.ids.shape[2], self.found_log_p.shape[1]
        rank = torch.cat([self.found_rank, _rank(log_p, length + with_end, penalty)], dim=1)
        best = rank.sort(dim=1, descending=True, stable=True).indices[:, :n_best]
        rows = torch.arange(len(best), device=best.device)[:, None]
        found_ids = functional.pad(self.found_ids, (0, length - self.found_ids.shape[2]))
        lengths = torch.full(log_p.shape, length, device=log_p.device)
        self.found_rank = rank[rows, best]
        self.found_log_p = torch.cat([self.found_log_p, log_p], dim=1)[rows, best]
        self.found_ids = torch.cat([found_ids, self.ids], dim=1)[rows, best]
        self.found_lengths = torch.cat([self.found_lengths, lengths], dim=1)[rows, best]

    def go_on(self, following: Tensor) -> Tensor:
        """Beginnings grow by a token, whose log p is (N, K, V); which one each comes of, (N, K)."""
        width = self.log_p.shape[1]
        following, token = following.topk(min(width, following.shape[2]), dim=2)
        total = (self.log_p[..., None] + following).flatten(1)
        best = total.sort(dim=1, descending=True, stable=True).indices[:, :width]
        before, token = best // following.shape[2], token.flatten(1).gather(1, best)
        ids = self.ids.gather(1, before[..., None].expand_as(self.ids))
        self.log_p = total.gather(1, best)
        self.ids = torch.cat([ids, token[..., None]], dim=2)
        return before

    def hopeless(self, penalty: float) -> Tensor:
        """Whether no open beginning can become better than what is found, (N,)."""
        hope = _rank(self.log_p[:, 0], self.limit + 1, penalty)  # log p never rises
        return (self.found_rank[:, -1] >= hope) | (self.limit < self.ids.shape[2])


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
        n; K if None.

    Returns
    -------
    outputs : Outputs
    """
    chances, n, device = Chances(members, x, width), x.ids.shape[1], x.ids.device
    limit = torch.as_tensor(max_length, device=device).expand(n)
    beams, done = _Beams.at_start(limit, width, n_best or width), []
    last = torch.full((n * width,), members[0].start, device=device)
    while len(beams.sequences):
        following = chances.next(last).unflatten(0, (-1, width))
        following[..., list(never)] = -torch.inf
        if end is not None:
            beams.end(beams.log_p + _ends(beams, following, end), length_penalty, 1)
            following[..., end] = -torch.inf
        before = beams.go_on(following)
        if end is not None:
            complete = beams.hopeless(length_penalty)
            if width == 1:
                complete |= beams.found_log_p[:, 0] > -torch.inf
        else:
            complete = beams.limit == beams.ids.shape[2]
            if complete.all():
                beams.end(beams.log_p, length_penalty, 0)
        rows, left = torch.arange(len(before), device=device)[:, None] * width + before, None
        if _ENOUGH * int(complete.sum()) >= len(complete):
            done.append(beams.take(complete))
            left = torch.nonzero(~complete)[:, 0]
            beams, rows = beams.take(left), rows[left]
        chances.go_on_from(rows.flatten(), left)
        last = beams.ids[..., -1].flatten()
    return _gathered(done)


def _ends(beams: _Beams, following: Tensor, end: int) -> Tensor:
    """Log p of the ends of beginnings, (N, K); a greedy search ends where nothing is likelier."""
    ends = following[..., end].clone()
    if ends.shape[1] > 1:
        return ends
    must = beams.limit[:, None] <= beams.ids.shape[2]
    over = beams.found_log_p > -torch.inf
    return ends.masked_fill(~(must | (following.argmax(2) == end)) | over, -torch.inf)


def _gathered(done: list[_Beams]) -> Outputs:
    """In the order of the sequences."""
    longest = max(beams.found_ids.shape[2] for beams in done)
    ids = [functional.pad(b.found_ids, (0, longest - b.found_ids.shape[2])) for b in done]
    order = torch.cat([beams.sequences for beams in done]).argsort()
    lengths = torch.cat([beams.found_lengths for beams in done])
    log_p = torch.cat([beams.found_log_p for beams in done])
    return Outputs(torch.cat(ids)[order], lengths[order], log_p[order])
