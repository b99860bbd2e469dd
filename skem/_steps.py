"""The model at the end of a pipeline or inside a search, and rows as they reach it."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def final_step(estimator: Any) -> Any:
    """The model at the end of fitted searches and pipelines, in whatever order they are nested."""
    return _unwrapped(estimator, None, transforms=False)[0]


def final_step_and_rows(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The same model, and X as transformed by the fitted steps before it."""
    return _unwrapped(estimator, X, transforms=True)


def _unwrapped(estimator: Any, X: Any, *, transforms: bool) -> tuple[Any, Any]:
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            if transforms and len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        else:
            return estimator, X
