"""What follows from the weights of a classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import accuracy_score
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from skem._input import validate_data
from skem._warnings import warn_user
from skem.maxent.classifier._training_data import check_offset
from skem.maxent.classifier.designs._feature_function import joint_features
from skem.maxent.classifier.designs._joint import centred


class LogitPredictionMixin:
    """Logits, probabilities and classes of a fitted `MaxEntClassifier`."""

    classes_: NDArray
    coef_: NDArray
    intercept_: NDArray
    feature_function: Callable[[Any, Any], Any] | None

    def decision_function(self, X: Any, offset: ArrayLike | None = None) -> NDArray:
        """Logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With ``feature_function`` whatever that takes.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Added to the logits, as in ``fit``.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            With two classes, log p(second class) - log p(first class). Minus infinity for a class
            that a row cannot have.
        """
        check_is_fitted(self)
        if offset is None and getattr(self, "_had_offset", False):
            warn_user(
                "The fit had an offset, and this call has none, which is an offset of zero. Give "
                "offset=..., the logits to add for these rows; zeros if that is meant.",
                UserWarning,
            )
        n_classes = len(self.classes_)
        if self.coef_.ndim == 1:
            scores = self._joint_logits(X)
        else:
            X = validate_data(
                self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
            )
            scores = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        added = check_offset(offset, len(scores), n_classes)
        if n_classes > 2:
            return scores if added is None else scores + added.T.astype(scores.dtype)
        if self.coef_.ndim == 1:
            scores = scores[:, [1]] - scores[:, [0]]
        scores = scores.ravel()
        return scores if added is None else scores + (added[1] - added[0]).astype(scores.dtype)

    def _joint_logits(self, X: Any) -> NDArray:
        """Logits of all classes up to what they have in common, (n_samples, n_classes)."""
        if self.feature_function is None:
            raise ValueError(
                "The weights are those of joint features, and feature_function has been set to "
                "None since the fit. Set it back."
            )
        pairs = joint_features(
            self.feature_function,
            X,
            self.classes_,
            vectorizer=getattr(self, "_vectorizer", None),
            n_features=len(self.coef_),
            names=getattr(self, "feature_names_", None),
        )
        F, _ = centred(pairs.F, pairs.offset, len(self.classes_))
        logits = (F @ self.coef_).reshape(len(self.classes_), -1)
        logits = logits.astype(np.result_type(pairs.F, self.coef_)) + self.intercept_[:, None]
        return logits.T if pairs.possible is None else np.where(pairs.possible, logits, -np.inf).T

    def predict_log_proba(self, X: Any, offset: ArrayLike | None = None) -> NDArray:
        """Log-probability of each class, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; with joint features, what ``feature_function`` takes.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Added to the logits, as in ``fit``.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        scores = self.decision_function(X, offset)
        if scores.ndim == 1:
            return np.column_stack([log_expit(-scores), log_expit(scores)])
        return log_softmax(scores, axis=1)

    def predict_proba(self, X: Any, offset: ArrayLike | None = None) -> NDArray:
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; with joint features, what ``feature_function`` takes.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Added to the logits, as in ``fit``.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        scores = self.decision_function(X, offset)
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        return softmax(scores, axis=1)

    def predict(self, X: Any, offset: ArrayLike | None = None) -> NDArray:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; with joint features, what ``feature_function`` takes.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Added to the logits, as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        scores = self.decision_function(X, offset)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Accuracy: the share of rows whose most probable class is theirs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; with joint features, what ``feature_function`` takes.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.
        offset : array-like of shape (n_samples, n_classes) or (n_samples,), default=None
            Added to the logits, as in ``fit``.

        Returns
        -------
        score : float
        """
        return float(accuracy_score(y, self.predict(X, offset), sample_weight=sample_weight))
