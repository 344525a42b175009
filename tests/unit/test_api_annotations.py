"""What the protos tell generators of clients: resources, references to them, method signatures."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest
from google.api import client_pb2, field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor

import zimun.v1

FILES: list[FileDescriptor] = [
    import_module(f"zimun.v1.{module.name}").DESCRIPTOR
    for module in pkgutil.iter_modules(zimun.v1.__path__)
    if module.name.endswith("_pb2")
]
MESSAGES: list[Descriptor] = [
    message for file in FILES for message in file.message_types_by_name.values()
]
METHODS: list[MethodDescriptor] = [
    method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
]
ANY_RESOURCE = "*"


def resource_of(message: Descriptor) -> resource_pb2.ResourceDescriptor:
    described: resource_pb2.ResourceDescriptor = message.GetOptions().Extensions[
        resource_pb2.resource
    ]
    return described


def required(message: Descriptor) -> set[str]:
    return {
        field.name
        for field in message.fields
        if field_behavior_pb2.REQUIRED
        in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    }


def references() -> Iterator[FieldDescriptor]:
    """The fields that hold the id of another resource."""
    for message in MESSAGES:
        own = resource_of(message).name_field
        for field in message.fields:
            if field.name.endswith(("_id", "_ids")) and field.name != own:
                yield field


def test_resources_name_the_field_of_their_id() -> None:
    resources = {message.name: resource_of(message) for message in MESSAGES}
    resources = {name: each for name, each in resources.items() if each.type}
    assert len(resources) == 9
    for name, resource in resources.items():
        assert resource.type == f"zimun/{name}"
        assert resource.name_field in {"id", f"{resource.singular}_id"}


@pytest.mark.parametrize("field", list(references()), ids=lambda field: str(field.full_name))
def test_field_with_an_id_refers_to_a_resource(field: FieldDescriptor) -> None:
    known = {resource_of(message).type for message in MESSAGES} - {""} | {ANY_RESOURCE}
    assert field.GetOptions().Extensions[resource_pb2.resource_reference].type in known


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.full_name))
def test_method_signature_names_the_required_fields(method: MethodDescriptor) -> None:
    signatures = method.GetOptions().Extensions[client_pb2.method_signature]
    assert signatures
    for signature in signatures:
        named = {name for name in signature.split(",") if name}
        assert required(method.input_type) <= named <= set(method.input_type.fields_by_name)


def test_every_file_names_its_package_in_go_and_java() -> None:
    for file in FILES:
        options = file.GetOptions()
        assert (options.go_package, options.java_package) == ("zimun/v1;zimunv1", "zimun.v1")
        assert options.java_multiple_files
