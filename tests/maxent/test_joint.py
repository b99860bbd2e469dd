"""Joint features f(x, c): one vector of weights for all classes."""

import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.feature_extraction import DictVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import get_tags

from skem import MaxEntClassifier
from skem.maxent.classifier.designs._joint import JointDesign
from skem.maxent.classifier.solvers._joint_curvature import JointDiagonal, JointFull
from skem.maxent.classifier.solvers._objective import Objective

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])

people = [
    *((name, "female") for name in ("Anna", "Clara", "Eva", "Julia", "Maria", "Sonja", "Ruth")),
    *((name, "male") for name in ("Adam", "Erik", "Hans", "Jan", "Karl", "Noah", "Luca")),
]
first_names = [name for name, _ in people]
genders = [gender for _, gender in people]


def blocks(X, c):
    """x in the block of class c: the features x_j 1[y = c]."""
    F = np.zeros((len(X), 3 * X.shape[1]))
    start = X.shape[1] * int(c)
    F[:, start : start + X.shape[1]] = X
    return F


def sparse_blocks(X, c):
    return sp.csr_matrix(blocks(X, c))


def dictionaries(X, c):
    return [{f"{c}{j}": value for j, value in enumerate(row)} for row in X]


def last_letters(names, gender):
    return [{f"{gender} last": name[-1], f"{gender} length": len(name)} for name in names]


# ---------------------------------------------------------------------- the linear case
@pytest.mark.parametrize("function", [blocks, sparse_blocks, dictionaries])
@pytest.mark.parametrize(
    "options",
    [{}, {"C": 0.01}, {"fit_intercept": False}, {"class_weight": "balanced", "C": 30.0}],
    ids=str,
)
def test_blocks_of_x_are_the_features_without_feature_function(function, options):
    weight = np.linspace(0, 2, len(X))
    linear = MaxEntClassifier(**options, tol=1e-11).fit(X, y, weight)
    joint = clone(linear).set_params(feature_function=function).fit(X, y, weight)
    assert joint.objective_ == pytest.approx(linear.objective_, abs=2e-11)
    assert joint.coef_.shape == (12,)
    np.testing.assert_allclose(joint.coef_, linear.coef_.ravel(), atol=1e-4)
    np.testing.assert_allclose(joint.intercept_, linear.intercept_, atol=1e-4)
    np.testing.assert_allclose(joint.decision_function(X), linear.decision_function(X), atol=1e-4)
    np.testing.assert_allclose(joint.predict_proba(X), linear.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(joint.predict(X), linear.predict(X))
    assert joint.entropy_ == pytest.approx(linear.entropy_, abs=1e-5)
    for name, values in linear.feature_expectations_.items():
        np.testing.assert_allclose(joint.feature_expectations_[name], values.ravel(), atol=1e-5)


def test_many_features_have_the_same_optimum_without_a_cholesky_factor():
    joint = MaxEntClassifier(feature_function=sparse_blocks, tol=1e-10)
    newton = clone(joint).fit(X, y)
    lbfgs = clone(joint).set_params(solver="diagonal-lbfgs").fit(X, y)
    assert newton.solver_ == "newton-cholesky"
    assert lbfgs.objective_ == pytest.approx(newton.objective_, abs=2e-10)

    def hashed(X, c):
        rng = np.random.default_rng(int(c))
        return sp.random_array((len(X), 1500), density=0.01, rng=rng, format="csr")

    many = clone(joint).set_params(feature_function=hashed).fit(X, y)
    assert many.solver_ == "diagonal-lbfgs"
    assert many.converged_


# ---------------------------------------------------------------------- the design
def objective_of(sparse, intercept, weighted=True):
    rng = np.random.default_rng(0)
    n, m, n_classes = 30, 5, 4
    F = rng.standard_normal((n_classes * n, m)) * (rng.uniform(size=(n_classes * n, m)) < 0.6)
    design = JointDesign(
        sp.csr_array(F) if sparse else F,
        rng.integers(n_classes, size=n),
        rng.uniform(0.1, 2, size=n) if weighted else None,
        n_classes=n_classes,
        intercept=intercept,
        n_jobs=1,
    )
    objective = Objective(design, np.linspace(0, 0.1, m), np.zeros(m))
    return objective, rng.standard_normal(design.n_params)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_gradient_is_the_derivative_of_the_value(sparse, intercept):
    objective, theta = objective_of(sparse, intercept)
    numeric = scipy.optimize.approx_fprime(theta, lambda t: objective.smooth(t)[0], 1e-7)
    np.testing.assert_allclose(objective.smooth(theta)[1], numeric, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_curvatures_are_the_second_derivative_and_its_diagonal(sparse, intercept):
    objective, theta = objective_of(sparse, intercept)
    design = objective.design
    _, gradient = objective.smooth(theta)
    H = np.column_stack([objective.curvature_product(v) for v in np.eye(design.n_params)])
    change = scipy.optimize.approx_fprime(theta, lambda t: objective.smooth(t)[1], 1e-7)
    np.testing.assert_allclose(H, change, atol=1e-6)
    objective.smooth(theta)
    m = design.n_weights
    np.testing.assert_allclose(1 / JointDiagonal(objective).inverse, H.diagonal()[:m], rtol=1e-10)
    full = JointFull(objective, 0.0, design.n_rows, np.random.RandomState(0))
    step = full.solve(gradient)
    np.testing.assert_allclose(H @ step, gradient, atol=1e-10)


# ---------------------------------------------------------------------- choices
def alternatives(X, c):
    """Attributes of the alternative c, out of persons x alternatives x attributes."""
    return X[:, c]


def choices():
    rng = np.random.default_rng(0)
    attributes = rng.standard_normal((400, 4, 3))
    utility = attributes @ [1.0, -0.5, 0.2] + rng.gumbel(size=(400, 4))
    return attributes, utility.argmax(axis=1)


def test_conditional_logit_is_that_of_a_newton_written_by_hand():
    """McFadden (1974): alternatives have attributes, and all share their coefficients."""
    attributes, chosen = choices()
    w = np.zeros(3)
    for _ in range(20):
        p = np.exp(attributes @ w)
        p /= p.sum(axis=1, keepdims=True)
        centred = attributes - (p[:, :, None] * attributes).sum(axis=1, keepdims=True)
        gradient = centred[np.arange(400), chosen].sum(axis=0)
        w += np.linalg.solve(np.einsum("ic,icj,ick->jk", p, centred, centred), gradient)
    fit = MaxEntClassifier(
        C=np.inf, feature_function=alternatives, fit_intercept=False, tol=1e-12
    ).fit(attributes, chosen)
    np.testing.assert_allclose(fit.coef_, w, rtol=1e-5)
    np.testing.assert_allclose(fit.predict_proba(attributes), p, atol=1e-6)
    expectations = fit.feature_expectations_
    np.testing.assert_allclose(expectations["model"], expectations["empirical"], atol=1e-6)


def test_data_of_any_shape_are_handed_to_the_function_whole():
    attributes, chosen = choices()
    seen = []

    def function(X, c):
        seen.append((X is attributes, c))
        return X[:, c]

    MaxEntClassifier(feature_function=function).fit(attributes, chosen)
    assert seen == [(True, c) for c in range(4)]


# ---------------------------------------------------------------------- dictionaries
def test_dictionaries_as_nltk_has_them_and_names_never_seen():
    fit = MaxEntClassifier(feature_function=last_letters).fit(first_names, genders)
    assert {"female last=a", "male last=a", "female length"} <= set(fit.feature_names_)
    weight = dict(zip(fit.feature_names_, fit.coef_, strict=True))
    assert weight["female last=a"] > 0 > weight["male last=a"]
    assert fit.predict(["Petra", "Jon"]).tolist() == ["female", "male"]
    unknown = fit.predict_proba(["Alex", "Inez"])
    np.testing.assert_array_equal(unknown[0], unknown[1])


def test_a_weight_for_each_of_two_classes_is_one_with_half_the_penalty():
    """w and -w have penalty w^2 / 2 + w^2 / 2 for a difference of 2 w: (2 w)^2 / 4."""

    def features(names, gender):
        return [{f"{gender} {name[-1]}": 1} for name in names]

    joint = MaxEntClassifier(C=1.0, feature_function=features, tol=1e-11)
    joint.fit(first_names, genders)
    letters = DictVectorizer().fit_transform([{name[-1]: 1} for name in first_names])
    linear = MaxEntClassifier(C=2.0, tol=1e-11).fit(letters, genders)
    np.testing.assert_allclose(
        joint.predict_proba(first_names), linear.predict_proba(letters), atol=1e-5
    )


def test_a_class_may_have_features_of_its_own():
    def function(names, gender):
        if gender == "male":
            return [{} for _ in names]
        return [{"ends in a": name.endswith("a")} for name in names]

    fit = MaxEntClassifier(feature_function=function).fit(first_names, genders)
    assert fit.feature_names_.tolist() == ["ends in a"]
    assert fit.coef_[0] > 0


# ---------------------------------------------------------------------- as an estimator
def test_a_weight_is_a_row_so_many_times():
    counts = np.arange(len(first_names)) % 3
    repeated = np.repeat(np.arange(len(counts)), counts)
    joint = MaxEntClassifier(feature_function=last_letters, tol=1e-11)
    weighted = clone(joint).fit(first_names, genders, counts)
    names = [first_names[i] for i in repeated]
    again = clone(joint).fit(names, [genders[i] for i in repeated])
    assert weighted.objective_ == pytest.approx(again.objective_, abs=1e-10)
    np.testing.assert_allclose(
        weighted.predict_proba(first_names), again.predict_proba(first_names), atol=1e-5
    )


def test_pickle_clone_scorers_and_grid_search():
    names = np.array(first_names)
    fit = MaxEntClassifier(feature_function=last_letters).fit(names, genders)
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.predict_proba(names), fit.predict_proba(names))
    assert clone(fit).feature_function is last_letters
    assert fit.decision_function(names).shape == (14,)
    for scoring in ("accuracy", "neg_log_loss", "roc_auc"):
        assert np.isfinite(cross_val_score(fit, names, genders, scoring=scoring, cv=3)).all()
    search = GridSearchCV(fit, {"C": [0.1, 1.0]}, cv=3).fit(names, genders)
    assert search.best_estimator_.score(names, genders) > 0.7
    assert not get_tags(fit).input_tags.two_d_array


def test_data_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"name": first_names, "gender": genders})

    def function(frame, gender):
        ends = frame["name"].str.endswith("a").to_numpy()
        return pd.DataFrame({"a": ends & (gender == "female"), "other": ~ends & (gender == "male")})

    fit = MaxEntClassifier(feature_function=function).fit(frame, frame["gender"])
    assert fit.score(frame, frame["gender"]) > 0.7


def test_float32_stays_float32():
    def function(X, c):
        return blocks(X, c).astype(np.float32)

    fit = MaxEntClassifier(feature_function=function).fit(X, y)
    assert fit.coef_.dtype == fit.predict_proba(X).dtype == np.float32


def test_warm_start_goes_on_from_the_last_weights():
    joint = MaxEntClassifier(feature_function=blocks, warm_start=True, tol=1e-8).fit(X, y)
    assert joint.n_iter_ > 2
    assert joint.fit(X, y).n_iter_ == 1


def test_a_fit_of_another_kind_leaves_nothing_of_the_last():
    fit = MaxEntClassifier().fit(X, y)
    fit.set_params(feature_function=dictionaries).fit(X, y)
    assert not hasattr(fit, "n_features_in_")
    assert hasattr(fit, "feature_names_")
    fit.set_params(feature_function=blocks).fit(X, y)
    assert not hasattr(fit, "feature_names_")
    fit.set_params(feature_function=None).fit(X, y)
    assert fit.n_features_in_ == 4
    assert fit.coef_.shape == (3, 4)


# ---------------------------------------------------------------------- errors
def nan_at(F, value=np.nan):
    F[2, 1] = value
    return F


BAD = {
    "one dimension": (lambda X, c: X[:, c], r"for class 0, shape \(150,\), expected \(n_samples"),
    "too few rows": (lambda X, c: X[:10], r"shape \(10, 4\), expected .* n_samples = 150"),
    "widths": (lambda X, c: X[:, : 1 + c], "1 features for class 0 and 2 for class 1"),
    "NaN": (lambda X, c: nan_at(X + c), "NaN for class 0, row 2, feature 1"),
    "infinity": (
        lambda X, c: sp.csr_matrix(nan_at(X + c, np.inf)),
        "infinity for class 0, row 2, feature 1",
    ),
    "infinity in a dictionary": (
        lambda X, c: [{"a": 1, f"b{c}": np.inf}] * len(X),
        "infinity for class 0, row 0, feature 'b0'",
    ),
    "text": (lambda X, c: np.full((len(X), 2), "a"), "expected real numbers"),
    "complex": (lambda X, c: X + 1j, "expected real numbers"),
    "nothing": (lambda X, c: None, "NoneType"),
    "ragged": (lambda X, c: [[1.0, 2.0], [3.0]], "not a matrix"),
    "no features": (lambda X, c: X[:, :0], "returned no features"),
    "dictionaries for some": (
        lambda X, c: X if c else [{"a": 1}] * len(X),
        "dictionaries for some classes and matrices for others",
    ),
    "too few dictionaries": (lambda X, c: [{"a": c}] * 3, "returned 3 dictionaries for class 0"),
    "not all dictionaries": (
        lambda X, c: [{"a": c}] + [None] * (len(X) - 1),
        "dictionaries and other objects",
    ),
    "values of dictionaries": (
        lambda X, c: [{"a": object()}] * len(X),
        "dictionaries that cannot be vectorised",
    ),
    "the same for all classes": (lambda X, c: X, "same features for every class"),
}


@pytest.mark.parametrize(("function", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_the_function_is_said_and_the_estimator_is_as_it_was(function, message):
    fit = MaxEntClassifier().fit(X, y)
    before = fit.set_params(feature_function=function).__dict__.copy()
    with pytest.raises((ValueError, TypeError), match=f"feature_function.*{message}"):
        fit.fit(X, y)
    assert fit.__dict__ == before


@pytest.mark.parametrize("solver", ["block-lbfgs", "row-space", "coordinate-descent"])
def test_solvers_for_linear_features_only(solver):
    with pytest.raises(ValueError, match=f"solver='{solver}' is for the features x_j.*take 'auto'"):
        MaxEntClassifier(feature_function=blocks, solver=solver).fit(X, y)


def test_errors_of_lengths_and_classes():
    joint = MaxEntClassifier(feature_function=last_letters)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        joint.fit(first_names, genders[:-1])
    with pytest.raises(ValueError, match="one class only"):
        joint.fit(first_names, ["female"] * 14)
    with pytest.raises(ValueError, match="one class only"):
        joint.fit(first_names, genders, [1] * 7 + [0] * 7)
    with pytest.raises(ValueError, match="requires y"):
        joint.fit(first_names, None)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\)"):
        joint.fit(first_names, genders, [1, 2, 3])
    assert not hasattr(joint, "coef_")


def test_errors_of_features_at_prediction():
    fit = MaxEntClassifier(feature_function=blocks).fit(X, y)
    with pytest.raises(ValueError, match="returned 9 features; in fit it returned 12"):
        fit.predict(X[:, :3])
    fit.set_params(feature_function=dictionaries)
    with pytest.raises(ValueError, match="returned dictionaries; in fit it returned matrix"):
        fit.predict(X)
