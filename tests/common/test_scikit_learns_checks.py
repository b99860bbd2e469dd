"""Estimators pass scikit-learn's own checks, each that there is for such an estimator."""

import inspect
import warnings

import pytest
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import check_estimator

from skem import RNNSeq2Seq
from tests.common.case import parameter
from tests.common.cases import CASES, CHECKED, each, every_case

SAMPLE_WEIGHT_CHECKS = {
    "check_all_zero_sample_weights_error",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
}
SAMPLE_WEIGHT_CHECK_ON_SPARSE_DATA = "check_sample_weight_equivalence_on_sparse_data"

# These are run only where the environment had SCIPY_ARRAY_API=1 before scipy was imported; no
# estimator claims to support such input.
ARRAY_API_CHECKS = {
    "check_array_api_input",
    "check_array_api_mixed_inputs",
    "check_array_api_same_namespace",
}


def quietly(check, *arguments, **keywords):
    """What the checks feed is not chosen for the model: 30 rows of noise need not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return check(*arguments, **keywords)


def names_of_checks(estimator):
    return [
        getattr(check, "func", check).__name__
        for _, check in estimator_checks.estimator_checks_generator(estimator)
    ]


def takes_weights(estimator, method="fit"):
    return "sample_weight" in inspect.signature(getattr(estimator, method)).parameters


# ---------------------------------------------------------------------- which checks there are
@each(among=CHECKED)
def test_the_checks_are_those_of_scikit_learns_own_and_of_sample_weights(case):
    theirs, ours = names_of_checks(case.peer), names_of_checks(case.checked)
    more = set()
    if case.weights and not takes_weights(case.peer):
        more |= SAMPLE_WEIGHT_CHECKS
        more |= {SAMPLE_WEIGHT_CHECK_ON_SPARSE_DATA} if case.sparse is not None else set()
    assert set(ours) - set(theirs) == more
    assert set(theirs) - set(ours) - ARRAY_API_CHECKS == case.not_checked


@every_case
def test_tags_and_methods_are_what_the_case_says(case):
    tags = get_tags(case.estimator)
    assert tags.input_tags.sparse == (case.sparse is not None)
    assert takes_weights(case.estimator) == case.weights
    assert takes_weights(case.estimator, "score") == case.weights
    # RNNTagger needs y as well, but its tags do not say so.
    needs_y = is_classifier(case.estimator) or isinstance(case.estimator, RNNSeq2Seq)
    assert needs_y == tags.target_tags.required
    assert hasattr(case.estimator, "partial_fit") == ("partial_fit" in case.goes_on)
    assert ("warm_start" in case.estimator.get_params()) == ("warm_start" in case.goes_on)
    # What is no transformer has nothing that set_output or names could apply to.
    for name in ("transform", "set_output", "get_feature_names_out"):
        assert hasattr(case.estimator, name) == (case.n_out > 0)


# ---------------------------------------------------------------------- that they pass
@pytest.mark.filterwarnings("ignore:X has numbers that are no integers")  # two checks feed these
@each(among=CHECKED)
def test_check_estimator_passes_with_no_exception(case):
    results = quietly(check_estimator, case.checked, on_skip=None, on_fail=None)
    assert len(results) == len(names_of_checks(case.checked))
    names = {"passed": set(), "failed": set(), "skipped": set(), "xfail": set()}
    for result in results:
        names[result["status"]].add(result["check_name"])
    why = [(r["check_name"], repr(r["exception"])) for r in results if r["status"] != "passed"]
    assert names["failed"] <= case.may_fail, why
    assert names["skipped"] <= ARRAY_API_CHECKS, why
    assert not names["xfail"], why
    assert len(why) <= 1 + len(case.may_fail)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")  # checks fit so
@pytest.mark.filterwarnings("ignore:X has numbers that are no integers")
@pytest.mark.parametrize(
    ("case", "name"),
    [parameter(case, name) for case in CASES if case.checked for name in case.more_checks],
)
def test_the_checks_that_check_estimator_leaves_out(case, name):
    name_of_class = type(case.checked).__name__
    quietly(getattr(estimator_checks, name), name_of_class, case.checked)
