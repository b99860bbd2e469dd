"""The recurrent classifier of sequences as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skem._callbacks import with_callbacks
from skem._input import refuse_masks
from skem._sklearn import StrOptions, fit_context
from skem._validation import check_known, check_weights
from skem.deep.modules.sequence import POOLINGS, SequenceClassifier
from skem.deep.recurrent._classifier_use import ClassifierUseMixin
from skem.deep.recurrent._labels import CONSTRAINTS
from skem.deep.sequences._labelled import Labelled
from skem.deep.sequences._split import held_out
from skem.deep.sequences._text import Sequences, Vocabulary, check_lengths, distinct_sequences
from skem.deep.training._base import Plan
from skem.deep.training._distinct import repeated


class ClassifiedTexts(NamedTuple):
    """Sequences of an epoch with their classes, and what the numbers mean."""

    sequences: Sequences
    codes: NDArray  # (n,): numbers of classes
    weight: NDArray | None  # (n,)
    vocabulary: Vocabulary
    classes: NDArray
    prior: NDArray  # (n_classes,): shares of classes, with documents that have no tokens


class RNNClassifier(ClassifierUseMixin, ClassifierMixin, BaseEstimator):
    r"""Recurrent classifier of sequences: text, token lists, or rows of integers.

    .. math:: p(y | x_1 \ldots x_T) = \mathrm{softmax}(W \, \mathrm{pool}(h_1 \ldots h_T) + b),
        \quad h_t = \mathrm{cell}(E x_t, h_{t-1}),

    trained to raise the (weighted) mean of :math:`\log p(y | x)`.

    Parameters
    ----------
    cell : {'lstm', 'gru', 'rnn_tanh', 'rnn_relu'}, default='lstm'
        Recurrent layers.
    embedding_dim : int, default=100
        Size of the vectors of tokens.
    hidden_size : int or sequence of int, default=100
        Units of each layer, a direction.
    n_layers : int, default=1
        How many.
    bidirectional : bool, default=True
        Whether layers also run backwards.
    pooling : {'mean', 'last'}, default='mean'
        The mean of the states, or the state after the last token (and that at the first token of
        the backward direction).
    tokenizer : {'char', 'word'} or callable or None, default='word'
        How strings are split. Punctuation marks are tokens too, and each Han character is a word.
        None refuses strings. Documents that are lists of tokens are taken as they are.
    min_frequency : int, default=1
        Tokens that occur less often become the unknown token.
    max_vocabulary : int, default=None
        Maximum number of tokens; the most frequent ones are kept.
    word_dropout : float, default=0.25
        In training, a token that occurs f times is read as unknown with probability a / (a + f),
        where a is this parameter.
    dropout : float, default=0.5
        Of pooled states.
    dropout_embedding : float, default=0.0
        Of whole tokens.
    dropout_input, dropout_hidden : float, default=0.0
        Locked (one mask for all steps), of what the first layer gets, and between layers.
    dropout_weights : float, default=0.0
        Of the recurrent weights (DropConnect).
    class_weight : dict or 'balanced', default=None
        Weights of classes; 'balanced' gives all classes the same total weight.
    learning_rate : float, default=0.003
        Of Adam, where the schedule starts.
    learning_rate_schedule : {'cosine', 'constant'}, default='cosine'
        'cosine' falls to 0 over ``max_epochs``.
    weight_decay : float, default=0.0
        Above 0 Adam is AdamW.
    gradient_clip : float, default=1.0
        Largest norm of the gradient.
    batch_size : int or 'auto', default='auto'
        Sequences of a step; 'auto' is from 4 to 32, by their number.
    max_epochs : int, default=20
        Maximum number of passes over all sequences.
    early_stopping : bool, default=False
        Hold ``validation_fraction`` of the sequences out, stop when their loss has not fallen for
        ``patience`` epochs, and take the best weights.
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
        Seed of weights, batches and dropout. torch's global state is not changed.
    callbacks : list, default=None
        Callbacks of skorch. An `LRScheduler` among them takes the place of learning_rate_schedule.
    verbose : int, default=0
        1 prints a line each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes of y, ascending.
    class_prior_ : ndarray of shape (n_classes,)
        Shares of the classes in training, by weight: what is said of a document without tokens.
    vocabulary_ : Vocabulary
        Tokens and their ids; ``vocabulary_.tokens_`` lists them.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list of dict
        For each epoch the mean loss of a sequence, in nats, and the share that was right:
        'train_loss', 'train_accuracy', 'valid_loss', 'valid_accuracy'.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
        Columns, if X was a 2-D array.
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    RNNTagger : A tag for each token.

    Notes
    -----
    In an epoch, each sequence occurs as often as its weight says, so that a weight of 2 is
    equivalent to repeating it. The prediction for a sequence does not depend on the other
    sequences.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber (1997). Long short-term memory. Neural Computation 9.
    .. [2] Merity, Keskar and Socher (2018). Regularizing and Optimizing LSTM Language Models. ICLR.

    Examples
    --------
    >>> from skem import RNNClassifier
    >>> X = ["the cat sat", "a cat ran", "the stock fell", "a stock rose"] * 5
    >>> y = ["animals", "animals", "money", "money"] * 5
    >>> rnn = RNNClassifier(hidden_size=8, learning_rate=0.02, random_state=0).fit(X, y)
    >>> rnn.predict(["a cat sat", "the stock rose"]).tolist()
    ['animals', 'money']
    """

    _parameter_constraints: dict = CONSTRAINTS | {"pooling": [StrOptions(set(POOLINGS))]}
    _defining: tuple[str, ...] = (*ClassifierUseMixin._defining, "pooling")

    def __init__(
        self,
        *,
        cell: str = "lstm",
        embedding_dim: int = 100,
        hidden_size: int | Sequence[int] = 100,
        n_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "mean",
        tokenizer: str | Callable[[str], list[str]] | None = "word",
        min_frequency: int = 1,
        max_vocabulary: int | None = None,
        word_dropout: float = 0.25,
        dropout: float = 0.5,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.0,
        dropout_hidden: float = 0.0,
        dropout_weights: float = 0.0,
        class_weight: dict | str | None = None,
        learning_rate: float = 3e-3,
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
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.min_frequency = min_frequency
        self.max_vocabulary = max_vocabulary
        self.word_dropout = word_dropout
        self.dropout = dropout
        self.dropout_embedding = dropout_embedding
        self.dropout_input = dropout_input
        self.dropout_hidden = dropout_hidden
        self.dropout_weights = dropout_weights
        self.class_weight = class_weight
        self.learning_rate = learning_rate
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
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> RNNClassifier:
        """Learn the vocabulary, and train the model.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Strings; lists of tokens, which are strings or integers; or integers, where rows are
            sequences: negative ones at the end of a row are padding, elsewhere unknown tokens.
        y : array-like of shape (n_samples,)
            Classes: strings, integers or booleans.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the sequence, 0 to leaving it out.

        Returns
        -------
        self : RNNClassifier

        Raises
        ------
        ValueError
            If documents, classes or parameters do not fit each other; the estimator is left
            unchanged.
        FloatingPointError
            If the loss is not finite in the first epoch.

        Warns
        -----
        ConvergenceWarning
            If the loss becomes NaN or infinite later; the last weights with a finite loss are kept.
        """
        self._fit_network(X, y, sample_weight=sample_weight)
        return self

    # ------------------------------------------------------------------ what a fit is made of
    def _training_data(
        self, X: Any, y: Any, *, goes_on: bool, sample_weight: ArrayLike | None
    ) -> ClassifiedTexts:
        self._hidden_sizes()
        texts = self._read_documents(X, reset=not goes_on or not hasattr(self, "n_features_in_"))
        y = self._check_y(y, len(texts))
        weight = check_weights(sample_weight, np.empty((len(texts), 0), dtype=np.float32))
        vocabulary = (
            self.vocabulary_ if goes_on else self._learn_vocabulary(texts, sample_weight=weight)
        )
        sequences = vocabulary.compact(texts)
        present = np.ones(len(y), dtype=bool) if weight is None else weight > 0
        classes = np.unique(y[present])
        self._check_classes(classes, goes_on)
        codes = np.searchsorted(classes, y[present])
        weight = None if weight is None else weight[present]
        sequences = sequences.take(np.flatnonzero(present))
        sequences, codes, weight = self._epoch(sequences, codes, weight, classes)
        shares = np.bincount(codes, weights=weight, minlength=len(classes))
        there = np.flatnonzero(sequences.lengths)  # others say nothing but how frequent classes are
        if not len(there):
            check_lengths(sequences, 1)
        weight = None if weight is None else weight[there]
        return ClassifiedTexts(
            sequences.take(there), codes[there], weight, vocabulary, classes, shares / shares.sum()
        )

    def _epoch(
        self, sequences: Sequences, codes: NDArray, weight: NDArray | None, classes: NDArray
    ) -> tuple[Sequences, NDArray, NDArray | None]:
        """Sequences as often as their weights say; what is left, and classes, weigh the loss."""
        by_class = self._class_weights(classes, codes, weight)
        rows, weight = distinct_sequences(sequences, weight, codes)
        times, weight = repeated(weight, len(sequences))
        if times is not None:
            rows, weight = rows[times], None if weight is None else weight[times]
        codes = codes[rows]
        if by_class is not None:
            weight = by_class[codes] * (1.0 if weight is None else weight)
            weight = weight / weight.mean()
        return sequences.take(rows), codes, weight

    def _check_y(self, y: Any, n: int) -> NDArray:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        refuse_masks(y, "y")
        y = check_known(column_or_1d(y, warn=True), "y")
        check_classification_targets(y)
        if len(y) != n:
            raise ValueError(f"X has {n} sequences, and y has {len(y)} classes. Give one for each.")
        return y

    def _datasets(self, data: ClassifiedTexts, plan: Plan) -> tuple[Labelled, Labelled | None]:
        sequences, codes, weight = data[:3]
        if not plan.holds_out:
            return Labelled(sequences, codes, weight), None
        parts = [
            Labelled(sequences.take(rows), codes[rows], None if weight is None else weight[rows])
            for rows in held_out(len(sequences), self.validation_fraction)
        ]
        return parts[0], parts[1]

    def _make_module(self, data: ClassifiedTexts) -> SequenceClassifier:
        embedding = self._make_embedding(data.vocabulary)
        recurrent = self._make_recurrent(embedding.vectors.embedding_dim)
        n_classes = len(data.classes)
        module = SequenceClassifier(embedding, recurrent, n_classes, self.pooling, self.dropout)
        self._start_at_frequencies(module, data.codes, data.weight)
        return module

    def _attributes(self, net: Any, data: ClassifiedTexts, plan: Plan) -> dict[str, Any]:
        return super()._attributes(net, data, plan) | {
            "vocabulary_": data.vocabulary,
            "classes_": data.classes,
            "class_prior_": data.prior,
        }
