"""Gaussian mixtures: the estimator."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any

from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skem._callbacks import with_callbacks
from skem._interrupts import interrupts_later
from skem._sklearn import Interval, StrOptions, fit_context
from skem._warnings import warn_user
from skem.em import EMState, RowSource, StepwiseEM
from skem.em._estimator import EMEstimatorMixin, Problem
from skem.mixture.gaussian._fitted import FittedGaussianMixture
from skem.mixture.gaussian._information import gaussian_standard_errors
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams
from skem.mixture.gaussian.starts._blur import blur_message
from skem.mixture.gaussian.starts._candidates import INIT_PARAMS
from skem.mixture.gaussian.starts._rows import GaussianRows
from skem.mixture.gaussian.starts._settings import Fitted, Settings
from skem.mixture.gaussian.starts._working import (
    check_batch,
    make_model,
    make_starts,
    to_working,
)


class GaussianMixtureEM(FittedGaussianMixture):
    r"""Gaussian mixture fitted by EM; a drop-in for `sklearn.mixture.GaussianMixture`.

    .. math:: p(x) = \sum_{k=1}^{K} w_k \, N(x \mid \mu_k, \Sigma_k)

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : str, default='full'
        One of 'full', 'tied', 'diag', 'spherical', 'tied_diag' and 'tied_spherical'.
        Structure of the covariances: each component its own matrix, one matrix for all, each its
        own diagonal, each its own variance, one diagonal for all, one variance for all.
    tol : float, default=1e-3
        EM stops when the estimated distance of the bound to its limit, in nats per row, is at
        most this; scikit-learn stops when the last gain was small, which with slow convergence
        is far too early.
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances, in squared units of X: a warning names columns
        in which it decides. It is the variance of noise that blurs the rows: `lower_bound_` is for
        the blurred rows, `score_samples` is the plain density.
    max_iter : int, default=100
        Maximum number of EM maps (E steps), with any acceleration.
    n_init : int, default=1
        Number of starts. All are run for a few steps, and only the best are continued.
    init_params : str, callable or array-like, default='kmeans'
        How starts are made: 'kmeans', 'k-means++', 'random' or 'random_from_data'. Successive
        starts use different coordinates (columns with unit variance, whitened), and even
        ``n_init=1`` compares two (three if there are many rows). An array of shape
        (n_samples, n_components) holds responsibilities. A callable
        ``init(X, n_components, random_state)`` returns responsibilities, or means of shape
        (n_components, n_features).
    weights_init : array-like of shape (n_components,), default=None
        Initial weights, which sum to one; by default those of the start.
    means_init : array-like of shape (n_components, n_features), default=None
        Initial means; by default those of the start.
    precisions_init : array-like, default=None
        Initial precisions, in the shape of `precisions_`; by default those of the start.
    random_state : int, RandomState instance or None, default=None
        For starts, restarts and `sample`.
    warm_start : bool, default=False
        Begin where the last fit ended.
    verbose : int, default=0
        1 prints starts and iterations, 2 also bounds, gaps and times.
    verbose_interval : int, default=10
        Iterations between two prints.
    acceleration : {'auto', 'quasi-newton', 'squarem'} or None, default='auto'
        How EM is accelerated; None is plain EM, 'auto' is 'quasi-newton'. A step that lowers the
        bound is undone.
    collapse : {'report', 'restart', 'remove'}, default='report'
        What to do with a component that collapses onto few rows: list it in `collapsed_` with a
        warning, restart it inside the largest component, or continue without it.
    weight_concentration_prior : float, default=None
        Dirichlet prior of the weights, at least 1; None (or 1) is flat.
    mean_precision_prior : float, default=None
        The means have the prior N(mean_prior, Sigma_k / mean_precision_prior); None is flat.
    mean_prior : array-like of shape (n_features,), default=None
        Default is the mean of X.
    degrees_of_freedom_prior : float, default=None
        Of the inverse Wishart prior of the covariances; default is n_features + 2.
    covariance_prior : array-like, default=None
        Scatter matrix of the inverse Wishart prior, with the shape of one covariance of the type;
        None is no prior.
    standard_errors : bool, default=False
        Whether `fit` computes `standard_errors_`.
    n_jobs : int, default=None
        Threads over blocks of rows; None uses all cores that joblib's context allows, 1 uses one.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        Shape (n_components, n_features, n_features) for 'full', (n_features, n_features) for
        'tied', (n_components, n_features) for 'diag', (n_components,) for 'spherical',
        (n_features,) for 'tied_diag', () for 'tied_spherical'.
    precisions_ : ndarray
        Inverse covariances, same shape.
    precisions_cholesky_ : ndarray
        Factors P with P P' = precision, upper triangular; same shape.
    converged_ : bool
        Whether ``optimality_gap_ <= tol`` in several consecutive EM maps; False after
        `partial_fit`.
    n_iter_ : int
        EM maps of the best start; after `partial_fit`, the batches since the last `fit`.
    lower_bound_ : float
        The last of `lower_bounds_`.
    lower_bounds_ : list of float
        Bound at the start of each EM map, nats per row (per unit of weight), log prior included;
        never falls, and starts again when a component is restarted or removed. After
        `partial_fit`, the bound of each batch at the parameters before it, which may fall.
    optimality_gap_ : float
        Estimated distance of `lower_bound_` to its limit, nats per row (Aitken); infinite after
        `partial_fit`.
    collapsed_ : ndarray of int
        Components that hold less than one row or whose variance is all regularisation.
    standard_errors_ : dict
        With ``standard_errors=True``: asymptotic standard errors of 'weights', 'means' and
        'covariances', from the observed information.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    select_gaussian_mixture : Choose the number of components and the covariance type.
    BernoulliMixtureEM : Mixtures of binary data.

    Notes
    -----
    Rows may have missing values (NaN): they are marginalised, which is maximum likelihood if they
    are missing at random.

    References
    ----------
    .. [1] Dempster, Laird and Rubin (1977). Maximum likelihood from incomplete data via the EM
       algorithm. J. R. Stat. Soc. B 39.
    .. [2] Böhning, Dietz, Schaub, Schlattmann and Lindsay (1994). The distribution of the
       likelihood ratio for mixtures of densities from the one-parameter exponential family.
       Ann. Inst. Stat. Math. 46.
    .. [3] Varadhan and Roland (2008). Simple and globally convergent methods for accelerating the
       convergence of any EM algorithm. Scand. J. Stat. 35.

    Examples
    --------
    >>> import numpy as np
    >>> from skem import GaussianMixtureEM
    >>> X = np.array([[1, 2], [2, 4], [1, 0], [10, 2], [12, 4], [11, np.nan]])
    >>> mixture = GaussianMixtureEM(2, covariance_type="diag", random_state=0).fit(X)
    >>> mixture.means_[:, 0].round(3)
    array([11.   ,  1.333])
    >>> mixture.predict([[0, 0], [np.nan, 3], [12, 3]])
    array([1, 0, 0])
    """

    _parameter_constraints: dict = {
        **EMEstimatorMixin._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS)), callable, "array-like"],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", Real, None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "collapse": [StrOptions({"report", "restart", "remove"})],
        "weight_concentration_prior": [Interval(Real, 1.0, None, closed="left"), None],
        "mean_precision_prior": [Interval(Real, 0.0, None, closed="neither"), None],
        "mean_prior": ["array-like", None],
        "degrees_of_freedom_prior": [Interval(Real, 0.0, None, closed="neither"), None],
        "covariance_prior": ["array-like", Real, None],
        "standard_errors": ["boolean"],
    }

    _stale = ("standard_errors_",)
    _fixed_online = (
        "reg_covar",
        "weight_concentration_prior",
        "mean_precision_prior",
        "mean_prior",
        "degrees_of_freedom_prior",
        "covariance_prior",
    )

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Any = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        acceleration: str | None = "auto",
        collapse: str = "report",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        standard_errors: bool = False,
        n_jobs: int | None = None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.acceleration = acceleration
        self.collapse = collapse
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.standard_errors = standard_errors
        self.n_jobs = n_jobs

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
    ) -> GaussianMixtureEM:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN where missing.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the row, 0 to leaving it out.
        labels : array-like of shape (n_samples,), default=None
            Known component of each row, -1 where unknown: semi-supervised. A labelled row enters
            with log w_k N(x | k).

        Returns
        -------
        self : GaussianMixtureEM

        Raises
        ------
        ValueError
            If input or parameters are inconsistent, or the likelihood has no finite maximum (with
            ``reg_covar=0``); the estimator is then left unchanged.

        Warns
        -----
        ConvergenceWarning
            If the limit is not reached in ``max_iter`` EM maps, or a component collapsed.
        UserWarning
            If ``reg_covar`` decides the fit of a column, which is in small units.
        """
        self._fit_em(X, sample_weight, labels=labels)
        return self

    def _training_data(
        self, X: Any, sample_weight: Any, *, first: bool, unit: float | None, labels: Any
    ) -> GaussianRows:
        rows = self._check_X(X, reset=first, min_samples=2 if first else 1)
        settings = Settings.of(self)
        return GaussianRows(settings, rows, sample_weight, labels, first=first, unit=unit)

    def _problem(self, data: GaussianRows, *, online: bool = False) -> Problem:
        previous = Fitted.of(self) if self.warm_start and hasattr(self, "converged_") else None
        rng = check_random_state(self.random_state)
        model = make_model(data, rng, online=online)
        starts, sample = make_starts(model, data, rng, previous)
        return Problem(model, starts, None if sample is None else data.row_blocks(sample))

    def _more_attributes(
        self, model: GaussianModel, state: EMState, data: GaussianRows, rows: RowSource
    ) -> dict[str, Any]:
        counts = state.params.weights * data.total_weight
        more: dict[str, Any] = {
            "collapsed_": model.collapse.found(state.params, counts),
            "_blur": self._blur_of(model, state.params),
            "_mean_of_fit": model.center,
        }
        if self.standard_errors:
            with interrupts_later() as noted:
                errors = gaussian_standard_errors(model, rows, state.params)
            scaled = {name: error / data.unit**0.5 for name, error in errors.items()}
            more["standard_errors_"] = scaled
            state.interrupted |= noted.pressed
        return more

    def _say_how_it_ended(self, state: EMState, data: GaussianRows) -> None:
        self._warn_if_not_converged(state)
        self._warn_of_blur()
        self._warn_if_collapsed()

    def _blur_of(self, model: GaussianModel, params: GaussianParams) -> str | None:
        names = getattr(self, "feature_names_in_", None)
        return blur_message(model, params, self.reg_covar, names)

    def _warn_of_blur(self) -> None:
        if self._blur is not None:
            warn_user(self._blur, UserWarning)

    def _warn_if_collapsed(self, more: str = "") -> None:
        if len(self.collapsed_):
            warn_user(
                f"Components {self.collapsed_.tolist()} collapsed: they hold less than one row, or "
                "their variance in some direction is all reg_covar. Lower n_components, set "
                "covariance_prior, or choose collapse='restart' or 'remove'." + more,
                ConvergenceWarning,
            )

    # ------------------------------------------------------------------ online
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
    ) -> GaussianMixtureEM:
        """Update the fit with a batch of rows by stepwise EM (Cappé and Moulines 2009).

        The start is made from the first batch (after `fit`, it is the fitted mixture). Each batch
        is one E step and, once every component has seen more than n_features + 1 rows, one M step
        on running statistics; the parameters are averaged over the batches.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A batch of rows; NaN where missing. The first batch has at least n_components rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.
        labels : array-like of shape (n_samples,), default=None
            Known component of each row, -1 where unknown.

        Returns
        -------
        self : GaussianMixtureEM
        """
        self._partial_fit_em(X, sample_weight, labels=labels)
        return self

    def _check_goes_on(self) -> None:
        """Refuse batches if the covariance type or the number of components has been changed.

        This is the number that was asked for: components may have been removed during the fit.
        """
        before = self._fitted_type, self._fitted_components
        if before != (self.covariance_type, self.n_components):
            raise ValueError(
                f"partial_fit began with covariance_type={before[0]!r} and "
                f"n_components={before[1]}, which cannot change between batches; they are "
                f"{self.covariance_type!r} and {self.n_components} now. Set them back, or start "
                "again with a clone."
            )

    def _online_model(self, data: GaussianRows) -> tuple[GaussianModel, GaussianParams]:
        rng = check_random_state(self.random_state)
        mean_of_fit = getattr(self, "_mean_of_fit", None)
        model = make_model(data, rng, mean_of_fit, online=True)
        return model, to_working(model, Fitted.of(self))

    def _admit(self, online: StepwiseEM[GaussianModel], data: GaussianRows) -> None:
        check_batch(online.model, data)
        if data.incomplete and not online.model.incomplete:
            online.model = copy.copy(online.model)
            online.model.incomplete = True

    def _batch_attributes(
        self, online: StepwiseEM[GaussianModel], params: Any, *, first: bool
    ) -> dict[str, Any]:
        found = online.model.collapse.found(params, params.weights * online.weight)
        blur = {"_blur": self._blur_of(online.model, params)} if first else {}
        return {"collapsed_": found, **blur}

    def _say_of_batch(self, data: GaussianRows, *, first: bool) -> None:
        if first:
            self._warn_of_blur()
