"""Methods and messages of the compiled descriptors: all that the gateway knows of the server."""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

PACKAGE = "zimun.v1"


def services(descriptors: Path) -> list[str]:
    """Full names of the package's services, sorted so that the configuration is stable."""
    return [service.full_name for service in _services(descriptors)]


def methods(descriptors: Path) -> list[MethodDescriptor]:
    """Every method of the package's services, in the order of the contract."""
    return [method for service in _services(descriptors) for method in service.methods]


def written(roots: Iterable[Descriptor]) -> dict[str, Descriptor]:
    """These messages and all messages nested in them, by full name; not the well-known types."""
    messages: dict[str, Descriptor] = {}
    waiting = list(roots)
    while waiting:
        message = waiting.pop()
        if message.full_name not in messages:
            messages[message.full_name] = message
            waiting += [inner for inner in map(nested, message.fields) if inner is not None]
    return messages


def nested(field: FieldDescriptor) -> Descriptor | None:
    """The message of a field, or of a map's values; None for others and for the well-known types,
    which JSON does not write as objects."""
    message = field.message_type
    if message is not None and is_map(field):
        return nested(message.fields_by_name["value"])
    return None if message is None or message.file.package == "google.protobuf" else message


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def compiled_pool(descriptors: Path) -> DescriptorPool:
    """A separate descriptor pool: the process may have other versions of the messages loaded."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(file)
    return pool


def _services(descriptors: Path) -> list[ServiceDescriptor]:
    compiled = FileDescriptorSet.FromString(descriptors.read_bytes())
    pool = compiled_pool(descriptors)
    return [
        pool.FindServiceByName(f"{PACKAGE}.{name}")
        for name in sorted(
            service.name
            for file in compiled.file
            if file.package == PACKAGE
            for service in file.service
        )
    ]
