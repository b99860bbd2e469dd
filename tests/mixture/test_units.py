"""Units of X: a reg_covar that decides is named, and what a type cannot hold is refused."""

import contextlib
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning

from skem import GaussianMixtureEM
from skem.mixture import select_gaussian_mixture

DECIDES = "reg_covar=.* decides the fit"
rng = np.random.default_rng(0)
SIDE = rng.integers(0, 2, 400)
X = rng.normal(size=(400, 3)) + 4 * SIDE[:, None]


def messages(X, k=2, fit="fit", **settings):
    """What a fit says of reg_covar."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(GaussianMixtureEM(k, random_state=0, **settings), fit)(X)
    return [str(w.message) for w in caught if re.match(DECIDES, str(w.message))]


@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
@pytest.mark.parametrize("unit", [1e-4, 1e-6, 1e-100, 1e-160, 1e-300])
def test_columns_in_small_units_are_named(covariance_type, unit, fit):
    some = X * [1, unit, unit]
    (message,) = messages(
        X * unit if "spherical" in covariance_type else some, covariance_type=covariance_type,
        fit=fit,
    )  # fmt: skip
    listed = "[0, 1, 2]" if "spherical" in covariance_type else "[1, 2]"
    assert f"columns {listed}" in message
    assert "StandardScaler" in message
    named = pd.DataFrame(X * unit, columns=["width", "b", "c"])
    (message,) = messages(named, covariance_type=covariance_type, fit=fit)
    assert "['width', 'b', 'c']" in message


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])
@pytest.mark.parametrize("unit", [1e-2, 1e-4, 1e-30])
def test_the_way_out_leads_out(covariance_type, unit):
    """With the reg_covar that the message proposes the fit is that of ordinary units."""
    small = unit * X
    found = messages(small, covariance_type=covariance_type, reg_covar=min(1e-3, unit**2))
    proposed = float(re.search(r"set reg_covar to (\S+) ", found[0]).group(1))
    assert not messages(small, covariance_type=covariance_type, reg_covar=proposed)
    mixture = GaussianMixtureEM(
        2, covariance_type=covariance_type, reg_covar=proposed, random_state=0
    ).fit(small)
    ordinary = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).fit(X)
    expected = ordinary.score(X) - 3 * np.log(unit)
    assert mixture.score(small) == pytest.approx(expected, abs=1e-3)
    right = np.mean(mixture.predict(small) == SIDE)
    assert max(right, 1 - right) > 0.99


@pytest.mark.parametrize(
    "load", [load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine]
)
@pytest.mark.parametrize("covariance_type", ["tied", "diag", "tied_diag"])
def test_raw_tables_are_no_cause_for_alarm(load, covariance_type):
    rows = load().data[:600]
    for k in (1, 4):
        assert not messages(rows, k, covariance_type=covariance_type, max_iter=20)


def test_constant_columns_have_no_units(covariance_type):
    for value in (0.0, 7.0, 1e9, 1e-9):
        rows = np.column_stack([X, np.full(len(X), value)])
        assert not messages(rows, covariance_type=covariance_type)
    rows = np.column_stack([X, 0.1 + 0.2 + 1e-17 * rng.normal(size=len(X))])
    assert not messages(rows, covariance_type=covariance_type)


def test_rows_of_weight_zero_have_no_units():
    rows = np.vstack([np.column_stack([X, np.full(len(X), 2.0)]), np.full((2, 4), 1e-200)])
    weight = np.r_[np.ones(len(X)), 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixtureEM(2, random_state=0).fit(rows, sample_weight=weight)


def test_the_line_is_where_clusters_are_lost():
    """A tenth of the components' variance changes nothing; a half loses what was there."""
    pair = np.column_stack(
        [rng.normal(size=3000) + 3 * (np.arange(3000) % 2), rng.normal(size=3000)]
    )
    pair *= 1e-3
    assert not messages(pair, reg_covar=1e-7)
    assert messages(pair, reg_covar=1e-6)


def test_a_large_reg_covar_is_a_choice():
    assert not messages(X * 1e-2, reg_covar=0.1)
    assert messages(X * 1e-2, reg_covar=1e-3)


@pytest.mark.parametrize("unit", [1.0, 1e-2, 3e-3])
@pytest.mark.parametrize("k", [[1], [1, 2]])
def test_a_covariance_of_regularisation_wins_no_selection(unit, k):
    """40 rows determine no covariance of 60 columns, however large the columns are."""
    rows = unit * np.random.default_rng(0).normal(size=(40, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        selection = select_gaussian_mixture(rows, n_components=k, n_init=1, random_state=0)
    assert selection.best_params_["covariance_type"] not in ("full", "tied")
    assert all(
        row["collapsed"] for row in selection.table if row["covariance_type"] in ("full", "tied")
    )


def test_a_selection_says_what_its_best_fit_would():
    with pytest.warns(UserWarning, match=DECIDES) as caught:
        select_gaussian_mixture(1e-5 * X, n_components=[1, 2], n_init=1, random_state=0)
    assert len([w for w in caught if re.match(DECIDES, str(w.message))]) == 1
    rows = np.random.default_rng(0).normal(size=(40, 60))
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        select_gaussian_mixture(
            rows, n_components=[1], covariance_types=["full", "tied"], n_init=1, random_state=0
        )


# ---------------------------------------------------------------------- what a type can hold
@pytest.mark.parametrize(
    ("dtype", "unit"),
    [
        *((np.float32, unit) for unit in (1e-25, 1e-19, 1e19, 1e25)),
        *((np.float64, unit) for unit in (1e-139, 1e150)),
    ],
)
def test_units_that_a_type_cannot_hold_are_refused(covariance_type, dtype, unit):
    rows = (unit * X).astype(dtype)
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, reg_covar=0, random_state=0)
    if dtype == np.float64 and unit < 1:
        assert mixture.fit(rows).converged_
        rows = rows * 1e-10
        if "spherical" in covariance_type:
            return
    fitted = dict(vars(mixture))
    with pytest.raises(ValueError, match=r"X.*(units|too large)"):
        mixture.fit(rows)
    assert vars(mixture) == fitted
    if dtype == np.float32:
        assert mixture.fit(rows.astype(np.float64)).converged_


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_units_that_a_type_can_hold_change_nothing(covariance_type, unit):
    rows = (unit * X).astype(np.float32)
    settings = {"covariance_type": covariance_type, "reg_covar": 0, "random_state": 0}
    small = GaussianMixtureEM(2, **settings).fit(rows)
    ordinary = GaussianMixtureEM(2, **settings).fit(X.astype(np.float32))
    assert small.score(rows) == pytest.approx(ordinary.score(X) - 3 * np.log(unit), abs=2e-3)


@pytest.mark.parametrize(
    ("dtype", "far"), [(np.float64, 1e155), (np.float64, 1e300), (np.float32, 1e30)]
)
def test_a_batch_that_is_too_far_out_is_refused(covariance_type, dtype, far):
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0)
    mixture.partial_fit(X.astype(dtype))
    before = mixture.predict_proba(X.astype(dtype))
    batch = X.astype(dtype)
    batch[3, 1] = far
    with pytest.raises(ValueError, match=r"Columns \[1\] of X.*first batch.*not finite"):
        mixture.partial_fit(batch)
    np.testing.assert_array_equal(mixture.predict_proba(X.astype(dtype)), before)
    left_out = np.r_[np.ones(3), 0, np.ones(len(X) - 4)]
    assert np.isfinite(mixture.partial_fit(batch, sample_weight=left_out).means_).all()


@pytest.mark.parametrize("far", [1e20, 1e100, 1e140])
def test_a_batch_that_is_far_out_leaves_posteriors(covariance_type, far):
    mixture = GaussianMixtureEM(2, covariance_type=covariance_type, random_state=0).partial_fit(X)
    batch = X.copy()
    batch[3, 1] = far
    with contextlib.suppress(ValueError):  # one that says so, and changes nothing
        mixture.partial_fit(batch)
    np.testing.assert_allclose(mixture.predict_proba(X).sum(axis=1), 1)
