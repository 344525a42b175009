"""The page at /docs in a real Chromium: `make browser`."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ..support.program import Zimun, closed_after

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")

MAX_SECONDS = 60
"""From the start of the program until a newcomer sees the appointment that was booked."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of CHROMIUM, or one of PROGRAMS."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def demo(directory: Path) -> Iterator[Zimun]:
    """A new demo of now, as `make run` starts it."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with closed_after(Zimun(directory / "data", now)) as started:
        yield started.start()
        started.stop()


@pytest.fixture(scope="session")
def zimun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zimun]:
    """The demo that tests share."""
    with demo(tmp_path_factory.mktemp("browser")) as zimun:
        yield zimun


@contextmanager
def opened(chromium: Browser, zimun: Zimun) -> Iterator[Page]:
    """The page at the address that the program printed; it must have said nothing bad."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    faults: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(printed_address(zimun))
    expect(page.locator("#token")).to_contain_text("15 minutes")
    expect(page.locator("#operations-Appointments-HoldAppointment")).to_be_visible()
    yield page
    assert hosts - {""} == {urlsplit(zimun.url).netloc}
    assert [fault for fault in faults if "favicon" not in fault] == []
    page.close()


@pytest.fixture
def page(chromium: Browser, zimun: Zimun) -> Iterator[Page]:
    """The page of the shared demo."""
    with opened(chromium, zimun) as page:
        yield page


def printed_address(zimun: Zimun) -> str:
    found = re.search(r"^page +(\S+)$", zimun.log("out").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


class Operation:
    """One operation on the page."""

    def __init__(self, page: Page, tag: str, name: str) -> None:
        self.block = page.locator(f"#operations-{tag}-{name}")
        self.block.locator(".opblock-summary-control").click()

    def execute(self, body: str | None = None) -> str:
        """The response body, once the server has answered 200."""
        if body is not None:
            self.block.locator("textarea").fill(body)
        self.block.locator("button.execute").click()
        answer = self.block.locator(".live-responses-table .response").first
        expect(answer.locator(".response-col_status")).to_have_text(re.compile("^200"))
        text: str = answer.locator(".highlight-code").first.inner_text()
        return text


def id_in(answer: str, name: str) -> str:
    found = re.search(rf'"{name}": "([^"]+)"', answer)
    assert found is not None, answer
    return found[1]


def book(page: Page) -> str:
    """Lists services, finds a slot, holds, confirms and reads it; returns the appointment's id."""
    assert '"s_123"' in Operation(page, "Services", "ListServices").execute()
    start = id_in(Operation(page, "Availability", "GetAvailability").execute(), "start_time")
    wanted = f'{{"service_id": "s_123", "appointment_time": "{start}"}}'
    hold_id = id_in(Operation(page, "Appointments", "HoldAppointment").execute(wanted), "hold_id")
    contact = '"contact_name": "Dana Lee", "contact_email": "dana@example.com"'
    confirm = Operation(page, "Appointments", "ConfirmAppointment")
    booked = confirm.execute(f'{{"hold_id": "{hold_id}", {contact}}}')
    seen = Operation(page, "Appointments", "GetAppointment")
    appointment_id = id_in(booked, "appointment_id")
    seen.block.locator("input[placeholder=appointment_id]").fill(appointment_id)
    assert id_in(seen.execute(), "start_time") == start
    return appointment_id


def test_newcomer_sees_a_booked_appointment_within_a_minute_of_the_start_of_the_program(
    chromium: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo(tmp_path) as zimun, opened(chromium, zimun) as page:
        assert "secret" not in page.url
        appointment_id = book(page)
        seconds = time.monotonic() - zimun.started
        with capsys.disabled():
            print(f"\nfrom the start of the program to the appointment: {seconds:.1f} s")
        assert seconds < MAX_SECONDS
        page.screenshot(path=tmp_path / "booked.png")
        cancel = Operation(page, "Appointments", "CancelAppointment")
        cancelled = cancel.execute(f'{{"appointment_id": "{appointment_id}"}}')
        assert id_in(cancelled, "state") == "CANCELLED"


def test_examples_on_the_page_can_be_sent_as_they_are(page: Page) -> None:
    held = Operation(page, "Appointments", "HoldAppointment").execute()
    assert id_in(held, "state") == "HELD"


def test_page_has_no_serious_findings_of_axe(page: Page) -> None:
    Operation(page, "Appointments", "HoldAppointment").execute()
    found = Axe().run(page).response["violations"]
    grave = [(v["id"], v["nodes"]) for v in found if v["impact"] in ("serious", "critical")]
    assert grave == []


def test_operation_is_opened_by_the_keyboard(page: Page) -> None:
    page.locator("#credentials button").focus()
    block = page.locator("#operations-Tokens-CreateToken")
    for _ in range(20):
        page.keyboard.press("Tab")
        if block.locator(".opblock-summary-control:focus").count():
            break
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) != "none"
    page.keyboard.press("Enter")
    expect(block.locator(".opblock-body")).to_be_visible()


def test_root_leads_to_the_page(chromium: Browser, zimun: Zimun) -> None:
    page = chromium.new_page()
    page.goto(f"{zimun.url}/")
    assert page.url == f"{zimun.url}/docs"
    expect(page.locator("header h1")).to_have_text("Zimun API")
    page.close()


def test_token_form_with_a_wrong_secret_shows_the_refusal(chromium: Browser, zimun: Zimun) -> None:
    page = chromium.new_page()
    page.goto(f"{zimun.url}/docs")
    page.fill("input[name=client_id]", "c_demo")
    page.fill("input[name=client_secret]", "zs_wrong")
    page.locator("#credentials button").click()
    expect(page.locator("#token")).to_contain_text("Refused: unknown client")
    page.close()


def test_guides_fit_a_phone_and_have_no_serious_findings_of_axe(
    chromium: Browser, zimun: Zimun
) -> None:
    page = chromium.new_page()
    page.goto(f"{zimun.url}/docs/guides/quick-start.html")
    titles = page.locator("nav a").all_inner_texts()
    for title in titles[1:]:
        page.get_by_role("link", name=title).first.click()
        expect(page.locator("h1")).to_have_text(title)
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.set_viewport_size({"width": 1280, "height": 1000})
    page.close()
