"""Small models that the engine must serve without change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skem.em import EMModelBase, Rows


class MixtureParams(NamedTuple):
    weight: float
    means: np.ndarray


class MixtureStatistics(NamedTuple):
    log_likelihood: float
    weight: float
    counts: np.ndarray
    sums: np.ndarray


class UnitNormals(EMModelBase):
    """Two normals with variance one on the line: weight and two means."""

    def expected_statistics(self, params, rows: Rows):
        x = rows.X[:, 0]
        w = np.ones(len(x)) if rows.weight is None else rows.weight
        prior = np.log([params.weight, 1 - params.weight])
        log_joint = prior - 0.5 * (x[:, None] - params.means) ** 2 - 0.5 * np.log(2 * np.pi)
        log_p = np.logaddexp(*log_joint.T)
        r = np.exp(log_joint - log_p[:, None]) * w[:, None]
        return MixtureStatistics(float(w @ log_p), float(w.sum()), r.sum(0), r.T @ x)

    def maximize(self, statistics, params):
        share = statistics.counts[0] / statistics.counts.sum()
        return MixtureParams(float(share), statistics.sums / statistics.counts)

    def to_vector(self, params):
        return np.array([np.log(params.weight / (1 - params.weight)), *params.means])

    def from_vector(self, vector, params):
        return MixtureParams(float(1 / (1 + np.exp(-vector[0]))), vector[1:])


class PLSAParams(NamedTuple):
    topics: np.ndarray  # (k, n_words) p(w|z)
    mixtures: np.ndarray  # (n_documents, k) p(z|d): local parameters, one row a document


class PLSAStatistics(NamedTuple):
    log_likelihood: float
    weight: float
    topics: np.ndarray  # adds over blocks
    mixtures: tuple  # local: one array a block, concatenated in order


class PLSA(EMModelBase):
    """PLSA on dense counts: p(z|d) belongs to its document and travels with the rows."""

    def expected_statistics(self, params, rows: Rows):
        local = params.mixtures[rows.start : rows.start + len(rows.X)]
        p = local @ params.topics
        ratio = np.divide(rows.X, p, out=np.zeros_like(p), where=rows.X > 0)
        log_p = np.log(p, out=np.zeros_like(p), where=rows.X > 0)
        return PLSAStatistics(
            float((rows.X * log_p).sum()),
            float(rows.X.sum()),
            params.topics * (local.T @ ratio),
            (local * (ratio @ params.topics.T),),
        )

    def maximize(self, statistics, params):
        mixtures = np.concatenate(statistics.mixtures)
        topics = statistics.topics / statistics.topics.sum(1, keepdims=True)
        return PLSAParams(topics, mixtures / mixtures.sum(1, keepdims=True))

    def to_vector(self, params):
        both = np.concatenate([params.topics.ravel(), params.mixtures.ravel()])
        return np.log(np.maximum(both, np.finfo(float).tiny))

    def from_vector(self, vector, params):
        split = params.topics.size

        def simplex(v, like):
            v = np.exp(v.reshape(like.shape))
            return v / v.sum(1, keepdims=True)

        return PLSAParams(
            simplex(vector[:split], params.topics), simplex(vector[split:], params.mixtures)
        )


def normal_rows(n: int = 400, gap: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(np.where(rng.random(n) < 0.3, 0.0, gap), 1.0)[:, None]
