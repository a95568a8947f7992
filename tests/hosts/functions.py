"""The functions of the real function_app.py, indexed and invoked as Azure does it.

On Python 3.13 that is the platform's own library (`azure-functions-runtime`: indexing, checks, converters, thread pool) through
its protobuf-free entry; elsewhere the converters of the SDK, which are the same, but for the checks.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from azure.functions import get_binding_registry
from azure.functions.meta import Datum


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its bindings, as the host reads them."""

    id: str
    name: str
    bindings: tuple[dict[str, Any], ...]

    @property
    def trigger(self) -> dict[str, Any]:
        return next(binding for binding in self.bindings if binding["type"].endswith("Trigger"))

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        return {binding["name"]: binding for binding in self.bindings if binding["direction"] == "OUT"}


@dataclass(frozen=True, slots=True)
class Invoked:
    """What came out of an invocation: values by output binding, `$return` among them."""

    outputs: Mapping[str, Datum]


class InvocationFailed(Exception):
    """The function raised; the text is its traceback."""


class Worker(Protocol):
    """What a host needs of a language worker."""

    functions: tuple[Function, ...]

    def invoke(self, function: Function, value: Datum, metadata: Mapping[str, Datum]) -> Invoked:
        """Raises InvocationFailed."""
        ...


def worker(folder: Path) -> Worker:
    """The app in this folder, by the platform's library where it can be had. Raises what indexing raises."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if importlib.util.find_spec("azure_functions_runtime"):
        return RuntimeWorker(folder)
    return SdkWorker()


class SdkWorker:
    """Invokes by the SDK's converters."""

    def __init__(self) -> None:
        indexed = importlib.import_module("function_app").app.get_functions()
        self._registry: Any = get_binding_registry()  # type: ignore[no-untyped-call]  # the SDK types it nowhere
        self._callables = {found.get_function_name(): found.get_user_function() for found in indexed}
        names = [(found.get_function_name(), found.get_raw_bindings()) for found in indexed]
        self.functions = tuple(Function(name, name, _bindings(bindings)) for name, bindings in names)

    def invoke(self, function: Function, value: Datum, metadata: Mapping[str, Datum]) -> Invoked:
        converter = self._registry.get(function.trigger["type"])
        given = converter.decode(value, trigger_metadata=metadata)
        outs = {name: _Out() for name in function.outputs if name != "$return"}
        try:
            returned = self._callables[function.name](**{function.trigger["name"]: given}, **outs)
        except Exception as error:
            raise InvocationFailed(traceback.format_exc()) from error
        values = {name: out.get() for name, out in outs.items()} | {"$return": returned}
        types = {name: binding["type"] for name, binding in function.outputs.items()}
        return Invoked(
            {
                name: self._registry.get(types[name]).encode(value, expected_type=None)
                for name, value in values.items()
                if value is not None
            }
        )


class _Out:
    """An output parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        return self._value


class RuntimeWorker:
    """Invokes by `azure-functions-runtime`. Its native entry is internal: the version is pinned."""

    def __init__(self, folder: Path) -> None:
        # By name: it can't be installed below Python 3.13.
        handle_event: Any = importlib.import_module("azure_functions_runtime.handle_event")
        native_invocation: Any = importlib.import_module("azure_functions_runtime.native_invocation")
        threadpool = importlib.import_module("azure_functions_runtime.utils.threadpool")
        handle_event.protos = _protos()
        handle_event.load_binding_registry()
        handle_event.load_function_metadata(str(folder), "test host")
        threadpool.start_threadpool_executor()
        self._invoke = native_invocation.run_invocation_sync
        self.functions = tuple(
            Function(found.function_id, found.name, _bindings(found.raw_bindings)) for found in handle_event._metadata_result
        )

    def invoke(self, function: Function, value: Datum, metadata: Mapping[str, Datum]) -> Invoked:
        inputs = [(function.trigger["name"], value)]
        done = self._invoke(uuid.uuid4().hex, function.id, inputs, dict(metadata))
        _handled, well, returned, outputs, error, trace = done
        if not well:
            raise InvocationFailed(f"{error}\n{trace}")
        return Invoked({**dict(outputs), **({"$return": returned} if returned is not None else {})})


def _bindings(raw: list[str]) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(binding) for binding in raw)


def _protos() -> SimpleNamespace:
    """Stand-ins for the few message types that indexing fills in."""

    class BindingInfo(SimpleNamespace):
        undefined, out, inout = 0, 1, 2

    return SimpleNamespace(BindingInfo=BindingInfo, RpcFunctionMetadata=SimpleNamespace, RpcRetryOptions=SimpleNamespace)
