"""Rows may come in whatever holds them: the fit is the same."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp

from skem import RNNSeq2Seq
from tests.common.case import assert_alike
from tests.common.cases import each

tables = each(lambda case: case.table and not case.variant)

# The sums of another memory layout have other last digits.
LAYOUT = {"rtol": 1e-9, "atol": 1e-9}


# ---------------------------------------------------------------------- tables
@tables
def test_read_only_memory_maps_are_accepted(case, tmp_path):
    joblib.dump(case.X, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert not mapped.flags.writeable
    assert_alike(case.describe(case.fit(mapped), mapped), case.expected)


@tables
@pytest.mark.parametrize("layout", ["Fortran", "strided"])
def test_memory_layout_changes_nothing(case, layout):
    X = np.asfortranarray(case.X) if layout == "Fortran" else np.repeat(case.X, 2, 1)[:, ::2]
    assert_alike(case.describe(case.fit(X), X), case.expected, **LAYOUT)


@tables
def test_lists_and_integers_are_accepted(case):
    X = np.round(10 * case.X).astype(int)
    y = None if case.y is None else case.y.tolist()
    rows = X.tolist()
    listed = case.describe(case.new().fit(rows, y), rows)
    for same in (X.astype(np.float64), list(X)):
        assert_alike(listed, case.describe(case.fit(same), same))


@tables
def test_frames_give_names_and_the_same_fit(case):
    pd = pytest.importorskip("pandas")
    names = [f"column {j}" for j in range(case.X.shape[1])]
    frame = pd.DataFrame(case.X, columns=names)
    fitted = case.fit(frame)
    assert fitted.feature_names_in_.tolist() == names
    assert fitted.n_features_in_ == len(names)
    assert_alike(case.describe(fitted, frame), case.expected, **LAYOUT)
    for name in case.outputs:
        with pytest.raises(ValueError, match="feature names"):
            getattr(fitted, name)(frame[names[::-1]])


@each(lambda case: case.float32 is not None and not case.variant)
def test_float32_stays_float32_and_is_near_float64(case):
    X = case.X.astype(np.float32)
    single, double = case.fit(X), case.fitted
    for fitted, rows in ((single, X), (double, case.X)):
        values = case.describe(fitted, rows)
        for name in {*case.outputs, *case.learned} - set(case.doubles):
            dtype = values[name].dtype
            assert dtype.kind in "iU" or dtype == rows.dtype, name
    for name in ("lower_bound_", "entropy_"):
        assert isinstance(getattr(single, name, 0.0), float)
        expected = pytest.approx(getattr(double, name, 0.0), abs=case.float32)
        assert getattr(single, name, 0.0) == expected
    scores = [fitted.score(X, case.y) for fitted in (single, double)]
    assert scores[0] == pytest.approx(scores[1], abs=case.float32)


@each(lambda case: case.sparse is not None and not case.variant)
@pytest.mark.parametrize(
    "container", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array]
)
def test_sparse_rows_give_the_same_fit(case, container):
    X = container(case.X)
    tolerance = {"rtol": case.sparse, "atol": case.sparse} if case.sparse else {}
    assert_alike(case.describe(case.fit(X), X), case.expected, **tolerance)


# ---------------------------------------------------------------------- sequences
@each(lambda case: case.kind == "texts" and not case.variant)
def test_texts_may_be_in_arrays_series_and_tuples(case):
    pd = pytest.importorskip("pandas")
    X, y = case.X, None if case.y is None else list(case.y)
    for other in (np.array(X), np.array(X, dtype=object), pd.Series(X), tuple(X)):
        fitted = case.new().fit(other, y)
        assert_alike(case.describe(fitted, other), case.expected, type(other).__name__)


@each(lambda case: case.kind in ("ids", "words") and not case.variant)
def test_tokens_may_be_in_tuples_and_arrays(case):
    for kind in (tuple, np.array):
        X = [kind(row) for row in case.X]
        y = [kind(tags) for tags in case.y] if isinstance(case.y, list) else case.y
        fitted = case.new().fit(X, y)
        assert_alike(case.describe(fitted, X), case.expected, kind.__name__)


@each(lambda case: case.kind == "ids" and not case.variant)
def test_negative_numbers_pad_rows(case):
    def padded(rows, by):
        width = max(map(len, rows)) + 1
        return np.array([[*row, *[by] * (width - len(row))] for row in rows])

    X = padded(case.X, -1)
    by = -1 if isinstance(case.estimator, RNNSeq2Seq) else 7  # any tag, where it is padded
    y = padded(case.y, by) if isinstance(case.y, list) else case.y
    fitted = case.new().fit(X, y)
    assert_alike(case.describe(fitted, X), case.expected)
    assert fitted.score(X, y) == case.fitted.score(case.X, case.y)
