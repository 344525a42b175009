"""Contacts: what was erased, put back as it was for the judge, and whether it is gone.

EraseContact empties events and stored responses where they stand. What requests
said of a contact is put back into the events that were emptied, so that everything
else is judged as without an erasure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zimun.v1.appointment_pb2 import Appointment

from .history import OK, REFUSED, Attempt, Record, Row
from .ledger import ERASED, FOREVER, Ledger, Life, Operation, Revision, shows
from .scenario import customer_of

PERSONAL = (
    "contact_name",
    "contact_email",
    "contact_phone",
    "notes",
    "metadata",
    "cancel_reason",
)

NAMING = ("APPOINTMENT_CONFIRMED", "APPOINTMENT_UPDATED")
"""The events that give an appointment a contact."""

Shown = tuple[str, str, str]
"""An organization, a hold and an etag: what an answer shows."""


def without_contact(raw: str) -> str:
    """A response that is an appointment, as bytes in hexadecimal, without its contact."""
    message = _appointment(raw)
    for name in PERSONAL:
        message.ClearField(name)
    return message.SerializeToString(deterministic=True).hex()


def _appointment(raw: str) -> Appointment:
    return Appointment.FromString(bytes.fromhex(raw))


def appointments_in(attempt: Attempt) -> list[dict[str, Any]]:
    """The appointments that an answer shows."""
    found: list[dict[str, Any]] = attempt.answer.get("items", [attempt.answer])
    return [one for one in found if "contact_name" in one]


_GIVING = ("ConfirmAppointment", "BookAppointment", "UpdateAppointment", "CancelAppointment")
"""The methods that give a contact or a reason; they are answered with the appointment."""


@dataclass
class Restoration:
    """Puts contacts back into emptied events, from what was asked.

    The stored response of a key has no contact any more, but still the hold and the etag, so that
    it tells which request each event answers to, whether or not the caller had the answer.
    """

    record: Record
    erasures: list[Attempt]

    @cached_property
    def _asked(self) -> dict[tuple[str, str, str, str], dict[str, Any]]:
        """The request of each change, by organization, client, hold and etag.

        What is confirmed or cancelled already is answered as it is, so that others may show the
        same; the first one, by the end of its key, made the change. Of two at one instant it is
        the one whose words were answered.
        """
        attempts = [one for one in self.record.attempts if one.method in _GIVING]
        asked = {(one.org, one.client, one.key): one.request for one in attempts}
        told = {
            (one.org, item["hold_id"], item.get("etag", ""), item[name])
            for one in self.record.attempts
            for item in (appointments_in(one) if one.outcome == OK else ())
            for name in ("contact_name", "cancel_reason")
        }
        found = []
        for row in self.record.tables["idempotency"]:
            if request := asked.get((row["org_id"], row["client_id"], row["key"])):
                shown = _appointment(row["response"].removeprefix("\\x"))
                words = request.get("contact_name") or request.get("cancel_reason")
                is_told = (row["org_id"], shown.hold_id, shown.etag, words) in told
                change = row["org_id"], row["client_id"], shown.hold_id, shown.etag
                found.append((row["expires_at"], not is_told, change, request))
        found.sort(key=lambda one: one[:2], reverse=True)
        return {change: request for _, _, change, request in found}

    def restore(self, life: Life) -> None:
        """Put back what was emptied of a reservation."""
        contact, reason = _contact("", ""), ""
        for revision in life.revisions if any(one.type == ERASED for one in life.revisions) else ():
            row = revision.row
            if row["contact_email"] or not row["appointment_id"]:
                contact, reason = _contact_of(row), row["cancel_reason"]
                continue
            if revision.type == ERASED and self._may_erase(life, revision, contact):
                contact, reason = _contact("", ""), ""
                continue
            change = life.org, revision.client, life.hold_id, str(revision.number)
            asked = self._asked.get(change, {})
            if revision.type in NAMING and asked:
                contact = _contact(asked["contact_name"], asked["contact_email"])
            if revision.type == "APPOINTMENT_CANCELLED" and contact["contact_email"]:
                reason = asked.get("cancel_reason", "")
            if contact["contact_email"]:
                revision.emptied = True
                revision.row = {**row, **contact, "cancel_reason": reason}

    def _may_erase(self, life: Life, revision: Revision, contact: Mapping[str, str]) -> bool:
        """Whether the erasure that an event records may have been of this contact."""
        customer = customer_of(contact["contact_email"])
        return not customer or any(
            customer_of(one.request["contact_email"]) == customer
            for one in erasures_of(self.erasures, life, revision)
        )


def erasures_of(erasures: Iterable[Attempt], life: Life, revision: Revision) -> Iterator[Attempt]:
    """The requests that an event of an erasure may answer to."""
    for one in erasures:
        until = one.answered + life.skew if one.outcome == OK else FOREVER
        by = (one.org, one.client) == (life.org, revision.client)
        if by and one.outcome != REFUSED and one.sent <= revision.at <= until:
            yield one


def attribute_erasures(ledger: Ledger) -> None:
    """Give each event of an erasure the request that was answered last of those it may be of."""
    for life in ledger.lives.values():
        customers = {customer_of(one.row["contact_email"]) for one in life.revisions}
        for revision in life.revisions:
            if revision.type != ERASED:
                continue
            candidates = [
                Operation([one])
                for one in erasures_of(ledger.erasures, life, revision)
                if customer_of(one.request["contact_email"]) in customers
            ]
            revision.operation = max(candidates, key=lambda one: one.acknowledged, default=None)
            if revision.operation is None:
                ledger.unattributed.append(
                    f"{life.org} {life.hold_id}: no request asked to erase it"
                )


def _contact(name: str, email: str) -> dict[str, str]:
    return {"contact_name": name, "contact_email": email}


def _contact_of(row: Row) -> dict[str, str]:
    return _contact(row["contact_name"], row["contact_email"])


Named = tuple[Life, Revision]


def erasure_violations(ledger: Ledger) -> Iterator[str]:
    """In words, whatever still has, or was answered with, an address that was erased; each export
    that is not what was kept; and each erasure that was refused for nothing."""
    named: dict[tuple[str, str], list[Named]] = defaultdict(list)
    shown: dict[Shown, Revision] = {}
    for life in ledger.lives.values():
        for revision in life.revisions:
            shown[life.org, life.hold_id, str(revision.number)] = revision
            if email := revision.row["contact_email"]:
                named[life.org, customer_of(email)].append((life, revision))
    judge = _Judge(ledger, named, shown)
    for erasure in ledger.erasures:
        if erasure.outcome == REFUSED and not judge.has_appointments(erasure):
            yield f"unjustified refusal {erasure.reason or erasure.message} of {erasure.name}"
        if _is_whole(erasure):
            yield from judge.erasure(erasure)
    yield from judge.answers()
    for export in ledger.exports:
        if export.outcome == OK:
            yield from (f"{export.org} {export.name}: {what}" for what in judge.export(export))


def _is_whole(erasure: Attempt) -> bool:
    """Whether nothing was left, as it was answered; what has much is erased by several calls."""
    is_left = erasure.answer.get("incomplete", False)
    return erasure.outcome == OK and erasure.request["include_upcoming"] and not is_left


@dataclass
class _Judge:
    """A ledger, its revisions by customer, and by what answers show."""

    ledger: Ledger
    named: Mapping[tuple[str, str], list[Named]]
    shown: Mapping[Shown, Revision]

    def of(self, attempt: Attempt) -> list[Named]:
        return self.named.get((attempt.org, customer_of(attempt.request["contact_email"])), [])

    def erasure(self, erasure: Attempt) -> Iterator[str]:
        """No event that was certainly there before has the address."""
        for life, revision in self.of(erasure):
            if revision.not_after <= erasure.sent and not revision.emptied:
                yield (
                    f"{life.org} {life.hold_id} revision {revision.number} still has "
                    f"{revision.row['contact_email']}, erased by {erasure.answered}"
                )

    def answers(self) -> Iterator[str]:
        """No answer that was asked for later, and no stored response, has the address."""
        kept = {
            (row["org_id"], row["client_id"], row["key"]): row["response"].removeprefix("\\x")
            for row in self.ledger.tables["idempotency"]
        }
        reads = (*self.ledger.reads, *self.ledger.exports)
        writes = (one for operation in self.ledger.operations for one in operation.oks)
        for attempt in (*writes, *reads):
            response = kept.get((attempt.org, attempt.client, attempt.key), "")
            for item in appointments_in(attempt):
                email = item["contact_email"]
                if not email:
                    continue
                erased = self._erased(attempt.org, item)
                if any(one.answered <= attempt.sent for one in erased):
                    yield f"{attempt.org} {attempt.name} was answered with {email}, erased before"
                if erased and email.encode().hex() in response:
                    yield f"{email} was erased, and is stored for {attempt.org} {attempt.name}"

    def _erased(self, org: str, item: Mapping[str, Any]) -> list[Attempt]:
        """The erasures after which an answer no longer has the contact of an appointment."""
        revision = self.shown.get((org, item["hold_id"], item["etag"]))
        customer = customer_of(item["contact_email"])
        return [
            one
            for one in self.ledger.erasures
            if _is_whole(one)
            and (one.org, customer_of(one.request["contact_email"])) == (org, customer)
            and revision
            and revision.not_after <= one.sent
        ]

    def has_appointments(self, erasure: Attempt) -> bool:
        """Whether the contact may have had an appointment that was to come."""
        if erasure.reason != "CONTACT_HAS_APPOINTMENTS" or erasure.request["include_upcoming"]:
            return False
        for life, revision in self.of(erasure):
            later = [one.not_after for one in life.revisions[revision.number : revision.number + 1]]
            is_there = revision.not_before <= erasure.answered and erasure.sent <= min(
                later, default=FOREVER
            )
            if is_there and revision.row["state"] == "CONFIRMED":
                return True
        return False

    def export(self, export: Attempt) -> Iterator[str]:
        """It has every change that there was before it, and nothing that there was not."""
        customer = customer_of(export.request["contact_email"])
        listed = set()
        for item in export.answer["items"]:
            revision = self.shown.get((export.org, item["hold_id"], item["etag"]))
            listed.add((item["hold_id"], item["etag"]))
            is_so = revision and shows(item, revision) and revision.not_before <= export.answered
            if not is_so or customer_of(item["contact_email"]) != customer:
                yield f"exported, and never so: {item}"
        may_be_erased = any(
            one.org == export.org
            and customer_of(one.request["contact_email"]) == customer
            and one.outcome != REFUSED
            and one.sent <= export.answered
            for one in self.ledger.erasures
        )
        if may_be_erased or export.answer["more"]:
            return
        for life, revision in self.of(export):
            is_listed = (life.hold_id, str(revision.number)) in listed
            if revision.not_after <= export.sent and not is_listed:
                yield f"{life.hold_id} revision {revision.number} is not in the export"
