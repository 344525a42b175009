"""The texts of refusals as the server would say them: the functions of `lua/answer.lua`."""

import json
from typing import Any

import pytest

from .lua_scripts import run_scripts

MARKED = """
local function marked(mark, length, text, root)
  return response({[MARK] = mark, ["content-length"] = length}, text, root)
end
"""
LUA = run_scripts("short", "violation", "answer", "marked", after=MARKED)
NO_JSON = "the body is not JSON as RFC 8259 has it, at byte 3"


@pytest.mark.parametrize(
    ("name", "shortened"),
    [
        ("", ""),
        ("a" * 64, "a" * 64),
        ("a" * 65, "a" * 64),
        ("\u00e9" * 32, "\u00e9" * 32),
        ("a" + "\u00e9" * 32, "a" + "\u00e9" * 31),
        ("aaa" + "\U0001f600" * 16, "aaa" + "\U0001f600" * 15),
        (r"\"" * 33, r"\"" * 32),
        ("a" + r"\\" * 32, "a" + r"\\" * 31),
        (r"\u0001" * 11, r"\u0001" * 10),
        ("a" * 59 + r"\u0001", "a" * 59),
        ("a" * 58 + r"\u0001a", "a" * 58 + r"\u0001"),
    ],
)
def test_a_name_is_cut_between_characters_and_escapes(name: str, shortened: str) -> None:
    assert LUA.short(name) == shortened


STRING, DURATION = "must be a string", "must be a duration in seconds, such as 1800s"
VIOLATIONS: dict[str, tuple[str, str | None, tuple[str, str] | None]] = {
    "own": ("field is unknown: a.b", None, ("a.b", "is unknown")),
    "own_without_a_name": ("field is unknown: ", None, ("", "is unknown")),
    "own_and_long": ("field is unknown: " + "a" * 65, None, ("a" * 64, "is unknown")),
    "own_with_a_colon": ("field is unknown: a: b", None, ("a: b", "is unknown")),
    "own_with_a_format": (f"field {DURATION}: length", None, ("length", DURATION)),
    "unknown": (r"Could not find field \"a b\" in the type \"T\".", None, ("a b", "is unknown")),
    "unknown_escaped": (
        r"Could not find field \u0022a\u0022 in the type \u0022T\u0022.",
        None,
        ("a", "is unknown"),
    ),
    "unknown_with_the_words": (
        r"Could not find field \"a in the type b\" in the type \"T\".",
        None,
        ("a in the type b", "is unknown"),
    ),
    "not_a_message": (
        r"Encountered a non-leaf field \"page_size\" in path.",
        None,
        ("page_size", "has no fields of its own"),
    ),
    "conflict": (
        r"The binding value \"a\" of the field service.id is conflicting with the value \"b\"",
        None,
        ("service.id", "has another value in the path or the query"),
    ),
    "type": ("seats: invalid value 1 for type TYPE_STRING", None, ("seats", STRING)),
    "last_type": ("seats: invalid for type X for type TYPE_STRING", None, ("seats", STRING)),
    "type_of_no_name": ("seats: invalid value for type TYPE_X", None, ("seats", "is malformed")),
    "no_type": ("seats: what", None, ("seats", "is malformed")),
    "of_the_body": ("service.price: x", "service", ("price", "is malformed")),
    "like_the_body": ("services.price: x", "service", ("services.price", "is malformed")),
    "the_body": ("service: x", "service", ("service", "is malformed")),
    "element": ("ids[12]: for type TYPE_STRING", None, ("ids", f"each value {STRING}")),
    "value": ("map[0].value: for type TYPE_STRING", None, ("map", f"each value {STRING}")),
    "in_an_element": ("a[0].b: for type TYPE_STRING", None, ("a.b", STRING)),
    "element_in_one": ("a[0].b[1]: for type TYPE_STRING", None, ("a.b", f"each value {STRING}")),
    "nothing": ("Unexpected token.", None, None),
    "no_name": ("a b: c", None, None),
}


@pytest.mark.parametrize(("text", "root", "expected"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_text_names_the_field_and_what_it_must_be(
    text: str, root: str | None, expected: tuple[str, str] | None
) -> None:
    assert LUA.violation(text, root) == expected


def read(answer: str) -> tuple[str, str, Any]:
    """The message, the reason and the metadata of an answer."""
    body = json.loads(answer)
    assert body["code"] == 3
    return body["message"], body["details"][0]["reason"], body["details"][0]["metadata"]


def test_the_answer_about_a_field_is_that_of_the_server() -> None:
    answer = LUA.answer(r"field is unknown: $why %1 \"", None)
    message, reason, metadata = read(answer)
    name = '$why %1 "'
    assert (message, reason, metadata) == (f"{name}: is unknown", "INVALID_FIELD", {"field": name})
    [violation] = json.loads(answer)["details"][1]["field_violations"]
    assert violation == {"field": name, "description": "is unknown", "reason": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the body must be a JSON object", "the body must be a JSON object"),
        (NO_JSON, NO_JSON),
        ("Unexpected token.", "the request cannot be understood: Unexpected token."),
        (r"No \"x\"", "the request cannot be understood: No "),
        ("", "the request cannot be understood: "),
    ],
)
def test_the_answer_about_no_field_has_the_words_of_the_text(text: str, message: str) -> None:
    assert read(LUA.answer(text, None)) == (message, "REQUEST_REFUSED", {})


def respond(
    text: str, mark: str | None = "1", length: str = "62", root: str | None = None
) -> tuple[dict[str, Any], Any]:
    """The headers and the body after the script."""
    answered = LUA.marked(mark, length, text, root)
    return dict(answered.header), answered.content.text


OF_ENVOY = '{"code":3,"message":"service.name: for type TYPE_STRING"}\n'


def test_a_marked_response_is_rewritten_with_its_length() -> None:
    headers, text = respond(OF_ENVOY, root="service")
    assert read(text) == ("name: must be a string", "INVALID_FIELD", {"field": "name"})
    assert headers == {"content-length": len(text)}


def test_without_a_root_the_whole_field_is_named() -> None:
    assert read(respond(OF_ENVOY)[1])[2] == {"field": "service.name"}


@pytest.mark.parametrize(
    ("text", "length"), [(OF_ENVOY, "30001"), ("upstream", "8"), ('{"message":1}', "13"), ("", "0")]
)
def test_a_response_that_is_too_long_or_of_no_message_loses_only_its_mark(
    text: str, length: str
) -> None:
    assert respond(text, length=length) == ({"content-length": length}, text)


def test_a_response_without_the_mark_stays_as_it_is() -> None:
    assert respond(OF_ENVOY, mark=None) == ({"content-length": "62"}, OF_ENVOY)
