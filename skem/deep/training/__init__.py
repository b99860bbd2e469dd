"""The bridge to skorch: one net, its data, random numbers, device and checks."""
