"""Distributions of the latent variables of an autoencoder: log p(z), in nats, KL to it, and draws.

Conventions:
    z.shape = (..., n, d)          latent points
    mean, log_variance             of a normal posterior N(mean, diag exp(log_variance)), (n, d)
    labels.shape = (n,)            numbers of classes; None for any of them, with equal chances
    encode(inputs, None)           mean and log variance of the posterior, and hidden units

A prior declares what it needs, and what is known of it; `PRIORS` has all of them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from skem.deep.modules import draws

Encode: TypeAlias = Callable[[Tensor, None], tuple[Tensor, Tensor, Tensor]]


def normal_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log N(z; mean, diag exp(log_variance)), summed over the last dimension, in nats."""
    squares = (z - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)


def mixture_log_density(z: Tensor, means: Tensor, log_variances: Tensor) -> Tensor:
    """Log of the mean of K normal densities, (K, d) of each: (..., n)."""
    terms = normal_log_density(z[..., None, :], means, log_variances)
    return torch.logsumexp(terms, dim=-1) - math.log(len(means))


def _kl_by_dimension(shift: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(m + shift, exp(log_variance)) from N(m, 1)."""
    return 0.5 * (shift.square() + log_variance.exp() - log_variance - 1)


class Sizes(NamedTuple):
    """What a prior may be made of."""

    n_components: int  # d
    n_classes: int
    n_inputs: int  # of the encoder
    n_pseudo_inputs: int


class Prior(nn.Module):
    """Base of all."""

    needs_labels = False  # of the rows of a fit
    allows_conditional = True  # whether encoder and decoder may see labels
    has_kl = True  # KL to a normal posterior has a closed form, dimension by dimension
    attributes: tuple[str, ...] = ()  # parameters that a fit shows
    n_modes = 1  # normal densities of which it is a mixture

    def __init__(self, sizes: Sizes):
        super().__init__()

    def log_density(self, z: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        """Log p(z), (..., n)."""
        raise NotImplementedError

    def kl(self, mean: Tensor, log_variance: Tensor, labels: Tensor | None) -> Tensor:
        """KL of the posterior of each row in each dimension, (n, d); if ``has_kl``."""
        raise NotImplementedError

    def sample(self, noise: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        """Points (n, d) from standard normal noise (n, d), and further draws."""
        raise NotImplementedError


class NormalPrior(Prior):
    """N(0, I)."""

    def log_density(self, z: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        return normal_log_density(z, torch.zeros_like(z), torch.zeros_like(z))

    def kl(self, mean: Tensor, log_variance: Tensor, labels: Tensor | None) -> Tensor:
        return _kl_by_dimension(mean, log_variance)

    def sample(self, noise: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        return noise


class ClassPrior(Prior):
    """N(m_c, I), with a learned mean for each class c; without labels their mixture."""

    needs_labels = True
    attributes = ("class_means",)

    def __init__(self, sizes: Sizes):
        super().__init__(sizes)
        self.n_modes = sizes.n_classes
        self.class_means = nn.Parameter(torch.randn(sizes.n_classes, sizes.n_components))

    def log_density(self, z: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        if labels is None:
            return mixture_log_density(z, self.class_means, torch.zeros_like(self.class_means))
        return normal_log_density(z, self.class_means[labels], torch.zeros_like(z))

    def kl(self, mean: Tensor, log_variance: Tensor, labels: Tensor | None) -> Tensor:
        return _kl_by_dimension(mean - self.class_means[labels], log_variance)

    def sample(self, noise: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        if labels is None:
            labels = draws.integers(self.n_modes, len(noise), noise.device)
        return noise + self.class_means[labels]


class VampPrior(Prior):
    """The mixture of the posteriors, before flows, of learned inputs (Tomczak and Welling 2018)."""

    allows_conditional = False  # pseudo-inputs have no labels
    has_kl = False

    def __init__(self, sizes: Sizes):
        super().__init__(sizes)
        self.n_modes = sizes.n_pseudo_inputs
        self.pseudo_inputs = nn.Parameter(torch.randn(sizes.n_pseudo_inputs, sizes.n_inputs))

    def log_density(self, z: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        means, log_variances, _ = encode(self.pseudo_inputs, None)
        return mixture_log_density(z, means, log_variances)

    def sample(self, noise: Tensor, labels: Tensor | None, encode: Encode) -> Tensor:
        means, log_variances, _ = encode(self.pseudo_inputs, None)
        own = draws.integers(self.n_modes, len(noise), noise.device)
        return means[own] + torch.exp(0.5 * log_variances[own]) * noise


PRIORS: dict[str, type[Prior]] = {"normal": NormalPrior, "class": ClassPrior, "vamp": VampPrior}
