"""Masks of updates (AIP-134)."""

from collections.abc import Collection, Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from zimun.domain.errors import InvalidRequest


def changed_paths(
    sent: Any, mask: FieldMask, changeable: Collection[str], not_by_all: Collection[str] = ()
) -> Sequence[str]:
    """The paths that an update with the message `sent` changes.

    Without a mask they are the fields that the message sets; `*` are the fields of `changeable`.
    Those of `not_by_all` may be named as well. Raises InvalidRequest for a mask that names what is
    no field, or cannot be changed.
    """
    fields = (*changeable, *not_by_all)
    if not mask.paths:
        return [field.name for field, _ in sent.ListFields() if field.name in fields]
    if list(mask.paths) == ["*"]:
        return list(changeable)
    for path in mask.paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(sent.DESCRIPTOR):
            raise InvalidRequest({"update_mask": f"{path!r} is no field"})
        if path.partition(".")[0] not in fields:
            raise InvalidRequest({"update_mask": f"{path} cannot be changed"})
    return mask.paths
