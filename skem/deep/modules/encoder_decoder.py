r"""Encoder and decoder: p(y | x) is the product over t of p(y_t | y_<t, x).

Recurrent layers of one direction or of both make states of the tokens of x, and a decoder (see
`decoder`) goes through y, its end included, and gives each next token its chance. Its first state
is the encoder's last one, h_S, in each layer (and zero for each c of an LSTM), as in Jurafsky and
Martin; or a learned function of it, tanh(A h_S + a), for each layer and each c.

Trained is the (weighted) mean of -log p(y_t | y_<t, x) over tokens, by teacher forcing: y_<t are
those of the data. With scheduled sampling (Bengio et al. 2015) some of them are drawn from the
model instead.

Conventions:
    tokens.shape = (S, B)           of x, sequences beside each other; see `sequence.Tokens`
    inputs.shape = (T, B)           start, y_1 ... y_{T-1}; targets are y_1 ... y_T, y_T the end

Ids of y are 0 to V - 1, which compete in the softmax. The start is never predicted; its id is V.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from skem.deep.modules import draws
from skem.deep.modules.decoder import FixedContext, Memory
from skem.deep.modules.recurrent import Recurrent, State, locked_mask, teacher_forcing_at
from skem.deep.modules.sequence import Embedding, Tokens


class EncoderDecoder(nn.Module):
    """Chances of the tokens of y, given x.

    Parameters
    ----------
    embedding : Embedding
        Of the tokens of x.
    encoder : Recurrent
    target_embedding : Embedding
        Of the V tokens of y and the start.
    decoder : FixedContext
        Or one of its kind.
    bridge : bool, default=True
        Whether the first state of the decoder is the learned function; without it, sizes of states
        of encoder and decoder are equal.
    tied : bool, default=False
        Whether the matrix of the softmax is the table of ``target_embedding``, after a projection
        where its vectors do not have the size of the decoder's features.
    dropout : float, default=0.0
        Of the states of the encoder and of what the next token is predicted from, locked.
    dropout_input : float, default=0.0
        Of the vectors of y, locked.
    label_smoothing : float, default=0.0
        Share of each target that is spread over all tokens, in the loss that is trained.
    teacher_forcing : float, default=1.0
        Chance in training that an input of the decoder is the true token, from
        ``teacher_forcing_steps`` on.
    teacher_forcing_steps : int, default=0
        Batches in which that chance falls from 1.
    """

    step: Tensor
    parts = ("loss", "accuracy", "weight")

    def __init__(
        self,
        embedding: Embedding,
        encoder: Recurrent,
        target_embedding: Embedding,
        decoder: FixedContext,
        *,
        bridge: bool = True,
        tied: bool = False,
        dropout: float = 0.0,
        dropout_input: float = 0.0,
        label_smoothing: float = 0.0,
        teacher_forcing: float = 1.0,
        teacher_forcing_steps: int = 0,
    ):
        super().__init__()
        self.embedding, self.encoder = embedding, encoder
        self.target_embedding, self.decoder = target_embedding, decoder
        self.start, size = target_embedding.vectors.num_embeddings - 1, decoder.cells.size
        self.bridge = nn.Linear(encoder.output_size, self._n_states * size) if bridge else None
        self.output = None if tied else nn.Linear(size, self.start, bias=False)
        width = target_embedding.vectors.embedding_dim
        projected = tied and width != size
        self.projection = nn.Linear(size, width, bias=False) if projected else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(self.start))
        self.dropout, self.dropout_input = dropout, dropout_input
        self.label_smoothing = label_smoothing
        self.teacher_forcing, self.teacher_forcing_steps = teacher_forcing, teacher_forcing_steps
        self.register_buffer("step", torch.zeros(()), persistent=False)

    # ------------------------------------------------------------------ x
    def encode(self, x: Tokens) -> tuple[Memory, State]:
        """What the decoder knows of x, and its first state."""
        outputs, _ = self.encoder(self.embedding(x.ids), lengths=x.lengths)
        last = self.encoder.last_outputs(outputs, x.lengths)
        first = self._first_state(last)
        outputs = self._dropped(outputs, self.dropout)
        states = outputs.transpose(0, 1)
        hidden = ~x.valid().T[:, None]
        return Memory(last, states, self.decoder.keys(states), hidden), first

    def _first_state(self, last: Tensor) -> State:
        if self.bridge is not None:
            return self.bridge(last).tanh().chunk(self._n_states, dim=1)
        own = (last, torch.zeros_like(last))[: self.decoder.cells.n_states]
        return own * self.decoder.cells.n_layers

    @property
    def _n_states(self) -> int:
        return self.decoder.cells.n_states * self.decoder.cells.n_layers

    def _dropped(self, x: Tensor, rate: float) -> Tensor:
        """Of steps (T, B, D): one mask for all."""
        mask = locked_mask(rate, x.shape[1], x.shape[2], x) if self.training else None
        return x if mask is None else x * mask

    # ------------------------------------------------------------------ y
    def logits(self, features: Tensor) -> Tensor:
        """Of the V tokens, (..., V), from features (..., D)."""
        if self.output is None:
            weight = self.target_embedding.vectors.weight[: self.start]
        else:
            weight = self.output.weight
        return functional.linear(self.projection(features), weight, self.bias)

    def log_chances(self, features: Tensor) -> Tensor:
        """Log p of the V tokens, (..., V), in float32 at least."""
        return _wide(self.logits(features)).log_softmax(-1)

    def features(self, x: Tokens, inputs: Tensor) -> Tensor:
        """What each next token is predicted from, (T, B, D)."""
        memory, state = self.encode(x)
        feed = self.decoder.first_feed(state, memory)
        noise = self.decoder.cells.draw_noise(memory.last)
        mask = self._mask_of_inputs(inputs)
        vectors, truth = self._vectors(inputs, mask), self._truth(inputs)
        found: list[Tensor] = []
        for t, e in enumerate(vectors):
            if t and truth is not None:
                e = torch.where(truth[t][:, None], e, self._own_vectors(found[-1], mask))
            features, feed, state, _ = self.decoder.step(e, feed, state, memory, noise)
            found.append(features)
        return self._dropped(torch.stack(found), self.dropout)

    def _mask_of_inputs(self, inputs: Tensor) -> Tensor | None:
        """Of the vectors of y: one for all steps, also of tokens that are drawn."""
        table = self.target_embedding.vectors.weight
        if not self.training:
            return None
        return locked_mask(self.dropout_input, inputs.shape[1], table.shape[1], table)

    def _vectors(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        vectors = self.target_embedding(inputs)
        return vectors if mask is None else vectors * mask

    def _own_vectors(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """Vectors of tokens that the model draws, (B, E)."""
        with torch.no_grad():
            ids = draws.choice(self.log_chances(features).exp())
        return self._vectors(ids[None], mask)[0]

    def _truth(self, inputs: Tensor) -> Tensor | None:
        """Which inputs are those of the data, (T, B); None if all."""
        if not self.training or self.teacher_forcing == 1:
            return None
        chance = teacher_forcing_at(self.step, self.teacher_forcing, self.teacher_forcing_steps)
        return draws.uniform(tuple(inputs.shape), inputs.device) < chance

    def log_prob(self, x: Tokens, inputs: Tensor, targets: Tensor) -> Tensor:
        """Log p(y_t | y_<t, x) of each step, (T, B), in nats."""
        logits = _wide(self.logits(self.features(x, inputs)))
        flat = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return -flat.view_as(targets)

    # ------------------------------------------------------------------ loss
    def forward(
        self,
        x: Tokens,
        y: Tokens,
        targets: Tensor,
        weight: Tensor | None,
        size: float,
    ) -> tuple[Tensor, tuple]:
        """Loss of a batch through ``size``, and sums over the tokens of y.

        Parameters
        ----------
        x, y : Tokens
            The latter are the inputs of the decoder.
        targets : Tensor of shape (T, B)
        weight : Tensor of shape (B,) or None
            Of the sequences.
        size : float
            Mean weight of the tokens of a batch.
        """
        there = y.valid()
        logits = _wide(self.logits(self.features(x, y.ids)[there]))
        wanted = targets[there]
        share = self.label_smoothing if self.training else 0.0
        loss = functional.cross_entropy(logits, wanted, reduction="none", label_smoothing=share)
        nll = loss.detach()
        if share:
            nll = functional.cross_entropy(logits.detach(), wanted, reduction="none")
        hits = (logits.detach().argmax(1) == wanted).float()
        total: Tensor | int = len(wanted)
        if weight is not None:
            each = weight.expand_as(there)[there]
            loss, nll, hits, total = loss * each, nll * each, hits * each, each.sum()
        return loss.sum() / size, (nll.sum(), hits.sum(), total)


def _wide(logits: Tensor) -> Tensor:
    """Float32 at least, also with mixed precision."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
