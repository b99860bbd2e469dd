"""Constraints that cannot hold, or under which no largest entropy is attained."""

import numpy as np
import pytest

from skem import MaxEntDistribution

INF = np.inf
LINE, HALF, UNIT = (-INF, INF), (0, INF), (0, 1)
DIE = [1, 2, 3, 4, 5, 6]

# features, support, arguments of fit_moments, what the message says
IMPOSSIBLE = {
    "mean alone on the line": (1, LINE, {"moments": [1]}, r"moments\[0\].*no bound.*E\[x\^2\]"),
    "odd top power": (3, LINE, {"moments": [0, 1, 0.5]}, r"moments\[2\].*odd degree.*x\^4"),
    "no variance": (2, LINE, {"moments": [1, 1]}, r"moments\[1\].*larger than E\[x\]\^2 = 1"),
    "a square beyond all numbers": (2, LINE, {"moments": [1e200, 1e300]}, "larger than.*= inf"),
    "Hankel, line": (4, LINE, {"moments": [0, 1, 0.5, 1.2]}, r"moments\[3\].*larger than 1\.25"),
    "Junk's line": (4, LINE, {"moments": [0, 1, 0, 3.5]}, r"moments\[3\].*is 3\. .*out"),
    "near Junk's line": (4, LINE, {"moments": [0, 1, 1e-4, 4]}, "no maximum is attained"),
    "variance above that of Exp": (2, HALF, {"moments": [1, 3]}, r"moments\[1\].*expectation is 2"),
    "below the half line": (1, HALF, {"moments": [-1]}, r"moments\[0\].*above 0"),
    "above its end": (1, (-INF, 3), {"moments": [4]}, r"moments\[0\].*below 3"),
    "Hankel, half line": (2, HALF, {"moments": [1, 0.9]}, r"moments\[1\].*larger than 1\."),
    "Hankel, odd": (3, HALF, {"moments": [1, 2, 3.9]}, r"moments\[2\].*larger than 4\."),
    "mean off the interval": (1, UNIT, {"moments": [1.2]}, r"moments\[0\].*between 0 and 1\."),
    "mean at its end": (1, UNIT, {"moments": [1.0]}, r"moments\[0\].*between 0 and 1\."),
    "Hankel, interval": (2, UNIT, {"moments": [0.3, 0.5]}, r"moments\[1\].*between 0\.09 and 0\.3"),
    "off the hull": (1, DIE, {"moments": [6.2]}, r"moments\[0\].*between 1 and 6"),
    "off the hull together": (2, [1, 2, 3], {"moments": [2, 5.5]}, r"\[1\].*between 4 and 5\."),
    "a dependent function": (2, [1, 2], {"moments": [1.5, 2.6]}, r"\[1\].*between 2\.5 and 2\.5"),
    "bounds off the hull": (1, DIE, {"lower": [6.5]}, r"lower\[0\].*>= 6\.5.*between 1 and 6"),
    "functions off the hull": (
        [np.sin, np.cos], (0, 3), {"moments": [0.9, 0.9]}, r"E\[cos\] = 0\.9 cannot.*0\.4358",
    ),
    "not normalised": ([np.sin], LINE, {"moments": [0.2]}, r"E\[sin\] = 0\.2.*normaliser.*base"),
    "only a lower bound": (2, HALF, {"moments": [1, np.nan], "lower": [-INF, 3]}, r"lower\[1\]"),
    "bounds on the line": (1, LINE, {"lower": [0], "upper": [1]}, "lower and upper.*normaliser"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_error_says_which_constraint_and_why(case):
    features, support, constraints, message = IMPOSSIBLE[case]
    estimator = MaxEntDistribution(features, support=support)
    with pytest.raises(ValueError, match=message):
        estimator.fit_moments(**constraints)
    assert set(vars(estimator)) == set(estimator.get_params())


@pytest.mark.parametrize(
    ("features", "support", "constraints", "multipliers"),
    [
        (4, LINE, [0, 1, 0, 3], [0, 0.5, 0, 0]),
        (3, LINE, [0, 1, 0], [0, 0.5, 0]),
        (2, HALF, [1, 2], [1, 0]),
        (3, HALF, [2, 8, 48], [0.5, 0, 0]),
    ],
)
def test_a_constraint_that_the_others_imply_is_no_news(features, support, constraints, multipliers):
    fitted = MaxEntDistribution(features, support=support).fit_moments(constraints)
    np.testing.assert_allclose(fitted.multipliers_, multipliers, atol=1e-12)


@pytest.mark.parametrize(
    ("features", "support", "constraints"),
    [
        (4, LINE, [0, 1, 0, 1.5]),
        (4, LINE, [0, 1, 0.5, 3.5]),
        (4, LINE, [0, 1, 0.1, 4]),  # a speck of mass at about 50 standard deviations
        (6, LINE, [0, 1, 0, 2.5, 0, 9]),
        (2, HALF, [1, 1.99]),
        (3, HALF, [1, 1.5, 2.75]),
        (8, UNIT, [1 / 2, 0.3, 0.2, 1 / 7, 3 / 28, 1 / 12, 1 / 15, 3 / 55]),  # those of Beta(2, 2)
    ],
)
def test_powers_that_have_a_maximum(features, support, constraints):
    fitted = MaxEntDistribution(features, support=support).fit_moments(constraints)
    np.testing.assert_allclose(fitted.moments_, constraints, rtol=1e-9, atol=1e-9)
    assert fitted.converged_


def test_constraints_on_a_face_have_their_limit():
    die = MaxEntDistribution(1, support=DIE).fit_moments([6])
    assert die.boundary_
    np.testing.assert_array_equal(die.probabilities_, [0, 0, 0, 0, 0, 1])
    assert die.entropy_ == 0
    np.testing.assert_array_equal(die.score_samples([[6], [5]]), [0, -INF])


def test_a_face_with_several_points():
    """No mass but on the first row of a table: the rest of the constraints decide there."""
    table = [[i, j] for i in range(3) for j in range(3)]
    fitted = MaxEntDistribution(1, support=table).fit_moments([0, 1.5])
    line = MaxEntDistribution(1, support=[0, 1, 2]).fit_moments([1.5])
    assert fitted.boundary_
    assert not line.boundary_
    np.testing.assert_allclose(fitted.probabilities_[:3], line.probabilities_, rtol=1e-10)
    np.testing.assert_array_equal(fitted.probabilities_[3:], 0)


def test_constraints_near_a_face_are_inside():
    die = MaxEntDistribution(1, support=DIE).fit_moments([6 - 1e-7])
    assert not die.boundary_
    assert die.moments_[0] == pytest.approx(6 - 1e-7, abs=1e-13)


def test_near_the_end_of_an_interval():
    fitted = MaxEntDistribution(1, support=UNIT).fit_moments([1e-5])
    assert fitted.multipliers_[0] == pytest.approx(1e5, rel=1e-9)
