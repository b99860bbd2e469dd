"""RNNSeq2Seq on grapheme-to-phoneme conversion, SIGMORPHON 2020 task 1, in 15 languages.

Quality: one configuration, the defaults, for all languages; an ensemble, and each of its members
alone. Word error rate (a word is wrong if any symbol is) and phone error rate (edits over symbols),
per cent, of the test words; dev decided on the configuration. Minutes are those of the whole
``fit`` and of the outputs of all dev and test words, on all cores. Results of a language are kept
in build/benchmarks/seq2seq, so that a run may be interrupted.
Attention: single models with attention by dot product, and without.
Speed: ``fit`` beside a loop written by hand for the same batches and torch module; beam search
beside yoyodyne, if that is installed.

    python benchmarks/seq2seq.py [--full] [--only PART] [--languages ady,bul] [--data DIR]
"""

from __future__ import annotations

import argparse
import copy
import json
import lzma
import sys
import time
import types
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from report import ROOT, machine, rst_table, text_table, write

from skem import RNNSeq2Seq
from skem.deep.modules.ensemble import Ensemble
from skem.deep.seq2seq._data import TrainingPairs
from skem.deep.sequences._pairs import PairBatches
from skem.deep.training._base import cosine
from skem.deep.training._random import training

FILE = "g2p_sigmorphon2020.tsv.xz"
MEMBERS = 5
DECOMPOSED = "kor, decomposed"

# Word error rates of the shared task's LSTM (best of a grid of 36 on dev, a language), Gorman et
# al. (2020), table 4.
LSTM = {
    "ady": 28.00, "arm": 14.67, "bul": 31.11, "dut": 16.44, "fre": 6.22, "geo": 26.44,
    "gre": 18.89, "hin": 6.67, "hun": 5.33, "ice": 10.00, "jpn": 7.56, "kor": 46.89,
    "lit": 19.11, "rum": 10.67, "vie": 4.67,
}  # fmt: skip


class Words(NamedTuple):
    """Spellings, and their sounds."""

    X: list[str]
    y: list[list[str]]


def words_of(data: Path, language: str) -> dict[str, Words]:
    """Those of each part."""
    with lzma.open(data / FILE, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    code, form = language[:3], "NFD" if language == DECOMPOSED else None
    found: dict[str, Words] = {}
    for row in rows:
        if row[0] == code:
            words = found.setdefault(row[1], Words([], []))
            words.X.append(row[2] if form is None else unicodedata.normalize(form, row[2]))
            words.y.append(row[3].split())
    return found


def rates(model: RNNSeq2Seq, words: Words) -> list[float]:
    """Word and phone error rate, per cent."""
    return [100 * (1 - model.score(*words)), 100 * model.error_rate(*words)]


# ------------------------------------------------------------------ quality
def of_language(data: Path, language: str, kept: Path, name: str, **options: Any) -> dict[str, Any]:
    """Rates of the ensemble and of its members; from the file if they are there."""
    path = kept / f"{name}_{language.replace(', ', '_')}.json"
    if path.exists():
        return json.loads(path.read_text())
    words = words_of(data, language)
    start = time.perf_counter()
    model = RNNSeq2Seq(random_state=0, device="cpu", **options).fit(*words["train"])
    seconds = time.perf_counter() - start
    members = model.net_.module_.members
    found: dict[str, Any] = {"fit": seconds, "dev": rates(model, words["dev"])}
    start = time.perf_counter()
    found["test"] = rates(model, words["test"])
    found["decoding"] = time.perf_counter() - start  # twice: for both rates
    alone = copy.copy(model)
    alone.net_ = copy.copy(model.net_)
    found["members"] = []
    for member in members:
        alone.net_.module_ = Ensemble([member])
        found["members"].append([*rates(alone, words["dev"]), *rates(alone, words["test"])])
    kept.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    print(language, name, json.dumps(found), flush=True)
    return found


def mean_of(rows: list[list[float]]) -> list[float]:
    return np.mean(rows, axis=0).tolist()


def quality(full: bool, data: Path, languages: list[str], kept: Path) -> None:
    options = {"n_members": MEMBERS} if full else {"n_members": 2, "max_epochs": 2}
    name = "ensemble" if full else "small"
    all_of = f"{options['n_members']} models"
    header = ["language", "LSTM of the task, WER", "one model, WER", "PER", f"{all_of}, WER", "PER",
              "one, dev WER", f"{all_of}, dev WER", "minutes"]  # fmt: skip
    found = {one: of_language(data, one, kept, name, **options) for one in languages}
    rows, whole = [], []
    for language, one in found.items():
        each = mean_of(one["members"])
        numbers = [each[2], each[3], *one["test"], each[0], one["dev"][0]]
        minutes = (one["fit"] + one["decoding"]) / 60
        reference = LSTM.get(language)
        if language != DECOMPOSED:
            whole.append([reference, *numbers, minutes])
        shown = "" if reference is None else f"{reference:.2f}"
        rows.append([language, shown, *(f"{v:.2f}" for v in numbers), f"{minutes:.1f}"])
    means = mean_of(whole)
    rows.append([f"mean of {len(whole)}", *(f"{v:.2f}" for v in means[:-1]), f"{means[-1]:.1f}"])
    print(text_table(header, rows))
    title = f"Error rates on test words, per cent. {machine('torch', 'skorch')}."
    write(full, "seq2seq_quality", rst_table(title, header, rows))


def attention(full: bool, data: Path, languages: list[str], kept: Path) -> None:
    few = {} if full else {"max_epochs": 2}
    prefix = "" if full else "small_"
    header = ["language", "bilinear, WER", "PER", "dot, WER", "PER", "none, WER", "PER"]
    rows, numbers = [], []
    for language in languages:
        row: list[float] = []
        for kind in ("bilinear", "dot", None):
            found = of_language(data, language, kept, f"{prefix}{kind}", attention=kind, **few)
            row += found["test"]
        numbers.append(row)
        rows.append([language, *(f"{v:.2f}" for v in row)])
    rows.append([f"mean of {len(rows)}", *(f"{v:.2f}" for v in mean_of(numbers))])
    print(text_table(header, rows))
    title = f"One model, by its attention. {machine('torch', 'skorch')}."
    write(full, "seq2seq_attention", rst_table(title, header, rows))


# ------------------------------------------------------------------ speed
def by_hand(model: RNNSeq2Seq, words: Words) -> None:
    """The same training, as one would write it for this one model."""
    data: TrainingPairs = model._training_data(
        *words, goes_on=False, sample_weight=None, X_val=None, y_val=None
    )
    with training(0, torch.device("cpu")):
        module = model._make_module(data)
        pairs = data.pairs(np.arange(len(data.source)))
        batches = PairBatches(pairs, model._auto_batch_size(pairs), shuffle=True)
        optimizer = torch.optim.Adam(module.parameters(), lr=model.learning_rate, fused=True)
        n, done = model.max_epochs * len(batches), 0
        module.train()
        for _ in range(model.max_epochs):
            for batch in batches:
                for group in optimizer.param_groups:
                    group["lr"] = model.learning_rate * cosine(done / n)
                optimizer.zero_grad()
                loss, _ = module(*batch)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), model.gradient_clip)
                optimizer.step()
                done += 1


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def speed(full: bool, data: Path, languages: list[str], kept: Path) -> None:
    header = ["language", "fit", "by hand", "ratio", "beam of 5, characters/s", "yoyodyne", "ratio"]
    rows = [speed_of(language, words_of(data, language), full) for language in languages]
    print(text_table(header, rows))
    title = f"Medians of 5 runs, of the peer one run. {machine('torch', 'skorch')}."
    write(full, "seq2seq_speed", rst_table(title, header, rows))


def speed_of(language: str, words: dict[str, Words], full: bool) -> list[str]:
    """A row of the table."""
    model = RNNSeq2Seq(random_state=0, device="cpu", max_epochs=3 if full else 1)
    model.fit(words["train"].X[:200], words["train"].y[:200])  # what is loaded once
    ours, theirs = [], []
    for _ in range(5 if full else 1):
        ours.append(timed(lambda: model.fit(*words["train"])))
        theirs.append(timed(lambda: by_hand(model, words["train"])))
    ratio = np.median(np.array(ours) / theirs)
    n = sum(map(len, words["test"].X))
    model.set_params(beam_size=5)
    decoding = float(np.median([timed(lambda: model.predict(words["test"].X)) for _ in range(5)]))
    row = [language, f"{np.median(ours):.1f} s", f"{np.median(theirs):.1f} s", f"{ratio:.3f}"]
    peer = yoyodyne(words, model)
    row.append(f"{n / decoding:.0f}")
    return row + (["", ""] if peer is None else [f"{n / peer:.0f}", f"{peer / decoding:.1f}"])


def yoyodyne(words: dict[str, Words], like: RNNSeq2Seq) -> float | None:
    """Seconds of its beam search for the test words, by a model of the same sizes and epochs."""
    sys.modules.setdefault("wandb", types.ModuleType("wandb"))  # only a place to log to
    try:
        from yoyodyne.data.batches import Batch, PaddedTensor
        from yoyodyne.models import modules
        from yoyodyne.models.rnn import SoftAttentionLSTMModel
        from yoyodyne.special import END_IDX, SPECIAL, START_IDX
    except ImportError as error:
        print("no yoyodyne:", error)
        return None
    sounds = sorted({s for y in words["train"].y for s in y})
    letters = sorted({c for x in words["train"].X for c in x})
    ids = {t: i for i, t in enumerate([*SPECIAL, *sounds, *(("x", c) for c in letters)])}
    encoder = modules.LSTMEncoder(
        bidirectional=True,
        embedding_size=like.embedding_dim,
        hidden_size=like.hidden_size,
        layers=1,
    )
    model = SoftAttentionLSTMModel(
        beam_width=1,
        decoder_hidden_size=like.hidden_size,
        decoder_layers=1,
        embedding_size=like.embedding_dim,
        source_encoder=encoder,
        target_vocab_size=len(SPECIAL) + len(sounds),
        vocab_size=len(ids),
    )

    def batch(X: list[str], y: list[list[str]]) -> Batch:
        source = [torch.tensor([START_IDX, *(ids.get(("x", c), 1) for c in x), END_IDX]) for x in X]
        target = [torch.tensor([*(ids.get(s, 1) for s in one), END_IDX]) for one in y]
        return Batch(PaddedTensor(source), target=PaddedTensor(target))

    optimizer = torch.optim.Adam(model.parameters(), lr=like.learning_rate)
    order = np.argsort([len(x) for x in words["train"].X], kind="stable")
    for _ in range(like.max_epochs):
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            one = batch([words["train"].X[i] for i in rows], [words["train"].y[i] for i in rows])
            optimizer.zero_grad()
            model.loss_func(model(one), one.target.tensor).backward()
            optimizer.step()
    model.eval()
    model.beam_width = 5
    batches = [
        batch(words["test"].X[i : i + 51], words["test"].y[i : i + 51])
        for i in range(0, len(words["test"].X), 51)
    ]
    with torch.inference_mode():
        return timed(lambda: [*map(model, batches)])


PARTS = {"quality": quality, "attention": attention, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--languages")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    if not (arguments.data / FILE).exists():
        print(f"left out: there is no {arguments.data / FILE}")
        return
    everything = [*LSTM, DECOMPOSED] if arguments.full else ["dut"]
    languages = arguments.languages.split(",") if arguments.languages else everything
    kept = ROOT / "build" / "benchmarks" / "seq2seq"
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            own = [one for one in languages if name == "quality" or one != DECOMPOSED]
            if name == "speed" and not arguments.languages:
                own = own[3:4] if arguments.full else own
            part(arguments.full, arguments.data, own, kept)


if __name__ == "__main__":
    main()
