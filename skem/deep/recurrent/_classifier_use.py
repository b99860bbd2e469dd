"""What a fitted recurrent classifier is asked: classes and their probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem.deep.recurrent._labels import LabelledSequencesMixin
from skem.deep.sequences._labelled import Inputs

_RARE = np.finfo(np.float64).tiny  # of a class that a fit that goes on has not met again


class ClassifierUseMixin(LabelledSequencesMixin):
    """The methods of `RNNClassifier` that need a fit."""

    class_prior_: NDArray

    def predict_log_proba(self, X: Any) -> NDArray:
        """Log-probability of each class, in nats.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. A document without tokens gets `class_prior_`.
        """
        check_is_fitted(self)
        sequences = self._encode(X)
        log_p = np.tile(np.log(self.class_prior_ + _RARE), (len(sequences), 1))
        there = np.flatnonzero(sequences.lengths)
        if len(there):
            sequences = sequences.take(there)

            def take(rows: Tensor, values: Tensor) -> None:
                log_p[there[rows]] = values.numpy()

            self._visit(Inputs(sequences), sequences, take)
        return log_p

    def predict_proba(self, X: Any) -> NDArray:
        """Probability of each class.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        log_p = self.predict_log_proba(X)
        return np.exp(log_p, out=log_p)

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each sequence.

        Parameters
        ----------
        X : sequence of documents, or array-like of shape (n_samples, n_tokens)
            Documents, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        log_p = self.predict_log_proba(X)
        return self.classes_[log_p.argmax(1)]
