"""The trace of the bound over the iterations of EM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skem.inspection.drawing._axes import PALETTE, axes_for, legend_for, verbatim
from skem.inspection.drawing._steps import fitted_final_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

LINE_STYLES = ("-", "--", "-.", ":")

AT_LIMIT = 8
"""Distance from the limit, in units of its last digit, up to which a bound is at the limit."""


class BoundDisplay:
    """The bound of one or more fits over their EM maps, or its distance to the limit.

    Made by `from_estimator` or `from_estimators`, for any estimator with ``lower_bounds_``. The
    bound at t is that of the parameters after t EM maps (E steps); at 0, that of the start. On the
    log axis of the distance, EM, which converges linearly, is a straight line: the flatter, the
    slower.

    Parameters
    ----------
    bounds : dict of str to array-like of shape (n_iter,)
        Bounds at the start of each EM map, in nats per row, by the name of the fit.
    limits : dict of str to float, default=None
        Estimated limit of the bounds, in nats per row, by the same names. Where there is no
        estimate, it is inf or nan, or the name is missing.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; set by `plot`, as are the others.
    figure_ : matplotlib Figure
        The figure of the axes.
    lines_ : list of matplotlib Line2D
        One line per fit.

    See Also
    --------
    MixtureDisplay : A Gaussian mixture in two dimensions.

    Examples
    --------
    >>> from skem import GaussianMixtureEM
    >>> from skem.datasets import load_old_faithful
    >>> from skem.inspection import BoundDisplay
    >>> X = load_old_faithful().data
    >>> mixture = GaussianMixtureEM(3, covariance_type="tied", tol=1e-8, random_state=0)
    >>> accelerated = mixture.fit(X)
    >>> display = BoundDisplay.from_estimator(accelerated)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('EM maps', 'lower bound (nats per row)')
    """

    ax_: Axes
    figure_: Figure
    lines_: list[Line2D]

    def __init__(
        self, *, bounds: Mapping[str, ArrayLike], limits: Mapping[str, float] | None = None
    ):
        self.bounds = {name: np.asarray(trace, np.float64) for name, trace in bounds.items()}
        self.limits = {name: float((limits or {}).get(name, math.nan)) for name in bounds}

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None, **kwargs: Any
    ) -> BoundDisplay:
        """Draw the trace of one fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``lower_bounds_``
            Fitted; also a pipeline that ends in one, or a search over such. Its
            ``optimality_gap_``, if it has one, determines the limit.
        name : str, default=None
            Name of the line; by default that of its class, or of the class that ends the pipeline.
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        **kwargs : dict
            Other arguments of `plot`, such as `distance_to`.

        Returns
        -------
        display : BoundDisplay
            The display, drawn. Errors are those of `from_estimators`.
        """
        if name is None:
            name = type(fitted_final_step(estimator, None)[0]).__name__
        return cls.from_estimators({name: estimator}, ax=ax, **kwargs)

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], *, ax: Axes | None = None, **kwargs: Any
    ) -> BoundDisplay:
        """Draw the traces of several fitted estimators into the same axes.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted estimators with ``lower_bounds_``, or pipelines that end in one, by the names of
            their lines.
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        **kwargs : dict
            Other arguments of `plot`, such as `distance_to`.

        Returns
        -------
        display : BoundDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If an estimator is not fitted.
        TypeError
            If one has no ``lower_bounds_``.
        ValueError
            If there is no estimator, a trace is empty, or a limit is needed and not known.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(estimators, Mapping):
            raise TypeError(
                "estimators must be a dict of fitted estimators by the names of their lines, got "
                f"{type(estimators).__name__}."
            )
        bounds, limits = {}, {}
        for name, estimator in estimators.items():
            model, _ = fitted_final_step(estimator, None)
            bounds[name] = _trace(model, name)
            limits[name] = bounds[name][-1] + getattr(model, "optimality_gap_", math.nan)
        return cls(bounds=bounds, limits=limits).plot(ax, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        distance_to: str | float | None = None,
        unit: str = "row",
        line_kw: Mapping[str, Any] | None = None,
    ) -> BoundDisplay:
        """Draw the traces.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; new axes by default.
        distance_to : {'own', 'best'}, float or None, default=None
            None draws the bounds themselves. Otherwise, their distance is drawn on a log axis, from
            the estimated limit of each fit ('own'), from the highest of these limits ('best': a fit
            that ends at a lower maximum levels off), or from a number, in nats per row. Points that
            are at the limit up to rounding are left out.
        unit : str, default='row'
            Name of a unit of weight in the label of the axis.
        line_kw : dict, default=None
            Properties of all lines, for matplotlib's ``plot``.

        Returns
        -------
        display : BoundDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is no trace, or `distance_to` is invalid or needs a limit that is not known.
        ImportError
            If matplotlib is not installed.
        """
        values = self._distances(distance_to)
        ax = axes_for(self, ax)
        from matplotlib.ticker import MaxNLocator

        self.lines_ = []
        for number, (name, trace) in enumerate(values.items()):
            style = {
                "color": PALETTE[number % len(PALETTE)],
                "linestyle": LINE_STYLES[number % len(LINE_STYLES)],
                "marker": "o",
                "markersize": 3,
                "label": name,
                **(line_kw or {}),
            }
            self.lines_ += ax.plot(np.arange(len(trace)), trace, **style)
        ax.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        ax.set_xlabel("EM maps")
        if distance_to is None:
            ax.set_ylabel(f"lower bound (nats per {unit})")
        else:
            ax.set_yscale("log")
            ax.set_ylabel(f"distance to the limit (nats per {unit})")
        verbatim(ax.yaxis.label)
        legend_for(ax, self.lines_, list(values))
        return self

    def _distances(self, distance_to: str | float | None) -> dict[str, NDArray]:
        """What is drawn, by name."""
        if not self.bounds:
            raise ValueError("There is no trace to draw: give at least one fitted estimator.")
        if distance_to is None:
            return self.bounds
        limits = self._limits(distance_to)
        distances = {name: limits[name] - trace for name, trace in self.bounds.items()}
        for name, distance in distances.items():
            distance[distance <= AT_LIMIT * np.spacing(abs(limits[name]))] = math.nan
        return distances

    def _limits(self, distance_to: str | float) -> dict[str, float]:
        """The limit that each trace is compared with, by name."""
        if isinstance(distance_to, Real) and math.isfinite(distance_to):
            return dict.fromkeys(self.bounds, float(distance_to))
        known = {name: limit for name, limit in self.limits.items() if math.isfinite(limit)}
        if distance_to == "best" and known:
            return dict.fromkeys(self.bounds, max(known.values()))
        if distance_to == "own" and len(known) == len(self.bounds):
            return known
        if distance_to not in ("own", "best"):
            raise ValueError(
                f"distance_to must be 'own', 'best', a finite number or None, got {distance_to!r}."
            )
        raise ValueError(
            f"distance_to={distance_to!r} needs the estimated limit of the bound, and that of "
            f"{sorted(self.bounds.keys() - known)} is not known (optimality_gap_ is missing or not "
            "finite). Fit with a larger max_iter, or give the limit as a number."
        )


def _trace(estimator: Any, name: str) -> NDArray:
    """``lower_bounds_`` of a fitted estimator."""
    if not hasattr(estimator, "lower_bounds_"):
        raise TypeError(
            f"The estimator {name!r} ({type(estimator).__name__}) has no lower_bounds_, the trace "
            "of its bound."
        )
    trace = np.asarray(estimator.lower_bounds_, dtype=np.float64)
    if len(trace) == 0:
        raise ValueError(
            f"lower_bounds_ of {name!r} is empty: its parameters were set, not fitted by EM."
        )
    return trace
