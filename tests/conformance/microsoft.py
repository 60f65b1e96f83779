"""Drives Microsoft's own runtime library in-process, as its worker does: init, index or load, invoke.

    python microsoft.py < apps.json > facts.json

Runs in any Python that has ``azure-functions-runtime`` (model v2) and ``azure-functions-runtime-v1`` (function.json),
and needs nothing of edgefn; ``interpreter`` finds one. Each app gets a process of its own, since the library keeps its
functions in globals and user code may end the process. What Azure's .NET host does, reading function.json, is done
here; what crosses the wire is plain objects with the names of the protocol's messages.

In:   ``[{"name": ..., "root": folder, "events": [{"function": ..., "inputs": {parameter: datum}}]}]``
Out:  ``{name: {"refused": text or null, "functions": {...}, "invocations": [...], "exit": code}}``

A datum is ``{kind: value}`` with the kinds of TypedData: ``string``, ``json``, ``int``, ``http``, ``bytes`` in base64.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import json
import logging
import os
import sys
import traceback
import uuid
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

RUNTIMES = ("azure_functions_runtime", "azure_functions_runtime_v1")
NAMED = "EDGEFN_MICROSOFT_PYTHON"
INSTALL = (
    "Microsoft's runtime library is not installed; `pip install --no-deps --ignore-requires-python "
    "azure-functions-runtime azure-functions-runtime-v1` puts it beside edgefn; or name the Python of an environment "
    f"that has it, and azure-functions, in {NAMED}"
)
DIRECTIONS = ("in", "out", "inout")
DATA_TYPES = ("undefined", "string", "binary", "stream")


def interpreter() -> str | None:
    """The Python to run this file with: the one that the environment names, else this one if it has the libraries."""
    here = all(importlib.util.find_spec(name) for name in RUNTIMES)
    return os.environ.get(NAMED) or (sys.executable if here else None)


# --- the protocol's messages -------------------------------------------------------------------------------------


class Message(SimpleNamespace):
    """A message of the protocol: its fields by their names."""


class TypedData:
    """A value and its kind, one of the fields of the message of that name."""

    __slots__ = ("__dict__", "kind")

    def __init__(self, **value: Any) -> None:
        self.kind = next(iter(value), None)
        self.__dict__ = value

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802  protobuf's name
        return self.kind


class ParameterBinding:
    """The value of one parameter."""

    __slots__ = ("data", "name")

    def __init__(self, name: str, data: TypedData | None) -> None:
        self.name = name
        self.data = data

    def WhichOneof(self, group: str) -> str:  # noqa: N802  protobuf's name
        return "data"


class BindingInfo(Message):
    out, inout = 1, 2
    undefined = 0


class StatusResult(Message):
    Success, Failure = "success", "failure"


class RpcHttpCookie(Message):
    SameSite = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


PROTOS = SimpleNamespace(
    BindingInfo=BindingInfo,
    FunctionLoadResponse=Message,
    FunctionMetadataResponse=Message,
    InvocationResponse=Message,
    NullableBool=Message,
    NullableDouble=Message,
    NullableString=Message,
    NullableTimestamp=Message,
    ParameterBinding=ParameterBinding,
    RpcException=Message,
    RpcFunctionMetadata=Message,
    RpcHttp=Message,
    RpcHttpCookie=RpcHttpCookie,
    RpcRetryOptions=Message,
    StatusResult=StatusResult,
    TypedData=TypedData,
    WorkerInitResponse=Message,
    WorkerMetadata=Message,
)


def request_of(**field: Any) -> Message:
    """What the worker hands to the library for one message of the host."""
    return Message(request=Message(**field), properties={"host": "127.0.0.1", "protos": PROTOS})


def invocation_of(function_id: str, inputs: dict[str, Any], invocation_id: str = "") -> Message:
    """The request to run a function with these data."""
    return request_of(
        invocation_request=Message(
            invocation_id=invocation_id or str(uuid.uuid4()),
            function_id=function_id,
            input_data=[ParameterBinding(name, typed(datum)) for name, datum in inputs.items()],
            trigger_metadata={},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
    )


def typed(datum: dict[str, Any]) -> TypedData:
    kind, value = next(iter(datum.items()))
    if kind == "bytes":
        value = base64.b64decode(value)
    elif kind == "http":
        value = Message(**{**value, "body": typed(value["body"])})
    return TypedData(**{kind: value})


def untyped(data: TypedData | None) -> dict[str, Any] | None:
    """A value of a response as JSON can hold it."""
    if data is None or data.kind is None:
        return None
    value = getattr(data, data.kind)
    if data.kind == "bytes":
        value = base64.b64encode(value).decode()
    elif data.kind == "int":
        value = int(value)
    elif data.kind == "http":
        value = {"status": value.status_code, "headers": value.headers, "body": untyped(value.body)}
    return {data.kind: value}


# --- an app ------------------------------------------------------------------------------------------------------


class Runtime:
    """One of the two libraries, with one app."""

    def __init__(self, library: ModuleType, root: Path) -> None:
        self.library = library
        self._root = root
        library.start_threadpool_executor()

    async def start(self) -> str | None:
        """Why the library refuses the app, if it does."""
        init = Message(capabilities={}, function_app_directory=str(self._root))
        return refusal(await self.library.worker_init_request(request_of(worker_init_request=init)))

    async def indexed(self) -> dict[str, Message]:
        """The functions that the library found, by name; none for an app of model v1."""
        metadata = Message(function_app_directory=str(self._root))
        response = await self.library.functions_metadata_request(request_of(functions_metadata_request=metadata))
        return {function.name: function for function in response.function_metadata_results or ()}

    async def load(self, function: Message) -> str | None:
        """Why the library can not load a function, if it can not."""
        asked = Message(function_id=function.function_id, metadata=function)
        return refusal(await self.library.function_load_request(request_of(function_load_request=asked)))

    async def invoke(self, request: Message) -> Any:
        return await self.library.invocation_request(request)


def refusal(response: Message) -> str | None:
    return None if response.result.status == StatusResult.Success else response.result.exception.message


def in_json(root: Path) -> dict[str, Message]:
    """The functions of an app of model v1, as Azure's host reads them."""
    found = {}
    for path in sorted(root.glob("*/function.json")):
        document = json.loads(path.read_text())
        found[path.parent.name] = Message(
            name=path.parent.name,
            function_id=path.parent.name,
            directory=str(path.parent),
            script_file=str(path.parent / document.get("scriptFile", "__init__.py")),
            entry_point=document.get("entryPoint", ""),
            raw_bindings=[json.dumps(binding) for binding in document["bindings"]],
            retry_options=None,
            bindings={
                binding["name"]: BindingInfo(
                    type=binding["type"],
                    direction=DIRECTIONS.index(binding.get("direction", "in")),
                    data_type=DATA_TYPES.index(binding.get("dataType", "undefined")),
                )
                for binding in document["bindings"]
            },
        )
    return found


def shown(function: Message, error: str | None) -> dict[str, Any]:
    retry = function.retry_options
    return {
        "bindings": [json.loads(binding) for binding in function.raw_bindings],
        "retry": retry and {k: getattr(v, "total_seconds", lambda v=v: v)() for k, v in vars(retry).items()},
        "error": error,
    }


async def facts_of(app: dict[str, Any]) -> dict[str, Any]:
    """What the library makes of an app, and of each event."""
    root = Path(app["root"])
    is_v2 = (root / "function_app.py").exists()
    runtime = Runtime(importlib.import_module(RUNTIMES[0] if is_v2 else RUNTIMES[1]), root)
    refused = await runtime.start()
    facts: dict[str, Any] = {"refused": refused, "functions": {}, "invocations": []}
    if refused is not None:
        return facts
    functions = await runtime.indexed() if is_v2 else in_json(root)
    for name, function in functions.items():
        facts["functions"][name] = shown(function, await runtime.load(function))
    for event in app["events"]:
        function = functions[event["function"]]
        if facts["functions"][function.name]["error"] is None:
            facts["invocations"].append(await ended(runtime, function, event["inputs"]))
    return facts


async def ended(runtime: Runtime, function: Message, inputs: dict[str, Any]) -> dict[str, Any]:
    response = await runtime.invoke(invocation_of(function.function_id, inputs))
    if error := refusal(response):
        return {"error": error, "returned": None, "outputs": {}}
    outputs = {output.name: untyped(output.data) for output in response.output_data}
    return {"error": None, "returned": untyped(response.return_value), "outputs": outputs}


def apart(app: dict[str, Any]) -> dict[str, Any]:
    """The facts of an app, found in a process of its own; only ``exit`` when it ends that process."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        sys.path.insert(0, app["root"])
        sys.stdout = sys.stderr  # what the app prints
        code = 1
        try:
            with os.fdopen(writing, "w") as out:
                out.write(json.dumps(asyncio.run(facts_of(app))))
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as into:
        written = into.read()
    _, status = os.waitpid(child, 0)
    return {**json.loads(written or "{}"), "exit": os.waitstatus_to_exitcode(status)}


def main() -> None:
    logging.disable(logging.CRITICAL)
    for name in RUNTIMES:
        importlib.import_module(name)
    importlib.import_module("azure.functions")
    sys.dont_write_bytecode = True
    json.dump({app["name"]: apart(app) for app in json.load(sys.stdin)}, sys.stdout)


if __name__ == "__main__":
    main()
