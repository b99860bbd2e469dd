"""The encoder–decoder with attention."""
