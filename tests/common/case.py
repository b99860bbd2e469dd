"""What a case of the common tests is, and how two fits of it are compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """An estimator with rows that suit it, and what holds for it."""

    name: str
    estimator: BaseEstimator  # small, fast, and with a seed
    X: Any
    y: Any = None
    kind: str = "numbers"  # in a table; or "texts", or lists of "words" or "ids"

    # What describes a fit: methods that return something for each row, fitted attributes, and a
    # function that draws from the fit.
    outputs: tuple[str, ...]
    learned: tuple[str, ...] = ()
    draw: Callable | None = None

    # Whether another case stands for this one in what does not depend on its parameters: how rows
    # are read, outputs named and metadata passed on.
    variant: bool = False

    # Which properties hold.
    goes_on: tuple[str, ...] = ()  # how training goes on: "partial_fit", "warm_start"
    weights: bool = False  # fit and score take sample_weight
    labels: Any = None  # of the rows; they are routed to fit along with the weights
    n_out: int = 0  # columns that transform returns; 0 for what is no transformer
    seeded: bool = False  # another seed is another fit
    float32: float | None = None  # how near scores of float32 rows are, if all stays float32
    doubles: tuple[str, ...] = ()  # outputs that are float64 nevertheless
    sparse: float | None = None  # how near the fit to sparse rows is, if these are accepted
    # How near the fit to rows in another order is, and to repeated rows in place of weights; None
    # where training goes by the order of the rows.
    rounding: float | None = 1e-7

    # Other estimators that it works with.
    first_step: BaseEstimator = field(default_factory=StandardScaler)  # of a pipeline
    grid: dict | None = None  # of a search

    # scikit-learn's checks: the estimator that is checked (None if that of another case is enough),
    # an estimator of scikit-learn's with the same checks but for those in `not_checked`, checks
    # that are run besides, and checks that may fail.
    checked: BaseEstimator | None = None
    peer: BaseEstimator | None = None
    not_checked: frozenset[str] = frozenset()
    more_checks: tuple[str, ...] = ()
    may_fail: frozenset[str] = frozenset()

    warns: tuple[str, ...] = ()  # filters for the warnings of so small a fit

    def new(self, **params):
        """An estimator that is not fitted."""
        return clone(self.estimator).set_params(**params)

    def fit(self, X=None, **given):
        """A fit to the case's rows, or to others with the same y."""
        return self.new().fit(self.X if X is None else X, self.y, **given)

    @cached_property
    def fitted(self):
        """The fit that others are compared with. Only copies of it may be changed."""
        return self.fit()

    @cached_property
    def expected(self):
        """What describes that fit."""
        return self.describe(self.fitted)

    def describe(self, fitted, X=None):
        """What a fit returns for rows, has learned and draws."""
        X = self.X if X is None else X
        found = {name: getattr(fitted, name)(X) for name in self.outputs}
        found |= {name: getattr(fitted, name) for name in self.learned}
        return found | ({"drawn": self.draw(fitted)} if self.draw else {})

    def train_on(self, fitted, way):
        """Let training go on."""
        if way == "partial_fit":
            return fitted.partial_fit(self.X)
        return fitted.set_params(warm_start=True).fit(self.X, self.y)

    @property
    def n_rows(self):
        return len(self.X)

    @property
    def table(self):
        """Whether X is an array of numbers, with a row for each sample."""
        return self.kind == "numbers"


def parameter(case, *more):
    """A case, and whatever else a test takes, with the warnings that are ignored for the case."""
    marks = [pytest.mark.filterwarnings(warning) for warning in case.warns]
    return pytest.param(case, *more, id="-".join([case.name, *more]), marks=marks)


def take(rows, indices):
    """Some rows of an array or a list, if there are any."""
    if rows is None:
        return None
    return rows[indices] if isinstance(rows, np.ndarray) else [rows[i] for i in indices]


def assert_alike(found, expected, where="", **tolerance):
    """Assert that two descriptions are equal, or within a tolerance where they are numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected.keys() - {"dur"}:  # the seconds of an epoch differ between fits
            assert_alike(found[key], expected[key], f"{where} {key}", **tolerance)
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for a, b in zip(found, expected, strict=True):
            assert_alike(a, b, where, **tolerance)
    elif tolerance and np.asarray(expected).dtype.kind == "f":
        np.testing.assert_allclose(found, expected, **tolerance, err_msg=where)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=where)
