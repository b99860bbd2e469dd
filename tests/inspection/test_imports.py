"""matplotlib is imported when something is drawn, and missed with a clear message."""

import subprocess
import sys

import pytest

from skem.inspection import (
    AttentionDisplay,
    BoundDisplay,
    DocumentTopicsDisplay,
    ExpectationsDisplay,
    LatentSpaceDisplay,
    LossDisplay,
    ManifoldDisplay,
    MixtureDisplay,
    ReconstructionDisplay,
    TopicsDisplay,
    WeightsDisplay,
)


def test_importing_the_displays_imports_no_matplotlib():
    code = "import sys, skem.inspection; assert not [m for m in sys.modules if 'matplotlib' in m]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.parametrize(
    "display",
    [
        AttentionDisplay(weights=[[0.4, 0.6]], x_tokens="ab", y_tokens="a"),
        BoundDisplay(bounds={"a": [-3.0, -2.0]}),
        ExpectationsDisplay(empirical=[1.0, 2.0], model=[1.0, 2.0]),
        MixtureDisplay(weights=[1.0], means=[[0.0, 0.0]], covariances=[[[1.0, 0.0], [0.0, 1.0]]]),
        LatentSpaceDisplay(points=[[0.0, 1.0]]),
        LossDisplay(history=[{"train_reconstruction": 3.0, "train_kl": 1.0}]),
        ManifoldDisplay(decoded=[[[0.0, 1.0]]]),
        ReconstructionDisplay(originals=[[0.0, 1.0]], reconstructions=[[0.0, 1.0]]),
        DocumentTopicsDisplay(proportions=[[0.4, 0.6]]),
        TopicsDisplay(components=[[0.4, 0.6]]),
        WeightsDisplay(weights=[1.0, -2.0]),
    ],
    ids=lambda display: type(display).__name__,
)
def test_without_matplotlib_the_error_says_what_to_install(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    name = type(display).__name__
    with pytest.raises(ImportError, match=rf"{name}\.plot needs matplotlib: .*skem\[plot\]"):
        display.plot()
