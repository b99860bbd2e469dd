r"""Stacked recurrent layers on whole segments.

With inputs x_t, states h_t, s the logistic function and * by elements:

    rnn     h_t = g(W x_t + U h_{t-1} + b),                   g = tanh or relu
    lstm    f, i, o = s(W x_t + U h_{t-1} + b)                forget, add and output gate
            c_t = f * c_{t-1} + i * tanh(W x_t + U h_{t-1} + b),      h_t = o * tanh(c_t)
    gru     r, z = s(W x_t + U h_{t-1} + b)
            n = tanh(W x_t + b + r * (U h_{t-1} + b')),       h_t = (1 - z) * n + z * h_{t-1}

each gate with weights and biases of its own (one of W x, one of U h).

Conventions:
    x.shape = (T, B, D)             steps first, then sequences
    outputs.shape = (T, B, H)       of the last layer; of both directions side by side, (T, B, 2 H)
    state                           a flat tuple of tensors (layers, B, H): h, and c after it for an
                                    LSTM, of each block of layers that run in one kernel
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from skem.deep.modules import draws

State: TypeAlias = tuple[Tensor, ...]
Joins: TypeAlias = Sequence[tuple[int, float]]

_LAYERS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
_KERNELS: dict[str, Callable[..., Any]] = {
    "rnn_tanh": torch.rnn_tanh,
    "rnn_relu": torch.rnn_relu,
    "lstm": torch.lstm,
    "gru": torch.gru,
}
CELLS = tuple(_LAYERS)


class Noise(NamedTuple):
    """What dropout has drawn for one segment; the same for all its steps."""

    inputs: Tensor | None = None
    between: tuple[Tensor | None, ...] = ()
    weights: tuple[list[list[Tensor]], ...] | None = None


class Recurrent(nn.Module):
    """Recurrent layers, one above the other, with the dropouts of AWD-LSTM.

    Layers of one width with no dropout between them run in one kernel.

    Parameters
    ----------
    input_size : int
        D.
    hidden_sizes : sequence of int
        Units of each layer, a direction.
    cell : {'rnn_tanh', 'rnn_relu', 'lstm', 'gru'}, default='lstm'
        See above.
    bidirectional : bool, default=False
        Whether each layer also runs backwards.
    dropout_input, dropout_between : float, default=0.0
        Locked dropout of the inputs, and between layers: one mask for all steps (Gal and
        Ghahramani 2016).
    dropout_weights : float, default=0.0
        Dropout of the weights U (weight drop, Merity et al. 2018).
    """

    blocks: Any

    def __init__(
        self,
        input_size: int,
        hidden_sizes: Sequence[int],
        *,
        cell: str = "lstm",
        bidirectional: bool = False,
        dropout_input: float = 0.0,
        dropout_between: float = 0.0,
        dropout_weights: float = 0.0,
    ):
        super().__init__()
        self.input_size, self.hidden_sizes = input_size, tuple(hidden_sizes)
        self.cell, self.bidirectional = cell, bidirectional
        self.dropout_input, self.dropout_between = dropout_input, dropout_between
        self.dropout_weights = dropout_weights
        self._has_dropout = bool(dropout_input or dropout_between or dropout_weights)
        self.n_directions = 2 if bidirectional else 1
        self.blocks = nn.ModuleList()
        width = input_size
        for size, n_layers in self._kernel_sizes():
            block = _LAYERS[cell](width, size, num_layers=n_layers, bidirectional=bidirectional)
            self.blocks.append(block)
            width = size * self.n_directions
        self.output_size = width

    def _kernel_sizes(self) -> list[tuple[int, int]]:
        """Units and number of layers of each block."""
        sizes = self.hidden_sizes
        if self.dropout_between or len(set(sizes)) > 1:
            return [(size, 1) for size in sizes]
        return [(sizes[0], len(sizes))]

    # ------------------------------------------------------------------ state
    @property
    def n_states(self) -> int:
        """Tensors of the state of one block: h, or h and c."""
        return 2 if self.cell == "lstm" else 1

    def initial_state(self, batch: int) -> State:
        """Zeros."""
        like = next(self.parameters())
        return tuple(
            like.new_zeros(block.num_layers * self.n_directions, batch, block.hidden_size)
            for block in self.blocks
            for _ in range(self.n_states)
        )

    def top(self, state: State) -> Tensor:
        """The last layer's h, (B, H): the output at the last step; (B, 2 H) of two directions."""
        h = state[-self.n_states][-self.n_directions :]
        return h[0] if self.n_directions == 1 else torch.cat([h[0], h[1]], dim=1)

    # ------------------------------------------------------------------ dropout
    def draw_noise(self, batch: int) -> Noise:
        """Masks and dropped weights for one segment of the training; nothing otherwise."""
        if not (self.training and self._has_dropout):
            return Noise()
        like = next(self.parameters())
        between: list[Tensor | None] = [
            locked_mask(self.dropout_between, batch, block.hidden_size * self.n_directions, like)
            for block in self.blocks[:-1]
        ]
        weights = tuple(map(self._drop_weights, self.blocks)) if self.dropout_weights else None
        inputs = locked_mask(self.dropout_input, batch, self.input_size, like)
        return Noise(inputs, tuple(between), weights)

    def _drop_weights(self, block: nn.RNNBase) -> list[list[Tensor]]:
        dropped = [
            [w, draws.dropout(u, self.dropout_weights), *biases]
            for w, u, *biases in block.all_weights
        ]
        return _laid_out_as(block.all_weights, dropped)

    # ------------------------------------------------------------------ forward
    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: Noise | None = None,
        joins: Joins = (),
    ) -> tuple[Tensor, State]:
        """Outputs of all steps, and the state after the last.

        Parameters
        ----------
        x : Tensor of shape (T, B, D)
        state : tuple of Tensor, default=None
            To start from; zeros if None.
        lengths : Tensor of shape (B,), default=None
            Steps of each sequence, at least 1, if they differ: outputs after its end are zero, and
            a backward direction starts at its end. The state is then empty; see `last_outputs`.
        noise : Noise, default=None
            From `draw_noise`; drawn if None.
        joins : sequence of (int, float), default=()
            Steps before which the gradient that goes back through the state is multiplied by that
            number. Outputs are as without.
        """
        noise = self.draw_noise(x.shape[1]) if noise is None else noise
        if noise.inputs is not None:
            x = x * noise.inputs
        state = self.initial_state(x.shape[1]) if state is None else state
        last: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            mask = noise.between[i - 1] if i and noise.between else None
            x = x if mask is None else x * mask
            weights = block.all_weights if noise.weights is None else noise.weights[i]
            if lengths is not None:
                x = self._run_ragged(block, weights, x, lengths)
                continue
            own = state[i * self.n_states : (i + 1) * self.n_states]
            x, own = self._run_pieces(weights, x, own, joins)
            last.extend(own)
        return x, tuple(last)

    def _run(
        self, weights: list[list[Tensor]], x: Tensor, state: State, bidirectional: bool
    ) -> tuple[Tensor, State]:
        """Layers of one block, by one kernel."""
        n_layers = len(weights) // 2 if bidirectional else len(weights)
        flat = [w for layer in weights for w in layer]
        hx = state if self.cell == "lstm" else state[0]
        # biases, layers, dropout, training, directions, batch first
        options = (True, n_layers, 0.0, self.training, bidirectional, False)
        out, *last = _KERNELS[self.cell](x, hx, flat, *options)
        return out, tuple(last)

    def _run_pieces(
        self, weights: list[list[Tensor]], x: Tensor, state: State, joins: Joins
    ) -> tuple[Tensor, State]:
        """Pieces of the segment, one after the other; gradients are scaled where they meet."""
        if not joins:
            return self._run(weights, x, state, self.bidirectional)
        outputs, start = [], 0
        for step, factor in joins:
            out, state = self._run(weights, x[start:step], state, self.bidirectional)
            state = tuple(_ScaledGradient.apply(s, factor) for s in state)
            outputs.append(out)
            start = step
        out, state = self._run(weights, x[start:], state, self.bidirectional)
        return torch.cat([*outputs, out]), state

    # ------------------------------------------------------------------ sequences that differ
    def _run_ragged(
        self, block: nn.RNNBase, weights: list[list[Tensor]], x: Tensor, lengths: Tensor
    ) -> Tensor:
        if x.device.type == "cuda":
            return self._run_packed(block, weights, x, lengths)
        n = self.n_directions
        end = torch.arange(len(x), device=x.device)[:, None] < lengths.to(x.device)
        order = _backwards(lengths.to(x.device), len(x)) if n == 2 else None
        for start in range(0, len(weights), n):
            state = (x.new_zeros(1, x.shape[1], block.hidden_size),) * self.n_states
            out = self._run(weights[start : start + 1], x, state, False)[0]
            if order is not None:
                back = self._run(weights[start + 1 : start + 2], _take(x, order), state, False)[0]
                out = torch.cat([out, _take(back, order)], dim=2)
            x = out
        return x * end[:, :, None]

    def _run_packed(
        self, block: nn.RNNBase, weights: list[list[Tensor]], x: Tensor, lengths: Tensor
    ) -> Tensor:
        """By cuDNN, which is made for it; on the CPU packed steps took twice as long."""
        packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
        sizes = block.num_layers * self.n_directions, x.shape[1], block.hidden_size
        state = (x.new_zeros(sizes),) * self.n_states
        hx = state if self.cell == "lstm" else state[0]
        flat = [w for layer in weights for w in layer]
        options = (True, block.num_layers, 0.0, self.training, self.bidirectional)
        out = _KERNELS[self.cell](packed.data, packed.batch_sizes, hx, flat, *options)[0]
        out = PackedSequence(out, *packed[1:])
        return pad_packed_sequence(out, total_length=len(x))[0]

    def last_outputs(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Outputs after the whole sequence, (B, H): of the backward direction those at step 0."""
        if lengths is None:
            last = outputs[-1]
        else:
            steps = (lengths.to(outputs.device) - 1)[None, :, None].expand(1, *outputs.shape[1:])
            last = outputs.gather(0, steps)[0]
        if not self.bidirectional:
            return last
        size = outputs.shape[2] // 2
        return torch.cat([last[:, :size], outputs[0, :, size:]], dim=1)


def _laid_out_as(
    weights: Sequence[Sequence[Tensor]], changed: list[list[Tensor]]
) -> list[list[Tensor]]:
    """Copies in one storage, in the order of ``weights``, if these are: cuDNN wants them so."""
    flat, new = [w for layer in weights for w in layer], [w for layer in changed for w in layer]
    size = sum(w.numel() for w in flat)
    if flat[0].untyped_storage().nbytes() != size * flat[0].element_size():
        return changed
    order = sorted(range(len(flat)), key=lambda i: flat[i].storage_offset())
    whole = torch.cat([new[i].flatten() for i in order])
    for i, part in zip(order, whole.split([flat[i].numel() for i in order]), strict=True):
        new[i] = part.view_as(flat[i])
    return [new[i : i + len(weights[0])] for i in range(0, len(new), len(weights[0]))]


def locked_mask(rate: float, batch: int, size: int, like: Tensor) -> Tensor | None:
    """Zeros with that chance, 1 / (1 - rate) otherwise, (1, batch, size), for all steps."""
    if not rate:
        return None
    return draws.dropout_mask((1, batch, size), rate, like)


def teacher_forcing_at(step: Tensor, chance: float, n_steps: int) -> float | Tensor:
    """Chance of an input that is a token of the data: it falls from 1 to ``chance``.

    Scheduled sampling (Bengio et al. 2015) over ``n_steps`` batches, of which ``step`` are done.
    """
    if not n_steps:
        return chance
    return 1 - torch.clamp(step / n_steps, max=1.0) * (1 - chance)


class _ScaledGradient(torch.autograd.Function):
    """The same numbers, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def _backwards(lengths: Tensor, n_steps: int) -> Tensor:
    """Where step t of each sequence is when it is read from its end; padding stays; (T, B)."""
    steps = torch.arange(n_steps, device=lengths.device)[:, None]
    return torch.where(steps < lengths, lengths - 1 - steps, steps)


def _take(x: Tensor, order: Tensor) -> Tensor:
    """Steps of each sequence in that order."""
    n_steps, batch, _ = x.shape
    rows = (order * batch + torch.arange(batch, device=x.device)).flatten()
    return x.flatten(0, 1).index_select(0, rows).unflatten(0, (n_steps, batch))
