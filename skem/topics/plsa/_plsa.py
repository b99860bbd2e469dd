"""Probabilistic latent semantic analysis: the estimator."""

from __future__ import annotations

import functools
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skem._callbacks import with_callbacks
from skem._memory import refuse_starts_beyond_memory
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import check_numbers, in_unit, unit_of
from skem.em import EMState, StepwiseEM
from skem.em._estimator import EMEstimatorMixin, Problem
from skem.topics._counts import Counts, TrainingCounts
from skem.topics._limits import at_least
from skem.topics._priors import exponents_of
from skem.topics._starts import INITS, initial_topics
from skem.topics._units import check_batch, common_power, divided
from skem.topics.plsa._documents import PLSADocuments
from skem.topics.plsa._model import PLSAModel, PLSAParams
from skem.topics.plsa._online import OnlinePLSAModel, TopicParams
from skem.topics.plsa._tempering import held_out_temperature

TEMPERATURES = 1e-6, 1e6
"""Range of temperatures: with lower ones posteriors are 0 or 1, with higher ones uniform."""


class PLSA(PLSADocuments):
    r"""Probabilistic latent semantic analysis (aspect model) by EM on sparse counts.

    Each token of a document has its own topic z, and its word depends only on this topic,

    .. math:: p(w|d) = \sum_z p(w|z) \, p(z|d), \qquad
              p(d, w) = \sum_z p(z) \, p(d|z) \, p(w|z).

    Parameters
    ----------
    n_components : int, default=10
        Number of topics.
    init : {'random', 'random_documents', 'svd'} or array-like, default='svd'
        Initial topics: the distribution of all words times a random factor for each word and topic;
        means of a few random documents; parts of singular vectors of the scaled counts; or the
        topics themselves, of shape (n_components, n_features).
    tol : float, default=5e-3
        EM stops when the estimated distance of the bound to its limit, in nats per token, is at
        most this.
    max_iter : int, default=500
        Maximum number of EM maps (E steps), with any acceleration.
    n_init : int, default=1
        Number of starts. All are run for a few steps, and only the best are continued.
    temperature : float or 'held-out', default=1.0
        Tempered EM: the E step raises posteriors to the power of 1 / temperature, a number from
        1e-6 to 1e6. Above 1, topics overlap more and fit less closely. 'held-out' raises it step by
        step from 1 as long as held-out tokens become more likely, and stops EM at each temperature
        when they no longer do (Hofmann 1999).
    doc_topic_prior : float or array-like of shape (n_components,), default=None
        Parameters of a Dirichlet prior of p(z|d) for MAP estimation. None is 1, which is flat;
        values below 1 ask for sparsity.
    topic_word_prior : float or array-like, default=None
        The same for p(w|z): one number, one for each word, (n_features,), or one for each topic and
        word, (n_components, n_features).
    acceleration : {'auto', 'squarem', 'extrapolation'} or None, default='auto'
        How EM is accelerated; None is plain EM, 'auto' is 'extrapolation'. A step that lowers the
        bound is undone.
    validation_fraction : float, default=0.1
        Share of the tokens that temperature='held-out' holds out.
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers; pass an int for the same result at each call.
    n_jobs : int, default=None
        Threads over blocks of documents; None uses all cores that joblib's context allows, 1 uses
        one.
    verbose : int, default=0
        1 prints starts and iterations, 2 also bounds, gaps and times.
    verbose_interval : int, default=10
        Iterations between two prints.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        p(w|z), the most frequent topic first (`partial_fit` keeps the order that the first batch
        gave); each row sums to one. Without a prior, words that are not in the training documents
        get 0.
    topic_prior_ : ndarray of shape (n_components,)
        p(z): the share of the tokens that each topic has.
    temperature_ : float
        The temperature of the fit.
    converged_ : bool
        Whether ``optimality_gap_ <= tol`` in several consecutive EM maps; False after
        `partial_fit`.
    n_iter_ : int
        EM maps of the best start; after `partial_fit`, the batches since the last `fit`.
    lower_bound_ : float
        The last of `lower_bounds_`.
    lower_bounds_ : list of float
        Log-likelihood at the start of each EM map (tempered: the free energy), nats per token, log
        prior included; never falls. After `partial_fit` that of each batch, which may fall.
    optimality_gap_ : float
        Estimated distance of `lower_bound_` to its limit, nats per token (Aitken); infinite after
        `partial_fit`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    LatentDirichletAllocationVB : With a distribution over p(z|d), which fits new documents better.
    sklearn.decomposition.NMF : Its KL divergence with multiplicative updates is PLSA up to scale.

    Notes
    -----
    `transform` fits p(z|d) of each document to `components_`, from the same start for all, until
    its log-likelihood is within ``tol / 50`` (at least 1e-6) nats per token of the maximum, or for
    200 EM maps. If several mixtures of topics explain a document equally well, this is one of them.
    `fit_transform` does the same: the p(z|d) at the end of a fit need not be at its maximum.
    ``doc_topic_prior`` is part of the model, so `transform` and scores use that of the fit, even if
    it has been changed since; ``tol`` determines their accuracy, and may be set for each call.
    Probabilities above zero stay above 1e-18 in float32, 1e-140 in float64. Counts may be in any
    unit: if they are far from 1, a fit divides them by a power of two, and with them the exponents
    of the priors, which count in tokens.

    References
    ----------
    .. [1] Hofmann (1999). Probabilistic Latent Semantic Indexing. SIGIR.
    .. [2] Gaussier and Goutte (2005). Relation between PLSA and NMF and Implications. SIGIR.
    .. [3] Ang and Gillis (2019). Accelerating Nonnegative Matrix Factorization Algorithms Using
       Extrapolation. Neural Computation 31.

    Examples
    --------
    >>> import numpy as np
    >>> from skem import PLSA
    >>> X = np.array([[4, 3, 0, 0], [2, 2, 0, 1], [0, 0, 5, 3], [0, 1, 2, 2]])
    >>> plsa = PLSA(2, random_state=0).fit(X)
    >>> plsa.transform(X).argmax(axis=1)
    array([1, 1, 0, 0])
    """

    _parameter_constraints: dict = {
        **EMEstimatorMixin._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions(set(INITS)), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, *TEMPERATURES, closed="both"), StrOptions({"held-out"})],
        "doc_topic_prior": [Real, "array-like", None],
        "topic_word_prior": [Real, "array-like", None],
        "acceleration": [StrOptions({"auto", "extrapolation", "squarem"}), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    _fixed_online = ("doc_topic_prior", "topic_word_prior")
    _count_power: int  # counts of the fit were divided by 2 to this

    def __init__(
        self,
        n_components: int = 10,
        *,
        init: str | ArrayLike = "svd",
        tol: float = 5e-3,
        max_iter: int = 500,
        n_init: int = 1,
        temperature: float | str = 1.0,
        doc_topic_prior: float | ArrayLike | None = None,
        topic_word_prior: float | ArrayLike | None = None,
        acceleration: str | None = "auto",
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ):
        self.n_components = n_components
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.temperature = temperature
        self.doc_topic_prior = doc_topic_prior
        self.topic_word_prior = topic_word_prior
        self.acceleration = acceleration
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> PLSA:
        """Fit topics to documents.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Counts, or other weights that are not negative.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the document, 0 to leaving it out; default is
            one for each.

        Returns
        -------
        self : PLSA

        Raises
        ------
        ValueError
            If counts are negative, not finite or all zero, or their sum is not in [1e-290, 1e290];
            if there are fewer entries than topics; if a parameter is not valid. The estimator is
            left unchanged.

        Warns
        -----
        ConvergenceWarning
            If the bound is more than ``tol`` below its estimated limit after ``max_iter`` steps.
        """
        self._fit_em(X, sample_weight)
        return self

    def _training_data(
        self, X: Any, sample_weight: ArrayLike | None, *, first: bool, unit: float | None
    ) -> TrainingCounts:
        counts, weight = self._training_counts(X, sample_weight, reset=first)
        unit = unit_of(weight) if unit is None else unit
        weight = in_unit(weight, unit, counts.shape[0])
        power = common_power(counts) if first else self._count_power
        counts = divided(counts, power)
        return TrainingCounts(counts, weight, unit=unit, power=power, n_jobs=self.n_jobs)

    def _problem(self, data: TrainingCounts, *, online: bool = False) -> Problem:
        counts, weight = data.counts, data.weight
        rng = check_random_state(self.random_state)
        doc_prior, word_prior = self._exponents(self.n_components, data)
        make = functools.partial(
            PLSAModel,
            doc_prior=doc_prior,
            word_prior=word_prior,
            weight=weight,
            unit=data.unit,
            sizes=data.sizes,
            power=data.power,
        )
        starts = self._starts(counts, weight, rng)
        temperature, max_iter = 1.0 if online else self.temperature, self.max_iter
        if isinstance(temperature, str):
            temperature, start, max_iter = held_out_temperature(
                lambda t: make(temperature=t),
                counts,
                weight,
                starts[0],
                hidden_share=self.validation_fraction,
                tol=self.tol,
                max_iter=self.max_iter,
                rng=rng,
                n_jobs=self.n_jobs,
            )
            starts = [start]
        return Problem(make(temperature=temperature), starts, max_iter=max_iter)

    def _acceleration_name(self, model: Any) -> str | None:
        return "extrapolation" if self.acceleration == "auto" else self.acceleration

    def _say_how_it_ended(self, state: EMState, data: TrainingCounts) -> None:
        if self.temperature != "held-out" or state.interrupted:  # which stops before the limit
            self._warn_if_not_converged(state)

    def _exponents(self, k: int, data: TrainingCounts) -> tuple[NDArray, NDArray]:
        """Exponents of the priors in the units of weights and counts."""
        priors = {name: getattr(self, name) for name in self._fixed_online}
        p = data.counts.n_features
        return exponents_of(priors, k, p, unit=data.unit, power=data.power)

    def _starts(
        self, counts: Counts, weight: NDArray | None, rng: np.random.RandomState
    ) -> list[PLSAParams]:
        numbers = self.n_components * sum(counts.shape)
        refuse_starts_beyond_memory(self.n_init, float(numbers * counts.dtype.itemsize))
        return [self._start(counts, weight, rng) for _ in range(self.n_init)]

    def _start(
        self, counts: Counts, weight: NDArray | None, rng: np.random.RandomState
    ) -> PLSAParams:
        k, (n, p) = self.n_components, counts.shape
        if isinstance(self.init, str):
            seeds = None
            if np.ndim(self.topic_word_prior) == 2:
                seeds = np.asarray(self.topic_word_prior, np.float64).T
            topics = initial_topics(self.init, counts, weight, k, rng, prior=seeds)
        else:
            given = check_numbers(self.init, "init", (k, p), ("n_components", "n_features"))
            topics = _distributions(given).T.astype(counts.data.dtype)
        topics = at_least(np.ascontiguousarray(topics))
        return PLSAParams(topics, np.full((n, k), 1 / k, topics.dtype))

    def _attributes(self, model: Any, params: PLSAParams | TopicParams) -> dict[str, Any]:
        prior = model.topic_prior(params)
        order = slice(None) if model.keeps_order else self._order(prior)
        prior = prior / prior.sum()
        return {
            "components_": np.ascontiguousarray(params.topics.T[order]),
            "topic_prior_": at_least(prior[order].astype(params.topics.dtype)),
            "temperature_": float(model.temperature),
            "_doc_exponents": np.ldexp(model.doc_prior, model.power),
            "_count_power": model.power,
        }

    # ------------------------------------------------------------------ partial_fit
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> PLSA:
        """Update the fit with a batch of documents by stepwise EM (Cappé and Moulines 2009).

        p(z|d) of the batch is fitted first, and not kept. All words have a small probability in all
        topics, so that later batches may contain new words.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Counts of a batch of documents. The first batch has at least n_components entries.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each document; default is one for each.

        Returns
        -------
        self : PLSA

        Raises
        ------
        ValueError
            As in `fit`; and if temperature is not 1, because stepwise EM is not tempered.
        """
        if self.temperature != 1:
            raise ValueError(
                f"partial_fit needs temperature=1, got {self.temperature!r}. Use fit, or set it."
            )
        self._partial_fit_em(X, sample_weight)
        return self

    def _n_fitted(self) -> int:
        return len(self.components_)

    def _begin_online(self, data: TrainingCounts) -> StepwiseEM:
        """Online EM after a short fit of the first batch."""
        check_batch(data.counts, data.weight)
        problem = self._problem(data, online=True)
        with data.row_blocks() as rows:
            found = self._short_fit(problem, rows)
        topics, prior = TopicParams.of(found.params, data.sizes)
        order = self._order(prior)
        model = self._batch_model(self.n_components, data)
        start = model.after_fit(topics.T[order], prior[order], data.total_weight)
        return StepwiseEM(model, start)

    def _online_model(self, data: TrainingCounts) -> tuple[OnlinePLSAModel, TopicParams]:
        check_batch(data.counts, data.weight)
        model = self._batch_model(len(self.components_), data)
        return model, model.after_fit(self.components_, self.topic_prior_, self._total_weight)

    def _batch_model(self, k: int, data: TrainingCounts) -> OnlinePLSAModel:
        shape = (data.counts.n_features, k)
        return OnlinePLSAModel(*self._exponents(k, data), data.total_weight, shape, data.power)

    def _admit(self, online: StepwiseEM, data: TrainingCounts) -> None:
        check_batch(data.counts, data.weight)


def _distributions(init: NDArray) -> NDArray:
    """Rows of ``init`` as distributions of words.

    Raises
    ------
    ValueError
        If one has no distribution.
    """
    if (init < 0).any() or not init.any(1).all():
        raise ValueError("init must hold weights that are not negative, some in each row.")
    init = np.ldexp(init, -np.frexp(init.max(1, keepdims=True))[1])  # so that sums exist
    return init / init.sum(1, keepdims=True)
