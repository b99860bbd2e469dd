"""Columns of joint features: their names in data frames, and what all classes have in common."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from skem import MaxEntClassifier


def costs(frame, way):
    """Time and price of a way, in another order if the frame has a column that says so."""
    columns = ["time", "price"][:: -1 if "turned" in frame else 1]
    return frame[[f"{column} {way}" for column in columns]].set_axis(columns, axis=1)


def ways(n=200):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    names = ["time bus", "price bus", "time car", "price car"]
    frame = pd.DataFrame(rng.uniform(1, 5, size=(n, 4)), columns=names)
    utility = -frame[["time bus", "time car"]].to_numpy() + rng.gumbel(size=(n, 2))
    return frame, np.array(["bus", "car"])[utility.argmax(axis=1)]


def test_columns_of_frames_go_by_their_names():
    frame, y = ways()
    fit = MaxEntClassifier(feature_function=costs).fit(frame, y)
    assert fit.feature_names_.tolist() == ["time", "price"]
    turned = frame.assign(turned=1)
    np.testing.assert_array_equal(fit.predict_proba(turned), fit.predict_proba(frame))

    def some_turned(frame, way):
        return costs(frame.assign(turned=1) if way == "car" else frame, way)

    again = MaxEntClassifier(feature_function=some_turned).fit(frame, y)
    np.testing.assert_array_equal(again.coef_, fit.coef_)
    unnamed = MaxEntClassifier(feature_function=lambda X, way: costs(X, way).to_numpy())
    unnamed.fit(frame, y)
    np.testing.assert_array_equal(unnamed.coef_, fit.coef_)
    assert not hasattr(unnamed, "feature_names_")


def test_columns_with_other_names_are_refused():
    frame, y = ways()
    fit = MaxEntClassifier(feature_function=costs).fit(frame, y)
    fit.set_params(feature_function=lambda X, way: costs(X, way).rename(columns={"time": "hours"}))
    with pytest.raises(ValueError, match=r"other columns than in fit: missing \['time'\], unexp"):
        fit.predict(frame)
    fresh = MaxEntClassifier(
        feature_function=lambda X, way: costs(X, way).rename(columns={"time": f"time {way}"})
    )
    with pytest.raises(ValueError, match="for class 'car', other columns than for class 'bus'"):
        fresh.fit(frame, y)
    fresh.set_params(
        feature_function=lambda X, way: costs(X, way) if way == "bus" else costs(X, way).to_numpy()
    )
    with pytest.raises(ValueError, match="frames with names of columns for some classes"):
        fresh.fit(frame, y)
    fit.set_params(feature_function=lambda X, way: costs(X, way).to_numpy())
    with pytest.warns(UserWarning, match="columns with no names; in fit they had names"):
        fit.predict(frame)


# ---------------------------------------------------------------------- offsets in common
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("size", [1e6, 1e9, 1e12])
def test_what_the_features_of_a_row_have_in_common_cancels(sparse, size):
    """As times of the clock do, of which only differences tell the alternatives apart."""
    rng = np.random.default_rng(0)
    attributes = np.round(rng.uniform(0, 8, size=(300, 4, 2)) * 1024) / 1024
    chosen = (attributes @ [1.0, -0.5] + rng.gumbel(size=(300, 4))).argmax(axis=1)
    common = np.rint(size * rng.uniform(1, 2, size=(300, 1, 2)))  # no digit is lost in sums

    def features(X, c):
        return sp.csr_array(X[:, c]) if sparse else X[:, c]

    for options in ({"C": np.inf}, {}, {"expectation_box": 0.05}, {"solver": "diagonal-lbfgs"}):
        near = MaxEntClassifier(feature_function=features, tol=1e-9, **options)
        far = clone(near).fit(attributes + common, chosen)
        near.fit(attributes, chosen)
        assert far.converged_
        assert far.objective_ == pytest.approx(near.objective_, abs=2e-9)
        np.testing.assert_allclose(far.coef_, near.coef_, atol=1e-3)
        np.testing.assert_allclose(
            far.predict_proba(attributes + common), near.predict_proba(attributes), atol=1e-3
        )
        means = far.feature_expectations_
        own = (attributes + common)[np.arange(300), chosen].mean(axis=0)
        np.testing.assert_allclose(means["empirical"], own, rtol=1e-14)
