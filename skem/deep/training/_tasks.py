"""scikit-learn's callbacks during the training of a net: one task an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skem._callbacks import IterationCallbacks


class EpochTasks(Callback):
    """Tells an estimator's callbacks of the epochs, and ends the training if one wants that.

    Parameters
    ----------
    callbacks : IterationCallbacks
    attributes : callable
        From the net to the fitted attributes as if the training had ended here.
    """

    def __init__(
        self, callbacks: IterationCallbacks, attributes: Callable[[NeuralNet], dict[str, Any]]
    ):
        self.callbacks = callbacks
        self.attributes = attributes

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.task_ = self.callbacks.begin(0)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.callbacks.end(self.task_, lambda: self.attributes(net)):
            raise KeyboardInterrupt  # as skorch's own callbacks end a training
