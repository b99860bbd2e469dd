"""The maximum-entropy classifier."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import _num_samples, check_is_fitted

from skem._callbacks import CallbackSupportMixin, IterationCallbacks, with_callbacks
from skem._input import validate_data
from skem._interrupts import interrupts_later
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import unchanged_on_error
from skem._warnings import warn_user
from skem.maxent._best_so_far import INTERRUPTED, solve_or_keep_best
from skem.maxent._designs import LinearDesign
from skem.maxent._feature_function import joint_features
from skem.maxent._joint import JointDesign
from skem.maxent._objective import Objective
from skem.maxent._penalties import penalties
from skem.maxent._prediction import LogitPredictionMixin
from skem.maxent._separable import MESSAGE, SeparationWatch
from skem.maxent._smooth import Result
from skem.maxent._solvers import SOLVERS, choose, solver_of
from skem.maxent._training import Training, joint_training, linear_training


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
        features of their own. One vector of weights serves all classes. None is x_j 1[y = c].
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
        For the rows that a preconditioner is made of.
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
    feature_names_ : ndarray of shape (n_features,)
        Names of joint features in dictionaries.
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
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        C: float = 1.0,
        *,
        l1_ratio: float = 0.0,
        prior_variance: ArrayLike | None = None,
        expectation_box: ArrayLike | None = None,
        feature_function: Callable[[Any, Any], Any] | None = None,
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        solver: str = "auto",
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
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
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
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MaxEntClassifier:
        """Fit the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With ``feature_function``, its input, of length n_samples.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is equivalent to repeating the row, 0 to leaving it out.

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
            If the duality gap is above ``tol`` after ``max_iter`` steps or at Ctrl-C, which leaves
            the best weights so far, or if the data are separable in weights without a penalty.
        """
        with unchanged_on_error(self):
            joint = self.feature_function is not None
            data = (joint_training if joint else linear_training)(self, X, y, sample_weight)
            design = (JointDesign if joint else LinearDesign)(
                data.X,
                data.codes,
                data.weight,
                n_classes=len(data.classes),
                intercept=self.fit_intercept,
                n_jobs=self.n_jobs,
            )
            objective = Objective(design, *self._penalties(design))
            name = choose(objective) if self.solver == "auto" else self.solver
            start = self._start(data.classes, design)
            watch = SeparationWatch(objective)
            with design:
                result = self._solve(name, objective, start, watch, X, sample_weight)
                watch.after(result)
                with interrupts_later() as noted:
                    attributes = self._attributes(result, design, data)
                result.interrupted |= noted.pressed
            attributes |= {"solver_": name, "separable_": watch.kind is not None}
            self._forget(joint)
            self.__dict__.update(attributes)
            self._warn(result, watch)
        return self

    def _penalties(self, design: LinearDesign | JointDesign) -> tuple[NDArray, NDArray]:
        return penalties(
            design.matrix(np.zeros(design.n_weights)).shape,
            design.total_weight,
            C=self.C,
            l1_ratio=self.l1_ratio,
            prior_variance=self.prior_variance,
            expectation_box=self.expectation_box,
        )

    def _start(self, classes: NDArray, design: LinearDesign | JointDesign) -> NDArray:
        """Weights and intercepts of the last fit if they are asked for and fit, else zeros."""
        zeros = np.zeros(design.n_params)
        if not self.warm_start or not hasattr(self, "coef_"):
            return zeros
        shape = design.matrix(zeros[: design.n_weights]).shape
        if not np.array_equal(self.classes_, classes) or self.coef_.shape != shape:
            return zeros
        return design.join(self.coef_, self.intercept_).astype(np.float64)

    def _solve(
        self,
        name: str,
        objective: Objective,
        start: NDArray,
        watch: SeparationWatch,
        X: Any,
        sample_weight: Any,
    ) -> Result:
        solve = solver_of(name, objective, check_random_state(self.random_state), self.n_jobs)
        callbacks = IterationCallbacks(
            self,
            n_starts=1,
            max_iter=self.max_iter,
            X=X,
            metadata=None if sample_weight is None else {"sample_weight": sample_weight},
        )

        def each(n_iter: int, value: float, gap: float) -> bool:
            if self.verbose:
                print(f"  Iteration {n_iter}: objective {value:.10g}, gap {gap:.2g}")
            stop = watch.complete()
            if callbacks.active:
                stop |= callbacks.end(callbacks.begin(0), dict)
            return stop

        options = {"tol": self.tol, "max_iter": self.max_iter}
        result = solve_or_keep_best(solve, objective, start, each=each, **options)
        callbacks.finish({})
        return result

    def _attributes(
        self, result: Result, design: LinearDesign | JointDesign, data: Training
    ) -> dict[str, Any]:
        dtype = design.X.dtype
        design.evaluate(result.theta)
        weights, intercepts = design.split(result.theta)
        if design.reference == 0:
            intercepts = intercepts - intercepts.mean()
        attributes = {
            "feature_expectations_": design.expectations(),
            "entropy_": design.entropy(),
            "classes_": data.classes,
            "coef_": design.matrix(weights).astype(dtype),
            "intercept_": intercepts.astype(dtype),
            "objective_": result.value,
            "objectives_": result.values,
            "optimality_gap_": result.gap,
            "converged_": result.converged(self.tol),
            "n_iter_": max(1, result.n_iter),
        }
        if data.vectorizer is not None:
            attributes["_vectorizer"] = data.vectorizer
            attributes["feature_names_"] = data.vectorizer.get_feature_names_out()
        return attributes

    def _forget(self, joint: bool) -> None:
        """Remove what an earlier fit with other kinds of features has left."""
        names = ["_vectorizer", "feature_names_"]
        for name in names + ["n_features_in_", "feature_names_in_"] * joint:
            self.__dict__.pop(name, None)

    def _warn(self, result: Result, watch: SeparationWatch) -> None:
        if watch.kind is not None:
            warn_user(MESSAGE.format(kind=watch.kind), ConvergenceWarning)
        elif result.interrupted:
            warn_user(INTERRUPTED.format(n_iter=result.n_iter, gap=result.gap), ConvergenceWarning)
        elif not self.converged_:
            warn_user(
                f"The fit stopped after {result.n_iter} steps with a duality gap of "
                f"{result.gap:.3g} nats per unit of sample weight, more than tol={self.tol:.3g}. "
                "Increase max_iter, or tol if that is near enough.",
                ConvergenceWarning,
            )

    # ------------------------------------------------------------------ predict
    def decision_function(self, X: Any) -> NDArray:
        """Logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With ``feature_function``, its input.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            With two classes, log p(second class) - log p(first class).
        """
        check_is_fitted(self)
        if self.coef_.ndim == 1:
            return self._joint_decision(X)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        scores = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def _joint_decision(self, X: Any) -> NDArray:
        assert self.feature_function is not None
        pairs, _ = joint_features(
            self.feature_function,
            X,
            self.classes_,
            vectorizer=getattr(self, "_vectorizer", None),
            n_features=len(self.coef_),
        )
        scores = (pairs @ self.coef_).reshape(len(self.classes_), _num_samples(X)).T
        scores = scores + self.intercept_
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores
