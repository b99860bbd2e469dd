r"""The variational autoencoder.

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)),        z = mu(x) + sigma(x) eps

Both terms are sums over their dimensions, and means over rows. With a normal posterior and a prior
that is normal given the labels, with mean m, the second is known in closed form,

    KL = 1/2 sum_j ((mu_j - m_j)^2 + sigma_j^2 - log sigma_j^2 - 1).

Otherwise it is log q(z|x) - log p(z) at the z that was drawn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from skem.deep.modules import draws
from skem.deep.modules.flows import FLOWS
from skem.deep.modules.likelihoods import Likelihood
from skem.deep.modules.priors import PRIORS, Sizes

LOG_VARIANCES = -30.0, 20.0
"""The least and the greatest of posteriors: beyond, products of exp would leave float32."""

FARTHEST = 1e6
"""The largest inputs of the encoder, in units of the columns: a row farther out than that lies
there for it, so that no sum of its layers is infinite. Its density is that of the row itself."""


class VAE(nn.Module):
    """A variational autoencoder that computes its own loss.

    Parameters
    ----------
    likelihood : Likelihood
    encoder : nn.Module
        From (n, likelihood.n_inputs + n_labels) to (n, width).
    width : int
    decoder : nn.Module
        From (n, n_components + n_labels) to (n, likelihood.n_outputs).
    n_components : int
    posterior : {'diag', 'planar', 'iaf'}
    n_flows : int
    prior : {'normal', 'class', 'vamp'}
    n_pseudo_inputs : int
        Of the prior 'vamp'.
    n_classes : int
        Of labels, 0 without.
    conditional : bool
        Whether encoder and decoder see the label.
    kl_weight, free_bits : float
    kl_warmup_steps : int
        Batches over which the weight of KL grows from 0.
    n_importance_samples : int
        More than 1 is the bound of Burda et al. (2016).
    foreign : bool
        Whether encoder or decoder may draw from torch's global generators.
    """

    step: Tensor
    parts = ("loss", "reconstruction", "kl", "bound", "weight")

    def __init__(
        self,
        likelihood: Likelihood,
        encoder: nn.Module,
        width: int,
        decoder: nn.Module,
        *,
        n_components: int,
        posterior: str = "diag",
        n_flows: int = 4,
        prior: str = "normal",
        n_pseudo_inputs: int = 50,
        n_classes: int = 0,
        conditional: bool = False,
        kl_weight: float = 1.0,
        kl_warmup_steps: int = 0,
        free_bits: float = 0.0,
        n_importance_samples: int = 1,
        foreign: bool = False,
    ):
        super().__init__()
        head = nn.Linear(width, 2 * n_components)
        n_flows = n_flows if posterior != "diag" else 0
        flows = nn.ModuleList(FLOWS[posterior](n_components, width) for _ in range(n_flows))
        sizes = Sizes(n_components, n_classes, likelihood.n_inputs, n_pseudo_inputs)
        self.prior = PRIORS[prior](sizes)  # drawn last, so that its layers change no others
        self.likelihood, self.encoder, self.decoder = likelihood, encoder, decoder
        self.head, self.flows = head, flows
        self.n_components, self.n_classes, self.conditional = n_components, n_classes, conditional
        self.kl_weight, self.kl_warmup_steps = kl_weight, kl_warmup_steps
        self.free_bits, self.n_importance_samples = free_bits, n_importance_samples
        self.foreign = foreign
        self.register_buffer("step", torch.zeros(()), persistent=False)

    @property
    def widest(self) -> int:
        """Numbers that a row takes in the widest place, for memory."""
        layers = [m.out_features for m in self.modules() if isinstance(m, nn.Linear)]
        return max(*layers, self.likelihood.n_inputs, self.prior.n_modes * self.n_components)

    # ------------------------------------------------------------------ posterior
    def _labelled(self, x: Tensor, labels: Tensor | None) -> Tensor:
        if not self.conditional:
            return x
        if labels is None:
            raise ValueError("A conditional model needs the labels of the rows.")
        one_hot = functional.one_hot(labels, self.n_classes).to(x.dtype)
        return torch.cat([x, one_hot.expand(*x.shape[:-1], self.n_classes)], dim=-1)

    def _head(self, inputs: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(self._labelled(inputs, labels))
        _check_width("encoder", hidden, self.head.in_features)
        mean, log_variance = self.head(hidden).chunk(2, dim=-1)
        return mean, log_variance.clamp(*LOG_VARIANCES), hidden

    def posterior(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log variance of z before any flow, (n, n_components), and the hidden units."""
        inputs = self.likelihood.encode(x)
        return self._head(inputs.clamp(-FARTHEST, FARTHEST), labels)

    def push(
        self, mean: Tensor, log_variance: Tensor, hidden: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Z (..., n, n_components) and log q(z|x) (..., n), from standard normal noise."""
        z = mean + torch.exp(0.5 * log_variance) * noise
        density = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)
        for flow in self.flows:
            z, log_det = flow(z, hidden)
            density = density - log_det
        return z, density

    # ------------------------------------------------------------------ prior
    def log_prior(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Log p(z), (..., n); without labels of any class."""
        return self.prior.log_density(z, labels, self._head)

    # ------------------------------------------------------------------ decoder
    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Outputs of the decoder, what the likelihood takes, for z (..., n, n_components)."""
        inputs = self._labelled(z, labels)
        out = self.decoder(inputs if inputs.ndim == 2 else inputs.flatten(0, -2))
        _check_width("decoder", out, self.likelihood.n_outputs)
        return out if inputs.ndim == 2 else out.unflatten(0, inputs.shape[:-1])

    # ------------------------------------------------------------------ loss
    @property
    def current_kl_weight(self) -> float | Tensor:
        """In training that of the warm-up."""
        if not (self.kl_warmup_steps and self.training):
            return self.kl_weight
        return self.kl_weight * torch.clamp(self.step / self.kl_warmup_steps, max=1.0)

    def forward(
        self, x: Tensor, labels: Tensor | None = None, weight: Tensor | None = None
    ) -> tuple[Tensor, tuple]:
        """Loss of a batch, a mean over its rows, and the sums of its parts.

        The loss is divided by the number of rows, and not by the sum of their weights: a row has
        the same share in the training whatever batch it is in. Weights have a mean near one.
        """
        x = self.likelihood.draw(x)
        mean, log_variance, hidden = self.posterior(x, labels)
        if self.n_importance_samples == 1 and not self.flows and self.prior.has_kl:
            loss, fit, kl = self._closed(x, labels, weight, mean, log_variance)
            with torch.no_grad():
                parts: tuple = loss.detach(), -fit, kl.detach(), fit - kl
        else:
            *rows, loss = self._drawn(x, labels, mean, log_variance, hidden)
            each = torch.stack([loss.detach(), *rows])
            parts = tuple(each.sum(1) if weight is None else each @ weight)
            loss = loss.sum() if weight is None else weight @ loss
        return loss / len(x), (*parts, len(x) if weight is None else weight.sum())

    def _closed(
        self,
        x: Tensor,
        labels: Tensor | None,
        weight: Tensor | None,
        mean: Tensor,
        log_variance: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, log p(x|z) and KL, its closed form, summed over the rows."""
        z = mean + torch.exp(0.5 * log_variance) * draws.normal(tuple(mean.shape), mean)
        fit = self.likelihood.total(self.decode(z, labels), x, weight)
        terms = self.prior.kl(mean, log_variance, labels)
        kl = terms.sum() if weight is None else weight @ terms.sum(-1)
        penalty = self._with_free_bits(terms, weight) if self.free_bits else kl
        beta = self.current_kl_weight
        plain = isinstance(beta, float) and beta == 1
        return penalty - fit if plain else beta * penalty - fit, fit, kl

    def _with_free_bits(self, terms: Tensor, weight: Tensor | None) -> Tensor:
        """KL of the rows, of which each dimension counts ``free_bits`` nats at least."""
        w = terms.new_ones(len(terms)) if weight is None else weight
        means = (w @ terms) / w.sum()
        return torch.clamp(means, min=self.free_bits).sum() * w.sum()

    def _drawn(
        self,
        x: Tensor,
        labels: Tensor | None,
        mean: Tensor,
        log_variance: Tensor,
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each row -log p(x|z), KL and the bound, without gradients, and the loss."""
        k = self.n_importance_samples
        shape = (k, *mean.shape) if k > 1 else mean.shape
        noise = draws.normal(tuple(shape), mean)
        z, density = self.push(mean, log_variance, hidden, noise)
        fit = self.likelihood.log_prob(self.decode(z, labels), x)
        kl = density - self.log_prior(z, labels)
        loss = self.current_kl_weight * kl - fit
        with torch.no_grad():
            bound = fit - kl
            if k > 1:
                bound = torch.logsumexp(bound, dim=0) - math.log(k)
                fit, kl = fit.mean(0), kl.mean(0)
            parts = -fit, kl.detach(), bound
        if k > 1:
            loss = math.log(k) - torch.logsumexp(-loss, dim=0)
        return *parts, loss

    # ------------------------------------------------------------------ density
    def log_density(self, x: Tensor, labels: Tensor | None, noise: Tensor) -> Tensor:
        """Importance-weighted bound on log p(x), (n,), from noise (k, n or 1, n_components)."""
        mean, log_variance, hidden = self.posterior(x, labels)
        z, density = self.push(mean, log_variance, hidden, noise)
        fit = self.likelihood.log_prob(self.decode(z, labels), x)
        weights = fit + self.log_prior(z, labels) - density
        return torch.logsumexp(weights, dim=0) - math.log(len(noise))

    def sample(self, n: int, labels: Tensor | None) -> Tensor:
        """Rows drawn from p(z) p(x|z), (n, d); without labels of any class."""
        noise = draws.normal((n, self.n_components), self.head.weight)
        z = self.prior.sample(noise, labels, self._head)
        return self.likelihood.sample(self.decode(z, labels))


def _check_width(name: str, out: Tensor, width: int) -> None:
    if out.ndim != 2 or out.shape[1] != width:
        raise ValueError(
            f"The module of {name} must give {width} numbers for each row, of shape (n, {width}); "
            f"got shape {tuple(out.shape)}."
        )
