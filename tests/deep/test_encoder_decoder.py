"""Encoder and decoder by their equations, written out for one sequence."""

import itertools

import numpy as np
import pytest
import torch

from skem.deep.modules.decoder import (
    Attention,
    ContextFeeding,
    FixedContext,
    InputFeeding,
    PreviousState,
)
from skem.deep.modules.draws import own_generators
from skem.deep.modules.encoder_decoder import EncoderDecoder
from skem.deep.modules.recurrent import CELLS, Recurrent
from skem.deep.modules.sequence import Embedding, Tokens

N_SOURCE, V, E, D = 7, 4, 5, 6
FORMS = {
    "fixed": (FixedContext, None),
    "dot": (PreviousState, False),
    "bilinear": (PreviousState, True),
    "feeding, dot": (InputFeeding, False),
    "feeding, bilinear": (InputFeeding, True),
    "context, dot": (ContextFeeding, False),
    "context, bilinear": (ContextFeeding, True),
}


def model(form="feeding, bilinear", *, cell="lstm", n_layers=1, bidirectional=True, **options):
    """Those of Jurafsky and Martin start at the encoder's last state."""
    torch.manual_seed(0)
    kind, bilinear = FORMS[form]
    encoder = Recurrent(E, [D // (1 + bidirectional)], cell=cell, bidirectional=bidirectional)
    attention = None if bilinear is None else Attention(D, D, bilinear)
    made = EncoderDecoder(
        Embedding(torch.ones(N_SOURCE), E, 0, std=1.0),
        encoder,
        Embedding(torch.ones(V + 1), E if "tied" not in options else D, 0, std=1.0),
        kind(E if "tied" not in options else D, D, D, n_layers, cell, attention),
        **{"bridge": kind not in (FixedContext, PreviousState), **options},
    )
    torch.nn.init.normal_(made.bias)
    return made.double().eval()


def tokens(*sequences):
    lengths = torch.tensor([len(s) for s in sequences])
    ids = torch.full((int(lengths.max()), len(sequences)), 1)
    for i, sequence in enumerate(sequences):
        ids[: len(sequence), i] = torch.tensor(sequence)
    return Tokens(ids, lengths)


def steps(y):
    """Inputs and targets of one sequence, whose end is the token V - 1."""
    return torch.tensor([[V, *y]]).T, torch.tensor([[*y, V - 1]]).T


# ---------------------------------------------------------------------- by hand
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def cell_by_hand(kind, weights, x, h, c):
    w, u, b, d = weights
    if kind == "lstm":
        i, f, g, o = np.split(w @ x + b + u @ h + d, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    if kind == "gru":
        (wr, wz, wn), (ur, uz, un) = np.split(w @ x + b, 3), np.split(u @ h + d, 3)
        z = sigmoid(wz + uz)
        return (1 - z) * np.tanh(wn + sigmoid(wr + ur) * un) + z * h, c
    a = w @ x + b + u @ h + d
    return np.tanh(a) if kind == "rnn_tanh" else np.maximum(a, 0), c


def arrays(layer):
    return [p.detach().numpy() for p in layer.parameters()]


def encoded_by_hand(made, x, kind):
    vectors, weights = (
        made.embedding.vectors.weight.detach().numpy(),
        arrays(made.encoder.blocks[0]),
    )
    half = D // 2
    forward, h, c = [], np.zeros(half), np.zeros(half)
    for token in x:
        h, c = cell_by_hand(kind, weights[:4], vectors[token], h, c)
        forward.append(h)
    backward, h, c = [], np.zeros(half), np.zeros(half)
    for token in reversed(x):
        h, c = cell_by_hand(kind, weights[4:], vectors[token], h, c)
        backward.insert(0, h)
    states = [np.r_[f, b] for f, b in zip(forward, backward, strict=True)]
    return np.array(states), np.r_[forward[-1], backward[0]]


def log_p_by_hand(made, form, x, y, kind):
    """Log p(y_t | y_<t, x), and where the decoder looked."""
    states, last = encoded_by_hand(made, x, kind)
    g, c = last, np.zeros(D)
    if made.bridge is not None:
        first = np.tanh(
            made.bridge.weight.detach().numpy() @ last + made.bridge.bias.detach().numpy()
        )
        g, c = first[:D], first[D:] if kind == "lstm" else None
    vectors = made.target_embedding.vectors.weight.detach().numpy()
    attention, found, looked = made.decoder.attention, [], []
    w = np.eye(D)
    if "bilinear" in form:
        w = attention.keys.weight.detach().numpy()

    def look(g):
        scores = np.array([g @ w @ h for h in states])
        a = np.exp(scores) / np.exp(scores).sum()
        looked.append(a)
        return a @ states

    s, again = np.zeros(D), "feeding" in form or "context" in form
    for before, token in zip([V, *y], [*y, V - 1], strict=True):
        feed = last if form == "fixed" else s if "feeding" in form else look(g)
        g, c = cell_by_hand(kind, arrays(made.decoder.cells), np.r_[vectors[before], feed], g, c)
        s = g
        if again:
            s = np.tanh(made.decoder.combine.weight.detach().numpy() @ np.r_[look(g), g])
        logits = made.output.weight.detach().numpy() @ s + made.bias.detach().numpy()
        found.append(logits[token] - np.log(np.exp(logits).sum()))
    return np.array(found), looked[1::2] if "context" in form else looked


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("form", FORMS)
def test_chances_are_those_of_the_equations(form, kind):
    made, x, y = model(form, cell=kind), [3, 1, 6, 2], [2, 0, 1]
    wanted, looked = log_p_by_hand(made, form, x, y, kind)
    with torch.no_grad():
        found = made.log_prob(tokens(x), *steps(y))[:, 0].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert len(looked) == (0 if form == "fixed" else 4)


@pytest.mark.parametrize("form", FORMS)
def test_steps_are_the_same_one_by_one_and_tell_where_they_look(form):
    made, x, y = model(form), [3, 1, 6, 2], [2, 0, 1]
    wanted, looked = log_p_by_hand(made, form, x, y, "lstm")
    inputs, targets = steps(y)
    with torch.no_grad():
        memory, state = made.encode(tokens(x))
        feed, noise = (
            made.decoder.first_feed(state, memory),
            made.decoder.cells.draw_noise(state[0]),
        )
        for t in range(4):
            e = made.target_embedding(inputs[t])
            features, feed, state, weights = made.decoder.step(e, feed, state, memory, noise)
            log_p = made.logits(features).log_softmax(1)[0, targets[t, 0]]
            assert log_p.item() == pytest.approx(wanted[t], rel=1e-10)
            if looked:
                np.testing.assert_allclose(weights[0], looked[t], rtol=1e-9)


# ---------------------------------------------------------------------- what holds
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_neither_the_batch_nor_padding_matters(form, n_layers):
    made = model(form, n_layers=n_layers)
    pairs = [([3, 1, 6, 2, 5], [2]), ([4], [0, 1, 2, 1]), ([1, 2, 2], [])]
    inputs, targets = torch.full((5, 3), 1), torch.full((5, 3), 2)
    for i, (_, y) in enumerate(pairs):
        own = steps(y)
        inputs[: len(y) + 1, i], targets[: len(y) + 1, i] = own[0][:, 0], own[1][:, 0]
    with torch.no_grad():
        together = made.log_prob(tokens(*(x for x, _ in pairs)), inputs, targets)
        for i, (x, y) in enumerate(pairs):
            alone = made.log_prob(tokens(x), *steps(y))[:, 0]
            np.testing.assert_allclose(together[: len(y) + 1, i], alone, rtol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_chances_of_all_outputs_sum_to_one(form):
    """Those that end within four tokens, and those that have not ended by then."""
    made, x, total = model(form), tokens([3, 1, 2]), 0.0
    with torch.no_grad():
        for n in range(4):
            for y in itertools.product(range(V - 1), repeat=n):
                total += made.log_prob(x, *steps(y)).sum().exp().item()
        for y in itertools.product(range(V - 1), repeat=4):
            total += made.log_prob(x, *steps(y))[:4].sum().exp().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_weights_of_attention_sum_to_one_over_the_tokens_there_are():
    made = model()
    with torch.no_grad():
        memory, state = made.encode(tokens([3, 1, 6, 2, 5], [4, 2]))
        _, weights = made.decoder.attention(made.decoder.cells.top(state), memory)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    assert (weights[1, 2:] == 0).all()


def test_tied_vectors_are_the_rows_of_the_softmax():
    made = model(tied=True)
    features = torch.randn(3, D, dtype=torch.float64)
    table = made.target_embedding.vectors.weight[:V]
    torch.testing.assert_close(made.logits(features), features @ table.T + made.bias)
    assert made.output is None


# ---------------------------------------------------------------------- loss
def batch(weight=None, size=2.0):
    y = tokens([V, 2, 0], [V])
    targets = torch.tensor([[2, 3], [0, 1], [3, 1]])
    return tokens([3, 1], [5, 6, 2]), y, targets, weight, size


def test_loss_is_the_weighted_mean_over_tokens():
    made, weight = model(), torch.tensor([2.0, 0.5], dtype=torch.float64)
    x, y, targets, *_ = batch()
    with torch.no_grad():
        loss, (nll, hits, total) = made(*batch(weight))
        log_p = made.log_prob(x, y.ids, targets)
    wanted = -(2 * log_p[:, 0].sum() + 0.5 * log_p[0, 1])
    assert loss.item() == pytest.approx(wanted.item() / 2, rel=1e-12)
    assert nll.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert total.item() == 2 * 3 + 0.5
    assert 0 <= hits.item() <= total.item()


def test_smoothed_loss_gives_all_tokens_a_share_of_the_target():
    share = 0.3
    made = model(label_smoothing=share).train()
    x, y, targets, *_ = batch()
    with torch.no_grad():
        loss, (nll, *_) = made(*batch())
        log_p = made.logits(made.features(x, y.ids)).log_softmax(2)
    there = [(0, 0), (1, 0), (2, 0), (0, 1)]
    q = torch.full((4, V), share / V, dtype=torch.float64)
    for i, at in enumerate(there):
        q[i, targets[at]] += 1 - share
    wanted = -sum((q[i] * log_p[at]).sum() for i, at in enumerate(there))
    assert loss.item() == pytest.approx(wanted.item() / 2, rel=1e-12)
    likelihood = sum(log_p[*at, targets[at]].item() for at in there)
    assert nll.item() == pytest.approx(-likelihood, rel=1e-12)


def test_sampled_inputs_take_the_place_of_the_true_ones_by_and_by():
    """At first all inputs are those of the data, at the end none but the start."""
    made = model(teacher_forcing=0.0, teacher_forcing_steps=10).train()
    x = tokens([3, 1, 6])
    one, other = (torch.tensor([[V, *y]]).T for y in ([2, 0, 1], [0, 1, 2]))

    def features(inputs):
        with own_generators(0, torch.device("cpu")), torch.no_grad():
            return made.features(x, inputs)

    made.step.fill_(10)
    torch.testing.assert_close(features(one), features(other), rtol=0, atol=0)
    made.step.fill_(0)
    forced = features(one)
    made.eval()
    torch.testing.assert_close(forced, features(one), rtol=0, atol=0)
    assert (forced[1] != features(other)[1]).any()


def test_drawn_tokens_share_the_mask_of_the_true_ones():
    """Locked dropout: the same numbers of the vectors of y are zero at all steps."""
    made = model(dropout_input=0.5, teacher_forcing=0.0).train()
    torch.nn.init.normal_(made.target_embedding.vectors.weight)
    seen = []
    forward = made.decoder.step
    made.decoder.step = lambda e, *rest: (seen.append(e), forward(e, *rest))[1]
    with torch.no_grad():
        made.features(tokens([3, 1], [2]), torch.full((6, 2), V))
    zero = torch.stack(seen) == 0
    assert (zero == zero[0]).all()
    assert zero.any()
    assert not zero.all()
