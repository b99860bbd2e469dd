"""Numbers that all parts use."""

NOT_ZERO = 1e-300
"""In place of zero where something is divided by it, or its logarithm taken: a normal number, far
below whatever is computed."""
