"""What of scikit-learn's tools is special to mixtures."""

import numpy as np
from sklearn.model_selection import GridSearchCV

from skem import GaussianMixtureEM


def test_grid_search_needs_no_scorer_and_finds_the_components():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2)) + 12 * np.repeat(np.eye(3)[:, :2], 100, axis=0)
    grid = {"n_components": [1, 3], "covariance_type": ["full", "tied_spherical"]}
    search = GridSearchCV(GaussianMixtureEM(random_state=0), grid, cv=3).fit(rng.permutation(X))
    assert search.best_params_ == {"n_components": 3, "covariance_type": "tied_spherical"}
