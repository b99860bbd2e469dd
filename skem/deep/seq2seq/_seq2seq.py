"""The encoder–decoder with attention as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from skem._callbacks import with_callbacks
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import check_weights
from skem.deep.modules.ensemble import Ensemble
from skem.deep.recurrent._base import RECURRENT
from skem.deep.seq2seq._data import (
    TrainingPairs,
    epoch,
    for_side,
    joined,
    known_pairs,
    range_of,
)
from skem.deep.seq2seq._module import ATTENTIONS, FEEDING, make_member
from skem.deep.seq2seq._score import Seq2SeqScoreMixin
from skem.deep.seq2seq._use import Lengths
from skem.deep.sequences._documents import Documents
from skem.deep.sequences._pairs import PairBatches, Pairs
from skem.deep.sequences._split import held_out
from skem.deep.sequences._targets import read_targets
from skem.deep.sequences._text import Sequences, Vocabulary, check_lengths, learn_vocabulary
from skem.deep.training._base import TRAINING, Plan, size_of_batches

_SIZES = 8, 64
"""Least and greatest number of pairs of a batch of size 'auto'."""


class RNNSeq2Seq(Seq2SeqScoreMixin, BaseEstimator):
    r"""Recurrent encoder–decoder with attention: sequences from sequences.

    .. math:: p(y | x) = \prod_t p(y_t | y_1 \ldots y_{t-1}, x), \qquad
        g_t = \mathrm{cell}([e_t, c_t], g_{t-1}), \quad
        c_t = \sum_j \alpha_{tj} h_j, \quad
        \alpha_{tj} = \mathrm{softmax}_j\, \mathrm{score}(g_{t-1}, h_j),

    where h_j are the states of recurrent layers that read x, the last of which starts the decoder;
    e_t is the vector of :math:`y_{t-1}`, and g_t the state from which y_t is predicted. It is
    trained to raise the (weighted) mean of :math:`\log p(y_t | y_{<t}, x)` over the tokens of y
    and its end.

    Parameters
    ----------
    cell : {'lstm', 'gru', 'rnn_tanh', 'rnn_relu'}, default='lstm'
        Recurrent layers of encoder and decoder.
    hidden_size : int, default=256
        Units of each layer, of the decoder and of the encoder, whose two directions have half of
        them each: states that are compared are of one size.
    n_layers : int, default=1
        How many layers encoder and decoder have.
    embedding_dim : int, default=128
        Size of the vectors of tokens.
    bidirectional : bool, default=True
        Whether layers of the encoder also run backwards.
    attention : {'bilinear', 'dot'} or None, default='bilinear'
        How states of decoder and encoder are compared: g . W h, or g . h. None is the plain
        encoder–decoder, whose every step gets the context h_S.
    input_feeding : {'context', 'state'} or None, default='context'
        What the decoder's next step gets beside the token. None: what the state before it looks at,
        c_t, as in the equations above [1]_. 'context': the same, but y_t is predicted from what the
        new state looks at, :math:`s_t = \tanh(U [\sum_j \alpha_{t+1,j} h_j, g_t])`. 'state':
        :math:`s_{t-1}`, as in [3]_. With the latter two the first state of the decoder is a learned
        function of h_S, with None it is h_S. Without attention there is nothing to choose.
    tie_weights : bool, default=False
        Whether the vectors of y are the rows of the softmax's matrix, too (with a projection
        between, where sizes differ).
    share_vocabulary : bool, default=False
        Whether x and y have one vocabulary, and one table of vectors.
    tokenizer : {'char', 'word'} or callable or None, default='char'
        How strings of X are cut. Punctuation marks are tokens too, and each Han character is a
        word. None refuses strings. Lists of tokens are taken as they are.
    target_tokenizer : {'char', 'word'} or callable or None, default='char'
        How strings of y are cut.
    min_frequency : int, default=1
        Tokens of x or y that occur less often become the unknown token, which outputs never have.
    max_vocabulary : int, default=None
        Maximum number of tokens of x, and of y; the most frequent ones are kept.
    word_dropout : float, default=0.25
        In training, a token of x that occurs f times is read as unknown with probability
        a / (a + f), where a is this parameter.
    dropout : float, default=0.3
        Of the states of the encoder, and of what the next token is predicted from.
    dropout_embedding : float, default=0.0
        Of whole tokens of x.
    dropout_input : float, default=0.3
        Of the vectors of tokens.
    dropout_hidden : float, default=0.0
        Locked (one mask for all steps), between layers.
    dropout_weights : float, default=0.0
        Of the recurrent weights of the encoder (DropConnect).
    label_smoothing : float, default=0.1
        Share of each target that is spread over all tokens in training [5]_. Outputs are better for
        it, and their probabilities flatter; set it to 0 where these are wanted themselves.
    teacher_forcing : float, default=1.0
        Probability that an input of the decoder is the token of the data; otherwise it is drawn
        from the model [4]_.
    teacher_forcing_steps : int, default=0
        Batches over which that probability falls from 1.
    beam_size : int or 'auto', default='auto'
        Beginnings of outputs that are kept at each step, each of which may also be the whole; 1
        takes the likeliest token at each step. 'auto' is 5, or as many as there are outputs.
    length_penalty : float, default=0.0
        Outputs are compared by log p / length ** length_penalty, where the length counts the end:
        above 0, longer ones win more often.
    max_length : int or 'auto', default='auto'
        Tokens of an output, at most, its end not counted. 'auto': twice as many as the longest
        target has, and for an x longer than those of the fit more in proportion.
    n_members : int, default=1
        Models of different first weights, whose probabilities of each token are averaged. They are
        trained beside each other, on as many threads as torch may use.
    learning_rate : float, default=0.002
        Of Adam, where the schedule starts.
    learning_rate_schedule : {'cosine', 'constant'}, default='cosine'
        'cosine' falls to 0 over ``max_epochs``.
    weight_decay : float, default=0.0
        Above 0 Adam is AdamW.
    gradient_clip : float, default=1.0
        Largest norm of the gradient of a member.
    batch_size : int or 'auto', default='auto'
        Pairs of a step; 'auto' is from 8 to 64, by their number.
    max_epochs : int, default=40
        Maximum number of passes over all pairs.
    early_stopping : bool, default=False
        Hold ``validation_fraction`` of the pairs out (or take X_val and y_val), stop when their
        loss has not fallen for ``patience`` epochs, and take the best weights.
    validation_fraction : float, default=0.1
        Share of the data that early stopping holds out.
    patience : int, default=5
        Epochs without improvement after which early stopping ends the fit.
    warm_start : bool, default=False
        Go on from the weights and the vocabularies of the last fit, with the parameters that its
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
    vocabulary_, target_vocabulary_ : Vocabulary
        Tokens of x and of y, and their ids; ``target_vocabulary_.tokens_`` lists them.
    max_length_ : int
        Tokens of an output, at most; more where an x is longer than those of the fit.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_.members`` are the torch modules.
    history_ : list of dict
        For each epoch the mean loss of a token of y, in nats, without smoothing, and the share
        that was likeliest: 'train_loss', 'train_accuracy', 'valid_loss', 'valid_accuracy'. Of an
        ensemble the means over its members.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
        Columns, if X was a 2-D array.
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    RNNTagger : One tag for each token.
    skem.inspection.AttentionDisplay : The alignment of x and y as a picture.
    RNNClassifier : One class for each sequence.

    Notes
    -----
    Small data need many epochs: with too few, outputs are empty or all the same. A warm start
    begins ``history_`` and the schedule of the learning rate again. Callbacks that watch
    'valid_loss' need ``X_val`` and ``y_val``, or ``early_stopping=True``. After Ctrl-C the model is
    that of the last whole epoch, and a ConvergenceWarning says so. y may not have the token
    '</s>', which stands for its end.

    References
    ----------
    .. [1] Jurafsky and Martin. Speech and Language Processing, chapter RNNs and LSTMs.
    .. [2] Bahdanau, Cho and Bengio (2015). Neural Machine Translation by Jointly Learning to Align
       and Translate. ICLR.
    .. [3] Luong, Pham and Manning (2015). Effective Approaches to Attention-based Neural Machine
       Translation. EMNLP.
    .. [4] Bengio et al. (2015). Scheduled Sampling for Sequence Prediction. NIPS.
    .. [5] Szegedy et al. (2016). Rethinking the Inception Architecture. CVPR. (Label smoothing.)

    Examples
    --------
    >>> from skem import RNNSeq2Seq
    >>> X = ["abc", "cab", "bca", "acb", "ab", "ba", "cc", "bab"] * 10
    >>> y = [x[::-1].upper() for x in X]
    >>> model = RNNSeq2Seq(hidden_size=32, embedding_dim=16, random_state=0).fit(X, y)
    >>> model.predict(["cab", "bc"])
    array(['BAC', 'CB'], dtype=object)
    """

    _parameter_constraints: dict = {
        **RECURRENT,
        **TRAINING,
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "attention": [StrOptions(set(ATTENTIONS)), None],
        "input_feeding": [StrOptions({name for name in FEEDING if name}), None],
        "tie_weights": ["boolean"],
        "share_vocabulary": ["boolean"],
        "target_tokenizer": RECURRENT["tokenizer"],
        "word_dropout": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "teacher_forcing": [Interval(Real, 0, 1, closed="both")],
        "teacher_forcing_steps": [Interval(Integral, 0, None, closed="left")],
        "beam_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "length_penalty": [Interval(Real, 0, None, closed="left")],
        "max_length": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_members": [Interval(Integral, 1, None, closed="left")],
    }

    _defining: tuple[str, ...] = (
        *Seq2SeqScoreMixin._defining,
        *("bidirectional", "attention", "input_feeding", "tie_weights"),
        *("share_vocabulary", "target_tokenizer", "n_members"),
    )

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden_size: int = 256,
        n_layers: int = 1,
        embedding_dim: int = 128,
        bidirectional: bool = True,
        attention: str | None = "bilinear",
        input_feeding: str | None = "context",
        tie_weights: bool = False,
        share_vocabulary: bool = False,
        tokenizer: str | Callable[[str], list[str]] | None = "char",
        target_tokenizer: str | Callable[[str], list[str]] | None = "char",
        min_frequency: int = 1,
        max_vocabulary: int | None = None,
        word_dropout: float = 0.25,
        dropout: float = 0.3,
        dropout_embedding: float = 0.0,
        dropout_input: float = 0.3,
        dropout_hidden: float = 0.0,
        dropout_weights: float = 0.0,
        label_smoothing: float = 0.1,
        teacher_forcing: float = 1.0,
        teacher_forcing_steps: int = 0,
        beam_size: int | str = "auto",
        length_penalty: float = 0.0,
        max_length: int | str = "auto",
        n_members: int = 1,
        learning_rate: float = 2e-3,
        learning_rate_schedule: str = "cosine",
        weight_decay: float = 0.0,
        gradient_clip: float | None = 1.0,
        batch_size: int | str = "auto",
        max_epochs: int = 40,
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
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.embedding_dim = embedding_dim
        self.bidirectional = bidirectional
        self.attention = attention
        self.input_feeding = input_feeding
        self.tie_weights = tie_weights
        self.share_vocabulary = share_vocabulary
        self.tokenizer = tokenizer
        self.target_tokenizer = target_tokenizer
        self.min_frequency = min_frequency
        self.max_vocabulary = max_vocabulary
        self.word_dropout = word_dropout
        self.dropout = dropout
        self.dropout_embedding = dropout_embedding
        self.dropout_input = dropout_input
        self.dropout_hidden = dropout_hidden
        self.dropout_weights = dropout_weights
        self.label_smoothing = label_smoothing
        self.teacher_forcing = teacher_forcing
        self.teacher_forcing_steps = teacher_forcing_steps
        self.beam_size = beam_size
        self.length_penalty = length_penalty
        self.max_length = max_length
        self.n_members = n_members
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
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> RNNSeq2Seq:
        """Learn the vocabularies, and train the model.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Strings; lists of tokens, which are strings or integers; or integers, where rows are
            sequences: negative ones at the end of a row are padding, elsewhere unknown tokens.
            Each has at least one token.
        y : sequence of documents, or array-like of int in one or two dimensions
            A target for each, in any of these kinds; one-dimensional numbers are sequences of one
            token. An array of numbers without padding has outputs of its number of columns.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the pair, 0 to leaving it out: weights are
            counts, also of tokens for ``min_frequency`` and ``word_dropout``.
        X_val, y_val : of the kinds of X and y, default=None
            Pairs for 'valid_loss', and for early stopping, which then holds none out.

        Returns
        -------
        self : RNNSeq2Seq

        Raises
        ------
        ValueError
            If sequences of X or y are empty, not as many in one as in the other, or longer than
            ``max_length``; if y has one token only; if parameters do not fit each other or the
            data. The estimator is left unchanged.
        FloatingPointError
            If the loss is not finite in the first epoch.

        Warns
        -----
        ConvergenceWarning
            If the loss becomes NaN or infinite later; the last weights with a finite loss are kept.
        UserWarning
            If y_val has tokens that y does not have; those pairs are left out of the loss.
        """
        self._fit_network(X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
        return self

    # ------------------------------------------------------------------ what a fit is made of
    def _training_data(
        self,
        X: Any,
        y: Any,
        *,
        goes_on: bool,
        sample_weight: ArrayLike | None,
        X_val: Any,
        y_val: Any,
    ) -> TrainingPairs:
        self._check_parameters()
        if y is None:
            raise ValueError("RNNSeq2Seq requires y to be passed, but the target y is None.")
        source = self._read_documents(X, reset=not goes_on or not hasattr(self, "n_features_in_"))
        target, form = read_targets(y, self.target_tokenizer, len(source))
        weight = check_weights(sample_weight, np.empty((len(source), 0), dtype=np.float32))
        if weight is not None:
            there = np.flatnonzero(weight > 0)
            source, target, weight = source.take(there), target.take(there), weight[there]
        check_lengths(source.sequences, 1)
        check_lengths(target.sequences, 1, "y")
        self._check_longest(target)
        if goes_on:
            self._check_form(form)
            vocabularies = self.vocabulary_, self.target_vocabulary_
        else:
            vocabularies = self._vocabularies(source, target, weight, form.n_tokens is None)
        longest = int(target.sequences.lengths.max())
        self._width_within(range_of(vocabularies[1], self._longest(form, longest)))
        pairs = epoch(
            vocabularies[0].compact(source), vocabularies[1].compact(target, name="y"), weight
        )
        valid = self._validation(X_val, y_val, *vocabularies)
        return TrainingPairs(*pairs, valid, *vocabularies, form)

    def _check_parameters(self) -> None:
        """Refuse parameters that do not fit each other."""
        if self.bidirectional and self.hidden_size % 2:
            raise ValueError(
                f"hidden_size={self.hidden_size} is odd, and half of the units read x forwards, "
                "the other half backwards. Make it even, or set bidirectional=False."
            )
        if self.teacher_forcing_steps and self.teacher_forcing == 1:
            raise ValueError(
                "teacher_forcing_steps is the fall of teacher_forcing from 1, and this is 1. Set "
                "teacher_forcing below 1, or teacher_forcing_steps=0."
            )

    def _check_longest(self, target: Documents) -> None:
        longest = int(target.sequences.lengths.max())
        if not isinstance(self.max_length, str) and longest > self.max_length:
            i = int(target.sequences.lengths.argmax())
            raise ValueError(
                f"max_length={self.max_length} is too short for y[{i}], which has {longest} "
                "tokens. Raise it, or set max_length='auto'."
            )

    def _check_form(self, form: Any) -> None:
        if form.n_tokens != self._form.n_tokens:
            raise ValueError(
                "warm_start=True goes on from a fit with another shape of y. Give y as then, or "
                "set warm_start=False."
            )

    def _vocabularies(
        self, source: Documents, target: Documents, weight: NDArray | None, end: bool
    ) -> tuple[Vocabulary, Vocabulary]:
        """Of x and of y, which are one if ``share_vocabulary``."""
        drops = self.min_frequency > 1 or self.max_vocabulary is not None
        if self.share_vocabulary:
            learn_vocabulary(target, start=False, end=end, name="y")  # refuses one of one token
            twice = None if weight is None else np.concatenate([weight, weight])
            both = self._learn_vocabulary(
                joined(source, target), start=False, end=end, unknown=True, sample_weight=twice
            )
            return for_side(both, source), for_side(both, target)
        return (
            self._learn_vocabulary(source, start=False, end=False, sample_weight=weight),
            self._learn_vocabulary(
                target, start=False, end=end, unknown=drops, sample_weight=weight, name="y"
            ),
        )

    def _validation(
        self, X_val: Any, y_val: Any, vocabulary: Vocabulary, target_vocabulary: Vocabulary
    ) -> tuple[Sequences, Sequences] | None:
        """Pairs that the user gave to validate on."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val belong together: give both, or none of them.")
        source = self._read_documents(X_val, reset=False, name="X_val")
        target, _ = read_targets(
            y_val, self.target_tokenizer, len(source), name="y_val", of="X_val"
        )
        check_lengths(source.sequences, 1, "X_val")
        check_lengths(target.sequences, 1, "y_val")
        target_vocabulary.check_kind(target, "y_val")
        source, target = known_pairs(source, target, target_vocabulary)
        return vocabulary.compact(source, name="X_val"), target_vocabulary.compact(
            target, name="y_val"
        )

    def _datasets(self, data: TrainingPairs, plan: Plan) -> tuple[Pairs, Pairs | None]:
        if data.valid is not None:
            return data.pairs(np.arange(len(data.source))), data.as_pairs(*data.valid)
        if not plan.holds_out:
            return data.pairs(np.arange(len(data.source))), None
        train, valid = held_out(len(data.source), self.validation_fraction)
        return data.pairs(train), data.pairs(valid)

    def _make_module(self, data: TrainingPairs) -> Ensemble:
        members = [
            make_member(self, data.vocabulary, data.target_vocabulary)
            for _ in range(self.n_members)
        ]
        return Ensemble(members, 1 if self.compile else torch.get_num_threads())

    def _attributes(self, net: Any, data: TrainingPairs, plan: Plan) -> dict[str, Any]:
        longest = Lengths(int(data.source.lengths.max()), int(data.target.lengths.max()))
        if plan.goes_on:
            longest = Lengths(*map(max, longest, self._lengths))
        return super()._attributes(net, data, plan) | {
            "vocabulary_": data.vocabulary,
            "target_vocabulary_": data.target_vocabulary,
            "_form": data.form,
            "_lengths": longest,
        }

    # ------------------------------------------------------------------ training
    def _iterator_options(self, device: torch.device) -> dict[str, Any]:
        options: dict[str, Any] = {"iterator_train__shuffle": True}
        for name in ("iterator_train", "iterator_valid"):
            options |= {name: PairBatches, f"{name}__device": device}
        return options

    def _auto_batch_size(self, train: Any) -> int:
        """Pairs of a batch."""
        return size_of_batches(len(train), _SIZES)
