"""The Old Faithful data are R's `faithful`, row by row, in the manner of scikit-learn's loaders."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.mixture import GaussianMixture

from skem.datasets import load_old_faithful


def test_summary_is_that_of_r():
    """`summary(faithful)` and `cov(faithful)`."""
    X = load_old_faithful().data
    assert X.shape == (272, 2)
    assert X.dtype == np.float64
    quartiles = np.percentile(X, [0, 25, 50, 75, 100], axis=0)
    assert_allclose(quartiles[:, 0], [1.6, 2.16275, 4.0, 4.45425, 5.1])
    assert_array_equal(quartiles[:, 1], [43, 58, 76, 82, 96])
    assert_allclose(X.mean(axis=0), [3.487783, 70.897059], atol=5e-7)
    assert_allclose(
        np.cov(X.T), [[1.302728, 13.977808], [13.977808, 184.823312]], atol=5e-7, rtol=0
    )


def test_first_and_last_rows():
    X = load_old_faithful().data
    assert_array_equal(X[:3], [[3.6, 79], [1.8, 54], [3.333, 74]])
    assert_array_equal(X[-3:], [[4.417, 90], [1.817, 46], [4.467, 74]])


def test_durations_are_whole_seconds():
    seconds = 60 * load_old_faithful().data[:, 0]
    assert_allclose(seconds, seconds.round(), atol=0.06)


def test_maximum_likelihood_of_the_tied_mixture():
    """mclust's EEE model with three components: log-likelihood -1126.315928 at the maximum."""
    X = load_old_faithful().data
    model = GaussianMixture(
        3, covariance_type="tied", tol=1e-12, max_iter=20_000, n_init=20, reg_covar=0.0
    )
    log_likelihood = model.set_params(random_state=0).fit(X).score_samples(X).sum()
    assert log_likelihood == pytest.approx(-1126.315928, abs=1e-5)


def test_bunch():
    faithful = load_old_faithful()
    assert faithful.feature_names == ["eruptions", "waiting"]
    assert faithful.target is None
    assert faithful.frame is None
    assert "Azzalini" in faithful.DESCR


def test_return_X_y_has_no_target():
    X, y = load_old_faithful(return_X_y=True)
    assert_array_equal(X, load_old_faithful().data)
    assert y is None


def test_as_frame_names_the_columns():
    faithful = load_old_faithful(as_frame=True)
    expected = pd.DataFrame(load_old_faithful().data, columns=faithful.feature_names)
    pd.testing.assert_frame_equal(faithful.data, expected)
    assert faithful.frame is faithful.data
    pd.testing.assert_frame_equal(load_old_faithful(return_X_y=True, as_frame=True)[0], expected)


def test_as_frame_without_pandas_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="as_frame=True needs pandas: install it"):
        load_old_faithful(as_frame=True)


def test_each_call_gives_its_own_array():
    load_old_faithful().data[:] = 0.0
    assert load_old_faithful().data.min() == 1.6
