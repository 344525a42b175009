"""Pages: together they are the whole, and their tokens cannot be bent."""

import base64
from itertools import chain

import pytest

from ..support.answers import Json, assert_invalid_field
from ..support.program import Zimun
from ..support.times import half_hours


def pages(zimun: Zimun, path: str, size: int, **filters: object) -> list[list[Json]]:
    """Every page of a list, in order."""
    found: list[list[Json]] = []
    token = ""
    while True:
        answer = zimun.get_json(path, page_size=size, page_token=token, **filters)
        assert set(answer) == {"items", "next_page_token"}
        found.append(answer["items"])
        token = answer["next_page_token"]
        if not token:
            return found
        assert len(found) < 1000, "the pages never end"


@pytest.fixture(scope="module")
def five(zimun: Zimun) -> Json:
    """Filters that find exactly five appointments, of which two start together."""
    starts = half_hours("2026-05-26")
    for start in (starts[5], starts[0], starts[2], starts[2], starts[1]):
        zimun.book(start)
    return {
        "start_time_from": "2026-05-26T00:00:00Z",
        "start_time_before": "2026-05-27T00:00:00Z",
    }


@pytest.mark.parametrize("path", ["/api/v1/services", "/api/v1/locations"])
def test_pages_of_one_are_the_whole_catalogue(zimun: Zimun, path: str) -> None:
    (whole,) = pages(zimun, path, 1000)
    assert whole
    singles = pages(zimun, path, 1)
    assert [len(page) for page in singles] == [1] * len(whole)
    assert [page[0] for page in singles] == whole


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_of_any_size_are_all_appointments_in_order_of_start(
    zimun: Zimun, five: Json, size: int
) -> None:
    (whole,) = pages(zimun, "/api/v1/appointments", 1000, **five)
    starts = [one["start_time"] for one in whole]
    assert len(starts) == 5
    assert starts == sorted(starts)
    found = pages(zimun, "/api/v1/appointments", size, **five)
    assert [one for page in found for one in page] == whole
    # A last page that is full says so: there is no empty one after it.
    assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= size


def test_page_size_zero_means_fifty(zimun: Zimun, five: Json) -> None:
    assert zimun.get_json("/api/v1/appointments", page_size=0, **five) == zimun.get_json(
        "/api/v1/appointments", page_size=50, **five
    )


@pytest.mark.parametrize("path", ["services", "locations", "appointments"])
@pytest.mark.parametrize("size", [-1, 1001, 2147483647])
def test_a_page_size_out_of_range_is_refused(zimun: Zimun, path: str, size: int) -> None:
    assert_invalid_field(zimun.get(f"/api/v1/{path}", page_size=size), "page_size")


def token_of(zimun: Zimun, path: str, **query: object) -> str:
    token: str = zimun.get_json(path, page_size=1, **query)["next_page_token"]
    assert token
    return token


def flip(token: str, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


@pytest.mark.parametrize("where", ["first", "middle", "truncated", "lengthened", "made up"])
def test_a_tampered_page_token_is_refused(zimun: Zimun, five: Json, where: str) -> None:
    token = token_of(zimun, "/api/v1/appointments", **five)
    bent = {
        "first": flip(token, 0),
        "middle": flip(token, len(token) // 2),
        "truncated": token[: len(token) // 2],
        "lengthened": token + "AAAA",
        "made up": base64.urlsafe_b64encode(b'["2026-05-26T00:00:00Z","a_123"]').decode(),
    }[where]
    assert_invalid_field(
        zimun.get("/api/v1/appointments", page_size=1, page_token=bent, **five), "page_token"
    )


def test_a_page_token_belongs_to_its_method(zimun: Zimun, five: Json) -> None:
    of_services = token_of(zimun, "/api/v1/services")
    of_appointments = token_of(zimun, "/api/v1/appointments", **five)
    for path, token in [
        ("/api/v1/appointments", of_services),
        ("/api/v1/locations", of_services),
        ("/api/v1/services", of_appointments),
    ]:
        assert_invalid_field(zimun.get(path, page_size=1, page_token=token), "page_token")


@pytest.mark.parametrize(
    "change",
    [
        {"start_time_from": "2026-05-25T00:00:00Z"},
        {"start_time_before": "2026-05-28T00:00:00Z"},
        {"service_id": "s_123"},
        {"staff_id": "t_ada"},
        {"state": "CONFIRMED"},
    ],
)
def test_a_page_token_belongs_to_its_filters(zimun: Zimun, five: Json, change: Json) -> None:
    token = token_of(zimun, "/api/v1/appointments", **five)
    query = {**five, **change, "page_size": 1, "page_token": token}
    assert_invalid_field(zimun.get("/api/v1/appointments", **query), "page_token")


def test_a_page_token_of_one_organization_opens_nothing_in_another(
    zimun: Zimun, five: Json, other_org_client: tuple[str, str]
) -> None:
    token = token_of(zimun, "/api/v1/appointments", **five)
    answer = zimun.get(
        "/api/v1/appointments",
        token=zimun.token(credentials=other_org_client),
        page_size=1,
        page_token=token,
        **five,
    )
    if answer.status_code == 200:
        assert answer.json() == {"items": [], "next_page_token": ""}
    else:
        assert_invalid_field(answer, "page_token")


def test_a_booking_made_between_two_pages_moves_nothing(zimun: Zimun, near_day: str) -> None:
    first, second, third = half_hours(near_day)[3:6]
    span = {"start_time_from": first, "start_time_before": f"{near_day}T23:00:00Z"}
    ids = [zimun.book(start)["appointment_id"] for start in (first, second, third)]
    page = zimun.get_json("/api/v1/appointments", page_size=1, **span)
    zimun.book(first)  # sorts before the second page
    rest = zimun.get_json(
        "/api/v1/appointments", page_size=10, **span, page_token=page["next_page_token"]
    )
    assert page["items"][0]["appointment_id"] == ids[0]
    assert [one["appointment_id"] for one in rest["items"]][-2:] == ids[1:]
    assert ids[0] not in [one["appointment_id"] for one in rest["items"]]


def test_filters_find_what_they_say(zimun: Zimun, five: Json) -> None:
    def starts(**filters: object) -> list[str]:
        return [
            one["start_time"] for one in zimun.get_json("/api/v1/appointments", **filters)["items"]
        ]

    half = half_hours("2026-05-26")
    # From is included, before is not.
    assert starts(start_time_from=half[1], start_time_before=half[2]) == [half[1]]
    assert starts(start_time_from=half[2], start_time_before=half[5]) == [half[2]] * 2
    assert len(starts(**five, service_id="s_123")) == 5
    assert starts(**five, service_id="s_treatment") == []
    assert starts(**five, state="CANCELLED") == []
    everyone = [starts(**five, staff_id=staff) for staff in ("t_ada", "t_ben", "t_chloe")]
    assert sorted(chain.from_iterable(everyone)) == sorted(starts(**five))
    assert all(found for found in everyone)
