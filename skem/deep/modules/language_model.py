r"""The recurrent language model.

    e_t = E x_t,    h_t = recurrent(e_t, h_{t-1}),    p(x_{t+1} | x_1 ... x_t) = softmax(V h_t)

The loss is the cross entropy, a mean over tokens, in nats. With tied weights V = E^T, after a
projection of h where it has another size than e.

Conventions:
    tokens.shape = (T, B)      ids of inputs, steps first; B sequences beside each other
    targets.shape = (T, B)     ids of the tokens that follow them
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skem.deep.modules import draws
from skem.deep.modules.recurrent import (
    Joins,
    Noise,
    Recurrent,
    State,
    locked_mask,
    teacher_forcing_at,
)
from skem.deep.modules.softmax import AdaptiveSoftmax, FullSoftmax

_LARGEST = 1 << 24  # numbers, of logits that are computed at once where no gradient is wanted


class _Drawn(NamedTuple):
    """What all dropouts have drawn for one segment."""

    tokens: Tensor | None
    recurrent: Noise
    outputs: Tensor | None


class LanguageModel(nn.Module):
    """A recurrent language model that computes its own loss.

    In training the state is carried from one segment to the next, without its gradient, until a
    segment is fresh or `train` or `eval` is called.

    Parameters
    ----------
    n_tokens : int
        V.
    embedding_dim : int
        Size of e.
    hidden_sizes : sequence of int
        Units of each recurrent layer.
    cell : {'rnn_tanh', 'rnn_relu', 'lstm', 'gru'}, default='lstm'
        See `Recurrent`.
    tie_weights : bool, default=True
        Whether V = E^T.
    cutoffs : sequence of int, default=()
        First ids of the clusters of an adaptive softmax, which has weights of its own.
    start : int, default=None
        Id of the token that opens a sequence; it is never replaced by a draw.
    dropout_embedding : float, default=0.0
        Chance that all occurrences of a token in a segment are fed as zeros.
    dropout_input, dropout_between, dropout_weights : float, default=0.0
        See `Recurrent`.
    dropout_output : float, default=0.0
        Locked dropout of what the last layer gives.
    activation_regularization : float, default=0.0
        Weight of the mean square of dropped outputs (AR).
    temporal_activation_regularization : float, default=0.0
        Weight of the mean square of the change of outputs from step to step (TAR).
    teacher_forcing : float, default=1.0
        Chance that the input of a step is the token of the data, and not what the model has drawn
        at the step before (scheduled sampling, Bengio et al. 2015).
    teacher_forcing_steps : int, default=0
        Batches over which that probability falls from 1.
    embedding_std : float, default=0.2
        Of the embedding before training. Larger ones learn characters faster.
    """

    step: Tensor
    parts = ("loss", "weight")

    def __init__(
        self,
        n_tokens: int,
        embedding_dim: int,
        hidden_sizes: Sequence[int],
        *,
        cell: str = "lstm",
        tie_weights: bool = True,
        cutoffs: Sequence[int] = (),
        start: int | None = None,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        dropout_between: float = 0.0,
        dropout_weights: float = 0.0,
        dropout_output: float = 0.0,
        activation_regularization: float = 0.0,
        temporal_activation_regularization: float = 0.0,
        teacher_forcing: float = 1.0,
        teacher_forcing_steps: int = 0,
        embedding_std: float = 0.2,
    ):
        super().__init__()
        self.n_tokens, self.start = n_tokens, start
        self.dropout_embedding, self.dropout_output = dropout_embedding, dropout_output
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization
        self.teacher_forcing = teacher_forcing
        self.teacher_forcing_steps = teacher_forcing_steps
        self.embedding = nn.Embedding(n_tokens, embedding_dim)
        nn.init.normal_(self.embedding.weight, std=embedding_std)
        self.recurrent = Recurrent(
            embedding_dim,
            hidden_sizes,
            cell=cell,
            dropout_input=dropout_input,
            dropout_between=dropout_between,
            dropout_weights=dropout_weights,
        )
        self._add_softmax(tie_weights, cutoffs)
        self.register_buffer("step", torch.zeros(()), persistent=False)
        self._forget()

    def _add_softmax(self, tie_weights: bool, cutoffs: Sequence[int]) -> None:
        size, embedding_dim = self.recurrent.output_size, self.embedding.embedding_dim
        tied = tie_weights and not cutoffs
        self.projection: nn.Module = nn.Identity()
        if tied and size != embedding_dim:
            self.projection = nn.Linear(size, embedding_dim, bias=False)
        self.softmax: FullSoftmax | AdaptiveSoftmax
        if cutoffs:
            self.softmax = AdaptiveSoftmax(size, self.n_tokens, cutoffs)
        elif tied:
            self.softmax = FullSoftmax(embedding_dim, self.n_tokens, self.embedding.weight)
        else:
            self.softmax = FullSoftmax(size, self.n_tokens)

    # ------------------------------------------------------------------ carried state
    def train(self, mode: bool = True) -> LanguageModel:
        self._forget()
        return super().train(mode)

    def _forget(self) -> None:
        self._state: State | None = None
        self._draw: Tensor | None = None

    def _carry(self, batch: int, fresh: bool) -> State:
        """State to start the segment from: of the first sequences, if others have ended."""
        if fresh:
            self._forget()
        if self._state is None:
            return self.recurrent.initial_state(batch)
        if self._draw is not None:
            self._draw = self._draw[:batch]
        return tuple(s[:, :batch].contiguous() for s in self._state)

    # ------------------------------------------------------------------ loss
    def forward(
        self,
        tokens: Tensor,
        targets: Tensor,
        weight: Tensor | None = None,
        fresh: bool = True,
        size: float | None = None,
        joins: Joins = (),
    ) -> tuple[Tensor, tuple]:
        """Loss of a segment, and sums over its tokens: of -log p, and of weights.

        Parameters
        ----------
        tokens, targets : Tensor of shape (T, B)
        weight : Tensor of shape (T, B), default=None
            Of each prediction, 0 where there is none; 1 if None.
        fresh : bool, default=True
            Whether sequences start here. Otherwise those of the segment before go on, as many of
            the first ones as this one has.
        size : float, default=None
            What the sum over tokens is divided by; the sum of weights if None. The same number for
            all segments gives each token the same share, whatever segment it is in.
        joins : sequence of (int, float), default=()
            See `Recurrent`.
        """
        state = self._carry(tokens.shape[1], fresh)
        drawn = self._draw_noise(tokens.shape[1])
        if self.training and self.teacher_forcing < 1:
            tokens = self.draw_inputs(tokens, state, drawn)
        outputs, state = self._outputs(tokens, state, drawn, joins)
        self._state = tuple(s.detach() for s in state)
        dropped = outputs if drawn.outputs is None else outputs * drawn.outputs
        h = self.projection(dropped.flatten(0, 1))
        each = None if weight is None else weight.flatten()
        nll = self.softmax.nll(h, targets.flatten(), each)
        count = tokens.numel() if weight is None else weight.sum()
        loss = nll / (count if size is None else size)
        if self.training:
            loss = self._regularized(loss, outputs, dropped, weight)
        return loss, (nll.detach(), count)

    def _regularized(
        self, loss: Tensor, outputs: Tensor, dropped: Tensor, weight: Tensor | None
    ) -> Tensor:
        """With AR and TAR, means over the steps that count and over units."""
        alpha, beta = self.activation_regularization, self.temporal_activation_regularization
        valid = None if weight is None else (weight > 0).to(outputs.dtype)
        if alpha:
            loss = loss + alpha * _mean_square(dropped, valid)
        if beta and len(outputs) > 1:
            change = outputs[1:] - outputs[:-1]
            loss = loss + beta * _mean_square(change, None if valid is None else valid[1:])
        return loss

    def _draw_noise(self, batch: int) -> _Drawn:
        if not self.training:
            return _Drawn(None, Noise(), None)
        like = self.embedding.weight
        tokens = locked_mask(self.dropout_embedding, self.n_tokens, 1, like)
        outputs = locked_mask(self.dropout_output, batch, self.recurrent.output_size, like)
        return _Drawn(tokens, self.recurrent.draw_noise(batch), outputs)

    def _outputs(
        self, tokens: Tensor, state: State | None, drawn: _Drawn, joins: Joins = ()
    ) -> tuple[Tensor, State]:
        e = self.embedding(tokens)
        if drawn.tokens is not None:
            e = e * drawn.tokens[0][tokens]
        return self.recurrent(e, state, noise=drawn.recurrent, joins=joins)

    # ------------------------------------------------------------------ scheduled sampling
    @property
    def current_teacher_forcing(self) -> float | Tensor:
        """Chance of a token of the data now."""
        return teacher_forcing_at(self.step, self.teacher_forcing, self.teacher_forcing_steps)

    @torch.no_grad()
    def draw_inputs(self, tokens: Tensor, state: State, drawn: _Drawn) -> Tensor:
        """Inputs of a segment: tokens of the data, or what the model draws at the step before.

        The first one of a sequence and ``start`` are always of the data.
        """
        given = draws.uniform(tuple(tokens.shape), tokens.device) < self.current_teacher_forcing
        if self.start is not None:
            given |= tokens == self.start
        if self._draw is None:
            given[0] = True
            self._draw = tokens[0]
        fed = tokens.clone()
        for t in range(len(tokens)):
            fed[t] = torch.where(given[t], tokens[t], self._draw)
            outputs, state = self._outputs(fed[t : t + 1], state, drawn)
            h = outputs if drawn.outputs is None else outputs * drawn.outputs
            chances = self.softmax.log_prob(self.projection(h[0])).exp()
            self._draw = draws.choice(chances)
        return fed

    # ------------------------------------------------------------------ use
    def encode(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs of the last layer at all steps, (T, B, H), and the state after the last."""
        return self._outputs(tokens, state, self._draw_noise(tokens.shape[1]))

    def log_prob_steps(
        self, tokens: Tensor, targets: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Log p of each target given the tokens up to its step, (T, B), and the last state."""
        outputs, state = self.encode(tokens, state)
        rows, ids = outputs.flatten(0, 1), targets.flatten()
        n = len(rows) if self.training else max(_LARGEST // self.n_tokens, 1)
        log_p = [
            self.softmax.log_prob_of(self.projection(h), y)
            for h, y in zip(rows.split(n), ids.split(n), strict=True)
        ]
        return torch.cat(log_p).view_as(targets), state

    def next_log_probs(self, state: State) -> Tensor:
        """Log p of all tokens as the next one, (B, V), after the tokens that led to the state."""
        return self.softmax.log_prob(self.projection(self.recurrent.top(state)))

    def advance(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read one more token of each sequence, (B,): `next_log_probs`, and the state."""
        state = self.encode(token[None], state)[1]
        return self.next_log_probs(state), state


def _mean_square(x: Tensor, valid: Tensor | None) -> Tensor:
    """Over steps (T, B), of x (T, B, H), and units; of the valid steps, if told."""
    if valid is None:
        return x.square().mean()
    return valid.flatten() @ x.square().mean(2).flatten() / valid.sum().clamp(min=1)
