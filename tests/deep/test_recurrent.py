"""Recurrent layers: the equations, carried state, dropout, and gradients through joins."""

import itertools

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skem.deep.modules import recurrent as module
from skem.deep.modules.recurrent import CELLS, Recurrent, locked_mask

T, B, D, H = 7, 4, 3, 5
LENGTHS = torch.tensor([7, 2, 5, 1])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def layers(cell="lstm", sizes=(H,), **options):
    return Recurrent(D, sizes, cell=cell, **options).double()


def inputs(t=T, d=D):
    return torch.randn(t, B, d, dtype=torch.float64)


def linear(weights, x, h):
    """Of each gate W x + b and U h + b'."""
    w, u, b, c = weights
    return x @ w.T + b, h @ u.T + c


def one_step(cell, weights, x, h, c):
    """The equations written out: h_t and, of an LSTM, c_t."""
    from_x, from_h = linear(weights, x, h)
    if cell == "rnn_tanh":
        return torch.tanh(from_x + from_h), c
    if cell == "rnn_relu":
        return torch.relu(from_x + from_h), c
    if cell == "gru":
        (rx, zx, nx), (rh, zh, nh) = from_x.chunk(3, 1), from_h.chunk(3, 1)
        reset, update = torch.sigmoid(rx + rh), torch.sigmoid(zx + zh)
        new = torch.tanh(nx + reset * nh)
        return (1 - update) * new + update * h, c
    add, forget, candidate, output = (from_x + from_h).chunk(4, 1)
    k = torch.sigmoid(forget) * c  # the forget gate deletes from the context
    j = torch.sigmoid(add) * torch.tanh(candidate)  # the add gate selects what is new
    c = j + k
    return torch.sigmoid(output) * torch.tanh(c), c


def by_hand(cell, weights, x, h, c):
    outputs = []
    for row in x:
        h, c = one_step(cell, weights, row, h, c)
        outputs.append(h)
    return torch.stack(outputs), h, c


# ---------------------------------------------------------------------- equations
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_the_equations(cell):
    model, x = layers(cell, (H, H)), inputs()
    h0, c0 = torch.randn(2, 2, B, H, dtype=torch.float64)
    outputs, state = model(x, (h0, c0)[: model.n_states])
    last = []
    for i, weights in enumerate(model.blocks[0].all_weights):
        x, h, c = by_hand(cell, weights, x, h0[i], c0[i])
        last.append((h, c))
    assert_close(outputs, x)
    assert_close(state[0], torch.stack([h for h, _ in last]))
    if cell == "lstm":
        assert_close(state[1], torch.stack([c for _, c in last]))
    assert_close(model.top(state), outputs[-1])


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_stand_side_by_side(cell):
    model, x = layers(cell, bidirectional=True), inputs()
    zero = torch.zeros(B, H, dtype=torch.float64)
    forth, back = model.blocks[0].all_weights
    a = by_hand(cell, forth, x, zero, zero)[0]
    b = by_hand(cell, back, x.flip(0), zero, zero)[0].flip(0)
    outputs, state = model(x)
    assert_close(outputs, torch.cat([a, b], dim=2))
    assert_close(model.last_outputs(outputs), torch.cat([a[-1], b[0]], dim=1))
    assert_close(model.top(state), model.last_outputs(outputs))


def test_layers_of_different_sizes_are_layers_one_above_the_other():
    model, x = layers("gru", (4, 6, 2)), inputs()
    outputs, state = model(x)
    for block in model.blocks:
        x = block(x)[0]
    assert_close(outputs, x)
    assert [s.shape for s in state] == [(1, B, size) for size in (4, 6, 2)]
    assert model.output_size == 2


def test_layers_alone_and_in_one_kernel_are_the_same():
    model, apart = layers(sizes=(H, H)), layers(sizes=(H, H), dropout_between=0.5)
    assert (len(model.blocks), len(apart.blocks)) == (1, 2)
    weights = zip(apart.blocks, model.blocks[0].all_weights, strict=True)
    with torch.no_grad():
        for block, values in weights:
            for mine, value in zip(block.all_weights[0], values, strict=True):
                mine.copy_(value)
    x = inputs()
    assert_close(apart.eval()(x)[0], model(x)[0])


# ---------------------------------------------------------------------- state
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [(H, H), (4, 6)])
def test_carried_state_is_one_long_pass(cell, sizes):
    model, x = layers(cell, sizes), inputs()
    outputs, last = model(x)
    state, parts = None, []
    for part in x.split(3):
        out, state = model(part, state)
        parts.append(out)
    assert_close(torch.cat(parts), outputs)
    assert_close(state, last)


def test_no_state_is_a_state_of_zeros():
    model, x = layers(sizes=(4, 6)), inputs()
    assert_close(model(x), model(x, model.initial_state(B)))


# ---------------------------------------------------------------------- lengths
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", [(H, H), (4, 6)])
def test_sequences_of_other_lengths_are_as_each_alone(cell, bidirectional, sizes):
    model, x = layers(cell, sizes, bidirectional=bidirectional), inputs()
    outputs, state = model(x, lengths=LENGTHS)
    assert state == ()
    last = model.last_outputs(outputs, LENGTHS)
    for i, n in enumerate(LENGTHS):
        alone = model(x[:n, i : i + 1])[0]
        assert_close(outputs[:n, i : i + 1], alone)
        assert not outputs[n:, i].any()
        assert_close(last[i : i + 1], model.last_outputs(alone))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_give_the_same(cell, bidirectional):
    """The way of CUDA, which the CPU knows too."""
    model, x = layers(cell, (H, H), bidirectional=bidirectional), inputs()
    block = model.blocks[0]
    packed = model._run_packed(block, block.all_weights, x, LENGTHS)
    assert_close(packed, model(x, lengths=LENGTHS)[0])


def test_what_stands_after_the_end_does_not_matter():
    model, x = layers(sizes=(H, H), bidirectional=True), inputs().requires_grad_()
    outputs = model(x, lengths=LENGTHS)[0]
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    for i, n in enumerate(LENGTHS):
        assert gradient[:n, i].all()
        assert not gradient[n:, i].any()


# ---------------------------------------------------------------------- dropout
def test_a_locked_mask_is_one_for_all_steps_and_keeps_the_mean():
    mask = locked_mask(0.3, 200, 50, torch.zeros(()))
    assert mask.shape == (1, 200, 50)
    assert_close(mask.unique(), torch.tensor([0.0, 1 / 0.7]))
    error = (0.3 / 0.7 / mask.numel()) ** 0.5
    assert abs(float(mask.mean()) - 1) < 4 * error
    assert locked_mask(0.0, 2, 2, mask) is None


@pytest.mark.parametrize("cell", CELLS)
def test_dropped_inputs_and_units_are_the_same_at_all_steps(cell):
    model = layers(cell, (H, H), dropout_input=0.5, dropout_between=0.4)
    x, noise = inputs(), model.draw_noise(B)
    expected = model.blocks[0](x * noise.inputs)[0]
    assert noise.inputs.shape == (1, B, D)
    assert noise.between[0].shape == (1, B, H)
    expected = model.blocks[1](expected * noise.between[0])[0]
    assert_close(model(x, noise=noise)[0], expected)
    assert not torch.equal(model(x)[0], model(x)[0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_weight_drop_drops_recurrent_weights_only(cell, bidirectional):
    model = layers(cell, (H, H), dropout_weights=0.5, bidirectional=bidirectional)
    noise = model.draw_noise(B)
    for raw, used in zip(model.blocks[0].all_weights, noise.weights[0], strict=True):
        (w, u, *biases), (w_used, u_used, *biases_used) = raw, used
        assert_close([w, *biases], [w_used, *biases_used])
        dropped = u_used == 0
        assert 0 < dropped.double().mean() < 1
        assert_close(u_used, torch.where(dropped, 0.0, u / 0.5))


def test_weight_drop_trains_the_raw_weights():
    model, x = layers(dropout_weights=0.5), inputs()
    names = [name for name, _ in model.named_parameters()]
    assert names == [f"blocks.0.{name}" for name, _ in nn.LSTM(D, H).named_parameters()]
    noise = model.draw_noise(B)
    model(x, noise=noise)[0].square().sum().backward()
    u, used = model.blocks[0].weight_hh_l0, noise.weights[0][0][1]
    assert torch.equal(u.grad == 0, used == 0)


def test_evaluation_is_deterministic_and_drops_nothing():
    options = dict.fromkeys(("dropout_input", "dropout_between", "dropout_weights"), 0.5)
    model, plain = layers(sizes=(H, H), **options).eval(), layers(sizes=(H, H), dropout_between=0.5)
    plain.load_state_dict(model.state_dict())
    x = inputs()
    assert_close(model(x)[0], plain.eval()(x)[0], rtol=0, atol=0)
    assert_close(model(x)[0], model(x)[0], rtol=0, atol=0)


def test_dropped_weights_lie_in_one_storage_if_the_weights_do():
    sizes = [(2, 3), (2, 2), (2,)]
    whole = torch.randn(sum(torch.Size(s).numel() for s in sizes))
    parts = [p.view(s) for p, s in zip(whole.split([6, 4, 2]), sizes, strict=True)]
    weights = [[parts[2], parts[0], parts[1]]]
    changed = [[w * 2 for w in weights[0]]]
    (laid,) = module._laid_out_as(weights, changed)
    assert_close(laid, changed[0])
    assert [w.storage_offset() for w in laid] == [10, 0, 6]
    assert len({w.untyped_storage().data_ptr() for w in laid}) == 1
    assert module._laid_out_as([[w.clone() for w in parts]], changed) is changed


# ---------------------------------------------------------------------- joins
def gradient_by_joins(model, x, joins, noise=None):
    state = tuple(s.requires_grad_() for s in model.initial_state(B))
    outputs, last = model(x, state, noise=noise, joins=joins)
    loss = outputs.square().sum() + sum(s.sum() for s in last)
    wanted = [*model.parameters(), *state]
    return outputs, torch.autograd.grad(loss, wanted, retain_graph=True)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [(H, H), (4, 6)])
def test_joins_leave_outputs_and_with_factors_of_one_gradients_as_they_are(cell, sizes):
    model, x = layers(cell, sizes, dropout_weights=0.3, dropout_input=0.3), inputs()
    noise = model.draw_noise(B)
    outputs, gradient = gradient_by_joins(model, x, (), noise)
    same, ones = gradient_by_joins(model, x, [(2, 1.0), (3, 1.0)], noise)
    assert_close(same, outputs)
    assert_close(ones, gradient)
    assert_close(gradient_by_joins(model, x, [(2, 3.0), (6, 0.5)], noise)[0], outputs)


@pytest.mark.parametrize("sizes", [(H, H), (4, 6)])
def test_a_factor_multiplies_what_goes_back_through_the_state(sizes):
    """The gradient is linear in each factor: 0 cuts, and between both are the multiples."""
    model, x = layers(sizes=sizes), inputs()
    for after, before in itertools.product([0.0, 2.0], repeat=2):
        joins = [[(3, a), (5, before)] for a in (0.0, 1.0, after)]
        cut, through, scaled = (gradient_by_joins(model, x, j)[1] for j in joins)
        for a, b, c in zip(cut, through, scaled, strict=True):
            assert_close(c, a + after * (b - a))
    cut = gradient_by_joins(model, x, [(3, 0.0)])[1]
    first, state = model(x[:3], model.initial_state(B))
    second, last = model(x[3:], tuple(s.detach() for s in state))
    loss = first.square().sum() + second.square().sum() + sum(s.sum() for s in last)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    assert_close(cut[: len(expected)], expected)


@pytest.mark.parametrize("cell", CELLS)
def test_kernels_of_float32_give_the_same(cell):
    """They are others: those of oneDNN for an LSTM."""
    model, x = layers(cell, (H, 3)), inputs()
    joins = [(2, 3.0), (4, 0.0)]
    expected = gradient_by_joins(model, x, joins)
    found = gradient_by_joins(model.float(), x.float(), joins)
    for a, b in zip([found[0], *found[1]], [expected[0], *expected[1]], strict=True):
        assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_differences(cell):
    model, x = layers(cell, (3, 2), bidirectional=True), inputs(3)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x, lengths=torch.tensor([3, 1, 2, 3]))[0], x)
