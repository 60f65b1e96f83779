"""The models of a host, served to other programs by the protocols of model servers; off unless host.json asks for it.

    protocol (http.py, grpc.py) -> Desk (limits, threads) -> scores (tensors of the model) -> the session's model

Requests run on the very models that functions have as parameters: nothing is compiled twice.
"""
