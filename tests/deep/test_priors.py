"""Priors of latent points: densities, draws, and what they declare."""

import pytest
import torch
from torch import distributions
from torch.testing import assert_close

from skem.deep.modules.priors import PRIORS, Sizes, normal_log_density

N, D, K = 40_000, 2, 3
LABELS = torch.arange(N) % K


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def encode(inputs, labels):
    """Any posterior will do: the inputs are its means, and twice its log variances."""
    return inputs[:, :D], 0.5 * inputs[:, D:], None


def made(name):
    return PRIORS[name](Sizes(n_components=D, n_classes=K, n_inputs=2 * D, n_pseudo_inputs=K))


def test_the_normal_log_density_is_that_of_torch():
    z, mean, log_variance = torch.randn(3, 5, 3, dtype=torch.float64)
    expected = distributions.Normal(mean, torch.exp(0.5 * log_variance)).log_prob(z).sum(-1)
    assert_close(normal_log_density(z, mean, log_variance), expected)


@pytest.mark.parametrize("labels", [None, LABELS], ids=["any", "labelled"])
@pytest.mark.parametrize("name", PRIORS)
def test_draws_have_the_density(name, labels):
    """E_p[q(z) / p(z)] = 1 for another density q, which is narrower."""
    prior = made(name)
    with torch.no_grad():
        z = prior.sample(torch.randn(N, D), labels, encode)
        log_p = prior.log_density(z, labels, encode)
        q = distributions.Normal(z.mean(0), 0.5 * z.std(0))
        ratios = torch.exp(q.log_prob(z).sum(-1) - log_p)
    assert abs(ratios.mean() - 1) < 5 * ratios.std() / N**0.5


@pytest.mark.parametrize("name", [name for name, kind in PRIORS.items() if kind.has_kl])
def test_kl_is_that_of_torch(name):
    prior = made(name)
    mean, log_variance = torch.randn(2, N, D)
    posterior = distributions.Normal(mean, torch.exp(0.5 * log_variance))
    centers = prior.class_means[LABELS] if prior.needs_labels else torch.zeros(D)
    expected = distributions.kl_divergence(posterior, distributions.Normal(centers, 1.0))
    assert_close(prior.kl(mean, log_variance, LABELS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PRIORS)
def test_attributes_are_parameters(name):
    prior = made(name)
    assert {*prior.attributes} <= {name for name, _ in prior.named_parameters()}
