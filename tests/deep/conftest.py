"""Rows and fitted models that many tests look at."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from skem import VAETransformer


@pytest.fixture(scope="session")
def factors():
    """Five columns of unlike units, which two factors make."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((240, 2))
    X = Z @ rng.standard_normal((2, 5)) + 0.3 * rng.standard_normal((240, 5))
    return X * [1.0, 100.0, 0.01, 5.0, 1.0] + [0.0, 50.0, 3.0, -7.0, 0.0]


@pytest.fixture(scope="session")
def binary():
    """The darker and lighter pixels of digits."""
    return (load_digits().data[:400] > 7).astype(np.float64)


@pytest.fixture(scope="session")
def counts():
    """Words of two topics."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(12, 0.2), size=2)
    return np.array([rng.multinomial(40, topics[i % 2]) for i in range(200)], dtype=float)


@pytest.fixture(scope="session")
def gaussian_vae(factors):
    return VAETransformer(
        2, hidden_layer_sizes=(16,), learning_rate=0.01, max_epochs=60, random_state=0
    ).fit(factors)


@pytest.fixture(scope="session")
def bernoulli_vae(binary):
    return VAETransformer(
        4,
        hidden_layer_sizes=(32,),
        likelihood="bernoulli",
        learning_rate=0.01,
        max_epochs=120,
        random_state=0,
    ).fit(binary)


@pytest.fixture(scope="session")
def class_vae():
    """Irises, with a prior mean for each species."""
    iris = load_iris()
    return VAETransformer(
        2,
        hidden_layer_sizes=(16,),
        prior="class",
        learning_rate=0.01,
        batch_size=32,
        max_epochs=120,
        random_state=0,
    ).fit(iris.data, labels=iris.target_names[iris.target])


@pytest.fixture(scope="session")
def conditional_vae():
    """Irises, whose species encoder and decoder see."""
    iris = load_iris()
    return VAETransformer(
        1,
        hidden_layer_sizes=(16,),
        conditional=True,
        learning_rate=0.01,
        batch_size=32,
        max_epochs=120,
        random_state=0,
    ).fit(iris.data, labels=iris.target_names[iris.target])
