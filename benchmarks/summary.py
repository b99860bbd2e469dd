"""One table of how the estimators compare, out of the tables of all benchmarks.

    python benchmarks/summary.py [--full]

It measures nothing. `benchmarks/run.py` calls it at its end.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from report import folder, rst_table, text_table

HEADER = ["estimator", "beside", "ratio (lowest to highest)", "what", "cases"]


class Table(NamedTuple):
    """A list table of a fragment."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str, nth: int = 0) -> int:
        """Where the nth column of that name is."""
        return [i for i, cell in enumerate(self.header) if cell == name][nth]

    def ratios(self, name: str, nth: int = 0) -> list[float]:
        """Numbers of a column; of '> 3' it is 3, and what is no number is left out."""
        column = self.column(name, nth)
        cells = [row[column].removeprefix("> ") for row in self.rows]
        return [float(cell) for cell in cells if re.fullmatch(r"[\d.]+", cell)]


def read(path: Path) -> list[Table]:
    """The list tables of a fragment that `report.write` has written."""
    tables = []
    for block in path.read_text(encoding="utf-8").split(".. list-table:: ")[1:]:
        title, _, body = block.partition("\n")
        rows: list[list[str]] = []
        for line in body.splitlines():
            if line.startswith("   * -"):
                rows.append([])
            if line.startswith(("   * -", "     -")):
                rows[-1].append(line[6:].strip())
        tables.append(Table(title, rows[0], rows[1:]))
    return tables


# ------------------------------------------------------------------ what goes in
def gaussian_tables(tables: list[Table]) -> Iterator[tuple]:
    for table, what in zip(
        tables,
        ("default fits of real tables", "an EM iteration on them, 50 columns and more"),
        strict=True,
    ):
        kind = table.column("covariance")
        for covariance_type in ("full", "diag"):
            rows = [row for row in table.rows if row[kind] == covariance_type]
            ratios = table._replace(rows=rows).ratios("times faster")
            yield "GaussianMixtureEM", "scikit-learn", f"{what}, {covariance_type}", ratios


def gaussian_mixture(tables: list[Table]) -> Iterator[tuple]:
    speed, maps = tables
    kinds = ("full", "tied", "diag", "spherical")
    found = {kind: [r for r in speed.rows if r[1:3] == [kind, "float64"]] for kind in kinds}
    for kind, rows in found.items():
        ratios = speed._replace(rows=rows).ratios("times faster")
        yield (
            "GaussianMixtureEM",
            "scikit-learn",
            f"an EM iteration on drawn clusters, {kind}",
            ratios,
        )
    plain, fast = (maps.column(name) for name in ("EM maps, plain", "EM maps, accelerated"))
    ratios = [float(row[plain]) / float(row[fast]) for row in maps.rows]
    yield "GaussianMixtureEM", "plain EM", "E steps to the maximum, accelerated", ratios


def maxent(tables: list[Table]) -> Iterator[tuple]:
    name = "LogisticRegression, fastest solver"
    for nth, level in enumerate(("1e-4", "1e-6")):
        found = tables[0].ratios("times", nth)
        yield "MaxEntClassifier", name, f"time to {level} of the optimum", found


def maxent_joint(tables: list[Table]) -> Iterator[tuple]:
    found = tables[0].ratios("times the better")
    yield "MaxEntClassifier", "nltk, GIS or IIS", "time of a training, joint features", found


def topics(tables: list[Table]) -> Iterator[tuple]:
    """Of a peer that was run in two ways the faster one counts."""
    seconds: dict[str, dict[str, float]] = {}
    for corpus, name, time, *_ in tables[0].rows:
        own = seconds.setdefault(corpus, {})
        name = name.removesuffix(", n_jobs=2")
        own[name] = min(float(time), own.get(name, float("inf")))
    for name, peer, beside, what in (
        ("skem PLSA", "NMF-KL", "NMF of scikit-learn, KL", ""),
        ("skem PLSA, float32", "enstop PLSA, float32", "enstop", ", float32"),
        ("skem LDA, cvb0", "scikit-learn LDA", "scikit-learn", ", cvb0"),
        ("skem LDA, vb", "scikit-learn LDA", "scikit-learn", ", vb"),
        ("skem LDA, cvb0", "tomotopy, Gibbs", "tomotopy, Gibbs", ", cvb0"),
    ):
        estimator = "PLSA" if "PLSA" in name else "LatentDirichletAllocationVB"
        found = [own[peer] / own[name] for own in seconds.values() if {name, peer} <= own.keys()]
        yield estimator, beside, f"time of a pass{what}", found


def vae(tables: list[Table]) -> Iterator[tuple]:
    for nth, beside in enumerate(("hand-written torch loop", "skorch", "pythae")):
        yield (
            "VAETransformer",
            beside,
            "time of an epoch, whole fits",
            tables[0].ratios("times", nth),
        )


def language_model(tables: list[Table]) -> Iterator[tuple]:
    found = tables[0].ratios("skem / by hand")
    yield "RNNLanguageModel", "hand-written torch loop", "characters a second, whole fits", found


SOURCES: dict[str, Callable[[list[Table]], Iterator[tuple]]] = {
    "gaussian_tables": gaussian_tables,
    "gaussian_mixture": gaussian_mixture,
    "maxent": maxent,
    "maxent_joint": maxent_joint,
    "topics_speed": topics,
    "vae_speed": vae,
    "language_model_speed": language_model,
}


# ------------------------------------------------------------------ the table
def rows_of(place: Path) -> Iterator[list[str]]:
    for name, pick in SOURCES.items():
        path = place / f"{name}.inc"
        if not path.exists():
            continue
        for estimator, beside, what, ratios in pick(read(path)):
            if ratios:
                median = f"{statistics.median(ratios):.3g}"
                spread = f" ({min(ratios):.3g} to {max(ratios):.3g})" if len(ratios) > 1 else ""
                yield [estimator, beside, median + spread, what, str(len(ratios))]


def machines(place: Path) -> list[str]:
    """Machine and versions, as the fragments name them, each part once."""
    found: dict[str, None] = {}
    for name in SOURCES:
        path = place / f"{name}.inc"
        if path.exists():
            line = path.read_text(encoding="utf-8").partition("\n")[0]
            about = re.search(r"on (.*?)(?:\. |\.$)", line)
            parts = re.split(r", (?![^(]*\))", about[1]) if about else []
            found |= dict.fromkeys(part for part in parts if not part.endswith("threads"))
    return list(found)


def fragment(place: Path) -> str:
    """The table as the docs include it, with machine and versions."""
    title = "How many times faster, or fewer: medians of the cases"
    table = rst_table(title, HEADER, list(rows_of(place)))
    return f"Measured on {', '.join(machines(place))}.\n\n{table}"


def main(full: bool) -> None:
    place = folder(full)
    print(", ".join(machines(place)), text_table(HEADER, list(rows_of(place))), sep="\n")
    (place / "summary.inc").write_text(fragment(place), encoding="utf-8")
    print(f"written to {place / 'summary.inc'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="of the tables that the docs show")
    main(parser.parse_args().full)
