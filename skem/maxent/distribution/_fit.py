"""From problems to densities, and to the attributes of an estimator."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skem.maxent.distribution._density import Density
from skem.maxent.distribution._density_on_box import DensityOnBox
from skem.maxent.distribution._density_on_line import DensityOnLine
from skem.maxent.distribution._density_on_points import DensityOnPoints
from skem.maxent.distribution.problem._problem import Problem
from skem.maxent.distribution.problem._quadrature import (
    BoxDomain,
    Domain,
    LineDomain,
    PointDomain,
)
from skem.maxent.distribution.solvers._minimise import Solved
from skem.maxent.distribution.solvers._solve import maximise_entropy


def fitted_attributes(problems: list[Problem], *, product: bool) -> dict[str, Any]:
    """Attributes, and the densities as one of them; those of columns on their own are stacked.

    Raises
    ------
    ConstraintError
        If a problem has no solution.
    """
    pairs = [(problem, maximise_entropy(problem)) for problem in problems]
    densities = [density_on(solution.domain, problem, solution) for problem, solution in pairs]
    solutions = [solution for _, solution in pairs]

    def stacked(rows: list[NDArray]) -> NDArray:
        return np.array(rows) if product else rows[0]

    attributes = {
        "multipliers_": stacked([solved.multipliers for solved in solutions]),
        "log_partition_": float(sum(density.log_partition for density in densities)),
        "entropy_": float(sum(density.entropy for density in densities)),
        "kl_divergence_": float(sum(density.divergence for density in densities)),
        "moments_": stacked([density.moments for density in densities]),
        "active_": stacked([density.active for density in densities]),
        "boundary_": any(solved.boundary for solved in solutions),
        "optimality_gap_": float(sum(solved.gap for solved in solutions)),
        "converged_": all(solved.converged for solved in solutions),
        "n_iter_": max(solved.n_iter for solved in solutions),
        "_densities": densities,
    }
    return attributes | densities[0].attributes()


@singledispatch
def density_on(domain: Domain, problem: Problem, solved: Solved) -> Density:
    """The solution as a density, of the class that is registered for its domain."""
    raise NotImplementedError(f"No density is registered for {domain.support}.")


@density_on.register
def _on_points(domain: PointDomain, problem: Problem, solved: Solved) -> Density:
    return DensityOnPoints(domain.support, problem, solved)


@density_on.register
def _on_line(domain: LineDomain, problem: Problem, solved: Solved) -> Density:
    return DensityOnLine(domain.support, problem, solved)


@density_on.register
def _on_box(domain: BoxDomain, problem: Problem, solved: Solved) -> Density:
    return DensityOnBox(domain, problem, solved)
