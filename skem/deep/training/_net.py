"""The bridge to skorch: one net that trains every deep model here.

A module that it trains is called with a batch, ``module(*batch)``, and returns the loss of the
batch, a number with a gradient, and sums over the rows without: numbers or tensors of one number,
in the order of ``module.parts``, of which the first is the loss and the last the weight of the
rows. Nothing is read back from the device before the epoch is over.

A module with a true ``foreign`` has layers that draw from torch's global generators.

The module may have ``separate``, modules inside it whose gradients are clipped apart, and a tensor
``step``, which is given the number of batches so far, for schedules of its own (a tensor, since a
compiled module is compiled anew for another number).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from torch import Tensor

from skem._interrupts import interrupts_noted, plain_interrupts
from skem.deep.modules.draws import borrowed, set_aside
from skem.deep.training._tasks import EpochTasks


@dataclasses.dataclass
class _Steps:
    """How far the training is: batches done and planned, and the tensor that tells the module."""

    done: int = 0
    planned: int = 1
    shown: Tensor | None = None


_KEPT = 1 << 10  # numbers that are kept in one array
_OFTEN = 64  # steps between two looks at the moments of Adam
_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class DivergedError(FloatingPointError):
    """The loss is not a number any more.

    Parameters
    ----------
    epoch : int
        Epoch, from 1, in which that was seen.
    """

    def __init__(self, epoch: int):
        super().__init__(f"The loss is not finite in epoch {epoch}.")
        self.epoch = epoch


class Net(NeuralNet):
    """A skorch net for modules that compute their own loss.

    Parameters
    ----------
    module : torch.nn.Module
        See above.
    clip : float, default=None
        Largest norm of the gradient.
    schedule : callable, default=None
        From the share of the training that is done, in [0, 1), to a factor of the learning rate.
    precision : {'float32', 'bfloat16', 'float16'}, default='float32'
        Of products on CUDA (mixed precision); with float16 the loss is scaled.
    **options : dict
        Of `skorch.NeuralNet`.

    Attributes
    ----------
    n_steps_ : int
        Batches so far.
    interrupted_ : bool
        Whether Ctrl-C has ended the last training, and not a callback.
    """

    module: Any
    module_: Any
    _scaler: torch.amp.GradScaler
    train_split: Any

    def __init__(
        self,
        module: Any,
        *,
        clip: float | None = None,
        schedule: Callable[[float], float] | None = None,
        precision: str = "float32",
        **options: Any,
    ):
        self.clip = clip
        self.schedule = schedule
        self.precision = precision
        options.setdefault("criterion", torch.nn.Identity)
        super().__init__(module, **options)

    @property
    def n_steps_(self) -> int:
        return self._steps.done

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return []

    def initialize(self) -> Net:
        self._steps = _Steps()
        self.good_: dict[str, Tensor] | None = None
        self.interrupted_ = False
        return super().initialize()

    def let_go(self) -> None:
        """Keep what is used after training: no copies, moments or compiled module."""
        self.module_ = getattr(self.module_, "_orig_mod", self.module_)
        self.module_.eval()
        self.module_.zero_grad(set_to_none=True)
        self.module = None  # would be pickled once more, and bound to the device
        self.train_split = None
        self.good_ = None
        self.optimizer_.state.clear()  # of Adam twice as large as the module
        for name in ("callbacks", "callbacks_"):
            setattr(self, name, [c for c in getattr(self, name) or [] if not _is_of_the_fit(c)])
        own = dict(self.callbacks_).get("early_stopping")
        if isinstance(own, EarlyStopping):
            own.best_model_weights_ = None  # which the module has
        self._steps.shown = None
        del self._scaler, self._autocast, self._lowest

    # ------------------------------------------------------------------ training
    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Net:
        epochs = self.max_epochs if epochs is None else epochs
        train, valid = self.get_split_datasets(X, y)
        batches = self.get_iterator(train, training=True)
        held_out = None if valid is None else self.get_iterator(valid, training=False)
        self._steps.planned = self.n_steps_ + epochs * len(batches)
        self._steps.shown = getattr(self.module_, "step", None)
        datasets = {"dataset_train": train, "dataset_valid": valid}
        self._set_precision()
        self._ended_by_callback = False
        self._lowest: dict[str, tuple[int, float]] = {}  # epochs seen, and the lowest value
        try:
            with plain_interrupts(), interrupts_noted() as noted:
                for _ in range(epochs):
                    self._one_epoch(batches, held_out, datasets)
        except KeyboardInterrupt as error:
            self.interrupted_ = noted.pressed or not self._ended_by_callback
            if self.good_ is None:  # which skorch would take for the end of a training
                raise RuntimeError("Interrupted in the first epoch.") from error
            self._drop_part_of_epoch()
            raise
        return self

    def _one_epoch(self, batches: Any, held_out: Any, datasets: dict[str, Any]) -> None:
        self.notify("on_epoch_begin", **datasets)
        self.run_single_epoch(batches, True, "train", self._train_batch)
        if held_out is not None:
            self.run_single_epoch(held_out, False, "valid", self._valid_batch)
        self._keep_good_weights()
        self._n_whole = len(self.history)
        self.notify("on_epoch_end", **datasets)

    def _drop_part_of_epoch(self) -> None:
        """Go back to the end of the last whole epoch: it may be the middle of a step."""
        if len(self.history) > self._n_whole:
            self.history.pop()
            self._turn_optimizer("eval")
            self.restore_good_weights()

    def notify(self, method_name: str, **cb_kwargs: Any) -> Any:
        """Callbacks may draw: the training goes on with the numbers that it would have had."""
        try:
            with set_aside():
                return super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:  # as callbacks of skorch end a training
            self._ended_by_callback = True
            raise

    def _set_precision(self) -> None:
        mixed = self.precision != "float32" and torch.device(self.device).type == "cuda"
        self._autocast: Any = contextlib.nullcontext()
        if mixed:
            self._autocast = torch.autocast("cuda", dtype=getattr(torch, self.precision))
        half = mixed and self.precision == "float16"
        self._scaler = torch.amp.GradScaler("cuda", enabled=half)

    def run_single_epoch(
        self,
        iterator: Iterable,
        training: bool,
        prefix: str,
        step_fn: Callable[[tuple], tuple],
        **fit_params: Any,
    ) -> None:
        """Go over all batches; the history gets the means of the parts of the loss over rows.

        Raises
        ------
        DivergedError
            If the loss of a training epoch, or that of its last batch with the weights that the
            epoch ends with, is not finite.
        """
        self._listened = listened = any(_listens(callback) for _, callback in self.callbacks_)
        if not listened and training:
            self.history.new_batch()  # Checkpoint wants one, to name files by
        self.module_.train(training)
        if training:
            self._turn_optimizer("train")
        sums_of = [_Sum() for _ in self.module_.parts]
        for batch in iterator:
            if listened:
                self.notify("on_batch_begin", batch=batch, training=training)
            parts = step_fn(batch)
            for total, value in zip(sums_of, parts, strict=True):
                total.add(value)
            if listened:
                loss = parts[0] / parts[-1]
                told = {"batch": batch, "training": training, "loss": loss, "y_pred": None}
                self.notify("on_batch_end", **told)
        *sums, weight = [float(total) for total in sums_of]
        if training:
            self.module_.eval()
            self._turn_optimizer("eval")
            after = float(self._valid_batch(batch)[0])
            if not (math.isfinite(sums[0]) and math.isfinite(after)):
                raise DivergedError(len(self.history))
        for name, value in zip(self.module_.parts[:-1], sums, strict=True):
            self.history.record(f"{prefix}_{name}", value / weight)
        self._record_best(f"{prefix}_loss")

    def _turn_optimizer(self, mode: str) -> None:
        """An optimizer may train other weights than those that are used: averages of them."""
        if hasattr(self.optimizer_, mode):
            getattr(self.optimizer_, mode)()

    def _record_best(self, name: str) -> None:
        """Whether it is the lowest so far, as skorch's own callbacks want to know."""
        n, value = len(self.history), self.history[-1, name]
        n_seen, lowest = self._lowest.get(name, (0, math.inf))
        if n_seen != n - 1:
            before = (v for v in self.history[:-1, name] if not math.isnan(v))
            lowest = min(before, default=math.inf)
        self.history.record(f"{name}_best", value < lowest)
        self._lowest[name] = n, value if value < lowest else lowest

    def _train_batch(self, batch: tuple) -> tuple:
        optimizer, module, steps = self.optimizer_, self.module_, self._steps
        if self.schedule is not None:
            factor = self.schedule(steps.done / steps.planned)
            for group in optimizer.param_groups:
                group["lr"] = self.lr * factor
        if steps.shown is not None:
            steps.shown.fill_(steps.done)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        with self._draws(), self._autocast:
            loss, parts = module(*batch)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(optimizer)
        if self._listened:
            named = list(module.named_parameters())
            self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
        if self.clip is not None:
            for part in getattr(module, "separate", [module]):
                torch.nn.utils.clip_grad_norm_(part.parameters(), self.clip)
        self._scaler.step(optimizer)
        self._scaler.update()
        steps.done += 1
        if steps.done % _OFTEN == 0:
            drop_decayed(optimizer)
        return parts

    def _valid_batch(self, batch: tuple) -> tuple:
        with torch.inference_mode(), self._draws():
            return self.module_(*batch)[1]

    def _draws(self) -> contextlib.AbstractContextManager:
        """Where layers of the user's own may draw, by torch's global generators."""
        if not getattr(self.module_, "foreign", False):
            return contextlib.nullcontext()
        return borrowed(torch.device(self.device))

    def _keep_good_weights(self) -> None:
        state = self.module_.state_dict()
        if self.good_ is None:
            self.good_ = copy.deepcopy(state)
            return
        for name, value in state.items():
            self.good_[name].copy_(value)

    def restore_good_weights(self) -> None:
        """Weights at the end of the last epoch whose loss was finite."""
        if self.good_ is not None:
            self.module_.load_state_dict(self.good_)


def _is_of_the_fit(callback: Any) -> bool:
    """Whether a callback, or a pair of name and callback, holds rows and functions of the fit."""
    return isinstance(callback[1] if isinstance(callback, tuple) else callback, EpochTasks)


def _listens(callback: Callback) -> bool:
    """Whether a callback wants to hear of batches: each call costs as much as a small layer."""
    kind = type(callback)
    return any(getattr(kind, name) is not getattr(Callback, name) for name in _BATCH_EVENTS)


def drop_decayed(optimizer: torch.optim.Optimizer) -> None:
    """Set moments of Adam to zero that would be subnormal before the next look at them.

    Those of a weight whose gradients have ended, of an input that is nearly always zero or of a
    rare token, fall by beta at each step. An Intel processor takes a hundred cycles for a product
    with a subnormal number, and rounding keeps them there: 0.9 times the least number is itself.
    Steps of such weights are below 1e-27 of the learning rate.
    """
    for group in optimizer.param_groups:
        for name, beta in zip(("exp_avg", "exp_avg_sq"), group.get("betas", ()), strict=False):
            for parameter in group["params"]:
                moment = optimizer.state.get(parameter, {}).get(name)
                if moment is not None and moment.device.type == "cpu":
                    least = torch.finfo(moment.dtype).tiny / beta**_OFTEN
                    moment.copy_(torch.hardshrink(moment, least))


class _Sum:
    """A sum of numbers and of tensors of one number, which are read from the device once.

    Their values are copied into a few arrays. Kept themselves, they would lie between the large
    tensors of a batch, which then find no room where those of the last batch were, and memory
    grows with each batch.
    """

    def __init__(self) -> None:
        self.others, self.n = 0.0, 0
        self.blocks: list[Tensor] = []

    def add(self, value: Any) -> None:
        if not torch.is_tensor(value):
            self.others += value
            return
        place = self.n % _KEPT
        if place == 0:
            self.blocks.append(value.new_zeros(_KEPT))
        self.blocks[-1][place].copy_(value.detach())
        self.n += 1

    def __float__(self) -> float:
        if not self.n:
            return float(self.others)
        return self.others + float(torch.cat(self.blocks)[: self.n].sum(dtype=torch.float64))
