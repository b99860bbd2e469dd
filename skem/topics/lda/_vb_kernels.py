"""Variational Bayes of latent Dirichlet allocation, document by document.

Conventions are those of `_kernels`; and of one document with m different words
    gathered.shape = (m, k)    rows of phi, each relative to its largest, none below `least`
    tops.shape = (m,)          logs of what they have been divided by
    lead.shape = (k,)          exp E[log theta] relative to its largest, none below `least`
    d.shape = (k,)             expected counts

exp E[log p] goes as exp(-1 / x) where a count x is small, and leaves the range of numbers soon: it
is 1e-44 at x = 0.01. A word that the numbers above make hardly likelier than their floors do is
*doubtful*, and taken from the logarithms themselves. So no word is lost, and the bound is exact.

    topics = (source, eta, shift)   E[log p(w|z)] = digamma(source + eta) - shift (k,); with an
                                    empty shift p(w|z) is known, and source holds it
"""

from __future__ import annotations

import math

import numpy as np

from skem._kernel_cache import njit
from skem.topics._fold_in_kernels import gather
from skem.topics._kernels import dot, least, log_likelihood, longest, mix, spread
from skem.topics.lda._kernels import digamma, dirichlet_terms, exp_log_expectation

NOTHING = -42.0
"""Terms of a sum that are this far below the largest, as logarithms, are below rounding."""


@njit(nogil=True, cache=True)
def _doubtful_below(lead):
    """What all floors together may add to, over rounding."""
    return len(lead) * least(lead) / np.finfo(lead.dtype).eps


@njit(nogil=True, cache=True, error_model="numpy")
def _posterior(topics, w, top, d, alpha, q):
    """Q (k,) <- p(z|d, w) from logarithms; returns that of the sum over z of lead x phi.

    That is -inf, and q is 0, for a word that no topic has.
    """
    source, eta, shift = topics
    most, largest, total = 0.0, -np.inf, 0.0
    for z in range(len(d)):
        most = max(most, d[z] + alpha[z])
    most = digamma(most)
    for z in range(len(d)):
        q[z] = math.log(source[w, z]) if shift.size == 0 else digamma(source[w, z] + eta) - shift[z]
        q[z] += digamma(d[z] + alpha[z]) - most - top
        largest = max(largest, q[z])
    if largest == -np.inf:
        q[:] = 0.0
        return largest
    for z in range(len(d)):
        q[z] = math.exp(q[z] - largest) if q[z] - largest > NOTHING else 0.0
        total += q[z]
    q /= total
    return largest + math.log(total)


@njit(nogil=True, cache=True, error_model="numpy")
def _document(
    data, indices, gathered, tops, topics, alpha, tol, max_iter, lead, own, mixed, q, new, d
):
    """Steps of VB for one document, from its expected counts d; own, q, new (k,) are for work.

    Sets lead to exp E[log theta] but for a factor, and returns the log of it.
    """
    m, doubtful, tiny = len(data), _doubtful_below(lead), least(d) ** 2
    places = np.arange(m)
    for _ in range(max_iter):
        exp_log_expectation(d, alpha, lead)
        mix(data, places, gathered, lead, own, mixed, doubtful)
        for z in range(len(d)):
            new[z] = np.float64(own[z]) * lead[z]
        for a in range(m):
            if mixed[a] <= doubtful:
                _posterior(topics, indices[a], tops[a], d, alpha, q)
                for z in range(len(d)):
                    new[z] += data[a] * q[z]
        moved = 0.0
        for z in range(len(d)):
            moved += abs(new[z] - d[z])
            d[z] = new[z] if new[z] > tiny else 0.0
        if moved <= tol:
            break
    return exp_log_expectation(d, alpha, lead)


@njit(nogil=True, cache=True, error_model="numpy")
def vb_e_step(
    data, indices, indptr, weight, phi, tops, topics, alpha, tol, max_iter, docs, words, log_theta,
    values,
):  # fmt: skip
    """Variational Bayes for each document, from the ``docs`` of before.

    Sets docs to the expected counts of topics, values (n,) to the bound on log p(words of d) given
    the topics, in nats; adds to words (p, k) the expected counts over phi, and to log_theta (k,)
    E[log theta]. Steps end when docs move by less than ``tol`` per topic, or after ``max_iter``.
    ``tops`` (p,) are logs of what phi has been divided by.
    """
    k, most = docs.shape[1], longest(indptr)
    buffer, mixed, high = np.empty((most, k), phi.dtype), np.empty(most), np.empty(most)
    own, lead = np.empty(k, phi.dtype), np.empty(k, phi.dtype)
    q, new, doubtful = np.empty(k), np.empty(k), _doubtful_below(lead)
    for i in range(len(docs)):
        w = weight[i] if weight.size else 1.0
        first, m, d = indptr[i], indptr[i + 1] - indptr[i], docs[i]
        counts, here, gathered = data[first : first + m], indices[first : first + m], buffer[:m]
        gather(here, phi, gathered)
        for a in range(m):
            high[a] = tops[here[a]]
        top = _document(
            counts, here, gathered, high, topics, alpha, tol * k, max_iter, lead, own, mixed, q,
            new, d,
        )  # fmt: skip
        value, total = 0.0, 0.0
        for a in range(m):
            value += counts[a] * (top + high[a])
            mixed[a] = dot(lead, gathered[a])
            if mixed[a] <= doubtful:
                value += counts[a] * _posterior(topics, here[a], high[a], d, alpha, q)
                for z in range(k):
                    words[here[a], z] += w * counts[a] * q[z] / gathered[a, z]
                mixed[a] = np.inf  # so that `spread` adds nothing
        spread(counts, here, lead, w, mixed, words)
        value += _certain(counts, mixed)
        values[i] = dirichlet_terms(d, alpha) + value
        for z in range(k):
            total += d[z] + alpha[z]
        bottom = digamma(total)
        for z in range(k):
            log_theta[z] += w * (digamma(d[z] + alpha[z]) - bottom)


@njit(nogil=True, cache=True, error_model="numpy")
def _certain(counts, mixed):
    """Log-likelihood without the words whose number is inf: those have been counted."""
    for a in range(len(counts)):
        if mixed[a] == np.inf:
            mixed[a] = 1.0
    return log_likelihood(counts, mixed)


@njit(nogil=True, cache=True, error_model="numpy")
def _gather_known(indices, phi, gathered, tops):
    """The rows of p(w|z) that the words of a document have, each relative to its largest."""
    low = least(gathered)
    for a in range(len(indices)):
        row = phi[indices[a]]
        top = row.max()
        tops[a] = math.log(top) if top > 0 else 0.0
        for z in range(len(row)):
            gathered[a, z] = max(row[z] / top, low) if top > 0 else low


@njit(nogil=True, cache=True, error_model="numpy")
def vb_fold_in(data, indices, indptr, phi, alpha, tol, max_iter, docs):
    """Docs (n, k) <- expected counts of topics by VB, with topics p(w|z) that stay."""
    k, most = docs.shape[1], longest(indptr)
    buffer, mixed, tops = np.empty((most, k), phi.dtype), np.empty(most), np.empty(most)
    own, lead, q, new = np.empty(k, phi.dtype), np.empty(k, phi.dtype), np.empty(k), np.empty(k)
    topics = (phi, 0.0, np.empty(0))
    for i in range(len(docs)):
        some = slice(indptr[i], indptr[i + 1])
        m, limit = indptr[i + 1] - indptr[i], tol * docs[i].sum()
        _gather_known(indices[some], phi, buffer[:m], tops)
        _document(
            data[some], indices[some], buffer[:m], tops, topics, alpha, limit, max_iter, lead, own,
            mixed, q, new, docs[i],
        )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def document_bounds(data, indices, indptr, phi, alpha, docs, values):
    """Values (n,) <- bound on log p(words of d) at topics p(w|z), under Dirichlet(docs + alpha)."""
    k, most = docs.shape[1], longest(indptr)
    buffer, mixed, tops = np.empty((most, k), phi.dtype), np.empty(most), np.empty(most)
    lead, q = np.empty(k, phi.dtype), np.empty(k)
    topics, doubtful = (phi, 0.0, np.empty(0)), _doubtful_below(lead)
    for i in range(len(docs)):
        first, m = indptr[i], indptr[i + 1] - indptr[i]
        counts, here = data[first : first + m], indices[first : first + m]
        top = exp_log_expectation(docs[i], alpha, lead)
        _gather_known(here, phi, buffer[:m], tops)
        value = 0.0
        for a in range(m):
            value += counts[a] * (top + tops[a])
            mixed[a] = dot(lead, buffer[a])
            if mixed[a] <= doubtful:
                value += counts[a] * _posterior(topics, here[a], tops[a], docs[i], alpha, q)
                mixed[a] = np.inf
        values[i] = dirichlet_terms(docs[i], alpha) + value + _certain(counts, mixed)


@njit(nogil=True, cache=True, error_model="numpy")
def assigned(data, indices, indptr, phi, alpha, docs, counts):
    """Counts (n, k) <- tokens of each topic, all of a word in the one most probable at docs."""
    n, k = docs.shape
    for i in range(n):
        counts[i] = 0.0
        for a in range(indptr[i], indptr[i + 1]):
            best, most = 0, -1.0
            for z in range(k):
                q = phi[indices[a], z] * (docs[i, z] + alpha[z])
                if q > most:
                    best, most = z, q
            counts[i, best] += data[a]


@njit(nogil=True, cache=True, error_model="numpy")
def of_one_topic(data, indices, indptr, phi, alpha, counts):
    """Counts (n, k) <- all tokens of a document in the topic that explains it best alone."""
    n, k = counts.shape
    for i in range(n):
        best, most, size = 0, -np.inf, 0.0
        for a in range(indptr[i], indptr[i + 1]):
            size += data[a]
        for z in range(k):
            value = math.lgamma(alpha[z] + size) - math.lgamma(alpha[z])
            for a in range(indptr[i], indptr[i + 1]):
                p = phi[indices[a], z]
                value += data[a] * math.log(p) if p > 0 else -np.inf
            if value > most:
                best, most = z, value
        counts[i] = 0.0
        counts[i, best] = size
