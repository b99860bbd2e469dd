"""The arithmetic of sufficient statistics: those of two sets of rows add, whatever the model.

Statistics are a `NamedTuple` of numbers, arrays, tuples (local parameters, one entry for each block
of rows) and None.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

S = TypeVar("S", bound=tuple)


def add(a: S, b: S) -> S:
    """Add the statistics of two sets of rows: numbers and arrays add, tuples concatenate.

    Parameters
    ----------
    a, b : statistics
        Named tuples of one type, with arrays of the same shapes. Neither is changed. A field that
        is None in ``a`` stays None.

    Returns
    -------
    sums : statistics
        Statistics of the rows of a followed by those of b.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> from skem.em import add
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float
    ...     weight: float
    ...     local: tuple
    >>> add(Statistics(-3.0, 2.0, ("first",)), Statistics(-1.5, 1.0, ("second",)))
    Statistics(log_likelihood=-4.5, weight=3.0, local=('first', 'second'))
    """
    fields = (None if x is None else x + y for x, y in zip(a, b, strict=True))
    return type(a)(*fields)  # type: ignore[arg-type]


def total(parts: Iterable[S], *, fresh: bool = False) -> S:
    """Add the statistics of all parts, in the order given.

    Parameters
    ----------
    parts : iterable of statistics
        Statistics of one type, as for `add`, at least one. They are taken one by one, so a
        generator needs memory for two.
    fresh : bool, default=False
        Whether the arrays of the first are nobody else's, so that the others may be added to them.

    Returns
    -------
    sums : statistics
        Statistics of all rows.

    Raises
    ------
    ValueError
        If there are no parts.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> import numpy as np
    >>> from skem.em import total
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float
    ...     weight: float
    ...     sums: np.ndarray
    >>> total(Statistics(-1.0, 1.0, np.array([x, x**2])) for x in (1.0, 2.0, 3.0))
    Statistics(log_likelihood=-3.0, weight=3.0, sums=array([ 6., 14.]))
    """
    iterator = iter(parts)
    try:
        first = next(iterator)
    except StopIteration:
        raise ValueError("No rows: there are no statistics to add.") from None
    sums = [x.copy() if isinstance(x, np.ndarray) and not fresh else x for x in first]
    for part in iterator:
        for i, x in enumerate(part):
            if isinstance(x, np.ndarray):
                sums[i] += x  # in place: the arrays may be large
            elif x is not None:
                sums[i] = sums[i] + x
    return type(first)(*sums)


def scale(statistics: S, factor: float) -> S:
    """Scale statistics as if every weight were multiplied by ``factor``.

    Parameters
    ----------
    statistics : statistics
        A named tuple, which is not changed.
    factor : float
        Numbers and arrays are multiplied by it; tuples stay as they are.

    Returns
    -------
    scaled : statistics
        Statistics of the same type.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> from skem.em import scale
    >>> class Statistics(NamedTuple):
    ...     log_likelihood: float
    ...     weight: float
    >>> scale(Statistics(-6.0, 4.0), 1 / 4)
    Statistics(log_likelihood=-1.5, weight=1.0)
    """
    fields = (x if x is None or isinstance(x, tuple) else x * factor for x in statistics)
    return type(statistics)(*fields)  # type: ignore[arg-type]


def mix(old: Any, new: Any, step: float) -> Any:
    """(1 - step) old + step new, field by field; tuples (local parameters) are the new ones."""
    return type(old)(
        *(
            y if y is None or isinstance(y, tuple) else (1 - step) * x + step * y
            for x, y in zip(old, new, strict=True)
        )
    )
