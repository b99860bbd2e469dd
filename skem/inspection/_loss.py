"""The two parts of the loss of a variational autoencoder over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skem.inspection.drawing._axes import PALETTE, panels_for
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PARTS = {
    "reconstruction": "reconstruction, mean of −log p(x|z)",
    "kl": "KL of q(z|x) from the prior",
}
KINDS = {"train": ("training", "-"), "valid": ("validation", "--")}


class LossDisplay:
    """Reconstruction error and KL over the epochs, in nats per row.

    Made by `from_estimator`. There is a trade-off between them: their sum is minus the bound (with
    ``kl_weight=1``). If KL is close to zero, the posterior has collapsed to the prior.

    Parameters
    ----------
    history : sequence of dict
        For each epoch 'train_reconstruction', 'train_kl', and perhaps 'valid_reconstruction' and
        'valid_kl', in nats per row.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2,)
        The axes drawn on, reconstruction and KL; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : list of list of matplotlib Line2D
        The lines of each panel: training, and validation if there was one.

    See Also
    --------
    ReconstructionDisplay : Rows, encoded and decoded.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem import VAETransformer
    >>> from skem.inspection import LossDisplay
    >>> vae = VAETransformer(hidden_layer_sizes=(32,), max_epochs=20, random_state=0)
    >>> display = LossDisplay.from_estimator(vae.fit(load_iris().data))
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['nats per row', 'nats per row']
    """

    axes_: NDArray
    figure_: Figure
    lines_: list[list[Line2D]]

    def __init__(self, *, history: Sequence[Mapping[str, float]]):
        self.history = list(history)
        if not self.history:
            raise ValueError("history is empty: there is no epoch to draw.")
        missing = {f"train_{part}" for part in PARTS} - self.history[0].keys()
        if missing:
            raise ValueError(
                f"history must have {sorted(missing)} for each epoch, got "
                f"{sorted(self.history[0])}."
            )

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: Any = None, **kwargs: Any) -> LossDisplay:
        """Draw the losses of a fitted variational autoencoder.

        Parameters
        ----------
        estimator : VAETransformer
            Fitted; also a pipeline that ends in one, or a search over such.
        axes : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        display : LossDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no ``history_``.
        ValueError
            If there are not two axes.
        ImportError
            If matplotlib is not installed.
        """
        model, _ = fitted_final_step(estimator, None)
        if not hasattr(model, "history_"):
            raise TypeError(
                "LossDisplay draws the history_ of a variational autoencoder, and "
                f"{type(model).__name__} has none."
            )
        return cls(history=model.history_).plot(axes, **kwargs)

    def plot(self, axes: Any = None, *, line_kw: Mapping[str, Any] | None = None) -> LossDisplay:
        """Draw both losses.

        Parameters
        ----------
        axes : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure by default.
        line_kw : dict, default=None
            Properties of all lines, for matplotlib's ``plot``.

        Returns
        -------
        display : LossDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are not two axes.
        ImportError
            If matplotlib is not installed.
        """
        panels = panels_for(self, axes, len(PARTS), height=3.6)
        from matplotlib.ticker import MaxNLocator

        epochs = np.arange(1, len(self.history) + 1)
        self.lines_ = []
        for number, (ax, (part, title)) in enumerate(zip(panels, PARTS.items(), strict=True)):
            lines = []
            for kind, (name, mark) in KINDS.items():
                key = f"{kind}_{part}"
                if key not in self.history[0]:
                    continue
                values = [row[key] for row in self.history]
                color = PALETTE[(0, 4)[number]]
                style = {"color": color, "linestyle": mark, "label": name, **(line_kw or {})}
                lines += ax.plot(epochs, values, **style)
            self.lines_.append(lines)
            ax.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
            ax.set_xlabel("epoch")
            ax.set_ylabel("nats per row")
            ax.set_title(title)
            if len(lines) > 1:
                ax.legend()
        return self
