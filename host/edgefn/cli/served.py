"""Which models of an app are served to other programs, and what this machine lacks for that."""

from __future__ import annotations

from collections.abc import Iterator

from edgefn.bindings.inference_session import InferenceSessionOptions, kind_name
from edgefn.errors import EdgefnError
from edgefn.function import Binding, Function
from edgefn.loader import App
from edgefn.protocols.messages import grpc_library
from edgefn.web.serving.names import served_sessions, session_of, without_session
from edgefn.web.serving.options import served_at, serving_options

GRPC = ("grpc://", "grpcs://")


def served_models(app: App) -> dict[str, str]:
    """The sessions, ``function.parameter``, of the models that are served, by the models' names."""
    return {name: session_of(binding) for _, name, binding in _served(app)}


def served_lines(app: App) -> Iterator[str]:
    """The served models as ``edgefn list`` prints them; nothing where none is to be served."""
    options = serving_options(app.root, app.config)
    ways = ["by HTTP below /v2 and /v1/models"] if options.http else []
    ways += [f"by gRPC on port {options.grpc_port or 'that is free'}"] if options.grpc_port is not None else []
    if ways:
        yield ""
        yield f"Models served {' and '.join(ways)}:"
        yield ""
        found = [f"\t{name}: {session_of(b)}{_state(function)}   ({b.place})" for function, name, b in _served(app)]
        yield from found or ["\tnone"]


def _state(function: Function) -> str:
    return ", in error" if function.errors else ""


def _served(app: App) -> Iterator[tuple[Function, str, Binding]]:
    options = serving_options(app.root, app.config)
    seen: set[str] = set()
    for function in app.functions if options.is_on else ():
        for name, binding in [] if function.disabled else served_sessions(function, options.models):
            if name not in seen and (options.models or _has_tensors(app, binding)):
                seen.add(name)
                yield function, name, binding


def _has_tensors(app: App, binding: Binding) -> bool:
    assert isinstance(binding.options, InferenceSessionOptions)
    kind = app.services.session_kinds.get(kind_name(binding.options))
    return getattr(kind, "has_tensors", True)


def mistaken(app: App) -> Iterator[str]:
    """A warning for each name of a model whose session there is not."""
    return without_session(app.functions, serving_options(app.root, app.config).models, served_at(app.root, app.config))


def lacking(app: App) -> Iterator[str]:
    """An error for each declaration that needs gRPC, where that is not installed."""
    asking = (
        [f"{app.config.at(app.root, 'extensions', 'serving', 'grpcPort')}: extensions.serving.grpcPort"]
        if serving_options(app.root, app.config).grpc_port is not None
        else []
    )
    asking += [
        binding.where()
        for function in app.functions
        for binding in function.inputs
        if isinstance(binding.options, InferenceSessionOptions) and binding.options.model.startswith(GRPC)
    ]
    try:
        if asking:
            grpc_library()
    except EdgefnError as error:
        yield from (f"{where}: {error}" for where in asking)
