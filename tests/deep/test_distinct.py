"""Equal rows are put together, in an order that does not depend on how they came."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skem.deep.training import _distinct
from skem.deep.training._distinct import distinct


def by_hand(X, weight, labels):
    """Weight of each different row."""
    totals = {}
    for i, row in enumerate(X):
        w = 1.0 if weight is None else weight[i]
        if w > 0:
            key = (*row.tolist(), None if labels is None else int(labels[i]))
            totals[key] = totals.get(key, 0.0) + w
    return totals


def assert_as_by_hand(X, weight, labels):
    rows, w = distinct(X, weight, labels)
    chosen = None if labels is None else labels[rows]
    ones = np.ones(len(rows)) if w is None else w
    kept = by_hand(X[rows], ones, chosen)
    expected = by_hand(X, weight, labels)
    assert len(rows) == len(expected)
    assert kept == pytest.approx(expected)


@st.composite
def tables(draw):
    shape = (draw(st.integers(1, 30)), draw(st.integers(1, 4)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    few = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 1e-30, 1e30])
    X = draw(arrays(dtype, shape, elements=few.map(lambda v: float(dtype(v)))))
    labels = draw(st.none() | arrays(np.int64, shape[0], elements=st.integers(0, 2)))
    weight = draw(st.none() | arrays(np.float64, shape[0], elements=st.integers(0, 3)))
    if weight is not None and not weight.any():
        weight[0] = 1.0
    return X, weight, labels


@given(tables())
def test_rows_and_weights_are_those_of_a_search_through_all(table):
    assert_as_by_hand(*table)


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, random):
    X, weight, labels = table
    order = np.array(random.sample(range(len(X)), len(X)))
    mixed = [None if v is None else v[order] for v in (weight, labels)]
    rows, w = distinct(X, weight, labels)
    other, w_other = distinct(X[order], *mixed)
    np.testing.assert_array_equal(X[rows], X[order][other])
    if labels is not None:
        np.testing.assert_array_equal(labels[rows], mixed[1][other])
    if w is None:
        assert w_other is None
    else:
        np.testing.assert_array_equal(w, w_other)


@given(tables())
def test_rows_whose_keys_collide_stay_apart(table):
    X, weight, labels = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_distinct, "row_keys", lambda X, labels: np.zeros(len(X), dtype=np.uint64))
        assert_as_by_hand(X, weight, labels)
        rows, _ = distinct(X, weight, labels)
        if labels is None:
            turned, _ = distinct(X[::-1], None if weight is None else weight[::-1], None)
            np.testing.assert_array_equal(X[rows], X[::-1][turned])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_have_equal_keys_wherever_they_stand(dtype):
    """A product of floats with a matrix rounds by the place of the row in its block."""
    rng = np.random.default_rng(0)
    for d in range(1, 70):
        X = np.tile(rng.standard_normal(d).astype(dtype), (67, 1))
        assert len(np.unique(_distinct.row_keys(X, None))) == 1
        assert distinct(X, None, None)[1].tolist() == [67]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [(0, 1), (0, 1, 2, 4), (0.25, 0.5, 0.75)])
def test_keys_of_rows_of_few_values_do_not_collide(dtype, values):
    X = np.array(list(itertools.product(values, repeat=6)), dtype=dtype)
    assert len(np.unique(_distinct.row_keys(X, None))) == len(X)
    labels = np.repeat([0, 1, 2], len(X))
    assert len(np.unique(_distinct.row_keys(np.tile(X, (3, 1)), labels))) == 3 * len(X)


def test_minus_zero_is_zero():
    rows, weight = distinct(np.array([[0.0], [-0.0]]), None, None)
    assert len(rows) == 1
    assert weight.tolist() == [2.0]


def test_without_weights_and_equal_rows_there_are_no_weights():
    rows, weight = distinct(np.arange(10.0)[:, None], None, None)
    assert sorted(rows) == list(range(10))
    assert weight is None


def test_rows_of_zero_weight_are_left_out():
    rows, weight = distinct(np.array([[1.0], [2.0], [1.0]]), np.array([0.5, 0.0, 1.5]), None)
    assert rows.tolist() == [0]
    assert weight.tolist() == [2.0]
