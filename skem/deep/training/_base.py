"""What the estimators of deep models share: training through the net, and use afterwards."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
)
from skorch.helper import predefined_split

from skem._callbacks import CallbackSupportMixin, IterationCallbacks
from skem._interrupts import interrupts_later, plain_interrupts
from skem._sklearn import Interval, StrOptions
from skem._warnings import warn_user
from skem.deep.modules.draws import borrowed, own_generators
from skem.deep.training._data import Batches
from skem.deep.training._device import device_named, resolve_device, same_device, threads_for
from skem.deep.training._net import DivergedError, Net
from skem.deep.training._settings import FittedSettingsMixin
from skem.deep.training._tasks import EpochTasks


def cosine(done: float) -> float:
    """From 1 to 0 along half a wave."""
    return 0.5 * (1 + math.cos(math.pi * done))


def _is_scheduler(callback: Any) -> bool:
    kind = callback[1] if isinstance(callback, tuple) else callback
    return isinstance(kind, LRScheduler) or kind is LRScheduler


def check_callbacks(callbacks: list | None) -> None:
    """Refuse what skorch could not call.

    Raises
    ------
    TypeError
        It says which entry is wrong, and what entries may be.
    ValueError
        If one makes scores of predictions, which the modules do not give in training.
    """
    for i, given in enumerate(callbacks or []):
        named = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
        callback = given[1] if named else given
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks[{i}] must be a callback of skorch, or a pair of a name and one; got "
                f"{given!r}. Callbacks of scikit-learn go to set_callbacks."
            )
        if _wants_predictions(callback, kind):
            raise ValueError(
                f"callbacks[{i}], {kind.__name__}, makes scores of the predictions for batches, "
                "and in training the networks give losses, and no predictions. Use "
                "EpochScoring(function, use_caching=False) with function(net, dataset, y=None), or "
                "on_epoch_end of a callback of your own."
            )


def _wants_predictions(callback: Any, kind: type) -> bool:
    """Whether a callback of skorch makes scores of what the module predicts."""
    if not issubclass(kind, EpochScoring):
        return issubclass(kind, (BatchScoring, PassthroughScoring))
    scoring = getattr(callback, "scoring", None)
    of_predictions = getattr(scoring, "__module__", None) or ""
    if not callable(scoring) or of_predictions.startswith("sklearn.metrics"):
        return True
    return bool(callback.use_caching)


def silent(message: str) -> None:
    """Say nothing."""


SCHEDULES: dict[str, Callable[[float], float] | None] = {"constant": None, "cosine": cosine}
PRECISIONS = ("float32", "bfloat16", "float16")

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


class DeepEstimatorMixin(FittedSettingsMixin, CallbackSupportMixin):
    """Trains a module by `Net`; ``fit`` is wrapped in `with_callbacks`.

    The estimator has the parameters ``learning_rate``, ``learning_rate_schedule``,
    ``weight_decay``, ``gradient_clip``, ``batch_size``, ``max_epochs``, ``early_stopping``,
    ``patience``, ``warm_start``, ``device``, ``precision``, ``compile``, ``random_state``,
    ``callbacks`` and ``verbose``.
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

    def _train(
        self,
        module: torch.nn.Module,
        train: Any,
        valid: Any,
        *,
        attributes: Callable[[Any], dict[str, Any]],
        data: dict[str, Any],
    ) -> dict[str, Any]:
        """Train the module; returns the fitted attributes, none of them set yet.

        Parameters
        ----------
        module : torch.nn.Module
        train, valid : Dataset
            The latter may be None.
        attributes : callable
            From the net to the fitted attributes.
        data : dict
            What scikit-learn's callbacks see: 'X', 'y', 'metadata'.
        """
        size = self._size_of_batches(train)
        callbacks = IterationCallbacks(self, n_starts=1, max_iter=self._n_epochs, **data)
        tasks = [EpochTasks(callbacks, attributes)] if callbacks.active else []
        net = self._make_net(module, valid, size, tasks).initialize()
        self._before_training(net)
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
            self._say_interrupted(net)
        return fitted

    def _say_interrupted(self, net: Net) -> None:
        """Ctrl-C, and no callback, has ended the training."""
        n_epochs = len(net.history)
        best = getattr(dict(net.callbacks_).get("early_stopping"), "best_epoch_", 0) or n_epochs
        warn_user(
            f"Training interrupted after {n_epochs} of {self._n_epochs} epochs; the weights are "
            f"those of epoch {best}. Set warm_start=True to go on from here.",
            ConvergenceWarning,
        )

    def _size_of_batches(self, train: Any) -> int:
        """With 'auto' a few hundred steps are made in the default epochs, also of few rows."""
        if isinstance(self.batch_size, str):
            return min(max(len(train) // 16, 16), 128)
        return self.batch_size

    def _make_net(
        self, module: torch.nn.Module, valid: Any, batch_size: int, tasks: list[EpochTasks]
    ) -> Net:
        device = resolve_device(self.device)
        check_callbacks(self.callbacks)
        own = [*tasks, *(self.callbacks or [])]
        scheduled = any(_is_scheduler(callback) for callback in own)
        callbacks: list[Any] = [("timer", EpochTimer()), *self._own_callbacks(), *own]
        if self.verbose:
            callbacks.append(("print_log", PrintLog()))
        # The last, for those after it do not hear of the last epoch.
        if self.early_stopping and valid is not None:
            callbacks.append(("early_stopping", self._early_stopping()))
        return Net(
            module,
            clip=self.gradient_clip,
            schedule=None if scheduled else self._schedule,
            precision=self.precision,
            **self._optimizer_options(device),
            lr=self._learning_rate,
            max_epochs=self._n_epochs,
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

    @property
    def _n_epochs(self) -> int:
        """At the most."""
        return self.max_epochs

    @property
    def _schedule(self) -> Callable[[float], float] | None:
        """From the share of the training that is done to a factor of the learning rate."""
        return SCHEDULES[self.learning_rate_schedule]

    def _optimizer_options(self, device: torch.device) -> dict[str, Any]:
        """The optimizer, as options of the net."""
        options: dict[str, Any] = {
            "optimizer": torch.optim.AdamW if self.weight_decay else torch.optim.Adam,
            "optimizer__fused": device.type in ("cpu", "cuda"),
        }
        if self.weight_decay:
            options["optimizer__weight_decay"] = self.weight_decay
        return options

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

    def _before_training(self, net: Net) -> None:
        """The net is initialized, and nothing trained."""

    def _load_weights(self, module: torch.nn.Module) -> None:
        """Go on from the last fit: its weights into a new module."""
        state = self.net_.module_.state_dict()
        shapes = {name: value.shape for name, value in state.items()}
        if shapes != {name: value.shape for name, value in module.state_dict().items()}:
            raise ValueError(f"{GOES_ON} sizes of layers, or kinds of model. {WAY_OUT}")
        module.load_state_dict(state)

    def _fitted_attributes(self, net: Net, **others: Any) -> dict[str, Any]:
        """What is known of a fit."""
        history = history_of(net)
        return {"net_": net, "history_": history, "n_iter_": len(history), **others}

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


def history_of(net: Net) -> list[dict[str, float]]:
    """A dict for each epoch: its number, seconds ('dur'), and means of the parts of the loss."""

    def wanted(key: str) -> bool:
        of_loss = key.startswith(("train_", "valid_")) and not key.endswith("_best")
        return of_loss or key in ("epoch", "dur")

    return [{key: row[key] for key in row if wanted(key)} for row in net.history.to_list()]
