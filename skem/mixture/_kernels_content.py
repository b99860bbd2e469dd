"""What the features of a row are; apart, because numba is imported late."""

PLAIN = 0
"""(1, z)"""
SQUARED_NORM = 1
"""(1, z, |z|^2)"""
SQUARES = 2
"""(1, z, z_j^2)"""
BINARY = 3
"""(1, [x > center])"""
BINARY_MASKED = 4
"""(1, [x > center], [x is known])"""
PRODUCTS = 5
"""(1, z, z_i z_j for i >= j)"""
