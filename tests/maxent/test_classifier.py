"""The maximum-entropy classifier without joint features: optimum, certificate, equivalences."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import MaxEntClassifier

SOLVERS = ("newton-cholesky", "block-lbfgs", "diagonal-lbfgs")


def draw(seed=0, n=150, p=4, k=3):
    """Overlapping classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(k, size=n)
    return rng.normal(size=(n, p)) + rng.normal(size=(k, p))[y], y


def objective(model, X, y, weight=None):
    """The objective in its textbook form, from the weights alone."""
    codes = np.searchsorted(model.classes_, y)
    weight = np.ones(len(y)) if weight is None else weight
    Z = np.asarray(X @ model.coef_.T + model.intercept_)
    if Z.shape[1] == 1:
        Z = np.column_stack([np.zeros(len(Z)), Z])
    loss = weight @ (logsumexp(Z, axis=1) - Z[np.arange(len(Z)), codes])
    penalty = np.square(model.coef_).sum() / 2
    return (loss + penalty / model.C) / weight.sum()


# ------------------------------------------------------------------------------------ the optimum
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_optimum_is_that_of_logistic_regression(solver, k, fit_intercept):
    X, y = draw(k, k=k)
    X = X * [1e-3, 1.0, 1e3, 10.0] + [0.0, 5.0, 100.0, 0.0]
    options = {"C": 0.7, "fit_intercept": fit_intercept}
    ours = MaxEntClassifier(solver=solver, tol=1e-18, **options).fit(X, y)
    theirs = LogisticRegression(
        solver="newton-cholesky", tol=1e-13, max_iter=10_000, **options
    ).fit(X, y)
    # With F* + l2 |w - w*|^2 / 2 <= F, which is a mean over rows with rounding errors of a few eps.
    l2 = 1 / (0.7 * len(y))
    reach = np.sqrt(2 * 8 * np.finfo(float).eps * ours.objective_ / l2)
    scale = np.abs(theirs.coef_).max(axis=0)
    assert (np.abs(ours.coef_ - theirs.coef_) <= 1e-6 * scale + reach).all()
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6 * np.abs(X).max())
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == np.shape(theirs.intercept_ * np.ones(len(ours.coef_)))


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 0.5}])
def test_weights_of_rows_and_classes_are_those_of_logistic_regression(k, class_weight):
    X, y = draw(5, k=k)
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(y))
    options = {"C": 2.0, "class_weight": class_weight}
    ours = MaxEntClassifier(tol=1e-14, **options).fit(X, y, sample_weight=weight)
    theirs = LogisticRegression(solver="newton-cholesky", tol=1e-13, max_iter=1000, **options)
    theirs.fit(X, y, sample_weight=weight)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)


def test_no_penalty_is_maximum_likelihood():
    X, y = draw(1)
    ours = MaxEntClassifier(C=np.inf, tol=1e-13).fit(X, y)
    theirs = LogisticRegression(C=np.inf, solver="newton-cg", tol=1e-12, max_iter=10_000)
    theirs.fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    expectations = ours.feature_expectations_
    assert_allclose(expectations["model"], expectations["empirical"], atol=1e-7)


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize("scaled", [False, True])
def test_default_fits_of_the_datasets_converge(load, scaled):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X) if scaled else X
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MaxEntClassifier().fit(X, y)
    assert model.converged_
    assert model.optimality_gap_ <= model.tol
    assert_allclose(model.objective_, objective(model, X, y), rtol=1e-9)


@pytest.mark.parametrize("shape", [(30, 200), (30, 31), (200, 6)])
def test_rows_in_any_shape_and_format_have_the_same_optimum(shape):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) * (rng.uniform(size=shape) < 0.4)
    y = rng.integers(3, size=len(X))
    dense = MaxEntClassifier(tol=1e-13).fit(X, y)
    formats = [sp.csr_matrix(X), sp.csc_matrix(X), sp.coo_array(X), np.asfortranarray(X)]
    for other in formats:
        model = clone(dense).fit(other, y)
        assert_allclose(model.coef_, dense.coef_, atol=2e-6)
        assert_allclose(model.predict_proba(other), dense.predict_proba(X), atol=1e-6)
    if shape == (30, 200):
        assert dense.solver_ == "row-space"


def test_float32_rows_give_float32_weights():
    X, y = draw(2)
    model = MaxEntClassifier().fit(X.astype(np.float32), y)
    assert model.coef_.dtype == model.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert_allclose(model.coef_, MaxEntClassifier().fit(X, y).coef_, atol=1e-2)


# -------------------------------------------------------------------------------- the certificate
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_the_gap_bounds_the_distance_to_the_optimum_wherever_a_fit_stops(solver, load):
    X, y = load(return_X_y=True)
    best = MaxEntClassifier(tol=1e-13).fit(X, y)
    for max_iter in (1, 3, 6, 12, 25):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = MaxEntClassifier(solver=solver, max_iter=max_iter, tol=1e-10).fit(X, y)
        excess = model.objective_ - best.objective_
        assert -1e-12 <= excess <= model.optimality_gap_ + 1e-12
        assert model.converged_ == (model.optimality_gap_ <= 1e-10)


def test_the_gap_is_tight_near_the_optimum():
    """The dual point is a Newton step of the dual, so the gap is the excess, not a multiple."""
    X, y = load_breast_cancer(return_X_y=True)
    model = MaxEntClassifier(tol=1e-5).fit(X, y)
    excess = model.objective_ - MaxEntClassifier(tol=1e-14).fit(X, y).objective_
    assert model.optimality_gap_ <= max(10 * excess, 1e-7)


def test_objectives_never_rise():
    X, y = load_digits(return_X_y=True)
    assert (np.diff(MaxEntClassifier(tol=1e-9).fit(X, y).objectives_) <= 1e-15).all()


def test_a_fit_that_may_not_converge_says_so_and_how_far_it_is():
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="duality gap of .* Increase max_iter"):
        model = MaxEntClassifier(max_iter=2).fit(X, y)
    assert not model.converged_
    assert model.n_iter_ == 2


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_the_last_step_that_is_allowed_counts(solver, load):
    """A fit that takes n steps to converge converges with max_iter=n, without a warning."""
    X, y = load(return_X_y=True)
    enough = MaxEntClassifier(solver=solver, random_state=0).fit(X, y)
    exact = clone(enough).set_params(max_iter=enough.n_iter_).fit(X, y)
    assert exact.converged_
    assert exact.n_iter_ == enough.n_iter_
    assert exact.objective_ == enough.objective_


# --------------------------------------------------------------------- maximum entropy, literally
def test_expectations_differ_by_what_the_penalty_allows():
    """The gradient is zero: E_data f - E_model f = w / (C n) for each class and feature."""
    X, y = draw(3)
    model = MaxEntClassifier(C=0.1, tol=1e-14).fit(X, y)
    expectations = model.feature_expectations_
    difference = expectations["empirical"] - expectations["model"]
    assert_allclose(difference, model.coef_ / (0.1 * len(y)), atol=1e-7)
    onehot = y[:, None] == np.arange(3)
    assert_allclose(expectations["empirical"], onehot.T @ X / len(y))
    assert_allclose(expectations["model"], model.predict_proba(X).T @ X / len(y))


def test_entropy_is_the_mean_entropy_of_the_rows():
    X, y = draw(4, k=2)
    weight = np.random.default_rng(0).uniform(size=len(y))
    model = MaxEntClassifier().fit(X, y, sample_weight=weight)
    P = model.predict_proba(X)
    assert model.entropy_ == pytest.approx(weight @ -(P * np.log(P)).sum(1) / weight.sum())


def test_it_has_the_largest_entropy_of_all_that_meet_the_same_expectations():
    """Moves of p(y|x) that keep every expectation lower the entropy."""
    X, y = draw(6, n=40, p=2)
    model = MaxEntClassifier(C=np.inf, tol=1e-14).fit(X, y)
    P = model.predict_proba(X)
    A = np.column_stack([X, np.ones(len(X))])
    rng = np.random.default_rng(0)
    for _ in range(20):
        V = rng.normal(size=P.shape)
        V -= V.mean(axis=1, keepdims=True)
        V -= A @ np.linalg.lstsq(A, V, rcond=None)[0]  # no feature of any class changes
        Q = P + 0.5 * V * (P / np.abs(V)).min()
        assert_allclose(Q.T @ A, P.T @ A, atol=1e-9)
        assert -(Q * np.log(Q)).sum() < -(P * np.log(P)).sum()


# ------------------------------------------------------------------------------------ invariances
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 4))
def test_weights_of_rows_are_repetitions(seed, k):
    X, y = draw(seed, n=60, k=k)
    y[:k] = np.arange(k)
    times = np.random.default_rng(seed).integers(0, 4, size=len(y))
    times[:k] = 1
    a = MaxEntClassifier(tol=1e-12).fit(X, y, sample_weight=times)
    b = MaxEntClassifier(tol=1e-12).fit(np.repeat(X, times, 0), np.repeat(y, times))
    assert_allclose(a.coef_, b.coef_, atol=1e-4)
    assert a.objective_ == pytest.approx(b.objective_, abs=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_units_and_origins_of_columns_do_not_matter_without_penalty(seed):
    X, y = draw(seed)
    rng = np.random.default_rng(seed)
    scale, shift = 10.0 ** rng.uniform(-4, 4, size=4), rng.normal(size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        a = MaxEntClassifier(C=np.inf, tol=1e-11).fit(X, y)
        b = MaxEntClassifier(C=np.inf, tol=1e-11).fit((X + shift) * scale, y)
    assert a.separable_ == b.separable_
    assume(not a.separable_)
    assert a.objective_ == pytest.approx(b.objective_, abs=1e-9)
    assert_allclose(a.predict_proba(X), b.predict_proba((X + shift) * scale), atol=1e-4)


def test_the_number_of_threads_does_not_matter():
    X, y = draw(0, n=30_000, p=20)
    fits = [MaxEntClassifier(n_jobs=n, random_state=0).fit(X, y) for n in (1, 2, 3)]
    for fit in fits[1:]:
        assert_array_equal(fit.coef_, fits[0].coef_)


def test_constant_and_repeated_columns_are_no_trouble():
    X, y = draw(0)
    X = np.column_stack([X, X[:, 0], np.full(len(X), 7.0), np.zeros(len(X))])
    model = MaxEntClassifier(tol=1e-10).fit(X, y)
    assert model.converged_
    assert_allclose(model.coef_[:, 0], model.coef_[:, 4], atol=1e-4)
    assert_allclose(model.coef_[:, 6], 0, atol=1e-6)


# --------------------------------------------------------------------------------- as an estimator
def test_a_warm_start_begins_where_the_last_fit_ended():
    X, y = load_digits(return_X_y=True)
    cold = MaxEntClassifier(tol=1e-8, random_state=0).fit(X, y)
    warm = clone(cold).set_params(warm_start=True).fit(X, y)
    first = warm.n_iter_
    warm.fit(X, y)
    assert warm.n_iter_ <= 2 < first
    assert warm.objective_ <= cold.objective_ + 1e-8


def test_it_works_in_a_grid_search_over_a_pipeline():
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), MaxEntClassifier())
    search = GridSearchCV(
        pipeline, {"maxentclassifier__C": [0.01, 1.0]}, scoring="neg_log_loss", cv=3
    ).fit(X, y)
    assert search.best_params_ == {"maxentclassifier__C": 1.0}
    assert search.best_score_ > -0.15


def test_log_probabilities_stay_finite_where_probabilities_are_zero():
    X, y = draw(0, k=2)
    model = MaxEntClassifier().fit(X, y)
    far = 1e4 * X
    assert np.isfinite(model.predict_log_proba(far)).all()
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


def test_verbose_prints_each_step(capsys):
    X, y = draw(0)
    model = MaxEntClassifier(verbose=1).fit(X, y)
    assert capsys.readouterr().out.count("Iteration") == model.n_iter_


# -------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": np.zeros(150)}, "one class only"),
        ({"y": np.linspace(0, 1, 150)}, "Unknown label type"),
        ({"X": np.full((150, 4), np.nan)}, "NaN"),
        ({"sample_weight": np.zeros(150)}, "sample_weight is zero"),
        ({"sample_weight": -np.ones(150)}, "sample_weight"),
        ({"C": 0.0}, "'C' parameter"),
        ({"l1_ratio": 2.0}, "'l1_ratio' parameter"),
        ({"solver": "fast"}, "'solver' parameter"),
        ({"tol": -1.0}, "'tol' parameter"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(change, match):
    X, y = draw(0)
    model = MaxEntClassifier().fit(X, y)
    before = dict(vars(model))
    params = {name: change.pop(name) for name in list(change) if name in model.get_params()}
    model.set_params(**params)
    with pytest.raises(ValueError, match=match):
        model.fit(change.pop("X", X), change.pop("y", y), **change)
    after = {name: value for name, value in vars(model).items() if name not in params}
    assert after == {name: value for name, value in before.items() if name not in params}


def test_blocks_of_sparse_rows_are_refused_with_the_way_out():
    X, y = draw(0)
    with pytest.raises(ValueError, match=r"block-lbfgs' is for dense X. .*diagonal-lbfgs"):
        MaxEntClassifier(solver="block-lbfgs").fit(sp.csr_matrix(X), y)


def test_rows_of_zeros_have_the_frequencies_of_the_classes():
    y = np.arange(10) % 3
    model = MaxEntClassifier(solver="row-space", tol=1e-12).fit(np.zeros((10, 40)), y)
    assert_array_equal(model.coef_, 0)
    assert_allclose(model.predict_proba(np.zeros((1, 40)))[0], [0.4, 0.3, 0.3], atol=1e-6)
