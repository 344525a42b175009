"""The tools that agents call by the Model Context Protocol, written from the compiled contract.

A tool is a method of the contract, or several between which an argument chooses. Its schemas are
those of the OpenAPI document with every reference written out, and only some of the fields.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor

from .annotated import Api
from .document import IDEMPOTENCY_KEY
from .formats import Schema
from .schemas import Schemas

Object = dict[str, Any]


class _Tool(NamedTuple):
    """A tool: its methods by the arguments that choose them; "" is the method without any."""

    title: str
    methods: Mapping[str, str]
    hint: str = ""


_TOOLS = {
    "list_services": _Tool("List services", {"": "ListServices"}),
    "get_availability": _Tool(
        "Get open slots",
        {"": "GetAvailability"},
        "Ask for a few dates at a time; find_next_available is shorter where any time will do.",
    ),
    "find_next_available": _Tool("Find the next open slots", {"": "FindNextAvailable"}),
    "explain_slot": _Tool("Explain why a time can be had or not", {"": "ExplainSlot"}),
    "create_hold": _Tool(
        "Hold a slot",
        {"": "HoldAppointment"},
        "Then call create_booking with the hold_id before expires_at.",
    ),
    "create_booking": _Tool(
        "Book an appointment",
        {"hold_id": "ConfirmAppointment", "": "BookAppointment"},
        "With a hold_id the hold is confirmed, and service_id, appointment_time, location_id, "
        "staff_id, seats and duration must not be given. Without a hold_id service_id and "
        "appointment_time are required.",
    ),
    "reschedule_appointment": _Tool("Move an appointment", {"": "RescheduleAppointment"}),
    "cancel_appointment": _Tool("Cancel an appointment", {"": "CancelAppointment"}),
}

_ARGUMENTS = (
    "appointment_id",
    "appointment_time",
    "cancel_reason",
    "contact_email",
    "contact_name",
    "contact_phone",
    "count",
    "date",
    "days_ahead",
    "duration",
    "end_date",
    "hold_id",
    "ignore_appointment_id",
    "location_id",
    "notes",
    "page_size",
    "page_token",
    "seats",
    "service_id",
    "staff_id",
    "start_date",
    "start_time",
    "start_time_from",
    "time_zone",
    "view",
)
"""The fields of requests that agents may give."""

_ANSWERED: Mapping[str, tuple[str, ...]] = {
    "Service": (
        "id",
        "name",
        "description",
        "duration",
        "duration_options",
        "capacity",
        "price",
        "staff_ids",
        "location_ids",
    ),
    "Slot": (
        "start_time",
        "end_time",
        "local_start_time",
        "local_end_time",
        "staff_ids",
        "seats_left",
    ),
    "Day": ("date", "status"),
    "Obstacle": ("rule", "message", "subject_id", "busy_start", "busy_end"),
    "Hold": ("hold_id", "start_time", "end_time", "staff_id", "location_id", "expires_at", "state"),
    "Appointment": ("appointment_id", "start_time", "end_time", "state"),
}
"""The fields that agents get of these messages: no contact data, and no notes of the
organization."""

_DESTRUCTIVE = ("reschedule_appointment", "cancel_appointment")
_SCOPE = re.compile(r"\s*(?:Scope|With `[a-z_]+` scope) `[a-z:]+`(?:, too)?\.")
_REFERENCE = "#/components/schemas/"


def tools(descriptors: Path) -> list[Object]:
    """Each tool as tools/list sends it, with the paths of its methods by argument."""
    api = Api(descriptors)
    methods = {method.name: method for method in api.methods()}
    named = [methods[name] for tool in _TOOLS.values() for name in tool.methods.values()]
    schemas = Schemas(
        api,
        [method.input_type for method in named],
        [method.output_type for method in named],
        [],
    )
    writer = _Writer(api, schemas)
    return [
        {
            "tool": writer.tool(name, tool, [methods[of] for of in tool.methods.values()]),
            "methods": {key: _path(methods[of]) for key, of in tool.methods.items()},
        }
        for name, tool in _TOOLS.items()
    ]


@cache
def tool_scopes(descriptors: Path) -> Sequence[str]:
    """Every scope that a tool requires, sorted."""
    api = Api(descriptors)
    named = {name for tool in _TOOLS.values() for name in tool.methods.values()}
    methods = [method for method in api.methods() if method.name in named]
    return tuple(sorted({str(api.option(method, "required_scope")) for method in methods}))


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


class _Writer:
    """Writes tools with schemas that have no references, as not every agent resolves them."""

    def __init__(self, api: Api, schemas: Schemas) -> None:
        self._api, self._schemas = api, schemas
        self._components = schemas.components()

    def tool(self, name: str, tool: _Tool, methods: list[MethodDescriptor]) -> Object:
        """The definition of a tool."""
        texts = [*map(self._about, methods), tool.hint]
        changes = self._changes(methods[0])
        return {
            "name": name,
            "title": tool.title,
            "description": " ".join(filter(None, texts)),
            "inputSchema": self._input(methods, changes),
            "outputSchema": self._written_out(
                self._schemas.reference(methods[0].output_type, request=False)
            ),
            "annotations": {
                "readOnlyHint": not changes,
                "destructiveHint": name in _DESTRUCTIVE,
                "idempotentHint": True,
                "openWorldHint": False,
            },
        }

    def _about(self, method: MethodDescriptor) -> str:
        """What a method does: the first paragraph of its comment."""
        return _SCOPE.sub("", self._api.comment(method.full_name).partition("\n\n")[0])

    def _changes(self, method: MethodDescriptor) -> bool:
        return str(self._api.option(method, "required_scope")).endswith(":write")

    def _input(self, methods: list[MethodDescriptor], changes: bool) -> Schema:
        """The arguments of all methods; required are those that each of them requires."""
        requests = [
            self._written_out(self._schemas.reference(method.input_type, request=True))
            for method in methods
        ]
        properties = {
            name: schema
            for request in requests
            for name, schema in request["properties"].items()
            if name in _ARGUMENTS
        }
        required = [
            name
            for name in properties
            if all(name in request.get("required", ()) for request in requests)
        ]
        if changes:
            key: Any = IDEMPOTENCY_KEY
            properties["idempotency_key"] = key["schema"] | {"description": key["description"]}
            required.append("idempotency_key")
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def _written_out(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self._written_out(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" not in schema:
            return {name: self._written_out(part) for name, part in schema.items()}
        name = schema["$ref"].removeprefix(_REFERENCE)
        if name == "ErrorDetail":
            return {"type": "object"}
        target = _answered(name, self._components[name])
        others = {key: part for key, part in schema.items() if key != "$ref"}
        return self._written_out(target) | others


def _answered(name: str, schema: Schema) -> Schema:
    """The schema of a component without the fields that agents do not get."""
    if name not in _ANSWERED:
        return schema
    properties = {field: schema["properties"][field] for field in _ANSWERED[name]}
    required = [field for field in schema.get("required", ()) if field in properties]
    return schema | {"properties": properties, "required": required}
