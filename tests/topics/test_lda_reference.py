"""VB beside scikit-learn's LatentDirichletAllocation, from the same start."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import LatentDirichletAllocation

from skem.topics import LatentDirichletAllocationVB
from skem.topics.lda import _vb_kernels
from tests.topics.corpora import X, quietly

K, SEED = 4, 7
ALPHA, ETA = 0.8, 0.3
# Both go on with each document until it stands still: ways there differ, ends do not.
THEIRS = {"max_doc_update_iter": 5000, "mean_change_tol": 1e-13, "evaluate_every": -1}
OURS = {"max_doc_iter": 5000, "doc_tol": 1e-13, "learn_priors": False, "tol": 0}


def theirs(n_iter, counts=X):
    priors = {"doc_topic_prior": ALPHA, "topic_word_prior": ETA}
    lda = LatentDirichletAllocation(K, max_iter=n_iter, random_state=SEED, **priors, **THEIRS)
    return lda.fit(counts)


def ours(n_iter, counts=X):
    start = np.random.RandomState(SEED).gamma(100.0, 0.01, (K, counts.shape[1]))
    start = np.maximum(start, ETA)
    lda = LatentDirichletAllocationVB(
        K,
        inference="vb",
        init=start,
        doc_topic_prior=ALPHA,
        topic_word_prior=ETA,
        max_iter=n_iter,
        **OURS,
    )
    return quietly(lda.fit, counts)


@pytest.mark.parametrize("n_iter", [1, 2, 12])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_topics_are_equal_after_so_many_passes(n_iter, container):
    a, b = theirs(n_iter, container(X)), ours(n_iter, container(X))
    np.testing.assert_allclose(b.topic_counts_, a.components_, rtol=1e-6)
    np.testing.assert_allclose(
        b.components_, a.components_ / a.components_.sum(axis=1, keepdims=True), rtol=1e-6
    )


def test_topics_of_documents_are_equal_at_the_same_expected_logarithms_of_topics():
    """Their `transform` goes by E[log p(w|z)], ours by E[p(w|z)], but the steps are the same."""
    a = theirs(5)
    counts, alpha = sp.csr_array(X), np.full(K, ALPHA)
    docs = np.outer(X.sum(axis=1), alpha / alpha.sum())
    arrays = (counts.data, counts.indices.astype(np.int32), counts.indptr.astype(np.int64))
    phi = np.ascontiguousarray(a.exp_dirichlet_component_.T)
    _vb_kernels.vb_fold_in(*arrays, phi, alpha, 1e-14, 5000, docs)
    mixtures = (docs + alpha) / (docs + alpha).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixtures, a.transform(X), rtol=1e-6)


def test_topics_of_documents_are_near_theirs():
    mixtures = ours(5).transform(X)
    np.testing.assert_allclose(mixtures, theirs(5).transform(X), atol=0.1)
    np.testing.assert_allclose(mixtures.sum(axis=1), 1, rtol=1e-12)


def test_the_bound_of_the_fit_is_theirs():
    a = theirs(6)
    docs = a._unnormalized_transform(X)
    expected = a._approx_bound(X, docs, sub_sampling=False) / X.sum()
    assert ours(7).lower_bound_ == pytest.approx(expected, rel=1e-9)
