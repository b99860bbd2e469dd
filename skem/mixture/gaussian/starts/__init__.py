"""Where a fit starts, and the working units between the user and the model."""
