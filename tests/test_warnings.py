"""A warning points at the line that called `fit`."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

X = np.random.default_rng(0).standard_normal((60, 3))
ESTIMATORS = [
    GaussianMixtureEM(3, tol=0.0, max_iter=3, random_state=0),
    BernoulliMixtureEM(2, tol=0.0, max_iter=3, random_state=0),
    ThreeCoinMixture(tol=0.0, max_iter=3, random_state=0),
]
CALLS = {
    "fit": lambda estimator: estimator.fit(X),
    "fit_predict": lambda estimator: estimator.fit_predict(X),
    "pipeline": lambda estimator: make_pipeline(StandardScaler(), estimator).fit(X),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_not_converged(estimator, call):
    with pytest.warns(ConvergenceWarning, match="did not converge") as caught:
        call(estimator)
    assert [warning.filename for warning in caught] == [__file__]
    assert [warning.lineno for warning in caught] == [call.__code__.co_firstlineno]


def test_collapsed():
    spike = np.vstack([X, np.full((20, 3), 5.0)])
    mixture = GaussianMixtureEM(2, means_init=[np.zeros(3), np.full(3, 5.0)], max_iter=500)
    with pytest.warns(ConvergenceWarning, match="collapsed") as caught:
        mixture.fit(spike)
    assert caught[0].filename == __file__
    assert caught[0].lineno == sys._getframe().f_lineno - 2


def test_no_standard_errors():
    start = np.random.default_rng(1).dirichlet(np.ones(4), 60)
    mixture = GaussianMixtureEM(
        4, init_params=start, standard_errors=True, max_iter=1, tol=0.0, random_state=1
    )
    with pytest.warns((RuntimeWarning, ConvergenceWarning)) as caught:
        mixture.fit(X)
    assert any("standard_errors_ are NaN" in str(warning.message) for warning in caught)
    assert {warning.filename for warning in caught} == {__file__}
