"""How a variational autoencoder is built from parameters and rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skem._input import refuse_masks, validate_data
from skem._validation import check_known, check_weights
from skem._warnings import warn_user
from skem.deep.modules.draws import generator
from skem.deep.modules.vae import VAE
from skem.deep.training._base import GOES_ON, WAY_OUT
from skem.deep.training._data import TensorRows
from skem.deep.training._distinct import arranged, repeated
from skem.deep.vae._parts import (
    COLUMN_LIKELIHOODS,
    LIKELIHOODS,
    UnitRows,
    check_range,
    make_likelihood,
    network,
    units,
)
from skem.deep.vae._use import VAEUseMixin

# A latent dimension is active where the posterior means vary by more than this (Burda et al. 2016).
_ACTIVE = 0.01
_SOME = 4000  # rows that tell that


class VAEFitMixin(VAEUseMixin):
    """Checks, rows and modules of a fit of `VAETransformer`, whose parameters these are."""

    hidden_layer_sizes: Sequence[int]
    activation: str
    variance: str | float
    standardize: bool
    binarize: bool
    posterior: str
    n_flows: int
    n_pseudo_inputs: int
    kl_weight: float
    kl_warmup_steps: int
    free_bits: float
    n_importance_samples: int
    validation_fraction: float
    encoder: Callable[..., torch.nn.Module] | None
    decoder: Callable[..., torch.nn.Module] | None

    _defining: tuple[str, ...] = (
        *("n_components", "hidden_layer_sizes", "activation", "likelihood", "variance"),
        *("standardize", "posterior", "n_flows", "prior", "n_pseudo_inputs", "conditional"),
        *("encoder", "decoder"),
    )

    # ------------------------------------------------------------------ checks
    def _training(
        self, X: Any, sample_weight: ArrayLike | None, labels: ArrayLike | None
    ) -> tuple[NDArray, NDArray | None, NDArray | None, NDArray]:
        """Rows, weights, labels as numbers, and the classes."""
        self._check_parameters()
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        if not isinstance(self.likelihood, str):
            self._check_kinds(X.shape[1])
        check_range(X, self.likelihood)
        weight = check_weights(sample_weight, X)
        needed = self.prior == "class" or self.conditional
        if labels is None:
            if needed:
                why = "conditional=True" if self.conditional else "prior='class'"
                raise ValueError(f"{why} needs labels: fit(X, labels=...), one for each row.")
            return X, weight, None, np.empty(0)
        if not needed:
            raise ValueError(
                "labels were given, but neither prior='class' nor conditional=True uses them."
            )
        refuse_masks(labels, "labels")
        values = check_known(labels, "labels")
        if values.shape != (len(X),):
            raise ValueError(
                f"labels has shape {values.shape}, expected (n_samples,) = ({len(X)},): one for "
                "each row of X."
            )
        classes, codes = np.unique(values, return_inverse=True)
        return X, weight, codes.astype(np.int64), classes

    def _check_parameters(self) -> None:
        """Refuse parameters that do not fit each other."""
        sizes = np.asarray(self.hidden_layer_sizes)
        if sizes.ndim != 1 or (len(sizes) and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
            raise ValueError(
                "hidden_layer_sizes must hold integers of at least 1, such as (256,), or be (); "
                f"got {self.hidden_layer_sizes!r}."
            )
        if self.conditional and self.prior == "vamp":
            raise ValueError("conditional=True has no prior='vamp': use 'normal' or 'class'.")
        if self.free_bits > 0 and (
            self.n_importance_samples > 1 or self.posterior != "diag" or self.prior == "vamp"
        ):
            raise ValueError(
                "free_bits needs the KL of each dimension, which n_importance_samples > 1, flows "
                "and prior='vamp' do not have. Set free_bits=0."
            )

    def _check_kinds(self, n_features: int) -> None:
        kinds = list(self.likelihood)
        if len(kinds) != n_features or not set(kinds) <= set(COLUMN_LIKELIHOODS):
            raise ValueError(
                f"likelihood must name one of {COLUMN_LIKELIHOODS} for each of the {n_features} "
                f"columns of X, or one of {LIKELIHOODS} for all; got {kinds!r}."
            )

    def _check_warmup(self, train: TensorRows) -> None:
        steps = self.max_epochs * -(-len(train) // self._size_of_batches(train))
        if self.kl_warmup_steps >= steps and self.kl_warmup_steps:
            raise ValueError(
                f"kl_warmup_steps={self.kl_warmup_steps} is not shorter than the training, "
                f"{steps} batches: the weight of KL would never reach kl_weight. Lower it, or "
                "raise max_epochs."
            )

    # ------------------------------------------------------------------ rows
    def _set_units(self, X: NDArray, rows: NDArray, weight: NDArray | None) -> None:
        """Of the columns inside: standard deviations around means, or one unit for all of them."""
        common = not self.standardize
        self._center, self._scale = units(X, rows, weight, self.likelihood, common)
        self._dtype = X.dtype

    def _arranged(
        self, X: NDArray, rows: NDArray, codes: NDArray | None, weight: NDArray | None
    ) -> tuple[NDArray, NDArray | None, NDArray | None]:
        """Those rows inside, in an order of their own, with their codes and weights."""
        inside = self._inside(X, rows)
        if not self._scaled:
            return inside.in_order(None), codes, weight
        order = arranged(inside, codes)  # by numbers that do not change with the units of X
        codes, weight = (None if v is None else v[order] for v in (codes, weight))
        return inside.in_order(order), codes, weight

    def _datasets(
        self,
        X: NDArray,
        codes: NDArray | None,
        weight: NDArray | None,
        device: torch.device,
        n_given: int,
    ) -> tuple[TensorRows, TensorRows | None]:
        """Training rows and, with early stopping, rows that are held out; by weight."""
        tensors: list[Tensor | None] = [torch.from_numpy(X).to(device)]
        tensors.append(None if codes is None else torch.from_numpy(codes).to(device))
        times, each = repeated(weight, n_given)
        w = None if each is None else torch.from_numpy(each.astype(np.float32)).to(device)
        tensors.append(w)
        rows = None if times is None else torch.from_numpy(times)
        if not self.early_stopping:
            return TensorRows(*tensors, rows=rows), None
        n_rows = len(X) if rows is None else len(rows)
        n_held_out = max(1, round(self.validation_fraction * n_rows))
        if n_held_out == n_rows:
            raise ValueError(
                f"validation_fraction={self.validation_fraction:g} of {n_rows} rows leaves none to "
                "train on. Lower it, or set early_stopping=False."
            )
        order = torch.randperm(n_rows, generator=generator())
        order = order if rows is None else rows[order]
        held_out = TensorRows(*tensors, rows=order[:n_held_out])
        return TensorRows(*tensors, rows=order[n_held_out:]), held_out

    # ------------------------------------------------------------------ modules
    def _make_module(self, X: NDArray, weight: NDArray | None, n_classes: int) -> VAE:
        likelihood = make_likelihood(
            X,
            self._scale,
            likelihood=self.likelihood,
            variance=self.variance,
            binarize=self.binarize,
        )
        sizes = tuple(int(size) for size in self.hidden_layer_sizes)
        n_labels = n_classes if self.conditional else 0
        inputs = likelihood.n_inputs + n_labels
        encoder, width = network(self.encoder, "encoder", (inputs, *sizes), self.activation, None)
        latent = (self.n_components + n_labels, *sizes[::-1])
        decoder, _ = network(self.decoder, "decoder", latent, self.activation, likelihood.n_outputs)
        start = likelihood.start(*_sums_to_one(X, weight))
        if self.decoder is None:
            own: Any = decoder
            own[-1].bias.data.copy_(start)
        return VAE(
            likelihood,
            encoder,
            width,
            decoder,
            n_components=self.n_components,
            posterior=self.posterior,
            n_flows=self.n_flows,
            prior=self.prior,
            n_pseudo_inputs=self.n_pseudo_inputs,
            n_classes=n_classes,
            conditional=self.conditional,
            kl_weight=self.kl_weight,
            kl_warmup_steps=self.kl_warmup_steps,
            free_bits=self.free_bits,
            n_importance_samples=self.n_importance_samples,
            foreign=self.encoder is not None or self.decoder is not None,
        )

    def _check_goes_on(self, n_features: int, classes: NDArray) -> None:
        """Refuse to go on from a fit of other columns or labels."""
        known = getattr(self, "classes_", np.empty(0))
        if n_features != len(self._center) or not np.array_equal(classes, known):
            raise ValueError(f"{GOES_ON} columns or labels. {WAY_OUT}")

    def _attributes(self, net: Any, classes: NDArray) -> dict[str, Any]:
        """What is known of a fit, but for the active units."""
        fitted = self._fitted_attributes(net)
        if len(classes):
            fitted["classes_"] = classes
        if self.prior == "class":
            fitted["class_means_"] = net.module_.class_means.detach().cpu().numpy()
        return fitted

    def _set_fitted(self, fitted: dict[str, Any], X: NDArray, codes: NDArray | None) -> None:
        for name in ("classes_", "class_means_"):
            self.__dict__.pop(name, None)
        for name, value in fitted.items():
            setattr(self, name, value)
        some = slice(0, _SOME)
        known = None if codes is None else torch.from_numpy(codes[some])
        (means,) = self._batched(self._latent, UnitRows(X[some]), known)
        self.active_units_ = int((means.var(axis=0) > _ACTIVE).sum())
        if self.active_units_ == 0:
            warn_user(
                "The posterior has collapsed: no latent dimension tells rows apart (active_units_ "
                "= 0). Train longer (max_epochs), lower kl_weight, or give kl_warmup_steps or "
                "free_bits.",
                ConvergenceWarning,
            )


def _sums_to_one(X: NDArray, weight: NDArray | None) -> tuple[Tensor, Tensor]:
    """Rows and weights as tensors."""
    w = np.full(len(X), 1 / len(X)) if weight is None else weight / weight.sum()
    return torch.from_numpy(X), torch.from_numpy(w.astype(np.float32))
