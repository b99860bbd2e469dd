"""What the vector z of the compiled E step holds; apart, because numba is imported late."""

PLAIN = 0
"""(1, x)"""
SQUARED_NORM = 1
"""(1, x, |x|^2)"""
BINARY = 2
"""(1, [x > center])"""
BINARY_MASKED = 3
"""(1, [x > center], [x is known])"""
