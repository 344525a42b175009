"""A search as if everyone were present: which rules a start breaks beside absence.

Absent is what is archived, at another location, or has time off.
"""

from dataclasses import replace

from zimun.domain.availability.roster import serves
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.timetable import Timetable


def with_all_present(search: Search) -> Search:
    """The search as if the location and all who could serve were active, there, and had no time
    off; the search keeps it, as every start that is explained needs its grids."""
    if search.with_all_present is None:
        search.with_all_present = replace(search, timetable=_timetable_of_all(search))
    return search.with_all_present


def _timetable_of_all(search: Search) -> Timetable:
    timetable, place = search.timetable.without_time_off, search.place
    catalog = timetable.catalog
    staff = {
        member.id: replace(member, active=True, location_ids=())
        for member in map(catalog.staff.get, search.candidates)
        if member and not serves(timetable.catalog, member.id, place)
    }
    if search.place_is_active and not staff:
        return timetable
    locations = {**catalog.locations}
    if place.id:
        locations[place.id] = replace(locations[place.id], active=True)
    return Timetable(replace(catalog, staff={**catalog.staff, **staff}, locations=locations))
