"""Counts: how they come in, their blocks, their halves, and that nothing of nnz x k is made."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from skem.topics import PLSA, LatentDirichletAllocationVB, dyads_to_counts
from skem.topics._counts import Counts, cut_entries
from skem.topics._split import split_tokens
from tests.topics.corpora import X, quietly


def as_counts(matrix):
    csr = sp.csr_array(matrix)
    return Counts(csr.data, csr.indices, csr.indptr, csr.shape[1])


# ---------------------------------------------------------------------- dyads
def test_dyads_are_counted():
    X, rows, columns = dyads_to_counts(["b", "a", "b", "b"], [7, 7, 5, 7])
    np.testing.assert_array_equal(X.toarray(), [[0, 1], [1, 2]])
    assert rows.tolist() == ["a", "b"]
    assert columns.tolist() == [5, 7]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xyz"), st.floats(0, 9)), min_size=1))
def test_dyads_with_weights_are_summed_in_any_order(dyads):
    documents, words, weights = zip(*dyads, strict=True)
    X, rows, columns = dyads_to_counts(documents, words, weights)
    assert X.shape == (len(set(documents)), len(set(words)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            expected = sum(w for d, v, w in dyads if d == row and v == column)
            assert X[i, j] == pytest.approx(expected, abs=1e-12)
    backwards, _, _ = dyads_to_counts(documents[::-1], words[::-1], weights[::-1])
    np.testing.assert_allclose(backwards.toarray(), X.toarray(), atol=1e-12)


def test_a_model_of_dyads():
    """Who says what: ann and cid say the same, and so do bob and dan."""
    people, words = ["ann", "cid", "bob", "dan"] * 6, ["tea", "tea", "rum", "rum"] * 6
    X, names, _ = dyads_to_counts(people, words)
    topics = PLSA(2, random_state=0).fit_transform(X).argmax(axis=1)
    same = dict(zip(names, topics, strict=True))
    assert same["ann"] == same["cid"] != same["bob"] == same["dan"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "b"], ["x"]), "documents and words must be one-dimensional and of one length"),
        ((["a"], ["x"], [1, 2]), r"counts has shape \(2,\), expected \(n_dyads,\) = \(1,\)"),
        (([["a"]], [["x"]]), "documents and words must be one-dimensional"),
        ((["a"], ["x"], [-1.0]), "counts.*negative"),
        ((["a"], ["x"], [np.nan]), "counts.*NaN"),
        ((["a"], ["x"], ["many"]), "counts.*numbers"),
    ],
)
def test_dyads_that_cannot_be_counted(arguments, message):
    with pytest.raises(ValueError, match=message):
        dyads_to_counts(*arguments)


# ---------------------------------------------------------------------- blocks
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_blocks_are_all_documents_once_and_of_about_equal_size(seed, n):
    rng = np.random.default_rng(seed)
    matrix = sp.random_array((n, 3), density=0.5, rng=rng, format="csr")
    matrix = sp.hstack([matrix] * 40, format="csr")
    counts = as_counts(matrix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skem.topics._counts._MIN_ENTRIES", 100)
        patch.setattr("skem.topics._counts._ENTRIES_PER_WORD", 1)
        blocks = cut_entries(counts)
    assert [b.start for b in blocks[1:]] == [b.stop for b in blocks[:-1]]
    assert (blocks[0].start, blocks[-1].stop) == (0, n)
    parts = [counts.rows(block) for block in blocks]
    np.testing.assert_array_equal(
        sp.vstack([p.matrix() for p in parts]).toarray(), matrix.toarray()
    )
    entries = [len(part.data) for part in parts]
    assert max(entries) <= matrix.nnz / len(blocks) + 2 * np.diff(counts.indptr).max() + 1


def test_sizes_of_documents_lose_no_digits_to_those_before():
    matrix = np.array([[1e16, 0.0], [0.0, 1.0], [0.0, 0.0], [1e-3, 1e-3]])
    np.testing.assert_array_equal(as_counts(matrix).sizes(), [1e16, 1.0, 0.0, 2e-3])


# ---------------------------------------------------------------------- halves
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_split_keeps_all_tokens_and_hides_about_its_share(whole, share):
    rng = np.random.default_rng(0)
    matrix = rng.poisson(2.0, (200, 30)) * (1.0 if whole else rng.gamma(1.0, size=(200, 30)))
    counts = as_counts(matrix)
    seen, hidden = split_tokens(counts, share, np.random.RandomState(0))
    both = seen.matrix() + hidden.matrix()
    np.testing.assert_array_equal(both.toarray(), matrix)
    assert (seen.data > 0).all()
    assert (hidden.data > 0).all()
    assert hidden.data.sum() / matrix.sum() == pytest.approx(share, abs=0.03)
    if whole:
        assert (hidden.data == np.floor(hidden.data)).all()
    else:  # entry by entry
        assert not (seen.matrix().multiply(hidden.matrix())).nnz


def test_a_document_of_one_token_shows_it():
    counts = as_counts(np.eye(50))
    seen, hidden = split_tokens(counts, 0.5, np.random.RandomState(0))
    np.testing.assert_array_equal(seen.matrix().toarray(), np.eye(50))
    assert not len(hidden.data)


# ---------------------------------------------------------------------- memory
@pytest.mark.parametrize(
    "estimator",
    [
        PLSA(50, init="random", random_state=0, max_iter=3, tol=0),
        LatentDirichletAllocationVB(50, init="random", random_state=0, max_iter=3, tol=0),
        LatentDirichletAllocationVB(
            50, inference="vb", init="random", random_state=0, max_iter=3, tol=0, max_doc_iter=2
        ),
    ],
    ids=["plsa", "cvb0", "vb"],
)
def test_nothing_has_the_size_of_all_entries_times_topics(estimator):
    """Which would be 80 MB here; a float64 for each entry is 1.6 MB."""
    rng = np.random.default_rng(0)
    n, p, row = 400, 1000, 500
    indices = np.concatenate([np.sort(rng.permutation(p)[:row]) for _ in range(n)])
    data = rng.integers(1, 4, n * row).astype(float)
    counts = sp.csr_array((data, indices, np.arange(n + 1) * row), shape=(n, p))
    quietly(estimator.fit, sp.csr_array(X))  # compiles
    estimator.transform(X[:2])
    estimator.score(X[:2])
    tracemalloc.start()
    quietly(estimator.fit, counts)
    estimator.transform(counts)
    estimator.score(counts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < counts.nnz * 50 * 8 / 4
