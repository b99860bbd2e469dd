r"""Classes of sequences, and tags of their tokens, from recurrent layers.

A sequence of tokens x_1 ... x_T becomes vectors e_t (embeddings, and what is read off the letters
of a word), from which recurrent layers make states h_t:

    classifier      logits = W pool(h_1 ... h_T) + b,   pool: the last states, or their mean
    tagger          logits_t = W h_t + b

Conventions:
    tokens.shape = (T, B)           sequences beside each other; after its end a sequence has any id
    lengths.shape = (B,)            steps of each, at least one
    letters.shape = (L, U)          of the U different words of a batch; ``letter_lengths`` (U,)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from skem.deep.modules import draws
from skem.deep.modules.recurrent import Recurrent, locked_mask

POOLINGS = ("last", "mean")
CHARACTERS = ("cnn", "rnn")

_WIDTH = 3  # letters that a filter sees


class Tokens(NamedTuple):
    """A batch of sequences."""

    ids: Tensor  # (T, B)
    lengths: Tensor  # (B,)

    def valid(self) -> Tensor:
        """Which steps there are, (T, B)."""
        steps = torch.arange(len(self.ids), device=self.ids.device)
        return steps[:, None] < self.lengths


class Letters(NamedTuple):
    """The letters of the words of a batch, each different word once."""

    ids: Tensor  # (L, U)
    lengths: Tensor  # (U,)
    word: Tensor  # (T, B): number of the word at each step


class Embedding(nn.Module):
    """Vectors of tokens, of which rare ones are read as unknown now and then in training.

    Parameters
    ----------
    counts : Tensor of shape (n_tokens,)
        How often each token is in the training documents.
    size : int
        Numbers of each vector.
    unknown : int
        Id of the unknown token.
    word_dropout : float, default=0.0
        A token of count f is read as unknown with chance a / (a + f), a being this (Kiperwasser
        and Goldberg 2016).
    dropout : float, default=0.0
        Chance that a token of the vocabulary is dropped from a batch.
    """

    chance: Tensor

    def __init__(
        self,
        counts: Tensor,
        size: int,
        unknown: int,
        *,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        std: float = 0.2,
    ):
        super().__init__()
        self.unknown, self.word_dropout, self.dropout = unknown, word_dropout, dropout
        self.vectors = nn.Embedding(len(counts), size)
        nn.init.normal_(self.vectors.weight, std=std)
        nn.init.zeros_(self.vectors.weight[unknown])
        chance = word_dropout / (word_dropout + counts.float().clamp(min=1))
        chance[unknown] = 0
        self.register_buffer("chance", chance, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        if not self.training:
            return self.vectors(ids)
        if self.word_dropout:
            dropped = draws.uniform(tuple(ids.shape), ids.device) < self.chance[ids]
            ids = ids.masked_fill(dropped, self.unknown)
        e = self.vectors(ids)
        weight = self.vectors.weight
        kept = locked_mask(self.dropout, len(weight), 1, weight)
        return e if kept is None else e * kept[0][ids]


class WordCNN(nn.Module):
    """What filters over the letters of a word find: the largest answer of each.

    Parameters
    ----------
    n_letters, embedding_dim, size : int
        Different letters, size of their vectors, number of filters.
    """

    def __init__(self, n_letters: int, embedding_dim: int, size: int):
        super().__init__()
        self.output_size = size
        self.vectors = nn.Embedding(n_letters, embedding_dim)
        self.filters = nn.Linear(_WIDTH * embedding_dim, size)

    def forward(self, letters: Letters) -> Tensor:
        """Features of each word, (U, size)."""
        e = self.vectors(letters.ids)
        steps = torch.arange(len(e), device=e.device)[:, None]
        e = e * (steps < letters.lengths)[:, :, None]
        e = functional.pad(e, (0, 0, 0, 0, _WIDTH // 2, _WIDTH // 2))
        windows = torch.cat([e[i : len(e) - _WIDTH + 1 + i] for i in range(_WIDTH)], dim=2)
        found = self.filters(windows).masked_fill(
            (steps >= letters.lengths)[:, :, None], -torch.inf
        )
        return found.amax(0).tanh()


class WordRNN(nn.Module):
    """The states of a bidirectional LSTM at both ends of a word.

    Parameters
    ----------
    n_letters, embedding_dim, size : int
        Different letters, size of their vectors, of the features (even).
    """

    def __init__(self, n_letters: int, embedding_dim: int, size: int):
        super().__init__()
        self.vectors = nn.Embedding(n_letters, embedding_dim)
        self.recurrent = Recurrent(embedding_dim, [-(-size // 2)], bidirectional=True)
        self.output_size = self.recurrent.output_size

    def forward(self, letters: Letters) -> Tensor:
        """Features of each word, (U, size)."""
        outputs, _ = self.recurrent(self.vectors(letters.ids), lengths=letters.lengths)
        return self.recurrent.last_outputs(outputs, letters.lengths)


class SequenceClassifier(nn.Module):
    """Logits of the class of each sequence.

    Parameters
    ----------
    embedding : Embedding
    recurrent : Recurrent
    n_classes : int
    pooling : {'last', 'mean'}
        Of the states; 'last' of the backward direction is that at the first token.
    dropout : float, default=0.0
        Of what is pooled.
    """

    parts = ("loss", "accuracy", "weight")

    def __init__(
        self,
        embedding: Embedding,
        recurrent: Recurrent,
        n_classes: int,
        pooling: str,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.embedding, self.recurrent = embedding, recurrent
        self.pooling, self.dropout = pooling, dropout
        self.output = nn.Linear(recurrent.output_size, n_classes)
        nn.init.zeros_(self.output.bias)

    def logits(self, tokens: Tokens, letters: None = None) -> Tensor:
        """(B, K)."""
        outputs, _ = self.recurrent(self.embedding(tokens.ids), lengths=tokens.lengths)
        if self.pooling == "mean":
            pooled = outputs.sum(0) / tokens.lengths[:, None]
        else:
            pooled = self.recurrent.last_outputs(outputs, tokens.lengths)
        return self.output(draws.dropout(pooled, self.dropout, self.training))

    def forward(
        self,
        tokens: Tokens,
        letters: None,
        targets: Tensor,
        weight: Tensor | None,
        size: float,
    ) -> tuple[Tensor, tuple]:
        """Weighted cross-entropy of a batch through ``size``, and sums over its sequences."""
        return _cross_entropy(self.logits(tokens), targets, weight, size)


class SequenceTagger(nn.Module):
    """Logits of the tag of each token.

    Parameters
    ----------
    embedding : Embedding
    characters : WordCNN, WordRNN or None
    recurrent : Recurrent
    n_tags : int
    dropout : float, default=0.0
        Of states, locked: one mask for all steps.
    """

    parts = ("loss", "accuracy", "weight")

    def __init__(
        self,
        embedding: Embedding,
        characters: WordCNN | WordRNN | None,
        recurrent: Recurrent,
        n_tags: int,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.embedding, self.characters, self.recurrent = embedding, characters, recurrent
        self.dropout = dropout
        self.output = nn.Linear(recurrent.output_size, n_tags)
        nn.init.zeros_(self.output.bias)

    def logits(self, tokens: Tokens, letters: Letters | None) -> Tensor:
        """Of the steps that there are, sequence by sequence within each step, (n_tokens, K)."""
        e = self.embedding(tokens.ids)
        if self.characters is not None:
            if letters is None:
                raise ValueError("A tagger with characters needs the letters of the words.")
            features = self.characters(letters)
            e = torch.cat([e, functional.embedding(letters.word, features)], dim=2)
        outputs, _ = self.recurrent(e, lengths=tokens.lengths)
        if self.training:
            mask = locked_mask(self.dropout, outputs.shape[1], outputs.shape[2], outputs)
            outputs = outputs if mask is None else outputs * mask
        return self.output(outputs[tokens.valid()])

    def forward(
        self,
        tokens: Tokens,
        letters: Letters | None,
        targets: Tensor,
        weight: Tensor | None,
        size: float,
    ) -> tuple[Tensor, tuple]:
        """Weighted cross-entropy of a batch through ``size``, and sums over its tokens."""
        return _cross_entropy(self.logits(tokens, letters), targets, weight, size)


def _cross_entropy(
    logits: Tensor, targets: Tensor, weight: Tensor | None, size: float
) -> tuple[Tensor, tuple]:
    logits = logits.float()
    losses = functional.cross_entropy(logits, targets, reduction="none")
    hits = (logits.detach().argmax(1) == targets).float()
    if weight is None:
        total: Tensor | int = len(targets)
    else:
        losses, hits, total = losses * weight, hits * weight, weight.sum()
    loss = losses.sum()
    return loss / size, (loss.detach(), hits.sum(), total)
