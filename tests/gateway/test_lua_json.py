"""JSON bodies: the functions of `lua/json.lua`, by tables and beside Python's parser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..support.profiles import examples
from .lua_scripts import run_scripts

NODE = """
local fields = {
  {name = "id", json = "id", fixed = true},
  {name = "long_name", json = "longName"},
  {name = "count", json = "count", format = "int32"},
  {name = "texts", json = "texts", elements = {}},
  {name = "counts", json = "counts", elements = {format = "int32"}},
  {name = "map", json = "map", values = {}},
  {name = "node", json = "node", message = "Node", parts = true},
  {name = "output", json = "output", message = "Node", fixed = true},
  {name = "nodes", json = "nodes", elements = {message = "Node"}},
  {name = "tree", json = "tree", values = {message = "Node"}},
}
for _, shape in ipairs(fields) do fields[shape.name], fields[shape.json] = shape, shape end
MESSAGES.Node = fields

local function refusal(text) return body_refusal(text, "Node") end
local function mask(text)
  local refused = refusal(text)
  table.sort(named)
  return refused or table.concat(named, ",")
end
"""
"""A message with fields of every shape, itself among them."""

LUA = run_scripts("refusal", "mask", "decoded", after=NODE)
MAX_DEPTH = 64
NO_OBJECT = "the body must be a JSON object"
NO_JSON = "the body is not JSON as RFC 8259 has it, at byte "
WHOLE = "must be a whole number of 32 bits"

VALUES = [
    *("0", "-0", "10", "-1.50", "1e5", "1E+05", "0.1e-9", "true", "false", "null", '""', '"\x7f"'),
    *(r'"\"\\\/\b\f\n\r\t"', r'"\u00e9\uD83D\uDE00"', r'"\ud800"', '"\u00e9\u2028\U0001f600"'),
]
NO_VALUES = [
    *("", ",", "}", "]", "nul", "nulll", "True", "NaN", "-Infinity", "undefined", "'a'", "a"),
    *("+1", "-", "--1", "01", "-01", "00", "1.", ".5", "-.5", "1.e5", "1e", "1e+", "0x1", "1_0"),
    *('"', '"a', '"\\', '"\\"', r'"\a"', r'"\'"', r'"\u00e"', r'"\u00g0"', r'"\U0041"', r'"\x41"'),
    *(
        '"\n"',
        '"\t"',
        '"\0"',
        '"\x1f"',
        "1 2",
        "1,",
        "1;",
        "/**/1",
        "1//",
        "\xa01",
        "\ufeff1",
        "\f1",
    ),
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_of_json_is_accepted(value: str) -> None:
    json.loads(value)
    for space in ("", " ", "\t\r\n "):
        assert LUA.refusal(space.join(("", "{", '"long_name"', ":", value, "}", ""))) is None


@pytest.mark.parametrize("value", NO_VALUES)
def test_what_is_no_value_of_json_is_refused(value: str) -> None:
    for body in ('{"long_name":%s}', '{"map":{"a":%s}}', '{"texts":["",%s]}'):
        assert LUA.refusal(body % value).startswith(NO_JSON), body


@pytest.mark.parametrize(
    ("body", "byte"),
    [
        *(("{", 2), ("{ ", 3), ('{"id"', 6), ('{"id":', 7), ('{"id":1', 8), ('{"id":1,', 9)),
        *(("{,}", 2), ("{1:2}", 2), ("{'id':1}", 2), ("{id:1}", 2), ('{"id" 1}', 6), ('{"id"}', 6)),
        *(('{"id":1,}', 9), ('{"id":1,,', 9), ('{"id":1 "count":1}', 9), ('{"id":1]', 8)),
        *(
            ('{"texts":[', 11),
            ('{"texts":["",]}', 14),
            ('{"texts":[""}', 13),
            ('{"texts":[,]}', 11),
        ),
        *(('{"texts":', 10), ('{"texts":}', 10), ('{"texts":x}', 10), ('{"texts":nul}', 10)),
        *(('{"texts":[null', 15), ('{"map":{"a":', 13), ('{"node":', 9), ('{"nodes":[{}', 13)),
        *(('{"id":"a\\x"}', 9), ('{"id":"a\n"}', 9), ('{"id":"a', 9), ('{"id":01}', 8)),
        *(("{}}", 3), ("{} x", 4), ("{}\n{}", 4), ("{}\0", 3), ('{"id":1}\xa0', 9)),
    ],
)
def test_what_is_not_json_is_refused_with_the_byte(body: str, byte: int) -> None:
    assert LUA.refusal(body) == f"{NO_JSON}{byte}"


@pytest.mark.parametrize("body", ["", " ", "[]", "[{}]", '"a"', "1", "null", "\ufeff{}", "\xa0{}"])
def test_a_body_is_an_object(body: str) -> None:
    assert LUA.refusal(body) == NO_OBJECT


REFUSED = {
    '{"x":1}': "is unknown: x",
    '{"":1}': "is unknown: ",
    '{"LONG_NAME":1}': "is unknown: LONG_NAME",
    '{"1":1}': "is unknown: 1",
    r'{"i\u0064":1}': r"is unknown: i\u0064",
    '{"node":{"x":1}}': "is unknown: node.x",
    '{"nodes":[{},{"node":{"x":1}}]}': "is unknown: nodes.node.x",
    '{"tree":{"a":{"x":1}}}': "is unknown: tree.x",
    '{"id":1,"id":1}': "must not be there twice: id",
    '{"long_name":null,"longName":null}': "must not be there twice: long_name",
    '{"node":{"id":1,"id":1}}': "must not be there twice: node.id",
    '{"map":{"a":1,"a":1}}': "must not have a key twice: map",
    r'{"map":{"a\n\u00e9":1,"\u0061\u000A' + '\u00e9":1}}': "must not have a key twice: map",
    r'{"map":{"\uD83D\ude00":1,"' + '\U0001f600":1}}': "must not have a key twice: map",
    r'{"map":{"\uDBFF\uDFFF":1,"' + '\U0010ffff":1}}': "must not have a key twice: map",
    '{"tree":{"":{},"":{}}}': "must not have a key twice: tree",
    '{"id":{}}': "must not be an object: id",
    '{"id":[]}': "must not be a list: id",
    '{"node":[]}': "must not be a list: node",
    '{"map":[]}': "must not be a list: map",
    '{"texts":{}}': "must be a list: texts",
    '{"texts":"a"}': "must be a list: texts",
    '{"nodes":[{"texts":1}]}': "must be a list: nodes.texts",
    '{"texts":["a",null]}': "each value must not be null: texts",
    '{"texts":[[]]}': "each value must not be a list: texts",
    '{"texts":[{}]}': "each value must not be an object: texts",
    '{"nodes":[[]]}': "each value must not be a list: nodes",
    '{"map":{"a":null}}': "each value must not be null: map",
    '{"map":{"a":[]}}': "each value must not be a list: map",
    '{"map":{"a":{}}}': "each value must not be an object: map",
    '{"tree":{"a":{"map":{"b":null}}}}': "each value must not be null: tree.map",
    '{"count":"01"}': f"{WHOLE}: count",
    r'{"count":"\u0030\u0031"}': f"{WHOLE}: count",
    '{"counts":["1","+1"]}': f"each value {WHOLE}: counts",
    '{"nodes":[{"counts":["a"]}]}': f"each value {WHOLE}: nodes.counts",
}


@pytest.mark.parametrize(("body", "refusal"), REFUSED.items())
def test_a_field_that_is_no_such_field_is_named(body: str, refusal: str) -> None:
    json.loads(body)
    assert LUA.refusal(body) == f"field {refusal}"


ACCEPTED = [
    '{"id":null,"long_name":null,"texts":null,"map":null,"node":null,"nodes":null,"count":null}',
    '{"texts":[],"map":{},"node":{},"nodes":[],"tree":{}}',
    '{"map":{"":1,"a":1,"A":1,"\\\\u0061":1,"id":1}}',
    '{"id":1,"node":{"id":1},"nodes":[{"id":1},{"id":1}],"tree":{"a":{"id":1},"b":{"id":1}}}',
    '{"count":5,"counts":["-0",5],"long_name":true,"node":"left to the transcoder"}',
    r'{"count":"\u0031"}',
]


@pytest.mark.parametrize("body", ACCEPTED)
def test_what_the_contract_allows_is_accepted(body: str) -> None:
    json.loads(body)
    assert LUA.refusal(body) is None


@pytest.mark.parametrize(
    ("opening", "closing"), [('{"node":', "}"), ('{"nodes":[', "]}"), ('{"tree":{"a":', "}}")]
)
def test_objects_are_nested_to_a_depth(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "{}" + closing * depth

    assert LUA.refusal(nested(MAX_DEPTH)) is None
    assert "is too deep: " in LUA.refusal(nested(MAX_DEPTH + 1))
    assert "is too deep: " in LUA.refusal(opening * 100_000)


MASKS = {
    "{}": "",
    '{"long_name":null,"count":0}': "count,long_name",
    '{"longName":""}': "long_name",
    '{"id":1,"output":null}': "",
    '{"output":{"count":1,"node":{"count":1}},"count":1}': "count",
    '{"node":{}}': "node",
    '{"node":null}': "node",
    '{"node":{"count":1,"longName":""}}': "node.count,node.long_name",
    '{"node":{"id":1}}': "node",
    '{"node":{"node":{"count":1},"id":1}}': "node.node.count",
    '{"map":{"id":1,"count":1}}': "map",
    '{"texts":["a"],"nodes":[{"count":1},{"node":{"count":1}}]}': "nodes,texts",
    '{"tree":{"a":{"count":1}}}': "tree",
}


@pytest.mark.parametrize(("body", "mask"), MASKS.items())
def test_the_fields_that_an_update_changes_are_named(body: str, mask: str) -> None:
    assert LUA.mask(body) == mask


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCALARS = TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


def node_of(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = {
        "long_name": st.none() | SCALARS,
        "texts": st.none() | st.lists(SCALARS, max_size=3),
        "map": st.none() | st.dictionaries(TEXTS, SCALARS, max_size=3),
        "node": nodes,
        "nodes": st.lists(nodes, max_size=2),
        "tree": st.dictionaries(TEXTS, nodes, max_size=2),
    }
    return st.fixed_dictionaries({}, optional=fields)


NODES: st.SearchStrategy[dict[str, Any]] = st.recursive(st.just({}), node_of, max_leaves=4)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    escaped, indent = draw(st.booleans()), draw(st.none() | st.just("\t"))
    return json.dumps(draw(NODES), ensure_ascii=escaped, indent=indent)


PARTS = [*"'\"\\{}[]:,/*-+.eE0 \t\n\0\x1f\x7f\xa0", r"\u0041", r"\ud83d", "true", "null", "NaN"]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A body with some of its characters removed, repeated or replaced."""
    body = draw(bodies())
    for _ in range(draw(st.integers(1, 2))):
        start, part = draw(st.integers(0, len(body))), draw(st.sampled_from(PARTS))
        middle = draw(st.sampled_from(("", part, part + body[start : start + 1])))
        body = body[:start] + middle + body[start + draw(st.integers(0, 2)) :]
    return body


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError(pairs)
    return dict(pairs)


def no_number(name: str) -> None:
    raise ValueError(name)


@examples(60)
@given(bodies())
def test_what_python_writes_is_accepted_and_no_part_of_it_is_json(body: str) -> None:
    assert LUA.refusal(body) is None
    for stop in range(1, len(body)):
        assert LUA.refusal(body[:stop]).startswith(NO_JSON), body[:stop]


@examples(100)
@given(damaged())
def test_a_damaged_body_is_json_if_python_reads_it(body: str) -> None:
    refusal = LUA.refusal(body)
    try:
        read = json.loads(body, object_pairs_hook=unique, parse_constant=no_number)
    except ValueError:
        assert refusal is not None
    else:
        if isinstance(read, dict):
            assert refusal is None or refusal.startswith("field ")
        else:
            assert refusal == NO_OBJECT


@examples(40)
@given(TEXTS, st.booleans())
def test_a_text_says_what_python_reads(text: str, escaped: bool) -> None:
    units = text.encode("utf-16-be")
    by_unit = "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
    assert LUA.decoded(json.dumps(text, ensure_ascii=escaped)[1:-1]) == text
    assert LUA.decoded(by_unit) == text
