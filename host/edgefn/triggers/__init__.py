"""Triggers: what causes invocations, one kind a file."""
