"""The estimated distance to the limit, on sequences whose limit is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skem.em import GapEstimator


def feed(bounds, plain=True):
    estimator = GapEstimator()
    return [estimator.update(b, plain=plain, rounding=0.0) for b in bounds]


SHORT = 9
"""Maps before there are windows, where the rates alone count."""


@given(rate=st.floats(0.05, 0.999), gap=st.floats(1e-3, 1e3), limit=st.floats(-1e3, 1e3))
def test_a_geometric_sequence_is_seen_through(rate, gap, limit):
    bounds = [limit - gap * rate**t for t in range(SHORT)]
    estimates = feed(bounds)
    assert all(math.isinf(estimate) for estimate in estimates[:4])  # three rates are needed
    for bound, estimate in list(zip(bounds, estimates, strict=True))[4:]:
        assert estimate == pytest.approx(limit - bound, rel=1e-4, abs=1e-7 * abs(limit))


@given(rate=st.floats(0.6, 0.999), length=st.integers(SHORT + 1, 300))
def test_of_a_long_geometric_sequence_it_is_a_safe_estimate(rate, length):
    """Not too little after n maps, and once the gap is small it was true some maps ago."""
    bounds = [-(rate**t) for t in range(length)]
    estimate = feed(bounds)[-1]
    assert estimate >= -bounds[-1] * 0.9999
    if bounds[-1] > -0.01:
        assert estimate <= 2 * rate ** (0.85 * length - 2)


@given(power=st.floats(0.1, 3), plain=st.booleans(), length=st.integers(30, 400))
def test_gaps_that_fall_as_a_power_are_seen_through(power, plain, length):
    """Slower than any geometric sequence: the rates creep towards one."""
    bounds = [-((t + 1.0) ** -power) for t in range(length)]
    assert feed(bounds, plain)[-1] == pytest.approx(-bounds[-1], rel=0.2)


@given(seed=st.integers(0, 2**32 - 1), plain=st.booleans())
def test_many_slow_directions_one_after_another(seed, plain):
    """As in topic models: the slowest is seen long before it is alone."""
    rng = np.random.default_rng(seed)
    rates, sizes = 1 - 10 ** rng.uniform(-2.5, 0, 30), rng.uniform(0.2, 1, 30)
    gaps = [float(sizes @ rates**t) for t in range(400)]
    estimates = feed([-gap for gap in gaps], plain)
    for gap, estimate in list(zip(gaps, estimates, strict=True))[50:]:
        assert (
            gap / 5 <= estimate
        )  # over 400 seeds the least is 0.36 of the gap, the median twice it


def test_a_run_that_begins_near_its_limit_knows_it():
    """As after a warm start: the slow direction alone is left."""
    gaps = [0.98**t for t in range(40)]
    estimates = feed([-gap for gap in gaps], plain=False)
    assert estimates[-1] == pytest.approx(gaps[-1], rel=0.05)


@given(scale=st.sampled_from([2.0**-40, 2.0**40]), shift=st.integers(-3, 3))
def test_the_unit_of_the_bounds_is_that_of_the_estimate(scale, shift):
    bounds = [shift - 0.5**t - 0.1 * 0.97**t for t in range(60)]
    there = feed([scale * bound for bound in bounds])
    assert there == [scale * gap for gap in feed(bounds)]


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


def test_extrapolated_points_have_an_estimate_too():
    """A momentum extrapolates every map, so no two gains of plain maps ever follow each other."""
    gaps = [0.8**t for t in range(30)]
    estimates = feed([-gap for gap in gaps], plain=False)
    assert all(math.isinf(estimate) for estimate in estimates[: SHORT - 1])
    assert gaps[-1] <= estimates[-1] <= 3 * gaps[-1]


def test_two_rates_the_slow_one_counts():
    """A fast and a slow direction: once the slow one dominates, the estimate is right."""
    bounds = [-(0.2**t) - 0.01 * 0.95**t for t in range(14)]
    estimates = feed(bounds)
    assert estimates[-1] == pytest.approx(-bounds[-1], rel=0.1)


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
