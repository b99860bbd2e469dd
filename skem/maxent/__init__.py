"""Maximum entropy."""
