"""What is looked at after each step of a solver: separation, callbacks, printing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skem._callbacks import IterationCallbacks
from skem._warnings import warn_user
from skem.maxent.classifier._scaled_problem import Problem
from skem.maxent.classifier._training_data import TrainingData
from skem.maxent.classifier.solvers._best_so_far import INTERRUPTED
from skem.maxent.classifier.solvers._separable import MESSAGE, SeparationWatch
from skem.maxent.classifier.solvers._smooth import Result


class Monitor:
    """Called by a solver after each step; says whether it is to stop.

    Parameters
    ----------
    estimator : MaxEntClassifier
    problem : Problem
    watch : SeparationWatch
    data : TrainingData
    X, y, sample_weight : Any
        As given to ``fit``, for callbacks.
    """

    def __init__(
        self,
        estimator: Any,
        problem: Problem,
        watch: SeparationWatch,
        data: TrainingData,
        *,
        X: Any,
        y: Any,
        sample_weight: Any,
    ):
        self.estimator, self.problem, self.watch = estimator, problem, watch
        self.known = data.attributes()
        self.asked_to_stop = False
        self.callbacks = IterationCallbacks(
            estimator,
            n_starts=1,
            max_iter=estimator.max_iter,
            X=X,
            y=y,
            metadata=None if sample_weight is None else {"sample_weight": sample_weight},
        )

    def __call__(self, n_iter: int, value: float, gap: float, where: Callable[[], NDArray]) -> bool:
        if self.estimator.verbose:
            print(f"  Iteration {n_iter}: objective {value:.10g}, gap {gap:.2g}")
        separated = self.watch.complete()
        if self.callbacks.active:
            task = self.callbacks.begin(0)
            self.asked_to_stop |= bool(
                self.callbacks.end(task, lambda: self.problem.fitted(where()) | self.known)
            )
        return separated or self.asked_to_stop

    def finish(self, attributes: dict[str, Any]) -> None:
        """The fit is over, with all fitted attributes."""
        self.callbacks.finish(attributes)

    def warn(self, result: Result, tol: float, max_iter: int) -> None:
        """Say what kept a fit from its optimum, and what to do about that."""
        if self.watch.kind is not None:
            warn_user(MESSAGE.format(kind=self.watch.kind), ConvergenceWarning)
        elif result.interrupted:
            warn_user(INTERRUPTED.format(n_iter=result.n_iter, gap=result.gap), ConvergenceWarning)
        elif not result.converged(tol) and not self.asked_to_stop:
            reached = result.n_iter >= max_iter
            warn_user(
                f"The fit stopped after {result.n_iter} steps with a duality gap of "
                f"{result.gap:.3g} nats per unit of sample weight, more than tol={tol:.3g}. "
                + (
                    "Increase max_iter, or tol if that is near enough."
                    if reached
                    else "No step was found that lowers the objective by more than its rounding, "
                    "and max_iter was not reached. Increase tol if that is near enough; else look "
                    "for columns that nearly depend on each other, or give a penalty (a smaller C)."
                ),
                ConvergenceWarning,
            )
