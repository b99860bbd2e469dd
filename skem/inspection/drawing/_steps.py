"""The model at the end of a pipeline, and the names of what the steps before it give out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def fitted_final_step(
    estimator: Any, feature_names: Sequence[str] | None
) -> tuple[Any, Sequence[str] | None]:
    """The model at the end of a fitted search or pipeline, and the names of its features.

    Names that are given stay; else they are those that the steps before it give out, or None.
    """
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, feature_names
    if feature_names is None and len(estimator) > 1:
        try:
            feature_names = estimator[:-1].get_feature_names_out()
        except AttributeError:  # a step that does not know what it gives out
            feature_names = None
    return estimator[-1], feature_names
