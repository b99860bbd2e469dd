"""Pipelines and searches do what their steps do one by one, and pass metadata on."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from tests.common.case import assert_alike, take
from tests.common.cases import each, one_of_each


@one_of_each
def test_a_pipeline_equals_its_steps(case):
    step = clone(case.first_step)
    rows = step.fit_transform(case.X)
    direct = case.new().fit(rows, case.y)
    pipeline = make_pipeline(clone(case.first_step), case.new()).fit(case.X, case.y)
    expected = case.describe(direct, rows)
    assert_alike(case.describe(pipeline[-1], rows), expected)
    for name in case.outputs:
        if hasattr(Pipeline, name):
            assert_alike(getattr(pipeline, name)(case.X), expected[name], name)
    for name in ("predict", "transform"):
        both = f"fit_{name}"
        if hasattr(direct, both):
            assert_alike(getattr(pipeline, both)(case.X, case.y), expected[name], both)
    assert pipeline.score(case.X, case.y) == direct.score(rows, case.y)


@each(lambda case: case.grid and not case.variant)
def test_a_grid_search_needs_no_scorer(case):
    search = GridSearchCV(case.new(), case.grid, cv=2, error_score="raise").fit(case.X, case.y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.score(case.X, case.y) == search.score(case.X, case.y)


# ---------------------------------------------------------------------- metadata routing
weighted = each(lambda case: case.weights and not case.variant)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def first_step(case):
    """A first step that wants no weights."""
    step = clone(case.first_step)
    has_request = hasattr(step, "set_fit_request")
    return step.set_fit_request(sample_weight=False) if has_request else step


def check_routing(case, method):
    metadata = {"sample_weight": np.linspace(0, 2, case.n_rows)}
    if case.labels is not None:
        metadata["labels"] = case.labels
    requested = case.new().set_fit_request(**dict.fromkeys(metadata, True))
    pipeline = make_pipeline(first_step(case), requested)
    getattr(pipeline, method)(case.X, case.y, **metadata)
    rows = first_step(case).fit_transform(case.X)
    direct = case.describe(case.fit(rows, **metadata), rows)
    assert_alike(case.describe(pipeline[-1], rows), direct)
    name = case.outputs[0]
    assert not np.allclose(getattr(case.fit(rows), name)(rows), direct[name])


@pytest.mark.usefixtures("routing")
@weighted
def test_weights_and_labels_are_routed_through_a_pipeline(case):
    check_routing(case, "fit")


@pytest.mark.usefixtures("routing")
@each(lambda case: case.weights and case.n_out and not case.variant)
def test_fit_transform_of_a_pipeline_routes_weights_and_labels(case):
    check_routing(case, "fit_transform")


@pytest.mark.usefixtures("routing")
@each(lambda case: case.weights and case.grid and not case.variant)
def test_weights_are_routed_through_a_grid_search_to_fit_and_score(case):
    X, y = case.X, case.y
    weight = np.linspace(0.1, 2, case.n_rows)
    requested = case.new().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    pipeline = make_pipeline(first_step(case), requested)
    grid = {f"{pipeline.steps[-1][0]}__{name}": values for name, values in case.grid.items()}
    halves = [np.arange(0, case.n_rows, 2), np.arange(1, case.n_rows, 2)]
    folds = [halves, halves[::-1]]
    search = GridSearchCV(pipeline, grid, cv=folds, error_score="raise")
    search.fit(X, y, sample_weight=weight)
    (name, values) = next(iter(case.grid.items()))
    for i, value in enumerate(values):
        scores = []
        for train, test in folds:
            step = first_step(case).fit(take(X, train))
            fitted = case.new(**{name: value})
            fitted.fit(step.transform(take(X, train)), take(y, train), sample_weight=weight[train])
            rows = step.transform(take(X, test))
            scores.append(fitted.score(rows, take(y, test), sample_weight=weight[test]))
        found = search.cv_results_["mean_test_score"][i]
        assert found == pytest.approx(np.mean(scores), rel=1e-12)


@pytest.mark.usefixtures("routing")
@weighted
def test_metadata_that_nobody_requested_is_refused(case):
    weight = np.ones(case.n_rows)
    for meta in (make_pipeline(first_step(case), case.new()), GridSearchCV(case.new(), {})):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            meta.fit(case.X, case.y, sample_weight=weight)
