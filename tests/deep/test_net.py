"""The bridge to skorch, with a module whose loss is known."""

import math

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping
from skorch.helper import predefined_split
from torch import nn

from skem.deep.training import _net
from skem.deep.training._base import cosine
from skem.deep.training._data import Batches, TensorRows
from skem.deep.training._net import DivergedError, Net


class Distance(nn.Module):
    """Half the squared distance of the rows from a point, and twice the loss as a part."""

    parts = ("loss", "twice", "weight")

    def __init__(self, d=1):
        super().__init__()
        self.point = nn.Parameter(torch.zeros(d))
        self.register_buffer("step", torch.zeros(()), persistent=False)
        self.steps = []

    def forward(self, x, weight=None):
        if self.training:
            self.steps.append(int(self.step))
        loss = 0.5 * (x - self.point).square().sum(-1)
        w = torch.ones(len(x)) if weight is None else weight
        sums = torch.stack([w @ loss, 2 * (w @ loss), w.sum()])
        return (w @ loss) / len(x), sums.detach()


def net_of(module=None, **options):
    chosen = {
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
        "max_epochs": 2,
        "batch_size": 4,
        "train_split": None,
        "iterator_train": Batches,
        "iterator_valid": Batches,
        "verbose": 0,
    }
    return Net(module or Distance(), **(chosen | options)).initialize()


def rows(n=10):
    return TensorRows(torch.arange(float(n))[:, None], None)


# ---------------------------------------------------------------------- batches
def test_batches_are_slices_of_the_rows_in_order():
    X = torch.arange(10.0)[:, None]
    batches = list(Batches(TensorRows(X, None), 4))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([x for x, _ in batches]), X)
    assert all(w is None for _, w in batches)
    assert len(Batches(TensorRows(X, None), 4)) == 3


def test_shuffled_batches_have_every_row_once_and_keep_rows_together():
    X = torch.arange(50.0)[:, None]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        iterator = Batches(TensorRows(X, 2 * X), 7, shuffle=True)
        first, second = (list(iterator) for _ in range(2))
    for batches in (first, second):
        x = torch.cat([x for x, _ in batches])
        assert torch.equal(x.sort(0)[0], X)
        assert torch.equal(torch.cat([y for _, y in batches]), 2 * x)
    assert not torch.equal(torch.cat([x for x, _ in first]), torch.cat([x for x, _ in second]))


# ---------------------------------------------------------------------- history
def test_history_has_means_over_rows_also_when_the_last_batch_is_smaller():
    net = net_of(lr=1e-12, max_epochs=1).partial_fit(rows())
    expected = 0.5 * np.mean(np.arange(10.0) ** 2)
    assert net.history[-1, "train_loss"] == pytest.approx(expected)
    assert net.history[-1, "train_twice"] == pytest.approx(2 * expected)


def test_history_has_means_by_weight():
    weight = torch.linspace(0.1, 3, 10)
    net = net_of(lr=1e-12, max_epochs=1)
    net.partial_fit(TensorRows(torch.arange(10.0)[:, None], weight))
    expected = np.average(0.5 * np.arange(10.0) ** 2, weights=weight.numpy())
    assert net.history[-1, "train_loss"] == pytest.approx(expected)


def test_history_has_the_held_out_rows_scored_in_evaluation_and_the_best_epochs():
    net = net_of(train_split=predefined_split(rows(3)), max_epochs=3).partial_fit(rows())
    point = float(net.module_.point.detach()[0])
    expected = 0.5 * np.mean((np.arange(3.0) - point) ** 2)
    assert net.history[-1, "valid_loss"] == pytest.approx(expected)
    assert len(net.module_.steps) == 9  # no training step was made with them
    losses = net.history[:, "valid_loss"]
    best = [v < min(losses[:i], default=math.inf) for i, v in enumerate(losses)]
    assert net.history[:, "valid_loss_best"] == best


# ---------------------------------------------------------------------- steps
def test_the_module_counts_steps_and_goes_on_counting():
    net = net_of().partial_fit(rows())
    assert net.module_.steps == list(range(6))
    net.partial_fit(rows())
    assert net.module_.steps == list(range(12))
    assert net.n_steps_ == 12


def test_the_schedule_goes_from_its_start_to_its_end():
    class Rates(Callback):
        def initialize(self):
            self.rates = []
            return self

        def on_batch_end(self, net, training, **kwargs):
            self.rates.append(net.optimizer_.param_groups[0]["lr"])

    rates = Rates()
    net_of(callbacks=[rates], schedule=cosine, max_epochs=4).partial_fit(rows())
    done = np.arange(12) / 12
    np.testing.assert_allclose(rates.rates, 0.1 * 0.5 * (1 + np.cos(np.pi * done)))
    assert rates.rates[0] == 0.1
    assert rates.rates[-1] < 0.02 * 0.1
    assert cosine(1.0) == 0.0


def test_one_epoch_of_one_batch_is_one_step_of_gradient_descent():
    net = net_of(max_epochs=1, batch_size=10).partial_fit(rows())
    assert float(net.module_.point.detach()[0]) == pytest.approx(0.1 * 4.5)


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_the_gradient_is_clipped_to_its_largest_norm(clip):
    net = net_of(max_epochs=1, batch_size=10, clip=clip).partial_fit(rows())
    assert float(net.module_.point.detach()[0]) == pytest.approx(0.1 * min(clip, 4.5))


# ---------------------------------------------------------------------- callbacks
class Recorder(Callback):
    """Records what it hears."""

    def initialize(self):
        self.heard = []
        return self

    def on_train_begin(self, net, **kwargs):
        self.heard.append("train begin")

    def on_epoch_end(self, net, **kwargs):
        self.heard.append("epoch end")

    def on_train_end(self, net, **kwargs):
        self.heard.append("train end")


class BatchRecorder(Recorder):
    def on_batch_begin(self, net, training, **kwargs):
        self.heard.append("batch begin")

    def on_batch_end(self, net, batch, training, loss, **kwargs):
        self.heard.append(float(loss))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.heard.append([name for name, _ in named_parameters])


def test_callbacks_hear_of_epochs():
    recorder = Recorder()
    net_of(callbacks=[recorder]).partial_fit(rows())
    assert recorder.heard == ["train begin", "epoch end", "epoch end", "train end"]


def test_nobody_is_told_of_batches_who_does_not_listen(monkeypatch):
    told = []
    notify = Net.notify

    def listening(net, name, **kwargs):
        told.append(name)
        notify(net, name, **kwargs)

    monkeypatch.setattr(Net, "notify", listening)
    net_of(callbacks=[Recorder()]).partial_fit(rows())
    assert not {name for name in told if "batch" in name or "grad" in name}
    told.clear()
    net_of(callbacks=[Recorder(), BatchRecorder()]).partial_fit(rows())
    assert told.count("on_batch_end") == told.count("on_grad_computed") == 6


def test_listeners_hear_the_mean_loss_of_each_batch_and_each_gets_the_gradients():
    listeners = [BatchRecorder(), BatchRecorder()]
    net_of(callbacks=listeners, lr=1e-12, max_epochs=1).partial_fit(rows())
    losses = [0.5 * np.mean(part**2) for part in np.split(np.arange(10.0), [4, 8])]
    for listener in listeners:
        heard = listener.heard
        assert [v for v in heard if isinstance(v, float)] == pytest.approx(losses)
        assert [v for v in heard if isinstance(v, list)] == [["point"]] * 3


def test_skorchs_own_clipping_works():
    clipping = GradientNormClipping(gradient_clip_value=0.5)
    net = net_of(max_epochs=1, batch_size=10, callbacks=[clipping]).partial_fit(rows())
    assert float(net.module_.point.detach()[0]) == pytest.approx(0.05)


# ---------------------------------------------------------------------- divergence
class SetRate(Callback):
    """From an epoch on the learning rate is that large."""

    def __init__(self, epoch, rate):
        self.epoch, self.rate = epoch, rate

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            net.optimizer_.param_groups[0]["lr"] = self.rate


@pytest.mark.parametrize("batch_size", [4, 10])
def test_a_loss_that_is_not_finite_ends_training_with_weights_of_the_epoch_before(batch_size):
    """Also where the weights after the last step are those that fail."""
    calm = net_of(max_epochs=2, batch_size=batch_size).partial_fit(rows())
    wild = net_of(max_epochs=5, batch_size=batch_size, callbacks=[SetRate(3, 1e30)])
    with pytest.raises(DivergedError, match="not finite in epoch 3"):
        wild.partial_fit(rows())
    wild.restore_good_weights()
    assert torch.equal(wild.module_.point, calm.module_.point)


def test_letting_go_leaves_the_module_ready_for_use():
    net = net_of(train_split=predefined_split(rows(3))).partial_fit(rows())
    net.let_go()
    assert not net.module_.training
    assert all(p.grad is None for p in net.module_.parameters())
    assert net.train_split is None
    assert net.good_ is None


# ---------------------------------------------------------------------- sums and moments
def test_rows_of_tensors_are_chosen_without_a_copy():
    X = torch.arange(10.0)[:, None]
    chosen = TensorRows(X, None, rows=torch.tensor([7, 1, 4]))
    assert len(chosen) == 3
    assert [x.tolist() for x, _ in Batches(chosen, 2)] == [[[7.0], [1.0]], [[4.0]]]
    assert chosen[torch.tensor([2, 0])][0].tolist() == [[4.0], [7.0]]


def test_sums_over_more_batches_than_one_array_holds(monkeypatch):
    monkeypatch.setattr(_net, "_KEPT", 2)
    few = net_of(batch_size=1).partial_fit(rows()).history
    monkeypatch.undo()
    assert few[:, "train_loss"] == net_of(batch_size=1).partial_fit(rows()).history[:, "train_loss"]


@pytest.mark.parametrize("fused", [False, True])
def test_moments_of_adam_are_never_subnormal(fused):
    """An input that is zero but once: its moment falls by a tenth at each step."""

    class Linear(nn.Module):
        parts = ("loss", "weight")

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.subnormal = 0

        def forward(self, x, _):
            for moments in net.optimizer_.state.values():
                for moment in (moments["exp_avg"], moments["exp_avg_sq"]):
                    small = (moment != 0) & (moment.abs() < torch.finfo(torch.float32).tiny)
                    self.subnormal += int(small.sum())
            loss = (x @ self.weight).square().sum()
            return loss, (loss.detach(), len(x))

    X = torch.ones(1500, 2)
    X[1:, 1] = 0.0
    options = {"optimizer": torch.optim.Adam, "optimizer__fused": fused, "max_epochs": 1}
    net = net_of(Linear(), batch_size=1, **options)
    net.partial_fit(TensorRows(X, None))
    assert net.module_.subnormal == 0
    moments = net.optimizer_.state[net.module_.weight]
    assert moments["exp_avg"][1] == 0
    assert moments["exp_avg_sq"][1] > 0
