"""The module: KL, the bounds and their gradients."""

import math

import pytest
import torch
from torch import distributions, nn
from torch.func import functional_call
from torch.testing import assert_close

from skem.deep.modules.likelihoods import Bernoulli, Categorical, Gaussian, Mixed
from skem.deep.modules.vae import VAE
from skem.deep.training._random import normal_at
from skem.deep.vae._use import _log_density

N, D, LATENT = 5, 3, 2
LABELS = torch.tensor([0, 1, 1, 2, 0])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def tiny(likelihood=None, **options):
    """A VAE of few units, in float64."""
    likelihood = likelihood or Gaussian(torch.zeros(D), "columns")
    n_labels = 3 if options.get("conditional") else 0
    n_classes = 3 if options.get("conditional") or options.get("prior") == "class" else 0
    encoder = nn.Sequential(nn.Linear(likelihood.n_inputs + n_labels, 4), nn.Tanh())
    decoder = nn.Linear(LATENT + n_labels, likelihood.n_outputs)
    module = VAE(
        likelihood, encoder, 4, decoder, n_components=LATENT, n_classes=n_classes, **options
    )
    return module.double()


def rows(n=N):
    return torch.randn(n, D, dtype=torch.float64)


def loss_and_means(module, x, labels=None, seed=3):
    """The loss, and means of its parts, for the same draws each time."""
    torch.manual_seed(seed)
    loss, parts = module(x, labels)
    names = module.parts[:-1]
    assert parts[-1] == len(x)
    return loss, {name: total / len(x) for name, total in zip(names, parts, strict=False)}


# ---------------------------------------------------------------------- KL
def posterior_of(module, x):
    mean, log_variance, _ = module.posterior(x)
    return distributions.Normal(mean, torch.exp(0.5 * log_variance))


def prior_of(module, labels=None):
    mean = torch.zeros(N, LATENT, dtype=torch.float64)
    mean = mean if labels is None else module.prior.class_means[labels]
    return distributions.Normal(mean, torch.ones_like(mean))


@pytest.mark.parametrize("prior", ["normal", "class"])
def test_kl_is_the_closed_form_summed_over_dimensions(prior):
    """Su 2018, eqs. 4 and 8: 1/2 sum ((mu - mu^Y)^2 + sigma^2 - log sigma^2 - 1)."""
    module, x = tiny(prior=prior), rows()
    labels = LABELS if prior == "class" else None
    _, means = loss_and_means(module, x, labels)
    expected = distributions.kl_divergence(posterior_of(module, x), prior_of(module, labels))
    assert_close(means["kl"], expected.sum(-1).mean().detach())


@pytest.mark.parametrize("prior", ["normal", "class"])
def test_kl_is_what_draws_give(prior):
    module, x = tiny(prior=prior), rows()
    labels = LABELS if prior == "class" else None
    mean, log_variance, hidden = module.posterior(x, labels)
    noise = torch.randn(40_000, N, LATENT, dtype=torch.float64)
    z, density = module.push(mean, log_variance, hidden, noise)
    ratio = (density - module.log_prior(z, labels)).detach().mean(1)
    _, means = loss_and_means(module, x, labels)
    error = 5 * ratio.std() / math.sqrt(len(ratio))
    assert abs(ratio.mean() - means["kl"]) < error


def test_the_density_of_pushed_draws_is_that_of_the_normal_posterior_without_flows():
    module, x = tiny(), rows()
    mean, log_variance, hidden = module.posterior(x)
    z, density = module.push(mean, log_variance, hidden, torch.randn(6, N, LATENT).double())
    assert_close(density, posterior_of(module, x).log_prob(z).sum(-1))


@pytest.mark.parametrize("prior", ["class", "vamp"])
def test_the_prior_without_labels_is_a_mixture(prior):
    module = tiny(prior=prior, n_pseudo_inputs=4)
    z = torch.randn(3, N, LATENT, dtype=torch.float64)
    if prior == "class":
        mean, deviation = module.prior.class_means, torch.ones_like(module.prior.class_means)
    else:
        mean, log_variance, _ = module._head(module.prior.pseudo_inputs, None)
        deviation = torch.exp(0.5 * log_variance)
    parts = distributions.Independent(distributions.Normal(mean, deviation), 1)
    alike = distributions.Categorical(logits=torch.zeros(len(mean), dtype=torch.float64))
    expected = distributions.MixtureSameFamily(alike, parts).log_prob(z)
    assert_close(module.log_prior(z, None), expected)


# ---------------------------------------------------------------------- loss
def test_loss_is_reconstruction_and_kl_summed_over_dimensions_and_averaged_over_rows():
    module, x = tiny(), rows()
    loss, means = loss_and_means(module, x)
    torch.manual_seed(3)
    z = posterior_of(module, x)
    z = z.mean + z.stddev * torch.randn(N, LATENT, dtype=torch.float64)
    deviation = torch.exp(0.5 * module.likelihood.log_variance)
    error = -distributions.Normal(module.decode(z), deviation).log_prob(x).sum(-1)
    assert_close(means["reconstruction"], error.mean().detach())
    assert_close(loss, means["reconstruction"] + means["kl"])
    assert_close(means["bound"], -loss.detach())


@pytest.mark.parametrize("kl_weight", [0.0, 0.25, 4.0])
def test_kl_weight_weighs_kl_in_the_loss_and_not_in_the_bound(kl_weight):
    module, x = tiny(kl_weight=kl_weight), rows()
    loss, means = loss_and_means(module, x)
    assert_close(loss, means["reconstruction"] + kl_weight * means["kl"])
    assert_close(means["bound"], -means["reconstruction"] - means["kl"])


def test_the_weight_of_kl_grows_by_steps_in_training_and_is_whole_otherwise():
    module = tiny(kl_weight=0.5, kl_warmup_steps=10)
    weights = {}
    for step in (0, 5, 10, 50):
        module.step.fill_(step)
        weights[step] = float(module.current_kl_weight)
    assert weights == {0: 0.0, 5: 0.25, 10: 0.5, 50: 0.5}
    module.step.fill_(0)
    assert module.eval().current_kl_weight == 0.5


def test_free_bits_are_a_floor_under_the_mean_kl_of_each_dimension():
    module, x = tiny(), rows()
    with torch.no_grad():
        module.head.weight[0] *= 20  # the first dimension tells rows apart, the second does not
        module.head.weight[[1, 3]] *= 0.01
    terms = distributions.kl_divergence(posterior_of(module, x), prior_of(module)).mean(0)
    floor = float(terms.mean().detach())
    assert terms[0] > floor > terms[1]
    module.free_bits = floor
    loss, means = loss_and_means(module, x)
    assert_close(loss, means["reconstruction"] + terms[0] + floor)
    assert_close(means["kl"], terms.sum().detach())
    (gradient,) = torch.autograd.grad(loss - means["reconstruction"], module.head.bias)
    assert gradient[0] != 0


def test_weights_of_rows_are_shares_of_the_loss():
    module, x = tiny(), rows()
    with torch.no_grad():
        module.head.bias[LATENT:] = -60.0  # no noise to speak of
        module.head.weight[LATENT:] = 0.0
    weight = torch.tensor([2.0, 1.0, 0.5, 1.0, 0.5], dtype=torch.float64)
    loss, parts = module(x, None, weight)
    each = [module(row[None])[1][0] for row in x]
    assert_close(parts[0], weight @ torch.stack(each))
    assert_close(parts[-1], weight.sum())
    assert_close(loss, parts[0] / N)
    halved, parts = module(x, None, weight / 2)
    assert_close(halved, loss / 2)  # a light batch counts less than a heavy one
    assert_close(2 * parts[0] / parts[-1] / 2, loss)


# ---------------------------------------------------------------------- importance weights
def test_the_importance_weighted_loss_is_minus_the_log_of_mean_weights():
    module, x = tiny(n_importance_samples=7), rows()
    loss, means = loss_and_means(module, x)
    torch.manual_seed(3)
    noise = torch.randn(7, N, LATENT, dtype=torch.float64)
    mean, log_variance, hidden = module.posterior(x)
    z, density = module.push(mean, log_variance, hidden, noise)
    weights = module.likelihood.log_prob(module.decode(z), x) + module.log_prior(z, None) - density
    assert_close(loss, -torch.log(weights.exp().mean(0)).mean())
    assert_close(means["bound"], -loss.detach())
    assert means["bound"] > -means["reconstruction"] - means["kl"]


@pytest.mark.parametrize("posterior", ["diag", "planar", "iaf"])
def test_the_bound_rises_with_draws(posterior):
    """In expectation (Burda et al. 2016, theorem 1)."""
    module, x = tiny(posterior=posterior, n_flows=2), rows(40)
    bounds = []
    with torch.no_grad():
        for k in (1, 5, 50):
            noise = torch.randn(2000 // k, k, 1, LATENT, dtype=torch.float64)
            bounds.append(torch.stack([module.log_density(x, None, e).mean() for e in noise]))
    means = [float(b.mean()) for b in bounds]
    errors = [float(b.std()) / math.sqrt(len(b)) for b in bounds]
    for i in range(2):
        assert means[i + 1] - means[i] > 3 * math.hypot(errors[i], errors[i + 1])


def test_draws_in_parts_give_what_draws_at_once_give():
    module, x = tiny(), rows()
    points, shift = torch.rand(700, LATENT), torch.rand(len(x), LATENT)
    noise = normal_at(points[:, None], shift).double()
    in_parts = _log_density(module.float(), x.float(), None, points, shift)
    assert_close(in_parts, module.double().log_density(x, None, noise).float())


# ---------------------------------------------------------------------- gradients
MIXED = [(Gaussian(torch.zeros(1)), [0]), (Bernoulli(1), [1]), (Categorical(2), [2])]
KINDS = {
    "diag": {},
    "decoder": {"likelihood": Gaussian(torch.zeros(D), "decoder")},
    "bernoulli": {"likelihood": Bernoulli(D)},
    "mixed": {"likelihood": Mixed(MIXED)},
    "planar": {"posterior": "planar", "n_flows": 2},
    "iaf": {"posterior": "iaf", "n_flows": 1},
    "class": {"prior": "class"},
    "conditional": {"conditional": True},
    "vamp": {"prior": "vamp", "n_pseudo_inputs": 3},
    "iwae": {"n_importance_samples": 3, "kl_weight": 0.5},
    "free bits": {"free_bits": 0.02},
    "warm-up": {"kl_warmup_steps": 4},
}


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_those_of_differences(name):
    module = tiny(**KINDS[name])
    module.step.fill_(3)
    x = torch.bernoulli(torch.full((N, D), 0.5)).double()
    labelled = module.prior.needs_labels or module.conditional
    names, values = zip(*module.named_parameters(), strict=True)

    def loss(*parameters):
        torch.manual_seed(5)
        own = dict(zip(names, parameters, strict=True))
        return functional_call(module, own, (x, LABELS if labelled else None))[0]

    copies = tuple(value.detach().clone().requires_grad_() for value in values)
    assert torch.autograd.gradcheck(loss, copies)


# ---------------------------------------------------------------------- modules of the user
class Recorder(nn.Module):
    """Records the shape that it is called with."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.shapes = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return self.layer(x)


def test_a_decoder_is_called_with_a_matrix_however_many_draws_there_are():
    module = tiny(n_importance_samples=7)
    module.decoder = recorder = Recorder(module.decoder)
    module(rows())
    module.log_density(rows(), None, torch.randn(4, 1, LATENT).double())
    assert recorder.shapes == [(7 * N, LATENT), (4 * N, LATENT)]


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_module_of_the_wrong_width_is_refused(part):
    module = tiny()
    setattr(module, part, nn.LazyLinear(1).double())
    with pytest.raises(ValueError, match=rf"module of {part} must give \d numbers for each row"):
        module(rows())
