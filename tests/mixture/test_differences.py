"""The E step by differences from the means: it stops early and leaves out, and loses nothing."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

from skem.em import Rows
from skem.mixture.gaussian.model import _full_covariances
from skem.mixture.gaussian.model._covariances import structure_of
from skem.mixture.gaussian.model._form import differences_pay, lay_panels, panel_edges
from skem.mixture.gaussian.model._model import GaussianModel


def make_model(covariance_type, d, dtype=np.float64):
    return GaussianModel(
        covariance_type, center=np.zeros(d), scale=np.ones(d), reg=np.zeros(d), dtype=dtype
    )


def make_params(model, k, distance, seed=0, tiny=1.0):
    """Components at that distance from each other, of random covariances."""
    rng = np.random.default_rng(seed)
    d = model.d
    means = rng.standard_normal((k, d)) * distance / np.sqrt(2 * d)
    factors = np.eye(d) + 0.3 * rng.standard_normal((k, d, d)) / np.sqrt(d)
    covariances = factors @ factors.swapaxes(1, 2) * tiny
    if model.structure.name == "diag":
        covariances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    if model.structure.name == "spherical":
        covariances = np.trace(covariances, axis1=1, axis2=2) / d
    weights = rng.dirichlet(np.ones(k))
    params = model.params(weights, means, covariances[:1] if model.tied else covariances)
    X = rng.standard_normal((700, d)) * np.sqrt(tiny) + means[rng.integers(0, k, 700)]
    return params._replace(theta=None, panels=None), X.astype(model.dtype)


def by_the_book(model, params, X, weight, labels):
    """Log-likelihood and moments about the means, one component at a time, nothing left out."""
    k, d = params.means.shape
    dense = np.broadcast_to(model.structure.dense(params.covariances, d), (k, d, d))
    X = X.astype(np.float64)
    log_joint = np.empty((len(X), k))
    for j in range(k):
        factor = np.linalg.inv(np.linalg.cholesky(dense[j]))
        y = (X - params.means[j]) @ factor.T
        log_joint[:, j] = (
            np.log(params.weights[j])
            - d * np.log(2 * np.pi) / 2
            + np.log(np.diagonal(factor)).sum()
            - np.square(y).sum(1) / 2
        )
    if labels is not None:
        hidden = np.arange(k) != labels[:, None]
        log_joint[hidden & (labels >= 0)[:, None]] = -np.inf
    total = logsumexp(log_joint, axis=1)
    r = np.exp(log_joint - total[:, None]) * weight[:, None]
    differences = X[:, None] - params.means
    sums = np.einsum("ik,ika->ka", r, differences)
    squares = np.einsum("ik,ika,ikb->kab", r, differences, differences)
    return weight @ total, r.sum(0), sums, squares


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("distance", [0.5, 4.0, 20.0, 300.0])
@pytest.mark.parametrize(("d", "k"), [(3, 2), (24, 12), (41, 5), (70, 9)])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_nothing_that_counts_is_left_out(covariance_type, d, k, distance, labelled, weighted):
    """To 1e-12 of what is summed, as the plain sums over all rows and components have it."""
    model = make_model(covariance_type, d)
    params, X = make_params(model, k, distance)
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.1, 3.0, len(X)) if weighted else np.ones(len(X))
    labels = np.where(rng.random(len(X)) < 0.2, rng.integers(0, k, len(X)), -1)
    labels = labels if labelled else None
    rows = Rows(0, X, weight if weighted else None, labels)
    found = model.expected_statistics(params, rows)
    log_likelihood, counts, sums, squares = by_the_book(model, params, X, weight, labels)
    if model.structure.name != "full":
        squares = np.diagonal(squares, axis1=1, axis2=2)
    if model.structure.name == "spherical":
        squares = squares.sum(-1)
    if model.tied:
        squares = squares.sum(0, keepdims=True)
    packed = model.structure.pack(squares)
    size = abs(log_likelihood) + weight.sum()
    assert abs(found.log_likelihood - log_likelihood) <= 1e-12 * size
    np.testing.assert_allclose(found.counts, counts, atol=1e-12 * weight.sum(), rtol=0)
    np.testing.assert_allclose(found.sums, sums, atol=1e-11 * np.abs(sums).max() + 1e-10, rtol=0)
    np.testing.assert_allclose(found.squares, packed, atol=1e-12 * np.abs(packed).max(), rtol=0)
    assert found.pairs <= weight.sum() * k * (1 + 1e-12)


def test_a_component_that_no_row_belongs_to_stays_where_it_is():
    model = make_model("full", 30)
    params, X = make_params(model, 3, 10.0)
    means = params.means.copy()
    means[1] += 1e4
    params = model.params(params.weights, means, params.covariances)
    new = model.maximize(model.expected_statistics(params, Rows(0, X)), params)
    assert new.weights[1] == 0
    np.testing.assert_array_equal(new.means[1], means[1])
    np.testing.assert_array_equal(new.covariances[1], params.covariances[1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("distance", [1.0, 15.0, 37.0, 53.0, 200.0])
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_no_subnormal_numbers(covariance_type, features, distance, size, dtype):
    """Responsibilities are exactly zero before their products leave the normal range."""
    model = make_model(covariance_type, 30, dtype)
    model.moments_about_origin = features
    params, X = make_params(model, 6, distance * size, tiny=size**2)
    if features:
        params = model.params(params.weights, params.means, params.covariances)
    for _ in range(3):
        statistics = model.expected_statistics(params, Rows(0, X))
        for values in statistics[2:5]:
            assert not is_subnormal(values).any()
        params = model.maximize(statistics, params)
        for values in params[:6]:
            assert not is_subnormal(values).any()


def is_subnormal(values):
    size = np.abs(np.asarray(values))
    return (size > 0) & (size < np.finfo(size.dtype).tiny)


def test_responsibilities_of_far_components_are_zero():
    from skem._compiled import EXP_CUT, EXP_CUT_32
    from skem.mixture._kernels import normalise

    for dtype, cut in [(np.float64, EXP_CUT), (np.float32, EXP_CUT_32)]:
        L = np.zeros((2, 64), dtype)
        L[1] = cut * np.linspace(0, 2, 64)
        empty = np.empty(0, dtype)
        buffers = np.empty(64, dtype), np.empty(64, dtype)
        normalise(L, 64, empty, np.empty(0, np.int64), 0, *buffers)
        assert (L[1, 32:] == 0).all()
        assert (L[1, :31] > 0).all()
        np.testing.assert_allclose(L.sum(0), 1, rtol=1e-6)


@pytest.mark.parametrize("d", [1, 5, 16, 24, 33, 50, 170, 301])
def test_panels_cover_the_triangle(d):
    edges = panel_edges(d)
    assert edges[0] == 0
    assert edges[-1] == d
    assert (np.diff(edges) > 0).all()
    factors = np.tril(np.random.default_rng(d).standard_normal((2, d, d)))
    panels = lay_panels(factors, edges, np.dtype(float))
    assert panels.shape == (2, sum(b * (b - a) for a, b in itertools.pairwise(edges)))
    assert np.isclose(np.square(panels).sum(), np.square(factors).sum())


def test_features_where_components_overlap_or_columns_are_few():
    assert not differences_pay(8, 0.0)
    assert not differences_pay(50, 1.0)
    assert differences_pay(50, 0.1)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_compiled_algebra_is_that_of_the_library(covariance_type, monkeypatch):
    """Small and large dimensions go different ways to the same parameters and geometry."""
    results = []
    for small in (32, 0):
        monkeypatch.setattr(_full_covariances, "SMALL", small)
        monkeypatch.setattr("skem.mixture.gaussian.model._density_terms.SMALL", small)
        model = make_model(covariance_type, 7)
        params, X = make_params(model, 3, 2.0)
        params = model.params(params.weights, params.means, params.covariances)
        statistics = model.expected_statistics(params, Rows(0, X))
        new = model.maximize(statistics, params)
        gradient, solve = model.geometry(statistics, params, new)
        vector = model.to_vector(new)
        again = model.from_vector(vector, new)
        results.append(
            [*new[:7], gradient, solve(gradient), vector, again.covariances, again.theta]
        )
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_structures_refuse_what_is_not_positive_definite():
    structure, _ = structure_of("full")
    covariances = np.array([np.eye(3), np.diag([1.0, 1.0, -1.0])])
    with pytest.raises(_full_covariances.NotPositiveDefiniteError, match="covariance 1"):
        structure.decompose(covariances)
