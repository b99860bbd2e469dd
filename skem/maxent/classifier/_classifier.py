"""The maximum-entropy classifier."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state

from skem._callbacks import CallbackSupportMixin, with_callbacks
from skem._interrupts import interrupts_later
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import set_fitted, unchanged_on_error
from skem.maxent.classifier._information import standard_errors
from skem.maxent.classifier._monitor import Monitor
from skem.maxent.classifier._prediction import LogitPredictionMixin
from skem.maxent.classifier._scaled_problem import Problem
from skem.maxent.classifier._training_data import TrainingData, pairs_of, rows_of
from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._best_so_far import solve_or_keep_best
from skem.maxent.classifier.solvers._penalties import penalties, signs_of
from skem.maxent.classifier.solvers._separable import SeparationWatch
from skem.maxent.classifier.solvers._solvers import SOLVERS, Resources, choose, solver_of

_ANY = 1e30
"""A tolerance that any point meets."""


class MaxEntClassifier(CallbackSupportMixin, LogitPredictionMixin, ClassifierMixin, BaseEstimator):
    r"""Maximum-entropy classifier, also known as multinomial logistic regression.

    Among all conditional distributions p(y|x) under which the features f_i(x, y) have the same
    expectations as in the data, it is the one with the largest entropy,

    .. math:: p(y|x) = \exp\Big(\sum_i w_i f_i(x, y)\Big) / Z(x),

    with w by maximum likelihood; a penalty on w is a tolerance on the expectations. Every fit
    computes a proven bound on the distance of its objective from the optimum, `optimality_gap_`.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty, as in
        :class:`~sklearn.linear_model.LogisticRegression`: the objective is that of C times the
        summed loss plus the penalty. ``np.inf`` is no penalty.
    l1_ratio : float, default=0.0
        Share of L1 in the penalty ``l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2``.
    prior_variance : float or array-like, default=None
        Replaces the L2 part by ``sum_j w_j^2 / (2 prior_variance_j)``: a Gaussian prior for each
        weight, with C=1 in the unit of the log-likelihood. ``np.inf`` means no penalty. One number,
        one for each feature, (n_features,), or one for each weight, in the shape of ``coef_``.
    expectation_box : float or array-like, default=None
        Replaces the L1 part by widths A >= 0, in the shapes of ``prior_variance``: the
        expectation of each feature under the model is to be within A of that in the data, both
        means per unit of sample weight; 0 is equality. That is a penalty ``A |w|`` per unit of
        sample weight, whatever ``C``. The L2 part remains and adds to the tolerance: ``C=np.inf``
        has the box alone.
    feature_function : callable, default=None
        Joint features f(x, c). ``feature_function(X, c)`` is called once for each class with all
        of X, which may be anything that has a length, and returns either a dense or sparse matrix
        of shape (n_samples, n_features), or one dictionary for each row, from names to numbers or
        strings (a string value s of a name is the feature "name=s"), in which classes may have
        features of their own. One vector of weights serves all classes. Minus infinity among the
        features of a row says that it cannot have the class, as an alternative that is not
        available. Columns of data frames go by their names. None is x_j 1[y = c].
    weight_signs : int or array-like, default=None
        1 for weights of at least zero, -1 for those of at most zero, 0 for any, in the shapes of
        ``prior_variance``.
    fit_intercept : bool, default=True
        Add the features 1[y = c], which have no penalty.
    class_weight : dict or 'balanced', default=None
        Weights of classes, times ``sample_weight``.
    solver : str, default='auto'
        'auto' selects by shape and penalty the one that was fastest in benchmarks, and reports it
        in `solver_`: 'newton-cholesky', 'block-lbfgs', 'diagonal-lbfgs' or 'row-space'; with L1 or
        boxes 'coordinate-descent' or, for joint features, 'split-lbfgs'. 'gis' and 'iis' are
        generalized and improved iterative scaling as in textbooks, for teaching: they are slow, and
        need non-negative features.
    standard_errors : bool, default=False
        Whether `fit` computes `standard_errors_`.
    tol : float, default=1e-6
        The fit has converged when its duality gap, in nats per unit of sample weight, is at most
        this.
    max_iter : int, default=1000
        Maximum number of steps of the solver.
    warm_start : bool, default=False
        Start from the weights of the last fit.
    n_jobs : int or None, default=None
        Threads; None uses all cores that joblib's context allows.
    random_state : int, RandomState instance or None, default=None
        For the rows that a preconditioner is made of. None is the same draw at each fit, so that
        fits are repeatable by default.
    verbose : int, default=0
        Print each step.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights; with two classes those of the second against the first. With joint features of
        shape (n_features,).
    intercept_ : ndarray of shape (1,) or (n_classes,)
        With joint features (n_classes,), also for two.
    objective_ : float
        Mean loss plus penalty / (C x total weight), in nats per unit of sample weight.
    objectives_ : list of float
        The same at the start and after each step.
    optimality_gap_ : float
        Duality gap, in the unit of ``objective_``: a proof that the optimum is not lower than
        ``objective_ - optimality_gap_``.
    converged_ : bool
        Whether the gap is at most ``tol`` (or 1e-13, which rounding may leave).
    separable_ : bool
        Whether it was proven that the classes are separable by weights without penalty. Those have
        no maximum-likelihood value; the fit stopped while the weights diverged, and warned.
    n_iter_ : int
        Steps of the solver.
    solver_ : str
        The solver that was used.
    feature_expectations_ : dict of two ndarray of shape (n_classes, n_features)
        'empirical' and 'model': mean of x_j 1[y = c] over the data, and of x_j p(c|x). With joint
        features each of shape (n_features,).
    entropy_ : float
        Mean entropy of p(y|x) over the rows, in nats.
    standard_errors_ : dict
        With ``standard_errors=True``: 'coef' and 'intercept', in the shapes of ``coef_`` and
        ``intercept_``, by the observed information: without a penalty those of maximum likelihood,
        with an L2 penalty the deviations of the normal approximation to the posterior. Infinite
        where neither the data nor a penalty determine a weight. With three classes or more, weights
        without a penalty, and intercepts, are those that sum to zero over the classes.
    feature_names_ : ndarray of shape (n_features,)
        Names of joint features in dictionaries and data frames.
    n_features_in_ : int
        Not with joint features.
    feature_names_in_ : ndarray of shape (n_features,)
        Not with joint features.

    See Also
    --------
    MaxEntDistribution : Without classes.

    References
    ----------
    A. L. Berger, S. A. Della Pietra, V. J. Della Pietra, "A maximum entropy approach to natural
    language processing", Computational Linguistics 22, 1996.

    J. Kazama, J. Tsujii, "Evaluation and extension of maximum entropy models with inequality
    constraints", EMNLP 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skem import MaxEntClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = MaxEntClassifier().fit(X, y)  # columns as they come, not scaled
    >>> classifier.converged_, classifier.optimality_gap_ <= 1e-6
    (True, True)
    >>> round(classifier.score(X, y), 3)
    0.958

    Joint features: the cost of each way to travel, one weight for all ways.

    >>> import numpy as np
    >>> costs = np.array([[1.0, 3.0], [2.0, 1.0], [1.0, 2.0], [3.0, 2.5]])
    >>> def cost(X, way):
    ...     return X[:, [["bus", "car"].index(way)]]
    >>> ways = MaxEntClassifier(feature_function=cost).fit(costs, ["bus", "car", "bus", "car"])
    >>> ways.coef_.shape, ways.coef_[0] < 0
    ((1,), np.True_)
    """

    _parameter_constraints: dict = {
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "prior_variance": [Interval(Real, 0, None, closed="right"), "array-like", None],
        "expectation_box": [Interval(Real, 0, None, closed="left"), "array-like", None],
        "feature_function": [callable, None],
        "weight_signs": [Integral, "array-like", None],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "standard_errors": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _stale = ("_vectorizer", "feature_names_", "standard_errors_")  # not set by every fit

    def __init__(
        self,
        C: float = 1.0,
        *,
        l1_ratio: float = 0.0,
        prior_variance: ArrayLike | None = None,
        expectation_box: ArrayLike | None = None,
        feature_function: Callable[[Any, Any], Any] | None = None,
        weight_signs: ArrayLike | None = None,
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        solver: str = "auto",
        standard_errors: bool = False,
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.C = C
        self.l1_ratio = l1_ratio
        self.prior_variance = prior_variance
        self.expectation_box = expectation_box
        self.feature_function = feature_function
        self.weight_signs = weight_signs
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.standard_errors = standard_errors
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.two_d_array = self.feature_function is None
        return tags

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> MaxEntClassifier:
        """Fit the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With ``feature_function``, its input, of length n_samples.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the row, 0 to leaving it out.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Added to the logits, with a coefficient of one; classes in sorted order. With two
            classes one column is that of the second against the first. Minus infinity is for a
            class that a row cannot have. New rows need theirs in ``predict``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If input or parameters are not consistent with each other; the estimator is left
            unchanged.

        Warns
        -----
        ConvergenceWarning
            If the duality gap is above ``tol`` at the end, which says whether ``max_iter`` was
            reached, or at Ctrl-C, which leaves the best weights so far, or if the data are
            separable in weights without a penalty.
        """
        with unchanged_on_error(self):
            joint = self.feature_function is not None
            data = self._training_data(X, y, sample_weight, offset)
            problem = Problem(
                data,
                joint=joint,
                as_given=self.solver != "auto" and SOLVERS[self.solver].as_given,
                intercept=self.fit_intercept,
                n_jobs=self.n_jobs,
            )
            objective = problem.objective(*self._penalties(problem.given))
            name = choose(objective) if self.solver == "auto" else self.solver
            rng = check_random_state(0 if self.random_state is None else self.random_state)
            solve = solver_of(name, objective, Resources(rng, self.n_jobs))
            start = problem.scaled(self._start(data.classes, problem.given))
            watch = SeparationWatch(objective)
            monitor = Monitor(self, problem, watch, data, X=X, y=y, sample_weight=sample_weight)
            with problem:
                options = {"tol": min(self.tol, _ANY), "max_iter": self.max_iter}
                result = solve_or_keep_best(solve, objective, start, each=monitor, **options)
                watch.after(result)
                with interrupts_later() as noted:
                    attributes = problem.fitted(result.theta) | data.attributes()
                    if self.standard_errors:
                        errors = standard_errors(problem, objective, result.theta)
                        attributes["standard_errors_"] = errors
                result.interrupted |= noted.pressed
            attributes |= {
                "objective_": result.value,
                "objectives_": result.values,
                "optimality_gap_": result.gap,
                "converged_": result.converged(self.tol),
                "n_iter_": max(1, result.n_iter),
                "solver_": name,
                "separable_": watch.kind is not None,
                "_had_offset": offset is not None,
            }
            monitor.finish(attributes)
            of_columns = ("n_features_in_", "feature_names_in_") if joint else ()
            set_fitted(self, attributes, stale=(*self._stale, *of_columns))
            monitor.warn(result, self.tol, self.max_iter)
        return self

    def _training_data(
        self, X: Any, y: Any, sample_weight: ArrayLike | None, offset: ArrayLike | None
    ) -> TrainingData:
        """Rows, or with ``feature_function`` pairs of a class and a row."""
        read = rows_of if self.feature_function is None else pairs_of
        return read(self, X, y, sample_weight, offset)

    def _penalties(self, design: LinearDesign | JointDesign) -> tuple[NDArray, NDArray, NDArray]:
        """L2, L1 and signs of the weights."""
        shape = design.matrix(np.zeros(design.n_weights)).shape
        l2, l1 = penalties(
            shape,
            design.total_weight,
            C=self.C,
            l1_ratio=self.l1_ratio,
            prior_variance=self.prior_variance,
            expectation_box=self.expectation_box,
        )
        signs = signs_of(self.weight_signs, shape)
        if self.standard_errors and (l1.any() or signs.any()):
            raise ValueError(
                "standard_errors=True has no meaning with absolute values or signs of weights: "
                "estimates at a bound are not normal. Give l1_ratio=0, expectation_box=None and "
                "weight_signs=None, or standard_errors=False."
            )
        return l2, l1, signs

    def _start(self, classes: NDArray, design: LinearDesign | JointDesign) -> NDArray:
        """Weights and intercepts of the last fit if they are asked for and fit, else zeros."""
        zeros = np.zeros(design.n_params)
        if not self.warm_start or not hasattr(self, "coef_"):
            return zeros
        shape = design.matrix(zeros[: design.n_weights]).shape
        if not np.array_equal(self.classes_, classes) or self.coef_.shape != shape:
            return zeros
        return design.join(self.coef_, self.intercept_).astype(np.float64)
