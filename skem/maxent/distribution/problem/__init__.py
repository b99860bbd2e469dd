"""What is asked: values or a support, features, constraints, and integrals."""
