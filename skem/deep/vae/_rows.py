"""Rows as a variational autoencoder trains on them, and the units of their columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor

from skem.deep.modules.draws import generator
from skem.deep.training._data import TensorRows
from skem.deep.training._distinct import arranged, repeated
from skem.deep.vae._kinds import KINDS, kinds_of

_BLOCK = 1 << 18
"""Numbers that are summed, or copied, at once."""

_FARTHEST = 1e15
"""At most so many units of a column: squares of such numbers are still finite in float32."""

_CONSTANT = 10
"""Standard deviation, in units of eps times the mean, that is rounding of a constant column."""


class UnitRows:
    """Rows as networks see them, float32 in units of the columns, made when they are read.

    A whole array of them beside the one that was given would be as large, and the float64 between
    twice that.

    Parameters
    ----------
    X : ndarray of shape (n_given, d)
    center, scale : ndarray of shape (d,), default=None
        Units; None for those of X.
    rows : ndarray of int of shape (n,), default=None
        Which rows of X, and in which order; all if None.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        X: NDArray,
        center: NDArray | None = None,
        scale: NDArray | None = None,
        rows: NDArray | None = None,
    ):
        self.X, self.center, self.scale, self.rows = X, center, scale, rows
        self.shape = (len(X if rows is None else rows), *X.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: Any) -> NDArray:
        """Rows by a slice or an array of numbers; not to be written to."""
        block = self.X[part if self.rows is None else self.rows[part]]
        if self.center is not None:
            block = (block - self.center) / self.scale
            np.clip(block, -_FARTHEST, _FARTHEST, out=block)
        return np.require(block, np.float32, ["C", "W"])

    def in_order(self, order: NDArray | None) -> NDArray:
        """All of them as one array, in that order; None for their own."""
        found = np.empty(self.shape, np.float32)
        for part in gen_batches(len(found), max(1, _BLOCK // self.shape[1])):
            found[part] = self[part if order is None else order[part]]
        return found


@dataclasses.dataclass(frozen=True)
class Units:
    """Networks see (X - center) / scale."""

    center: NDArray  # (d,)
    scale: NDArray  # (d,)
    dtype: np.dtype  # of the rows of the fit

    @classmethod
    def of(
        cls,
        X: NDArray,
        rows: NDArray,
        weight: NDArray | None,
        likelihood: str | Sequence[str],
        common: bool = False,
    ) -> Units:
        """Means and standard deviations of columns that have units, float64; 0 and 1 for others.

        Those of the rows of X with these numbers, and with these weights. The deviation of a column
        that does not vary is 1. A common unit is the root of the mean variance.
        """
        center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        real = np.flatnonzero([KINDS[name].has_units for name in kinds_of(likelihood, X.shape[1])])
        if not len(real):
            return cls(center, scale, X.dtype)
        n = len(rows)
        w = np.full(n, 1 / n) if weight is None else weight / weight.sum()
        parts = list(gen_batches(n, max(1, _BLOCK // len(real))))
        first = X[rows[0], real].astype(np.float64)  # taken off: exact where a column is constant
        mean = first + sum(w[p] @ (X[rows[p]][:, real] - first) for p in parts)
        deviation = np.sqrt(sum(w[p] @ np.square(X[rows[p]][:, real] - mean) for p in parts))
        varies = deviation > _CONSTANT * np.finfo(X.dtype).eps * np.abs(mean)
        center[real], scale[real] = mean, np.where(varies, deviation, 1.0)
        if common and varies.any():
            scale[real] = np.sqrt(np.mean(np.where(varies, deviation, 0.0) ** 2))
        return cls(center, scale, X.dtype)

    @property
    def changes(self) -> bool:
        """Whether the networks see other numbers than those of X."""
        return bool(self.center.any() or (self.scale != 1).any())

    def inside(self, X: NDArray, rows: NDArray | None = None) -> UnitRows:
        """Rows as the networks see them; all of X if ``rows`` is None."""
        if not self.changes:
            return UnitRows(X, rows=rows)
        return UnitRows(X, self.center, self.scale, rows)

    def outside(self, X: NDArray) -> NDArray:
        """Back to the user's units, and the type that the rows of the fit had."""
        outside = X if X.dtype == self.dtype else np.empty(X.shape, self.dtype)
        for part in gen_batches(len(X), max(1, _BLOCK // X.shape[1])):
            outside[part] = X[part] * self.scale + self.center if self.changes else X[part]
        return outside


class TrainingRows(NamedTuple):
    """Different rows of a fit, in an order of their own."""

    X: NDArray  # (n, d), float32, in the units inside
    codes: NDArray | None  # (n,): numbers of their classes
    weight: NDArray | None  # (n,)
    classes: NDArray
    units: Units
    n_given: int  # rows before equal ones were put together

    @classmethod
    def of(
        cls,
        X: NDArray,
        rows: NDArray,
        codes: NDArray | None,
        weight: NDArray | None,
        classes: NDArray,
        units: Units,
    ) -> TrainingRows:
        """The rows of X with those numbers, which `distinct` has found; with their codes."""
        inside = units.inside(X, rows)
        if not units.changes:
            return cls(inside.in_order(None), codes, weight, classes, units, len(X))
        order = arranged(inside, codes)  # by numbers that do not change with the units of X
        codes, weight = (None if v is None else v[order] for v in (codes, weight))
        return cls(inside.in_order(order), codes, weight, classes, units, len(X))

    def datasets(
        self, device: torch.device, held_out: float | None
    ) -> tuple[TensorRows, TensorRows | None]:
        """To train on, and a share that is held out if any is wanted; by weight.

        Raises
        ------
        ValueError
            If nothing is left to train on.
        """
        times, each = repeated(self.weight, self.n_given)
        tensors = (
            torch.from_numpy(self.X).to(device),
            None if self.codes is None else torch.from_numpy(self.codes).to(device),
            None if each is None else torch.from_numpy(each.astype(np.float32)).to(device),
        )
        rows = None if times is None else torch.from_numpy(times)
        if held_out is None:
            return TensorRows(*tensors, rows=rows), None
        n_rows = len(self.X) if rows is None else len(rows)
        n_held_out = max(1, round(held_out * n_rows))
        if n_held_out == n_rows:
            raise ValueError(
                f"validation_fraction={held_out:g} of {n_rows} rows leaves none to train on. "
                "Lower it, or set early_stopping=False."
            )
        order = torch.randperm(n_rows, generator=generator())
        order = order if rows is None else rows[order]
        valid = TensorRows(*tensors, rows=order[:n_held_out])
        return TensorRows(*tensors, rows=order[n_held_out:]), valid

    def for_start(self) -> tuple[Tensor, Tensor]:
        """Rows and weights that sum to one, as tensors."""
        n = len(self.X)
        w = np.full(n, 1 / n) if self.weight is None else self.weight / self.weight.sum()
        return torch.from_numpy(self.X), torch.from_numpy(w.astype(np.float32))
