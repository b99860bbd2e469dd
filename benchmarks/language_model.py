"""RNNLanguageModel beside a hand-written torch loop, and what it reaches in a given time.

Speed: whole fits of the same one-layer tied LSTM on the same characters for the same number of
epochs, in turns; the ratio of each pair is taken, and medians are quoted. The hand-written loop
cuts the text into columns once, carries the state, clips gradients, has the same (fused) Adam with
the same schedule, and reads nothing back before an epoch is over.
Loss: tiny Shakespeare, the first 90 % to train on and the last 10 % to test, in nats a character,
after a fit of so many minutes.
Song ci: bits a character of poems that were held out, and poems that are drawn.
Words: perplexity of a corpus given as three files (train, valid, test), line ends being tokens.

    python benchmarks/language_model.py [--full] [--only PART] [--minutes M] [--characters N]
        [--hidden H] [--words TRAIN VALID TEST] [--data DIR]
"""

from __future__ import annotations

import argparse
import lzma
import math
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import machine, rst_table, text_table, write
from torch import nn
from torch.nn import functional

from skem import RNNLanguageModel
from skem.datasets import load_python_reference

KNOWN = "nanoGPT: 1.88 on a laptop's CPU in 3 minutes, 1.4697 on an A100; by hand, 3 minutes: 1.478"
CHOSEN = {"batch_size": 32, "learning_rate": 6e-3}
PACKAGES = ("skem", "torch", "skorch", "numpy")


def shakespeare(data: Path) -> tuple[str, str]:
    text = (data / "tinyshakespeare.txt").read_text(encoding="utf-8")
    n = len(text) * 9 // 10
    return text[:n], text[n:]


# ------------------------------------------------------------------ speed
class Plain(nn.Module):
    """A tied LSTM."""

    def __init__(self, n_tokens: int, hidden: int):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, hidden)
        nn.init.normal_(self.embedding.weight, std=hidden**-0.5)
        self.lstm = nn.LSTM(hidden, hidden)
        self.bias = nn.Parameter(torch.zeros(n_tokens))

    def forward(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        h, state = self.lstm(self.embedding(x), state)
        return functional.linear(h, self.embedding.weight, self.bias), state


def by_hand(text: str, hidden: int, batch: int, bptt: int, epochs: int) -> None:
    torch.manual_seed(0)
    types = sorted(set(text))
    number = {c: i for i, c in enumerate(types)}
    ids = torch.tensor([number[c] for c in text])
    n = (len(ids) - 1) // batch
    x, y = (ids[k : k + n * batch].view(batch, n).t().contiguous() for k in (0, 1))
    model = Plain(len(types), hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    planned, done = epochs * -(-n // bptt), 0
    for _ in range(epochs):
        state, total = None, torch.zeros(())
        for start in range(0, n, bptt):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * 0.5 * (1 + math.cos(math.pi * done / planned))
            optimizer.zero_grad()
            logits, state = model(x[start : start + bptt], state)
            state = tuple(s.detach() for s in state)
            target = y[start : start + bptt].flatten()
            loss = functional.cross_entropy(logits.flatten(0, 1), target)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.detach()
            done += 1
        total.item()


def by_skem(text: str, hidden: int, batch: int, bptt: int, epochs: int) -> None:
    RNNLanguageModel(
        hidden_size=hidden, batch_size=batch, bptt=bptt, max_epochs=epochs, random_state=0,
        device="cpu",
    ).fit(text)  # fmt: skip


def speed(full: bool, data: Path, most: int | None, hidden: int) -> None:
    try:
        text = shakespeare(data)[0]
    except FileNotFoundError as error:
        print(f"no {error.filename}: the language reference of Python in its place")
        text = "\n".join(load_python_reference().data)
    text = text[: most or (300_000 if full else 60_000)]
    rows = []
    for batch, bptt in ((64, 64), (32, 128)):
        taken: dict[Any, list[float]] = {by_skem: [], by_hand: []}
        for turn in range(6 if full else 3):
            for way, seconds in taken.items():
                begin = time.perf_counter()
                way(text, hidden, batch, bptt, 2)
                if turn:  # the first warms up
                    seconds.append((time.perf_counter() - begin) / 2)
        own, other = taken[by_skem], taken[by_hand]
        ratio = statistics.median(b / a for a, b in zip(own, other, strict=True))
        rates = [f"{len(text) / statistics.median(t) / 1000:.1f}" for t in (own, other)]
        rows.append([f"{hidden}", f"{batch}", f"{bptt}", *rates, f"{ratio:.3f}"])
        print("  ".join(rows[-1]), flush=True)
    header = ["units", "batch", "bptt", "skem, 1000 characters/s", "by hand", "skem / by hand"]
    show(full, "speed", f"Whole fits on {len(text)} characters, 2 epochs", header, rows)


# ------------------------------------------------------------------ loss in a given time
def fit_for(minutes: float, text: Any, options: dict, **fit: Any) -> tuple[Any, float]:
    """A fit of as many epochs as are done in that time, of which one is timed first."""
    seconds = RNNLanguageModel(**options, max_epochs=1).fit(text).history_[0]["dur"]
    print(f"an epoch in {seconds:.1f} s", flush=True)
    epochs = max(1, int(60 * minutes / seconds))
    begin = time.perf_counter()
    model = RNNLanguageModel(**options, max_epochs=epochs).fit(text, **fit)
    return model, time.perf_counter() - begin


def loss(full: bool, train: str, test: str, minutes: float, options: dict) -> None:
    model, seconds = fit_for(minutes, train, options | CHOSEN | {"dropout": 0.1})
    value = -model.score(test)
    header = ["minutes", "epochs", "threads", "nats a character", "bits a character"]
    row = [f"{seconds / 60:.2f}", f"{model.n_iter_}", f"{torch.get_num_threads()}", f"{value:.4f}",
           f"{value / math.log(2):.4f}"]  # fmt: skip
    print(KNOWN)
    show(full, "loss", "Tiny Shakespeare, last tenth", header, [row])
    print(model.generate("\n", 400, temperature=0.8, random_state=0))


# ------------------------------------------------------------------ Song ci
def poems(data: Path, most: int | None) -> list[str]:
    with lzma.open(data / "songci.tsv.xz", "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    order = np.random.default_rng(0).permutation(np.arange(len(lines)))[:most]
    return [lines[i].replace("\t", "\n") for i in order if len(lines[i]) > 1]


def songci(full: bool, texts: list[str], minutes: float, options: dict) -> None:
    n = len(texts) * 19 // 20
    options = options | CHOSEN | {"min_frequency": 2, "dropout": 0.2, "unknown_score": "symbol"}
    model, seconds = fit_for(minutes, texts[:n], options)
    header = ["poems", "tokens", "minutes", "epochs", "bits a character", "perplexity"]
    row = [f"{n}", f"{model.vocabulary_.size}", f"{seconds / 60:.2f}", f"{model.n_iter_}",
           f"{model.bits_per_character(texts[n:]):.3f}",
           f"{model.perplexity(texts[n:]):.1f}"]  # fmt: skip
    drawn = [model.generate(n_tokens=120, temperature=0.8, random_state=seed) for seed in range(3)]
    print(*drawn, sep="\n\n")
    lines = "\n\n".join(drawn).splitlines()
    block = "\n".join([".. code-block:: text", "", *(f"   {line}".rstrip() for line in lines)])
    title = "Song ci, poems held out, and three that the model drew"
    show(full, "songci", title, header, [row], block)


# ------------------------------------------------------------------ words
def words(files: list[Path], minutes: float, options: dict, most: int | None) -> None:
    """Each file is one sequence of the words of its lines, each line with '<eos>' after it."""
    train, valid, test = (
        [" <eos> ".join([*file.read_text(encoding="utf-8").splitlines(), ""]).split()[:most]]
        for file in files
    )
    options = options | {"bptt": 35, "dropout": 0.4, "dropout_input": 0.4, "unknown_token": True}
    model, seconds = fit_for(minutes, train, options, X_val=valid)
    header = ["words", "vocabulary", "minutes", "epochs", "valid perplexity", "test perplexity"]
    row = [f"{len(train[0])}", f"{model.vocabulary_.size}", f"{seconds / 60:.2f}",
           f"{model.n_iter_}", f"{model.perplexity(valid):.1f}",
           f"{model.perplexity(test):.1f}"]  # fmt: skip
    print(text_table(header, [row]))


def show(
    full: bool, name: str, title: str, header: list[str], rows: list[list[str]], *others: str
) -> None:
    print(text_table(header, rows))
    about = f"Measured on {machine(*PACKAGES)}, {torch.get_num_threads()} threads."
    write(full, f"language_model_{name}", about, rst_table(title, header, rows), *others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="writes the docs' tables")
    parser.add_argument("--only", default="", choices=["", "speed", "loss", "songci", "words"])
    parser.add_argument("--minutes", type=float, help="of each fit but those of speed")
    parser.add_argument("--characters", type=int, default=None, help="the first ones only")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--words", type=Path, nargs=3, metavar=("TRAIN", "VALID", "TEST"))
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    options = parser.parse_args()
    print(machine(*PACKAGES), f"{torch.get_num_threads()} threads")
    own = {"hidden_size": options.hidden, "random_state": 0}
    most = options.characters
    minutes = options.minutes or (3.0 if options.full else 0.3)
    if options.only in ("", "speed"):
        speed(options.full, options.data, most, options.hidden)
    try:
        if options.only in ("", "loss"):
            train, test = (text[:most] for text in shakespeare(options.data))
            loss(options.full, train, test, minutes, own)
        if options.only in ("", "songci"):
            some = None if most is None else max(most // 60, 40)
            songci(options.full, poems(options.data, some), minutes, own)
    except FileNotFoundError as error:
        print(f"left out, no {error.filename}")
    if options.words and options.only in ("", "words"):
        words(options.words, minutes, own, most)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
