"""Email addresses: the quick check of plain ones accepts nothing that the library refuses."""

from contextlib import suppress

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from zimun.rpc import validation
from zimun.v1 import appointments_service_pb2

PIECES = st.sampled_from(
    (
        *("a", "Z", "9", ".", "-", "--", "_", "+", "@", "xn--", "ß", '"', " ", "\n", "x" * 30),
        *("example.com", "example", "test", "LOCAL", "localhost", "arpa", "onion", "invalid"),
    )
)


def library_accepts(address: str) -> bool:
    with suppress(EmailNotValidError):
        return bool(validate_email(address, check_deliverability=False))
    return False


@given(st.lists(PIECES, max_size=8).map("".join) | st.emails())
@example("sam@example.com")
@example("sam@shop.TEST")
@example("sam@a--b.com")
@example("sam@example.com\n")
@example(f"{'a' * 60}@b.com")
@example(f"a@{'b' * 64}.com")
def test_an_address_is_accepted_exactly_if_the_library_accepts_it(address: str) -> None:
    request = appointments_service_pb2.ConfirmAppointmentRequest(contact_email=address)
    violations = dict(validation.violations_of(request))
    assert ("contact_email" not in violations) is library_accepts(address)


@pytest.mark.parametrize("address", ["sam@example.com", "S.a-m+1@mail.Example-2.org"])
def test_plain_address_is_accepted(address: str) -> None:
    request = appointments_service_pb2.ConfirmAppointmentRequest(contact_email=address)
    assert "contact_email" not in dict(validation.violations_of(request))
