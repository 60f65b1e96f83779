"""A stand-in for edgeHub: what a module of IoT Edge meets, on a laptop or in a test.

MQTT over TLS with the acknowledgement rules of edgeHub, the workload API on a unix socket, twins, direct methods,
routes, a durable store, and faults on demand. It needs no cloud, no container and no other program.
"""
