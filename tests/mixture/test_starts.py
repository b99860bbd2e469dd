"""Starts: distinct rows, the rounds of k-means, and short runs on a sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans, kmeans_plusplus

from skem import GaussianMixtureEM
from skem.mixture import _starts
from skem.mixture._starts import distinct_rows
from skem.mixture.gaussian.kernels._starts import lloyd, plus_plus
from skem.mixture.gaussian.starts import _candidates


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), d=st.integers(1, 5), m=st.integers(1, 5))
def test_distinct_rows_are_sorted_and_keep_their_weight(seed, n, d, m):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, m, (n, d)).astype(float)
    weight = rng.uniform(0.5, 2.0, n)
    rows, summed = distinct_rows(X, weight)
    expected, which = np.unique(X, axis=0, return_inverse=True)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(summed, np.bincount(which.ravel(), weights=weight))


def test_the_rounds_end_in_a_fixed_point_of_k_means(iris):
    centres = iris[[0, 60, 120]]
    labels = lloyd(iris, np.ones(len(iris)), centres, 100, 0.0)
    peer = KMeans(3, init=centres, n_init=1, tol=0, max_iter=100).fit(iris)
    np.testing.assert_array_equal(labels, peer.labels_)


def test_a_weight_of_two_is_a_row_twice(iris):
    weight = np.where(np.arange(len(iris)) % 3 == 0, 2.0, 1.0)
    repeated = np.repeat(iris, weight.astype(int), axis=0)
    centres = iris[[0, 60, 120]]
    once = lloyd(iris, weight, centres, 50, 0.0)
    twice = lloyd(repeated, np.ones(len(repeated)), centres, 50, 0.0)
    np.testing.assert_array_equal(np.repeat(once, weight.astype(int)), twice)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000), n=st.integers(20, 200), d=st.integers(1, 9), k=st.integers(1, 6)
)
def test_seeds_are_those_of_greedy_k_means_plus_plus(seed, n, d, k):
    """As scikit-learn draws them. The rows are many more than the seeds, so none is a near tie."""
    rng = np.random.RandomState(seed)
    X, weight = rng.standard_normal((n, d)), rng.uniform(0.2, 3.0, n)
    _, expected = kmeans_plusplus(
        X, k, sample_weight=weight, random_state=np.random.RandomState(seed)
    )
    own = np.random.RandomState(seed)
    draws = np.zeros((k, 2 + int(np.log(k))))
    draws[0, 0] = own.random_sample()
    draws[1:] = own.random_sample((k - 1, draws.shape[1]))
    np.testing.assert_array_equal(plus_plus(X, weight, k, draws), expected)


def test_seeds_are_distinct_rows_of_positive_weight():
    X = np.repeat(np.arange(5.0), 4)[:, None]
    weight = np.where(np.arange(20) % 4, 0.0, 1.0)
    for seed in range(20):
        draws = np.random.default_rng(seed).random((5, 3))
        seeds = plus_plus(X, weight, 5, draws)
        assert sorted(X[seeds, 0]) == [0, 1, 2, 3, 4]
        assert (weight[seeds] > 0).all()


def test_a_part_may_be_empty():
    labels = lloyd(np.zeros((4, 2)), np.ones(4), np.array([[0.0, 0], [9, 9]]), 5, 0.0)
    assert (labels == 0).all()


@pytest.mark.parametrize("incomplete", [False, True])
def test_short_runs_on_a_sample_end_where_those_on_all_rows_do(monkeypatch, incomplete):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(m, 1.0, (400, 3)) for m in (-6, 0, 6)])
    if incomplete:
        X[rng.random(X.shape) < 0.1] = np.nan
    weight = rng.uniform(0.5, 2.0, len(X))
    whole = GaussianMixtureEM(3, random_state=0, tol=1e-8).fit(X, sample_weight=weight)
    monkeypatch.setattr(_starts, "MAX_ROWS", 300)
    sampled = GaussianMixtureEM(3, random_state=0, tol=1e-8).fit(X, sample_weight=weight)
    assert sampled.converged_
    assert sampled.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-7)
    assert (np.diff(sampled.lower_bounds_) >= 0).all()
    assert len(sampled.lower_bounds_) == sampled.n_iter_


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("labelled", [False, True])
def test_k_means_gets_rows_that_lie_together(monkeypatch, iris, covariance_type, order, labelled):
    """Else compiled products copy them, and warn, but only where they are compiled anew."""
    seen = []

    def watched(points, weight, centres, *rest):
        seen.append(points.flags.c_contiguous and centres.flags.c_contiguous)
        return lloyd(points, weight, centres, *rest)

    monkeypatch.setattr("skem.mixture.gaussian.kernels._starts.lloyd", watched)
    labels = np.where(np.arange(len(iris)) % 50 == 0, np.arange(len(iris)) // 50, -1)
    mixture = GaussianMixtureEM(3, covariance_type=covariance_type, n_init=3, random_state=0)
    mixture.fit(np.array(iris, order=order), labels=labels if labelled else None)
    assert seen
    assert all(seen)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "full"])
def test_wide_rows_are_fewer_where_covariances_are_not_full(monkeypatch, covariance_type):
    monkeypatch.setattr(_starts, "MAX_VALUES", 1000)
    monkeypatch.setattr(_starts, "FEWEST", 40)
    seen = []
    original = _candidates.distinct_rows
    monkeypatch.setattr(
        _candidates, "distinct_rows", lambda Z, w: seen.append(len(Z)) or original(Z, w)
    )
    X = np.random.default_rng(0).standard_normal((300, 4))
    GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X)
    assert seen == [300 if covariance_type == "full" else 250]
