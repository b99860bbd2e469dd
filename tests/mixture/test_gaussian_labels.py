"""Known components of some rows: semi-supervised fits."""

import numpy as np
import pytest
from sklearn.datasets import load_wine

from skem import GaussianMixtureEM


@pytest.fixture(scope="module")
def clouds(gaussian):
    return gaussian.draw(np.random.default_rng(0), 300, 3, 2, separation=8.0)


def test_all_rows_labelled_is_maximum_likelihood_of_each_class(gaussian, clouds, covariance_type):
    X, y = clouds
    mixture = GaussianMixtureEM(3, covariance_type=covariance_type, reg_covar=0.0)
    mixture.fit(X, labels=y)
    np.testing.assert_allclose(mixture.weights_, np.bincount(y) / len(y))
    within = []
    for k in range(3):
        np.testing.assert_allclose(mixture.means_[k], X[y == k].mean(axis=0))
        within.append(np.cov(X[y == k].T, bias=True))
    within = np.array(within)
    if covariance_type.startswith("tied"):
        within = np.repeat(np.tensordot(np.bincount(y) / len(y), within, 1)[None], 3, axis=0)
    if "diag" in covariance_type:
        within = within * np.eye(2)
    if "spherical" in covariance_type:
        within = np.trace(within, axis1=1, axis2=2)[:, None, None] / 2 * np.eye(2)
    dense = gaussian.dense(mixture.covariances_, covariance_type, 3, 2)
    np.testing.assert_allclose(dense, within, rtol=1e-9, atol=1e-12)
    assert mixture.converged_


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_labels_number_the_components(clouds, order):
    X, y = clouds
    renumbered = np.array(order)[y]
    labels = np.where(np.arange(len(y)) < 30, renumbered, -1)
    mixture = GaussianMixtureEM(3, random_state=0).fit(X, labels=labels)
    for k in range(3):
        np.testing.assert_allclose(mixture.means_[k], X[renumbered == k].mean(axis=0), atol=0.5)
    assert (mixture.predict(X) == renumbered).mean() > 0.95


def test_labels_of_some_components_leave_the_others_free(clouds):
    X, y = clouds
    labels = np.where((y == 1) & (np.arange(len(y)) < 60), 2, -1)
    mixture = GaussianMixtureEM(3, random_state=0).fit(X, labels=labels)
    np.testing.assert_allclose(mixture.means_[2], X[y == 1].mean(axis=0), atol=0.5)


def test_no_label_known_is_no_label(clouds):
    X, _ = clouds
    a = GaussianMixtureEM(3, random_state=0).fit(X, labels=np.full(len(X), -1))
    b = GaussianMixtureEM(3, random_state=0).fit(X)
    assert a.lower_bounds_ == b.lower_bounds_


def test_labels_recover_what_the_likelihood_alone_cannot_tell():
    """Two components with equal means: XOR of signs along the two diagonals."""
    rng = np.random.default_rng(1)
    y = rng.integers(2, size=600)
    X = rng.standard_normal((600, 2)) * [2.0, 0.3]
    X[y == 1] = X[y == 1][:, ::-1]
    labels = np.where(np.arange(600) < 40, y, -1)
    mixture = GaussianMixtureEM(2, random_state=0, max_iter=500).fit(X, labels=labels)
    assert (mixture.predict(X) == y).mean() > 0.8


def test_a_labelled_row_enters_the_bound_with_its_own_component(gaussian, clouds):
    X, y = clouds
    labels = np.where(np.arange(len(y)) % 2, y, -1)
    mixture = GaussianMixtureEM(3, reg_covar=0.0, tol=1e-13, max_iter=5000).fit(X, labels=labels)
    objective = gaussian.objective(mixture, X, labels=labels) / len(X)
    assert mixture.lower_bound_ == pytest.approx(objective, abs=1e-10)
    assert objective <= mixture.score(X)


def test_labels_and_missing_values_together(clouds):
    X, y = clouds
    X = X.copy()
    X[::4, 0] = np.nan
    X[3] = np.nan
    labels = np.where(np.arange(len(y)) < 50, y, -1)
    mixture = GaussianMixtureEM(3, random_state=0).fit(X, labels=labels)
    for k in range(3):
        np.testing.assert_allclose(mixture.means_[k], np.nanmean(X[y == k], axis=0), atol=0.7)


def test_a_label_on_a_row_of_weight_zero_says_nothing(clouds):
    X, y = clouds
    weight = np.where(np.arange(len(y)) < 20, 0.0, 1.0)
    labels = np.where(np.arange(len(y)) < 20, 2 - y, -1)
    a = GaussianMixtureEM(3, random_state=0).fit(X, sample_weight=weight, labels=labels)
    b = GaussianMixtureEM(3, random_state=0).fit(X, sample_weight=weight)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, abs=1e-12)


def test_fit_predict_takes_labels_too(clouds):
    X, y = clouds
    labels = np.where(np.arange(len(y)) < 30, y, -1)
    a = GaussianMixtureEM(3, random_state=0).fit_predict(X, labels=labels)
    b = GaussianMixtureEM(3, random_state=0).fit(X, labels=labels).predict(X)
    np.testing.assert_array_equal(a, b)


def test_a_restart_keeps_components_that_hold_labelled_rows():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.standard_normal((100, 2)), np.full((5, 2), 9.0)])
    labels = np.where(np.arange(105) >= 100, 1, -1)
    with pytest.warns(UserWarning, match=r"Components \[1\] collapsed"):
        mixture = GaussianMixtureEM(2, collapse="restart", random_state=0).fit(X, labels=labels)
    np.testing.assert_allclose(mixture.means_[1], 9.0, atol=1e-6)


def test_a_few_labels_among_many_rows_are_not_lost():
    """Starts look at a sample of the rows, and at every labelled one."""
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    y = rng.integers(0, 3, 60_000)
    X = means[y] + rng.standard_normal((len(y), 2))
    labels = np.full(len(y), -1)
    for k in range(3):
        labels[rng.choice(np.flatnonzero(y == k), 2, replace=False)] = k
    for random_state in range(3):
        mixture = GaussianMixtureEM(3, random_state=random_state).fit(X, labels=labels)
        assert np.mean(mixture.predict(X) == y) > 0.95


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("n_labelled", [2, 4, 6])
def test_fewer_labels_than_columns_are_enough_to_start_from(covariance_type, n_labelled):
    """Their scatter is singular: what `reg_covar` makes of it is no covariance to begin with."""
    X, y = load_wine(return_X_y=True)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = np.full(len(y), -1)
        for k in range(3):
            labels[rng.choice(np.flatnonzero(y == k), n_labelled, replace=False)] = k
        mixture = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=0)
        mixture.fit(X, labels=labels)
        assert len(mixture.collapsed_) == 0
        assert np.mean(mixture.predict(X) == y) > 0.9
