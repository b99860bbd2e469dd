"""The three coins: the textbook's runs, and what the data can and cannot tell."""

import itertools

import numpy as np
import pytest

from skem import BernoulliMixtureEM, ThreeCoinMixture

TOSSES = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 1]).reshape(-1, 1)


def textbook_step(y, pi, p, q):
    """Equations 9.5 to 9.8; y of shape (n, n_tosses)."""
    heads, n = y.sum(axis=1), y.shape[1]
    of_b = pi * p**heads * (1 - p) ** (n - heads)
    of_c = (1 - pi) * q**heads * (1 - q) ** (n - heads)
    mu = of_b / (of_b + of_c)
    log_likelihood = np.log(of_b + of_c).mean()
    return (
        mu.mean(),
        (mu * heads).sum() / (n * mu.sum()),
        ((1 - mu) * heads).sum() / (n * (1 - mu).sum()),
    ), log_likelihood


@pytest.mark.parametrize(
    ("start", "end"),
    [((0.5, 0.5, 0.5), (0.5, 0.6, 0.6)), ((0.4, 0.6, 0.7), (0.4064, 0.5368, 0.6432))],
)
@pytest.mark.parametrize("acceleration", ["auto", None])
def test_both_runs_of_the_textbook_to_its_digits(start, end, acceleration):
    coins = ThreeCoinMixture(init=start, acceleration=acceleration).fit(TOSSES)
    np.testing.assert_allclose(coins.history_[0], start, rtol=1e-12)
    np.testing.assert_array_equal(coins.history_[1].round(4), end)  # after one step, and it stays
    np.testing.assert_array_equal(coins.history_[-1].round(4), end)
    assert (coins.pi_, coins.p_, coins.q_) == tuple(coins.history_[-1])
    assert coins.history_.shape == (coins.n_iter_ + 1, 3)
    assert coins.converged_


@pytest.mark.parametrize("n_tosses", [1, 2, 4])
def test_every_step_is_equations_9_5_to_9_8(n_tosses):
    rng = np.random.default_rng(n_tosses)
    y = (rng.uniform(size=(40, n_tosses)) < rng.choice([0.2, 0.8], (40, 1))).astype(float)
    coins = ThreeCoinMixture(init=(0.3, 0.4, 0.6), acceleration=None, tol=1e-12).fit(y)
    params = (0.3, 0.4, 0.6)
    for i in range(coins.n_iter_):
        following, log_likelihood = textbook_step(y, *params)
        np.testing.assert_allclose(coins.history_[i], params, rtol=1e-9)
        assert coins.lower_bounds_[i] == pytest.approx(log_likelihood, rel=1e-10)
        params = following
    np.testing.assert_allclose(coins.history_[-1], params, rtol=1e-9)


def test_weights_are_throws_so_many_times():
    y = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    times = np.array([3, 1, 4, 0])
    a = ThreeCoinMixture(init=(0.4, 0.6, 0.3)).fit(y, sample_weight=times)
    b = ThreeCoinMixture(init=(0.4, 0.6, 0.3)).fit(y.repeat(times, axis=0))
    np.testing.assert_allclose(a.history_, b.history_, rtol=1e-9)
    np.testing.assert_allclose(a.information_, b.information_, rtol=1e-6)


# ---------------------------------------------------------------------- identifiability
def probabilities(pi, p, q, n_tosses):
    """Probability of each sequence of tosses."""
    sequences = np.array(list(itertools.product([0, 1], repeat=n_tosses)))
    heads = sequences.sum(axis=1)
    return pi * p**heads * (1 - p) ** (n_tosses - heads) + (1 - pi) * q**heads * (1 - q) ** (
        n_tosses - heads
    )


@pytest.mark.parametrize(("n_tosses", "rank"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_rank_of_the_information(n_tosses, rank):
    rng = np.random.default_rng(0)
    coin = np.where(rng.uniform(size=(500, 1)) < 0.4, 0.9, 0.2)
    y = (rng.uniform(size=(500, n_tosses)) < coin).astype(float)
    coins = ThreeCoinMixture(init=(0.45, 0.8, 0.3)).fit(y)
    assert coins.information_rank_ == rank
    assert coins.identifiable_ is (rank == 3)
    eigenvalues = np.linalg.eigvalsh(coins.information_)
    np.testing.assert_allclose(eigenvalues[: 3 - rank], 0, atol=1e-10)
    assert (eigenvalues[3 - rank :] > 1e-4).all()


def test_equal_coins_are_not_identifiable_with_any_number_of_tosses():
    coins = ThreeCoinMixture(init=(0.5, 0.5, 0.5)).fit(np.tile([[1, 0, 1, 1, 0]], (4, 1)))
    assert coins.p_ == pytest.approx(coins.q_)
    assert coins.information_rank_ < 3
    assert not coins.identifiable_


@pytest.mark.parametrize(("n_tosses", "rank"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_criteria_count_the_parameters_that_the_data_determine(n_tosses, rank):
    rng = np.random.default_rng(0)
    coin = np.where(rng.uniform(size=(500, 1)) < 0.4, 0.9, 0.2)
    y = (rng.uniform(size=(500, n_tosses)) < coin).astype(float)
    coins = ThreeCoinMixture(init=(0.45, 0.8, 0.3)).fit(y)
    log_likelihood = coins.score_samples(y).sum()
    assert coins.bic(y) == pytest.approx(rank * np.log(500) - 2 * log_likelihood)
    assert coins.aic(y) == pytest.approx(2 * rank - 2 * log_likelihood)


def test_three_coins_that_are_one_have_the_criteria_of_one():
    """One toss, or equal coins: the same likelihood as a single coin, and the same criterion."""
    y = (np.random.default_rng(0).uniform(size=(300, 4)) < 0.3).astype(float)
    for X, init in ((y[:, :1], (0.4, 0.9, 0.3)), (y, (0.5, 0.5, 0.5))):
        heads = X.mean()
        one_coin = X.size * (heads * np.log(heads) + (1 - heads) * np.log1p(-heads))
        bic = ThreeCoinMixture(init=init).fit(X).bic(X)
        assert bic == pytest.approx(np.log(300) - 2 * one_coin)


def test_one_toss_cannot_tell_parameters_apart_that_three_tosses_can():
    a, b = (0.4, 0.9, 0.3), (0.5, 0.6, 0.48)
    np.testing.assert_allclose(probabilities(*a, 1), probabilities(*b, 1))
    assert np.abs(probabilities(*a, 3) - probabilities(*b, 3)).max() > 0.01
    ends = [ThreeCoinMixture(init=init).fit(TOSSES) for init in (a, b)]
    assert ends[0].lower_bound_ == pytest.approx(ends[1].lower_bound_, abs=1e-10)
    assert abs(ends[0].p_ - ends[1].p_) > 0.1


def test_the_information_is_the_expected_hessian():
    rng = np.random.default_rng(3)
    y = (rng.uniform(size=(200, 3)) < rng.choice([0.2, 0.7], (200, 1))).astype(float)
    coins = ThreeCoinMixture(init=(0.5, 0.7, 0.2), tol=1e-10).fit(y)
    center = np.array([coins.pi_, coins.p_, coins.q_])
    truth = probabilities(*center, 3)
    h, expected = 1e-4, np.empty((3, 3))
    for i, j in itertools.product(range(3), repeat=2):
        steps = h * np.eye(3)
        second = sum(
            a * b * np.log(probabilities(*(center + a * steps[i] + b * steps[j]), 3))
            for a, b in itertools.product((1, -1), repeat=2)
        ) / (4 * h * h)
        expected[i, j] = -(truth @ second)
    np.testing.assert_allclose(coins.information_, expected, rtol=1e-4, atol=1e-5)


def test_three_tosses_recover_the_coins():
    rng = np.random.default_rng(0)
    coin_b = rng.uniform(size=(20_000, 1)) < 0.3
    y = (rng.uniform(size=(20_000, 6)) < np.where(coin_b, 0.85, 0.25)).astype(float)
    coins = ThreeCoinMixture(init=(0.5, 0.6, 0.4)).fit(y)
    np.testing.assert_allclose([coins.pi_, coins.p_, coins.q_], [0.3, 0.85, 0.25], atol=0.02)
    errors = np.sqrt(np.diag(np.linalg.inv(coins.information_)) / len(y))
    assert (np.abs([coins.pi_ - 0.3, coins.p_ - 0.85, coins.q_ - 0.25]) < 4 * errors).all()


# ---------------------------------------------------------------------- the same model
def test_it_is_the_bernoulli_mixture_where_columns_are_exchangeable():
    """Rows closed under permutation of the columns keep the columns' probabilities equal."""
    rng = np.random.default_rng(1)
    base = (rng.uniform(size=(15, 3)) < rng.choice([0.2, 0.8], (15, 1))).astype(float)
    y = np.vstack([base[:, list(order)] for order in itertools.permutations(range(3))])
    coins = ThreeCoinMixture(init=(0.4, 0.6, 0.3), acceleration=None, tol=1e-12).fit(y)
    mixture = BernoulliMixtureEM(
        weights_init=[0.4, 0.6], probabilities_init=np.repeat([[0.6], [0.3]], 3, axis=1),
        acceleration=None, tol=1e-12,
    ).fit(y)  # fmt: skip
    assert mixture.n_iter_ == coins.n_iter_
    np.testing.assert_allclose(mixture.lower_bounds_, coins.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(mixture.probabilities_[0], coins.p_, atol=1e-9)
    np.testing.assert_allclose(mixture.probabilities_[1], coins.q_, atol=1e-9)
    np.testing.assert_allclose(mixture.predict_proba(y), coins.predict_proba(y), atol=1e-10)
    np.testing.assert_allclose(mixture.score_samples(y), coins.score_samples(y), rtol=1e-10)


def test_densities_posteriors_and_criteria():
    y = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 1]])
    coins = ThreeCoinMixture(init=(0.4, 0.7, 0.3)).fit(y)
    pi, p, q = coins.pi_, coins.p_, coins.q_
    heads = y.sum(axis=1)
    of_b, of_c = (
        pi * p**heads * (1 - p) ** (3 - heads),
        (1 - pi) * q**heads * (1 - q) ** (3 - heads),
    )
    np.testing.assert_allclose(coins.score_samples(y), np.log(of_b + of_c), atol=1e-9)
    np.testing.assert_allclose(coins.predict_proba(y)[:, 0], of_b / (of_b + of_c), atol=1e-9)
    log_likelihood = np.log(of_b + of_c).sum()
    assert coins.bic(y) == pytest.approx(-2 * log_likelihood + 3 * np.log(5))
    assert coins.aic(y) == pytest.approx(-2 * log_likelihood + 6)
    np.testing.assert_allclose(coins.weights_, [pi, 1 - pi])


def test_samples_are_throws_of_the_coins():
    y = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]])
    coins = ThreeCoinMixture(init=(0.4, 0.7, 0.3), random_state=0).fit(y)
    X, z = coins.sample(50_000)
    assert X.shape == (50_000, 4)
    assert set(np.unique(X)) <= {0, 1}
    assert (z == 0).mean() == pytest.approx(coins.pi_, abs=0.01)
    assert X[z == 0].mean() == pytest.approx(coins.p_, abs=0.01)
    assert X[z == 1].mean() == pytest.approx(coins.q_, abs=0.01)


def test_tosses_that_were_not_seen_are_marginalised():
    rng = np.random.default_rng(2)
    y = (rng.uniform(size=(60, 4)) < rng.choice([0.2, 0.8], (60, 1))).astype(float)
    y[::2, 3] = np.nan
    coins = ThreeCoinMixture(init=(0.4, 0.7, 0.3), tol=1e-12).fit(y)
    heads, n = np.nansum(y, axis=1), (~np.isnan(y)).sum(axis=1)
    pi, p, q = coins.pi_, coins.p_, coins.q_
    density = pi * p**heads * (1 - p) ** (n - heads) + (1 - pi) * q**heads * (1 - q) ** (n - heads)
    np.testing.assert_allclose(coins.score_samples(y), np.log(density), atol=1e-9)
    r = coins.predict_proba(y)
    assert coins.p_ == pytest.approx((r[:, 0] @ heads) / (r[:, 0] @ n), rel=1e-5)
    assert coins.pi_ == pytest.approx(r[:, 0].mean(), rel=1e-5)
