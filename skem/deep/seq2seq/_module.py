"""How the module of an encoder–decoder begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skem.deep.modules.decoder import (
    Attention,
    ContextFeeding,
    FixedContext,
    InputFeeding,
    PreviousState,
)
from skem.deep.modules.encoder_decoder import EncoderDecoder
from skem.deep.modules.recurrent import Recurrent
from skem.deep.modules.sequence import Embedding
from skem.deep.recurrent._lm_module import logits_of_frequencies
from skem.deep.sequences._text import Vocabulary

ATTENTIONS = ("dot", "bilinear")

FEEDING: dict[str | None, type[FixedContext]] = {
    "context": ContextFeeding,
    "state": InputFeeding,
    None: PreviousState,
}


def make_member(model: Any, source: Vocabulary, target: Vocabulary) -> EncoderDecoder:
    """One encoder–decoder by the parameters of an `RNNSeq2Seq`, with new weights."""
    size, width = model.hidden_size, model.embedding_dim
    tables = _tables(model, source, target)
    encoder = Recurrent(
        width,
        [size // (1 + model.bidirectional)] * model.n_layers,
        cell=model.cell,
        bidirectional=model.bidirectional,
        dropout_input=model.dropout_input,
        dropout_between=model.dropout_hidden,
        dropout_weights=model.dropout_weights,
    )
    attention, kind = None, FixedContext
    if model.attention is not None:
        attention = Attention(encoder.output_size, size, model.attention == "bilinear")
        kind = FEEDING[model.input_feeding]
    member = EncoderDecoder(
        tables[0],
        encoder,
        tables[1],
        kind(
            width,
            encoder.output_size,
            size,
            model.n_layers,
            model.cell,
            attention,
            model.dropout_hidden,
        ),
        bridge=kind not in (FixedContext, PreviousState),
        tied=model.tie_weights,
        dropout=model.dropout,
        dropout_input=model.dropout_input,
        label_smoothing=model.label_smoothing,
        teacher_forcing=model.teacher_forcing,
        teacher_forcing_steps=model.teacher_forcing_steps,
    )
    member.bias.data.copy_(logits_of_frequencies(target))
    return member


def _tables(model: Any, source: Vocabulary, target: Vocabulary) -> tuple[Embedding, Embedding]:
    """Vectors of the tokens of x, and of those of y and the start; one table if they share it."""
    width, start = model.embedding_dim, target.size
    of_y = Embedding(torch.as_tensor(np.append(target.counts_, 0)), width, start)
    counts = source.counts_
    if model.share_vocabulary:
        counts = np.append(counts, 0)  # the start of y
    of_x = Embedding(
        torch.as_tensor(counts),
        width,
        source.id_of("<unk>"),
        word_dropout=model.word_dropout,
        dropout=model.dropout_embedding,
    )
    if model.share_vocabulary:
        of_y.vectors = of_x.vectors
    return of_x, of_y
