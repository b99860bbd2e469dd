"""Rows as the solvers see them: dense, sparse, or joint features of row and class."""
