"""Served models by gRPC, in both protocols on one port: bytes -> key -> protocol -> bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edgefn import __version__
from edgefn.errors import EdgefnError, SettingError
from edgefn.protocols import open_inference_grpc as open_inference
from edgefn.protocols import tensorflow
from edgefn.protocols.malformed import Malformed
from edgefn.protocols.messages import grpc_library, message, parsed
from edgefn.web.keys import Keys
from edgefn.web.serving.catalog import VERSION, Model
from edgefn.web.serving.desk import Desk
from edgefn.web.serving.faults import Cause, Fault
from edgefn.web.serving.http import given_to
from edgefn.web.serving.open_inference import model_described, server_described
from edgefn.web.serving.scores import check_names, scored
from edgefn.web.serving.tensorflow import described, state

Method = Callable[[bytes], Awaitable[bytes]]

CODE = {
    Cause.INVALID: "INVALID_ARGUMENT",
    Cause.DENIED: "UNAUTHENTICATED",
    Cause.UNKNOWN: "NOT_FOUND",
    Cause.NOT_READY: "UNAVAILABLE",
    Cause.BUSY: "RESOURCE_EXHAUSTED",
    Cause.FAILED: "INTERNAL",
}
LATER = (("grpc-retry-pushback-ms", "1000"),)
OPEN = ("ServerLive", "ServerReady")
"""Methods that need no key."""
BESIDE = 8
"""Calls beyond those for scores."""


class GrpcServer:
    """Serves on one port. ``keys`` is None where nobody needs one; ``declared`` is where the port is, for errors."""

    def __init__(
        self, desk: Desk, keys: Keys | None, address: str, port: int, most_bytes: int, most: int, declared: str
    ) -> None:
        self._declared = declared
        self._desk = desk
        self._keys = keys
        self._where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._options = (("grpc.max_receive_message_length", most_bytes), ("grpc.so_reuseport", 0))
        self._most = most + BESIDE
        self._server: Any = None
        self.port = port

    async def start(self) -> None:
        """Takes calls; raises SettingError when the port is taken or gRPC not installed."""
        try:
            self._grpc = grpc_library()
        except EdgefnError as error:
            raise SettingError(f"{self._declared}: extensions.serving.grpcPort: {error}") from None
        from grpc import aio

        self._server = aio.server(
            interceptors=[self._door()], options=self._options, maximum_concurrent_rpcs=self._most
        )
        for service, methods in self._services().items():
            handlers = {
                name: self._grpc.unary_unary_rpc_method_handler(self._answering(method))
                for name, method in methods.items()
            }
            self._server.add_generic_rpc_handlers((self._grpc.method_handlers_generic_handler(service, handlers),))
        try:
            self.port = self._server.add_insecure_port(self._where)
        except RuntimeError:
            raise SettingError(
                f"{self._declared}: extensions.serving.grpcPort: can not listen on {self._where}; close what uses that"
                " port, or name another one"
            ) from None
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Lets calls end within the grace time."""
        if self._server is not None:
            await self._server.stop(grace)

    def _services(self) -> Mapping[str, Mapping[str, Method]]:
        return {
            open_inference.SERVICE: {
                "ServerLive": self._server_live,
                "ServerReady": self._server_ready,
                "ServerMetadata": self._server_metadata,
                "ModelReady": self._model_ready,
                "ModelMetadata": self._model_metadata,
                "ModelInfer": self._model_infer,
            },
            tensorflow.PREDICTION: {"Predict": self._predict, "GetModelMetadata": self._get_metadata},
            tensorflow.MODELS: {"GetModelStatus": self._get_status},
        }

    def _answering(self, method: Method) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def answer(request: bytes, context: Any) -> bytes:
            try:
                return await method(request)
            except Malformed as error:
                fault = Fault(Cause.INVALID, str(error))
            except Fault as error:
                fault = error
            if fault.cause.passes:
                context.set_trailing_metadata(LATER)
            code = getattr(self._grpc.StatusCode, CODE[fault.cause])
            return await context.abort(code, str(fault))  # type: ignore[no-any-return]

        return answer

    def _door(self) -> Any:
        """Asks for the key before a message is read: who has none takes no memory."""
        from grpc import aio

        async def deny(requests: Any, context: Any) -> None:
            code = getattr(self._grpc.StatusCode, CODE[Cause.DENIED])
            await context.abort(code, "a key of the host is needed, in the metadata x-functions-key")

        handler = self._grpc.stream_stream_rpc_method_handler(deny)  # one for a single message would read it first

        may_pass = self._may_pass

        class Door(aio.ServerInterceptor):  # type: ignore[misc]
            async def intercept_service(self, continuation: Any, call: Any) -> Any:
                return await continuation(call) if may_pass(call) else handler

        return Door()

    def _may_pass(self, call: Any) -> bool:
        if self._keys is None or call.method.rpartition("/")[2] in OPEN:
            return True
        return self._keys.allow("function", "", given_to(dict(call.invocation_metadata or ())))

    # --- Open Inference --------------------------------------------------------------------------------------------

    async def _server_live(self, request: bytes) -> bytes:
        return _bytes(message("inference", "Live")(live=True))

    async def _server_ready(self, request: bytes) -> bytes:
        return _bytes(message("inference", "Ready")(ready=self._desk.catalog.is_ready()))

    async def _server_metadata(self, request: bytes) -> bytes:
        said = server_described()
        return _bytes(message("inference", "Server")(name=said["name"], version=__version__))

    async def _model_ready(self, request: bytes) -> bytes:
        asked = parsed(message("inference", "ModelName"), request)
        return _bytes(message("inference", "Ready")(ready=self._desk.is_ready(asked.name, asked.version)))

    async def _model_metadata(self, request: bytes) -> bytes:
        asked = parsed(message("inference", "ModelName"), request)
        said = model_described(self._desk.catalog.model(asked.name, asked.version))
        made = message("inference", "Model")(name=said["name"], versions=said["versions"], platform=said["platform"])
        for tensors, ports in ((made.inputs, said["inputs"]), (made.outputs, said["outputs"])):
            tensors.extend(message("inference", "TensorMetadata")(**port) for port in ports)
        return _bytes(made)

    async def _model_infer(self, request: bytes) -> bytes:
        asked = parsed(message("inference", "InferRequest"), request)

        def work(model: Model) -> bytes:
            call = open_inference.read_call(asked)
            return open_inference.write_reply(model.name, VERSION, call, scored(model, call.inputs, list(call.outputs)))

        return await self._desk.score("open-inference-grpc", asked.model_name, asked.model_version, work)

    # --- TensorFlow Serving ----------------------------------------------------------------------------------------

    async def _predict(self, request: bytes) -> bytes:
        asked = parsed(message("tensorflow", "PredictRequest"), request)
        if asked.model_spec.signature_name not in ("", tensorflow.SIGNATURE):
            raise Malformed(
                f"there is no signature '{asked.model_spec.signature_name}'; signatures: {tensorflow.SIGNATURE}"
            )

        def work(model: Model) -> bytes:
            # first, since a few bytes may stand for a large tensor: there are to be no more of them than the model has
            check_names(model, asked.inputs, list(asked.output_filter))
            inputs = {name: tensorflow.read_tensor(name, tensor) for name, tensor in asked.inputs.items()}
            outputs = scored(model, inputs, list(asked.output_filter))
            return tensorflow.write_prediction(model.name, VERSION, outputs)

        return await self._desk.score("tensorflow-grpc", *_named(asked.model_spec), work)

    async def _get_metadata(self, request: bytes) -> bytes:
        asked = parsed(message("tensorflow", "MetadataRequest"), request)
        model = self._desk.catalog.model(*_named(asked.model_spec))
        inputs, outputs = (described(model, ports) for ports in (model.tensors.inputs, model.tensors.outputs))
        return tensorflow.write_metadata(model.name, VERSION, inputs, outputs)

    async def _get_status(self, request: bytes) -> bytes:
        asked = parsed(message("tensorflow", "StatusRequest"), request)
        return tensorflow.write_status(VERSION, state(self._desk, *_named(asked.model_spec)))


def _named(spec: Any) -> tuple[str, str]:
    """Name and version of a model that is asked for."""
    return spec.name, spec.version_label or (str(spec.version.value) if spec.HasField("version") else "")


def _bytes(made: Any) -> bytes:
    return made.SerializeToString()  # type: ignore[no-any-return]
