"""What a fitted variational autoencoder does with rows."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from skem import VAETransformer
from skem.deep.modules.vae import VAE

QUICK = {"hidden_layer_sizes": (16,), "learning_rate": 0.01, "random_state": 0}


# ---------------------------------------------------------------------- encode and decode
def test_transform_is_the_posterior_mean(gaussian_vae, factors):
    mean, std = gaussian_vae.posterior_moments(factors)
    np.testing.assert_array_equal(gaussian_vae.transform(factors), mean)
    assert mean.shape == std.shape == (240, 2)
    assert (std > 0).all()
    assert (std < 1).any()  # a row says more of z than the prior does


def test_reconstruct_is_transform_and_back_and_near_to_the_rows(gaussian_vae, factors):
    Z = gaussian_vae.transform(factors)
    back = gaussian_vae.reconstruct(factors)
    np.testing.assert_array_equal(back, gaussian_vae.inverse_transform(Z))
    error = (back - factors).var(axis=0) / factors.var(axis=0)
    assert (error < 0.4).all()
    assert error.mean() < 0.2


def test_fit_transform_is_fit_and_transform(factors):
    vae = VAETransformer(2, max_epochs=30, **QUICK)
    np.testing.assert_array_equal(vae.fit_transform(factors), vae.transform(factors))


def test_posterior_moments_tell_where_a_row_is_unsure(gaussian_vae, factors):
    """Mean variance and variance of means make up the prior's variance, near the optimum."""
    mean, std = gaussian_vae.posterior_moments(factors)
    total = mean.var(axis=0) + np.square(std).mean(axis=0)
    np.testing.assert_allclose(total, 1.0, atol=0.25)


def test_interpolation_goes_from_one_row_to_the_other_in_even_steps(gaussian_vae, factors):
    a, b = factors[3], factors[8]
    between = gaussian_vae.interpolate(a, b, 5)
    Z = gaussian_vae.transform(np.array([a, b]))
    points = np.linspace(Z[0], Z[1], 5)
    np.testing.assert_allclose(between, gaussian_vae.inverse_transform(points), rtol=1e-4)
    ends = gaussian_vae.reconstruct(factors[[3, 8]])
    np.testing.assert_allclose(between[[0, -1]], ends, rtol=1e-4)
    assert gaussian_vae.interpolate(a, b).shape == (10, 5)
    np.testing.assert_allclose(gaussian_vae.interpolate(a, b, 1), between[:1], rtol=1e-4)


# ---------------------------------------------------------------------- units
def test_units_of_the_columns_change_densities_by_the_jacobian_and_nothing_else(factors):
    scale, shift = np.array([1e-3, 2.0, 1e4, 1.0, -5.0]), np.array([0.0, 1.0, -1e4, 9.0, 0.0])
    a = VAETransformer(2, max_epochs=30, **QUICK).fit(np.abs(scale) * factors)
    b = VAETransformer(2, max_epochs=30, **QUICK).fit(factors)
    jacobian = np.log(np.abs(scale)).sum()
    Y = np.abs(scale) * factors
    np.testing.assert_allclose(a.transform(Y), b.transform(factors), atol=1e-4)
    np.testing.assert_allclose(
        a.score_samples(Y) + jacobian, b.score_samples(factors), rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(a.reconstruct(Y), np.abs(scale) * b.reconstruct(factors), rtol=1e-3)
    np.testing.assert_allclose(a.sample(5), np.abs(scale) * b.sample(5), rtol=1e-3)
    # Turned round and moved it is another fit of the same quality.
    c = VAETransformer(2, max_epochs=30, **QUICK).fit(scale * factors + shift)
    assert c.score(scale * factors + shift) + jacobian == pytest.approx(b.score(factors), abs=0.5)


@pytest.mark.parametrize(("offset", "unit"), [(1e9, 1.0), (-1e6, 1e-5), (0.0, 1e60), (0.0, 1e-60)])
def test_rows_far_from_zero_and_of_any_size_are_fitted_as_well(factors, offset, unit):
    """A float32 has 7 digits and goes up to 1e38."""
    plain = (factors - factors.mean(0)) / factors.std(0)
    X = offset + unit * plain
    vae = VAETransformer(2, max_epochs=60, **QUICK).fit(X)
    score = vae.score(X) + 5 * np.log(unit)
    expected = VAETransformer(2, max_epochs=60, **QUICK).fit(plain).score(plain)
    assert score == pytest.approx(expected, abs=0.5)
    assert vae.active_units_ == 2


def test_without_standardisation_the_encoder_sees_the_rows_as_they_are(factors):
    seen = []
    X = 2 * factors / factors.std(0)

    class Eyes(nn.Linear):
        n_outputs = 4

        def forward(self, x):
            seen.append(x.detach().numpy().copy())
            return super().forward(x)

    def encoder(n_inputs, n_outputs):
        return Eyes(n_inputs, 4)

    for standardize in (True, False):
        vae = VAETransformer(
            2, encoder=encoder, standardize=standardize, kl_weight=0.0, max_epochs=20, **QUICK
        ).fit(X)
        seen.clear()
        vae.posterior_moments(X)
        unit = X.std(0) if standardize else np.sqrt(X.var(0).mean())
        expected = (X - X.mean(0)) / unit
        np.testing.assert_allclose(seen[0], expected.astype(np.float32), rtol=1e-4, atol=1e-5)


def test_a_column_that_does_not_vary_harms_nothing(factors):
    X = np.column_stack([factors, np.full(240, 123.456), np.zeros(240)])
    vae = VAETransformer(2, max_epochs=30, **QUICK).fit(X)
    back = vae.reconstruct(X)
    np.testing.assert_allclose(back[:, 5], 123.456, atol=0.5)
    np.testing.assert_allclose(back[:, 6], 0.0, atol=0.5)
    assert np.isfinite(vae.score(X))


@pytest.mark.parametrize("variance", ["columns", "shared", "decoder", 0.5])
def test_every_variance_learns(factors, variance):
    X = (factors - factors.mean(0)) / factors.std(0)
    vae = VAETransformer(2, variance=variance, max_epochs=40, **QUICK).fit(X)
    assert vae.score(X) > -0.5 * 5 * (np.log(2 * np.pi) + 1) + 0.3  # independent columns
    assert vae.sample(4).shape == (4, 5)


def test_a_given_variance_is_in_the_users_units(factors):
    """Log N(x; mean, v), whatever the columns are standardised by: draws have that variance."""
    X = factors[:, [1]]
    vae = VAETransformer(1, variance=400.0, max_epochs=30, **QUICK).fit(X)
    module = vae.net_.module_
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        out = torch.zeros(20_000, 1)
        drawn = module.likelihood.sample(out).numpy() * vae.scale_
    assert drawn.var() == pytest.approx(400.0, rel=0.05)


# ---------------------------------------------------------------------- density
def test_the_score_is_the_weighted_mean_of_the_scores_of_rows(gaussian_vae, factors):
    values = gaussian_vae.score_samples(factors).astype(np.float64)
    weight = np.linspace(0, 2, 240)
    assert gaussian_vae.score(factors) == pytest.approx(values.mean(), rel=1e-12)
    weighted = gaussian_vae.score(factors, sample_weight=weight)
    assert weighted == pytest.approx(np.average(values, weights=weight), rel=1e-12)


def test_one_draw_scores_rows_by_the_evidence_lower_bound(gaussian_vae, factors):
    """In the mean that of the training, and 100 draws are above it."""
    ones, hundreds = [], []
    for seed in range(100):
        vae = copy.copy(gaussian_vae)
        vae._seed = seed  # of the draws
        ones.append(vae.score_samples(factors, n_importance_samples=1).mean())
        hundreds.append(vae.score(factors))
    assert np.mean(ones) == pytest.approx(gaussian_vae.history_[-1]["train_bound"], abs=0.2)
    assert np.mean(hundreds) > np.mean(ones) + 0.02


def test_rows_far_away_are_less_likely(gaussian_vae, factors):
    near = gaussian_vae.score_samples(factors)
    far = gaussian_vae.score_samples(factors + 20 * factors.std(0))
    assert far.max() < near.min()


def test_memory_of_scores_does_not_grow_with_draws(gaussian_vae, factors):
    def peak(n):
        largest = []
        module = gaussian_vae.net_.module_
        hook = module.decoder.register_forward_hook(
            lambda m, args, out: largest.append(args[0].numel() * 16)
        )
        gaussian_vae.score_samples(factors, n_importance_samples=n)
        hook.remove()
        return max(largest)

    assert peak(10_000) == peak(2000) < 1 << 24


@pytest.mark.parametrize("prior", ["class", "vamp"])
def test_memory_of_scores_does_not_grow_with_modes_of_the_prior(factors, prior, monkeypatch):
    options = {"n_pseudo_inputs": 1000} if prior == "vamp" else {}
    labels = np.arange(240) if prior == "class" else None
    vae = VAETransformer(2, prior=prior, max_epochs=10, kl_weight=0.0, **QUICK, **options)
    vae.fit(factors, labels=labels)
    sizes = []
    log_prior = VAE.log_prior

    def watched(module, z, labels):
        sizes.append(z.numel() * module.prior.n_modes)
        return log_prior(module, z, labels)

    monkeypatch.setattr(VAE, "log_prior", watched)
    vae.score_samples(factors, n_importance_samples=256)
    assert sum(sizes) >= 240 * 256 * 2 * 240
    assert max(sizes) <= 1 << 22


# ---------------------------------------------------------------------- likelihoods
def test_bernoulli_gives_chances_and_draws_zeros_and_ones(bernoulli_vae, binary):
    back = bernoulli_vae.reconstruct(binary)
    assert (back >= 0).all()
    assert (back <= 1).all()
    assert ((back > 0.5) == binary).mean() > 0.83
    assert set(np.unique(bernoulli_vae.sample(20))) == {0.0, 1.0}
    p = binary.mean(0).clip(1e-3, 1 - 1e-3)
    independent = (binary * np.log(p) + (1 - binary) * np.log(1 - p)).sum(1).mean()
    assert bernoulli_vae.score(binary) > independent + 3
    assert (bernoulli_vae.score_samples(binary) < 0).all()


def test_draws_of_bernoulli_look_like_the_rows(bernoulli_vae, binary):
    drawn = bernoulli_vae.sample(2000)
    np.testing.assert_allclose(drawn.mean(0), binary.mean(0), atol=0.12)


def test_dynamic_binarisation_trains_on_draws(binary):
    """Chances of one half are draws of zeros and ones, whose entropy is log 2 a column."""
    chances = np.full((200, 6), 0.5) + np.linspace(-1e-3, 1e-3, 200)[:, None]
    vae = VAETransformer(1, likelihood="bernoulli", binarize=True, max_epochs=20, **QUICK)
    with pytest.warns(match="collapsed"):  # as it should: there is nothing to tell apart
        vae.fit(chances)
    assert vae.history_[-1]["train_loss"] == pytest.approx(6 * np.log(2), abs=0.05)
    vae = VAETransformer(2, likelihood="bernoulli", binarize=True, max_epochs=40, **QUICK)
    assert vae.fit(0.9 * binary).score(binary) > -30


def test_counts_have_chances_of_columns(counts):
    vae = VAETransformer(1, likelihood="multinomial", max_epochs=60, **QUICK).fit(counts)
    chances = vae.reconstruct(counts)
    np.testing.assert_allclose(chances.sum(1), 1.0, rtol=1e-5)
    share = counts / counts.sum(1, keepdims=True)
    assert np.abs(chances - share).mean() < np.abs(share.mean(0) - share).mean() / 2
    pooled = (counts * np.log(share.mean(0).clip(1e-9))).sum(1).mean()
    assert vae.score(counts) > pooled + 5
    tokens = vae.sample(50)
    assert (tokens.sum(1) == 1).all()
    Z = vae.transform(counts)[:, 0]
    assert (Z[::2] > Z[1::2]).mean() in (0.0, 1.0)  # the two topics


def test_columns_of_a_table_have_likelihoods_of_their_own():
    """One hidden class decides a real column, a bit and a colour, each in a place of its own."""
    rng = np.random.default_rng(0)
    hidden = rng.integers(0, 2, size=300)
    X = np.column_stack(
        [
            np.where(hidden, 2, 0),  # of 0, 1, 2
            1000.0 * hidden + 50 * rng.standard_normal(300),
            hidden,
            rng.integers(0, 2, size=300),  # nothing to do with it
        ]
    ).astype(float)
    X[0, 0] = 1
    kinds = ["categorical", "gaussian", "bernoulli", "categorical"]
    vae = VAETransformer(1, likelihood=kinds, max_epochs=150, **(QUICK | {"learning_rate": 0.02}))
    back = vae.fit(X).reconstruct(X)
    assert (back[1:, 0] == X[1:, 0]).mean() > 0.97
    assert np.abs(back[:, 1] - X[:, 1]).mean() < 100
    assert ((back[:, 2] > 0.5) == hidden).mean() > 0.97
    drawn = vae.sample(200)
    assert set(np.unique(drawn[:, 0])) <= {0.0, 1.0, 2.0}
    assert set(np.unique(drawn[:, 2])) == {0.0, 1.0}
    assert np.corrcoef(drawn[:, 1], drawn[:, 2])[0, 1] > 0.9
    assert vae.score(X) > -0.5 * np.log(2 * np.pi * np.e * 500**2) - 2 * np.log(2)
    tags = vae.__sklearn_tags__()
    assert not tags.input_tags.positive_only
    same = vae.set_params(likelihood=np.array(kinds), warm_start=True, max_epochs=1).fit(X)
    assert not same.__sklearn_tags__().input_tags.positive_only


# ---------------------------------------------------------------------- flows and priors
@pytest.mark.parametrize("posterior", ["planar", "iaf"])
def test_flows_encode_and_score(factors, posterior):
    vae = VAETransformer(2, posterior=posterior, n_flows=2, max_epochs=60, **QUICK).fit(factors)
    plain = VAETransformer(2, max_epochs=60, **QUICK).fit(factors)
    assert vae.score(factors) > plain.score(factors) - 0.5
    Z, (mean, _) = vae.transform(factors), vae.posterior_moments(factors)
    assert not np.allclose(Z, mean)  # pushed through the flows
    np.testing.assert_array_equal(vae.reconstruct(factors), vae.inverse_transform(Z))
    assert len(vae.net_.module_.flows) == 2


@pytest.mark.parametrize("posterior", ["diag", "planar"])
def test_the_vamp_prior_is_what_is_drawn_from(factors, posterior):
    """The mean log density of z under the prior is that of its own draws, up to chance."""
    X = np.vstack([factors, factors + 30 * factors.std(0)])
    vae = VAETransformer(
        2, prior="vamp", posterior=posterior, n_pseudo_inputs=5, max_epochs=60, **QUICK
    ).fit(X)
    module = vae.net_.module_
    decoded = []
    hook = module.decoder.register_forward_hook(lambda m, args, out: decoded.append(args[0]))
    vae.sample(4000)
    hook.remove()
    drawn = decoded[0]
    with torch.inference_mode():
        grid = torch.cartesian_prod(*[torch.linspace(-12, 12, 400)] * 2)
        density = module.log_prior(grid, None).exp()
        area = (24 / 399) ** 2
        assert float(density.sum() * area) == pytest.approx(1.0, abs=1e-3)
        entropy = -float((density * density.clamp_min(1e-30).log()).sum() * area)
        values = module.log_prior(drawn, None)
    error = 5 * float(values.std()) / np.sqrt(len(values))
    assert -float(values.mean()) == pytest.approx(entropy, abs=error)
    assert vae.sample(3).shape == (3, 5)


def test_importance_weighted_training_learns_as_tight_a_bound(factors):
    plain = VAETransformer(2, max_epochs=40, **QUICK).fit(factors)
    weighted = VAETransformer(2, n_importance_samples=8, max_epochs=40, **QUICK).fit(factors)
    assert weighted.history_[-1]["train_bound"] > plain.history_[-1]["train_bound"]
    assert weighted.score(factors) > plain.score(factors) - 0.3


# ---------------------------------------------------------------------- modules of the user
def test_encoder_and_decoder_of_the_user_are_taken(factors):
    asked = []

    def encoder(n_inputs, n_outputs):
        asked.append(("encoder", n_inputs, n_outputs))
        module = nn.Sequential(
            nn.Linear(n_inputs, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.1)
        )
        module.n_outputs = 6
        return module

    def decoder(n_inputs, n_outputs):
        asked.append(("decoder", n_inputs, n_outputs))
        return nn.Sequential(nn.Linear(n_inputs, 6), nn.BatchNorm1d(6), nn.Linear(6, n_outputs))

    vae = VAETransformer(
        2, encoder=encoder, decoder=decoder, variance="decoder", max_epochs=40, **QUICK
    ).fit(factors)
    assert asked == [("encoder", 5, None), ("decoder", 2, 10)]
    assert any(isinstance(m, nn.BatchNorm1d) for m in vae.net_.module_.decoder)
    # Nothing is dropped in use, and rows do not depend on each other.
    np.testing.assert_array_equal(vae.transform(factors), vae.transform(factors))
    np.testing.assert_allclose(vae.transform(factors[:1]), vae.transform(factors)[:1], rtol=1e-4)
    assert np.isfinite(vae.score(factors))


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu", "gelu", "silu", "softplus"])
def test_layers_have_the_sizes_and_activation_that_are_asked_for(factors, activation):
    vae = VAETransformer(
        2,
        activation=activation,
        kl_weight=0.0,
        max_epochs=20,
        **(QUICK | {"hidden_layer_sizes": (7, 3)}),
    ).fit(factors)
    module = vae.net_.module_

    def widths(part):
        return [(m.in_features, m.out_features) for m in part if isinstance(m, nn.Linear)]

    assert widths(module.encoder) == [(5, 7), (7, 3)]
    assert widths(module.decoder) == [(2, 3), (3, 7), (7, 5)]
    kinds = {type(m).__name__.lower() for m in module.encoder if not isinstance(m, nn.Linear)}
    assert kinds == {activation}
