"""Fit every estimator on real data: a table, and pictures in build/demo/.

`make demo` runs this. A section is a function that yields rows; a picture is one that returns a
figure. A new group of models needs a module such as `demo_mixtures`, and is listed here.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from time import perf_counter

os.environ.setdefault("MPLBACKEND", "Agg")

import demo_maxent
import demo_maxent_classifier
import demo_mixture_pictures
import demo_mixtures
import demo_overview
import demo_rnn
import demo_topics
import demo_vae
import matplotlib.pyplot as plt
from demo_table import print_head, print_section

import skem

PREPARATIONS = (
    demo_mixtures.prepare,
    demo_topics.prepare,
    demo_maxent_classifier.prepare,
    demo_vae.prepare,
)
SECTIONS = (
    *demo_mixtures.SECTIONS,
    *demo_topics.SECTIONS,
    *demo_maxent.SECTIONS,
    *demo_maxent_classifier.SECTIONS,
    *demo_vae.SECTIONS,
    *demo_rnn.SECTIONS,
)
PICTURES = (
    *demo_overview.PICTURES,
    *demo_mixture_pictures.PICTURES,
    *demo_topics.PICTURES,
    *demo_maxent.PICTURES,
    *demo_maxent_classifier.PICTURES,
    *demo_vae.PICTURES,
)
FOLDER = Path(__file__).parent.parent / "build" / "demo"


def main() -> None:
    start = perf_counter()
    for prepare in PREPARATIONS:
        prepare()
    print(f"skem {skem.__version__}: kernels ready after {perf_counter() - start:.1f} seconds\n")
    print_head()
    for section in SECTIONS:
        print_section(section.__doc__, section())
    FOLDER.mkdir(parents=True, exist_ok=True)
    print("\nPictures")
    for picture in PICTURES:
        figure = picture()
        path = FOLDER / f"{picture.__name__}.png"
        figure.savefig(path, dpi=150)
        plt.close(figure)
        print(f"  {os.path.relpath(path):<33} {picture.__doc__}", flush=True)
    print(f"\n{perf_counter() - start:.0f} seconds in all")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
