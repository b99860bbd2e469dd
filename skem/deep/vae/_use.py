"""What a fitted variational autoencoder does with rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skem._input import check_array, refuse_masks, validate_data
from skem._validation import check_positive_integer, check_weights
from skem.deep.modules.vae import VAE
from skem.deep.training._base import DeepEstimatorMixin
from skem.deep.training._distinct import row_uniforms
from skem.deep.training._random import draw_seed, normal_at, spread_uniform
from skem.deep.vae._checks import check_codes, check_range, users_of_labels
from skem.deep.vae._rows import UnitRows, Units

_VALUES = 1 << 22
"""Numbers that a layer may hold for one batch of inference."""

_NARROWEST = 256
"""Least width of a layer that is reckoned with: batches of narrow ones need not be huge."""

_DRAWS = 256
"""Draws for each row that go through the layers at once."""


class VAEUseMixin(DeepEstimatorMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Encoding, decoding, densities and draws of a fitted `VAETransformer`.

    A transformer itself, for ``set_output`` wraps methods of the class that defines them.
    """

    likelihood: Any
    prior: str
    conditional: bool
    n_components: int
    n_features_in_: int
    classes_: NDArray
    _seed: int
    _units: Units

    # ------------------------------------------------------------------ input
    @property
    def _module(self) -> VAE:
        return self.net_.module_

    @property
    def _needs_labels(self) -> bool:
        """Whether encoder and decoder see labels."""
        return bool(self._as_fitted("conditional"))

    def _rows(self, X: Any) -> UnitRows:
        """Validated rows."""
        check_is_fitted(self)
        return self._checked(validate_data(self, X, reset=False, dtype=[np.float64, np.float32]))

    def _checked(self, X: NDArray) -> UnitRows:
        check_range(X, self._as_fitted("likelihood"))
        check_codes(X, self._module.likelihood)
        return self._units.inside(X)

    @property
    def center_(self) -> NDArray:
        """What is subtracted from each column before the encoder sees it, (n_features,)."""
        return self._units.center

    @property
    def scale_(self) -> NDArray:
        """What each column is divided by then, (n_features,)."""
        return self._units.scale

    def _codes(self, labels: ArrayLike | None, n: int, *, need: bool) -> Tensor | None:
        """Labels as numbers of the classes of the fit."""
        if labels is None:
            if need:
                raise ValueError("labels are needed with conditional=True: one label for each row.")
            return None
        if not hasattr(self, "classes_"):
            raise ValueError(
                f"labels were given, but the fit had none: set {users_of_labels(' or ')}, and give "
                "labels to fit."
            )
        refuse_masks(labels, "labels")
        values = np.asarray(labels)
        values = np.full(n, values) if values.ndim == 0 else values
        if values.shape != (n,):
            raise ValueError(f"labels has shape {values.shape}, expected (n_samples,) = ({n},).")
        codes = np.searchsorted(self.classes_, values).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[codes] != values
        if unknown.any():
            known = self.classes_.tolist()
            raise ValueError(
                f"labels holds {values[unknown][0]!r}, but those of the fit are {known}."
            )
        return torch.from_numpy(codes.astype(np.int64))

    def _batched(
        self,
        function: Callable[[Tensor, Tensor | None], tuple[Tensor, ...]],
        rows: UnitRows,
        codes: Tensor | None,
        copies: int = 1,
    ) -> tuple[NDArray, ...]:
        """Apply to batches of rows, small enough for so many copies of each; all the results."""
        n = len(rows)
        size = max(1, _VALUES // (max(self._module.widest, _NARROWEST) * copies))
        found: tuple[NDArray, ...] = ()
        with self._inference() as device:
            for part in gen_batches(n, size):
                own = None if codes is None else codes[part].to(device)
                x = torch.from_numpy(rows[part]).to(device)
                values = [v.cpu().numpy() for v in function(x, own)]
                if not found:
                    found = tuple(np.empty((n, *v.shape[1:]), v.dtype) for v in values)
                for all_rows, v in zip(found, values, strict=True):
                    all_rows[part] = v
        return found

    # ------------------------------------------------------------------ encode
    def posterior_moments(
        self, X: Any, *, labels: ArrayLike | None = None
    ) -> tuple[NDArray, NDArray]:
        """Posterior mean and standard deviation of the latent variables, q(z|x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        labels : array-like of shape (n_samples,), default=None
            Needed if ``conditional``.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components)
            With flows of the distribution before them.
        """
        rows = self._rows(X)
        codes = self._codes(labels, len(rows), need=self._needs_labels)

        def one(x: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
            mean, log_variance, _ = self._module.posterior(x, c)
            return mean, torch.exp(0.5 * log_variance)

        mean, std = self._batched(one, rows, codes)
        return mean, std

    def transform(self, X: Any, *, labels: ArrayLike | None = None) -> NDArray:
        """Posterior means of the latent variables; with flows, transformed by them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        labels : array-like of shape (n_samples,), default=None
            Needed if ``conditional``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """
        return self._points(self._rows(X), labels)

    def _points(self, rows: UnitRows, labels: ArrayLike | None) -> NDArray:
        codes = self._codes(labels, len(rows), need=self._needs_labels)
        (Z,) = self._batched(self._latent, rows, codes)
        return Z

    def _latent(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        mean, log_variance, hidden = self._module.posterior(x, c)
        return (self._module.push(mean, log_variance, hidden, torch.zeros_like(mean))[0],)

    # ------------------------------------------------------------------ decode
    def inverse_transform(self, X: Any, *, labels: ArrayLike | None = None) -> NDArray:
        """Decode: E[x|z].

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Points of the latent space.
        labels : array-like of shape (n_samples,), default=None
            Needed if ``conditional``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the training rows; with 'multinomial' probabilities, which sum to one;
            for 'categorical' columns the most probable code.
        """
        check_is_fitted(self)
        Z = check_array(X, dtype=[np.float64, np.float32])
        d = self._module.n_components
        if Z.shape[1] != d:
            raise ValueError(
                f"X must hold points of the latent space, of shape (n_samples, {d}), got shape "
                f"{Z.shape}."
            )
        codes = self._codes(labels, len(Z), need=self._needs_labels)
        (means,) = self._batched(self._decoded, UnitRows(Z), codes)
        return self._units.outside(means)

    def _decoded(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        return (self._module.likelihood.mean(self._module.decode(z, c)),)

    def reconstruct(self, X: Any, *, labels: ArrayLike | None = None) -> NDArray:
        """Encode and decode: E[x|z] at the posterior mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        labels : array-like of shape (n_samples,), default=None
            Needed if ``conditional``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        return self.inverse_transform(self._points(self._rows(X), labels), labels=labels)

    def interpolate(self, a: ArrayLike, b: ArrayLike, steps: int = 10) -> NDArray:
        """Decode points on the line between the latent points of two rows.

        Parameters
        ----------
        a, b : array-like of shape (n_features,)
            Two rows.
        steps : int, default=10
            Points, both ends included.

        Returns
        -------
        X : ndarray of shape (steps, n_features)

        Raises
        ------
        ValueError
            If ``conditional``, where a line would need a label, or if a or b is not one row.
        """
        check_is_fitted(self)
        steps = check_positive_integer(steps, "steps")
        if self._needs_labels:
            raise ValueError(
                "interpolate has no label to decode by, with conditional=True. Decode points with "
                "inverse_transform(Z, labels=...)."
            )
        for name, row in (("a", a), ("b", b)):
            if np.shape(row) != (self.n_features_in_,):
                raise ValueError(
                    f"{name} must be one row, of shape (n_features,) = ({self.n_features_in_},); "
                    f"got shape {np.shape(row)}."
                )
        rows = check_array([np.asarray(a), np.asarray(b)], dtype=[np.float64, np.float32])
        ends = self._points(self._checked(rows), None)
        share = np.linspace(0, 1, steps)[:, None]
        return self.inverse_transform((1 - share) * ends[0] + share * ends[1])

    # ------------------------------------------------------------------ density
    def score_samples(
        self, X: Any, *, labels: ArrayLike | None = None, n_importance_samples: int = 100
    ) -> NDArray:
        """Importance-weighted lower bound on log p(x) of each row, in nats (Burda et al. 2016).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        labels : array-like of shape (n_samples,), default=None
            Given, log p(x|label); needed if ``conditional``.
        n_importance_samples : int, default=100
            Draws of z; 1 gives the evidence lower bound, and the bound rises with their number.
            Memory does not, because rows are processed in batches.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            A lower bound on the mean over draws. A row has the same draws in each call, evenly
            spread (Sobol points), and different rows have different draws.
        """
        k = check_positive_integer(n_importance_samples, "n_importance_samples")
        rows = self._rows(X)
        codes = self._codes(labels, len(rows), need=self._needs_labels)
        module = self._module
        points = spread_uniform(k, module.n_components, self._seed)

        def one(x: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
            shift = row_uniforms(x.cpu().numpy(), module.n_components, self._seed)
            return (_log_density(module, x, c, points.to(x.device), torch.from_numpy(shift)),)

        (values,) = self._batched(one, rows, codes, min(k, _DRAWS))
        return values

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
    ) -> float:
        """Mean of `score_samples`, in nats per row: higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.
        labels : array-like of shape (n_samples,), default=None
            Label of each row.

        Returns
        -------
        score : float
            One for each row, or the mean of them.
        """
        values = self.score_samples(X, labels=labels)
        weight = check_weights(sample_weight, values)
        return float(np.average(values.astype(np.float64), weights=weight))

    # ------------------------------------------------------------------ draws
    def sample(
        self, n_samples: int = 1, *, labels: ArrayLike | None = None, random_state: Any = None
    ) -> NDArray:
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        labels : label or array-like of shape (n_samples,), default=None
            The class to draw from, of each row or of all; needed if ``conditional``. With
            prior='class' and no labels, classes are drawn uniformly.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; that of the estimator if None.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        n = check_positive_integer(n_samples, "n_samples")
        codes = self._codes(labels, n, need=self._needs_labels)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        with self._inference(seed) as device:
            drawn = self._module.sample(n, None if codes is None else codes.to(device))
        return self._units.outside(drawn.cpu().numpy())


def _log_density(
    module: VAE, x: Tensor, codes: Tensor | None, points: Tensor, shift: Tensor
) -> Tensor:
    """`VAE.log_density` in parts of the draws, so that memory does not grow with them."""
    shift = shift.to(x.device)
    parts = (normal_at(part[:, None], shift) for part in points.split(_DRAWS))
    terms = [module.log_density(x, codes, noise) + np.log(len(noise)) for noise in parts]
    return torch.logsumexp(torch.stack(terms), dim=0) - np.log(len(points))
