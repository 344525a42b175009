"""Contacts: what was erased, put back as it was for the judge, and whether it is gone.

EraseContact empties events and stored responses where they stand. What requests and
answers said of a contact is put back into the events that were emptied, so that everything
else is judged as without an erasure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zimun.v1.appointment_pb2 import Appointment

from .history import OK, REFUSED, UNKNOWN, Attempt, Row
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
    message = Appointment.FromString(bytes.fromhex(raw))
    for name in PERSONAL:
        message.ClearField(name)
    return message.SerializeToString(deterministic=True).hex()


def appointments_in(attempt: Attempt) -> list[dict[str, Any]]:
    """The appointments that an answer shows."""
    found: list[dict[str, Any]] = attempt.answer.get("items", [attempt.answer])
    return [one for one in found if "contact_name" in one]


@dataclass
class Restoration:
    """Puts contacts back into emptied events, from what was asked and answered."""

    attempts: Iterable[Attempt]
    erasures: list[Attempt] = field(default_factory=list)
    _told: dict[Shown, dict[str, Any]] = field(default_factory=dict)
    _emails: dict[str, str] = field(default_factory=dict)
    _requests: dict[tuple[str, str], list[Attempt]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        for attempt in self.attempts:
            if "contact_name" in attempt.request:
                self._emails[attempt.request["contact_name"]] = attempt.request.get(
                    "contact_email", ""
                )
            self._requests[attempt.org, attempt.client].append(attempt)
            for one in appointments_in(attempt) if attempt.outcome == OK else ():
                if one["contact_name"]:
                    self._told[attempt.org, one["hold_id"], one["etag"]] = one

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
            if revision.type in NAMING:
                contact = self._named(life, revision)
            if revision.type == "APPOINTMENT_CANCELLED" and contact["contact_email"]:
                reason = self._reason(life, revision)
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

    def _named(self, life: Life, revision: Revision) -> dict[str, str]:
        """The contact that an event gave: as an answer shows it then or later, or as somebody asked
        who had no answer."""
        for later in life.revisions[revision.number - 1 :]:
            if later.number > revision.number and later.type in (*NAMING, ERASED):
                break
            if told := self._told.get((life.org, life.hold_id, str(later.number))):
                name = told["contact_name"]
                return _contact(name, self._emails.get(name, ""))
        for asked in self._open(life, revision):
            if name := asked.request.get("contact_name", ""):
                return _contact(name, self._emails[name])
        return _contact("", "")

    def _reason(self, life: Life, revision: Revision) -> str:
        """Why an appointment was cancelled, likewise."""
        if told := self._told.get((life.org, life.hold_id, str(revision.number))):
            return str(told["cancel_reason"])
        asked = self._open(life, revision)
        return next((one.request["cancel_reason"] for one in asked), "")

    def _open(self, life: Life, revision: Revision) -> Iterator[Attempt]:
        """The requests without an answer that an event may answer to."""
        methods = ("ConfirmAppointment", "BookAppointment")
        if revision.type != "APPOINTMENT_CONFIRMED":
            methods = (life.method_of(revision),) * 2
        row = revision.row
        for one in self._requests[life.org, revision.client]:
            asked = one.request
            same = asked.get("hold_id", asked.get("appointment_id", "")) in (
                life.hold_id,
                row["appointment_id"],
            )
            if one.method == "BookAppointment":
                first = life.revisions[0].row
                same = (asked["service_id"], asked["start"]) == (
                    first["service_id"],
                    first["start_time"],
                )
            is_open = one.outcome == UNKNOWN and one.sent <= revision.at
            if is_open and same and one.method in methods:
                yield one


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
                ledger.unattributed.append(f"{life.org} {life.hold_id}: nobody asked to erase it")


def _contact(name: str, email: str) -> dict[str, str]:
    return {"contact_name": name, "contact_email": email}


def _contact_of(row: Row) -> dict[str, str]:
    return _contact(row["contact_name"], row["contact_email"])


Named = tuple[Life, Revision]


def not_erased(ledger: Ledger) -> Iterator[str]:
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
        if erasure.outcome == OK and erasure.request["include_upcoming"]:
            yield from judge.erasure(erasure)
    yield from judge.answers()
    for export in ledger.exports:
        if export.outcome == OK:
            yield from (f"{export.org} {export.name}: {what}" for what in judge.export(export))


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
            if one.outcome == OK
            and one.request["include_upcoming"]
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
