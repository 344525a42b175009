"""Subjects: what a session takes, each of which is taken once at a time.

They are its staff member and its resources. A session of a service that needs
neither takes the service itself at its location, so that each location is
taken apart.
"""


def service_subject(service_id: str, location_id: str) -> str:
    """The subject of a service that needs neither staff nor resources, at a location or none.

    No id contains an `@`, and no other subject does.
    """
    return f"{service_id}@{location_id}"


def taken_subjects(
    service_id: str, location_id: str, staff_id: str, resource_ids: tuple[str, ...]
) -> tuple[str, ...]:
    """What a session of a service takes at a location, with this staff member and resources."""
    if staff_id:
        return (staff_id, *resource_ids)
    return resource_ids or (service_subject(service_id, location_id),)
