"""Texts and lists of tokens: reading, vocabularies, segments, labels."""
