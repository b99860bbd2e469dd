"""Starts of a Gaussian mixture: a first partition of the rows, in several coordinate systems.

k-means uses Euclidean distances, so what it finds depends on the coordinates. Successive starts
therefore use different ones (as given, each column with unit variance, whitened), and the
likelihood after a few EM maps decides (`skem.em.fit_from_starts`). Components start with the
covariance of their part, or with the pooled one where their part does not determine it.
"""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin

from skem._numbers import NOT_ZERO
from skem._validation import as_numbers, check_numbers
from skem.mixture._starts import distinct_rows, sample_rows, start_threads
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams
from skem.mixture.gaussian.starts._parts import enough_rows, params_of_parts, pooled_covariance

INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")

KMEANS_ROUNDS, KMEANS_TOL = 20, 1e-3
"""Maximum number of rounds of k-means, and the share of the weight that may still change cluster in
the last one: the EM maps that follow change more than further rounds would."""

FEW_VALUES = 1 << 17
"""Numbers of the rows, times components, below which no library starts threads for them."""

_FLAT = 1e-10
"""Share of the largest variance below which a direction is left out of whitened coordinates: it is
constant but for rounding, and whitening would make it as important as the others."""

_COORDINATES = {
    "full": ("raw", "standardised", "whitened"),
    "diag": ("standardised", "raw"),
    "spherical": ("raw", "standardised"),
}
# With a sample a third start costs little, and a second one in the first coordinates gains most.
_COORDINATES_OF_A_SAMPLE = _COORDINATES | {"full": ("raw", "standardised", "raw", "whitened")}


class GaussianStarts:
    """Makes starts for a model.

    Parameters
    ----------
    model : GaussianModel
    X : ndarray of shape (n_samples, d)
        Rows in the user's units, NaN where missing.
    weight : ndarray of shape (n_samples,) or None
    labels : ndarray of shape (n_samples,) or None
    n_components : int
    init_params : str, callable, or responsibilities of shape (n_samples, n_components)
    rng : RandomState
    order : ndarray of int, default=None
        The rows of X to use, in order; default is all. Responsibilities given as an array are
        those of these rows; a callable gets X as it is.
    n_jobs : int or None, default=None
        Threads that k-means and distances may use.
    """

    def __init__(
        self,
        model: GaussianModel,
        X: NDArray,
        *,
        weight: NDArray | None,
        labels: NDArray | None,
        n_components: int,
        init_params: Any,
        rng: np.random.RandomState,
        order: NDArray | None = None,
        n_jobs: int | None = None,
    ):
        self.model = model
        self._X, self._order = X, order
        self.init_params = init_params
        self.k, self.n_jobs = n_components, n_jobs
        self.rng = rng
        by_name = isinstance(init_params, str)
        self.rows: slice | NDArray = slice(None)
        if by_name:
            known = labels if labels is None or order is None else labels[order]
            n = len(X) if order is None else len(order)
            d = 1 if model.structure.correlated else X.shape[1]  # full: d values a parameter
            self.rows = sample_rows(n, rng, known, d)
        rows: Any = self.rows if order is None else order[self.rows]
        self.Z = Z = np.array(X[rows], dtype=np.float64)
        Z -= model.center
        Z *= model.scale
        np.copyto(Z, 0.0, where=np.isnan(Z))
        self.weight = np.ones(len(Z)) if weight is None else weight[rows]
        self.labels = None if labels is None else labels[rows]
        if by_name:
            self._merge_equal_rows()
        self._labels_of_all = self._labels_if_of_all() if by_name else None
        self.pooled = pooled_covariance(model, *self._moments(self.Z, self.weight))

    def _merge_equal_rows(self) -> None:
        if self.labels is None:
            self.Z, self.weight = distinct_rows(self.Z, self.weight)
            return
        both = np.column_stack([self.labels, self.Z])
        both, self.weight = distinct_rows(both, self.weight)
        self.labels, self.Z = both[:, 0].astype(np.int64), np.ascontiguousarray(both[:, 1:])

    @property
    def sample(self) -> NDArray | None:
        """The rows, if they are a sample of many."""
        return self.rows if isinstance(self.rows, np.ndarray) else None

    @property
    def deterministic(self) -> bool:
        """Whether all starts would be the same."""
        return not isinstance(self.init_params, str) or self.k == 1

    def make_all(self, n_starts: int) -> list[GaussianParams]:
        """So many starts, with no more threads than the fit may use."""
        few = self.Z.size * self.k < FEW_VALUES
        with contextlib.nullcontext() if few else start_threads(self.n_jobs):
            return [self.make(number) for number in range(n_starts)]

    def make(self, number: int) -> GaussianParams:
        """The start with that number."""
        init = self.init_params
        if self._labels_of_all is not None:
            if number == 0:
                return self._from_labels(self._labels_of_all)
            number -= 1
        if self.k == 1:
            return self._from_responsibilities(np.ones((len(self.Z), 1)))
        if callable(init):
            return self._from_callable(init)
        if not isinstance(init, str):
            return self._from_responsibilities(np.asarray(init, dtype=np.float64))
        if init == "random" or len(self.Z) < self.k:  # fewer distinct rows than components
            return self._from_responsibilities(self.rng.dirichlet(np.ones(self.k), len(self.Z)))
        return self._from_centres(number)

    def _from_centres(self, number: int) -> GaussianParams:
        """Seeds, and k-means or the nearest of them, in the coordinates of that start."""
        by_structure = _COORDINATES if self.sample is None else _COORDINATES_OF_A_SAMPLE
        systems = by_structure[self.model.structure.name]
        points = coordinates(self.Z, self.weight, self.model.scale, systems[number % len(systems)])
        centres = self._centres(points, self.init_params)
        if self.init_params == "kmeans":
            from skem.mixture.gaussian.kernels._starts import lloyd

            points = np.ascontiguousarray(points)  # for products of matrices in compiled code
            weight = self.weight.astype(np.float64)
            part = lloyd(points, weight, centres, KMEANS_ROUNDS, KMEANS_TOL)
            del points  # of wide tables it is large
            return self._from_parts(part)
        return self._from_parts(pairwise_distances_argmin(points, centres))

    def _centres(self, points: NDArray, init: str) -> NDArray:
        """Seeds of the components; a component with labelled rows gets their mean."""
        seeds = np.full((self.k, points.shape[1]), np.nan)
        if self.labels is not None:
            for k in np.unique(self.labels[self.labels >= 0]):
                own = self.labels == k
                seeds[k] = np.average(points[own], axis=0, weights=self.weight[own])
        open_seeds = np.isnan(seeds[:, 0])
        n_open = int(open_seeds.sum())
        if n_open:
            if init == "random_from_data":
                p = self.weight / self.weight.sum()
                chosen = points[self.rng.choice(len(points), n_open, replace=False, p=p)]
            else:
                free = np.ones(len(points), bool) if self.labels is None else self.labels < 0
                pool = points[free] if free.sum() >= n_open else points
                weight = self.weight[free] if free.sum() >= n_open else self.weight
                chosen = pool[self._plus_plus(pool, weight, n_open)]
            seeds[open_seeds] = chosen
        return seeds

    def _plus_plus(self, points: NDArray, weight: NDArray, k: int) -> NDArray:
        """Rows that are seeds, by greedy k-means++."""
        from skem.mixture.gaussian.kernels._starts import plus_plus

        draws = np.zeros((k, 2 + int(np.log(k))))
        draws[0, 0] = self.rng.random_sample()
        draws[1:] = self.rng.random_sample((k - 1, draws.shape[1]))
        return plus_plus(np.ascontiguousarray(points), weight.astype(np.float64), k, draws)

    @property
    def has_labelled_start(self) -> bool:
        """Whether the first start is made of labelled rows."""
        return self._labels_of_all is not None

    def _labels_if_of_all(self) -> NDArray | None:
        """The labels, if every component has labelled rows; otherwise None."""
        if self.labels is None:
            return None
        every = len(np.unique(self.labels[self.labels >= 0])) == self.k
        return self.labels if every else None

    def _from_labels(self, labels: NDArray) -> GaussianParams:
        """Start from the labelled rows alone; if they are too few, each row joins the nearest."""
        n_rows = np.bincount(labels[labels >= 0], minlength=self.k)
        if enough_rows(self.model, n_rows).all():
            return self._from_parts(labels)
        means = self._centres(self.Z, "kmeans")
        return self._from_parts(pairwise_distances_argmin(self.Z, means))

    def _from_callable(self, init: Callable[..., Any]) -> GaussianParams:
        """Call ``init(X, n_components, random_state)``; it returns responsibilities or means."""
        returned = init(self._X, self.k, self.rng)
        value = as_numbers(returned)
        n, d = self._X.shape
        if value is not None and value.shape == (n, self.k):
            value = check_responsibilities(value, n, self.k)
            return self._from_responsibilities(value if self._order is None else value[self._order])
        if value is not None and value.shape == (self.k, d) and np.isfinite(value).all():
            centres = (value - self.model.center) * self.model.scale
            start = self._from_parts(pairwise_distances_argmin(self.Z, centres))
            equal = np.full(self.k, 1 / self.k)
            return self.model.params(equal, centres, start.covariances)
        what = reprlib.repr(returned) if value is None else f"an array of shape {value.shape}"
        raise ValueError(
            f"The callable init_params returned {what}; it must return "
            f"finite responsibilities of shape (n_samples, n_components) = ({n}, {self.k}) or "
            f"means of shape (n_components, n_features) = ({self.k}, {d})."
        )

    def _from_responsibilities(self, responsibilities: NDArray) -> GaussianParams:
        if self.labels is not None:
            known = self.labels >= 0
            responsibilities = responsibilities.copy()
            responsibilities[known] = np.eye(responsibilities.shape[1])[self.labels[known]]
        return self._start((self.Z, r * self.weight) for r in responsibilities.T)

    def _from_parts(self, part: NDArray) -> GaussianParams:
        """Start from the component of each row, -1 for none; known labels are kept."""
        if self.labels is not None:
            part = np.where(self.labels >= 0, self.labels, part)
        chosen = (np.flatnonzero(part == k) for k in range(self.k))
        return self._start((self.Z[own], self.weight[own]) for own in chosen)

    def _start(self, parts: Iterable[tuple[NDArray, NDArray]]) -> GaussianParams:
        """Start from the rows of each component and their weights."""
        n_rows, moments = [], []
        for Z, weight in parts:  # one at a time: together they are a copy of all rows
            n_rows.append(np.count_nonzero(weight))
            moments.append(self._moments(Z, weight))
        counts, means, squares = (np.array(values) for values in zip(*moments, strict=True))
        return params_of_parts(
            self.model, counts, means, squares, n_rows=np.array(n_rows), pooled=self.pooled
        )

    def _moments(self, Z: NDArray, weight: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Count and mean of rows, and their squares about this mean."""
        count = weight.sum()
        mean = weight @ Z / max(count, NOT_ZERO)
        return count, mean, self.model.structure.total(Z - mean, weight)


def coordinates(Z: NDArray, weight: NDArray, scale: NDArray, system: str) -> NDArray:
    """Rows Z = (x - center) * scale in another of the coordinate systems, up to a common unit."""
    if system == "standardised":
        return Z
    if system == "raw":
        return Z * (scale.min() / scale)  # in the unit of the widest column: squares stay finite
    values, vectors = np.linalg.eigh((Z * weight[:, None]).T @ Z / weight.sum())
    keep = values > _FLAT * max(values[-1], NOT_ZERO)
    return Z @ (vectors[:, keep] / np.sqrt(values[keep])) if keep.any() else Z


def check_responsibilities(value: Any, n_samples: int, n_components: int) -> NDArray:
    """Responsibilities of shape (n_samples, n_components), rows summing to one.

    Raises
    ------
    ValueError
        If the shape is wrong, a value is negative or no finite number, or a row sums to zero.
    """
    value = check_numbers(
        value,
        "init_params given as responsibilities",
        (n_samples, n_components),
        ("n_samples", "n_components"),
    )
    sums = value.sum(axis=1, keepdims=True)
    if (value < 0).any() or (sums <= 0).any():
        raise ValueError(
            "init_params given as responsibilities must be non-negative, with a positive sum in "
            "each row."
        )
    return value / sums
