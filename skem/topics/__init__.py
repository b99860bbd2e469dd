"""Topics of documents: PLSA and latent Dirichlet allocation on sparse counts, and their quality."""

from skem.topics._counts import dyads_to_counts
from skem.topics.lda._lda import LatentDirichletAllocationVB
from skem.topics.plsa._plsa import PLSA
from skem.topics.quality._coherence import topic_coherence, topic_diversity
from skem.topics.quality._matching import TopicMatch, TopicStability, match_topics, topic_stability
from skem.topics.quality._scorers import StabilityScorer, completion_score

__all__ = [
    "PLSA",
    "LatentDirichletAllocationVB",
    "StabilityScorer",
    "TopicMatch",
    "TopicStability",
    "completion_score",
    "dyads_to_counts",
    "match_topics",
    "topic_coherence",
    "topic_diversity",
    "topic_stability",
]
