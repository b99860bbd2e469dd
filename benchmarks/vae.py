"""VAETransformer beside a hand-written torch loop, skorch as it comes, and pythae.

Speed: whole fits of the same network for the same number of epochs, one after the other, in turns;
the ratio of each pair is taken, and medians are quoted. The hand-written loop slices batches out of
one tensor, with the same (fused) Adam, and reads nothing back before an epoch is over. skorch as it
comes has a DataLoader that collates row by row. pythae has hidden layers of 512, and
writes checkpoints to a temporary folder.
Density: the network of Burda et al. (2016, table 1) on MNIST, binarised anew in each epoch,
784-200-200-50-200-200-784 with tanh; test log-likelihood by 5000 importance samples, in nats.

    python benchmarks/vae.py [--full] [--only PART] [--epochs N] [--data DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import machine, rst_table, text_table, write
from sklearn.datasets import load_digits
from skorch import NeuralNet
from torch import nn
from torch.nn import functional

from skem import VAETransformer

BURDA = {1: 86.76, 50: 84.78}


def mnist(data: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(data / "mnist.npz") as file:
        train, test = (file[name] / np.float32(255) for name in ("x_train", "x_test"))
    return train.reshape(len(train), -1), test.reshape(len(test), -1)


# ------------------------------------------------------------------ speed
class Plain(nn.Module):
    """The network that all train: d-hidden-z-hidden-d, Bernoulli."""

    def __init__(self, d: int, hidden: int, z: int):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 2 * z)
        self.decoder = nn.Sequential(nn.Linear(z, hidden), nn.ReLU(), nn.Linear(hidden, d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, log_variance = self.head(self.encoder(x)).chunk(2, dim=-1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        fit = functional.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum()
        return (fit + kl) / len(x)


def by_hand(X: np.ndarray, hidden: int, z: int, batch: int, epochs: int) -> None:
    torch.manual_seed(0)
    model, rows = Plain(X.shape[1], hidden, z), torch.from_numpy(X)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for _ in range(epochs):
        order, total = torch.randperm(len(rows)), torch.zeros(())
        for start in range(0, len(rows), batch):
            optimizer.zero_grad()
            loss = model(rows[order[start : start + batch]])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()


def by_skem(X: np.ndarray, hidden: int, z: int, batch: int, epochs: int) -> None:
    VAETransformer(
        z, hidden_layer_sizes=(hidden,), likelihood="bernoulli", batch_size=batch,
        max_epochs=epochs, learning_rate_schedule="constant", random_state=0, device="cpu",
    ).fit(X)  # fmt: skip


class _AsItComes(NeuralNet):
    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        return y_pred


def by_skorch(X: np.ndarray, hidden: int, z: int, batch: int, epochs: int) -> None:
    torch.manual_seed(0)
    _AsItComes(
        Plain, criterion=nn.Identity, module__d=X.shape[1], module__hidden=hidden, module__z=z,
        optimizer=torch.optim.Adam, lr=1e-3, batch_size=batch, max_epochs=epochs, verbose=0,
        iterator_train__shuffle=True, train_split=None,
    ).fit(X, np.zeros(len(X), np.float32))  # fmt: skip


def by_pythae(X: np.ndarray, hidden: int, z: int, batch: int, epochs: int) -> None:
    from pythae.models import VAE, VAEConfig
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, learning_rate=1e-3,
            per_device_train_batch_size=batch, no_cuda=True,
        )  # fmt: skip
        model = VAE(VAEConfig(input_dim=(1, 1, X.shape[1]), latent_dim=z,
                              reconstruction_loss="bce"))  # fmt: skip
        data = X.reshape(len(X), 1, 1, -1)
        TrainingPipeline(training_config=config, model=model)(train_data=data)


WAYS: dict[str, Callable] = {
    "skem": by_skem, "by hand": by_hand, "skorch": by_skorch, "pythae": by_pythae,
}  # fmt: skip


def speed(full: bool, data: Path) -> None:
    digits = (load_digits().data / 16).astype(np.float32)
    cases = [
        ("digits, batch 32", digits, 64, 2, 32, 50),
        ("digits, batch 128", digits, 64, 2, 128, 100),
    ]
    try:
        train = np.ascontiguousarray(mnist(data)[0][:20_000])
        cases += [
            ("MNIST 20 000, batch 128", train, 400, 20, 128, 6),
            ("MNIST 20 000, batch 1024", train, 400, 20, 1024, 8),
        ]
    except FileNotFoundError as error:
        print(f"MNIST: left out, no {error.filename}")
    rows = []
    for name, X, hidden, z, batch, epochs in cases:
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(8 if full else 4):
            for way, fit in WAYS.items():
                if way in ("skorch", "pythae") and turn > 3:
                    continue
                begin = time.perf_counter()
                try:
                    fit(X, hidden, z, batch, epochs)
                except ImportError:
                    continue
                if turn:  # the first warms up
                    taken[way].append((time.perf_counter() - begin) / epochs)
        own = taken["skem"]
        cells = [f"{statistics.median(own):.4f}"]
        for way in ("by hand", "skorch", "pythae"):
            if not taken[way]:
                cells += ["not installed", ""]
                continue
            pairs = [other / mine for mine, other in zip(own, taken[way], strict=False)]
            cells += [f"{statistics.median(taken[way]):.4f}", f"{statistics.median(pairs):.2f}"]
        rows.append([name, *cells])
        print("  ".join(rows[-1]), flush=True)
    header = ["data", "skem s/epoch", "by hand", "times", "skorch", "times", "pythae", "times"]
    print(text_table(header, rows))
    about = machine("skem", "torch", "skorch", "numpy")
    table = rst_table("Seconds an epoch of whole fits", header, rows)
    write(full, "vae_speed", f"Measured on {about}, {torch.get_num_threads()} threads.", table)


# ------------------------------------------------------------------ density
def density(full: bool, data: Path, epochs: int, k: int) -> None:
    train, test = mnist(data)
    if not full:
        train, test = train[:5000], test[:200]
    vae = VAETransformer(
        50, hidden_layer_sizes=(200, 200), activation="tanh", likelihood="bernoulli",
        binarize=True, n_importance_samples=k, batch_size=50, learning_rate=2e-3,
        max_epochs=epochs, random_state=0,
    )  # fmt: skip
    begin = time.process_time()
    vae.fit(train)
    seconds = time.process_time() - begin
    drawn = (np.random.default_rng(0).random(test.shape) < test).astype(np.float32)
    samples = 5000 if full else 100
    value = -float(vae.score_samples(drawn, n_importance_samples=samples).mean())
    header = ["k", "epochs", "CPU minutes", "-log p(x), nats", "Burda et al., 3280 epochs",
              "active dimensions"]  # fmt: skip
    row = [str(k), str(epochs), f"{seconds / 60:.1f}", f"{value:.2f}", f"{BURDA.get(k, np.nan)}",
           str(vae.active_units_)]  # fmt: skip
    print(text_table(header, [row]))
    about = machine("skem", "torch", "skorch", "numpy")
    table = rst_table("Test log-likelihood, dynamically binarised MNIST", header, [row])
    write(full, f"vae_density_{k}", f"Measured on {about}.", table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all sizes; writes the docs' tables")
    parser.add_argument("--only", default="", choices=["", "speed", "density"])
    parser.add_argument("--epochs", type=int, default=None, help="of the density part")
    parser.add_argument("--samples", type=int, default=1, help="importance samples in training")
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    options = parser.parse_args()
    print(machine("skem", "torch", "skorch", "numpy"))
    if options.only != "density":
        speed(options.full, options.data)
    if options.only != "speed":
        try:
            epochs = options.epochs or (100 if options.full else 2)
            density(options.full, options.data, epochs, options.samples)
        except FileNotFoundError as error:
            print(f"density: left out, no {error.filename}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    main()
