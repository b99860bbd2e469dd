"""Log p(x|z) of the likelihoods, against torch.distributions."""

import math

import pytest
import torch
from torch import distributions
from torch.testing import assert_close

from skem.deep.modules.likelihoods import Bernoulli, Categorical, Gaussian, Mixed, Multinomial

N, D = 7, 4


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def doubles(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def gaussian(variance):
    likelihood = Gaussian(doubles(D), variance).double()
    for parameter in likelihood.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return likelihood


def everything():
    return {
        "columns": gaussian("columns"),
        "shared": gaussian("shared"),
        "decoder": gaussian("decoder"),
        "number": gaussian(0.7),
        "bernoulli": Bernoulli(D),
        "multinomial": Multinomial(D),
        "mixed": Mixed([(Bernoulli(2), [0, 3]), (Categorical(3), [1]), (Bernoulli(1), [2])]),
    }


@pytest.mark.parametrize("variance", ["columns", "shared", "decoder", 0.7])
def test_gaussian_is_the_normal_density_in_the_users_units(variance):
    likelihood = gaussian(variance)
    x, out = doubles(N, D), doubles(N, likelihood.n_outputs)
    scale = likelihood.log_scale.exp()
    mean = out[:, :D]
    if variance == "decoder":
        deviation = torch.exp(0.5 * out[:, D:]) * scale
    elif variance == 0.7:
        deviation = torch.full((D,), math.sqrt(0.7), dtype=torch.float64)
    else:
        deviation = torch.exp(0.5 * likelihood.log_variance) * scale
    expected = distributions.Normal(mean * scale, deviation).log_prob(x * scale).sum(-1)
    assert_close(likelihood.log_prob(out, x), expected)


def test_gaussian_has_one_learned_variance_a_column_or_for_all_or_none():
    sizes = {v: sum(p.numel() for p in gaussian(v).parameters()) for v in ("columns", "shared")}
    assert sizes == {"columns": D, "shared": 1}
    assert not list(gaussian("decoder").parameters())
    assert not list(gaussian(2.0).parameters())


def test_a_fixed_variance_is_not_bounded_and_a_learned_one_is():
    fixed = Gaussian(torch.zeros(1), 1e-12)
    x = torch.zeros(1, 1)
    assert fixed.log_prob(x, x).item() == pytest.approx(-0.5 * math.log(2 * math.pi * 1e-12))
    learned = Gaussian(torch.zeros(1), "decoder")
    least = learned.log_prob(torch.tensor([[0.0, -1e4]]), x).item()
    assert least == pytest.approx(-0.5 * math.log(2 * math.pi * 1e-6))


def test_bernoulli_is_the_chance_of_zeros_and_ones():
    x, out = torch.bernoulli(torch.full((N, D), 0.5)).double(), 5 * doubles(N, D)
    expected = distributions.Bernoulli(logits=out).log_prob(x).sum(-1)
    assert_close(Bernoulli(D).log_prob(out, x), expected)


def test_bernoulli_of_chances_is_the_mean_over_zeros_and_ones_drawn_by_them():
    chance, out = torch.rand(1, 1, dtype=torch.float64), doubles(1, 1)
    one, zero = (Bernoulli(1).log_prob(out, torch.full_like(out, v)) for v in (1.0, 0.0))
    expected = chance[0] * one + (1 - chance[0]) * zero
    assert_close(Bernoulli(1).log_prob(out, chance), expected)


def test_dynamic_binarisation_draws_ones_with_the_chances_given():
    chances = torch.tensor([0.0, 0.2, 0.9, 1.0]).expand(20_000, 4)
    drawn = Bernoulli(4, dynamic=True).draw(chances)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert_close(drawn.mean(0), chances[0], atol=0.02, rtol=0)
    assert Bernoulli(4).draw(chances) is chances


def test_multinomial_is_the_density_of_the_tokens_without_the_coefficient():
    x, out = torch.randint(6, (N, D)).double(), doubles(N, D)
    total = x.sum(-1)
    coefficient = torch.lgamma(total + 1) - torch.lgamma(x + 1).sum(-1)
    expected = [
        distributions.Multinomial(int(n), logits=o).log_prob(row)
        for n, o, row in zip(total, out, x, strict=True)
    ]
    assert_close(Multinomial(D).log_prob(out, x) + coefficient, torch.stack(expected))


def test_categorical_is_the_chance_of_a_code():
    x, out = torch.randint(3, (N, 1)), doubles(N, 3)
    expected = distributions.Categorical(logits=out).log_prob(x[:, 0])
    assert_close(Categorical(3).log_prob(out, x.double()), expected)


def mixed():
    """Columns 0 and 2 real, 1 of three categories, 3 of zeros and ones."""
    parts = [
        (Gaussian(torch.zeros(2), "columns"), [0, 2]),
        (Bernoulli(1), [3]),
        (Categorical(3), [1]),
    ]
    return Mixed(parts).double()


def test_a_mixture_by_column_sums_the_columns_log_densities():
    likelihood = mixed()
    x = torch.stack([torch.tensor([0.3, c, -1.0, b]) for c, b in ((0, 1), (2, 0), (1, 1))]).double()
    out = doubles(3, 6)
    real = distributions.Normal(out[:, :2], 1.0).log_prob(x[:, [0, 2]]).sum(-1)
    bit = distributions.Bernoulli(logits=out[:, 2]).log_prob(x[:, 3])
    code = distributions.Categorical(logits=out[:, 3:]).log_prob(x[:, 1])
    assert_close(likelihood.log_prob(out, x), real + bit + code)
    assert (likelihood.n_inputs, likelihood.n_outputs) == (6, 6)
    assert likelihood.encode(x).shape == (3, 6)


def test_a_mixture_by_column_puts_means_and_draws_in_their_places():
    likelihood = mixed()
    out = torch.tensor([[10.0, 20.0, 50.0, -50.0, -50.0, 50.0]]).double()
    assert likelihood.mean(out).tolist() == [[10.0, 2.0, 20.0, 1.0]]
    drawn = likelihood.sample(out.expand(1000, 6))
    assert drawn[:, 1].unique().tolist() == [2.0]
    assert drawn[:, 3].unique().tolist() == [1.0]
    assert_close(drawn[:, [0, 2]].mean(0), out[0, :2], atol=0.2, rtol=0)


@pytest.mark.parametrize("name", ["columns", "shared", "decoder", "number", "bernoulli"])
def test_draws_have_the_mean_that_is_given(name):
    likelihood = everything()[name]
    out = doubles(1, likelihood.n_outputs).expand(20_000, -1)
    drawn = likelihood.sample(out)
    error = 5 * drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - likelihood.mean(out)[0]).abs() < error).all()


def test_draws_of_tokens_and_codes_have_their_chances():
    out = doubles(1, D)
    chances = torch.softmax(out[0], -1)
    tokens = Multinomial(D).sample(out.expand(20_000, D))
    assert (tokens.sum(-1) == 1).all()
    assert_close(tokens.mean(0), chances, atol=0.02, rtol=0)
    assert_close(Multinomial(D).mean(out)[0], chances)
    codes = Categorical(D).sample(out.expand(20_000, D))
    assert codes.shape == (20_000, 1)
    assert_close(
        torch.bincount(codes[:, 0].long(), minlength=D) / 20_000, chances.float(), atol=0.02, rtol=0
    )
    assert Categorical(D).mean(out).item() == chances.argmax().item()


@pytest.mark.parametrize("name", everything())
def test_many_outputs_for_a_row_are_scored_one_by_one(name):
    likelihood = everything()[name]
    x = torch.randint(2, (N, D)).double()
    out = doubles(3, N, likelihood.n_outputs)
    expected = torch.stack([likelihood.log_prob(own, x) for own in out])
    assert_close(likelihood.log_prob(out, x), expected)
    assert likelihood.mean(out).shape == (3, N, D)
    assert likelihood.sample(out).shape == (3, N, D)


# ---------------------------------------------------------------------- where training starts
def weighted_rows():
    generator = torch.Generator().manual_seed(0)
    x = torch.stack(
        [
            torch.randint(2, (50,), generator=generator).double(),
            torch.randint(3, (50,), generator=generator).double(),
            torch.rand(50, generator=generator, dtype=torch.float64),
        ],
        dim=1,
    )
    weight = torch.rand(50, generator=generator, dtype=torch.float64)
    return x, weight / weight.sum()


def test_bernoulli_and_categorical_columns_start_at_their_chances():
    x, weight = weighted_rows()
    likelihood = Mixed([(Bernoulli(2), [0, 2]), (Categorical(3), [1])])
    out = likelihood.start(x, weight)
    assert_close(torch.sigmoid(out[:2]), weight @ x[:, [0, 2]])
    shares = torch.stack([weight[x[:, 1] == code].sum() for code in range(3)])
    assert_close(torch.softmax(out[2:], dim=0), shares)


def test_counts_start_at_the_mean_shares_of_the_columns():
    x, weight = weighted_rows()
    x = x + 1
    shares = weight @ (x / x.sum(1, keepdim=True))
    assert_close(torch.softmax(Multinomial(3).start(x, weight), dim=0), shares)


@pytest.mark.parametrize("variance", ["columns", "shared", "decoder"])
def test_normal_columns_start_at_their_moments(variance):
    """A variance below 1 starts at 1."""
    x, weight = weighted_rows()
    x = x * torch.tensor([40.0, 10.0, 1e-3]) + 5
    likelihood = Gaussian(torch.zeros(3), variance).double()
    out = likelihood.start(x, weight)
    mean = weight @ x
    expected = (weight @ (x - mean).square()).clamp(min=1)
    assert_close(out[:3], mean)
    if variance == "decoder":
        assert_close(out[3:].exp(), expected)
    elif variance == "columns":
        assert_close(likelihood.log_variance.exp(), expected)
    else:
        assert_close(likelihood.log_variance.exp(), expected.mean()[None])


def test_a_column_of_zeros_starts_at_a_finite_number():
    x, weight = torch.zeros(5, 2).double(), torch.full((5,), 0.2).double()
    for likelihood in (Bernoulli(2), Multinomial(2), Gaussian(torch.zeros(2)).double()):
        assert torch.isfinite(likelihood.start(x, weight)).all()
