"""The EM engine: one loop for every model whose sufficient statistics add."""

from skem.em._acceleration import ACCELERATIONS, Extrapolation, Squarem, make_acceleration
from skem.em._base import EMModelBase
from skem.em._check import check_model
from skem.em._geometry import Geometry
from skem.em._loop import EMRun
from skem.em._model import EMModel, ManyMaps, Rows
from skem.em._online import StepwiseEM
from skem.em._quasi_newton import QuasiNewton
from skem.em._rows import RowBlocks, RowSource, effective_n_jobs
from skem.em._starts import fit_from_starts
from skem.em._state import (
    BoundDecreasedError,
    DegenerateFitError,
    EMState,
    GeometryError,
)
from skem.em._statistics import add, scale, total
from skem.em._stopping import GapEstimator

__all__ = [
    "ACCELERATIONS",
    "BoundDecreasedError",
    "DegenerateFitError",
    "EMModel",
    "EMModelBase",
    "EMRun",
    "EMState",
    "Extrapolation",
    "GapEstimator",
    "Geometry",
    "GeometryError",
    "ManyMaps",
    "QuasiNewton",
    "RowBlocks",
    "RowSource",
    "Rows",
    "Squarem",
    "StepwiseEM",
    "add",
    "check_model",
    "effective_n_jobs",
    "fit_from_starts",
    "make_acceleration",
    "scale",
    "total",
]
