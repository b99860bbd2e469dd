"""Flows: their log-determinants, their inverses, and what depends on what."""

import pytest
import torch
from torch.testing import assert_close

from skem.deep.modules.flows import FLOWS, InverseAutoregressive, MaskedLinear

CONTEXT = 3


def flow_of(name, d, size=1.0, seed=0):
    """A flow with large random weights, in float64, and a context."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = FLOWS[name](d, CONTEXT).double()
        for parameter in flow.parameters():
            torch.nn.init.normal_(parameter, std=size)
        return flow, torch.randn(1, CONTEXT, dtype=torch.float64)


def points(n, d, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, d, dtype=torch.float64, generator=generator)


every_flow = pytest.mark.parametrize("name", FLOWS)
dimensions = pytest.mark.parametrize("d", [1, 2, 5])


@every_flow
@dimensions
@pytest.mark.parametrize("size", [0.1, 1.0])
def test_the_log_determinant_is_that_of_the_jacobian(name, d, size):
    for seed in range(5):
        flow, context = flow_of(name, d, size, seed)
        z = points(1, d, seed)
        jacobian = torch.autograd.functional.jacobian(lambda z, f=flow, c=context: f(z, c)[0], z)
        expected = torch.linalg.slogdet(jacobian[0, :, 0, :])[1]
        assert_close(flow(z, context)[1][0], expected, rtol=1e-6, atol=1e-8)


@dimensions
@pytest.mark.parametrize("size", [1.0, 5.0])
def test_planar_flows_can_be_inverted(d, size):
    """Along w the map is increasing, and across w it moves by u tanh of what is along w."""
    for seed in range(5):
        flow, context = flow_of("planar", d, size, seed)
        u, w, _ = flow.given(context)[0].split([d, d, 1])
        z = points(1, d, seed)
        target = flow(z, context)[0]
        low, high = (z - 50 * w / w.norm(), z + 50 * w / w.norm())
        along = [flow(low + t * (high - low), context)[0] @ w for t in torch.linspace(0, 1, 400)]
        assert (torch.diff(torch.cat(along)) > 0).all()
        left, right = torch.tensor(-80.0).double(), torch.tensor(80.0).double()
        for _ in range(200):  # the point whose image is the target: by halves along w
            middle = (left + right) / 2
            moved = flow(middle * w[None] / w.square().sum(), context)[0] @ w
            left, right = (middle, right) if moved.item() < (target @ w).item() else (left, middle)
        along_w = left * w[None] / w.square().sum()
        shift = flow(along_w, context)[0] - along_w
        assert_close(target - shift, z, atol=1e-8, rtol=1e-6)
        assert u.shape == w.shape


@dimensions
def test_inverse_autoregressive_flows_are_inverted_dimension_by_dimension(d):
    flow, context = flow_of("iaf", d, 0.5)
    z = points(6, d)
    target = flow(z, context)[0].flip(-1)
    found = torch.zeros_like(z)
    for j in range(d):  # what becomes of dimension j is linear in it, given those before it
        at_zero = flow(found, context)[0].flip(-1)[:, j]
        found[:, j] = 1.0
        at_one = flow(found, context)[0].flip(-1)[:, j]
        found[:, j] = (target[:, j] - at_zero) / (at_one - at_zero)
    assert_close(found, z)


@pytest.mark.parametrize("d", [2, 3, 6])
def test_each_dimension_of_an_autoregressive_flow_sees_those_before_it_alone(d):
    flow, context = flow_of("iaf", d)
    jacobian = torch.autograd.functional.jacobian(
        lambda z: flow(z, context)[0].flip(-1), points(1, d)
    )
    jacobian = jacobian[0, :, 0, :]
    assert_close(jacobian, jacobian.tril(), rtol=0, atol=0)
    below = torch.tril(torch.ones(d, d), -1).bool()
    assert (jacobian[below] != 0).all()


def test_dimensions_are_turned_round_so_that_two_flows_let_all_see_all():
    flows = [flow_of("iaf", 3, seed=seed)[0] for seed in (0, 1)]
    context = torch.ones(1, CONTEXT, dtype=torch.float64)

    def both(z):
        for flow in flows:
            z, _ = flow(z, context)
        return z

    jacobian = torch.autograd.functional.jacobian(both, points(1, 3))[0, :, 0, :]
    assert (jacobian.abs() > 1e-12).sum() > 6


@every_flow
@dimensions
def test_rows_have_their_own_context_and_draws_are_mapped_one_by_one(name, d):
    flow, _ = flow_of(name, d)
    context = points(4, CONTEXT)
    z = points(12, d).reshape(3, 4, d)
    moved, log_det = flow(z, context)
    assert log_det.shape == (3, 4)
    for k in range(3):
        for i in range(4):
            one, its = flow(z[k, i : i + 1], context[i : i + 1])
            assert_close(moved[k, i], one[0])
            assert_close(log_det[k, i], its[0])


@every_flow
def test_a_new_flow_is_near_to_no_flow_at_all(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = FLOWS[name](3, CONTEXT)
        z = torch.randn(100, 3)
        moved, log_det = flow(z, torch.randn(100, CONTEXT))
    moved = moved.flip(-1) if name == "iaf" else moved
    assert (moved - z).abs().mean() < 0.3
    assert log_det.abs().mean() < 0.6
    assert torch.isfinite(log_det).all()


def test_masked_weights_get_no_gradient():
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    layer = MaskedLinear(mask)
    layer(torch.ones(1, 2)).sum().backward()
    assert_close(layer.weight.grad, mask)
    assert isinstance(InverseAutoregressive(2, 1).first, MaskedLinear)
