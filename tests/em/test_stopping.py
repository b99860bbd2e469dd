"""The estimated distance to the limit, on sequences whose limit is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skem.em import GapEstimator


def feed(bounds, plain=True):
    estimator = GapEstimator()
    return [estimator.update(b, plain=plain, rounding=0.0) for b in bounds]


@given(rate=st.floats(0.05, 0.999), gap=st.floats(1e-3, 1e3), limit=st.floats(-1e3, 1e3))
def test_a_geometric_sequence_is_seen_through(rate, gap, limit):
    bounds = [limit - gap * rate**t for t in range(8)]
    estimates = feed(bounds)
    assert all(math.isinf(estimate) for estimate in estimates[:4])  # three rates are needed
    for bound, estimate in list(zip(bounds, estimates, strict=True))[4:]:
        assert estimate == pytest.approx(limit - bound, rel=1e-4, abs=1e-7 * abs(limit))


def test_gains_that_grow_have_no_limit_in_sight():
    assert all(math.isinf(g) for g in feed([0.0, 0.1, 0.3, 0.7]))


def test_standing_still_is_having_arrived():
    assert feed([-1.0, -0.5, -0.5])[-1] == 0.0


def test_after_an_extrapolation_one_gain_is_not_enough():
    """Without a rate there is no estimate; with one from before, the slow rate counts."""
    fresh = GapEstimator()
    fresh.update(0.0, plain=True, rounding=0.0)
    fresh.update(1.0, plain=False, rounding=0.0)
    assert math.isinf(fresh.update(1.1, plain=True, rounding=0.0))

    slow = GapEstimator()
    for bound in (0.0, 1.0, 1.9, 2.71, 3.439):  # rate 0.9
        slow.update(bound, plain=True, rounding=0.0)
    slow.update(9.0, plain=False, rounding=0.0)
    assert slow.update(9.1, plain=True, rounding=0.0) == pytest.approx(0.9, rel=1e-6)


def test_two_rates_the_slow_one_counts():
    """A fast and a slow direction: once the slow one dominates, the estimate is right."""
    bounds = [-(0.2**t) - 0.01 * 0.95**t for t in range(14)]
    estimates = feed(bounds)
    assert estimates[-1] == pytest.approx(-bounds[-1], rel=0.05)


def test_a_long_step_has_no_length():
    """Gradient x step is below zero for some long steps: that says nothing of the limit."""
    estimator = GapEstimator()
    for bound, size in ((-9.0, 3.0), (-7.0, 1.0), (-6.0, 0.3), (-5.9, 0.1)):
        estimator.update(bound, plain=True, rounding=1e-12, size=size)
    assert math.isinf(estimator.update(-5.8, plain=True, rounding=1e-12, size=-0.003))
    assert math.isinf(GapEstimator().update(-1.0, plain=True, rounding=1e-12, size=-0.003))
    # nor has the next one a rate against it
    rates = [estimator.update(b, plain=True, rounding=1e-12, size=0.002) for b in (-5.2, -4.0)]
    assert min(rates) > 0.1


@pytest.mark.parametrize("size", [0.0, 1e-17, -1e-17])
def test_a_step_of_rounding_is_none(size):
    assert GapEstimator().update(-1.0, plain=True, rounding=1e-12, size=size) < 1e-16
