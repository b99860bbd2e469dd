"""The gallery has the examples that there are, and each has a title."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*/plot_*.py"))


def test_every_example_has_its_place_in_the_gallery(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import gallery

    sys.modules.pop("gallery")
    placed = {
        f"{section}/plot_{name}.py" for section, names in gallery.ORDER.items() for name in names
    }
    assert placed == {f"{path.parent.name}/{path.name}" for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_begins_with_a_title_and_needs_no_network(path):
    text = path.read_text(encoding="utf-8")
    lines = ast.get_docstring(ast.parse(text)).splitlines()
    title = lines[1] if set(lines[0]) == {"="} else lines[0]
    rule = lines[2] if set(lines[0]) == {"="} else lines[1]
    assert set(rule) == {"="}
    assert len(rule) >= len(title)
    assert "fetch_" not in text
