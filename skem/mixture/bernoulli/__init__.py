"""Mixtures of Bernoulli variables, and of three coins."""
