"""What a fitted Gaussian mixture can do besides densities: impute, condition, draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skem._validation import check_numbers, check_positive_integer
from skem.mixture._base import BaseMixture, without_subnormals
from skem.mixture._given import check_names, check_shares, given_row
from skem.mixture._patterns import pattern_order
from skem.mixture.gaussian import _density
from skem.mixture.gaussian.model._covariances import n_free_parameters, structure_of
from skem.mixture.gaussian.model._given_covariances import check_covariances
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import GaussianParams


def check_range(attributes: dict[str, NDArray], full: bool, dtype: np.dtype) -> None:
    """Refuse a fit whose variances, precisions or their roots are not normal numbers of the type.

    Parameters
    ----------
    attributes : dict
        Covariances, precisions and their factors by name, in float64.
    full : bool
        Whether they are matrices; otherwise they are diagonals.
    dtype : dtype
        Of X.
    """
    info = np.finfo(dtype)
    for name, values in attributes.items():
        sizes = np.diagonal(values, axis1=-2, axis2=-1) if full else values
        if not ((sizes >= info.tiny) & (sizes <= info.max)).all():
            raise ValueError(
                f"{name} would hold values from {sizes.min():.3g} to {sizes.max():.3g}, which "
                f"{dtype} cannot: X is in units that are too small or too large for its type. "
                "Change them" + (", or give X as float64." if dtype == np.float32 else ".")
            )


_DRAWN = 4096
"""Rows that are drawn at a time, so that random numbers take little memory."""


class FittedGaussianMixture(BaseMixture):
    """Methods that need only the fitted parameters, in the user's units."""

    n_components: int
    _fitted_type: str
    _fitted_components: int
    covariance_type: str
    reg_covar: float
    random_state: Any
    means_: NDArray
    covariances_: NDArray
    precisions_cholesky_: NDArray
    n_features_in_: int
    feature_names_in_: NDArray

    def _attributes(self, model: GaussianModel, params: GaussianParams) -> dict[str, Any]:
        """Fitted attributes in the user's units and in the dtype of X."""
        structure = model.structure
        covariances = structure.rescale(params.covariances, 1 / model.scale)
        if structure.correlated:
            factors = _density.refine_factors(covariances, params.factors * model.scale)
            choleskys = factors.swapaxes(-1, -2)
        else:
            factors = choleskys = structure.factor(covariances)
        attributes = {
            "covariances_": covariances,
            "precisions_": structure.precision(factors),
            "precisions_cholesky_": choleskys,
        }
        check_range(attributes, structure.correlated, model.dtype)
        if model.tied:
            attributes = {name: value[0] for name, value in attributes.items()}
        attributes["weights_"] = params.weights
        attributes["means_"] = params.means / model.scale + model.center
        fitted: dict[str, Any] = {
            name: np.asarray(a, dtype=model.dtype) for name, a in attributes.items()
        }
        return fitted | {
            "_fitted_type": self.covariance_type,
            "_fitted_components": self.n_components,
        }

    @property
    def _type(self) -> str:
        """The covariance type of the fitted parameters, even if another one has been set since."""
        return getattr(self, "_fitted_type", self.covariance_type)

    @property
    def _full(self) -> bool:
        return structure_of(self._type)[0].correlated

    def _row_order(self, X: NDArray) -> NDArray | None:
        return pattern_order(X) if self._full else None

    def _log_joint(self, X: NDArray) -> NDArray:
        with np.errstate(divide="ignore"):
            log_weights = np.log(np.asarray(self.weights_, dtype=np.float64))
        X = X.astype(np.float64, copy=False)
        means = np.asarray(self.means_, dtype=np.float64)
        given = means, self.precisions_cholesky_, self._type
        incomplete = np.isnan(X).any(axis=1)
        if not self._full or not incomplete.any():
            return _density.log_component_densities(X, *given) + log_weights
        result = np.empty((len(X), len(means)))
        result[~incomplete] = _density.log_component_densities(X[~incomplete], *given)
        result[incomplete] = _density.log_marginal_densities(
            X[incomplete], means, self._dense_covariances()
        )
        return result + log_weights

    def _dense_covariances(self) -> NDArray:
        k, d = self.means_.shape
        if self.means_.dtype == np.float32 and self._type in ("full", "tied"):
            # a covariance that is rounded to float32 may be singular; its factor is not
            factors = np.asarray(self.precisions_cholesky_, dtype=np.float64)
            choleskys = np.linalg.inv(factors).swapaxes(-1, -2)
            dense = choleskys @ choleskys.swapaxes(-1, -2)
            return np.broadcast_to(dense, (k, d, d))
        return _density.dense_covariances(self.covariances_, self._type, k, d)

    def _n_parameters(self) -> int:
        return n_free_parameters(self._type, *self.means_.shape)

    def impute(self, X: ArrayLike) -> NDArray:
        """Fill missing values with their conditional mean, E[x_missing | x_observed].

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where missing.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
        """
        return self._map_blocks(self._filled, X)

    def _filled(self, X: NDArray) -> NDArray:
        """A block of rows with its missing values filled, in float64."""
        X = X.astype(np.float64)
        means = np.asarray(self.means_, dtype=np.float64)
        incomplete = np.flatnonzero(np.isnan(X).any(axis=1))
        if not len(incomplete):
            return X
        shares = self._posterior(X[incomplete])
        if self._full:
            X[incomplete] = _density.conditional_means(
                X[incomplete], shares, means, self._dense_covariances()
            )
        else:  # columns are independent given the component
            X[incomplete] = np.where(np.isnan(X[incomplete]), shares @ means, X[incomplete])
        return X

    def conditional(self, given: Mapping[Any, float] | ArrayLike) -> Any:
        """The mixture of some columns given the values of the others.

        Parameters
        ----------
        given : dict, pandas Series, data frame of one row or array-like of shape (n_features,)
            Values by column number or name (a Series and a frame are matched by their labels, in
            any order), or a row; NaN for columns that are not given.

        Returns
        -------
        mixture : GaussianMixtureEM
            A fitted mixture with ``covariance_type="full"`` over the other columns, in order;
            of the same dtype. As after `from_parameters`, nothing has been fitted: ``converged_``
            is False.

        Raises
        ------
        ValueError
            If a column is unknown, a value is not a number, or no column or every one is given.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        row = given_row(given, [] if names is None else list(names), self.n_features_in_)
        observed = ~np.isnan(row)
        means = np.asarray(self.means_, dtype=np.float64)
        covariances = self._dense_covariances()
        weights = without_subnormals(self._posterior(row[None])[0], self.means_.dtype)
        parts = [_density.regress(covariance, observed) for covariance in covariances]
        new_means = np.array(
            [
                mean[~observed] + part.coefficients @ (row - mean)[observed]
                for mean, part in zip(means, parts, strict=True)
            ]
        )
        mixture = type(self)(len(weights), reg_covar=self.reg_covar, random_state=self.random_state)
        return mixture._set_parameters(
            weights / weights.sum(),
            new_means,
            np.array([part.covariance for part in parts]),
            None if names is None else names[~observed],
            dtype=self.means_.dtype,
        )

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        *,
        covariance_type: str = "full",
        feature_names: ArrayLike | None = None,
        **parameters: Any,
    ) -> Self:
        """Make a mixture with given parameters, which can do everything that a fitted one can.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Probabilities of the components, which sum to one.
        means : array-like of shape (n_components, n_features)
            Centres of the components; if they are float32, so is the mixture.
        covariances : array-like
            Symmetric and positive definite, with the shape of `covariances_` for the type.
        covariance_type : str, default='full'
            One of 'full', 'tied', 'diag', 'spherical', 'tied_diag' and 'tied_spherical'.
        feature_names : array-like of shape (n_features,), default=None
            Names of the columns.
        **parameters : dict
            Other parameters of the estimator, such as ``random_state``.

        Returns
        -------
        mixture : GaussianMixtureEM
            With ``n_iter_`` 0 and ``converged_`` False: nothing has been fitted. `fit` with
            ``warm_start=True`` and `partial_fit` begin with these parameters, which carry the
            weight of no rows.

        Raises
        ------
        ValueError
            If the shapes of weights, means and covariances do not match, or values are out of
            range.

        Examples
        --------
        >>> from skem import GaussianMixtureEM
        >>> mixture = GaussianMixtureEM.from_parameters(
        ...     [0.3, 0.7], [[0.0, 0.0], [5.0, 5.0]], [1.0, 4.0], covariance_type="spherical"
        ... )
        >>> mixture.predict([[1.0, 0.0], [4.0, 6.0]])
        array([0, 1])
        """
        shares = check_shares(weights, "weights")
        k, shape = len(shares), np.shape(means)
        d = shape[1] if len(shape) == 2 and shape[1] else -1
        values = check_numbers(means, "means", (k, d), ("n_components", "n_features"))
        given = check_covariances(covariances, "covariances", covariance_type, k, d)
        names = check_names(feature_names, d)
        dtype = np.float32 if getattr(means, "dtype", None) == np.float32 else np.float64
        mixture = cls(k, covariance_type=covariance_type, **parameters)
        return mixture._set_parameters(shares, values, given, names, dtype=dtype)

    def _set_parameters(
        self,
        weights: NDArray,
        means: NDArray,
        covariances: NDArray,
        names: NDArray | None,
        *,
        dtype: Any = np.float64,
    ) -> Self:
        """Become a mixture with these parameters, covariances being (k or 1, structure)."""
        d = means.shape[1]
        structure, _ = structure_of(self.covariance_type)
        variances = np.diagonal(structure.dense(covariances, d), axis1=1, axis2=2).mean(axis=0)
        if structure.common_scale:
            variances = np.full(d, variances.mean())
        variances = np.maximum(variances, np.finfo(np.float64).tiny)
        scale = 2.0 ** -np.round(np.log2(variances) / 2)  # powers of two, which round nothing
        model = GaussianModel(
            self.covariance_type,
            center=np.zeros(d),
            scale=scale,
            reg=np.zeros(d),
            dtype=dtype,
        )
        params = model.params(weights, means * scale, structure.rescale(covariances, scale))
        self._hold(self._attributes(model, params) | {"collapsed_": np.empty(0, int)}, d, names)
        return self

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> tuple[NDArray, NDArray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState instance or None, default=None
            Seed of this call; None is that of the estimator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows, sorted by component.
        y : ndarray of shape (n_samples,)
            Component of each row.
        """
        check_is_fitted(self)
        n_samples = check_positive_integer(n_samples, "n_samples")
        rng = check_random_state(self.random_state if random_state is None else random_state)
        weights = np.asarray(self.weights_, dtype=np.float64)
        counts = rng.multinomial(n_samples, weights / weights.sum())
        choleskys = np.linalg.cholesky(self._dense_covariances())
        X = np.empty((n_samples, self.means_.shape[1]), self.means_.dtype)
        first = 0
        for mean, cholesky, count in zip(self.means_, choleskys, counts, strict=True):
            for start in range(first, first + count, _DRAWN):
                part = X[start : min(start + _DRAWN, first + count)]
                part[:] = mean + rng.standard_normal(part.shape) @ cholesky.T
            first += count
        return X, np.repeat(np.arange(len(weights)), counts)
