"""The three coins of the textbook: the smallest mixture that shows what EM does."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom
from sklearn.utils.validation import check_is_fitted

from skem.em import EMState, RowSource
from skem.mixture.bernoulli._model import MARGIN, BernoulliModel, BernoulliParams
from skem.mixture.bernoulli._rows import BernoulliRows, BinaryData, known, parts_of
from skem.mixture.bernoulli._starts import coin_starts


class ThreeCoinMixture(BernoulliRows):
    r"""Three coins: A (heads with probability pi) selects B (p) or C (q), which is tossed.

    .. math::

        P(x) = \pi \prod_j p^{x_j} (1 - p)^{1 - x_j}
               + (1 - \pi) \prod_j q^{x_j} (1 - q)^{1 - x_j}

    A row of X is one throw of coin A and then n_tosses tosses of the coin it chose. This is
    `BernoulliMixtureEM` with two components and one probability for all columns.

    Parameters
    ----------
    init : tuple of three floats, default=None
        Start (pi, p, q); None makes ``n_init`` random starts.
    binarize : float or None, default=0.0
        Values above it are heads; None requires X to hold only zeros and ones.
    tol : float, default=1e-8
        EM stops when the estimated distance of the bound to its limit, in nats per row, is at
        most this.
    max_iter : int, default=1000
        Maximum number of EM maps (E steps), with any acceleration.
    n_init : int, default=4
        Number of random starts, of which only the best are continued.
    acceleration : {'auto', 'quasi-newton', 'squarem'} or None, default='auto'
        How EM is accelerated; None is plain EM, as in the textbook.
    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers; pass an int for the same result at each call.
    n_jobs : int, default=None
        Threads over blocks of rows; None uses all cores that joblib's context allows, 1 uses one.
    verbose : int, default=0
        1 prints starts and iterations, 2 also bounds, gaps and times.
    verbose_interval : int, default=10
        Iterations between two prints.

    Attributes
    ----------
    pi_, p_, q_ : float
        Probability of heads of coin A, B and C.
    weights_ : ndarray of shape (2,)
        (pi, 1 - pi).
    history_ : ndarray of shape (n_maps + 1, 3)
        (pi, p, q) before the first EM map and after each.
    information_ : ndarray of shape (3, 3)
        Expected Fisher information of (pi, p, q) per row, at the fitted values.
    information_rank_ : int
        Its rank: how many parameters the data determine. `bic` and `aic` count only these.
    identifiable_ : bool
        Whether that rank is 3, so that the data determine (pi, p, q) near the fitted values, up
        to an exchange of B and C. With one toss per row the rank is at most 1, and with two at
        most 2, whatever the data; with three or more it is 3 unless p = q or pi is 0 or 1.
    converged_ : bool
        Whether ``optimality_gap_ <= tol`` in several consecutive EM maps.
    n_iter_ : int
        EM maps of the best start.
    lower_bound_ : float
        Last bound: the log-likelihood in nats per row (per unit of weight).
    lower_bounds_ : list of float
        Log-likelihood per row at the start of each EM map; never falls.
    optimality_gap_ : float
        Estimated distance of `lower_bound_` to its limit, nats per row (Aitken).
    n_features_in_ : int
        Tosses per row.
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    BernoulliMixtureEM : Any number of components, a probability for each column.

    Notes
    -----
    With one toss per row, only the probability of heads, pi p + (1 - pi) q, can be learned: all
    (pi, p, q) with the same value of it have the same likelihood, and where EM ends depends on
    where it starts. The criteria do not count directions without information as parameters: with
    one toss, `bic` is that of a single coin.

    References
    ----------
    .. [1] Li Hang (2019). Statistical Learning Methods, 2nd ed., example 9.1, eqs. 9.5-9.8.

    Examples
    --------
    The two runs of the textbook.

    >>> import numpy as np
    >>> from skem import ThreeCoinMixture
    >>> X = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 1]).reshape(-1, 1)
    >>> ThreeCoinMixture(init=(0.5, 0.5, 0.5)).fit(X).history_[-1].round(4)
    array([0.5, 0.6, 0.6])
    >>> coins = ThreeCoinMixture(init=(0.4, 0.6, 0.7)).fit(X)
    >>> coins.history_[-1].round(4)
    array([0.4064, 0.5368, 0.6432])
    >>> coins.identifiable_, coins.information_rank_
    (False, 1)
    """

    _parameter_constraints: dict = {
        **BernoulliRows._parameter_constraints,
        "init": ["array-like", None],
    }
    _keep_path = True
    _needs_every_column = False

    def __init__(
        self,
        init: ArrayLike | None = None,
        *,
        binarize: float | None = 0.0,
        tol: float = 1e-8,
        max_iter: int = 1000,
        n_init: int = 4,
        acceleration: str | None = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ):
        self.init = init
        self.binarize = binarize
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.acceleration = acceleration
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def _make_model(self, data: BinaryData, *, masked: bool) -> BernoulliModel:
        return BernoulliModel(
            data.X.shape[1],
            threshold=self._threshold,
            masked=masked,
            shared=True,
            dtype=data.dtype,
        )

    def _make_starts(
        self, model: BernoulliModel, data: BinaryData, rng: np.random.RandomState
    ) -> list[BernoulliParams]:
        return coin_starts(self.init, self.n_init, rng)

    def _attributes(self, model: BernoulliModel, params: BernoulliParams) -> dict[str, Any]:
        pi, p, q = _coins(params)
        return {"pi_": pi, "p_": p, "q_": q, "weights_": params.weights.astype(model.dtype)}

    def _more_attributes(
        self, model: BernoulliModel, state: EMState, data: BinaryData, rows: RowSource
    ) -> dict[str, Any]:
        d = data.X.shape[1]
        history = np.array([_coins(params) for params in [*(state.path or []), state.params]])
        weights = itertools.repeat(None) if data.weight is None else parts_of(data.weight)
        shares = np.zeros(d + 1)
        for part, weight in zip(parts_of(data.X), weights, strict=False):
            shares += np.bincount(known(part).sum(axis=1), weights=weight, minlength=d + 1)
        information = np.sum(
            [
                share * coin_information(*_coins(state.params), m)
                for m, share in enumerate(shares / shares.sum())
                if share
            ],
            axis=0,
        )
        rank = int(np.linalg.matrix_rank(information, tol=None))
        return {
            "history_": history,
            "information_": information,
            "information_rank_": rank,
            "identifiable_": rank == 3,
        }

    def _probabilities(self) -> NDArray:
        return np.clip(np.array([[self.p_], [self.q_]]), MARGIN, 1 - MARGIN)

    def _n_parameters(self) -> int:
        return self.information_rank_

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> tuple[NDArray, NDArray]:
        """Throw coin A and toss the coin it chooses.

        Parameters
        ----------
        n_samples : int, default=1
            Throws of coin A.
        random_state : int, RandomState instance or None, default=None
            Seed of this call; None is that of the estimator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_tosses)
            1 is heads.
        y : ndarray of shape (n_samples,)
            0 where coin B was chosen, 1 where coin C was.
        """
        check_is_fitted(self)
        return self._draw(n_samples, random_state)


def _coins(params: BernoulliParams) -> tuple[float, float, float]:
    """(pi, p, q)"""
    (p,), (q,) = params.probabilities
    return float(params.weights[0]), float(p), float(q)


def coin_information(pi: float, p: float, q: float, n_tosses: int) -> NDArray:
    """Expected Fisher information of (pi, p, q) in one row of ``n_tosses`` tosses.

    The number of heads s is sufficient: I = sum_s grad P(s) grad P(s)' / P(s) with
    P(s) = pi Bin(s; n, p) + (1 - pi) Bin(s; n, q).

    Parameters
    ----------
    pi, p, q : float
    n_tosses : int

    Returns
    -------
    information : ndarray of shape (3, 3)
    """
    p, q = np.clip([p, q], MARGIN, 1 - MARGIN)
    s = np.arange(n_tosses + 1)
    of_p, of_q = binom.pmf(s, n_tosses, p), binom.pmf(s, n_tosses, q)
    density = pi * of_p + (1 - pi) * of_q
    gradient = np.array(
        [
            of_p - of_q,
            pi * of_p * (s - n_tosses * p) / (p * (1 - p)),
            (1 - pi) * of_q * (s - n_tosses * q) / (q * (1 - q)),
        ]
    )
    possible = density > np.finfo(np.float64).tiny  # subnormal numbers have lost their digits
    return (gradient[:, possible] / density[possible]) @ gradient[:, possible].T
