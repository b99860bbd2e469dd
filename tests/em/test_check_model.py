"""`check_model` passes the models of the package, and finds what is wrong in others."""

import contextlib

import numpy as np
import pytest

from skem.em import (
    EMModelBase,
    Geometry,
    GeometryError,
    RowBlocks,
    Rows,
    check_model,
    fit_from_starts,
)
from skem.mixture.bernoulli._model import BernoulliModel, BernoulliParams
from skem.mixture.gaussian.model._covariances import COVARIANCE_TYPES
from skem.mixture.gaussian.model._model import GaussianModel
from skem.mixture.gaussian.model._params import Priors
from tests.em.toy_models import PLSA, MixtureParams, PLSAParams, UnitNormals, normal_rows

ROWS = Rows(0, normal_rows(60))
AT = MixtureParams(0.4, np.array([-0.3, 1.5]))


def gaussian(covariance_type, priors=None, missing=False):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(30, 3)), rng.normal(2, 1, (30, 3))]
    if missing:
        X[-10:, 1] = np.nan
    model = GaussianModel(
        covariance_type,
        center=np.zeros(3),
        scale=np.ones(3),
        reg=np.full(3, 1e-6),
        priors=priors or Priors(),
        incomplete=missing,
    )
    shape = {"full": (2, 3, 3), "diag": (2, 3), "spherical": (2,)}[model.structure.name]
    covariances = (
        np.broadcast_to(1.3 * np.eye(3), shape) if len(shape) == 3 else np.full(shape, 1.3)
    )
    if model.tied:
        covariances = covariances[:1]
    means = np.array([[0.2, -0.1, 0.3], [1.5, 2.2, 1.8]])
    return model, Rows(0, X), model.params(np.array([0.6, 0.4]), means, covariances.copy())


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("prior", [False, True])
def test_gaussian_mixtures_pass(covariance_type, missing, prior):
    priors = Priors(concentration=2.0, mean=np.zeros(3), mean_precision=1.5) if prior else None
    check_model(*gaussian(covariance_type, priors, missing))


def test_others_pass():
    rng = np.random.default_rng(0)
    X = (rng.random((40, 4)) < 0.4).astype(float)
    params = BernoulliParams(np.array([0.7, 0.3]), rng.uniform(0.2, 0.8, (2, 4)))
    check_model(BernoulliModel(4), Rows(0, X, rng.uniform(0.5, 2, 40)), params)
    check_model(UnitNormals(), ROWS, AT)


class Wrong(UnitNormals):
    """With a geometry that a test spoils."""

    spoil = staticmethod(lambda gradient: gradient)
    sign = 1.0

    def geometry(self, statistics, params, new):
        share = statistics.counts / statistics.weight
        gradient = np.array(
            [share[0] - params.weight, *share * (new.means - params.means)], dtype=float
        )
        information = np.array([params.weight * (1 - params.weight), *share])
        return Geometry(self.spoil(gradient), lambda q: self.sign * q / information)


def test_a_right_geometry_passes():
    check_model(Wrong(), ROWS, AT)


@pytest.mark.parametrize("spoil", [np.negative, np.zeros_like, lambda g: 2 * g, lambda g: g[::-1]])
def test_wrong_gradients_are_found(spoil):
    model = Wrong()
    model.spoil = spoil
    with pytest.raises(AssertionError, match="gradient"):
        check_model(model, ROWS, AT)


def test_an_information_that_is_not_positive_is_found():
    model = Wrong()
    model.sign = -1.0
    with pytest.raises(AssertionError, match="positive"):
        check_model(model, ROWS, AT)


class Without(EMModelBase):
    """What a model may get wrong beside that."""

    def __init__(self, wrong):
        self.wrong, self.right = wrong, UnitNormals()

    def expected_statistics(self, params, rows):
        if self.wrong == "weights":
            rows = Rows(rows.start, rows.X)
        found = self.right.expected_statistics(params, rows)
        if self.wrong == "sums":
            found = found._replace(sums=found.sums / len(rows.X))
        return found

    def maximize(self, statistics, params):
        new = self.right.maximize(statistics, params)
        if self.wrong == "in place":
            params.means[:] = new.means
        return new._replace(means=new.means - 3) if self.wrong == "M step" else new

    def to_vector(self, params):
        return self.right.to_vector(params)

    def from_vector(self, vector, params):
        return self.right.from_vector(vector[::-1] if self.wrong == "inverse" else vector, params)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("weights", "twice the weights"),
        ("sums", "sums is off"),
        ("in place", "in place"),
        ("M step", "lowered the bound"),
        ("inverse", "undo"),
    ],
)
def test_other_faults_are_found(wrong, said):
    at = MixtureParams(AT.weight, AT.means.copy())
    with pytest.raises(AssertionError, match=said):
        check_model(Without(wrong), ROWS, at)


def test_local_parameters_come_back_in_order():
    rng = np.random.default_rng(0)
    X = rng.poisson(2.0, (12, 5)).astype(float)
    params = PLSAParams(rng.dirichlet(np.ones(5), 2), rng.dirichlet(np.ones(2), 12))
    with pytest.raises(AssertionError, match="twice the weights"):  # it has none
        check_model(PLSA(), Rows(0, X), params)


@pytest.mark.parametrize("acceleration", ["quasi-newton", "squarem", None])
@pytest.mark.parametrize("spoil", [np.negative, np.zeros_like])
def test_a_fit_with_a_wrong_gradient_is_not_certified(spoil, acceleration):
    """It says at the first map already that there is no step left to take."""
    model = Wrong()
    model.spoil = spoil
    right = fit_from_starts(Wrong(), RowBlocks(ROWS.X), [AT], tol=1e-10, max_iter=10_000)
    with contextlib.suppress(GeometryError):
        state = fit_from_starts(
            model, RowBlocks(ROWS.X), [AT], tol=1e-10, max_iter=10_000, acceleration=acceleration
        )
        assert not state.converged or state.bound == pytest.approx(right.bound, abs=1e-9)


def test_the_error_says_how_to_learn_more():
    model = Wrong()
    model.spoil = np.zeros_like
    with pytest.raises(GeometryError, match=r"no step to take.*check_model"):
        fit_from_starts(model, RowBlocks(ROWS.X), [AT], tol=1e-10, max_iter=100)


def test_no_fit_is_certified_at_its_first_map():
    start = fit_from_starts(UnitNormals(), RowBlocks(ROWS.X), [AT], tol=0, max_iter=3000).params
    for model in (UnitNormals(), Wrong()):
        assert not fit_from_starts(model, RowBlocks(ROWS.X), [start], tol=1, max_iter=1).converged
