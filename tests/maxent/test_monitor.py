"""What a fit says on its way and at its end: callbacks, warnings, class weights, repeatability."""

import re

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

from skem import MaxEntClassifier
from skem.maxent.classifier.solvers._objective import Objective

X, y = load_iris(return_X_y=True)
WIDE = np.random.default_rng(0).standard_normal((30, 60)), np.arange(30) % 3


class Recorder:
    """Keeps what it is told; stops after ``stop_after`` iterations."""

    def __init__(self, stop_after=None):
        self.stop_after, self.losses, self.y, self.fitted = stop_after, [], None, None

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.y = y
        if context.task_name != "iteration":
            self.fitted = fitted_estimator
            return False
        p = fitted_estimator.predict_proba(X)
        self.losses.append(-np.log(p[np.arange(len(y)), y]).mean())
        return len(self.losses) == self.stop_after


def blocks(X, c):
    return np.kron(np.arange(3) == c, X)


CASES = {
    "newton-cholesky": (X, y, {}),
    "block-lbfgs": (X, y, {"solver": "block-lbfgs"}),
    "other units": (X * 1e9, y, {"prior_variance": 1e-18}),
    "row-space": (*WIDE, {"solver": "row-space"}),
    "coordinate-descent": (X, y, {"l1_ratio": 0.5}),
    "split-lbfgs": (X, y, {"l1_ratio": 0.5, "solver": "split-lbfgs"}),
    "iis": (X / 8, y, {"solver": "iis", "tol": 1e-2}),
    "joint": (X, y, {"feature_function": blocks}),
}


@pytest.mark.parametrize(("X", "y", "options"), CASES.values(), ids=CASES)
def test_callbacks_get_y_and_an_estimator_that_predicts(X, y, options):
    recorder = Recorder()
    fit = MaxEntClassifier(**options).set_callbacks(recorder).fit(X, y)
    assert recorder.y is y
    assert len(recorder.losses) == fit.n_iter_
    p = fit.predict_proba(X)
    last = -np.log(p[np.arange(len(y)), y]).mean()
    # The last step called back is the last one taken, but for one that the proof makes exact.
    assert recorder.losses[-1] == pytest.approx(last, rel=1e-9)
    np.testing.assert_array_equal(recorder.fitted.predict_proba(X), p)
    plain = MaxEntClassifier(**options).fit(X, y)
    np.testing.assert_array_equal(plain.coef_, fit.coef_)  # callbacks change nothing


def test_a_scoring_monitor_logs_every_step():
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    fit = MaxEntClassifier().set_callbacks(monitor).fit(X, y)
    data = monitor.get_logs().data
    steps = [row for row in data if row["task_name"] == "iteration"]
    assert len(steps) == fit.n_iter_
    assert all(np.isfinite(row["neg_log_loss"]) for row in steps)
    assert steps[-1]["accuracy"] == fit.score(X, y)


@pytest.mark.filterwarnings("error")
def test_a_callback_that_returns_true_stops_the_fit_without_a_warning():
    recorder = Recorder(stop_after=2)
    fit = MaxEntClassifier(tol=1e-12).set_callbacks(recorder).fit(X, y)
    assert fit.n_iter_ == 2
    assert not fit.converged_


def test_max_iter_is_blamed_only_where_it_was_reached(monkeypatch):
    with pytest.warns(ConvergenceWarning, match=r"stopped after 2 steps.* Increase max_iter, or"):
        MaxEntClassifier(max_iter=2).fit(*load_digits(return_X_y=True))
    monkeypatch.setattr(Objective, "gap", lambda *args: np.inf)  # a proof that is never found
    for options in ({}, {"l1_ratio": 0.5}, {"l1_ratio": 0.5, "solver": "split-lbfgs"}):
        fit = MaxEntClassifier(**options)
        with pytest.warns(ConvergenceWarning, match="max_iter was not reached") as caught:
            fit.fit(X, y)
        assert fit.n_iter_ < 1000
        assert "Increase max_iter" not in str(caught[0].message)


BAD = {
    "negative": ({0: -1.0}, "class_weight holds -1 for class 0"),
    "NaN": ({1: np.nan}, "class_weight holds nan for class 1"),
    "infinite": ({2: np.inf}, "class_weight holds inf for class 2"),
    "text": ({0: "heavy"}, "class_weight holds 'heavy' for class 0, which is not a number"),
    "None": ({0: None}, "class_weight holds None for class 0"),
    "all zero": ({0: 0, 1: 0, 2: 0}, "class_weight=.* is zero for all classes"),
    "too large": ({0: 1e300}, "class_weight=.* times sample_weight leaves weights"),
}


@pytest.mark.parametrize(("class_weight", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("weight", [None, np.full(150, 2.0)], ids=["alone", "weights"])
@pytest.mark.parametrize("function", [None, blocks], ids=["linear", "joint"])
def test_a_bad_class_weight_is_reported_as_such(class_weight, message, weight, function):
    fit = MaxEntClassifier(class_weight=class_weight, feature_function=function)
    with pytest.raises(ValueError, match=message) as raised:
        fit.fit(X, y, sample_weight=weight)
    assert re.match("class_weight", str(raised.value))
    assert not hasattr(fit, "coef_")


@pytest.mark.parametrize("solver", ["auto", "newton-cholesky", "block-lbfgs"])
def test_default_fits_are_repeatable(solver):
    rows, classes = load_digits(return_X_y=True)
    rows, classes = rows[:300, ::2], classes[:300]
    one, two = (MaxEntClassifier(solver=solver, tol=1e-3).fit(rows, classes) for _ in range(2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    seeded = MaxEntClassifier(solver=solver, tol=1e-3, random_state=0).fit(rows, classes)
    np.testing.assert_array_equal(seeded.coef_, one.coef_)
