"""Latent Dirichlet allocation by variational inference: the estimator."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skem._callbacks import with_callbacks
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import check_numbers
from skem.em import EMState, StepwiseEM
from skem.em._estimator import EMEstimatorMixin, Problem
from skem.topics._counts import Counts, TrainingCounts
from skem.topics._priors import check_prior, check_range
from skem.topics._starts import INITS, initial_topics
from skem.topics._units import check_tokens, range_of
from skem.topics.lda._alike import warn_if_alike
from skem.topics.lda._documents import NEW_STEPS, LDADocuments
from skem.topics.lda._model import LDAModel, LDAParams
from skem.topics.lda._online import OnlineLDAModel, make_model

_STEPS, _TOL = 10, 1e-3
"""Steps for each document in one E step, which starts where the last one ended, and their tolerance
in tokens per topic."""

_MOST_STEPS = 2**31 - 1
"""To which kernels can count."""

_AGE_OF_A_FIT = 100
"""M steps that a fit counts for in `partial_fit`: priors are learned, at the longer intervals."""


class LatentDirichletAllocationVB(LDADocuments):
    r"""Latent Dirichlet allocation by variational inference on sparse counts.

    Each document draws its mixture of topics, and each topic its words, from a Dirichlet
    distribution,

    .. math:: \theta_d \sim \mathrm{Dir}(\alpha), \quad \phi_z \sim \mathrm{Dir}(\eta), \quad
              z \sim \theta_d, \quad w \sim \phi_z.

    Parameters
    ----------
    n_components : int, default=10
        Number of topics.
    doc_topic_prior : float or array-like of shape (n_components,), default=None
        The parameters alpha, from 1e-15 to 1e10; None is 1 / n_components. With ``learn_priors``,
        these are the initial values.
    topic_word_prior : float or array-like, default=None
        The parameter eta, likewise. An array of shape (n_features,) or (n_components, n_features)
        has a parameter for each word, or for each word of each topic, and is not learned. It counts
        in tokens, and seeds topics: those with larger values for some words start with these words.
    inference : {'cvb0', 'vb'}, default='cvb0'
        Collapsed variational Bayes of order zero, which is fast and predicts best, or classical
        variational Bayes, which has a bound.
    learn_priors : bool, default=True
        Learn alpha (one number per topic) and eta by Minka's fixed points.
    init : {'random', 'random_documents', 'svd'} or array-like, default='random_documents'
        Initial topics, as in `PLSA`; an array of shape (n_components, n_features) holds the
        Dirichlet parameters of the topics, that is expected counts plus eta.
    tol : float, default=1e-3
        The fit ends when the estimated distance of `lower_bound_` to its limit, in nats per token,
        is at most this.
    max_iter : int, default=500
        Maximum number of passes over the documents.
    max_doc_iter : int, default=10
        Steps for each document in a pass of 'vb', which start where the last pass ended, and in
        `partial_fit`, where 'cvb0' takes several too.
    doc_tol : float, default=1e-3
        They end when expected counts change by less than this, per topic ('vb'), or as a share of
        the tokens of the document ('cvb0').
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers; pass an int for the same result at each call.
    n_jobs : int, default=None
        Threads over blocks of documents; None uses all cores that joblib's context allows, 1 uses
        one.
    verbose : int, default=0
        1 prints iterations, 2 also bounds, gaps and times.
    verbose_interval : int, default=10
        Iterations between two prints.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        E[p(w|z)], the most frequent topic first (`partial_fit` keeps the order that the first
        batch gave); each row sums to one.
    topic_counts_ : ndarray of shape (n_components, n_features)
        Expected counts of words in topics plus eta; with 'vb', the Dirichlet parameters of the
        topics. scikit-learn calls these ``components_``.
    doc_topic_prior_ : ndarray of shape (n_components,)
        The parameters alpha.
    topic_word_prior_ : float or ndarray of shape (n_components, n_features)
        The parameter eta, or the parameters that were given.
    topic_prior_ : ndarray of shape (n_components,)
        E[p(z|d)] of a document that has not been seen, alpha / sum(alpha).
    converged_ : bool
        Whether ``optimality_gap_ <= tol``; False after `partial_fit`.
    n_iter_ : int
        Passes; after `partial_fit`, the batches since the last `fit`.
    lower_bound_ : float
        The last of `lower_bounds_`.
    lower_bounds_ : list of float
        With 'vb', the evidence lower bound at the start of each pass, nats per token; never falls.
        With 'cvb0', which has no bound, the log-likelihood at the mean parameters, nats per token,
        which may fall. After `partial_fit`, that of each batch.
    optimality_gap_ : float
        Estimated distance of `lower_bound_` to its limit, nats per token (Aitken); infinite after
        `partial_fit`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    PLSA : The same without distributions over the parameters.
    sklearn.decomposition.LatentDirichletAllocation : Classical variational Bayes.

    References
    ----------
    .. [1] Blei, Ng and Jordan (2003). Latent Dirichlet Allocation. JMLR 3.
    .. [2] Asuncion, Welling, Smyth and Teh (2009). On Smoothing and Inference for Topic Models.
       UAI.
    .. [3] Hoffman, Blei and Bach (2010). Online Learning for Latent Dirichlet Allocation. NIPS.
    .. [4] Minka (2000). Estimating a Dirichlet Distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from skem import LatentDirichletAllocationVB
    >>> X = np.array([[4, 3, 0, 0], [2, 2, 0, 1], [0, 0, 5, 3], [0, 1, 2, 2]])
    >>> lda = LatentDirichletAllocationVB(2, random_state=0).fit(X)
    >>> lda.transform(X).argmax(axis=1)
    array([1, 1, 0, 0])
    """

    _parameter_constraints: dict = {
        **{
            name: allowed
            for name, allowed in EMEstimatorMixin._parameter_constraints.items()
            if name != "acceleration"
        },
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "doc_topic_prior": [Real, "array-like", None],
        "topic_word_prior": [Interval(Real, 0, None, closed="neither"), "array-like", None],
        "inference": [StrOptions({"cvb0", "vb"})],
        "learn_priors": ["boolean"],
        "init": [StrOptions(set(INITS)), "array-like"],
        "max_doc_iter": [Interval(Integral, 1, None, closed="left")],
        "doc_tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    acceleration = None
    _fixed_online = ("doc_topic_prior", "topic_word_prior", "inference", "learn_priors")

    def __init__(
        self,
        n_components: int = 10,
        *,
        doc_topic_prior: float | ArrayLike | None = None,
        topic_word_prior: float | ArrayLike | None = None,
        inference: str = "cvb0",
        learn_priors: bool = True,
        init: str | ArrayLike = "random_documents",
        tol: float = 1e-3,
        max_iter: int = 500,
        max_doc_iter: int = _STEPS,
        doc_tol: float = _TOL,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ):
        self.n_components = n_components
        self.doc_topic_prior = doc_topic_prior
        self.topic_word_prior = topic_word_prior
        self.inference = inference
        self.learn_priors = learn_priors
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.max_doc_iter = max_doc_iter
        self.doc_tol = doc_tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> LatentDirichletAllocationVB:
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
        self : LatentDirichletAllocationVB

        Raises
        ------
        ValueError
            If counts are negative or not finite, or all are zero, or so large or so small that
            products of them exceed the range of their dtype; if there are fewer entries than
            topics; if a parameter is not valid. The estimator is left unchanged.

        Warns
        -----
        ConvergenceWarning
            If the fit ends after ``max_iter`` passes at a distance of more than ``tol`` from its
            limit.
        UserWarning
            If X holds fractions, such as tf-idf, that do not outweigh the priors, and all topics,
            or half of them, are alike.
        """
        self._fit_em(X, sample_weight)
        return self

    def _training_data(
        self, X: Any, sample_weight: ArrayLike | None, *, first: bool, unit: float | None
    ) -> TrainingCounts:
        counts, weight = self._training_counts(X, sample_weight, reset=first)
        check_tokens(counts, weight)
        return TrainingCounts(counts, weight, n_jobs=self.n_jobs)

    def _problem(self, data: TrainingCounts, *, online: bool = False) -> Problem:
        start = self._start(data.counts, data.weight, check_random_state(self.random_state))
        _, extra = self._word_prior(data.counts.n_features)
        return Problem(self._make_model(extra), [start])

    def _say_how_it_ended(self, state: EMState, data: TrainingCounts) -> None:
        self._warn_if_not_converged(state)
        warn_if_alike(self.components_, data.total_weight / len(data.counts.data))

    def _make_model(self, extra: NDArray | None, max_doc_iter: int | None = None) -> LDAModel:
        steps = self.max_doc_iter if max_doc_iter is None else max_doc_iter
        return make_model(
            self.inference,
            learn_priors=self.learn_priors,
            max_doc_iter=min(steps, _MOST_STEPS),
            doc_tol=float(self.doc_tol),
            extra=extra,
        )

    def _word_prior(self, p: int) -> tuple[float, NDArray | None]:
        """The least Dirichlet parameter of words in topics, and what others have above it (p, k).

        The latter is None for one number.
        """
        k = self.n_components
        shapes = {"(n_features,)": (p,), "(n_components, n_features)": (k, p)}
        prior = check_range(
            check_prior(self.topic_word_prior, "topic_word_prior", shapes), "topic_word_prior"
        )
        if prior is None or prior.ndim == 0:
            return 1 / k if prior is None else float(prior), None
        eta = float(prior.min())
        return eta, np.array(np.broadcast_to(prior - eta, (k, p)).T, np.float64)

    def _start(
        self, counts: Counts, weight: NDArray | None, rng: np.random.RandomState
    ) -> LDAParams:
        k, p = self.n_components, counts.n_features
        alpha = check_prior(self.doc_topic_prior, "doc_topic_prior", {"(n_components,)": (k,)})
        alpha = check_range(alpha, "doc_topic_prior")
        alpha = np.array(np.broadcast_to(1 / k if alpha is None else alpha, (k,)), np.float64)
        eta, extra = self._word_prior(p)
        sizes, dtype = counts.sizes(), counts.dtype
        if isinstance(self.init, str):
            total = sizes.sum() if weight is None else weight @ sizes
            words = initial_topics(self.init, counts, weight, k, rng, prior=extra) * (total / k)
            words = words if extra is None else words + extra
        else:
            given = check_numbers(self.init, "init", (k, p), ("n_components", "n_features"))
            words = _counts_of(given, eta, extra, dtype)
        docs = np.outer(sizes, np.full(k, 1 / k))
        return LDAParams(np.ascontiguousarray(words, dtype), docs.astype(dtype), alpha, eta)

    def _attributes(self, model: Any, params: LDAParams) -> dict[str, Any]:
        dtype = params.words.dtype
        order = slice(None) if model.keeps_order else self._order(params.words.sum(0))
        counts = np.ascontiguousarray((params.words + dtype.type(params.eta)).T[order])
        alpha = params.alpha[order]
        extra = model.extra
        return {
            "components_": counts / counts.sum(1, keepdims=True),
            "topic_counts_": counts,
            "doc_topic_prior_": alpha.copy(),
            "topic_word_prior_": float(params.eta) if extra is None else (extra + params.eta).T,
            "topic_prior_": (alpha / alpha.sum()).astype(dtype),
            "_inference": self.inference,
        }

    # ------------------------------------------------------------------ partial_fit
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> LatentDirichletAllocationVB:
        """Update the fit with a batch of documents: online variational inference.

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
        self : LatentDirichletAllocationVB
        """
        self._partial_fit_em(X, sample_weight)
        return self

    def _n_fitted(self) -> int:
        return len(self.components_)

    def _begin_online(self, data: TrainingCounts) -> StepwiseEM:
        """Online inference after a short fit of the first batch."""
        problem = self._problem(data, online=True)
        with data.row_blocks() as rows:
            params = self._short_fit(problem, rows).params
        order = self._order(params.words.sum(0))
        words, alpha = np.ascontiguousarray(params.words[:, order]), params.alpha[order]
        params = params._replace(words=words, alpha=alpha, docs=params.docs[:0])
        _, extra = self._word_prior(data.counts.n_features)
        return StepwiseEM(OnlineLDAModel(self._make_model(extra, NEW_STEPS)), params)

    def _online_model(self, data: TrainingCounts) -> tuple[OnlineLDAModel, LDAParams]:
        prior = np.asarray(self.topic_word_prior_)  # of the fit, even if it has been changed since
        eta = float(prior.min())
        model = OnlineLDAModel(self._make_model((prior - eta).T if prior.ndim else None, NEW_STEPS))
        words = np.ascontiguousarray(np.maximum(self.topic_counts_.T - eta, 0.0))
        docs = np.empty((0, len(self.components_)), words.dtype)
        return model, LDAParams(words, docs, self.doc_topic_prior_, eta, _AGE_OF_A_FIT)

    def _say_of_batch(self, data: TrainingCounts, *, first: bool) -> None:
        if first:
            warn_if_alike(self.components_, self._total_weight / len(data.counts.data))


def _counts_of(init: NDArray, eta: float, extra: NDArray | None, dtype: np.dtype) -> NDArray:
    """Expected counts (p, k) that Dirichlet parameters ``init`` (k, p) have above ``eta``.

    Raises
    ------
    ValueError
        If they are below those of the prior, or their sum leaves the range of the dtype.
    """
    words = init.T - eta
    if (words < (0 if extra is None else extra)).any():
        raise ValueError(
            "init holds Dirichlet parameters, at least those of words in topics by the prior, "
            f"topic_word_prior, whose least is {eta:g}; got {init.min():g} as the smallest."
        )
    most = range_of(dtype)[1]
    if init.max() > most / init.size:
        raise ValueError(
            f"init holds {init.max():.3g}; Dirichlet parameters count in tokens, and in {dtype} "
            f"their sum must be at most {most:.0e}. Divide init by a constant."
        )
    return words
