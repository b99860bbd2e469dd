"""Topics of documents: PLSA and latent Dirichlet allocation on sparse counts."""

from skem.topics._counts import dyads_to_counts
from skem.topics._lda import LatentDirichletAllocationVB
from skem.topics._plsa import PLSA

__all__ = ["PLSA", "LatentDirichletAllocationVB", "dyads_to_counts"]
