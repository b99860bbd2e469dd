"""Draws that cover the space evenly."""

import numpy as np
import pytest
import torch
from scipy import stats

from skem.deep.training._distinct import row_uniforms
from skem.deep.training._random import normal_at, spread_uniform


def draws(n, shift, seed=0):
    return normal_at(spread_uniform(n, shift.shape[1], seed)[:, None], shift)


def test_draws_of_a_row_are_standard_normal():
    shift = torch.rand(1, 3, generator=torch.Generator().manual_seed(0))
    points = draws(4096, shift)[:, 0].double().numpy()
    for column in points.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(points.T) - np.eye(3)).max() < 0.05


def test_one_draw_of_each_of_many_rows_is_standard_normal():
    X = np.random.default_rng(0).integers(5, size=(3000, 4)).astype(np.float32)
    X[:, 0] = np.arange(3000)
    shift = row_uniforms(X, 3, seed=1)
    assert shift.min() >= 0
    assert shift.max() < 1
    points = draws(1, torch.from_numpy(shift))[0].numpy()
    for column in points.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(points.T) - np.eye(3)).max() < 0.08


def test_a_row_has_the_same_shift_wherever_it_stands_and_another_one_with_another_seed():
    X = np.random.default_rng(0).random((20, 3)).astype(np.float32)
    order = np.random.default_rng(1).permutation(20)
    shift = row_uniforms(X, 2, seed=1)
    np.testing.assert_array_equal(row_uniforms(X[order], 2, seed=1), shift[order])
    assert (row_uniforms(X, 2, seed=2) != shift).all()


def test_means_vary_less_than_those_of_independent_draws():
    shift = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    means = draws(128, shift).square().mean(0)
    assert means.std() < np.sqrt(2 / 128) / 5


@pytest.mark.parametrize("edge", [0.0, 1 - 2.0**-24, 1.0])
def test_draws_are_finite_at_the_edges(edge):
    value = normal_at(torch.tensor([[edge]]), torch.zeros(1, 1))
    assert torch.isfinite(value).all()


def test_more_dimensions_than_sobol_points_have_are_drawn_independently():
    most = torch.quasirandom.SobolEngine.MAXDIM
    points = spread_uniform(2, most + 5, 0)
    assert points.shape == (2, most + 5)
    assert ((points >= 0) & (points < 1)).all()


def test_torchs_state_is_not_touched():
    before = torch.random.get_rng_state()
    one, two = (spread_uniform(5, 2, 3) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(torch.random.get_rng_state(), before)
