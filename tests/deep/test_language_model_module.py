"""The language model: a distribution over sequences, its loss, and truncated gradients."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from skem.deep.modules.language_model import LanguageModel
from skem.deep.modules.recurrent import CELLS
from skem.deep.modules.softmax import AdaptiveSoftmax, FullSoftmax
from skem.deep.sequences._segments import NextTokens, Segments
from skem.deep.training._net import Net

V, E, H, T, B = 5, 4, 6, 8, 3
KINDS = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "rnn_tanh": {"cell": "rnn_tanh"},
    "rnn_relu": {"cell": "rnn_relu"},
    "untied": {"tie_weights": False},
    "same size": {"hidden_sizes": (H, E)},
    "adaptive": {"cutoffs": (2, 3)},
}
DROPOUTS = ("embedding", "input", "between", "weights", "output")
DROPPED = {f"dropout_{name}": 0.4 for name in DROPOUTS} | {"hidden_sizes": (H, H)}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def tiny(hidden_sizes=(H,), scale=1.5, **options):
    """A model of few units, in float64, whose weights are not small."""
    model = LanguageModel(V, E, hidden_sizes, **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
            parameter *= scale
    return model


def tokens(t=T, b=B):
    return torch.randint(V, (t, b))


def pair(t=T, b=B):
    both = tokens(t + 1, b)
    return both[:-1], both[1:]


# ---------------------------------------------------------------------- probabilities
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_sequences_of_a_length_sum_to_one(kind):
    model = tiny(**KINDS[kind]).eval()
    start = 0
    targets = torch.tensor(list(itertools.product(range(V), repeat=3))).T
    inputs = torch.cat([torch.full_like(targets[:1], start), targets[:-1]])
    log_p, _ = model.log_prob_steps(inputs, targets)
    assert_close(log_p.sum(0).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_with_an_end_all_that_ends_and_all_that_goes_on_sum_to_one():
    model, start, end = tiny().eval(), 0, 1
    total = 0.0
    others = [v for v in range(V) if v != end]
    for n in range(4):
        sequences = itertools.product(others, repeat=n)
        targets = torch.tensor([[*s, end] for s in sequences]).T
        if n == 3:
            targets = targets[:-1]  # whatever comes next
        inputs = torch.cat([torch.full_like(targets[:1], start), targets[:-1]])
        total += float(model.log_prob_steps(inputs, targets)[0].detach().sum(0).exp().sum())
    assert total == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_log_p_of_targets_is_that_of_the_next_token_read_one_by_one(kind):
    model = tiny(**KINDS[kind]).eval()
    inputs, targets = pair()
    log_p, last = model.log_prob_steps(inputs, targets)
    state = None
    for t in range(T):
        every, state = model.advance(inputs[t], state)
        assert_close(every.exp().sum(1), torch.ones(B, dtype=torch.float64))
        assert_close(log_p[t], every.gather(1, targets[t][:, None])[:, 0])
    assert_close(state, last)
    assert_close(model.next_log_probs(last), every)


def test_log_p_in_parts_is_that_at_once(monkeypatch):
    model = tiny().eval()
    inputs, targets = pair()
    expected = model.log_prob_steps(inputs, targets)[0]
    monkeypatch.setattr("skem.deep.modules.language_model._LARGEST", 7 * V)
    assert_close(model.log_prob_steps(inputs, targets)[0], expected)
    first, state = model.log_prob_steps(inputs[:3], targets[:3])
    second, _ = model.log_prob_steps(inputs[3:], targets[3:], state)
    assert_close(torch.cat([first, second]), expected)


def test_a_sequence_does_not_see_those_beside_it():
    model = tiny().eval()
    inputs, targets = pair()
    whole = model.log_prob_steps(inputs, targets)[0]
    alone = model.log_prob_steps(inputs[:, 1:2], targets[:, 1:2])[0]
    assert_close(whole[:, 1:2], alone)


# ---------------------------------------------------------------------- softmax
def test_tied_weights_are_one_parameter():
    model = tiny((H, E))
    assert model.softmax.weight is model.embedding.weight
    assert isinstance(model.projection, nn.Identity)
    names = [name for name, _ in model.named_parameters()]
    assert "embedding.weight" in names
    assert "softmax.weight" not in names
    other = LanguageModel(V, E, (H, E)).double()
    other.load_state_dict(model.state_dict())
    assert other.softmax.weight is other.embedding.weight
    assert tiny(tie_weights=False).softmax.weight.shape == (V, H)


def test_tied_weights_of_other_sizes_have_a_projection():
    model = tiny().eval()
    assert model.projection.weight.shape == (E, H)
    inputs, targets = pair()
    h = model.encode(inputs)[0] @ model.projection.weight.T
    logits = h @ model.embedding.weight.T + model.softmax.bias
    expected = logits.log_softmax(2).gather(2, targets[..., None])[..., 0]
    assert_close(model.log_prob_steps(inputs, targets)[0], expected)


@pytest.mark.parametrize("softmax", [FullSoftmax(8, 9), AdaptiveSoftmax(8, 9, [2, 3, 7])])
def test_a_softmax_normalises_and_its_losses_agree(softmax):
    h, targets, weight = torch.randn(20, 8), torch.arange(20) % 9, torch.rand(20)
    every = softmax.log_prob(h)
    assert_close(every.exp().sum(1), torch.ones(20))
    log_p = every.gather(1, targets[:, None])[:, 0]
    assert_close(softmax.log_prob_of(h, targets), log_p)
    assert_close(softmax.nll(h, targets), -log_p.sum())
    assert_close(softmax.nll(h, targets, weight), -log_p @ weight)


def test_clusters_of_rare_tokens_have_a_dimension_at_least():
    softmax = AdaptiveSoftmax(4, 20, [2, 4, 8, 16])
    assert all(tail[0].out_features for tail in softmax.tree.tail)


# ---------------------------------------------------------------------- loss
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_mean_of_minus_log_p(kind):
    model = tiny(**KINDS[kind])
    inputs, targets = pair()
    log_p = model.log_prob_steps(inputs, targets)[0]
    loss, (total, count) = model(inputs, targets)
    assert_close(loss, -log_p.mean())
    assert_close(total, -log_p.sum().detach())
    assert count == T * B
    assert_close(model(inputs, targets, size=10.0)[0], -log_p.sum() / 10)


def test_weights_weigh_predictions():
    model, (inputs, targets) = tiny(), pair()
    weight = torch.rand(T, B)
    log_p = model.log_prob_steps(inputs, targets)[0]
    loss, (total, count) = model(inputs, targets, weight)
    assert_close(total, -(log_p * weight).sum().detach())
    assert_close(loss, -(log_p * weight).sum() / weight.sum())
    assert_close(count, weight.sum())


def test_regularization_is_of_dropped_outputs_and_of_changes_and_not_in_the_parts():
    options = {"activation_regularization": 2.0, "temporal_activation_regularization": 3.0}
    model, (inputs, targets) = tiny(dropout_output=0.5, **options), pair()
    weight = torch.ones(T, B)
    weight[5:, 1] = 0
    for w in (None, weight):
        torch.manual_seed(1)
        loss, (total, count) = model(inputs, targets, w)
        torch.manual_seed(1)
        mask = model._draw_noise(B).outputs
        valid = torch.ones(T, B, dtype=bool) if w is None else w > 0
        outputs = model.encode(inputs)[0]
        alpha = (outputs * mask)[valid].square().mean()
        beta = (outputs[1:] - outputs[:-1])[valid[1:]].square().mean()
        assert_close(loss, total / count + 2 * alpha + 3 * beta)
    model.eval()
    loss, (total, count) = model(inputs, targets, weight)
    assert_close(loss, total / count)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind):
    model, (inputs, targets) = tiny(scale=1.0, **KINDS[kind]), pair(3, 2)
    names, values = zip(*model.named_parameters(), strict=True)

    def loss(*changed):
        with torch.no_grad():
            for mine, value in zip(values, changed, strict=True):
                mine.copy_(value)
        return model(inputs, targets)[0]

    found = torch.autograd.grad(loss(*[v.clone() for v in values]), values)
    start = [v.detach().clone() for v in values]
    for i, (name, gradient) in enumerate(zip(names, found, strict=True)):
        direction = torch.randn_like(gradient)
        ends = [
            loss(*(v + sign * 1e-6 * direction if i == j else v for j, v in enumerate(start)))
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]).detach() / 2e-6
        expected = (gradient * direction).sum()
        assert_close(slope, expected, rtol=1e-5, atol=1e-8, msg=name)


# ---------------------------------------------------------------------- dropout
def test_dropout_of_embeddings_drops_a_token_wherever_it_stands():
    model = tiny(dropout_embedding=0.5)
    drawn = model._draw_noise(B)
    kept = drawn.tokens[0, :, 0]
    assert set(kept.tolist()) <= {0.0, 2.0}
    inputs = tokens()
    e = model.embedding(inputs) * kept[inputs][..., None]
    assert_close(model._outputs(inputs, None, drawn)[0], model.recurrent(e)[0])


@pytest.mark.parametrize("name", DROPOUTS)
def test_each_dropout_is_noise_in_training_and_nothing_in_evaluation(name):
    options = {"hidden_sizes": (H, H), f"dropout_{name}": 0.5}
    model, (inputs, targets) = tiny(**options), pair()
    assert model(inputs, targets)[0] != model(inputs, targets)[0]
    model.eval()
    apart = {"dropout_between": 0.1} if name == "between" else {}  # layers in kernels of their own
    plain = LanguageModel(V, E, (H, H), **apart).double().eval()
    plain.load_state_dict(model.state_dict())
    for _ in range(2):
        assert_close(model(inputs, targets), plain(inputs, targets), rtol=0, atol=0)


# ---------------------------------------------------------------------- carried state
def test_segments_carry_the_state_and_fresh_ones_do_not():
    model, (inputs, targets) = tiny(), pair()
    whole = model(inputs, targets)[1][0]
    first = model(inputs[:3], targets[:3])[1][0]
    second = model(inputs[3:], targets[3:], fresh=False)[1][0]
    assert_close(first + second, whole)
    again = model(inputs[3:], targets[3:], fresh=True)[1][0]
    assert_close(again, -model.log_prob_steps(inputs[3:], targets[3:])[0].sum().detach())


def test_the_gradient_ends_where_the_segment_starts():
    model, (inputs, targets) = tiny(), pair()
    model(inputs[:3], targets[:3])
    loss = model(inputs[3:], targets[3:], fresh=False)[0]
    state = tuple(s.detach() for s in model.encode(inputs[:3])[1])
    expected = -model.log_prob_steps(inputs[3:], targets[3:], state)[0].mean()
    parameters = list(model.parameters())
    assert_close(torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters))


def test_sequences_that_have_ended_leave_the_others_as_they_are():
    model, (inputs, targets) = tiny(), pair()
    model(inputs[:3], targets[:3])
    total = model(inputs[3:, :2], targets[3:, :2], fresh=False)[1][0]
    log_p = model.log_prob_steps(inputs, targets)[0][3:, :2]
    assert_close(total, -log_p.sum().detach())


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_change_of_mode_forgets_the_state(mode):
    model, (inputs, targets) = tiny(), pair()
    expected = model(inputs, targets, fresh=False)
    assert model._state is not None
    getattr(model, mode)()
    assert model._state is None
    assert_close(model(inputs, targets, fresh=False), expected)


# ---------------------------------------------------------------------- random truncation
TEXT = torch.tensor([0, 3, 1, 4, 2, 0, 1, 3, 4, 1])


def gradient_of_an_epoch(model, segments):
    parameters, total = list(model.parameters()), 0.0
    for segment in segments:
        total = total + nn.utils.parameters_to_vector(
            torch.autograd.grad(model(*segment)[0], parameters)
        )
    return total


@pytest.mark.parametrize(("cell", "offsets"), [("rnn_tanh", [0, 10]), ("lstm", [0, 4, 10])])
def test_the_expected_gradient_of_random_truncation_is_the_full_one(cell, offsets):
    """Monte Carlo, 600 epochs: within 4 standard errors, where fixed truncation is 10 off."""
    model = tiny(cell=cell, scale=2.0)
    given = NextTokens(TEXT, torch.tensor(offsets), start=0)

    def segments(**options):
        return Segments(given, 2, bptt=3, layout="documents", **options)

    def scaled(found):  # each epoch divides by a size of its own, the same for all its segments
        return gradient_of_an_epoch(model, found) * found.size

    full, cut = scaled(segments(truncation="none")), scaled(segments(truncation="fixed"))
    drawn = segments(truncation="random")
    drawn.stride = 1
    gradients = torch.stack([scaled(drawn) for _ in range(600)])
    # along what truncation leaves out, and then every weight alone
    direction = functional.normalize(full - cut, dim=0)
    along = gradients @ direction
    error = along.std() / math.sqrt(len(along))
    assert abs(along.mean() - full @ direction) < 4 * error
    assert abs(cut @ direction - full @ direction) > 10 * error
    errors = gradients.std(0) / math.sqrt(len(gradients))
    assert ((gradients.mean(0) - full).abs() <= 4.5 * errors + 1e-12).all()


def test_random_truncation_leaves_the_forward_values_as_they_are():
    model = tiny()
    given = NextTokens(TEXT, torch.tensor([0, 10]), start=0)
    totals = [
        sum(model(*s)[1][0] for s in Segments(given, 1, bptt=3, truncation=truncation))
        for truncation in ("none", "fixed", "random", "random")
    ]
    for total in totals[1:]:
        assert_close(total, totals[0])


# ---------------------------------------------------------------------- scheduled sampling
class Recorder(nn.Embedding):
    """Records what it is asked for."""

    def forward(self, ids):
        self.seen.append(ids.clone())
        return super().forward(ids)


def recording(**options):
    model = tiny(**options)
    model.embedding.__class__ = Recorder
    model.embedding.seen = []
    return model


@pytest.mark.parametrize("teacher_forcing", [1.0, 0.999999999])
def test_with_a_ratio_of_one_the_inputs_are_the_data(teacher_forcing):
    model, (inputs, targets) = recording(teacher_forcing=teacher_forcing), pair()
    loss = model(inputs, targets)[0]
    assert torch.equal(model.embedding.seen[-1], inputs)
    assert len(model.embedding.seen) == (1 if teacher_forcing == 1 else 1 + T)
    assert_close(loss, -model.log_prob_steps(inputs, targets)[0].mean())


@pytest.mark.parametrize("options", [{}, DROPPED, KINDS["adaptive"]])
def test_with_a_ratio_of_zero_the_inputs_are_what_the_model_draws(options, monkeypatch):
    model, (inputs, targets) = recording(teacher_forcing=0.0, **options), pair()
    draws, draw = [], torch.multinomial

    def recorded(chances, n, generator=None):
        assert_close(chances.sum(1), torch.ones(B, dtype=torch.float64))
        draws.append((chances, draw(chances, n)))
        return draws[-1][1]

    monkeypatch.setattr(torch, "multinomial", recorded)
    model(inputs[:5], targets[:5])
    first = model.embedding.seen[-1]
    model(inputs[5:], targets[5:], fresh=False)
    fed = torch.cat([first, model.embedding.seen[-1]])
    assert torch.equal(fed[0], inputs[0])
    assert torch.equal(fed[1:], torch.cat([d.T for _, d in draws])[:-1])
    if not options:
        expected = [model.next_log_probs(model.encode(fed[: t + 1])[1]).exp() for t in range(T)]
        assert_close([chances for chances, _ in draws], [e.detach() for e in expected])


def test_the_gradient_with_own_inputs_is_that_of_these_inputs():
    model, (inputs, targets) = recording(teacher_forcing=0.0), pair()
    loss = model(inputs, targets)[0]
    expected = -model.log_prob_steps(model.embedding.seen[-1], targets)[0].mean()
    parameters = list(model.parameters())
    assert_close(torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters))


def test_sequences_start_with_the_data_also_inside_a_segment():
    model, inputs = recording(teacher_forcing=0.0, start=2), tokens(200)
    model(inputs, inputs)
    fed = model.embedding.seen[-1]
    assert torch.equal(fed[inputs == 2], inputs[inputs == 2])
    assert not torch.equal(fed, inputs)


def test_the_ratio_is_the_share_of_inputs_from_the_data_and_falls_by_steps():
    model = recording(teacher_forcing=0.25, teacher_forcing_steps=10)
    ratios = {}
    for step in (0, 5, 10, 50):
        model.step.fill_(step)
        ratios[step] = float(model.current_teacher_forcing)
    assert ratios == {0: 1.0, 5: 0.625, 10: 0.25, 50: 0.25}
    model.softmax.bias.data[:] = torch.tensor([1e4, 0, 0, 0, 0])  # it draws nothing but 0
    inputs = torch.ones(1000, B, dtype=torch.int64)
    model(inputs, inputs)
    share = float(model.embedding.seen[-1][1:].double().mean())
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / (999 * B))


def test_evaluation_reads_the_data():
    model, (inputs, targets) = recording(teacher_forcing=0.0).eval(), pair()
    model(inputs, targets)
    assert len(model.embedding.seen) == 1
    assert torch.equal(model.embedding.seen[0], inputs)


# ---------------------------------------------------------------------- training
@pytest.mark.parametrize("cell", CELLS)
def test_it_learns_through_the_net(cell):
    """A text that repeats itself is known after its period."""
    text = torch.arange(601) % V
    model = LanguageModel(V, 8, (16,), cell=cell, dropout_output=0.1, dropout_weights=0.1)
    net = Net(
        model,
        optimizer=torch.optim.Adam,
        lr=0.02,
        max_epochs=12,
        batch_size=4,
        clip=1.0,
        train_split=None,
        iterator_train=Segments,
        iterator_train__shuffle=True,
        iterator_train__bptt=20,
        iterator_train__truncation="random",
        verbose=0,
    ).initialize()
    net.partial_fit(NextTokens(text, torch.tensor([0, 601])))
    net.let_go()
    losses = net.history[:, "train_loss"]
    assert losses[0] == pytest.approx(math.log(V), rel=0.5)
    assert losses[-1] < 0.3
    assert net.module_._state is None
