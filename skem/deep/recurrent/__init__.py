"""Recurrent networks: language model, tagger, classifier."""
