"""The recurrent tagger of tokens as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skem._callbacks import with_callbacks
from skem._sklearn import StrOptions, fit_context
from skem.deep.modules.sequence import CHARACTERS, SequenceTagger, WordCNN, WordRNN
from skem.deep.recurrent._labels import CONSTRAINTS, COUNT
from skem.deep.recurrent._tagger_use import TaggerUseMixin
from skem.deep.sequences._labelled import Labelled, Words
from skem.deep.sequences._letters import letters_of, lowered
from skem.deep.sequences._sequences import id_type, looked_up
from skem.deep.sequences._split import held_out
from skem.deep.sequences._tags import may_be_padded, read_tags
from skem.deep.sequences._text import Documents, Sequences, Vocabulary
from skem.deep.training._base import Plan


class TaggedTexts(NamedTuple):
    """Sequences of a fit with the tags of their tokens, and what the numbers mean."""

    sequences: Sequences
    codes: NDArray  # (n_tokens,): numbers of tags
    weight: NDArray | None  # (n_tokens,)
    words: Words | None
    vocabulary: Vocabulary
    letters: Vocabulary | None
    classes: NDArray

    def labelled(self, rows: NDArray) -> Labelled:
        """Those sequences as batches are made of them."""
        take = self.sequences.taken
        return Labelled(
            self.sequences.take(rows),
            take(self.codes, rows),
            None if self.weight is None else take(self.weight, rows),
            None if self.words is None else self.words._replace(types=self.words.types.take(rows)),
        )


class RNNTagger(TaggerUseMixin, BaseEstimator):
    r"""Recurrent tagger: a tag for each token, such as its part of speech.

    .. math:: p(y_t | x_1 \ldots x_T) = \mathrm{softmax}(W h_t + b), \qquad
        h_t = [\overrightarrow{h}_t, \overleftarrow{h}_t], \quad
        \overrightarrow{h}_t = \mathrm{cell}(e_t, \overrightarrow{h}_{t-1}),

    where e_t is the vector of the token beside features of its letters, trained to raise the
    (weighted) mean of :math:`\log p(y_t | x)` over tokens.

    Parameters
    ----------
    cell : {'lstm', 'gru', 'rnn_tanh', 'rnn_relu'}, default='lstm'
        Recurrent layers.
    embedding_dim : int, default=100
        Size of the vectors of tokens.
    hidden_size : int or sequence of int, default=150
        Units of each layer, a direction.
    n_layers : int, default=1
        How many.
    bidirectional : bool, default=True
        Whether layers also run backwards.
    characters : {'cnn', 'rnn'} or None, default='cnn'
        How the letters of words are read: by filters over three letters, or by a bidirectional
        LSTM. Tokens that are integers have none.
    character_dim : int, default=32
        Size of the vectors of letters.
    character_features : int, default=64
        Number of features computed from the letters of a word.
    lowercase : bool, default=True
        Whether words that differ only in case share a vector; letters keep their case.
    tokenizer : {'char', 'word'} or callable or None, default=None
        How strings are cut, if documents are strings. Lists of tokens are taken as they are.
    min_frequency : int, default=1
        Tokens that occur less often become the unknown token.
    max_vocabulary : int, default=None
        Maximum number of tokens; the most frequent ones are kept.
    word_dropout : float, default=0.25
        In training, a token that occurs f times is read as unknown with probability a / (a + f),
        where a is this parameter.
    dropout : float, default=0.5
        Of states, locked (one mask for all steps).
    dropout_embedding : float, default=0.0
        Of whole tokens.
    dropout_input : float, default=0.3
        Locked, of what the first layer gets.
    dropout_hidden : float, default=0.0
        Locked, between layers.
    dropout_weights : float, default=0.0
        Of the recurrent weights (DropConnect).
    class_weight : dict or 'balanced', default=None
        Weights of tags; 'balanced' gives all tags the same total weight.
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
    max_epochs : int, default=10
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
    classes_ : ndarray of shape (n_tags,)
        Tags of y, ascending.
    vocabulary_ : Vocabulary
        Tokens and their ids; ``vocabulary_.tokens_`` lists them.
    letters_ : Vocabulary or None
        Letters and their ids.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list of dict
        For each epoch the mean loss of a token, in nats, and the share that was right:
        'train_loss', 'train_accuracy', 'valid_loss', 'valid_accuracy'.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
        Columns, if X was a 2-D array.
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    RNNClassifier : A class for each sequence.

    Notes
    -----
    scikit-learn has no target type for sequences of tags, so `is_classifier` is false, and searches
    do not stratify their splits. `cross_val_predict` gives an array with a list for each document.

    For the same reason, scikit-learn's `check_estimator` cannot be run on a tagger as it is. Its
    checks give one number for each row as y, while a tagger needs a tag for each token. To read
    that number as the tag of every token would be another task, the classification of rows. The
    tests therefore run the checks with a subclass that makes a row of tags from the number
    (``TableTagger`` in ``tests/common/cases.py``).

    References
    ----------
    .. [1] Ling et al. (2015). Finding Function in Form: Compositional Character Models for Open
       Vocabulary Word Representation. EMNLP.
    .. [2] Plank, Sogaard and Goldberg (2016). Multilingual Part-of-Speech Tagging with
       Bidirectional Long Short-Term Memory Models and Auxiliary Loss. ACL.
    .. [3] Kiperwasser and Goldberg (2016). Simple and Accurate Dependency Parsing Using
       Bidirectional LSTM Feature Representations. TACL 4.

    Examples
    --------
    >>> from skem import RNNTagger
    >>> X = [["the", "cat", "sat"], ["a", "dog", "ran"], ["cats", "run"]] * 10
    >>> y = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]] * 10
    >>> tagger = RNNTagger(hidden_size=16, learning_rate=0.02, random_state=0).fit(X, y)
    >>> tagger.predict([["the", "dog", "sat"]])
    [['DET', 'NOUN', 'VERB']]
    """

    _parameter_constraints: dict = CONSTRAINTS | {
        "characters": [StrOptions(set(CHARACTERS)), None],
        "character_dim": [COUNT],
        "character_features": [COUNT],
        "lowercase": ["boolean"],
    }

    _defining: tuple[str, ...] = (
        *TaggerUseMixin._defining,
        *("characters", "character_dim", "character_features", "lowercase"),
    )
    _of_tokens = True

    def __init__(
        self,
        *,
        cell: str = "lstm",
        embedding_dim: int = 100,
        hidden_size: int | Sequence[int] = 150,
        n_layers: int = 1,
        bidirectional: bool = True,
        characters: str | None = "cnn",
        character_dim: int = 32,
        character_features: int = 64,
        lowercase: bool = True,
        tokenizer: str | Callable[[str], list[str]] | None = None,
        min_frequency: int = 1,
        max_vocabulary: int | None = None,
        word_dropout: float = 0.25,
        dropout: float = 0.5,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.3,
        dropout_hidden: float = 0.0,
        dropout_weights: float = 0.0,
        class_weight: dict | str | None = None,
        learning_rate: float = 3e-3,
        learning_rate_schedule: str = "cosine",
        weight_decay: float = 0.0,
        gradient_clip: float | None = 1.0,
        batch_size: int | str = "auto",
        max_epochs: int = 10,
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
        self.characters = characters
        self.character_dim = character_dim
        self.character_features = character_features
        self.lowercase = lowercase
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
    def fit(self, X: Any, y: Any) -> RNNTagger:
        """Learn the vocabulary, and train the model.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Lists of tokens, which are strings or integers; strings, with a tokenizer; or integers,
            where rows are sequences: negative ones at the end of a row are padding, elsewhere
            unknown tokens.
        y : sequence of sequences of tags, or array-like of shape (n_samples, n_tokens)
            A tag for each token: strings or integers. Those of padding are left out. There is no
            mark for tokens without a tag: None, NaN and -100 are refused.

        Returns
        -------
        self : RNNTagger

        Raises
        ------
        ValueError
            If documents, tags or parameters do not fit each other; the estimator is left unchanged.
        FloatingPointError
            If the loss is not finite in the first epoch.

        Warns
        -----
        ConvergenceWarning
            If the loss becomes NaN or infinite later; the last weights with a finite loss are kept.
        """
        self._fit_network(X, y)
        return self

    # ------------------------------------------------------------------ what a fit is made of
    def _training_data(self, X: Any, y: Any, *, goes_on: bool) -> TaggedTexts:
        self._hidden_sizes()
        texts = self._read_documents(X, reset=not goes_on or not hasattr(self, "n_features_in_"))
        tags = read_tags(y, texts.sequences.lengths, padded=may_be_padded(X))
        texts = texts.take(np.flatnonzero(texts.sequences.lengths))  # others have no tags either
        self._check_classes(tags.classes, goes_on)
        classes = self.classes_ if goes_on else tags.classes
        number = np.searchsorted(classes, tags.classes).astype(id_type(len(classes)))
        codes = looked_up(number, tags.codes)
        by_class = self._class_weights(classes, codes)
        weight = None if by_class is None else by_class[codes]
        weight = None if weight is None else weight / weight.mean()
        vocabulary, letters = (
            (self.vocabulary_, self.letters_) if goes_on else self._vocabularies(texts)
        )
        sequences, words = self._arrays(texts, vocabulary, letters)
        return TaggedTexts(sequences, codes, weight, words, vocabulary, letters, classes)

    def _vocabularies(self, texts: Documents) -> tuple[Vocabulary, Vocabulary | None]:
        """Words, and letters."""
        words = self._learn_vocabulary(lowered(texts) if self.lowercase else texts)
        if self.characters is None or texts.kind == "int":
            return words, None
        return words, letters_of(texts)

    def _datasets(self, data: TaggedTexts, plan: Plan) -> tuple[Labelled, Labelled | None]:
        if not plan.holds_out:
            return data.labelled(np.arange(len(data.sequences))), None
        train, valid = held_out(len(data.sequences), self.validation_fraction)
        return data.labelled(train), data.labelled(valid)

    def _make_module(self, data: TaggedTexts) -> SequenceTagger:
        embedding = self._make_embedding(data.vocabulary)
        size, characters = self.embedding_dim, None
        if data.letters is not None:
            kind = WordCNN if self.characters == "cnn" else WordRNN
            characters = kind(data.letters.size, self.character_dim, self.character_features)
            size += characters.output_size
        recurrent = self._make_recurrent(size)
        n_tags = len(data.classes)
        module = SequenceTagger(embedding, characters, recurrent, n_tags, self.dropout)
        self._start_at_frequencies(module, data.codes, data.weight)
        return module

    def _attributes(self, net: Any, data: TaggedTexts, plan: Plan) -> dict[str, Any]:
        return super()._attributes(net, data, plan) | {
            "vocabulary_": data.vocabulary,
            "letters_": data.letters,
            "classes_": data.classes,
        }
