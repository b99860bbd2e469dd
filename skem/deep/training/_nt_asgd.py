"""Stochastic gradient descent that is averaged once it stops getting better (NT-ASGD).

    w_t = w_{t-1} - lr * gradient,      averages of w_t from the trigger T on are what is used

The trigger is non-monotonic: the loss after an epoch is above the lowest one before the last
``patience`` epochs (Merity, Keskar and Socher 2018, algorithm 1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from skorch.callbacks import Callback

_NEVER = 1e18
"""Step at which averaging starts, before there is a trigger."""


class AveragedSGD(torch.optim.ASGD):
    """Gradient descent with a constant rate; the weights that are used become averages.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
    weight_decay : float, default=0.0
    """

    def __init__(self, params: Any, lr: float = 30.0, weight_decay: float = 0.0):
        super().__init__(params, lr, lambd=0.0, alpha=0.0, t0=_NEVER, weight_decay=weight_decay)
        self.swapped = False

    @property
    def averages(self) -> bool:
        return self.param_groups[0]["t0"] < _NEVER

    def start_averaging(self) -> None:
        """Averages are those of the weights after each step from now on."""
        for group in self.param_groups:
            steps = [float(self.state[p]["step"]) for p in group["params"] if p in self.state]
            group["t0"] = max(steps, default=0.0)

    def train(self) -> None:
        """The module has the weights that are trained."""
        if self.swapped:
            self._swap()

    def eval(self) -> None:
        """The module has the averages, if there are any yet."""
        if self.averages and not self.swapped:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p in self.state:
                    ax = self.state[p]["ax"]
                    trained = p.clone()
                    p.copy_(ax)
                    ax.copy_(trained)
        self.swapped = not self.swapped


def averaged_sgd_options(weight_decay: float, device: torch.device) -> dict[str, Any]:
    """`AveragedSGD` as options of the net."""
    return {"optimizer": AveragedSGD, "optimizer__weight_decay": weight_decay}


class StartAveraging(Callback):
    """Pulls the trigger of `AveragedSGD`.

    Parameters
    ----------
    patience : int
        Epochs whose loss is not looked at when the lowest one is taken.
    """

    def __init__(self, patience: int = 5):
        self.patience = patience

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        optimizer = net.optimizer_
        if optimizer.averages:
            return
        name = "valid_loss" if "valid_loss" in net.history[-1] else "train_loss"
        losses = net.history[:, name]
        if losses[-1] > min(losses[: -self.patience], default=math.inf):
            optimizer.start_averaging()
