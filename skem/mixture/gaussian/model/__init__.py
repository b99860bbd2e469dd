"""The Gaussian mixture as the engine sees it: parameters, E step, M step, collapse."""
