"""Row blocks: statistics add, whatever the blocks and the threads."""

import os
from typing import NamedTuple

import joblib
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from skem.em import RowBlocks, add, effective_n_jobs, scale, total
from skem.em._rows import MAX_BLOCKS, cut, map_rows, one_blas_thread


class Sums(NamedTuple):
    log_likelihood: float
    weight: float
    first: np.ndarray
    local: tuple


def sums(rows):
    w = np.ones(rows.X.shape[0]) if rows.weight is None else rows.weight
    return Sums(0.0, float(w.sum()), rows.X.T @ w, (np.arange(rows.start, rows.start + len(w)),))


@given(n=st.integers(1, 5000), row_values=st.integers(1, 100_000))
def test_a_cut_covers_all_rows_once(n, row_values):
    parts = cut(n, row_values)
    assert len(parts) <= MAX_BLOCKS
    np.testing.assert_array_equal(np.concatenate([np.arange(n)[p] for p in parts]), np.arange(n))
    sizes = [p.stop - p.start for p in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 3])
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array])
def test_statistics_add_over_blocks(n_jobs, make):
    rng = np.random.default_rng(0)
    X, w = rng.random((500, 7)), rng.random(500)
    with RowBlocks(make(X), sample_weight=w, row_values=100_000, n_jobs=n_jobs) as rows:
        result = rows.reduce(sums)
    assert len(rows.blocks) > 10
    np.testing.assert_allclose(result.first, X.T @ w)
    np.testing.assert_array_equal(np.concatenate(result.local), np.arange(500))


def test_the_number_of_threads_changes_nothing():
    X = np.random.default_rng(0).random((5000, 40))  # in many blocks:
    results = []
    for n_jobs in (1, 2, 4):
        with RowBlocks(X, row_values=20_000, n_jobs=n_jobs) as rows:
            results.append(rows.reduce(sums).first)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_rows_keep_what_a_model_remembers_of_them():
    with RowBlocks(np.zeros((4, 1)), row_values=1 << 22) as rows:
        for block in rows.blocks:
            block.memo["seen"] = block.start
        assert [block.memo["seen"] for block in rows.blocks] == [0, 1, 2, 3]


def test_add_and_scale():
    a = Sums(1.0, 2.0, np.array([1.0, 2.0]), (1,))
    both = add(a, a)
    assert both.weight == 4.0
    assert both.local == (1, 1)
    twice = scale(a, 2.0)
    np.testing.assert_array_equal(twice.first, both.first)
    assert twice.local == (1,)
    with pytest.raises(ValueError, match="No rows"):
        total([])


def test_map_rows_keeps_the_order():
    X = np.arange(1000.0)[:, None]
    np.testing.assert_array_equal(
        map_rows(lambda block: block[:, 0], X, row_values=100_000, n_jobs=2), X[:, 0]
    )


@pytest.mark.parametrize("gathered_values", [40, 1 << 18])
def test_rows_are_taken_in_the_order_given(monkeypatch, gathered_values):
    """As if they had been copied in that order, with a memo of their own from pass to pass."""
    monkeypatch.setattr("skem.em._rows.GATHERED_VALUES", gathered_values)
    rng = np.random.default_rng(0)
    X, w, labels = rng.standard_normal((300, 3)), rng.random(300), rng.integers(-1, 2, 300)
    order = rng.permutation(300)[:200].astype(np.int32)
    seen = []

    def look(rows):
        rows.memo["visits"] = rows.memo.get("visits", 0) + 1
        chosen = order[rows.start : rows.start + len(rows.X)]
        np.testing.assert_array_equal(rows.X, X[chosen])
        np.testing.assert_array_equal(rows.weight, w[chosen])
        np.testing.assert_array_equal(rows.labels, labels[chosen])
        seen.append((rows.start, len(rows.X), rows.memo["visits"]))
        return Sums(0.0, rows.weight.sum(), rows.weight @ rows.X, ())

    blocks = RowBlocks(
        X, sample_weight=w, labels=labels, order=order, row_values=1 << 16, n_jobs=1
    )  # fmt: skip
    with blocks as rows:
        assert len(rows.blocks) > 5
        first, second = rows.reduce(look), rows.reduce(look)
    np.testing.assert_allclose(first.first, w[order] @ X[order])
    np.testing.assert_array_equal(first.first, second.first)
    assert sum(n for _, n, visits in seen if visits == 1) == len(order)
    assert sum(n for _, n, visits in seen if visits == 2) == len(order)
    assert max(n for _, n, _ in seen) <= max(1, gathered_values // 3)


def test_map_rows_works_in_an_order_and_answers_in_that_of_the_rows():
    X = np.random.default_rng(0).standard_normal((500, 2))
    order = np.argsort(X[:, 0])
    widths = []

    def function(block):
        widths.append(np.ptp(block[:, 0]))
        return block.sum(axis=1)

    values = map_rows(
        function, X, row_values=100_000, n_jobs=1, order=order, dtype=np.float32
    )  # fmt: skip
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, X.sum(axis=1), rtol=1e-5, atol=1e-6)
    assert len(widths) > 5
    assert np.median(widths) < np.ptp(X[:, 0]) / 2


def test_n_jobs_none_means_all_that_the_context_allows():
    assert effective_n_jobs(1) == 1
    assert effective_n_jobs(3) == 3
    assert effective_n_jobs(None) >= 1
    with joblib.parallel_config(n_jobs=1):
        assert effective_n_jobs(None) == 1
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert effective_n_jobs(None) == 3


def test_a_worker_of_joblib_takes_no_more_than_its_share():
    with joblib.Parallel(n_jobs=2, backend="loky") as parallel:
        shares = parallel(joblib.delayed(effective_n_jobs)(None) for _ in range(2))
    # Where the user has set the threads of OpenMP, joblib gives each worker that many instead.
    given = int(os.environ.get("OMP_NUM_THREADS", 0))
    assert sum(shares) <= max(2, joblib.cpu_count(), 2 * given)


def test_an_error_in_a_block_comes_through():
    def fail(rows):
        raise ValueError("bad block")

    with (
        RowBlocks(np.zeros((100, 2)), row_values=1 << 22, n_jobs=2) as rows,
        pytest.raises(ValueError, match="bad block"),
    ):
        rows.reduce(fail)


@pytest.mark.parametrize("row_values", [1, 1 << 22])
def test_one_thread_is_one_thread_of_blas_too(row_values):
    """Also where all rows are one block, which has no other threads."""
    with RowBlocks(np.zeros((100, 2)), row_values=row_values, n_jobs=1):
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)


def test_overlapping_limits_of_blas_restore_what_was_there():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    with one_blas_thread():
        pass
    before = threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    assert set(threads()) == {1}
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before


def test_no_threads_at_all_are_refused():
    with pytest.raises(ValueError, match="n_jobs must be"):
        RowBlocks(np.zeros((3, 1)), n_jobs=0)


def test_few_rows_are_a_single_block_with_and_without_an_order():
    X = np.arange(40.0).reshape(10, 4)
    order = np.array([7, 2, 3])
    np.testing.assert_array_equal(RowBlocks(X).single.X, X)
    np.testing.assert_array_equal(RowBlocks(X, order=order).single.X, X[order])
    weight = np.arange(10.0)
    single = RowBlocks(X, sample_weight=weight, order=order).single
    np.testing.assert_array_equal(single.weight, weight[order])
    assert RowBlocks(X, row_values=1 << 24).single is None  # many blocks
    wide = np.zeros((3, 1 << 17))
    assert RowBlocks(wide, row_values=1).single is None
    assert RowBlocks(wide, row_values=1, order=order % 3).single is None
