"""Deep models on torch, trained through skorch."""

from skem.deep._vae import VAETransformer

__all__ = ["VAETransformer"]
