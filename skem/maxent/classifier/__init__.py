"""The maximum-entropy classifier (multinomial logistic regression)."""
