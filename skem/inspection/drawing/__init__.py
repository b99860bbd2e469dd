"""What the displays share: axes, cells, columns, curves of components."""
