"""The model at the end of a pipeline, and the names of the output of the steps before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def fitted_final_step(
    estimator: Any, feature_names: Sequence[str] | None
) -> tuple[Any, Sequence[str] | None]:
    """The model at the end of a fitted search or pipeline, and the names of its features.

    Given names are returned; otherwise those of the output of the steps before it, or None.
    """
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, feature_names
    if feature_names is None and len(estimator) > 1:
        try:
            feature_names = estimator[:-1].get_feature_names_out()
        except AttributeError:  # a step that does not know the names of its output
            feature_names = None
    return estimator[-1], feature_names
