"""Copies give the same outputs and train on alike, hold no rows, and show what they are."""

import copy
import pickle

import joblib
import numpy as np
from sklearn.base import clone

from tests.common.case import assert_alike, take
from tests.common.cases import COPIED, each, every_case


def copies_of(fitted, folder):
    """Copies by pickle, joblib and deepcopy."""
    joblib.dump(fitted, folder / "fitted.joblib")
    return [
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(folder / "fitted.joblib"),
        copy.deepcopy(fitted),
    ]


@every_case
def test_a_clone_has_equal_parameters_and_no_fitted_state(case):
    copied = clone(case.fitted)
    assert copied.get_params() == case.estimator.get_params()
    assert set(vars(copied)) == set(case.estimator.get_params())


@each(among=COPIED)
def test_copies_of_a_fit_give_the_same_outputs_and_train_on_alike(case, tmp_path):
    fitted = copy.deepcopy(case.fitted)
    copies = copies_of(fitted, tmp_path)
    for copied in copies:
        assert_alike(case.describe(copied), case.expected)
    train_on_alike(case, fitted, copies)


@each(lambda case: "partial_fit" in case.goes_on, among=COPIED)
def test_copies_of_a_partial_fit_give_the_same_outputs_and_train_on_alike(case, tmp_path):
    fitted = case.new().partial_fit(case.X)
    copies = copies_of(fitted, tmp_path)
    expected = case.describe(fitted)
    for copied in copies:
        assert_alike(case.describe(copied), expected)
    train_on_alike(case, fitted, copies)


def train_on_alike(case, fitted, copies):
    for way in case.goes_on:
        expected = case.describe(case.train_on(fitted, way))
        for copied in copies:
            assert_alike(case.describe(case.train_on(copied, way)), expected)


@every_case
def test_a_fitted_estimator_holds_no_rows(case):
    """Its size does not depend on how many it has seen."""
    times = np.tile(np.arange(case.n_rows), 10)
    other = case.new().fit(take(case.X, times), take(case.y, times))
    assert len(pickle.dumps(other)) < len(pickle.dumps(case.fitted)) + 300


@every_case
def test_html_and_repr_show_the_name_and_whether_it_is_fitted(case):
    name = type(case.estimator).__name__
    unfitted, fitted = case.estimator._repr_html_(), case.fitted._repr_html_()
    assert name in unfitted
    assert "<span>Not fitted</span>" in unfitted
    assert name in fitted
    assert "<span>Fitted</span>" in fitted
    assert repr(case.fitted).startswith(name)
