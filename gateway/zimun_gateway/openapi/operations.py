"""Each HTTP rule of the contract (google.api.http) as an OpenAPI operation."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from ..http_rules import Rule, variables_of
from .annotated import Api
from .examples import REQUESTS, responses
from .formats import Schema
from .reasons import GATEWAY, Failure, by_status, description, example_name, failures
from .schemas import ERROR, Schemas, is_required

Object = dict[str, Any]

SECURITY = "oauth2"
_AS_FOR = re.compile(r"\bas for (\w+)")
_KEY_REUSED = Failure(409, "ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")


def path_names(rules: Iterable[Rule]) -> dict[str, str]:
    """The path of each shape: its variables named as a plain field, where one rule has one."""
    names: dict[str, str] = {}
    for rule in sorted(rules, key=lambda rule: "." in "".join(rule.variables)):
        names.setdefault(rule.shape, rule.template.replace(".", "_"))
    return names


class Operations:
    """Operations of the rules, with the schemas and comments that they refer to."""

    def __init__(self, api: Api, schemas: Schemas, rules: list[Rule]) -> None:
        self._api = api
        self._schemas = schemas
        self._rules = rules
        self._paths = path_names(rules)

    def paths(self) -> Object:
        """The Paths Object."""
        paths: Object = {}
        for rule in self._rules:
            paths.setdefault(self._paths[rule.shape], {})[rule.verb] = self.operation(rule)
        return paths

    def operation(self, rule: Rule) -> Object:
        """The Operation Object of a rule."""
        method = rule.method
        comment = self._api.comment(method.full_name)
        operation: Object = {
            "operationId": method.name,
            "tags": [tag(method)],
            "summary": _summary(comment),
            "description": comment,
            "security": [{SECURITY: [self._scope(rule)]}],
        }
        if parameters := [*self._parameters(rule)]:
            operation["parameters"] = parameters
        if message := rule.body_message:
            operation["requestBody"] = self._body(rule, message)
        return operation | {"responses": {"200": self._answer(rule), **self._refusals(rule)}}

    def failures(self, rule: Rule) -> list[Failure]:
        """How a call of this rule may fail."""
        service = rule.method.containing_service
        comment = self._api.comment(rule.method.full_name)
        named = failures([self._api.comment(service.full_name), comment])
        reused = [_KEY_REUSED] if self._scope(rule).endswith(":write") else []
        return [*named, *self._as_for_others(service.full_name, comment), *reused, *GATEWAY]

    def _as_for_others(self, service: str, comment: str) -> Iterator[Failure]:
        """The failures of a line such as `NOT_FOUND and ABORTED: as for HoldAppointment`."""
        for line in comment.split("\n"):
            for other in _AS_FOR.findall(line):
                theirs = failures([self._api.comment(f"{service}.{other}")])
                yield from (failure for failure in theirs if failure.code in line)

    def _scope(self, rule: Rule) -> str:
        return str(self._api.option(rule.method, "required_scope"))

    def _parameters(self, rule: Rule) -> Iterator[Object]:
        examples = REQUESTS.get(rule.method.name, {})
        named = variables_of(self._paths[rule.shape])
        for name, variable in zip(named, rule.variables, strict=True):
            field = _field(rule.request, variable)
            schema = self._schemas.field(field, request=True)
            yield _parameter(name, "path", schema, True, examples.get(variable))
        for field in rule.query:
            schema = self._schemas.field(field, request=True)
            value = examples.get(field.name)
            yield _parameter(field.name, "query", schema, is_required(field), value)
        if rule.verb != "get":
            yield {"$ref": "#/components/parameters/IdempotencyKey"}

    def _body(self, rule: Rule, message: Descriptor) -> Object:
        media: Object = {"schema": self._schemas.reference(message, request=True)}
        examples = REQUESTS.get(rule.method.name)
        if examples:
            media["example"] = examples if rule.body == "*" else examples[rule.body]
        return {"required": True, "content": {"application/json": media}}

    def _answer(self, rule: Rule) -> Object:
        schema = self._schemas.reference(rule.method.output_type, request=False)
        types = STREAM_TYPES if rule.method.server_streaming else ("application/json",)
        media: Object = {"schema": schema}
        if rule.method.name in responses():
            media["example"] = responses()[rule.method.name]
        answer: Object = {
            "description": self._api.comment(rule.method.output_type.full_name) or "Done.",
            "headers": HEADERS,
            "content": dict.fromkeys(types, media),
        }
        links = dict(self._links(rule))
        return answer | ({"links": links} if links else {})

    def _links(self, rule: Rule) -> Iterator[tuple[str, Object]]:
        """Links to the operations that take the id of what this one answers."""
        for field, pointer in _ids(rule.method.output_type):
            for other in self._rules:
                target = self._link(other, field, f"$response.body#/{pointer}")
                if target and other.method is not rule.method:
                    yield other.method.name, target

    def _link(self, rule: Rule, field: str, expression: str) -> Object | None:
        """The Link Object to a rule whose path or request must have the field; None for others."""
        target = {"operationId": rule.method.name}
        named = variables_of(self._paths[rule.shape])
        if field in named:
            return target | {"parameters": {field: expression}}
        request_field = rule.request.fields_by_name.get(field)
        if request_field is None or not is_required(request_field):
            return None
        place = "requestBody" if rule.body == "*" else "parameters"
        return target | {place: {field: expression}}

    def _refusals(self, rule: Rule) -> Object:
        """The error responses by status; shared ones where a method has no errors of its own."""
        shared = by_status(GATEWAY)
        return {
            str(status): {"$ref": f"#/components/responses/{status}"}
            if failures == shared.get(status)
            else refusal(status, failures)
            for status, failures in by_status(self.failures(rule)).items()
        }


STREAM_TYPES = ("application/x-ndjson", "text/event-stream")

HEADERS = {
    name: {"$ref": f"#/components/headers/{name}"}
    for name in ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
}
"""Headers of every answer to a client."""


def tag(method: MethodDescriptor) -> str:
    """`Appointments` for a method of AppointmentsService."""
    return str(method.containing_service.name).removesuffix("Service")


def refusal(status: int, failures: Iterable[Failure]) -> Object:
    """The Response Object of an error status."""
    names = dict.fromkeys(map(example_name, failures))
    more = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    headers = ["X-Request-Id", *([more[status]] if status in more else [])]
    return {
        "description": description(status),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{ERROR}"},
                "examples": {name: {"$ref": f"#/components/examples/{name}"} for name in names},
            }
        },
    }


def _summary(comment: str) -> str:
    """The first sentence of a comment."""
    return re.split(r"(?<=[.:])\s", comment, maxsplit=1)[0].rstrip(".:")


def _field(message: Descriptor, path: str) -> FieldDescriptor:
    first, _, rest = path.partition(".")
    field: FieldDescriptor = message.fields_by_name[first]
    return _field(_message(field), rest) if rest else field


def _message(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None
    return field.message_type


def _parameter(name: str, place: str, schema: Schema, required: bool, value: Any) -> Object:
    comment = schema.pop("description", "")
    parameter: Object = {"name": name, "in": place, "description": comment, "schema": schema}
    if required or place == "path":
        parameter["required"] = True
    return parameter if value is None else parameter | {"example": value}


def _ids(message: Descriptor) -> Iterator[tuple[str, str]]:
    """The ids in an answer by which other operations know it, each with its JSON pointer."""
    if items := message.fields_by_name.get("items"):
        yield from ((name, f"items/0/{at}") for name, at in _ids(_message(items)))
        return
    for field in message.fields:
        if field.name == "id":
            yield f"{_snake(message.name).removesuffix('_member')}_id", "id"
        elif field.name in ("hold_id", "appointment_id"):
            yield field.name, field.name


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
