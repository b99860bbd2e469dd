"""What the estimators of deep models share: training through the net, and use afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import EarlyStopping, EpochTimer, PrintLog
from skorch.helper import predefined_split

from skem._callbacks import CallbackSupportMixin, IterationCallbacks
from skem._interrupts import interrupts_later, plain_interrupts
from skem._sklearn import Interval, StrOptions
from skem._validation import set_fitted, unchanged_on_error
from skem._warnings import warn_user
from skem.deep.modules.draws import OwnInitialisation, borrowed, own_generators
from skem.deep.training._data import Batches
from skem.deep.training._device import device_named, resolve_device, same_device, threads_for
from skem.deep.training._net import DivergedError, Net
from skem.deep.training._random import draw_seed, training
from skem.deep.training._settings import FittedSettingsMixin
from skem.deep.training._tasks import EpochTasks
from skem.deep.training._user_callbacks import check_callbacks, is_scheduler


def cosine(done: float) -> float:
    """From 1 to 0 along half a wave."""
    return 0.5 * (1 + math.cos(math.pi * done))


def size_of_batches(n: int, limits: tuple[int, int]) -> int:
    """Of n rows, or what else is counted; within the limits."""
    least, most = limits
    return min(max(n // BATCHES, least), most)


def adam_options(weight_decay: float, device: torch.device) -> dict[str, Any]:
    """Adam, or AdamW where weights decay, as options of the net."""
    options: dict[str, Any] = {
        "optimizer": torch.optim.AdamW if weight_decay else torch.optim.Adam,
        "optimizer__fused": device.type in ("cpu", "cuda"),
    }
    if weight_decay:
        options["optimizer__weight_decay"] = weight_decay
    return options


def silent(message: str) -> None:
    """Say nothing."""


SCHEDULES: dict[str, Callable[[float], float] | None] = {"constant": None, "cosine": cosine}
PRECISIONS = ("float32", "bfloat16", "float16")

BATCHES = 16
"""Batches of an epoch, about, with a size of 'auto': many steps are made of few rows, too."""

_SIZES = 16, 128
"""Least and greatest number of rows of a batch of size 'auto'."""

# What the parameters of training may be.
TRAINING: dict[str, list] = {
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "learning_rate_schedule": [StrOptions(set(SCHEDULES))],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "patience": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
    "device": [str],
    "precision": [StrOptions(set(PRECISIONS))],
    "compile": ["boolean"],
    "random_state": ["random_state"],
    "callbacks": [list, None],
    "verbose": ["verbose"],
}

GOES_ON = "warm_start=True goes on from the weights of the last fit, which do not fit these"
WAY_OUT = "Give those of the last fit, or set warm_start=False."


@dataclasses.dataclass(frozen=True)
class Plan:
    """How one call of `fit` or `partial_fit` trains."""

    goes_on: bool  # from the weights of the last fit
    partial: bool  # with a constant learning rate, and all rows
    n_epochs: int  # at most
    holds_out: bool  # rows for early stopping
    before: list[dict[str, float]]  # epochs that the history begins with
    seed: int
    device: torch.device


class DeepEstimatorMixin(FittedSettingsMixin, CallbackSupportMixin):
    """`fit` and `partial_fit` of every estimator that is a network, trained by `Net`.

    The estimator has the parameters in `TRAINING`; its ``fit`` is wrapped in `with_callbacks`. It
    says what is its own by these methods:

    - ``_training_data(X, y, *, goes_on, **given)`` validates what the user gave, and reads it.
    - ``_datasets(data, plan)`` gives what batches are made of: to train on, and to watch or None.
    - ``_make_module(data)`` gives a torch module with new weights, see `Net`.
    - ``_attributes(net, data, plan)`` gives the fitted attributes as a dict: none is set before
      the training is over.
    """

    learning_rate: float
    learning_rate_schedule: str
    weight_decay: float
    gradient_clip: float | None
    batch_size: int | str
    max_epochs: int
    early_stopping: bool
    patience: int
    warm_start: bool
    device: str
    precision: str
    compile: bool
    random_state: Any
    callbacks: Any
    verbose: int
    net_: Net
    history_: list[dict[str, float]]

    _training_data: Callable[..., Any]
    _datasets: Callable[[Any, Plan], tuple[Any, Any]]
    _make_module: Callable[[Any], torch.nn.Module]
    _stale: tuple[str, ...] = ()  # attributes that another fit may not set again

    # ------------------------------------------------------------------ fit
    def _fit_network(self, X: Any, y: Any = None, *, partial: bool = False, **given: Any) -> None:
        """`fit`, or one epoch of `partial_fit`: the estimator is changed when all is done."""
        with unchanged_on_error(self):
            goes_on = (partial or self.warm_start) and hasattr(self, "net_")
            self._note_settings(goes_on=goes_on)
            data = self._training_data(X, y, goes_on=goes_on, **given)
            plan = self._plan(goes_on=goes_on, partial=partial)
            with training(plan.seed, plan.device):
                train, valid = self._datasets(data, plan)
                with OwnInitialisation():
                    module = self._make_module(data)
                if goes_on:
                    self._load_weights(module)
                fitted = self._train(
                    module,
                    train,
                    valid,
                    plan,
                    attributes=lambda net: self._attributes(net, data, plan),
                    seen={"X": X, "y": y, "metadata": _given(given)},
                )
            set_fitted(self, fitted, stale=self._stale)
            self._after_training(data)

    def _plan(self, *, goes_on: bool, partial: bool) -> Plan:
        return Plan(
            goes_on=goes_on,
            partial=partial,
            n_epochs=1 if partial else self.max_epochs,
            holds_out=self.early_stopping and not partial,
            before=self.history_ if partial and goes_on else [],
            seed=draw_seed(self.random_state),
            device=resolve_device(self.device),
        )

    def _train(
        self,
        module: torch.nn.Module,
        train: Any,
        valid: Any,
        plan: Plan,
        *,
        attributes: Callable[[Any], dict[str, Any]],
        seen: dict[str, Any],
    ) -> dict[str, Any]:
        """Train the module; returns the fitted attributes, none of them set yet.

        Parameters
        ----------
        module : torch.nn.Module
        train, valid : Dataset
            The latter may be None.
        plan : Plan
        attributes : callable
            From the net to the fitted attributes.
        seen : dict
            What scikit-learn's callbacks see: 'X', 'y', 'metadata'.
        """
        size = self._size_of_batches(train)
        callbacks = IterationCallbacks(self, n_starts=1, max_iter=plan.n_epochs, **seen)
        tasks = [EpochTasks(callbacks, attributes)] if callbacks.active else []
        net = self._make_net(module, valid, size, tasks, plan).initialize()
        if plan.partial and plan.goes_on:
            self._take_moments(net)
        try:
            with plain_interrupts(), threads_for(module, size):
                net.partial_fit(train)
        except DivergedError as error:
            self._fall_back(net, error, train)
        with interrupts_later() as noted:
            net.let_go()
            fitted = attributes(net)
        callbacks.finish(fitted)
        if net.interrupted_ or noted.pressed:
            self._say_interrupted(net, plan)
        return fitted

    def _say_interrupted(self, net: Net, plan: Plan) -> None:
        """Ctrl-C, and no callback, has ended the training."""
        n_epochs = len(net.history)
        best = getattr(dict(net.callbacks_).get("early_stopping"), "best_epoch_", 0) or n_epochs
        warn_user(
            f"Training interrupted after {n_epochs} of {plan.n_epochs} epochs; the weights are "
            f"those of epoch {best}. Set warm_start=True to go on from here.",
            ConvergenceWarning,
        )

    def _size_of_batches(self, train: Any) -> int:
        return self._auto_batch_size(train) if isinstance(self.batch_size, str) else self.batch_size

    def _make_net(
        self,
        module: torch.nn.Module,
        valid: Any,
        batch_size: int,
        tasks: list[EpochTasks],
        plan: Plan,
    ) -> Net:
        device = plan.device
        check_callbacks(self.callbacks)
        own = [*tasks, *(self.callbacks or [])]
        constant = plan.partial or any(is_scheduler(callback) for callback in own)
        callbacks: list[Any] = [("timer", EpochTimer()), *self._own_callbacks(), *own]
        if self.verbose:
            callbacks.append(("print_log", PrintLog()))
        # The last, for those after it do not hear of the last epoch.
        if self.early_stopping and valid is not None:
            callbacks.append(("early_stopping", self._early_stopping()))
        return Net(
            module,
            clip=self.gradient_clip,
            schedule=None if constant else self._schedule,
            precision=self.precision,
            **self._optimizer_options(device),
            lr=self._learning_rate,
            max_epochs=plan.n_epochs,
            batch_size=batch_size,
            train_split=None if valid is None else predefined_split(valid),
            **self._iterator_options(device),
            callbacks=callbacks,
            warm_start=True,
            verbose=self.verbose,
            device=str(device),
            compile=self.compile,
        )

    # ------------------------------------------------------------------ what models may change
    @property
    def _learning_rate(self) -> float:
        """Where the schedule starts."""
        return self.learning_rate

    def _auto_batch_size(self, train: Any) -> int:
        """Rows of a batch."""
        return size_of_batches(len(train), _SIZES)

    @property
    def _schedule(self) -> Callable[[float], float] | None:
        """From the share of the training that is done to a factor of the learning rate."""
        return SCHEDULES[self.learning_rate_schedule]

    def _optimizer_options(self, device: torch.device) -> dict[str, Any]:
        """The optimizer, as options of the net."""
        return adam_options(self.weight_decay, device)

    def _iterator_options(self, device: torch.device) -> dict[str, Any]:
        """What gives batches, as options of the net."""
        return {
            "iterator_train": Batches,
            "iterator_train__shuffle": True,
            "iterator_valid": Batches,
        }

    def _own_callbacks(self) -> list[tuple[str, Any]]:
        """Callbacks that belong to the model."""
        return []

    def _after_training(self, data: Any) -> None:
        """What a model learns of itself, and says, once its attributes are set."""

    # ------------------------------------------------------------------ from the last fit
    def _take_moments(self, net: Net) -> None:
        """Go on with the moments of the optimizer."""
        if type(net.optimizer_) is type(self.net_.optimizer_):
            net.optimizer_.load_state_dict(self.net_.optimizer_.state_dict())
        for group in net.optimizer_.param_groups:
            group["lr"] = self._learning_rate

    def _load_weights(self, module: torch.nn.Module) -> None:
        """Go on from the last fit: its weights into a new module."""
        state = self.net_.module_.state_dict()
        shapes = {name: value.shape for name, value in state.items()}
        if shapes != {name: value.shape for name, value in module.state_dict().items()}:
            raise ValueError(f"{GOES_ON} sizes of layers, or kinds of model. {WAY_OUT}")
        module.load_state_dict(state)

    def _attributes(self, net: Net, data: Any, plan: Plan) -> dict[str, Any]:
        """What is known of each fit."""
        n_before = len(plan.before)
        own = [row | {"epoch": n_before + row["epoch"]} for row in history_of(net)]
        history = [*plan.before, *own]
        return {"net_": net, "history_": history, "n_iter_": len(history)}

    def _early_stopping(self) -> EarlyStopping:
        # No relative threshold: losses may be negative, and then a worse one would be within it.
        return EarlyStopping(
            monitor="valid_loss",
            patience=self.patience,
            threshold=0,
            threshold_mode="abs",
            load_best=True,
            sink=silent,
        )

    def _fall_back(self, net: Net, error: DivergedError, train: Any) -> None:
        """Take the last good weights, or the best ones, and say what has gone wrong."""
        if error.epoch == 1:
            raise FloatingPointError(
                "The loss is not a number in the first epoch. Lower learning_rate "
                f"({self._learning_rate:g}), scale X, or set gradient_clip."
            ) from error
        net.restore_good_weights()
        net.history.pop()
        net.notify("on_train_end", X=train, y=None)
        best = getattr(dict(net.callbacks_).get("early_stopping"), "best_epoch_", 0)
        warn_user(
            f"The loss is not a number in epoch {error.epoch}; training stopped, and the "
            f"weights are those of epoch {best or error.epoch - 1}. Lower learning_rate "
            f"({self._learning_rate:g}), or set gradient_clip.",
            ConvergenceWarning,
        )

    @contextlib.contextmanager
    def _inference(self, seed: int | None = None) -> Iterator[torch.device]:
        """No gradients, and draws by the seed, if any; gives the device of the module.

        That is where it was trained, unless ``device`` has been set to another one since. A model
        that comes from a machine with a GPU stays where it is loaded to.
        """
        module = self.net_.module_
        module.eval()
        device = next(module.parameters()).device
        wanted = device_named(self.device)
        if wanted is not None and not same_device(wanted, device):
            self.net_.device = str(wanted)
            module.to(wanted)
            device = wanted
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(torch.autocast(device.type, enabled=False))
            if seed is not None:
                stack.enter_context(own_generators(seed, device))
                if getattr(module, "foreign", False):
                    stack.enter_context(borrowed(device))
            yield device


def _given(values: dict[str, Any]) -> dict[str, Any] | None:
    """Those that there are."""
    return {name: value for name, value in values.items() if value is not None} or None


def history_of(net: Net) -> list[dict[str, float]]:
    """A dict for each epoch: its number, seconds ('dur'), and means of the parts of the loss."""

    def wanted(key: str) -> bool:
        of_loss = key.startswith(("train_", "valid_")) and not key.endswith("_best")
        return of_loss or key in ("epoch", "dur")

    return [{key: row[key] for key in row if wanted(key)} for row in net.history.to_list()]
