"""Mixtures of Bernoulli variables (latent class analysis): the estimator."""

from __future__ import annotations

import copy
import reprlib
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import as_numbers
from skem.em import StepwiseEM
from skem.mixture._given import check_names, check_probabilities, check_shares
from skem.mixture._reach import check_strengths
from skem.mixture.bernoulli._model import MARGIN, BernoulliModel, BernoulliParams
from skem.mixture.bernoulli._rows import BernoulliRows, BinaryData
from skem.mixture.bernoulli._starts import AXES, INIT_PARAMS, make_starts


class BernoulliMixtureEM(BernoulliRows):
    r"""Mixture of independent Bernoulli variables fitted by EM (latent class analysis).

    .. math:: p(x) = \sum_{k=1}^{K} w_k \prod_j p_{kj}^{x_j} (1 - p_{kj})^{1 - x_j}

    Parameters
    ----------
    n_components : int, default=2
        Number of components (latent classes) K.
    binarize : float or None, default=0.0
        Values above it are ones; None requires X to hold only zeros and ones. It determines how X
        is read, and is not part of the fitted model: each call uses the current value.
    tol : float, default=1e-6
        EM stops when the estimated distance of the bound to its limit, in nats per row, is at
        most this.
    max_iter : int, default=1000
        Maximum number of EM maps (E steps), with any acceleration.
    n_init : int, default=4
        Number of starts. All are run for a few steps, and only the best are continued.
    init_params : {'k-means++', 'random'}, default='k-means++'
        Components start around rows that are far apart, or from random responsibilities.
    weights_init : array-like of shape (n_components,), default=None
        Initial weights, which sum to one; by default those of the start.
    probabilities_init : array-like of shape (n_components, n_features), default=None
        Initial probabilities of a one; by default those of the start.
    weight_concentration_prior : float, default=1.0
        Dirichlet prior of the weights, at least 1; 1 is flat.
    beta_prior : tuple of two floats, default=(1.0, 1.0)
        Beta(a, b) prior of the probabilities, each at least 1; (1, 1) is flat, (2, 2) adds one
        success and one failure to each.
    acceleration : {'auto', 'quasi-newton', 'squarem'} or None, default='auto'
        How EM is accelerated; None is plain EM, 'auto' is 'quasi-newton'. A step that lowers the
        bound is undone.
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers; pass an int for the same result at each call.
    n_jobs : int, default=None
        Threads over blocks of rows; None uses all cores that joblib's context allows, 1 uses one.
    verbose : int, default=0
        1 prints starts and iterations, 2 also bounds, gaps and times.
    verbose_interval : int, default=10
        Iterations between two prints.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    probabilities_ : ndarray of shape (n_components, n_features)
        Probability of a one.
    converged_ : bool
        Whether ``optimality_gap_ <= tol`` in several consecutive EM maps; False after
        `partial_fit`.
    n_iter_ : int
        EM maps of the best start; after `partial_fit`, the batches since the last `fit`.
    lower_bound_ : float
        The last of `lower_bounds_`.
    lower_bounds_ : list of float
        Bound at the start of each EM map, nats per row (per unit of weight), log prior included;
        never falls. After `partial_fit`, the bound of each batch at the parameters before it,
        which may fall.
    optimality_gap_ : float
        Estimated distance of `lower_bound_` to its limit, nats per row (Aitken); infinite after
        `partial_fit`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    ThreeCoinMixture : Two components with one probability for all columns.
    GaussianMixtureEM : Mixtures of real-valued data.

    References
    ----------
    .. [1] Lazarsfeld and Henry (1968). Latent Structure Analysis.
    .. [2] Bishop (2006). Pattern Recognition and Machine Learning, sec. 9.3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skem import BernoulliMixtureEM
    >>> X = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, np.nan, 1, 1]])
    >>> mixture = BernoulliMixtureEM(2, random_state=0).fit(X)
    >>> mixture.predict(X) == mixture.predict(X)[0]
    array([ True,  True, False, False])
    """

    _parameter_constraints: dict = {
        **BernoulliRows._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS))],
        "weights_init": ["array-like", None],
        "probabilities_init": ["array-like", None],
        "weight_concentration_prior": [Interval(Real, 1, None, closed="left")],
        "beta_prior": [tuple, list],
    }

    _fixed_online = ("weight_concentration_prior", "beta_prior")

    def __init__(
        self,
        n_components: int = 2,
        *,
        binarize: float | None = 0.0,
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 4,
        init_params: str = "k-means++",
        weights_init: ArrayLike | None = None,
        probabilities_init: ArrayLike | None = None,
        weight_concentration_prior: float = 1.0,
        beta_prior: tuple[float, float] = (1.0, 1.0),
        acceleration: str | None = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ):
        self.n_components = n_components
        self.binarize = binarize
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.probabilities_init = probabilities_init
        self.weight_concentration_prior = weight_concentration_prior
        self.beta_prior = beta_prior
        self.acceleration = acceleration
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def _make_model(self, data: BinaryData, *, masked: bool) -> BernoulliModel:
        beta = as_numbers(self.beta_prior)
        if (
            beta is None
            or beta.shape != (2,)
            or not (beta >= 1).all()
            or not np.isfinite(beta).all()
        ):
            raise ValueError(
                f"beta_prior must be two numbers (a, b), each at least 1, got "
                f"{reprlib.repr(self.beta_prior)}."
            )
        with np.errstate(over="ignore"):
            a, b = 1 + (beta - 1) / data.unit
            concentration = 1 + (float(self.weight_concentration_prior) - 1) / data.unit
        strengths = {"beta_prior": max(a, b), "weight_concentration_prior": concentration}
        check_strengths(strengths, data.unit)
        return BernoulliModel(
            data.X.shape[1],
            threshold=self._threshold,
            masked=masked,
            beta=(float(a), float(b)),
            concentration=concentration,
            dtype=data.dtype,
        )

    def _make_starts(
        self, model: BernoulliModel, data: BinaryData, rng: np.random.RandomState
    ) -> list[BernoulliParams]:
        return make_starts(
            model,
            data,
            rng,
            n_components=self.n_components,
            n_init=self.n_init,
            init_params=self.init_params,
            weights_init=self.weights_init,
            probabilities_init=self.probabilities_init,
            n_jobs=self.n_jobs,
        )

    def _attributes(self, model: BernoulliModel, params: BernoulliParams) -> dict[str, Any]:
        return {
            "weights_": params.weights.astype(model.dtype),
            "probabilities_": params.probabilities.astype(model.dtype),
        }

    def _probabilities(self) -> NDArray:
        return np.clip(np.asarray(self.probabilities_, np.float64), MARGIN, 1 - MARGIN)

    def _n_parameters(self) -> int:
        return int(self.probabilities_.size + len(self.weights_) - 1)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> BernoulliMixtureEM:
        """Update the fit with a batch of rows by stepwise EM (Cappé and Moulines 2009).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A batch of rows; NaN where missing. The first batch has at least n_components rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.

        Returns
        -------
        self : BernoulliMixtureEM
        """
        self._partial_fit_em(X, sample_weight)
        return self

    def _n_fitted(self) -> int:
        return len(self.weights_)

    def _online_model(self, data: BinaryData) -> tuple[BernoulliModel, BernoulliParams]:
        weights = np.asarray(self.weights_, np.float64)
        return self._make_model(data, masked=True), BernoulliParams(weights, self._probabilities())

    def _admit(self, online: StepwiseEM[BernoulliModel], data: BinaryData) -> None:
        online.model = copy.copy(online.model)
        online.model.threshold = np.full(online.model.d, self._threshold)

    def _say_of_batch(self, data: BinaryData, *, first: bool) -> None:
        if first:
            self._warn_of_codes(data)

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        probabilities: ArrayLike,
        *,
        feature_names: ArrayLike | None = None,
        **parameters: Any,
    ) -> Self:
        """Make a mixture with given parameters, which can do everything that a fitted one can.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Probabilities of the components, which sum to one.
        probabilities : array-like of shape (n_components, n_features)
            Probability of a one. As in a fit, values outside [1e-12, 1 - 1e-12] count as the
            nearest end of this interval.
        feature_names : array-like of shape (n_features,), default=None
            Names of the columns.
        **parameters : dict
            Other parameters of the estimator, such as ``random_state``.

        Returns
        -------
        mixture : BernoulliMixtureEM
            With ``n_iter_`` 0 and ``converged_`` False: nothing has been fitted. `partial_fit`
            begins with these parameters, which carry the weight of no rows.

        Raises
        ------
        ValueError
            If the shapes of weights and probabilities do not match, or values are out of range.

        Examples
        --------
        >>> from skem import BernoulliMixtureEM
        >>> mixture = BernoulliMixtureEM.from_parameters([0.5, 0.5], [[0.9, 0.8], [0.1, 0.3]])
        >>> mixture.predict([[1, 1], [0, 0]])
        array([0, 1])
        """
        shares = check_shares(weights, "weights")
        shape = np.shape(probabilities)
        k, d = len(shares), shape[1] if len(shape) == 2 and shape[1] else -1
        values = check_probabilities(probabilities, "probabilities", (k, d), AXES)
        names = check_names(feature_names, d)
        mixture = cls(k, **parameters)
        mixture._hold({"weights_": shares, "probabilities_": values}, d, names)
        return mixture

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> tuple[NDArray, NDArray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState instance or None, default=None
            Seed of this call; None is that of the estimator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Zeros and ones.
        y : ndarray of shape (n_samples,)
            Component of each row.
        """
        return self._draw(n_samples, random_state)
