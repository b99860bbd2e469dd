"""The recurrent language model as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skem._callbacks import with_callbacks
from skem._sklearn import Interval, StrOptions, fit_context
from skem.deep.modules.language_model import LanguageModel
from skem.deep.recurrent._base import RECURRENT
from skem.deep.recurrent._lm_generate import LanguageModelGenerateMixin
from skem.deep.recurrent._lm_module import cutoffs_of, start_at_frequencies
from skem.deep.recurrent._lm_optimizers import OPTIMIZERS
from skem.deep.sequences._segments import TRUNCATIONS, NextTokens, Segments
from skem.deep.sequences._spelling import Spelling, learn_spelling
from skem.deep.sequences._split import split
from skem.deep.sequences._text import Documents, Sequences, Vocabulary, check_lengths
from skem.deep.training._base import GOES_ON, TRAINING, WAY_OUT, Plan, size_of_batches
from skem.deep.training._nt_asgd import StartAveraging

_SIZES = 8, 64
"""Least and greatest number of columns of a batch of size 'auto'."""


class TrainingTexts(NamedTuple):
    """Documents of a fit as sequences, and what their ids mean."""

    sequences: Sequences
    valid: Sequences | None  # that the user gave
    vocabulary: Vocabulary
    spelling: Spelling | None


class RNNLanguageModel(LanguageModelGenerateMixin, BaseEstimator):
    r"""Recurrent language model: probabilities of sequences, token by token.

    .. math:: p(x_1 \ldots x_T) = \prod_t p(x_t | x_1 \ldots x_{t-1}), \qquad
        p(x_{t+1} | x_1 \ldots x_t) = \mathrm{softmax}(V h_t), \quad
        h_t = \mathrm{cell}(E x_t, h_{t-1}),

    trained to raise the mean of :math:`\log p` over tokens. Each document begins after a start
    token; documents of different lengths have an end token, whose probability makes this a
    distribution over sequences of all lengths.

    Parameters
    ----------
    cell : {'lstm', 'gru', 'rnn_tanh', 'rnn_relu'}, default='lstm'
        Recurrent layers.
    embedding_dim : int, default=None
        Size of the vectors of tokens; that of the last layer if None.
    hidden_size : int or sequence of int, default=256
        Units of each layer.
    n_layers : int, default=1
        How many.
    tie_weights : bool, default=True
        Whether V and E are one matrix (with a projection between, where sizes differ).
    cutoffs : 'auto', sequence of int or None, default='auto'
        Adaptive softmax: ranks of frequency at which clusters of rarer tokens begin. 'auto' has two
        clusters from 50 000 tokens on. Weights are then not tied.
    tokenizer : {'char', 'word'} or callable or None, default='char'
        How strings are split. Punctuation marks are tokens too, and each Han character is a word.
        None refuses strings. Documents that are lists of tokens are taken as they are.
    min_frequency : int, default=1
        Tokens that occur less often become the unknown token.
    max_vocabulary : int, default=None
        Maximum number of tokens; the most frequent ones are kept.
    unknown_token : bool, default=True
        Whether there is a token that stands for those that are not in the vocabulary.
    unknown_score : {'spelling', 'symbol'}, default='spelling'
        What scores say of strings that are not in the vocabulary. 'spelling': the probability of
        the unknown token times that of the string among all unknown ones (``spelling_``).
        'symbol': the former alone, as perplexities with a fixed vocabulary are usually reported.
        Training is the same, and ``history_`` is of the latter.
    end_token : bool or 'auto', default='auto'
        Whether the end of a document is predicted. 'auto': if documents of the fit have different
        lengths.
    dropout : float, default=0.0
        Of what the last layer gives (locked: one mask for all steps of a segment).
    dropout_embedding : float, default=0.0
        Of whole tokens.
    dropout_input, dropout_hidden : float, default=0.0
        Locked, of what the first layer gets, and between layers.
    dropout_weights : float, default=0.0
        Of the recurrent weights (DropConnect).
    activation_regularization, temporal_activation_regularization : float, default=0.0
        Weights of the mean squares of states, and of their changes from step to step.
    bptt : int, default=64
        Steps through which gradients go back.
    truncation : {'fixed', 'random', 'none'}, default='fixed'
        Where backpropagation ends: after at most ``bptt`` steps, while the state is carried on;
        after a random number of steps with this mean, with weights that leave the expected gradient
        the same as without truncation; or only at the beginnings of documents.
    teacher_forcing : float, default=1.0
        Probability that an input is the token of the data; otherwise it is drawn from the model.
    teacher_forcing_steps : int, default=0
        Batches over which that probability falls from 1.
    representation : {'last', 'mean'}, default='last'
        What `transform` gives.
    optimizer : {'adam', 'nt-asgd'}, default='adam'
        'nt-asgd' is gradient descent with a constant learning rate; its weights are averaged as
        soon as the (validation) loss exceeds the lowest one of the epochs before the last
        ``averaging_patience``.
    averaging_patience : int, default=5
        See above.
    learning_rate : float or 'auto', default='auto'
        'auto' is 0.006 with 'adam' and 30 with 'nt-asgd'.
    learning_rate_schedule : {'cosine', 'constant'}, default='cosine'
        Of 'adam': 'cosine' falls to 0 over ``max_epochs``.
    weight_decay : float, default=0.0
        Above 0 Adam is AdamW.
    gradient_clip : float, default=1.0
        Largest norm of the gradient.
    batch_size : int or 'auto', default='auto'
        Sequences, or columns of one long text, that are read beside each other; 'auto' is from 8
        to 64, by the number of tokens.
    max_epochs : int, default=20
        Maximum number of passes over all documents.
    early_stopping : bool, default=False
        Hold ``validation_fraction`` of the documents (of one long document its last part) out, stop
        when their loss has not fallen for ``patience`` epochs, and take the best weights.
    validation_fraction : float, default=0.1
        Share of the data that early stopping holds out.
    patience : int, default=5
        Epochs without improvement after which early stopping ends the fit.
    warm_start : bool, default=False
        Go on from the weights and the vocabulary of the last fit, with the parameters that its
        model had.
    device : str, default='auto'
        Where to train: 'cpu', 'cuda', 'cuda:1'; 'auto' is CUDA where there is one. Set after
        a fit, it is where the model goes for what comes next.
    precision : {'float32', 'bfloat16', 'float16'}, default='float32'
        Mixed precision on CUDA.
    compile : bool, default=False
        Compile the module (``torch.compile``).
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches and draws. torch's global state is not changed.
    callbacks : list, default=None
        Callbacks of skorch. An `LRScheduler` among them takes the place of learning_rate_schedule.
    verbose : int, default=0
        1 prints a line each epoch.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Tokens and their ids; ``vocabulary_.tokens_`` lists them.
    spelling_ : Spelling or None
        ``spelling_.log_prob(strings)`` is the log-probability, in nats, of each string among those
        that are not in the vocabulary: a bigram model of the letters of tokens that became unknown,
        or of the rarest ones if none did. None without an unknown token, and for integers.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list of dict
        For each epoch the mean loss of a token, in nats: 'train_loss', 'valid_loss'.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
        Columns, if X was a 2-D array.
    feature_names_in_ : ndarray of shape (n_features,)

    References
    ----------
    .. [1] Mikolov et al. (2010). Recurrent neural network based language model. Interspeech.
    .. [2] Hochreiter and Schmidhuber (1997). Long short-term memory. Neural Computation 9.
    .. [3] Merity, Keskar and Socher (2018). Regularizing and Optimizing LSTM Language Models. ICLR.
    .. [4] Tallec and Ollivier (2017). Unbiasing Truncated Backpropagation Through Time.
    .. [5] Grave et al. (2017). Efficient softmax approximation for GPUs. ICML.
    .. [6] Bengio et al. (2015). Scheduled Sampling for Sequence Prediction. NIPS.

    Examples
    --------
    >>> from skem import RNNLanguageModel
    >>> text = "the cat sat on the mat. " * 50
    >>> lm = RNNLanguageModel(hidden_size=32, learning_rate=0.02, random_state=0).fit(text)
    >>> lm.generate("the cat", 13, top_k=1)
    ' sat on the m'
    """

    _parameter_constraints: dict = {
        **RECURRENT,
        **TRAINING,
        "embedding_dim": [Interval(Integral, 1, None, closed="left"), None],
        "tie_weights": ["boolean"],
        "cutoffs": [StrOptions({"auto"}), "array-like", None],
        "unknown_token": ["boolean"],
        "unknown_score": [StrOptions({"spelling", "symbol"})],
        "end_token": ["boolean", StrOptions({"auto"})],
        "activation_regularization": [Interval(Real, 0, None, closed="left")],
        "temporal_activation_regularization": [Interval(Real, 0, None, closed="left")],
        "bptt": [Interval(Integral, 1, None, closed="left")],
        "truncation": [StrOptions(set(TRUNCATIONS))],
        "teacher_forcing": [Interval(Real, 0, 1, closed="both")],
        "teacher_forcing_steps": [Interval(Integral, 0, None, closed="left")],
        "representation": [StrOptions({"last", "mean"})],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "averaging_patience": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [*TRAINING["learning_rate"], StrOptions({"auto"})],
    }

    _defining: tuple[str, ...] = (
        *LanguageModelGenerateMixin._defining,
        *("tie_weights", "cutoffs", "unknown_token", "end_token"),
    )

    def __init__(
        self,
        *,
        cell: str = "lstm",
        embedding_dim: int | None = None,
        hidden_size: int | Sequence[int] = 256,
        n_layers: int = 1,
        tie_weights: bool = True,
        cutoffs: str | Sequence[int] | None = "auto",
        tokenizer: str | Callable[[str], list[str]] | None = "char",
        min_frequency: int = 1,
        max_vocabulary: int | None = None,
        unknown_token: bool = True,
        unknown_score: str = "spelling",
        end_token: bool | str = "auto",
        dropout: float = 0.0,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        dropout_hidden: float = 0.0,
        dropout_weights: float = 0.0,
        activation_regularization: float = 0.0,
        temporal_activation_regularization: float = 0.0,
        bptt: int = 64,
        truncation: str = "fixed",
        teacher_forcing: float = 1.0,
        teacher_forcing_steps: int = 0,
        representation: str = "last",
        optimizer: str = "adam",
        averaging_patience: int = 5,
        learning_rate: float | str = "auto",
        learning_rate_schedule: str = "cosine",
        weight_decay: float = 0.0,
        gradient_clip: float | None = 1.0,
        batch_size: int | str = "auto",
        max_epochs: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        warm_start: bool = False,
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        random_state: Any = None,
        callbacks: list | None = None,
        verbose: int = 0,
    ):
        self.cell = cell
        self.embedding_dim = embedding_dim
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.tie_weights = tie_weights
        self.cutoffs = cutoffs
        self.tokenizer = tokenizer
        self.min_frequency = min_frequency
        self.max_vocabulary = max_vocabulary
        self.unknown_token = unknown_token
        self.unknown_score = unknown_score
        self.end_token = end_token
        self.dropout = dropout
        self.dropout_embedding = dropout_embedding
        self.dropout_input = dropout_input
        self.dropout_hidden = dropout_hidden
        self.dropout_weights = dropout_weights
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization
        self.bptt = bptt
        self.truncation = truncation
        self.teacher_forcing = teacher_forcing
        self.teacher_forcing_steps = teacher_forcing_steps
        self.representation = representation
        self.optimizer = optimizer
        self.averaging_patience = averaging_patience
        self.learning_rate = learning_rate  # type: ignore[assignment]
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.callbacks = callbacks
        self.verbose = verbose

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> RNNLanguageModel:
        """Learn the vocabulary, and train the model.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            One long text; strings; lists of tokens, which are strings or integers; or integers,
            where rows are sequences: negative ones at the end of a row are padding, elsewhere
            unknown tokens.
        y : Ignored
            Not used, present for API consistency by convention.
        X_val : of the kind of X, default=None
            Documents for 'valid_loss', and for early stopping, which then holds none out.

        Returns
        -------
        self : RNNLanguageModel

        Raises
        ------
        ValueError
            If documents or parameters do not fit each other; the estimator is left unchanged.
        FloatingPointError
            If the loss is not finite in the first epoch.

        Warns
        -----
        ConvergenceWarning
            If the loss becomes NaN or infinite later; the last weights with a finite loss are kept.
        """
        self._fit_network(X, X_val=X_val)
        return self

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> RNNLanguageModel:
        """Train for one epoch, with a constant learning rate.

        The vocabulary is that of the first call, or of `fit`; ``history_`` grows.

        Parameters
        ----------
        X : str, sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : RNNLanguageModel

        Raises
        ------
        ValueError
            If a parameter that defines the model was another one in the call before, or documents
            and parameters do not fit each other; the estimator is left unchanged.
        """
        self._fit_network(X, partial=True)
        return self

    # ------------------------------------------------------------------ what a fit is made of
    def _training_data(self, X: Any, y: Any, *, goes_on: bool, X_val: Any = None) -> TrainingTexts:
        self._check_parameters()
        texts = self._read_documents(X, reset=not goes_on or not hasattr(self, "n_features_in_"))
        if goes_on:
            vocabulary, spelling = self.vocabulary_, self.spelling_
        else:
            vocabulary = self._learn_vocabulary(
                texts, start=True, end=self._has_end(texts), unknown=self.unknown_token
            )
            spelling = learn_spelling(texts, vocabulary)
        sequences, valid = vocabulary.compact(texts), None
        check_lengths(sequences, 2 if vocabulary.end is None else 0)
        if X_val is not None:
            documents = self._read_documents(X_val, reset=False, name="X_val")
            valid = vocabulary.compact(documents, name="X_val")
            check_lengths(valid, 1 if vocabulary.end is None else 0, "X_val")
        return TrainingTexts(sequences, valid, vocabulary, spelling)

    def _check_parameters(self) -> None:
        """Refuse parameters that do not fit each other."""
        self._hidden_sizes()
        if self.truncation == "random" and self.bptt < 2:
            raise ValueError("truncation='random' needs bptt of at least 2, its mean length.")
        if self.teacher_forcing_steps and self.teacher_forcing == 1:
            raise ValueError(
                "teacher_forcing_steps is the fall of teacher_forcing from 1, and this is 1. Set "
                "teacher_forcing below 1, or teacher_forcing_steps=0."
            )

    def _has_end(self, texts: Documents) -> bool:
        """Documents of different lengths have an end to be predicted."""
        if self.end_token != "auto":
            return bool(self.end_token)
        return len(np.unique(texts.sequences.lengths)) > 1

    def _datasets(self, data: TrainingTexts, plan: Plan) -> tuple[NextTokens, NextTokens | None]:
        train, valid = data.sequences, data.valid
        if valid is None and plan.holds_out:
            train, valid = split(train, self.validation_fraction)
        own = self._next_tokens(train, data.vocabulary)
        return own, None if valid is None else self._next_tokens(valid, data.vocabulary)

    def _make_module(self, data: TrainingTexts) -> LanguageModel:
        sizes, vocabulary = self._hidden_sizes(), data.vocabulary
        module = LanguageModel(
            vocabulary.size,
            sizes[-1] if self.embedding_dim is None else self.embedding_dim,
            sizes,
            cell=self.cell,
            tie_weights=self.tie_weights,
            cutoffs=cutoffs_of(self.cutoffs, vocabulary.size),
            start=vocabulary.start,
            dropout_embedding=self.dropout_embedding,
            dropout_input=self.dropout_input,
            dropout_between=self.dropout_hidden,
            dropout_weights=self.dropout_weights,
            dropout_output=self.dropout,
            activation_regularization=self.activation_regularization,
            temporal_activation_regularization=self.temporal_activation_regularization,
            teacher_forcing=self.teacher_forcing,
            teacher_forcing_steps=self.teacher_forcing_steps,
        )
        start_at_frequencies(module, vocabulary)
        return module

    def _load_weights(self, module: torch.nn.Module) -> None:
        sizes = self.vocabulary_.size, self.net_.module_.embedding.num_embeddings
        if sizes[0] != sizes[1]:
            raise ValueError(f"{GOES_ON} tokens. {WAY_OUT}")
        super()._load_weights(module)

    def _attributes(self, net: Any, data: TrainingTexts, plan: Plan) -> dict[str, Any]:
        own = {"vocabulary_": data.vocabulary, "spelling_": data.spelling}
        return super()._attributes(net, data, plan) | own

    # ------------------------------------------------------------------ training
    def _auto_batch_size(self, train: NextTokens) -> int:
        """Columns that segments have."""
        return size_of_batches(train.n_predictions // self.bptt, _SIZES)

    @property
    def _learning_rate(self) -> float:
        rate: Any = self.learning_rate
        return OPTIMIZERS[self.optimizer].learning_rate if rate == "auto" else rate

    @property
    def _schedule(self) -> Callable[[float], float] | None:
        return super()._schedule if OPTIMIZERS[self.optimizer].follows_schedule else None

    def _optimizer_options(self, device: torch.device) -> dict[str, Any]:
        return OPTIMIZERS[self.optimizer].options(self.weight_decay, device)

    def _own_callbacks(self) -> list[tuple[str, Any]]:
        if not OPTIMIZERS[self.optimizer].averages:
            return []
        return [("averaging", StartAveraging(self.averaging_patience))]

    def _iterator_options(self, device: torch.device) -> dict[str, Any]:
        options: dict[str, Any] = {"iterator_train__shuffle": True}
        for name in ("iterator_train", "iterator_valid"):
            options |= {name: Segments, f"{name}__bptt": self.bptt, f"{name}__device": device}
        options["iterator_train__truncation"] = self.truncation
        return options
