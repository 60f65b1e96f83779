"""Sessions: ways to open a model, one kind a file."""
