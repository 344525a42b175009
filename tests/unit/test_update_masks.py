"""Updates by field mask: what each field of the mask comes to, and what stays (AIP-134)."""

from dataclasses import fields
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money
from hypothesis import given
from hypothesis import strategies as st

from zimun.booking.catalog import revise
from zimun.domain.catalog.entries import Service
from zimun.rpc.convert import catalog
from zimun.v1 import service_pb2

IDS = st.lists(st.sampled_from(("t_a", "t_b")), max_size=2, unique=True)
LENGTHS = st.builds(Duration, seconds=st.sampled_from((0, 60, 1800)))
PRICES = st.none() | st.builds(Money, currency_code=st.just("EUR"), units=st.integers(0, 2))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(("", "Cut", "Talk")),
    "description": st.sampled_from(("", "Long")),
    "duration": LENGTHS,
    "slot_step": LENGTHS,
    "horizon": LENGTHS,
    "lead_time": LENGTHS,
    "capacity": st.integers(0, 2),
    "price": PRICES,
    "staff_ids": IDS,
    "resource_requirements": st.just([])
    | IDS.map(lambda ids: [service_pb2.ResourceRequirement(resource_ids=ids)]),
    "active": st.booleans(),
    "metadata": st.dictionaries(st.sampled_from("ab"), st.sampled_from(("", "x")), max_size=2),
    "duration_options": st.lists(LENGTHS, max_size=2),
}
MESSAGES = st.fixed_dictionaries(VALUES).map(lambda values: service_pb2.Service(**values))
MASKS = st.lists(st.sampled_from(sorted(VALUES)), unique=True, min_size=1)


@given(MESSAGES, MESSAGES, MASKS)
def test_an_update_sets_the_fields_of_its_mask_and_keeps_all_others(
    present: service_pb2.Service, sent: service_pb2.Service, mask: list[str]
) -> None:
    before = service(present)
    after = catalog.SERVICE.edit(sent, FieldMask(paths=mask))(before)
    wanted = service(sent)
    for field in fields(Service):
        source = wanted if field.name in mask else before
        assert getattr(after, field.name) == getattr(source, field.name), field.name


@given(MESSAGES, MESSAGES, MASKS)
def test_an_update_has_a_new_etag_and_update_time_exactly_where_a_value_is_new(
    present: service_pb2.Service, sent: service_pb2.Service, mask: list[str]
) -> None:
    before, wanted = service(present), service(sent)
    after = revise(before, catalog.SERVICE.edit(sent, FieldMask(paths=mask))(before), now=7)
    is_new = any(getattr(before, name) != getattr(wanted, name) for name in mask)
    assert (after.etag != before.etag, after.update_time != before.update_time) == (is_new, is_new)
    assert (after is before) == (not is_new)


def service(message: service_pb2.Service) -> Service:
    return Service(**catalog.SERVICE.read(message), id="s_1")
