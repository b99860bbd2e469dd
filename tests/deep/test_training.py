"""Training of the variational autoencoder: callbacks, stopping, falling back, going on."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, Checkpoint, LRScheduler

from skem import VAETransformer
from skem.deep.training._device import threads_for

OPTIONS = {
    "hidden_layer_sizes": (8,),
    "batch_size": 60,
    "learning_rate": 0.02,
    "max_epochs": 12,
    "random_state": 0,
}


def vae_of(**options):
    return VAETransformer(2, **(OPTIONS | options))


class Recorder(Callback):
    """Records learning rates, weights and losses of the epochs."""

    def initialize(self):
        self.rates, self.weights, self.valid, self.ended = [], [], [], 0
        return self

    def on_epoch_end(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])
        self.weights.append(net.module_.head.weight.detach().clone())
        self.valid.append(net.history[-1].get("valid_loss"))

    def on_train_end(self, net, **kwargs):
        self.ended += 1


class Wild(Callback):
    """From an epoch on the learning rate is enormous."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            net.optimizer_.param_groups[0]["lr"] = 1e30


def wild(epoch, *others, **options):
    return vae_of(learning_rate_schedule="constant", callbacks=[Wild(epoch), *others], **options)


# ---------------------------------------------------------------------- history
def test_history_has_reconstruction_kl_and_bound_of_each_epoch_in_nats(factors):
    vae = vae_of(early_stopping=True, patience=50, kl_weight=0.5, kl_warmup_steps=10).fit(factors)
    assert [row["epoch"] for row in vae.history_] == list(range(1, 13))
    assert vae.n_iter_ == 12
    parts = {f"{k}_{p}" for k in ("train", "valid") for p in ("reconstruction", "kl", "bound")}
    for row in vae.history_:
        assert set(row) == parts | {"epoch", "dur", "train_loss", "valid_loss"}
        for kind in ("train", "valid"):
            error, kl = row[f"{kind}_reconstruction"], row[f"{kind}_kl"]
            assert row[f"{kind}_bound"] == pytest.approx(-error - kl, rel=1e-5)
            assert kl > 0
        # The warm-up is of the training alone: what decides when to stop has the whole weight.
        weighed = row["valid_reconstruction"] + 0.5 * row["valid_kl"]
        assert row["valid_loss"] == pytest.approx(weighed, rel=1e-5)
    assert vae.history_[-1]["train_bound"] > vae.history_[0]["train_bound"]
    first = vae.history_[0]  # four batches of weights 0, 0.05, 0.1 and 0.15
    assert first["train_loss"] < first["train_reconstruction"] + 0.16 * first["train_kl"]


def test_history_is_in_the_users_units(factors):
    """A density of columns that are a thousand times larger is 5 log 1000 nats lower."""
    a, b = (vae_of().fit(factors * scale).history_[-1] for scale in (1.0, 1000.0))
    assert b["train_loss"] - a["train_loss"] == pytest.approx(5 * np.log(1000), rel=1e-4)
    assert b["train_kl"] == pytest.approx(a["train_kl"], rel=1e-3)


def test_verbose_prints_a_line_for_each_epoch(factors, capsys):
    vae_of(max_epochs=3, verbose=1).fit(factors)
    printed = capsys.readouterr().out
    assert "train_reconstruction" in printed
    assert len(printed.strip().splitlines()) == 2 + 3
    vae_of(max_epochs=3).fit(factors)
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------------- collapse
def test_a_collapsed_posterior_is_told_and_counted(factors):
    with pytest.warns(ConvergenceWarning, match=r"posterior has collapsed.*free_bits") as caught:
        vae = vae_of(kl_weight=100.0, max_epochs=30).fit(factors)
    assert caught[0].filename == __file__
    assert vae.active_units_ == 0
    assert vae.transform(factors).var(axis=0).max() < 0.01


def test_active_units_are_the_dimensions_whose_means_vary(factors):
    vae = VAETransformer(5, **(OPTIONS | {"max_epochs": 150})).fit(factors)
    variances = vae.transform(factors).var(axis=0)
    assert vae.active_units_ == (variances > 0.01).sum() == 2  # two factors made the rows
    assert vae_of(max_epochs=60).fit(factors).active_units_ == 2


def test_free_bits_keep_a_dimension_in_use(factors):
    """Where KL weighs so much that the posterior would collapse."""
    vae = vae_of(kl_weight=10.0, free_bits=1.0, max_epochs=60).fit(factors)
    assert vae.active_units_ == 2
    assert vae.history_[-1]["train_kl"] > 1.5


def test_a_larger_kl_weight_has_a_smaller_kl(factors):
    kls = [
        vae_of(kl_weight=w, max_epochs=40).fit(factors).history_[-1]["train_kl"]
        for w in (0.1, 0.5, 1.0)
    ]
    assert kls[0] > kls[1] > kls[2]


def test_the_warm_up_must_be_shorter_than_the_training(factors):
    steps = 4 * 12
    vae = vae_of(kl_warmup_steps=steps - 1).fit(factors)
    assert vae.net_.n_steps_ == steps
    with pytest.raises(ValueError, match=rf"kl_warmup_steps={steps} is not shorter .* {steps} ba"):
        vae_of(kl_warmup_steps=steps).fit(factors)
    with pytest.raises(ValueError, match=r"48 batches.*raise max_epochs"):
        vae_of(kl_warmup_steps=10_000).fit(factors)


# ---------------------------------------------------------------------- callbacks
def test_the_cosine_schedule_is_the_default_and_constant_is_constant(factors):
    recorder = Recorder()
    vae_of(callbacks=[recorder]).fit(factors)
    done = (4 * np.arange(1, 13) - 1) / 48
    np.testing.assert_allclose(recorder.rates, 0.02 * 0.5 * (1 + np.cos(np.pi * done)))
    vae_of(callbacks=[recorder], learning_rate_schedule="constant").fit(factors)
    assert recorder.rates == [0.02] * 12


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_a_scheduler_takes_the_place_of_the_schedule(factors, named, every):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.5, step_every=every)
    recorder = Recorder()
    callbacks = [recorder, ("rates", scheduler) if named else scheduler]
    vae_of(callbacks=callbacks, max_epochs=4).fit(factors)
    if every == "epoch":
        assert recorder.rates == pytest.approx([0.02 * 0.5**i for i in range(4)])
    else:
        assert recorder.rates == pytest.approx([0.02 * 0.5 ** (4 * i) for i in range(1, 5)])


def test_checkpoints_of_the_best_epochs_can_be_loaded_and_trained_on(factors, tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path), load_best=True)
    vae = vae_of(early_stopping=True, callbacks=[checkpoint]).fit(factors)
    assert {p.name for p in tmp_path.iterdir()} >= {"params.pt", "optimizer.pt", "history.json"}
    other = vae_of(max_epochs=1, random_state=7).fit(factors)
    assert not np.allclose(other.transform(factors), vae.transform(factors))
    other.net_.load_params(f_params=tmp_path / "params.pt")
    np.testing.assert_array_equal(other.transform(factors), vae.transform(factors))
    resumed = other.set_params(warm_start=True).fit(factors)
    first = vae_of(early_stopping=True).fit(factors).history_[0]["train_loss"]
    assert resumed.history_[0]["train_loss"] < first - 0.3


def test_a_callback_may_end_the_training(factors):
    class Enough(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    assert vae_of(callbacks=[Enough()]).fit(factors).n_iter_ == 3


class Interrupt(Callback):
    """As if somebody pressed Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_training_keeps_whole_epochs_in_the_history(factors):
    vae = vae_of(callbacks=[Interrupt(10)]).fit(factors)
    assert vae.n_iter_ == len(vae.history_) == 9
    assert np.isfinite(vae.score(factors))
    with pytest.raises(KeyboardInterrupt):
        vae_of(callbacks=[Interrupt(1)]).fit(factors)


# ---------------------------------------------------------------------- early stopping
def test_early_stopping_takes_the_best_weights(factors):
    """The bound of held-out rows has stopped to rise, and later epochs are thrown away."""
    recorder = Recorder()
    vae = vae_of(
        early_stopping=True,
        validation_fraction=0.5,
        patience=3,
        learning_rate=0.1,
        learning_rate_schedule="constant",
        max_epochs=200,
        callbacks=[recorder],
    ).fit(factors)
    assert 4 < vae.n_iter_ < 200
    valid = [row["valid_loss"] for row in vae.history_]
    assert recorder.valid == valid  # callbacks heard of the last epoch too
    best = int(np.argmin(valid))
    assert best == len(valid) - 1 - 3
    assert torch.equal(vae.net_.module_.head.weight, recorder.weights[best])
    assert not torch.equal(vae.net_.module_.head.weight, recorder.weights[-1])


def test_the_best_epoch_is_the_best_where_losses_are_negative(factors):
    """Densities of small numbers are above one: a relative threshold would turn its sign."""
    recorder = Recorder()
    vae = vae_of(
        early_stopping=True,
        patience=10,
        learning_rate=0.02,
        learning_rate_schedule="constant",
        max_epochs=100,
        callbacks=[recorder],
    ).fit(1e-9 * factors)
    valid = [row["valid_loss"] for row in vae.history_]
    assert max(valid) < 0
    best = int(np.argmin(valid))
    assert torch.equal(vae.net_.module_.head.weight, recorder.weights[best])


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_fraction_of_rows_is_held_out(factors, fraction):
    seen = {}

    class Sizes(Callback):
        def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
            seen.update(train=dataset_train, valid=dataset_valid)

    vae_of(
        early_stopping=True, validation_fraction=fraction, max_epochs=2, callbacks=[Sizes()]
    ).fit(factors)
    train, valid = (seen[k][:][0].numpy() for k in ("train", "valid"))
    assert len(valid) == fraction * 240
    assert len(np.unique(np.vstack([train, valid]), axis=0)) == 240


# ---------------------------------------------------------------------- divergence
@pytest.mark.parametrize("batch_size", [60, 240])
def test_a_loss_that_becomes_nan_ends_with_the_last_good_weights(factors, batch_size):
    recorder = Recorder()
    with pytest.warns(ConvergenceWarning, match=r"not a number in epoch 4.* those of epoch 3\. L"):
        vae = wild(4, recorder, batch_size=batch_size).fit(factors)
    assert vae.n_iter_ == len(vae.history_) == 3
    assert recorder.ended == 1
    assert torch.equal(vae.net_.module_.head.weight, recorder.weights[2])
    assert np.isfinite(vae.score_samples(factors)).all()


def test_what_to_lower_is_said_at_the_line_that_called_fit(factors):
    with pytest.warns(ConvergenceWarning, match=r"Lower learning_rate \(0.02\)") as caught:
        wild(4).fit(factors)
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")  # by so large a rate
def test_a_divergence_with_early_stopping_ends_with_the_best_weights(factors):
    recorder = Recorder()
    with pytest.warns(ConvergenceWarning, match="not a number in epoch 10"):
        vae = wild(10, recorder, early_stopping=True, learning_rate=0.1).fit(factors)
    best = int(np.argmin(recorder.valid[:9]))
    assert best < 8
    assert torch.equal(vae.net_.module_.head.weight, recorder.weights[best])


@pytest.mark.parametrize("batch_size", [60, 240])
def test_a_loss_that_is_nan_in_the_first_epoch_is_an_error(factors, batch_size):
    vae = wild(1, batch_size=batch_size)
    with pytest.raises(FloatingPointError, match=r"first epoch. Lower learning_rate \(0.02\)"):
        vae.fit(factors)
    assert not hasattr(vae, "net_")


class Spoilt(torch.nn.Module):
    """An encoder that gives NaN."""

    n_outputs = 3

    def forward(self, x):
        return torch.full((len(x), 3), torch.nan)


def test_a_module_that_gives_nan_is_an_error(factors):
    with pytest.raises(FloatingPointError, match="not a number in the first epoch"):
        vae_of(encoder=lambda n_inputs, n_outputs: Spoilt()).fit(factors)


# ---------------------------------------------------------------------- going on
def test_a_warm_start_goes_on_and_a_cold_one_starts_again(factors):
    vae = vae_of(max_epochs=20).fit(factors)
    before, first = vae.history_[-1]["train_loss"], vae.history_[0]["train_loss"]
    assert vae.fit(factors).history_[0]["train_loss"] == first
    resumed = vae.set_params(warm_start=True).fit(factors)
    assert resumed.history_[0]["train_loss"] < (before + first) / 2
    assert resumed.n_iter_ == 20


def test_a_warm_start_heeds_changed_parameters_of_the_loss(factors):
    vae = vae_of(max_epochs=20, warm_start=True).fit(factors)
    kl = vae.history_[-1]["train_kl"]
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        vae.set_params(kl_weight=100.0, max_epochs=40).fit(factors)
    assert vae.history_[-1]["train_kl"] < 0.05 * kl
    assert vae.net_.module_.kl_weight == 100.0


def test_a_failed_warm_start_leaves_the_fit_as_it_was(factors):
    vae = vae_of(warm_start=True).fit(factors)
    Z, history = vae.transform(factors), vae.history_
    vae.set_params(callbacks=[Wild(1)], learning_rate_schedule="constant")
    with pytest.raises(FloatingPointError, match="first epoch"):
        vae.fit(factors)
    np.testing.assert_array_equal(vae.transform(factors), Z)
    assert vae.history_ is history


@pytest.mark.parametrize("changed", ["columns", "sizes", "components", "labels"])
def test_a_warm_start_that_does_not_fit_is_refused(factors, changed):
    labels = np.arange(240) % 3
    vae = vae_of(warm_start=True, prior="class", max_epochs=20).fit(factors, labels=labels)
    before = vars(vae).copy()
    X = factors[:, :3] if changed == "columns" else factors
    vae.set_params(
        **{"sizes": {"hidden_layer_sizes": (9,)}, "components": {"n_components": 3}}.get(
            changed, {}
        )
    )
    with pytest.raises(
        ValueError, match=r"goes on from the weights of the last .* warm_start=False"
    ):
        vae.fit(X, labels=labels + 1 if changed == "labels" else labels)
    for name in ("net_", "history_", "n_features_in_", "classes_", "_units"):
        assert getattr(vae, name) is before[name]


# ---------------------------------------------------------------------- optimizer
def test_weight_decay_makes_it_adamw(factors):
    plain, decayed = vae_of(), vae_of(weight_decay=0.1)
    assert type(plain.fit(factors).net_.optimizer_) is torch.optim.Adam
    optimizer = decayed.fit(factors).net_.optimizer_
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.param_groups[0]["weight_decay"] == 0.1


def test_a_gradient_clipped_to_nothing_learns_little(factors):
    """Adam divides by the gradient's size, so that only its noise floor is left."""
    losses = [
        vae_of(gradient_clip=clip).fit(factors).history_[-1]["train_loss"] for clip in (1e-12, None)
    ]
    assert losses[0] > losses[1] + 0.3


# ---------------------------------------------------------------------- threads
def test_overlapping_fits_leave_the_number_of_threads_as_it_was():
    """One begins while the other holds torch to one thread, and ends after it."""
    before = torch.get_num_threads()
    module = torch.nn.Linear(2, 2)
    events = [threading.Event() for _ in range(2)]

    def second():
        with threads_for(module, 1):
            events[0].set()
            events[1].wait(10)

    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(1) as pool:
            with threads_for(module, 1):
                assert torch.get_num_threads() == 1
                other = pool.submit(second)
                events[0].wait(10)
            events[1].set()
            other.result()
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)
