"""Rosters: the staff members and resources that can serve at a place."""

from collections.abc import Sequence
from typing import NamedTuple

from zimun.domain.availability.assignment import Assignments, assign
from zimun.domain.availability.start_grid import IdsByFlags
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Place, Service, StaffMember

NO_STAFF = ("",)
"""The staff of a service that needs none: an empty id in place of a staff member."""


class Roster(NamedTuple):
    """The staff members and resources that can serve at a place: active, and there.

    `members` are staff members with their position in the service's list, or (0, None) alone
    where the service needs no staff; `zones` are their time zones, each once.
    `resource_ids` are in the service's order; `is_equipped` where they satisfy its requirements
    while all are free. By flags, one for each of the service's staff members or of `resource_ids`,
    `staff_by_flags` has the ids of those whose flag is set, `assignments` one of the resources
    whose flag is set for each requirement.
    """

    members: Sequence[tuple[int, StaffMember | None]]
    zones: Sequence[str]
    resource_ids: tuple[str, ...]
    is_equipped: bool
    staff_by_flags: IdsByFlags
    assignments: Assignments


def serves(catalog: Catalog, staff_id: str, place: Place) -> bool:
    """Whether a staff member is active and works at this place; True for the empty id."""
    member = catalog.staff.get(staff_id)
    return not staff_id or bool(member and member.active and member.works_at(place))


def roster_of(catalog: Catalog, service: Service, place: Place) -> Roster:
    """The roster of a service at a place."""
    members = [
        (n, catalog.staff.get(staff_id))
        for n, staff_id in enumerate(service.staff_ids or NO_STAFF)
        if serves(catalog, staff_id, place)
    ]
    zones = dict.fromkeys(member.time_zone for _, member in members if member)
    resource_ids = tuple(
        resource_id
        for resource_id in service.resource_ids
        if (resource := catalog.resources.get(resource_id))
        and resource.active
        and resource.is_at(place)
    )
    staff_by_flags = IdsByFlags(service.staff_ids)
    assignments = Assignments(service, resource_ids)
    is_equipped = assign(service, set(resource_ids)) is not None
    return Roster(members, tuple(zones), resource_ids, is_equipped, staff_by_flags, assignments)
