"""The objective, its penalties, and the algorithms that minimise it."""
