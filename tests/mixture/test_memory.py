"""Memory beyond the rows as they are given: what is returned, and little more.

NumPy's allocations are counted, at their peak. Blocks are cut small, so that what does not grow
with the rows does not count; starts are given, since they look at a sample.
"""

import tracemalloc

import numpy as np
import pytest

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, D, K = 20_000, 10, 2


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("skem.em._rows.MIN_BLOCK_VALUES", 1 << 14)
    monkeypatch.setattr("skem.em._rows.GATHERED_VALUES", 1 << 14)


def peak_of(call, few, many):
    """Bytes allocated by the call at the peak, beyond what there was; compiled beforehand."""
    call(few)
    tracemalloc.start()
    try:
        call(many)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def rows(dtype=np.float64, holes=0.0):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D)) + 4 * rng.integers(0, K, N)[:, None]
    few = X[:, :3]  # few patterns: each takes a while
    few[rng.random(few.shape) < holes] = np.nan
    return X.astype(dtype)


def zeros_and_ones(dtype, holes=0.0):
    rng = np.random.default_rng(0)
    n = N * 5 if np.dtype(dtype).itemsize == 1 else N  # bytes are small beside what is constant
    X = (rng.random((n, D)) < np.where(rng.random(n) < 0.5, 0.2, 0.8)[:, None]).astype(dtype)
    if holes:
        X[rng.random(X.shape) < holes] = np.nan
    return X


def gaussian(covariance_type="full"):
    precisions = {"full": np.eye(D)[None].repeat(K, 0), "diag": np.ones((K, D)), "tied": np.eye(D)}
    return GaussianMixtureEM(
        K, covariance_type=covariance_type, max_iter=2, tol=0, n_jobs=1, weights_init=[0.5, 0.5],
        means_init=[[0.0] * D, [4.0] * D], precisions_init=precisions[covariance_type],
    )  # fmt: skip


def bernoulli():
    return BernoulliMixtureEM(
        K, max_iter=2, tol=0, n_jobs=1, weights_init=[0.5, 0.5],
        probabilities_init=[[0.3] * D, [0.7] * D],
    )  # fmt: skip


def weights_with_a_zero(X):
    weight = np.ones(len(X))
    weight[5] = 0
    return weight


GIVEN = {
    "float64": (rows, {}),
    "float32": (lambda: rows(np.float32), {}),
    "one zero weight": (rows, {"sample_weight": weights_with_a_zero}),
    "NaN": (lambda: rows(holes=0.1), {}),
    "NaN float32": (lambda: rows(np.float32, holes=0.1), {}),
    "NaN and a zero weight": (lambda: rows(holes=0.1), {"sample_weight": weights_with_a_zero}),
    "labels": (rows, {"labels": lambda X: np.where(np.arange(len(X)) % 9, -1, 0)}),
}


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("given", GIVEN)
def test_a_gaussian_fit_does_not_copy_the_rows(given, covariance_type):
    make, extras = GIVEN[given]
    X = make()
    whole = {name: value(X) for name, value in extras.items()}
    arguments = {n: {name: value[:n] for name, value in whole.items()} for n in (500, N)}
    mixture = gaussian(covariance_type)
    peak = peak_of(lambda X: mixture.fit(X, **arguments[len(X)]), X[:500], X)
    assert peak < 0.9 * X.nbytes


def test_a_fit_to_rows_in_a_file_reads_them_there(tmp_path):
    rows().tofile(tmp_path / "rows")
    X = np.memmap(tmp_path / "rows", np.float64, mode="r", shape=(N, D))
    mixture = gaussian()
    assert peak_of(mixture.fit, X[:500], X) < 0.3 * X.nbytes


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("holes", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["predict_proba", "score_samples", "predict", "impute", "score"])
def test_what_a_fitted_mixture_tells_of_rows_takes_its_own_size(
    method, dtype, holes, covariance_type
):
    X = rows(dtype, holes)
    mixture = gaussian(covariance_type).fit(X[:500])
    returned = getattr(mixture, method)(X)
    peak = peak_of(getattr(mixture, method), X[:500], X)
    assert peak < np.asarray(returned).nbytes + 0.9 * X.nbytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_draw_takes_the_size_of_what_is_drawn(dtype):
    mixture = gaussian().fit(rows(dtype)[:500])
    n = 5 * N
    assert peak_of(mixture.sample, 500, n) < 1.5 * n * D * np.dtype(dtype).itemsize
    assert peak_of(bernoulli().fit(zeros_and_ones(np.int8)[:500]).sample, 500, n) < 1.5 * n * D * 8


def test_standard_errors_take_no_more_than_a_fit():
    X = rows()
    mixture = gaussian("diag").set_params(standard_errors=True)
    assert peak_of(mixture.fit, X[:500], X) < 0.3 * X.nbytes


@pytest.mark.filterwarnings("ignore:The observed information:RuntimeWarning")
@pytest.mark.parametrize(
    ("dtype", "holes"),
    [(np.int8, 0), (np.bool_, 0), (np.int64, 0), (np.float32, 0), (np.float64, 0.1)],
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("coins", [False, True])
def test_zeros_and_ones_stay_in_their_type(dtype, holes, weighted, coins):
    X = zeros_and_ones(dtype, holes)
    mixture = ThreeCoinMixture((0.5, 0.3, 0.7), max_iter=2, n_jobs=1) if coins else bernoulli()

    def fit(X):
        return mixture.fit(X, sample_weight=weights_with_a_zero(X) if weighted else None)

    of_weights = 24 * len(X) if weighted else 0  # they, and the numbers of the rows
    assert peak_of(fit, X[:500], X) < of_weights + 0.9 * X.nbytes


@pytest.mark.parametrize("method", ["predict_proba", "score_samples", "predict"])
def test_what_is_told_of_bytes_takes_its_own_size(method):
    X = zeros_and_ones(np.int8)
    mixture = bernoulli().fit(X[:500])
    returned = getattr(mixture, method)(X)
    peak = peak_of(getattr(mixture, method), X[:500], X)
    assert peak < returned.nbytes + 0.9 * X.nbytes
