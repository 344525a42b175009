"""The compiled contract with its comments and options."""

import re
from pathlib import Path
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import EnumDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code

from ..descriptor_set import PACKAGE, compiled_pool

_ELEMENTS = (
    FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER,
    FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER,
    FileDescriptorProto.SERVICE_FIELD_NUMBER,
)


_ERROR = re.compile(rf"^({'|'.join(Code.keys())})( /|:)", re.MULTILINE)
"""The beginning of a line that tells how a method fails."""

_BROKEN = re.compile(r"(?<=\S)\n(?=[^\s-])")
"""The end of a line within a paragraph."""


class Api:
    """Methods, comments and options of the contract; comments are Markdown."""

    def __init__(self, descriptors: Path) -> None:
        files = FileDescriptorSet.FromString(descriptors.read_bytes()).file
        self._pool = compiled_pool(descriptors)
        self._comments = {name: text for file in files for name, text in _comments(file)}
        self._services = sorted(
            f"{PACKAGE}.{service.name}"
            for file in files
            if file.package == PACKAGE
            for service in file.service
        )

    def methods(self) -> list[MethodDescriptor]:
        """All methods, service by service."""
        services = map(self._pool.FindServiceByName, self._services)
        return [method for service in services for method in service.methods]

    def message(self, name: str) -> Any:
        """The descriptor of a message, by its full name; KeyError for an unknown one."""
        return self._pool.FindMessageTypeByName(name)

    def enum(self, name: str) -> EnumDescriptor:
        """The descriptor of an enum, by its full name; KeyError for an unknown one."""
        return self._pool.FindEnumTypeByName(name)

    def comment(self, name: str) -> str:
        """The comment above an element, by its full name; empty where there is none.

        The values of an enum have the name of their enum before their own.
        """
        return self._comments.get(name, "")

    def option(self, element: Any, name: str) -> Any:
        """The value of one of the contract's own options; None where it is not set."""
        extension = self._pool.FindExtensionByName(f"{PACKAGE}.{name}")
        options = self._reparsed(element.GetOptions(), extension.containing_type)
        return options.Extensions[extension] if options.HasExtension(extension) else None

    def enum_option(self, element: Any, name: str) -> str:
        """The name of the value of an option that is an enum; empty where it is not set."""
        enum = self._pool.FindExtensionByName(f"{PACKAGE}.{name}").enum_type
        number = self.option(element, name)
        return enum.values_by_number[number].name if enum and number else ""

    def _reparsed(self, options: Message, kind: Any) -> Any:
        """The options as a message of the contract's own pool, which knows its extensions."""
        return message_factory.GetMessageClass(kind).FromString(options.SerializeToString())


def _comments(file: FileDescriptorProto) -> list[tuple[str, str]]:
    return [
        (_name(file, location.path), _markdown(location.leading_comments))
        for location in file.source_code_info.location
        if location.leading_comments and _is_element(location.path)
    ]


def _is_element(path: Any) -> bool:
    """Whether a path leads to a message, enum, service, or what these have, but for options."""
    return len(path) > 0 and path[0] in _ELEMENTS and len(path) % 2 == 0


def _name(file: FileDescriptorProto, path: Any) -> str:
    """The full name of the element at a path of field numbers and indices."""
    element: Any = file
    names = [file.package]
    for number, index in zip(path[::2], path[1::2], strict=False):
        element = getattr(element, element.DESCRIPTOR.fields_by_number[number].name)[index]
        names.append(element.name)
    return ".".join(names)


def _markdown(comment: str) -> str:
    """Paragraphs as one line each, errors as a list; indented lines stay as they are."""
    lines = [line.removeprefix(" ").rstrip() for line in comment.strip("\n").split("\n")]
    return "\n\n".join(map(_paragraph, "\n".join(lines).split("\n\n")))


def _paragraph(text: str) -> str:
    if _ERROR.match(text):
        text = _ERROR.sub(r"- \g<0>", text)
    return _BROKEN.sub(" ", text)
