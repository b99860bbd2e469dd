"""The Old Faithful geyser."""

from importlib.resources import files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

_PACKAGE = files("skem.datasets")


def load_old_faithful(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the eruptions of the Old Faithful geyser, a data set with two clear groups.

    =================   =====================
    Samples                               272
    Features                                2
    Unit                              minutes
    Target                               none
    =================   =====================

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, None)`` in place of a Bunch: these data have no target, and the
        call is that of scikit-learn's loaders.
    as_frame : bool, default=False
        If True, ``data`` is a :class:`pandas.DataFrame`. Needs pandas.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch` or tuple
        A tuple ``(data, None)`` if `return_X_y`, else an object with these attributes:

        data : {ndarray, DataFrame} of shape (272, 2)
            One eruption a row: its duration, and the waiting time to the next one, in minutes.
        target : None
            There is none.
        frame : DataFrame of shape (272, 2) or None
            The same as `data` if `as_frame`, else None.
        feature_names : list of str
            ``["eruptions", "waiting"]``.
        DESCR : str
            Description and origin.

    Raises
    ------
    ImportError
        If `as_frame` and pandas is not installed.

    References
    ----------
    .. [1] Azzalini, A. and Bowman, A. W. (1990). "A look at some data on the Old Faithful
       geyser". Applied Statistics 39 (3), 357-365.
    .. [2] Härdle, W. (1991). "Smoothing Techniques: With Implementation in S". Springer.

    Examples
    --------
    >>> from skem.datasets import load_old_faithful
    >>> faithful = load_old_faithful()
    >>> faithful.data.shape
    (272, 2)
    >>> faithful.feature_names
    ['eruptions', 'waiting']
    >>> faithful.data[0].tolist()
    [3.6, 79.0]
    """
    with (_PACKAGE / "data" / "old_faithful.csv").open(encoding="utf-8") as lines:
        feature_names = next(lines).strip().split(",")
        data = np.loadtxt(lines, delimiter=",", dtype=np.float64)

    frame = _to_frame(data, feature_names) if as_frame else None
    X = data if frame is None else frame
    if return_X_y:
        return X, None
    return Bunch(
        data=X,
        target=None,
        frame=frame,
        feature_names=feature_names,
        DESCR=(_PACKAGE / "descr" / "old_faithful.rst").read_text(encoding="utf-8"),
    )


def _to_frame(data: np.ndarray, columns: list[str]) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas: install it (`pip install pandas`), or leave as_frame=False"
        ) from error
    return pd.DataFrame(data, columns=columns)
