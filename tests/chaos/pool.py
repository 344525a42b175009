"""What callers know of each other's bookings, and where a service can be had."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .history import Attempt
from .scenario import SERVICES, Service

WALK_IN = next(service for service in SERVICES.values() if service.walks_in)
OFFERED = [service for service in SERVICES.values() if not service.walks_in]


def service_at_random_location(rng: random.Random, service: Service) -> dict[str, Any]:
    """A service and one of its locations, as a request names them."""
    location_id = rng.choice(service.locations)
    return {"service_id": service.id} | ({"location_id": location_id} if location_id else {})


def service_and_location_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The service and the location of a hold."""
    named = ("service_id", "location_id")
    return {name: answer[name] for name in named if answer[name]}


@dataclass
class Pool:
    """What an organization's callers know of each other's holds and appointments."""

    holds: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=12))
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, those that no answer has ended."""
    appointments: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=40))
    walk_ins: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=6))
    """Appointments that have started, or soon will."""
    time_off: deque[str] = field(default_factory=lambda: deque(maxlen=6))
    emails: list[str] = field(default_factory=lambda: ["c0@example.com", "c1@example.com"])
    """The addresses of customers."""
    erased: deque[str] = field(default_factory=lambda: deque(maxlen=2))
    """Addresses that a request asked to erase; no later booking has them."""
    customers: int = 2

    def customer(self, rng: random.Random) -> str:
        """An address: three times in four the same one, so that its limits are reached."""
        return rng.choice((*self.emails, *self.emails[:1] * 2))

    def erase(self, email: str) -> None:
        """Let another customer come instead."""
        if email in self.emails:
            self.erased.append(email)
            self.emails[self.emails.index(email)] = f"c{self.customers}@example.com"
            self.customers += 1

    def learn(self, attempt: Attempt) -> None:
        """Take note of an answer to a change."""
        answer, hold_id = attempt.answer, attempt.answer["hold_id"]
        if attempt.method in ("HoldAppointment", "ExtendHold"):
            self.holds.append(answer)
            self.held[hold_id] = answer
        else:
            self.held.pop(hold_id, None)
            if answer["state"] == "CONFIRMED":
                walks_in = SERVICES[answer["service_id"]].walks_in
                (self.walk_ins if walks_in else self.appointments).append(answer)
