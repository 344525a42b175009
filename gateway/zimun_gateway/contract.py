"""What the compiled contract says; the gateway knows the server from nothing else."""

from pathlib import Path

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

PACKAGE = "zimun.v1"


def services(descriptors: Path) -> list[str]:
    """Full names of the package's services, sorted so that the configuration is stable."""
    return [service.full_name for service in _services(descriptors)]


def methods(descriptors: Path) -> list[MethodDescriptor]:
    """Every method of those services, in the order of the contract."""
    return [method for service in _services(descriptors) for method in service.methods]


def _services(descriptors: Path) -> list[ServiceDescriptor]:
    """In a pool of their own: the process may have other versions of the same messages loaded."""
    compiled = FileDescriptorSet.FromString(descriptors.read_bytes())
    pool = DescriptorPool()
    for file in compiled.file:
        pool.Add(file)
    return [
        pool.FindServiceByName(f"{PACKAGE}.{name}")
        for name in sorted(
            service.name
            for file in compiled.file
            if file.package == PACKAGE
            for service in file.service
        )
    ]
