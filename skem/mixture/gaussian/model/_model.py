"""The Gaussian mixture as the engine sees it: E step, M step with priors, coordinates.

The model works in coordinates z = (x - center) * scale, in which the data have mean zero and
variances of about one. What it is given and what it returns are in these coordinates; the
estimator converts.

``reg`` is added to the diagonal of each covariance by the M step. This is the exact M step of a
fit to rows blurred by independent noise of that variance: averaging log N(x + noise | mu, Sigma)
over the noise subtracts tr(diag(reg) Sigma^-1) / 2 from each log-density. The E step subtracts
the same, and so the bound (on the log-likelihood blurred in that way) never falls.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skem._numbers import NOT_ZERO
from skem.em import DegenerateFitError, EMModelBase, EMState, Geometry, ManyMaps, Rows, add
from skem.mixture._features import Features, plain_features
from skem.mixture._weights import solve_weights
from skem.mixture.gaussian.model._collapse import Collapse
from skem.mixture.gaussian.model._covariances import log_normaliser, structure_of
from skem.mixture.gaussian.model._density_terms import DensityTerms, density_terms
from skem.mixture.gaussian.model._e_step import complete_statistics
from skem.mixture.gaussian.model._form import DIFFERENCES_FROM, Forms, Need
from skem.mixture.gaussian.model._full_covariances import NotPositiveDefiniteError
from skem.mixture.gaussian.model._m_step import MStep, expand
from skem.mixture.gaussian.model._missing import missing_statistics
from skem.mixture.gaussian.model._params import GaussianParams, GaussianStatistics, Priors
from skem.mixture.gaussian.model._several_maps import several_maps

NO_PRIORS = Priors()

_LEAST_VARIANCE = 1e-28
"""Variances below this are all rounding: 1e-14 standard deviations of a column are 45 eps. `_maps`
has the same number."""

_WORST_CONDITION = 1e14
"""Condition of a correlation matrix (or its bound, d times the trace of the inverse) above which a
Cholesky factor has hardly a digit left. `_maps` has the same number."""

_OF_BOUND = 64
"""Rounding error of a bound, and of a log prior, in units of eps times its size: as in
`EMModelBase.rounding`."""

_OF_TERMS = 4
"""The same for each term of a log-density, whose size is its steepness where terms cancel."""


class GaussianModel(EMModelBase):
    """EM for a Gaussian mixture with any covariance type, weights, labels and missing values.

    Parameters
    ----------
    covariance_type : str
    center, scale : ndarray of shape (d,)
        Working coordinates: z = (x - center) * scale.
    reg : ndarray of shape (d,)
        Added to the diagonal of the covariances, in working coordinates.
    priors : Priors
    dtype : dtype
        float32 or float64: the type of the rows.
    collapse : {"report", "restart", "remove"}
    rng : RandomState, default=None
        For restarts; None is NumPy's global one.
    protected : ndarray of int
        Components that hold labelled rows; they are not restarted or removed.
    row_weight : float
        Weight that counts as one row where rows are counted; below 1 if weights are shares of a
        whole.
    incomplete : bool
        Whether values are missing.
    varies : ndarray of bool
        Which columns are not constant.
    moments_about_origin : bool
        Whether statistics of different parameters will be added (online EM).
    """

    def __init__(
        self,
        covariance_type: str,
        *,
        center: NDArray,
        scale: NDArray,
        reg: NDArray,
        priors: Priors = NO_PRIORS,
        dtype: Any = np.float64,
        collapse: str = "report",
        rng: np.random.RandomState | None = None,
        protected: NDArray | None = None,
        row_weight: float = 1.0,
        incomplete: bool = False,
        varies: NDArray | None = None,
        moments_about_origin: bool = False,
    ):
        self.structure, self.tied = structure_of(covariance_type)
        self.center, self.scale, self.reg = center, scale, reg
        self.priors = priors
        self.dtype = np.dtype(dtype)
        self.row_weight = row_weight
        self.incomplete = incomplete
        self.varies = np.ones(len(center), bool) if varies is None else varies
        self.d = len(center)
        self.base = log_normaliser(self.d) + float(np.log(scale).sum())
        self.suspects = ""  # what may be the cause if a covariance is not positive definite
        self.moments_about_origin = moments_about_origin
        self.features: Features = (
            plain_features(self.d) if self.tied else self.structure.features(self.d)
        )
        self.forms = Forms(
            self.structure, self.tied, self.d, self.dtype, self.features, moments_about_origin
        )
        self.m_step = MStep(self.structure, self.tied, self.d, reg, priors)
        self.collapse = Collapse(
            self.structure,
            self.tied,
            reg,
            self.varies,
            row_weight,
            collapse,
            np.empty(0, int) if protected is None else protected,
            check_random_state(rng),
        )

    # ------------------------------------------------------------------ parameters
    def params(
        self, weights: NDArray, means: NDArray, covariances: NDArray, *, share: float = 0.0
    ) -> GaussianParams:
        """Complete parameters from weights, means and covariances (k or 1, structure).

        ``share`` is the share of the components that mattered to a row so far.

        Raises
        ------
        DegenerateFitError
            If a covariance is not positive definite.
        """
        return self._params(weights, means, covariances, Need(share=share))

    def _params(
        self, weights: NDArray, means: NDArray, covariances: NDArray, need: Need
    ) -> GaussianParams:
        structure = self.structure
        try:
            choleskys, factors = structure.decompose(covariances)
            terms = density_terms(
                structure,
                weights,
                means,
                covariances,
                factors,
                self.reg,
                self.base,
                shared=self.tied,
            )
            self._check_conditions(covariances, terms)
        except NotPositiveDefiniteError as error:
            which = "shared by all components" if self.tied else f"of component {error.index}"
            raise DegenerateFitError(
                f"The covariance {which} is not positive definite: its rows lie in a subspace "
                "(constant or duplicate columns, or fewer distinct rows than dimensions). "
                "Increase reg_covar, lower n_components, set covariance_prior, or choose a "
                f"simpler covariance_type.{self.suspects}",
                components=() if self.tied else (error.index,),
            ) from None
        return GaussianParams(
            weights,
            means,
            covariances,
            choleskys,
            factors,
            terms.log_constants,
            *self.forms.lay_out(terms, factors, need),
            float(terms.steepness.max()),
        )

    def refine(self, params: GaussianParams, new: GaussianParams | None) -> GaussianParams | None:
        """The same parameters in a form that loses fewer digits, if the M step to ``new`` needs it.

        ``new`` is None if one of its covariances is not positive definite.
        """
        need = self.forms.finer(params, new)
        if need is None:
            return None
        finer = self._params(*params[:3], need)
        by_features = params.theta is not None and finer.theta is not None
        same = by_features and finer.dtype == params.dtype
        return None if same else finer

    def _check_conditions(self, covariances: NDArray, terms: DensityTerms) -> None:
        """Refuse covariances that are singular to working precision, or all rounding."""
        singular = covariances.reshape(len(covariances), -1).max(-1) < _LEAST_VARIANCE
        singular |= terms.relative * self.d > _WORST_CONDITION
        if singular.any():
            raise NotPositiveDefiniteError(int(np.flatnonzero(singular)[0]))

    # ------------------------------------------------------------------ E step
    def expected_statistics(self, params: GaussianParams, rows: Rows) -> GaussianStatistics:
        complete, incomplete = self._parts(rows)
        found = []
        if incomplete is not None:
            found.append(
                missing_statistics(
                    params,
                    incomplete,
                    structure=self.structure,
                    tied=self.tied,
                    center=self.center,
                    scale=self.scale,
                )
            )
        if complete is not None:
            found.append(
                complete_statistics(
                    params,
                    complete,
                    structure=self.structure,
                    tied=self.tied,
                    features=self.features,
                    center=self.center,
                    scale=self.scale,
                )
            )
        return functools.reduce(add, found)

    def _parts(self, rows: Rows) -> tuple[Rows | None, Rows | None]:
        """Rows without missing values, which come first (see `pattern_order`), and the others."""
        if not self.incomplete:
            return rows, None
        if "n_complete" not in rows.memo:
            rows.memo["n_complete"] = int((~np.isnan(rows.X).any(axis=1)).sum())
        n_complete = rows.memo["n_complete"]
        if n_complete == len(rows.X):
            return rows, None
        complete, incomplete = _split(rows, n_complete)
        return complete if n_complete else None, incomplete

    @property
    def at_once(self) -> bool:
        few = not self.structure.correlated or self.d < DIFFERENCES_FROM
        plain = not (self.tied or self.incomplete or self.priors.any or self.moments_about_origin)
        return few and plain and self.structure.has_loop and self.collapse.what_to_do == "report"

    def several_maps(self, params: GaussianParams, rows: Rows, n_maps: int) -> ManyMaps | None:
        return several_maps(self, params, rows, n_maps)

    # ------------------------------------------------------------------ M step
    def maximize(self, statistics: GaussianStatistics, params: GaussianParams) -> GaussianParams:
        weights, means, covariances = self.m_step.maximize(statistics, params)
        share = statistics.pairs / (statistics.weight * len(weights))
        return self.params(weights, means, covariances, share=share)

    def statistics_of(self, params: GaussianParams, weight: float) -> GaussianStatistics:
        """Moments of rows of that total weight whose M step gives exactly these parameters."""
        return self.m_step.statistics_of(params, weight)

    def repair(self, state: EMState) -> GaussianParams | None:
        """Restart or remove collapsed components, if that was asked for."""
        repaired = self.collapse.repaired(state)
        return None if repaired is None else self.params(*repaired)

    # ------------------------------------------------------------------ objective
    def bound(self, statistics: GaussianStatistics, params: GaussianParams) -> float:
        objective = statistics.log_likelihood + self.m_step.log_prior(params)
        return float(objective / statistics.weight)

    def rounding(self, statistics: GaussianStatistics, params: GaussianParams) -> float:
        dtype, eps = params.dtype, np.finfo(params.dtype).eps
        steepness = max(params.steepness, self._cancelled(params, params.means) / self.d)
        if params.theta is None and not self.incomplete:
            steepness = np.sqrt(steepness)
        elif self.tied and self.structure.correlated and not self.incomplete:
            whitened = np.square(params.means @ params.factors[0].T).sum(-1).max() / self.d
            of_moments = np.finfo(np.float64).eps * steepness / eps
            steepness = np.sqrt(steepness) + whitened + of_moments
        of_prior = _OF_BOUND * eps * abs(self.m_step.log_prior(params))
        if self.priors.mean is not None:
            away = self._cancelled(params, params.means - self.priors.mean)
            of_prior += np.finfo(np.float64).eps * self.priors.mean_precision * away
        return of_prior / statistics.weight + self.rounding_at(
            dtype, steepness, self.bound(statistics, params)
        )

    def _cancelled(self, params: GaussianParams, a: NDArray) -> float:
        """The sum of the terms of |W a|^2 without cancellation, at most over all components.

        It is far larger than |W a|^2 if ``a`` is long and the variance is largest along it.
        """
        if not self.structure.correlated:
            return 0.0
        whole = self.structure.whiten(np.abs(params.factors), np.abs(a))
        return float(np.square(whole).sum(-1).max())

    def rounding_at(self, dtype: np.dtype, steepness: float, bound: float) -> float:
        """Rounding error of a bound whose terms have that type, and lose digits by steepness."""
        of_sums = _OF_TERMS * np.finfo(dtype).eps * (1 + self.d * (1 + steepness) + abs(bound))
        return float(of_sums + _OF_BOUND * np.finfo(np.float64).eps * max(1.0, abs(bound)))

    # ------------------------------------------------------------------ coordinates
    def to_vector(self, params: GaussianParams) -> NDArray:
        """Log weights (up to a constant), means, log-Cholesky factors of the covariances."""
        return np.concatenate(
            [
                np.log(np.maximum(params.weights, NOT_ZERO)),
                params.means.ravel(),
                self.structure.to_coordinates(params.choleskys).ravel(),
            ]
        )

    def from_vector(self, vector: NDArray, params: GaussianParams) -> GaussianParams | None:
        """Inverse of `to_vector`; None where the covariances overflow."""
        k, d = params.means.shape
        weights = np.exp(vector[:k] - vector[:k].max())
        means = vector[k : k + k * d].reshape(k, d)
        coordinates = vector[k + k * d :].reshape(len(params.covariances), -1)
        covariances = self.structure.from_coordinates(coordinates, d)
        if not np.isfinite(covariances).all():
            return None
        try:
            share = 0.0 if params.theta is None else 1.0  # the next point is near: keep the form
            return self.params(weights / weights.sum(), means, covariances, share=share)
        except DegenerateFitError:
            return None

    def geometry(
        self, statistics: GaussianStatistics, params: GaussianParams, new: GaussianParams
    ) -> Geometry:
        """Gradient and complete-data information in the coordinates of `to_vector`.

        Both follow from where the M step goes and from how many rows (and pseudo-rows of the
        priors) stand behind it: the gradient for mu_k is strength_k P_k (mu_new - mu), and so on.
        """
        structure, priors, weight = self.structure, self.priors, statistics.weight
        k, d = params.means.shape
        total = 1 + k * (priors.concentration - 1) / weight
        strength = np.maximum(statistics.counts / weight, NOT_ZERO)
        degrees = strength.sum(keepdims=True) if self.tied else strength
        if priors.mean is not None:
            strength = strength + priors.mean_precision / weight
            degrees = degrees + priors.mean_rows * (k if self.tied else 1) / weight
        if priors.scatter is not None:
            degrees = degrees + priors.scatter_rows / weight
        degrees = degrees * structure.directions(d)  # that share a variance
        move = new.means - params.means
        pull = structure.square(move)
        pull = pull * expand(strength, pull)
        if self.tied:
            pull = pull.sum(0, keepdims=True)
        slope, solve_covariances = structure.geometry(
            params.covariances,
            params.choleskys,
            params.factors,
            new.covariances,
            pull,
            degrees,
        )
        precisions = structure.precision(params.factors)
        of_means = strength[:, None] * structure.apply(precisions, move)
        gradient = np.concatenate([total * (new.weights - params.weights), of_means.ravel(), slope])

        def solve(q: NDArray) -> NDArray:
            of_weights = solve_weights(q[:k], new.weights, total)
            towards = structure.apply(params.covariances, q[k : k + k * d].reshape(k, d))
            means = towards / strength[:, None]
            return np.concatenate([of_weights, means.ravel(), solve_covariances(q[k + k * d :])])

        return Geometry(gradient, solve)

    # ------------------------------------------------------------------ online
    def ready(self, statistics: GaussianStatistics) -> bool:
        """Whether every component has seen enough rows for an M step (online EM)."""
        return bool((statistics.counts > (self.d + 1) * self.row_weight).all())


def _split(rows: Rows, n_first: int) -> tuple[Rows, Rows]:
    """The first rows of a block and the others, each with a memo of its own."""

    def part(rows_slice: slice, name: str) -> Rows:
        memo = rows.memo.setdefault(name, {})
        return Rows(
            rows.start + (rows_slice.start or 0),
            rows.X[rows_slice],
            None if rows.weight is None else rows.weight[rows_slice],
            None if rows.labels is None else rows.labels[rows_slice],
            memo,
        )

    return part(slice(0, n_first), "complete"), part(slice(n_first, None), "incomplete")
