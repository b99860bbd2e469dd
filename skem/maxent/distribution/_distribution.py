"""The distribution of largest entropy under constraints on expectations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skem._input import validate_data
from skem._sklearn import Interval, fit_context
from skem._validation import check_positive_integer, check_weights, unchanged_on_error
from skem._warnings import warn_user
from skem.maxent.distribution._constraints import from_constraints, from_data, read_constraints
from skem.maxent.distribution._density import Density
from skem.maxent.distribution._fit import fitted_attributes
from skem.maxent.distribution._parameters import Parameters, read_parameters
from skem.maxent.distribution.problem._problem import Problem


class MaxEntDistribution(DensityMixin, BaseEstimator):
    r"""The distribution of largest entropy under constraints on expectations.

    .. math::

        \max_p \; -\mathrm{E} \log \frac{p(x)}{b(x)} \quad \text{with} \quad
        \mathrm{E} f_i(x) = \tau_i, \qquad
        p(x) = \frac{b(x)}{Z} \exp \Big( -\sum_i \lambda_i f_i(x) \Big),

    with the base b = 1 unless one is given. Constraints come from data (`fit`) or are given
    (`fit_moments`), as equalities or as bounds. Note the sign of the multipliers, which is that
    of [1]_, eq. 20: a positive one makes large values of its function rare.

    Parameters
    ----------
    features : int or sequence of callables, default=2
        The functions f_i. An integer m means the powers x, ..., x^m (of each column, where several
        columns are described together). A callable gets an array of n numbers and returns n
        numbers; where support is a matrix of points or a box, it gets an array of n rows.
    support : tuple, or array-like of points, default=(-inf, inf)
        A tuple (low, high) is an interval, a half line or the line. A tuple of such tuples, all
        finite, is a box in up to three dimensions. A list or array is a finite set of points,
        numbers or rows. Beware that ``[0, 1]`` is two points and ``(0, 1)`` an interval.
    base : callable, array-like of shape (n_points,) or None, default=None
        The base b, a density or, on points, a weight each, which need not sum to one; the
        Kullback-Leibler divergence to it is minimised. A callable gets what features get. None is
        the uniform base (Lebesgue or counting measure).
    tol : float, default=1e-10
        How far the dual may be above its minimum, in nats. Newton's method then continues up to
        rounding errors.
    max_iter : int, default=200
        Maximum number of Newton steps.
    random_state : int, RandomState instance or None, default=None
        Seed of `sample`; pass an int for the same result at each call.

    Attributes
    ----------
    multipliers_ : ndarray of shape (n_constraints,) or (n_columns, n_constraints)
        The lambda_i, nats per unit of f_i. The second shape is that of `fit` on an interval, a
        half line or the line, where each column is described on its own (a product of
        distributions), and of `fit_moments` there if its constraints had it. For functions that are
        linearly dependent on the support, those of least norm (in units of their spread).
    log_partition_ : float
        log Z in nats, summed over columns that are described on their own.
    entropy_ : float
        -E log p in nats, differential where the support is not finite.
    kl_divergence_ : float
        E log p / b in nats for b normalised to one (as given if its integral is infinite); it was
        minimised. ``-entropy_`` without a base.
    moments_ : ndarray, shaped as `multipliers_`
        E f_i under the fitted distribution.
    active_ : ndarray of str, shaped as `multipliers_`
        'equal' for an equality, 'lower' or 'upper' for a bound with a multiplier, or that leaves
        points of a finite support no probability, 'none' for one that changes nothing.
    points_ : ndarray of shape (n_points,) or (n_points, n_columns)
        The support, where it is finite.
    probabilities_ : ndarray of shape (n_points,)
        Probability of each of `points_`.
    boundary_ : bool
        Whether the constraints lie on the boundary of what is possible on a finite support, so that
        some points must have probability zero. The distribution is then the limit, and multipliers
        describe it on the other points (infinite multipliers give the rest probability zero).
    optimality_gap_ : float
        Estimated distance of the dual to its minimum in nats (half the squared Newton decrement),
        summed over columns; zero for closed forms.
    converged_ : bool
        Whether ``optimality_gap_ <= tol`` for each column.
    n_iter_ : int
        Newton steps, of the column that took most.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    GaussianMixtureEM : Densities of real data with several modes.

    Notes
    -----
    The dual :math:`\log Z(\lambda) + \lambda^\top \tau` is convex; its gradient is
    :math:`\tau - \mathrm{E} f`, its Hessian :math:`\mathrm{Cov} f` [3]_. It is minimised by
    Newton's method in coordinates in which the functions are white. Integrals over intervals use
    Gauss-Legendre panels that are halved until both halves agree with the whole to 1e-13.

    References
    ----------
    .. [1] Su Jianlin (2015). Entropy, the maximum-entropy principle and model.
       https://kexue.fm/archives/3552
    .. [2] Jaynes (1957). Information theory and statistical mechanics. Phys. Rev. 106, 620-630.
    .. [3] Mead and Papanicolaou (1984). Maximum entropy in the problem of moments. J. Math. Phys.
       25, 2404-2417.
    .. [4] Kazama and Tsujii (2003). Evaluation and extension of maximum entropy models with
       inequality constraints. EMNLP, 137-144.

    Examples
    --------
    A die whose mean is 4.5 instead of 3.5 (Jaynes).

    >>> from skem import MaxEntDistribution
    >>> die = MaxEntDistribution(1, support=[1, 2, 3, 4, 5, 6]).fit_moments([4.5])
    >>> die.probabilities_.round(4)
    array([0.0544, 0.0788, 0.1142, 0.1654, 0.2398, 0.3475])
    >>> die.multipliers_.round(4), round(die.entropy_, 4)
    (array([-0.371]), 1.6136)
    """

    _parameter_constraints: dict = {
        "features": [Interval(Integral, 1, None, closed="left"), list, tuple],
        "support": [tuple, "array-like"],
        "base": [callable, "array-like", None],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        features: int | Iterable[Callable] = 2,
        *,
        support: Any = (-np.inf, np.inf),
        base: Callable | ArrayLike | None = None,
        tol: float = 1e-10,
        max_iter: int = 200,
        random_state: Any = None,
    ):
        self.features = features
        self.support = support
        self.base = base
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    # ------------------------------------------------------------------ fits
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
        """Take the expectations from data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the support. On an interval, a half line or the line each column is described
            on its own; on points and on a box all are described together.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the row, 0 to leaving it out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X does not lie on the support, or no distribution of largest entropy exists; the
            estimator is left unchanged.

        Warns
        -----
        ConvergenceWarning
            If the limit is not reached in ``max_iter`` Newton steps.
        """
        with unchanged_on_error(self):
            parameters = self._parsed_parameters()
            X = self._check_X(X, reset=True).astype(np.float64)
            weight = check_weights(sample_weight, X)
            if weight is not None:
                X, weight = X[weight > 0], weight[weight > 0]
            product = parameters.support.by_column
            self._solve(from_data(parameters, X, weight), product=product)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_moments(
        self,
        moments: ArrayLike | None = None,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> Any:
        """Take expectations as given constraints.

        Parameters
        ----------
        moments : array-like of shape (n_constraints,) or (n_columns, n_constraints), default=None
            The expectations of the functions; NaN where one is not known, or only bounded. With
            powers of several columns on points or a box: all powers of the first column, then of
            the second, and so on. On an interval, rows are distributions of columns of their own.
        lower, upper : array-like, shaped as moments, default=None
            Bounds of expectations; NaN or infinite where there is none.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If constraints contradict each other or the support, or no distribution of largest
            entropy exists under them. It says which constraint, and why. The estimator is left
            unchanged.

        Warns
        -----
        ConvergenceWarning
            If the limit is not reached in ``max_iter`` Newton steps.
        """
        with unchanged_on_error(self):
            parameters = self._parsed_parameters()
            given = read_constraints(parameters, moments, lower, upper)
            n_columns = parameters.support.n_columns
            self.n_features_in_ = n_columns or len(np.atleast_2d(given.lower))
            self.__dict__.pop("feature_names_in_", None)
            self._solve(from_constraints(parameters, given), product=given.lower.ndim == 2)
        return self

    def _parsed_parameters(self) -> Parameters:
        return read_parameters(self.features, self.support, self.base, self.tol, self.max_iter)

    def _solve(self, problems: list[Problem], *, product: bool) -> None:
        attributes = fitted_attributes(problems, product=product)
        for name in ("points_", "probabilities_"):
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)
        if not self.converged_:
            warn_user(
                f"The fit did not converge in max_iter={self.max_iter} Newton steps: the dual is "
                f"an estimated {self.optimality_gap_:.3g} nats above its minimum. Increase "
                "max_iter, or check whether the constraints are nearly impossible.",
                ConvergenceWarning,
            )

    def _check_X(self, X: ArrayLike, *, reset: bool = False) -> NDArray:
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_min_samples=2 if reset else 1,
        )

    @property
    def _is_product(self) -> bool:
        return self._densities[0].support.by_column

    # ------------------------------------------------------------------ use
    def score_samples(self, X: ArrayLike) -> NDArray:
        """Log-density of each row, log p(x) in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Log-probability on a finite support; minus infinity off the support.
        """
        return self._of_rows(lambda density, rows: density.log_density(rows), X)

    def log_density_ratio(self, X: ArrayLike) -> NDArray:
        """Log of the density relative to the base, log p(x) / b(x) in nats, at any rows.

        Where support is a finite set of points, rows need not be among them. If the points are a
        sample of some population (``base=np.full(n, 1 / n)``), these are the log importance weights
        of its other members. The base is normalised as it is for `kl_divergence_`, which is the
        expectation of this under the fitted distribution.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_ratio : ndarray of shape (n_samples,)
            ``-f(x) @ multipliers_`` plus a constant; minus infinity off an interval or a box, and
            at points whose probability is zero.

        Raises
        ------
        ValueError
            If the constraints lie on the boundary of what is possible on a finite support
            (`boundary_`), and X has rows that are not among its points.
        """
        return self._of_rows(lambda density, rows: density.log_ratio(rows), X)

    def _of_rows(self, function: Callable[[Density, NDArray], NDArray], X: ArrayLike) -> NDArray:
        """A logarithm of the density, summed over columns that are described on their own."""
        check_is_fitted(self)
        X = self._check_X(X)
        values = X.astype(np.float64)
        if not self._is_product:
            return function(self._densities[0], values).astype(X.dtype, copy=False)
        columns = zip(self._densities, values.T, strict=True)
        logs = np.sum([function(density, x) for density, x in columns], axis=0)
        return logs.astype(X.dtype, copy=False)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean of the log-density per row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.

        Returns
        -------
        log_likelihood : float
            Higher is better. On the data of an unweighted fit without a base it is minus the
            entropy.
        """
        log_prob = self.score_samples(X)
        return float(np.average(log_prob, weights=check_weights(sample_weight, log_prob)))

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> NDArray:
        """Draw rows.

        Exact on points, and for uniform, normal and exponential distributions. Otherwise by the
        inverse of the distribution function (side after side in a box), which is as accurate as
        the integrals: to about 1e-12 of probability.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; that of the estimator if None.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        n = check_positive_integer(n_samples, "n_samples")
        rng = check_random_state(self.random_state if random_state is None else random_state)
        if self._is_product:
            return np.column_stack([density.draw(n, rng) for density in self._densities])
        return self._densities[0].draw(n, rng)

    def expectation(self, f: Callable) -> Any:
        """Expectation of any function under the distribution.

        Parameters
        ----------
        f : callable
            It gets what features get, an array of n numbers (or n rows on a matrix of points and
            in a box), and returns n numbers.

        Returns
        -------
        value : float or ndarray of shape (n_columns,)
            E f(x); where columns are described on their own, that of each column, unless
            constraints of shape (n_constraints,) were given.

        Raises
        ------
        ValueError
            If f does not return n numbers, or its expectation is not finite.
        """
        check_is_fitted(self)
        values = np.array([density.expectation(f) for density in self._densities])
        return values if self.multipliers_.ndim == 2 else float(values[0])
