"""Sparse matrices whose indices are no columns are refused before anything reads by them."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from skem import PLSA, LatentDirichletAllocationVB, MaxEntClassifier
from skem._sparse import check_sparse_indices
from skem.topics import StabilityScorer, completion_score, topic_coherence

RNG = np.random.default_rng(0)
DENSE = RNG.poisson(1.0, (24, 10)).astype(float)
Y = np.arange(24) % 3
FORMATS = ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"]


def _as(kind, X):
    """X as that kind, without SciPy's own look at it where it is one already."""
    return X if type(X) is kind else kind(X)


def broken(kind, matrix=DENSE, wrap=sp.csr_array):
    """The matrix with something wrong; what the message says."""
    X = sp.csr_array(matrix)
    X.sort_indices()
    if kind == "from 1":
        X.indices = X.indices + 1
        return _as(wrap, X), r"column index 10, but its size there is 10.*Subtract 1"
    if kind == "negative":
        X.indices[3] = -1
        return _as(wrap, X), "column index -1"
    if kind == "beyond int32":
        X.indices = X.indices.astype(np.int64)
        X.indices[-1] += 2**32  # the same number once it is cast
        return _as(wrap, X), r"column index \d{10}"
    if kind == "huge":
        X.indices[5] = 2**31 - 1
        return _as(wrap, X), "column index 2147483647"
    if kind == "indptr falls":
        X.indptr[4] = X.indptr[6] + 1
        return _as(wrap, X), "indptr must rise from 0"
    if kind == "indptr beyond":
        X.indptr[-1] += 1000
        return _as(wrap, X), "indptr must rise from 0 to at most the number of entries"
    if kind == "indptr late":
        X.indptr[0] = 1
        return _as(wrap, X), "indptr must rise from 0"
    if kind == "indptr short":
        X.indptr = X.indptr[:-2]
        return _as(wrap, X), "indptr must hold 25 integers, got 23"
    if kind == "lengths":
        X.indices = X.indices[:-4]
        return _as(wrap, X), "indices and data must have the same length"
    X.indices = X.indices.astype(float)
    return _as(wrap, X), "indices of a column must be integers, got float64"


KINDS = [
    "from 1", "negative", "beyond int32", "huge", "indptr falls", "indptr beyond", "indptr late",
    "indptr short", "lengths", "real numbers",
]  # fmt: skip


def pairs(X, c):
    """Joint features; class 1 gets what X holds."""
    if c == 1 and isinstance(X, Carrier):
        return X.matrix
    return sp.csr_array(DENSE * (c + 1))


class Carrier:
    """Something with a length, which a feature function takes."""

    def __init__(self, matrix):
        self.matrix = matrix

    def __len__(self):
        return len(DENSE)


LATER = [
    "transform", "score_samples", "score", "perplexity", "partial_fit", "symmetric_factors",
    "predict", "predict_proba", "predict_log_proba", "decision_function",
]  # fmt: skip

FITS = {
    "plsa": PLSA(2, random_state=0),
    "cvb0": LatentDirichletAllocationVB(2, random_state=0),
    "vb": LatentDirichletAllocationVB(2, inference="vb", random_state=0),
    "newton": MaxEntClassifier(solver="newton-cholesky"),
    "lbfgs": MaxEntClassifier(solver="diagonal-lbfgs"),
    "rows": MaxEntClassifier(solver="row-space"),
    "l1": MaxEntClassifier(l1_ratio=1.0),
    "box": MaxEntClassifier(expectation_box=0.01, C=np.inf),
    "gis": MaxEntClassifier(solver="gis", max_iter=3),
}


@pytest.fixture(scope="module")
def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: clone(model).fit(DENSE, Y) for name, model in FITS.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FITS)
def test_no_fit_takes_them(name, kind):
    X, message = broken(kind)
    for method in ("fit", "partial_fit", "fit_transform"):
        model = clone(FITS[name])
        if hasattr(model, method):
            before = dict(vars(model))
            arguments = (X, Y) if "Max" in type(model).__name__ else (X,)
            with pytest.raises(ValueError, match=f"(?s)X is a broken sparse matrix.*{message}"):
                getattr(model, method)(*arguments)
            assert vars(model) == before


@pytest.mark.parametrize("kind", KINDS)
def test_nor_does_any_later_call(fitted, kind):
    X, message = broken(kind)
    for model in fitted.values():
        for method in LATER:
            if hasattr(model, method):
                labelled = method == "score" and hasattr(model, "classes_")
                with pytest.raises(ValueError, match=f"(?s)X is a broken.*{message}"):
                    getattr(model, method)(*((X, Y) if labelled else (X,)))
    for call in (
        lambda: completion_score(fitted["plsa"], X),
        lambda: StabilityScorer(n_fits=2)(fitted["plsa"], X),
        lambda: topic_coherence(fitted["plsa"], X, n_words=2),
    ):
        with pytest.raises(ValueError, match=f"(?s)is a broken.*{message}"):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_joint_features_are_checked_too(kind):
    matrix, message = broken(kind)
    message = f"(?s)what feature_function returned for class 1 is a broken.*{message}"
    with pytest.raises(ValueError, match=message):
        MaxEntClassifier(feature_function=pairs).fit(Carrier(matrix), Y)
    model = MaxEntClassifier(feature_function=pairs).fit(DENSE, Y)
    with pytest.raises(ValueError, match=message):
        model.predict(Carrier(matrix))


def broken_in_format(form):
    """A matrix of that format with an index that is one too large, and where it is."""
    X = sp.csr_array(DENSE).asformat(form)
    if form in ("csr", "csc"):
        X.indices[-1] = X.shape[1 if form == "csr" else 0]
    elif form == "bsr":
        X = sp.bsr_array(DENSE, blocksize=(4, 5))
        X.indices[-1] = 2
    elif form == "coo":
        X = sp.coo_array((X.data, (X.coords[0], np.where(X.coords[1] == 9, 10, X.coords[1]))))
        X.resize(24, 11)
        X._shape = (24, 10)
    elif form == "lil":
        X.rows[2] = [*X.rows[2][:-1], 10]
    elif form == "dok":
        X._dict[(3, 10)] = 1.0
    else:
        X.offsets = X.offsets[:-1]
    return X


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_checked_before_it_is_converted(form):
    X = broken_in_format(form)
    for model in (PLSA(2), MaxEntClassifier()):
        with pytest.raises(ValueError, match="X is a broken sparse matrix"):
            model.fit(X, Y)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("matrix", [False, True])
def test_sound_matrices_pass_and_are_left_alone(form, matrix):
    X = sp.csr_matrix(DENSE) if matrix else sp.csr_array(DENSE)
    X = X.asformat(form)
    check_sparse_indices(X)
    for empty in (sp.csr_array((3, 4)), sp.coo_array((0, 4)), sp.csc_array((3, 0))):
        check_sparse_indices(empty.asformat(form) if form != "bsr" else empty)
    check_sparse_indices(DENSE)
    check_sparse_indices([[1, 2]])
    plsa = PLSA(2, random_state=0).fit(X)
    np.testing.assert_allclose(plsa.components_, PLSA(2, random_state=0).fit(DENSE).components_)
    np.testing.assert_array_equal(X.toarray(), DENSE)


def test_entries_behind_the_last_row_are_none():
    X = sp.csr_array(DENSE)
    longer = sp.csr_array(DENSE)
    longer.data = np.concatenate([X.data, [5.0, 7.0]])
    longer.indices = np.concatenate([X.indices, np.array([0, 1], X.indices.dtype)])
    for model in (PLSA(2, random_state=0), LatentDirichletAllocationVB(2, random_state=0)):
        expected = model.fit(X).transform(X)
        np.testing.assert_array_equal(model.fit(longer).transform(longer), expected)


def test_the_check_copies_nothing():
    X = sp.csr_array(np.ones((1000, 1000)))
    tracemalloc.start()
    check_sparse_indices(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.05 * X.data.nbytes
