"""Plain torch modules, which know nothing of estimators."""
