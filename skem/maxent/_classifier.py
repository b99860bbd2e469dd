"""The maximum-entropy classifier."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skem._callbacks import CallbackSupportMixin, IterationCallbacks, with_callbacks
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import check_weights, unchanged_on_error
from skem._warnings import warn_user
from skem.maxent._designs import LinearDesign
from skem.maxent._objective import Objective
from skem.maxent._smooth import Result
from skem.maxent._solvers import SOLVERS, choose, solver_of


class MaxEntClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    r"""Maximum-entropy classifier, also known as multinomial logistic regression.

    Of all conditional distributions p(y|x) under which the features f_i(x, y) have the
    expectations that they have in the data, it is the one of largest entropy,

    .. math:: p(y|x) = \exp\Big(\sum_i w_i f_i(x, y)\Big) / Z(x),

    with w by maximum likelihood; a penalty on w is a tolerance on the expectations. Every fit ends
    with a proof of how far its objective is from the optimum, `optimality_gap_`.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty, as in
        :class:`~sklearn.linear_model.LogisticRegression`: the objective is that of C times the
        summed loss plus the penalty. ``np.inf`` is no penalty.
    l1_ratio : float, default=0.0
        Share of L1 in the penalty l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2.
    fit_intercept : bool, default=True
        Add the features 1[y = c], which have no penalty.
    class_weight : dict or 'balanced', default=None
        Weights of classes, times ``sample_weight``.
    solver : {'auto', 'newton-cholesky', 'block-lbfgs', 'diagonal-lbfgs'}, default='auto'
        'auto' picks by shape and penalty what was measured best, and says which in `solver_`.
    tol : float, default=1e-6
        The fit ends when its duality gap, in nats per unit of sample weight, is at most this.
    max_iter : int, default=1000
        Steps of the solver at the most.
    warm_start : bool, default=False
        Start from the weights of the last fit.
    n_jobs : int or None, default=None
        Threads; None is all that joblib's context allows.
    random_state : int, RandomState instance or None, default=None
        For the rows that a preconditioner is made of.
    verbose : int, default=0
        Print each step.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights; with two classes those of the second against the first.
    intercept_ : ndarray of shape (1,) or (n_classes,)
    objective_ : float
        Mean loss plus penalty / (C x total weight), in nats per unit of sample weight.
    objectives_ : list of float
        The same at the start and after each step.
    optimality_gap_ : float
        Duality gap, in the unit of ``objective_``: a proof that the optimum is not lower than
        ``objective_ - optimality_gap_``.
    converged_ : bool
        Whether the gap is at most ``tol`` (or 1e-13, which rounding may leave).
    n_iter_ : int
        Steps of the solver.
    solver_ : str
        The solver that was used.
    feature_expectations_ : dict of two ndarray of shape (n_classes, n_features)
        'empirical' and 'model': mean of x_j 1[y = c] over the data, and of x_j p(c|x).
    entropy_ : float
        Mean entropy of p(y|x) over the rows, in nats.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    MaxEntDistribution : Without classes.

    References
    ----------
    A. L. Berger, S. A. Della Pietra, V. J. Della Pietra, "A maximum entropy approach to natural
    language processing", Computational Linguistics 22, 1996.

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
    """

    _parameter_constraints: dict = {
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
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
        return tags

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MaxEntClassifier:
        """Fit the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of 2 is a row twice, of 0 a row left out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If input or parameters do not fit each other; the estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            If the duality gap is above ``tol`` after ``max_iter`` steps.
        """
        with unchanged_on_error(self):
            X, codes, classes, weight = self._check_training_data(X, y, sample_weight)
            theta = self._warm_start(classes, X.shape[1])
            design = LinearDesign(
                X,
                codes,
                weight,
                n_classes=len(classes),
                intercept=self.fit_intercept,
                n_jobs=self.n_jobs,
            )
            with design:
                name, result = self._solve(design, theta, X, sample_weight)
                attributes = self._attributes(result, design, classes) | {"solver_": name}
            self.__dict__.update(attributes)
            if not self.converged_:
                self._warn_not_converged(result)
        return self

    def _check_training_data(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Any, NDArray, NDArray, NDArray | None]:
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C"
        )
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        weight = check_weights(sample_weight, X)
        if len(classes) < 2:
            raise ValueError(
                f"y holds one class only, {classes[0]!r}: there is nothing to tell apart. Give "
                "rows of at least two classes."
            )
        if self.class_weight is not None:
            by_class = compute_class_weight(
                self.class_weight, classes=classes, y=y, sample_weight=weight
            )
            weight = by_class[codes] * (1.0 if weight is None else weight)
        if weight is not None and not weight.all():
            X, codes, weight = X[weight > 0], codes[weight > 0], weight[weight > 0]
        return X, codes, classes, weight

    def _warm_start(self, classes: NDArray, n_features: int) -> NDArray | None:
        """Weights and intercepts of the last fit, if they are of the same shape."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        if not np.array_equal(self.classes_, classes) or self.coef_.shape[1] != n_features:
            return None
        parts = [self.coef_.ravel()] + [self.intercept_] * self.fit_intercept
        return np.concatenate(parts).astype(np.float64)

    def _solve(
        self, design: LinearDesign, theta: NDArray | None, X: Any, sample_weight: Any
    ) -> tuple[str, Result]:
        strength = 1 / (self.C * design.total_weight)
        ones = np.ones(design.n_weights)
        objective = Objective(
            design, (1 - self.l1_ratio) * strength * ones, self.l1_ratio * strength * ones
        )
        name = choose(objective) if self.solver == "auto" else self.solver
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
            if not callbacks.active:
                return False
            return callbacks.end(callbacks.begin(0), dict)

        solve = solver_of(name, objective, check_random_state(self.random_state), self.n_jobs)
        start = np.zeros(design.n_params) if theta is None else theta
        result = solve(objective, start, tol=self.tol, max_iter=self.max_iter, each=each)
        callbacks.finish({})
        return name, result

    def _attributes(self, result: Result, design: LinearDesign, classes: NDArray) -> dict[str, Any]:
        dtype = design.X.dtype
        design.evaluate(result.theta)
        weights, intercepts = design.split(result.theta)
        W = design.matrix(weights)
        if design.reference == 0:
            intercepts = intercepts - intercepts.mean()
        return {
            "feature_expectations_": design.expectations(),
            "entropy_": design.entropy(),
            "classes_": classes,
            "coef_": W.astype(dtype),
            "intercept_": intercepts.astype(dtype),
            "objective_": result.value,
            "objectives_": result.values,
            "optimality_gap_": result.gap,
            "converged_": result.converged(self.tol),
            "n_iter_": max(1, result.n_iter),
        }

    def _warn_not_converged(self, result: Result) -> None:
        warn_user(
            f"The fit stopped after {result.n_iter} steps with a duality gap of {result.gap:.3g} "
            f"nats per unit of sample weight, more than tol={self.tol:.3g}. Increase max_iter, or "
            "tol if that is near enough.",
            ConvergenceWarning,
        )

    # ------------------------------------------------------------------ predict
    def decision_function(self, X: Any) -> NDArray:
        """Logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            With two classes, log p(second class) - log p(first class).
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        scores = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict_log_proba(self, X: Any) -> NDArray:
        """Logarithms of the probabilities of the classes, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        return softmax(scores, axis=1)

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        scores = self.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]
