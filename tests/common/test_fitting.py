"""A fit is that of its parameters, its seed, and its rows and weights in whichever order."""

import copy

import numpy as np
import torch

from tests.common.case import assert_alike, take
from tests.common.cases import each, every_case


def global_states():
    """The global random states of NumPy and torch."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return [name, keys.copy(), *rest, torch.get_rng_state().numpy()]


def alike(a, b):
    try:
        assert_alike(a, b)
    except AssertionError:
        return False
    return True


# ---------------------------------------------------------------------- what it leaves alone
@every_case
def test_a_fit_changes_neither_parameters_nor_data(case):
    X, y = copy.deepcopy(case.X), copy.deepcopy(case.y)
    weight = {"sample_weight": np.linspace(0.5, 2, case.n_rows)} if case.weights else {}
    before = copy.deepcopy([X, y, weight])
    fitted = case.new().fit(X, y, **weight)
    case.describe(fitted, X)
    assert fitted.get_params() == case.estimator.get_params()
    assert_alike(before, [X, y, weight])


@every_case
def test_a_fit_is_that_of_its_seed_and_leaves_global_random_states_alone(case):
    assert case.fitted  # before the global states are set
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = global_states()
    again = case.fit()
    assert_alike(case.describe(again), case.expected, "second fit:")
    assert_alike(case.describe(again.fit(case.X, case.y)), case.expected, "fitted twice:")
    for way in case.goes_on:
        case.train_on(again, way)
    assert_alike(global_states(), before)


@each(lambda case: case.draw is not None)
def test_without_a_seed_only_fit_and_draws_use_the_global_random_state_of_numpy(case):
    fitted = case.new(random_state=None).fit(case.X, case.y)
    before = global_states()
    found = {name: getattr(fitted, name)(case.X) for name in case.outputs}
    for name in case.outputs:
        assert_alike(getattr(fitted, name)(case.X), found[name], name)
    assert_alike(global_states(), before)
    case.draw(fitted)
    *of_numpy, of_torch = global_states()
    assert not alike(of_numpy, before[:-1])
    assert_alike(of_torch, before[-1])


# ---------------------------------------------------------------------- random states
@each(lambda case: case.seeded)
def test_another_seed_is_another_fit(case):
    other = case.new(random_state=1).fit(case.X, case.y)
    name = case.outputs[0]
    assert not alike(getattr(other, name)(case.X), case.expected[name])


@each(lambda case: case.seeded)
def test_a_random_state_object_goes_on_from_call_to_call(case):
    first, second = (case.new() for _ in range(2))
    state = np.random.RandomState(0)
    for estimator in (first, second):
        estimator.random_state = state  # a clone would have a copy of it
        estimator.fit(case.X, case.y)
    name = case.outputs[0]
    anew = case.new(random_state=np.random.RandomState(0)).fit(case.X, case.y)
    assert_alike(getattr(first, name)(case.X), getattr(anew, name)(case.X))
    assert not alike(getattr(second, name)(case.X), getattr(first, name)(case.X))
    if case.draw:
        assert not alike(case.draw(first), case.draw(first))


# ---------------------------------------------------------------------- rows
@each(lambda case: case.y is None)
def test_y_is_ignored(case):
    y = np.arange(case.n_rows) % 3
    other = case.new().fit(case.X, y)
    assert_alike(case.describe(other), case.expected)
    assert other.score(case.X, y) == case.fitted.score(case.X)
    if case.n_out:
        assert_alike(case.new().fit_transform(case.X, y), case.expected["transform"])


def tolerance(case):
    """How far a fit may be from one whose sums have another order."""
    return {"rtol": case.rounding, "atol": case.rounding} if case.rounding else {}


@each(lambda case: case.rounding is not None)
def test_the_order_of_rows_does_not_matter(case):
    order = np.random.default_rng(0).permutation(case.n_rows)
    X, y = take(case.X, order), take(case.y, order)
    moved = case.new().fit(X, y)
    assert_alike(case.describe(moved), case.expected, **tolerance(case))
    weight = np.linspace(0.5, 2, case.n_rows)
    weighted, moved = case.fit(sample_weight=weight), case.new()
    moved.fit(X, y, sample_weight=weight[order])
    assert_alike(case.describe(moved), case.describe(weighted), **tolerance(case))


@each(lambda case: case.weights)
def test_a_weight_is_a_row_so_many_times(case):
    times = np.random.default_rng(1).integers(0, 4, case.n_rows)
    rows = np.repeat(np.arange(case.n_rows), times)
    weighted = case.fit(sample_weight=times)
    repeated = case.new().fit(take(case.X, rows), take(case.y, rows))
    assert_alike(case.describe(repeated), case.describe(weighted), **tolerance(case))


@every_case
def test_what_is_computed_for_a_row_does_not_depend_on_the_others(case):
    fitted = case.fitted
    for name in case.outputs:
        alone = [getattr(fitted, name)(take(case.X, [i])) for i in range(12)]
        together = [case.expected[name][i : i + 1] for i in range(12)]
        assert_alike(alone, together, name, rtol=1e-4, atol=1e-5)
