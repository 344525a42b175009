"""Many callers who want the same few times, and who repeat themselves as the contract advises.

Every request has a key. After no answer, or OVERLOADED, it is sent again with
the same key to whichever server, after growing pauses that are random in part.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc

from .calls import OPTIONS, UNKEYED, Request, send
from .clock import SharedClock
from .history import (
    CATALOG_CHANGE,
    CATALOG_CHANGES,
    NOTHING,
    OK,
    OUTCOME_CHANGES,
    UNKNOWN,
    Attempt,
)
from .ledger import BOOKED
from .pool import OFFERED, WALK_IN, Pool, service_and_location_of, service_at_random_location
from .scenario import (
    DAY,
    HOUR,
    IGNORED,
    MINUTE,
    OFF_OWNERS,
    OPENS,
    ORGS,
    RECURRENCES,
    ROOMS,
    SECOND,
    SERVICES,
)

CLIENTS = 3
"""Clients of each organization."""

WINDOW = 12.0
"""Seconds for which callers want the times of the same two days; then those of the next two."""

FREEING = ("ReleaseHold", "CancelAppointment")
"""After these a caller often wants the same time again at once, of another server."""

PATIENT, HASTY = 3.0, (0.002, 0.03)
"""Seconds until a caller gives up waiting, mostly and on purpose."""

ATTEMPTS = 8
MIN_PAUSE, MAX_PAUSE = 0.05, 1.0

Token = Callable[[str, str], str]
"""A good token of (organization, client)."""


class Load:
    """Callers on the servers at `targets`, and the history that they write."""

    def __init__(
        self,
        seed: int,
        targets: Sequence[str],
        token: Token,
        clock: SharedClock,
        more_reads: float = 0.0,
    ) -> None:
        """Of all requests the share `more_reads` are reads, and of the others some, too."""
        self.history: list[Attempt] = []
        self._seed = seed
        self._clock = clock
        self._targets = targets
        self._token = token
        self._more_reads = more_reads
        self._pools = {org: Pool() for org in ORGS}
        self._keys = itertools.count()
        self._open: list[Request] = []
        self._began = time.monotonic()
        self._first_day = (clock.now() // DAY + 2) * DAY

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Two channels to every server while the context is open."""
        own = (*OPTIONS, ("grpc.use_local_subchannel_pool", 1))
        async with AsyncExitStack() as stack:
            self._channels = [
                await stack.enter_async_context(grpc.aio.insecure_channel(target, own))
                for target in self._targets
                for _ in range(2)
            ]
            yield

    async def run(self, callers: int, until: float, min_attempts: int = 0) -> None:
        """Let so many callers work until an instant of `time.monotonic`, and on a slow machine
        until there have been so many attempts."""
        await asyncio.gather(
            *(self._work(number, until, min_attempts) for number in range(callers))
        )

    async def meet_expiry(self, rng: random.Random, aim: int) -> bool:
        """Move the clock to `aim` microseconds past the end of a hold, while callers want its time.

        Its holder confirms, extends and releases it, or does nothing. False without such a hold.
        """
        now = self._clock.now()
        lasting = [
            (org, hold)
            for org, pool in self._pools.items()
            for hold in pool.held.values()
            if hold["expires_at"] > now and not SERVICES[hold["service_id"]].walks_in
        ]
        if not lasting:
            return False
        org, hold = rng.choice(lasting)
        asks = [self._look, self._look, self._take_over, self._take_over]
        if rng.random() < 0.5:
            asks += [self._confirm, self._extend, self._release]
        rng.shuffle(asks)
        await self._persist(rng, self._look(rng, org, hold), until=0)
        requests = [ask(rng, org, hold) for ask in asks]
        by = hold["expires_at"] + aim - self._clock.now()
        if by < 0:
            return False
        self._clock.move_on(by)
        await asyncio.gather(*(self._persist(rng, request, until=0) for request in requests))
        return True

    async def recover(self, seconds: float) -> list[str]:
        """Repeat the requests without a response, now that there are no faults.

        Returns a message for each server that does not respond within `seconds`."""
        deadline = time.monotonic() + seconds
        told: list[str] = []
        for target in self._targets:
            async with grpc.aio.insecure_channel(target, OPTIONS) as channel:
                self._channels = [channel]
                requests, self._open = self._open, []
                probe = self._hold(random.Random(self._seed), ORGS[0])
                for request in (*requests, probe):
                    if not await self._is_answered(request, deadline):
                        told.append(f"{target} did not recover: no answer to {request}")
                        break
        return told

    async def _is_answered(self, request: Request, deadline: float) -> bool:
        while time.monotonic() < deadline:
            attempt = await self._attempt(random.Random(0), request, PATIENT)
            if attempt.outcome not in (UNKNOWN, NOTHING):
                return True
            await asyncio.sleep(MIN_PAUSE)
        return False

    async def _work(self, number: int, until: float, min_attempts: int) -> None:
        rng = random.Random(f"{self._seed} {number}")
        while time.monotonic() < until or len(self.history) < min_attempts:
            request = self._choose(rng, rng.choice(ORGS))
            if rng.random() < 0.06:
                # Two of them at once, as when a proxy repeats what it has sent already.
                await asyncio.gather(
                    self._persist(rng, request, until), self._persist(rng, request, until)
                )
                continue
            if request.method in FREEING and rng.random() < 0.5:
                await self._free_and_request_again(rng, request)
                continue
            attempt = await self._persist(rng, request, until)
            if attempt.outcome == OK and rng.random() < 0.08:
                await self._repeat(rng, request)

    async def _free_and_request_again(self, rng: random.Random, request: Request) -> None:
        """Free a time at one server, and want it of another at once."""
        count = len(self._channels)
        number = rng.randrange(count)
        freeing, other = self._channels[number], self._channels[(number + 2) % count]
        attempt = await self._attempt(rng, request, PATIENT, freeing)
        if attempt.outcome == OK:
            request = self._take_over(rng, attempt.org, attempt.answer)
            attempt = await self._attempt(rng, request, PATIENT, other)
        if attempt.outcome in (UNKNOWN, NOTHING):
            self._open.append(request)

    async def _repeat(self, rng: random.Random, request: Request) -> None:
        """The same once more, or another request under its key."""
        if rng.random() < 0.3 and request.method == "HoldAppointment":
            other = {**request.content, "start": request.content["start"] + 7 * DAY}
            request = Request(request.org, request.client, request.method, request.key, other)
        await self._attempt(rng, request, PATIENT)

    async def _persist(self, rng: random.Random, request: Request, until: float) -> Attempt:
        """Send a request until it is answered, or for a while."""
        pause = MIN_PAUSE
        gives_up = rng.random() < 0.03
        for _ in range(ATTEMPTS):
            hasty = rng.random() < 0.05
            call_timeout = rng.uniform(*HASTY) if hasty else PATIENT
            attempt = await self._attempt(rng, request, call_timeout)
            if attempt.outcome not in (UNKNOWN, NOTHING):
                return attempt
            if gives_up:
                return attempt
            if time.monotonic() > until:
                break
            await asyncio.sleep(pause * rng.uniform(0.5, 1))
            pause = min(2 * pause, MAX_PAUSE)
        self._open.append(request)
        return attempt

    async def _attempt(
        self,
        rng: random.Random,
        request: Request,
        call_timeout: float,
        channel: grpc.aio.Channel | None = None,
    ) -> Attempt:
        token = self._token(request.org, request.client)
        channel = channel or rng.choice(self._channels)
        attempt = await send(channel, self._clock, token, request, call_timeout)
        self.history.append(attempt)
        pool = self._pools[request.org]
        if attempt.outcome == OK and request.method not in (*UNKEYED, *CATALOG_CHANGES):
            pool.learn(attempt)
        if attempt.outcome == OK and request.method == "CreateTimeOff":
            pool.time_off.append(request.content["id"])
        return attempt

    def _choose(self, rng: random.Random, org: str) -> Request:
        pool, dice = self._pools[org], rng.random()
        if self._more_reads and rng.random() < self._more_reads:
            return self._read(rng, org, pool)
        if pool.holds and dice < 0.34:
            return self._about_hold(rng, org, rng.choice(pool.holds))
        if pool.appointments and dice < 0.64:
            return self._about_appointment(rng, org, rng.choice(pool.appointments))
        if dice < 0.80:
            return self._hold(rng, org)
        if dice < 0.83:
            return self._book(rng, org)
        if dice < 0.86:
            return self._about_catalog(rng, org, pool)
        if pool.walk_ins and dice < 0.89:
            return self._about_walk_in(rng, org, rng.choice(pool.walk_ins))
        if dice > 0.985:
            return self._about_contact(rng, org, pool)
        return self._read(rng, org, pool)

    def _about_catalog(self, rng: random.Random, org: str, pool: Pool) -> Request:
        """A name, which changes nothing of what is offered, or time off."""
        dice = rng.random()
        if dice < 0.3:
            new = {"id": rng.choice(ROOMS), "name": f"Room {next(self._keys)}"}
            return self._request(rng, org, CATALOG_CHANGE, **new)
        if pool.time_off and dice < 0.6:
            return self._request(rng, org, "DeleteTimeOff", id=rng.choice(pool.time_off))
        recurrence = rng.choice(RECURRENCES)
        # Bookings are in the later occurrences, too, where the first is a day ahead of them.
        begins = self._day(rng) - (DAY if recurrence and rng.random() < 0.5 else 0)
        begins += OPENS * HOUR + rng.randrange(6) * 20 * MINUTE
        return self._request(
            rng,
            org,
            "CreateTimeOff",
            id=f"f_{next(self._keys)}",
            owner_id=rng.choice(OFF_OWNERS),
            start_time=begins,
            end_time=begins + rng.choice((20, 45)) * MINUTE,
            recurrence=recurrence,
            allow_conflicts=rng.random() < 0.4,
        )

    def _about_contact(self, rng: random.Random, org: str, pool: Pool) -> Request:
        """What is kept of a customer, or that nothing is from now on."""
        email = rng.choice([*pool.emails, *pool.erased])
        if rng.random() < 0.5:
            return self._request(rng, org, "ExportContact", contact_email=email, page_size=1000)
        asked = {"contact_email": email, "include_upcoming": rng.random() < 0.8}
        if asked["include_upcoming"]:
            pool.erase(email)
        # One client for each customer: so events tell whose erasure they record.
        client = f"c_{org}_{email.partition('@')[0]}"
        return Request(org, client, "EraseContact", f"k{next(self._keys)}", asked)

    def _about_walk_in(self, rng: random.Random, org: str, booked: dict[str, Any]) -> Request:
        """Record the outcome of an appointment, reopen it, or cancel it."""
        named = {"appointment_id": booked["appointment_id"]}
        if rng.random() < 0.1:
            return self._request(rng, org, "CancelAppointment", **named, cancel_reason=self._ill())
        if rng.random() < 0.2:
            named["etag"] = booked["etag"]
        return self._request(rng, org, rng.choice(OUTCOME_CHANGES), **named)

    def _contact(self, rng: random.Random, org: str, name: str) -> dict[str, str]:
        """A customer's address, and a name of its own, which begins as given."""
        email = self._pools[org].customer(rng)
        email = email.upper() if rng.random() < 0.2 else email
        return {"contact_name": f"{name}{next(self._keys)}", "contact_email": email}

    def _ill(self) -> str:
        return f"ill {next(self._keys)}"

    def _read(self, rng: random.Random, org: str, pool: Pool) -> Request:
        dice, day = rng.random(), self._day(rng)
        service = service_at_random_location(rng, rng.choice(OFFERED))
        if pool.appointments and dice < 0.45:
            # An id of another organization must be NOT_FOUND.
            who = org if dice > 0.02 else next(one for one in ORGS if one != org)
            booked = rng.choice(pool.appointments)["appointment_id"]
            return self._request(rng, who, "GetAppointment", appointment_id=booked)
        if dice < 0.8:
            return self._request(rng, org, "GetAvailability", **service, day=day)
        named = {"service_id": service["service_id"]} if dice < 0.9 else {}
        return self._request(rng, org, "ListAppointments", **named, day=day)

    def _hold(self, rng: random.Random, org: str) -> Request:
        return self._request(rng, org, "HoldAppointment", **self._slot(rng))

    def _book(self, rng: random.Random, org: str) -> Request:
        """Hold and confirm in one step."""
        contact = self._contact(rng, org, BOOKED)
        return self._request(rng, org, "BookAppointment", **self._slot(rng), **contact)

    def _slot(self, rng: random.Random) -> dict[str, Any]:
        """A start of a service, now and then off its grid or outside of the hours."""
        if rng.random() < 0.05:
            start = self._clock.now() // SECOND * SECOND + rng.randint(1, 9) * SECOND
            walk_in = service_at_random_location(rng, WALK_IN)
            return walk_in | {"start": start, "ignored_rules": IGNORED}
        service = rng.choice(OFFERED)
        content = service_at_random_location(rng, service)
        content["start"] = rng.choice(service.times(self._day(rng)))
        if service.staff and rng.random() < 0.2:
            content["staff_id"] = rng.choice(service.staff)
        if service.capacity > 1 and rng.random() < 0.4:
            content["seats"] = rng.randint(1, service.capacity)
        if rng.random() < 0.05:
            content["start"] += rng.choice((7 * MINUTE, -2 * HOUR, 4 * HOUR))
            content["ignored_rules"] = IGNORED
        return content

    def _about_hold(self, rng: random.Random, org: str, hold: dict[str, Any]) -> Request:
        dice = rng.random()
        if dice < 0.55:
            return self._confirm(rng, org, hold)
        if dice < 0.75:
            return self._release(rng, org, hold)
        if dice < 0.98:
            return self._extend(rng, org, hold)
        # An id of another organization must be NOT_FOUND.
        return self._release(rng, next(one for one in ORGS if one != org), hold)

    def _confirm(self, rng: random.Random, org: str, hold: dict[str, Any]) -> Request:
        contact = self._contact(rng, org, "Sam ")
        return self._request(rng, org, "ConfirmAppointment", hold_id=hold["hold_id"], **contact)

    def _release(self, rng: random.Random, org: str, hold: dict[str, Any]) -> Request:
        return self._request(rng, org, "ReleaseHold", hold_id=hold["hold_id"])

    def _extend(self, rng: random.Random, org: str, hold: dict[str, Any]) -> Request:
        return self._request(rng, org, "ExtendHold", hold_id=hold["hold_id"])

    def _look(self, rng: random.Random, org: str, hold: dict[str, Any]) -> Request:
        """See what is open on the day of a hold."""
        same = service_and_location_of(hold) | {"day": hold["start"] // DAY * DAY}
        return self._request(rng, org, "GetAvailability", **same)

    def _take_over(self, rng: random.Random, org: str, hold: dict[str, Any]) -> Request:
        """Ask for the slot of another caller's hold."""
        same = service_and_location_of(hold) | {name: hold[name] for name in ("start", "staff_id")}
        day = hold["start"] // DAY * DAY
        if hold["start"] not in SERVICES[hold["service_id"]].grid(day):
            same["ignored_rules"] = IGNORED
        return self._request(rng, org, "HoldAppointment", **same)

    def _about_appointment(self, rng: random.Random, org: str, booked: dict[str, Any]) -> Request:
        named = {"appointment_id": booked["appointment_id"]}
        if rng.random() < 0.2:
            named["etag"] = booked["etag"]
        if rng.random() < 0.45:
            return self._request(rng, org, "CancelAppointment", **named, cancel_reason=self._ill())
        service = SERVICES[booked["service_id"]]
        if rng.random() < 0.3:
            named["etag"] = booked["etag"]
            named |= self._contact(rng, org, "New ")
            more = {"seats": rng.randint(1, service.capacity)} if service.capacity > 1 else {}
            return self._request(rng, org, "UpdateAppointment", **named, **more)
        start = rng.choice(service.times(self._day(rng)))
        return self._request(rng, org, "RescheduleAppointment", **named, start=start)

    def _day(self, rng: random.Random) -> int:
        window = int((time.monotonic() - self._began) / WINDOW)
        return self._first_day + (2 * window + rng.randrange(2)) * DAY

    def _request(self, rng: random.Random, org: str, method: str, **content: Any) -> Request:
        client = f"c_{org}_{rng.randrange(CLIENTS)}"
        return Request(org, client, method, f"k{next(self._keys)}", content)
