"""Distributions of maximum entropy from expectations."""
