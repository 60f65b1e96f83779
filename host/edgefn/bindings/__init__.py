"""Bindings: inputs and outputs of functions, one kind a file."""
