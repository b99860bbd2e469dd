"""The one place that uses `sklearn.callback`, which is public but experimental."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.callback import CallbackSupportMixin, with_callbacks

__all__ = ["CallbackSupportMixin", "IterationCallbacks", "with_callbacks"]


class IterationCallbacks:
    """Informs an estimator's callbacks of its iterations; one task per iteration.

    With one start the iterations are the subtasks of ``fit``; with several, each start is a
    subtask and its iterations are subtasks of it.

    Parameters
    ----------
    estimator : estimator with `CallbackSupportMixin`
        Its ``fit`` is wrapped in `with_callbacks`.
    n_starts : int
    max_iter : int
        Maximum number of iterations of a start.
    X, y, metadata : Any
        What the callbacks get to see.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        n_starts: int,
        max_iter: int,
        X: Any = None,
        y: Any = None,
        metadata: dict | None = None,
    ):
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": metadata}
        self._max_iter = max_iter
        self._n_starts = n_starts
        self._starts: dict[int, Any] = {}
        self._root = estimator._init_callback_context(
            max_subtasks=max_iter if n_starts == 1 else n_starts
        )
        self._root.call_on_fit_task_begin(estimator=estimator, **self._data)

    @property
    def active(self) -> bool:
        """Whether there are callbacks."""
        return bool(getattr(self._estimator, "_skl_callbacks", None))

    def _start(self, number: int) -> Any:
        if self._n_starts == 1:
            return self._root
        if number not in self._starts:
            self._starts[number] = self._root.subcontext(
                task_name="start", max_subtasks=self._max_iter
            ).call_on_fit_task_begin(estimator=self._estimator, **self._data)
        return self._starts[number]

    def begin(self, start: int) -> Any:
        """An iteration of that start begins; returns its task."""
        task = self._start(start).subcontext(task_name="iteration")
        return task.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end(self, task: Any, attributes: Callable[[], dict[str, Any]]) -> bool:
        """The iteration of that task is over; true if a callback wants to stop.

        ``attributes`` returns the fitted attributes as if fit had stopped here.
        """
        return task.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=attributes
        )

    def finish(self, attributes: dict[str, Any]) -> None:
        """The fit is over."""
        for context in (*self._starts.values(), self._root):
            context.call_on_fit_task_end(
                estimator=self._estimator,
                **self._data,
                reconstruction_attributes=lambda: attributes,
            )
