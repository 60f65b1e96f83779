"""Protocols by which programs score tensors at each other: Open Inference (KServe v2) and TensorFlow Serving.

The host speaks them on both sides: what serves models (web/serving) and what opens remote ones (sessions/kserve).
"""
