"""How good topics are, and which belong together."""
