"""A transformer names what comes out of it."""

import numpy as np
import pytest

from tests.common.case import assert_alike
from tests.common.cases import each

transformers = each(lambda case: case.n_out > 0 and not case.variant)


def names_of(case):
    return [f"{type(case.estimator).__name__.lower()}{j}" for j in range(case.n_out)]


@transformers
def test_columns_of_transform_have_the_name_of_the_estimator(case):
    assert case.fitted.get_feature_names_out().tolist() == names_of(case)
    assert case.expected["transform"].shape == (case.n_rows, case.n_out)


@transformers
def test_set_output_gives_frames(case):
    pd = pytest.importorskip("pandas")
    X = case.X
    if case.table:
        X = pd.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])
        X.index = np.arange(len(X))[::-1]
    model = case.new().set_output(transform="pandas")
    frames = [model.fit_transform(X, case.y), model.fit(X, case.y).transform(X)]
    for frame in frames:
        assert isinstance(frame, pd.DataFrame)
        assert frame.columns.tolist() == names_of(case)
        assert_alike(frame.to_numpy(), case.expected["transform"], rtol=1e-9)
        assert not case.table or (frame.index == X.index).all()
