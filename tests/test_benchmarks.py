"""The table of all benchmarks follows from their tables."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLES = ROOT / "docs" / "benchmarks"


@pytest.fixture
def summary(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import summary

    yield summary
    for name in ("summary", "report"):
        sys.modules.pop(name, None)


def test_the_summary_in_the_docs_is_that_of_their_tables(summary):
    written = (TABLES / "summary.inc").read_text(encoding="utf-8")
    assert written == summary.fragment(TABLES)


def test_every_source_gives_ratios(summary):
    for name, pick in summary.SOURCES.items():
        rows = list(pick(summary.read(TABLES / f"{name}.inc")))
        assert rows
        for estimator, beside, what, ratios in rows:
            assert all([estimator, beside, what])
            assert ratios
            assert min(ratios) > 0


def test_a_table_is_read_as_it_was_written(summary, tmp_path):
    from report import rst_table

    rows = [["a", "> 3"], ["b", "not known"], ["c", "1.5"]]
    path = tmp_path / "table.inc"
    path.write_text("Measured.\n\n" + rst_table("A title", ["case", "times"], rows))
    (table,) = summary.read(path)
    assert (table.title, table.header, table.rows) == ("A title", ["case", "times"], rows)
    assert table.ratios("times") == [3, 1.5]
