"""What a solver minimises: a design and its objective, in units that suit rounding."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.maxent.classifier._training_data import TrainingData
from skem.maxent.classifier.designs._column_units import units_of
from skem.maxent.classifier.designs._joint import JointDesign, centred
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._objective import Objective


class Problem:
    """A design with columns in units of their own, and the way back; holds the threads.

    Parameters
    ----------
    data : TrainingData
    joint : bool
        Whether the features are joint.
    as_given : bool
        Whether the features are to stay as they are, for iterative scaling: its steps depend on
        their units, and they must not be negative.
    intercept : bool
    n_jobs : int or None

    Attributes
    ----------
    design : LinearDesign or JointDesign
        That of the objective.
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        joint: bool,
        as_given: bool,
        intercept: bool,
        n_jobs: int | None,
    ):
        kind = JointDesign if joint else LinearDesign
        X, self.dtype = data.X, data.X.dtype
        self.common: NDArray | float = 0.0  # mean of what features have in common in all classes
        if joint and not as_given:
            X, mean = centred(X, data.offset, len(data.classes))
            weight = np.ones(len(data.codes)) if data.weight is None else data.weight
            self.common = (weight / weight.sum()) @ mean
        self.given = kind(
            X,
            data.codes,
            data.weight,
            n_classes=len(data.classes),
            intercept=intercept,
            n_jobs=n_jobs,
            offset=data.offset,
        )
        centre = intercept and not joint and not self.given.sparse
        self.units = None if as_given else units_of(self.given.sizes, centre)
        self.design: Any = self.given if self.units is None else self.given.in_units(self.units)

    def __enter__(self) -> Problem:
        self._designs = contextlib.ExitStack()
        for design in {id(d): d for d in (self.design, self.given)}.values():
            self._designs.enter_context(design)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._designs.close()

    def objective(self, l2: NDArray, l1: NDArray, signs: NDArray) -> Objective:
        """With penalties and signs of the weights as they were given, each (n_weights,)."""
        if self.units is not None:
            unit = self.given.matrix(np.ones(self.given.n_weights)) * self.units.unit
            l1 = l1 / unit.ravel()
            l2 = l2 / unit.ravel() / unit.ravel()
        return Objective(self.design, l2, l1, signs)

    def scaled(self, theta: NDArray) -> NDArray:
        """Parameters of the design, out of those for the columns as they were given."""
        return theta if self.units is None else self.given.scaled(theta, self.units)

    def derivative(self) -> NDArray:
        """Of the fitted weights and intercepts by parameters of the design, square."""
        identity = np.eye(self.design.n_params)
        if self.units is None:
            return identity
        return np.array([self.given.raw(column, self.units) for column in identity]).T

    def fitted(self, theta: NDArray) -> dict[str, Any]:
        """Fitted attributes out of parameters of the design, in the dtype of the columns."""
        design, given = self.design, self.given
        design.evaluate(theta)
        entropy = design.entropy()
        if self.units is None:
            expectations = design.expectations()
        else:
            theta = given.raw(theta, self.units)
            given.probabilities[:] = design.probabilities
            expectations = given.expectations()
        weights, intercepts = given.split(theta)
        if given.reference == 0:
            intercepts = intercepts - intercepts.mean()
        return {
            "feature_expectations_": {k: v + self.common for k, v in expectations.items()},
            "entropy_": entropy,
            "coef_": given.matrix(weights).astype(self.dtype),
            "intercept_": intercepts.astype(self.dtype),
        }
