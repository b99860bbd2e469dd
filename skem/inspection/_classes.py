"""What the displays of classifiers have in common: the last step of a pipeline, chosen classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def fitted_classifier(
    estimator: Any, feature_names: Sequence[str] | None
) -> tuple[Any, Sequence[str] | None]:
    """The classifier at the end of a fitted search or pipeline, and the names of its features.

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


def chosen_classes(classes: ArrayLike | None, known: NDArray) -> list[int]:
    """Numbers of the classes asked for, all by default.

    Raises
    ------
    ValueError
        If there is none, or one is not among those of the fit.
    """
    if classes is None:
        return list(range(len(known)))
    if isinstance(classes, str) or np.ndim(classes) != 1 or np.size(classes) == 0:
        raise ValueError(f"classes must be a sequence of classes, got {classes!r}.")
    positions = {name: number for number, name in enumerate(known.tolist())}
    names = np.asarray(classes).tolist()
    for name in names:
        if name not in positions:
            raise ValueError(f"classes holds {name!r}, but those of the fit are {list(positions)}.")
    return [positions[name] for name in names]
