"""The HTTP rules of the contract's methods (google.api.http)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from google.api.annotations_pb2 import http
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

_VARIABLE = re.compile(r"\{([\w.]+)\}")


class Rule(NamedTuple):
    """One HTTP rule of a method."""

    method: MethodDescriptor
    verb: str
    template: str
    """The path, with its variables in braces."""
    body: str
    """The field of the request that is the body, `*` for all of it, empty for none."""

    @property
    def request(self) -> Descriptor:
        """The request message of the method."""
        return self.method.input_type

    @property
    def variables(self) -> list[str]:
        """The fields in the path, such as `service_id` or `service.id`."""
        return variables_of(self.template)

    @property
    def shape(self) -> str:
        """The path without the names of its variables: rules of one shape are one path."""
        return _VARIABLE.sub("{}", self.template)

    @property
    def elsewhere(self) -> list[FieldDescriptor]:
        """The fields of the request in the path or the body, which are not in the query."""
        if self.body == "*":
            return list(self.request.fields)
        names = [name.partition(".")[0] for name in (*self.variables, self.body)]
        return [self.request.fields_by_name[name] for name in names if name]

    @property
    def query(self) -> list[FieldDescriptor]:
        """The fields of the request in the query: those in neither path nor body."""
        names = {field.name for field in self.elsewhere}
        return [field for field in self.request.fields if field.name not in names]

    @property
    def body_message(self) -> Descriptor | None:
        """The message of the body; None without a body."""
        if self.body in ("", "*"):
            return self.request if self.body else None
        return self.request.fields_by_name[self.body].message_type


def rules_of(methods: Iterable[MethodDescriptor]) -> list[Rule]:
    """Every HTTP rule of some methods, in their order."""
    return [
        Rule(method, verb, getattr(binding, verb), binding.body)
        for method in methods
        for option in [method.GetOptions().Extensions[http]]
        for binding in (option, *option.additional_bindings)
        for verb in [binding.WhichOneof("pattern")]
        if verb
    ]


def variables_of(path: str) -> list[str]:
    """The names of the variables in a path."""
    return _VARIABLE.findall(path)
