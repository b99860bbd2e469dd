"""What the classifier does as a member of scikit-learn's family."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from skem import MaxEntClassifier

MORE_CHECKS = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_class_weight_classifiers",
    "check_class_weight_balanced_linear_classifier",
    "check_classifiers_classes",
]


def names_of(estimator):
    return {
        getattr(check, "func", check).__name__
        for _, check in estimator_checks.estimator_checks_generator(estimator)
    }


def quietly(check, *arguments):
    """The checks feed noise, and few steps, which need not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        return check(*arguments)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_check_estimator_passes_with_no_exception(l1_ratio):
    def run(estimator):
        return check_estimator(estimator, on_skip=None, on_fail=None)

    results = quietly(run, MaxEntClassifier(l1_ratio=l1_ratio))
    not_passed = {r["check_name"] for r in results if r["status"] != "passed"}
    assert not_passed <= {"check_array_api_input"}, [repr(r["exception"]) for r in results]
    assert len(results) == 64


def test_the_checks_are_those_of_logistic_regression():
    """But for array API input and `sparsify`, which it does not have."""
    theirs, ours = names_of(LogisticRegression()), names_of(MaxEntClassifier())
    assert theirs - ours <= {
        "check_array_api_mixed_inputs",
        "check_array_api_same_namespace",
        "check_class_weight_balanced_linear_classifier",  # is in MORE_CHECKS
        "check_sparsify_coefficients",
    }


@pytest.mark.parametrize("name", MORE_CHECKS)
def test_the_checks_that_check_estimator_leaves_out(name):
    quietly(getattr(estimator_checks, name), "MaxEntClassifier", MaxEntClassifier())


def test_copies_predict_alike(tmp_path):
    X, y = load_iris(return_X_y=True)
    model = MaxEntClassifier().fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    copies = (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(model),
    )
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert set(vars(clone(model))) == set(model.get_params())


def test_read_only_memory_maps_and_data_frames_are_accepted(tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    model = MaxEntClassifier().fit(X, y)
    joblib.dump(X, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    np.testing.assert_array_equal(MaxEntClassifier().fit(mapped, y).coef_, model.coef_)
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(4)])
    named = MaxEntClassifier().fit(frame, np.array(["a", "b", "c"])[y])
    np.testing.assert_array_equal(named.coef_, model.coef_)
    assert named.classes_.tolist() == ["a", "b", "c"]
    assert named.feature_names_in_.tolist() == frame.columns.tolist()


def test_weights_of_rows_are_routed():
    X, y = load_iris(return_X_y=True)
    weight = np.r_[np.ones(75), np.zeros(75)]
    with sklearn.config_context(enable_metadata_routing=True):
        model = MaxEntClassifier().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        result = cross_validate(
            model, X[:100], y[:100], params={"sample_weight": weight[:100]}, cv=3
        )
    assert np.isfinite(result["test_score"]).all()
