"""What trains a recurrent language model, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from skem.deep.training._base import adam_options
from skem.deep.training._nt_asgd import averaged_sgd_options


class Optimizer(NamedTuple):
    """An optimizer, and what goes with it."""

    options: Callable[[float, torch.device], dict[str, Any]]  # of the net, from weight_decay
    learning_rate: float  # 'auto'
    follows_schedule: bool  # whether learning_rate_schedule is that of its rate
    averages: bool  # whether `StartAveraging` pulls its trigger


OPTIMIZERS = {
    "adam": Optimizer(adam_options, 6e-3, follows_schedule=True, averages=False),
    "nt-asgd": Optimizer(averaged_sgd_options, 30.0, follows_schedule=False, averages=True),
}
