"""Hubs: transports to edgeHub, one kind a file."""
