r"""Decoders that see states h_1 ... h_S of an encoder: by a fixed context, or by attention.

A decoder goes through the tokens of y with states g_t of its own:

    score(g, h)         g . h, or g . W h
    look(g)             sum_j a_j h_j with a = softmax_j score(g, h_j)

    FixedContext        g_t = cell([e_t, c], g_{t-1}) with c = h_S              s_t = g_t
    PreviousState       g_t = cell([e_t, look(g_{t-1})], g_{t-1})               s_t = g_t
    InputFeeding        g_t = cell([e_t, s_{t-1}], g_{t-1})                     s_0 = 0
                        s_t = tanh(U [look(g_t), g_t])
    ContextFeeding      g_t = cell([e_t, look(g_{t-1})], g_{t-1})
                        s_t = tanh(U [look(g_t), g_t])

where e_t is the vector of y_{t-1}, and y_0 the start. The features s_t are what y_t is predicted
from. The first two are those of Jurafsky and Martin (Speech and Language Processing, chapter on
RNNs and LSTMs), the third that of Luong, Pham and Manning (2015); the last has the states of the
second and the features of the third. Where the encoder has two directions, h_S is the last state of
the one beside that of the other.

Conventions:
    ids.shape = (T, B)              steps first, then sequences; after its end a sequence has any id
    memory.states.shape = (N, S, H) states of the encoder, sequences first; B rows of the decoder
                                    are K of the first of N sequences, K of the second, ...
    state                           a tuple of tensors (B, D): h of each layer, from the first on,
                                    each followed by its c for an LSTM
    feed.shape = (B, F)             what the next step gets beside e_t
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skem.deep.modules.recurrent import State, locked_mask

_CELLS: dict[str, Callable[..., nn.RNNCellBase]] = {
    "rnn_tanh": nn.RNNCell,
    "rnn_relu": functools.partial(nn.RNNCell, nonlinearity="relu"),
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
}


class Memory(NamedTuple):
    """What the decoder knows of x."""

    last: Tensor  # (N, H): the state after the whole of x
    states: Tensor  # (N, S, H)
    keys: Tensor | None  # (N, S, D): of the states, as scores take them
    hidden: Tensor | None  # (N, 1, S): which of the states are padding

    def take(self, rows: Tensor) -> Memory:
        """Of those sequences."""
        keys = None if self.keys is None else self.keys[rows]
        hidden = None if self.hidden is None else self.hidden[rows]
        return Memory(self.last[rows], self.states[rows], keys, hidden)


class Step(NamedTuple):
    """One step of the decoder."""

    features: Tensor  # (B, D), from which the next token is predicted
    feed: Tensor  # (B, F)
    state: State
    attention: Tensor | None  # (B, S)


class Attention(nn.Module):
    """Looks at the states of the encoder, each as much as its score says.

    Parameters
    ----------
    memory_size, size : int
        H and D.
    bilinear : bool
        Whether the score is g . W h; without W, H and D are equal.
    """

    def __init__(self, memory_size: int, size: int, bilinear: bool):
        super().__init__()
        if not bilinear and memory_size != size:
            raise ValueError(
                f"A dot product needs states of one size, got {size} and {memory_size}."
            )
        self.keys = nn.Linear(memory_size, size, bias=False) if bilinear else nn.Identity()

    def forward(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Context (B, H) and weights (B, S), which sum to one over the tokens of x."""
        if memory.keys is None:
            raise ValueError("There are no keys of the memory to compare with.")
        queries = query.unflatten(0, (len(memory.keys), -1))  # (N, K, D)
        scores = queries @ memory.keys.transpose(1, 2)
        if memory.hidden is not None:
            scores = scores.masked_fill(memory.hidden, -torch.inf)
        weights = scores.softmax(2)
        return (weights @ memory.states).flatten(0, 1), weights.flatten(0, 1)


class Cells(nn.Module):
    """One step of recurrent layers, one above the other.

    Parameters
    ----------
    input_size, size, n_layers : int
    cell : {'rnn_tanh', 'rnn_relu', 'lstm', 'gru'}
    dropout_between : float, default=0.0
        Locked: one mask for all steps.
    """

    def __init__(
        self, input_size: int, size: int, n_layers: int, cell: str, dropout_between: float = 0.0
    ):
        super().__init__()
        self.size, self.n_layers, self.dropout_between = size, n_layers, dropout_between
        self.n_states = 2 if cell == "lstm" else 1
        sizes = [input_size, *[size] * (n_layers - 1)]
        self.layers = nn.ModuleList(_CELLS[cell](width, size) for width in sizes)

    def draw_noise(self, like: Tensor) -> list[Tensor | None]:
        """Masks for what each layer but the first gets, (B, D); none but in training."""
        rate = self.dropout_between if self.training else 0.0
        masks = (locked_mask(rate, len(like), self.size, like) for _ in self.layers[1:])
        return [None if mask is None else mask[0] for mask in masks]

    def top(self, state: State) -> Tensor:
        """The last layer's h, (B, D)."""
        return state[-self.n_states]

    def forward(self, x: Tensor, state: State, noise: list[Tensor | None]) -> State:
        """The state after one step with inputs x (B, input_size)."""
        new: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            mask = noise[i - 1] if i else None
            x = x if mask is None else x * mask
            own = state[i * self.n_states : (i + 1) * self.n_states]
            out = layer(x, own if self.n_states == 2 else own[0])
            new.extend(out if self.n_states == 2 else [out])
            x = new[-self.n_states]
        return tuple(new)


class FixedContext(nn.Module):
    """Each step gets the last state of the encoder.

    Parameters
    ----------
    embedding_dim, memory_size, size, n_layers : int
        Sizes of e_t, of h (H) and of g (D), and the layers of the decoder.
    cell : {'rnn_tanh', 'rnn_relu', 'lstm', 'gru'}
    attention : Attention or None
        None here.
    dropout_between : float, default=0.0
    """

    def __init__(
        self,
        embedding_dim: int,
        memory_size: int,
        size: int,
        n_layers: int,
        cell: str,
        attention: Attention | None = None,
        dropout_between: float = 0.0,
    ):
        super().__init__()
        self.attention = attention
        feed = self.feed_size(memory_size, size)
        self.cells = Cells(embedding_dim + feed, size, n_layers, cell, dropout_between)

    def feed_size(self, memory_size: int, size: int) -> int:
        """F."""
        return memory_size

    def keys(self, states: Tensor) -> Tensor | None:
        """Of the states of the encoder (B, S, H), as scores take them."""
        return None if self.attention is None else self.attention.keys(states)

    def first_feed(self, state: State, memory: Memory) -> Tensor:
        """What the first step gets beside e_1."""
        return memory.last

    def step(
        self, e: Tensor, feed: Tensor, state: State, memory: Memory, noise: list[Tensor | None]
    ) -> Step:
        """Go on by one token, whose vector is e (B, E)."""
        state = self.cells(torch.cat([e, feed], 1), state, noise)
        return Step(self.cells.top(state), feed, state, None)


class PreviousState(FixedContext):
    """Each step gets what the state before it looks at."""

    attention: Attention

    def first_feed(self, state: State, memory: Memory) -> Tensor:
        return memory.last  # not used: `step` looks first

    def step(
        self, e: Tensor, feed: Tensor, state: State, memory: Memory, noise: list[Tensor | None]
    ) -> Step:
        context, weights = self.attention(self.cells.top(state), memory)
        state = self.cells(torch.cat([e, context], 1), state, noise)
        return Step(self.cells.top(state), context, state, weights)


class InputFeeding(FixedContext):
    """Each state looks at x; what comes of it is the output, and goes into the next step."""

    attention: Attention

    def __init__(self, embedding_dim: int, memory_size: int, size: int, *args: Any, **options: Any):
        super().__init__(embedding_dim, memory_size, size, *args, **options)
        self.combine = nn.Linear(memory_size + size, size, bias=False)

    def feed_size(self, memory_size: int, size: int) -> int:
        return size

    def first_feed(self, state: State, memory: Memory) -> Tensor:
        return torch.zeros_like(self.cells.top(state))

    def step(
        self, e: Tensor, feed: Tensor, state: State, memory: Memory, noise: list[Tensor | None]
    ) -> Step:
        state = self.cells(torch.cat([e, feed], 1), state, noise)
        top = self.cells.top(state)
        context, weights = self.attention(top, memory)
        features = self.combine(torch.cat([context, top], 1)).tanh()
        return Step(features, self.fed(features, context), state, weights)

    def fed(self, features: Tensor, context: Tensor) -> Tensor:
        """What the next step gets."""
        return features


class ContextFeeding(InputFeeding):
    """The same, but that what goes into the next step is only what the state has looked at."""

    def feed_size(self, memory_size: int, size: int) -> int:
        return memory_size

    def first_feed(self, state: State, memory: Memory) -> Tensor:
        return self.attention(self.cells.top(state), memory)[0]

    def fed(self, features: Tensor, context: Tensor) -> Tensor:
        return context
