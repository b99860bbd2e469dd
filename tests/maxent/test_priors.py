"""A prior variance for each weight, and boxes on the expectations of features."""

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone
from sklearn.datasets import load_iris

from skem import MaxEntClassifier
from skem.maxent.classifier.designs._linear import LinearDesign
from skem.maxent.classifier.solvers._objective import Objective
from skem.maxent.classifier.solvers._penalties import penalties

X, y = load_iris(return_X_y=True)
TIGHT = {"tol": 1e-11}


def joint(X, c):
    return np.column_stack([X * (c + 1), X[:, :1] * (c == 1)])


# ---------------------------------------------------------------------- prior_variance
@pytest.mark.parametrize("C", [1.0, 0.2])
def test_one_variance_for_all_is_c_times_it(C):
    prior = MaxEntClassifier(C, prior_variance=3.0, **TIGHT).fit(X, y)
    plain = MaxEntClassifier(3.0 * C, **TIGHT).fit(X, y)
    assert prior.objective_ == pytest.approx(plain.objective_, abs=1e-11)
    np.testing.assert_allclose(prior.coef_, plain.coef_, atol=1e-5)


@pytest.mark.parametrize("classes", [3, 2])
def test_a_variance_for_each_feature_is_a_scale_for_each_column(classes):
    """w_j^2 / (2 v_j) is u_j^2 / 2 with u_j = w_j / sqrt(v_j), the weight of sqrt(v_j) x_j."""
    variance = np.array([0.01, 0.3, 2.0, 50.0])
    rows = y < classes
    prior = MaxEntClassifier(prior_variance=variance, **TIGHT).fit(X[rows], y[rows])
    scaled = MaxEntClassifier(**TIGHT).fit(X[rows] * np.sqrt(variance), y[rows])
    np.testing.assert_allclose(prior.coef_, scaled.coef_ * np.sqrt(variance), atol=1e-4)
    np.testing.assert_allclose(
        prior.predict_proba(X[rows]), scaled.predict_proba(X[rows] * np.sqrt(variance)), atol=1e-5
    )


@pytest.mark.parametrize("C", [1.0, 7.0])
def test_the_penalty_is_a_tolerance_on_expectations(C):
    """At the optimum the expectations differ by w / (C S v), and not at all where v is inf."""
    variance = np.array([[1.0, 2.0, 1.0, 0.1], [0.5, 1.0, 1.0, 1.0], [3.0, np.inf, 1.0, 9.0]])
    fit = MaxEntClassifier(C, prior_variance=variance, **TIGHT).fit(X, y)
    means = fit.feature_expectations_
    tolerance = -fit.coef_ / (C * len(X) * variance)
    np.testing.assert_allclose(means["model"] - means["empirical"], tolerance, atol=1e-6)
    assert tolerance[2, 1] == 0


def test_joint_features_have_a_variance_each():
    variance = np.array([1.0, np.inf, 0.5, 2.0, 0.1])
    fit = MaxEntClassifier(prior_variance=variance, feature_function=joint, **TIGHT).fit(X, y)
    means = fit.feature_expectations_
    np.testing.assert_allclose(
        means["model"] - means["empirical"], -fit.coef_ / (len(X) * variance), atol=1e-6
    )


def test_weights_of_rows_count_as_rows_against_the_prior():
    variance = np.array([0.1, 1.0, 2.0, 3.0])
    weighted = MaxEntClassifier(prior_variance=variance, **TIGHT).fit(X, y, np.full(len(X), 2))
    twice = MaxEntClassifier(prior_variance=variance, **TIGHT).fit(
        np.tile(X, (2, 1)), np.tile(y, 2)
    )
    np.testing.assert_allclose(weighted.coef_, twice.coef_, atol=1e-5)


# ---------------------------------------------------------------------- expectation_box
def split_lbfgsb(objective):
    """Minimum with absolute values: w = u - v, u and v >= 0, by L-BFGS-B."""
    size = objective.design.n_params

    def split(uv):
        u, v = uv[:size], uv[size:]
        value, gradient = objective.smooth(u - v)
        both = np.concatenate([gradient + objective.l1, -gradient + objective.l1])
        return value + objective.l1 @ (u + v), both

    answer = scipy.optimize.minimize(
        split,
        np.zeros(2 * size),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (2 * size),
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-8},
    )
    return answer.x[:size] - answer.x[size:]


def test_a_box_holds_the_expectations_and_is_tight_where_the_weight_is_not_zero():
    width = np.array([[0.05, 0.0, 0.1, 0.02]])
    design = LinearDesign(X, y, None, n_classes=3, intercept=True, n_jobs=1)
    l2, l1 = penalties(
        (3, 4), len(X), C=np.inf, l1_ratio=0.0, prior_variance=None, expectation_box=width
    )
    objective = Objective(design, l2, l1)
    theta = split_lbfgsb(objective)
    design.evaluate(theta)
    means = design.expectations()
    off = np.abs(means["model"] - means["empirical"])
    assert (off <= width + 2e-4).all()
    weights = design.split(theta)[0].reshape(3, 4)
    box = np.broadcast_to(width, (3, 4))
    np.testing.assert_allclose(off[weights != 0], box[weights != 0], atol=2e-4)
    assert (weights[:, [0, 2, 3]] == 0).any()
    fit = MaxEntClassifier(C=np.inf, expectation_box=width, tol=1e-8).fit(X, y)
    value = objective.smooth(theta)[0] + objective.absolute(theta)
    assert fit.objective_ <= value + 1e-8
    assert fit.optimality_gap_ <= 1e-8
    means = fit.feature_expectations_
    assert (np.abs(means["model"] - means["empirical"]) <= width + 2e-4).all()


def test_a_box_on_joint_features():
    width = np.array([0.05, 0.0, 0.1, 0.02, 0.03])
    fit = MaxEntClassifier(C=np.inf, expectation_box=width, feature_function=joint, tol=1e-9)
    fit.fit(X, y)
    means = fit.feature_expectations_
    off = np.abs(means["model"] - means["empirical"])
    assert (off <= width + 1e-3).all()
    np.testing.assert_allclose(off[fit.coef_ != 0], width[fit.coef_ != 0], atol=1e-3)


@pytest.mark.parametrize("C", [0.5, 20.0])
def test_a_box_of_one_width_for_all_is_l1(C):
    """L1 is |w| / (C S) per unit of weight, and both have the same optimum."""
    box = MaxEntClassifier(np.inf, expectation_box=1 / (C * len(X)), tol=1e-10).fit(X, y)
    l1 = MaxEntClassifier(C, l1_ratio=1.0, tol=1e-10).fit(X, y)
    assert box.objective_ == pytest.approx(l1.objective_, abs=1e-9)
    np.testing.assert_array_equal(box.coef_ == 0, l1.coef_ == 0)


def test_the_l2_part_adds_to_the_tolerance():
    """At a weight that is not zero the expectation is off by A + |w| / (C S)."""
    fit = MaxEntClassifier(0.5, expectation_box=0.05, tol=1e-11).fit(X, y)
    means = fit.feature_expectations_
    off = np.abs(means["model"] - means["empirical"])
    wanted = 0.05 + np.abs(fit.coef_) / (0.5 * len(X))
    assert (off <= wanted + 1e-5).all()
    np.testing.assert_allclose(off[fit.coef_ != 0], wanted[fit.coef_ != 0], atol=1e-5)


def test_row_space_has_one_penalty_a_column():
    per_column = MaxEntClassifier(prior_variance=[1, 2, 3, 4], solver="row-space", tol=1e-10)
    newton = clone(per_column).set_params(solver="newton-cholesky").fit(X, y)
    assert per_column.fit(X, y).objective_ == pytest.approx(newton.objective_, abs=2e-10)
    per_class = np.ones((len(np.unique(y)), X.shape[1]))
    per_class[0] = 2.0
    with pytest.raises(ValueError, match="row-space' needs an L2 penalty for each column"):
        per_column.set_params(prior_variance=per_class).fit(X, y)


def test_penalties_in_nats_per_unit_of_weight():
    def of(shape=(2, 3), C=4.0, l1_ratio=0.25, prior_variance=None, expectation_box=None):
        l2, l1 = penalties(
            shape,
            10.0,
            C=C,
            l1_ratio=l1_ratio,
            prior_variance=prior_variance,
            expectation_box=expectation_box,
        )
        return pytest.approx(l2), pytest.approx(l1)

    assert of() == ([0.75 / 40] * 6, [0.25 / 40] * 6)
    assert of(prior_variance=2.0) == ([1 / 80] * 6, [0.25 / 40] * 6)
    assert of(expectation_box=0.1) == ([0.75 / 40] * 6, [0.1] * 6)
    assert of(expectation_box=[0, 1, 2]) == ([0.75 / 40] * 6, [0, 1, 2, 0, 1, 2])
    assert of(expectation_box=[[0, 1, 2], [3, 4, 5]])[1] == [0, 1, 2, 3, 4, 5]
    assert of(C=np.inf, expectation_box=[[1, 1, 2]]) == ([0] * 6, [1, 1, 2, 1, 1, 2])
    assert of(prior_variance=[1, np.inf, 2], expectation_box=0) == (
        [1 / 40, 0, 1 / 80] * 2,
        [0] * 6,
    )
    assert of(shape=(3,), prior_variance=[1, np.inf, 2])[0] == [1 / 40, 0, 1 / 80]


# ---------------------------------------------------------------------- errors
BAD = [
    ({"prior_variance": [1.0, 2.0]}, r"prior_variance has shape \(2,\).*\(n_features,\) = \(4,\)"),
    ({"prior_variance": np.ones((2, 4))}, r"prior_variance has shape \(2, 4\).*\(3, 4\)"),
    ({"prior_variance": [1, 2, 0, 3]}, "prior_variance must be positive, got 0"),
    ({"prior_variance": -1.0}, "'prior_variance' parameter"),
    ({"prior_variance": [1, 2, np.nan, 3]}, "prior_variance contains NaN"),
    ({"prior_variance": ["a", "b", "c", "d"]}, "prior_variance must hold real numbers"),
    ({"prior_variance": 1.0, "C": np.inf}, "prior_variance has no effect with C=inf"),
    ({"expectation_box": np.ones((4, 1))}, r"expectation_box has shape \(4, 1\)"),
    ({"expectation_box": [0.1, -0.1, 0, 0]}, "expectation_box must hold finite widths.*-0.1"),
    ({"expectation_box": [0.1, np.inf, 0, 0]}, "expectation_box must hold finite widths.*inf"),
    ({"expectation_box": "wide"}, "'expectation_box' parameter"),
    (
        {"expectation_box": 0.1, "solver": "gis"},
        "gis' cannot minimise absolute.*expectation_box=None",
    ),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[str(b[0]) for b in BAD])
def test_what_is_wrong_is_said_and_the_estimator_is_as_it_was(options, message):
    fit = MaxEntClassifier().fit(X, y)
    before = fit.set_params(**options).__dict__.copy()
    with pytest.raises(ValueError, match=message):
        fit.fit(X, y)
    assert fit.__dict__ == before


def test_joint_features_want_their_own_shape():
    fit = MaxEntClassifier(feature_function=joint, prior_variance=np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"prior_variance has shape \(3, 4\).*\(5,\)"):
        fit.fit(X, y)
