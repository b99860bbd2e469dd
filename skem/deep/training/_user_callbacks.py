"""Callbacks of skorch that the user gives."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    EpochScoring,
    LRScheduler,
    PassthroughScoring,
)


def is_scheduler(callback: Any) -> bool:
    """Whether a callback sets learning rates."""
    kind = callback[1] if isinstance(callback, tuple) else callback
    return isinstance(kind, LRScheduler) or kind is LRScheduler


def check_callbacks(callbacks: list | None) -> None:
    """Refuse what skorch could not call.

    Raises
    ------
    TypeError
        It says which entry is wrong, and what entries may be.
    ValueError
        If one makes scores of predictions, which the modules do not give in training.
    """
    for i, given in enumerate(callbacks or []):
        named = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
        callback = given[1] if named else given
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks[{i}] must be a callback of skorch, or a pair of a name and one; got "
                f"{given!r}. Callbacks of scikit-learn go to set_callbacks."
            )
        if _wants_predictions(callback, kind):
            raise ValueError(
                f"callbacks[{i}], {kind.__name__}, makes scores of the predictions for batches, "
                "and in training the networks give losses, and no predictions. Use "
                "EpochScoring(function, use_caching=False) with function(net, dataset, y=None), or "
                "on_epoch_end of a callback of your own."
            )


def _wants_predictions(callback: Any, kind: type) -> bool:
    """Whether a callback of skorch makes scores of what the module predicts."""
    if not issubclass(kind, EpochScoring):
        return issubclass(kind, (BatchScoring, PassthroughScoring))
    scoring = getattr(callback, "scoring", None)
    of_predictions = getattr(scoring, "__module__", None) or ""
    if not callable(scoring) or of_predictions.startswith("sklearn.metrics"):
        return True
    return bool(callback.use_caching)
