"""What stands between a dialect's markers, and where it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Message, Tool, ToolCall
from limpide.text import detect_tool_dialect, tool_dialect_for
from limpide.text.tools import TOOL_DIALECTS, CallArguments, CallBegun, MalformedCall, ReadCall, ToolScanner
from limpide.text.tools.arguments import MAX_HEAD
from limpide.text.tools.extents import JsonExtent, MarkerExtent
from limpide.text.tools.prompting import arrange
from limpide.text.tools.scanner import MAX_UNIT

KINDS = {
    "text": {"type": "string"},
    "count": {"type": "integer"},
    "many": {"type": "array"},
    "maybe": {"type": ["string", "null"]},
    "sure": {"type": "boolean"},
}
TOOLS: Mapping[str, Tool] = {"f": Tool("f", "", {"type": "object", "properties": KINDS})}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def read(dialect: str, text: str) -> list[ReadCall]:
    return list(tool_dialect_for(dialect).read(text, TOOLS) or ())


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            '{"name": "f", "arguments": {"a": 1e400, "b":  [1,2]}}',
            ' {"arguments": {"a": 1e400, "b":  [1,2]}, "name": "f", "id": "x"} ',
            '{"type": "function", "function": {"name": "f", "parameters": {"a": 1e400, "b":  [1,2]}}}',
            '{"name": "f", "arguments": "{\\"a\\": 1e400, \\"b\\":  [1,2]}"}',
            '[{"name": "f", "arguments": {"a": 1e400, "b":  [1,2]}}]',
        ],
    )
    def test_arguments_are_as_the_model_wrote_them(self, text: str) -> None:
        assert read("hermes", text) == [ReadCall("f", '{"a": 1e400, "b":  [1,2]}')]

    def test_no_arguments(self) -> None:
        assert read("hermes", '{"name": "f"}') == [ReadCall("f", "{}")]
        assert read("hermes", '{"name": "f", "arguments": null}') == [ReadCall("f", "{}")]

    def test_a_line_break_in_a_string_is_clear_enough(self) -> None:
        [call] = read("hermes", '{"name": "f", "arguments": {"a": "x\ny"}}')
        assert json.loads(call.arguments) == {"a": "x\ny"}

    def test_of_two_members_of_a_name_the_last_counts(self) -> None:
        assert read("hermes", '{"name": "f", "arguments": {"a": 1}, "arguments": {"a": 2}}')[0].arguments == '{"a": 2}'

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "7",
            "{",
            '{"arguments": {}}',
            '{"name": "f", "arguments": [1]}',
            '{"name": "f", "city": "Paris"}',
            '{"name": "f", "arguments": {"a": NaN}}',
            '{"name": "f"} and so on',
            '{"name": "' + "f" * 300 + '"}',
            '{"name": "f", "arguments": ' + "[" * 100_000,
            '{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(MalformedCall):
            read("hermes", text)


class TestXml:
    def test_types_come_from_the_schema(self) -> None:
        written = {"text": "12", "count": "12", "many": '["a"]', "maybe": "null", "sure": "True", "unknown": "12"}
        body = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in written.items())
        [call] = read("qwen-xml", f"f>\n{body}")
        assert json.loads(call.arguments) == {
            "text": "12",
            "count": 12,
            "many": ["a"],
            "maybe": None,
            "sure": True,
            "unknown": "12",
        }

    def test_a_value_that_its_schema_does_not_fit_stays_text(self) -> None:
        [call] = read("qwen-xml", "f>\n<parameter=count>\ntwelve\n</parameter>\n")
        assert json.loads(call.arguments) == {"count": "twelve"}

    def test_values_keep_their_lines(self) -> None:
        [call] = read("qwen-xml", "f>\n<parameter=text>\n\n  a\n<b>\n\n</parameter>\n")
        assert json.loads(call.arguments) == {"text": "\n  a\n<b>\n"}

    @pytest.mark.parametrize("text", ["f", ">", "f>what", "f><parameter=a>1", "f>" + "<parameter=a>1</parameter>" * 2])
    def test_malformed(self, text: str) -> None:
        with pytest.raises(MalformedCall):
            read("qwen-xml", text)

    @pytest.mark.parametrize(
        ("schema", "written", "value"),
        [
            ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "null", None),
            ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "12", "12"),
            ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "12", 12),
            ({"anyOf": [{"type": "string"}, {"type": "array"}]}, '["a"]', ["a"]),
            ({"anyOf": [{"type": "string"}, {"type": "array"}]}, "[a", "[a"),
            ({"anyOf": [{"type": "string"}, {"type": "array"}]}, '{"a": 1}', '{"a": 1}'),
            ({"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}], "default": None}, '{"x": 1}', {"x": 1}),
            ({"$ref": "#/$defs/Colour"}, "1", "1"),
            ({"allOf": [{"$ref": "#/$defs/Size"}]}, "1", 1),
            ({"enum": ["a", None]}, "null", None),
            ({"$ref": "#/$defs/Nobody"}, "1", "1"),
            ({"$ref": "#/$defs/Round"}, "1", "1"),
            (True, "1", "1"),
        ],
    )
    def test_types_that_stand_deeper_in_the_schema(self, schema: object, written: str, value: object) -> None:
        shared = {
            "Point": {"type": "object"},
            "Colour": {"enum": ["1", "2"]},
            "Size": {"type": "integer", "enum": [1, 2]},
            "Round": {"$ref": "#/$defs/Round"},
        }
        tool = Tool("f", "", {"type": "object", "properties": {"a": schema}, "$defs": shared})
        text = f"f><parameter=a>\n{written}\n</parameter>"
        [call] = tool_dialect_for("qwen-xml").read(text, {"f": tool}) or ()
        assert json.loads(call.arguments) == {"a": value}


class TestGemma:
    def test_values(self) -> None:
        text = 'call:f{a:<|"|>x,}<|"|>,b:-1.5,c:[true,None,{<|"|>k<|"|>:<|"|><|"|>}],d:{}}'
        [call] = read("gemma", text)
        assert json.loads(call.arguments) == {"a": "x,}", "b": -1.5, "c": [True, None, {"k": ""}], "d": {}}

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "call:f",
            "call:f{a}",
            "call:f{a:1 b:2}",
            "call:f{a:x}",
            "call:f{a:[1}",
            "call:f{} x",
            "call:f{a:" + "[" * 99,
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(MalformedCall):
            read("gemma", text)


class TestOthers:
    def test_mistral(self) -> None:
        assert read("mistral", 'f[CALL_ID]abcdef123[ARGS]{"a": 1}') == [ReadCall("f", '{"a": 1}')]
        assert read("mistral", 'f{"a": 1}') == [ReadCall("f", '{"a": 1}')]
        assert len(read("mistral", ' [{"name": "f"}, {"name": "g"}]')) == 2

    def test_deepseek(self) -> None:
        assert read("deepseek", 'function<｜tool▁sep｜>f\n```json\n{"a": 1}\n```') == [ReadCall("f", '{"a": 1}')]
        assert read("deepseek", 'f<｜tool▁sep｜>{"a": 1}') == [ReadCall("f", '{"a": 1}')]

    def test_llama_calls_known_tools_only(self) -> None:
        assert read("llama", '{"name": "f", "parameters": {}}') == [ReadCall("f", "{}")]
        assert read("llama", '{"name": "Ada", "parameters": {}}') == []
        assert read("llama", '{"city": "Paris"}') == []

    def test_an_answer_in_json_is_no_malformed_call(self) -> None:
        scanner = ToolScanner(tool_dialect_for("llama"), TOOLS.values())
        assert scanner.push('{"city": "Paris"} is it') == ['{"city": "Paris"} is it']
        assert scanner.malformed == []


@given(value=st.dictionaries(st.text(max_size=4), JSON, max_size=3), after=st.text(max_size=5), size=st.integers(1, 7))
def test_json_ends_where_it_ends(value: object, after: str, size: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    extent, seen = JsonExtent(), 0
    for start in range(0, len(text + after), size):
        end = extent.push((text + after)[start : start + size])
        if end is not None:
            assert start + end == len(text)
            return
        seen += size
    raise AssertionError("it has no end")


@given(inside=st.text('a"\\</', max_size=12), size=st.integers(1, 5))
def test_a_marker_inside_a_string_is_no_end(inside: str, size: int) -> None:
    text = json.dumps({"a": inside + "</t>" + inside}) + "</t>"
    extent = MarkerExtent("</t>")
    for start in range(0, len(text), size):
        end = extent.push(text[start : start + size])
        if end is not None:
            assert start + end == len(text)
            return
    raise AssertionError("it has no end")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (None, "prompted"),
        ("{{ messages[0].content }}", "prompted"),
        ("{{ '<tool_call>{\"name\": ' }}{{ '\"arguments\": ' }}", "hermes"),
        ("{{ '<tool_call><function=f><parameter=a>' }}{{ \"arguments\" }}", "qwen-xml"),
        ("{{ '<tool_call>f<arg_key>a</arg_key>' }}", "prompted"),
        ("{{ '[TOOL_CALLS]' }}", "mistral"),
        ("{{ '<｜tool▁calls▁begin｜>' }}", "deepseek"),
        ("{{ '<|channel|>commentary json<|message|>' }}{{ '<|call|>' }}", "harmony"),
        ("{{ '<|tool_call>call:' }}{{ '<tool_call|>' }}", "gemma"),
        ("answer with <|tool_call|> and a list", "granite"),
        ("{{ '\"parameters\": ' }}<|eot_id|>", "llama"),
    ],
)
def test_detection(source: str | None, name: str) -> None:
    """By its signs, if tools have a place in the template, or can be described in the dialect."""
    assert detect_tool_dialect(f"{source}{{{{ xml_tools }}}}").name == name
    assert detect_tool_dialect(source).name == (name if name == "deepseek" else "prompted")


def test_names() -> None:
    assert all(tool_dialect_for(name).name == name for name in TOOL_DIALECTS)
    with pytest.raises(InvalidParameter):
        tool_dialect_for("smoke signals")


class TestArrange:
    calls = (ToolCall("call_1", "f", "{}"), ToolCall("call_2", "g", "{}"))

    def test_results_without_ids_keep_their_order(self) -> None:
        talk = [Message("assistant", "", tool_calls=self.calls), Message("tool", "1"), Message("tool", "2")]
        told = arrange(talk, tool_dialect_for("llama"))
        assert [m.content or m.tool_calls[0].name for m in told] == ["f", "1", "g", "2"]

    def test_nothing_is_lost(self) -> None:
        stray = Message("tool", "stray", tool_call_id="call_9")
        told = arrange([Message("assistant", "", tool_calls=self.calls), stray], tool_dialect_for("harmony"))
        assert [m.content or m.tool_calls[0].name for m in told] == ["f", "g", "stray"]

    def test_short_ids_match(self) -> None:
        talk = [Message("assistant", "", tool_calls=self.calls), Message("tool", "1", tool_call_id="call_2")]
        asked, told = arrange(talk, tool_dialect_for("mistral"))
        ids = [call.id for call in asked.tool_calls]
        assert told.tool_call_id == ids[1] != ids[0]
        assert all(len(i) == 9 and i.isalnum() for i in ids)


class TestStreaming:
    """What the scanner says of calls whose arguments are passed on while they come, told as text and calls."""

    @staticmethod
    def told(scanner: ToolScanner, text: str) -> list[object]:
        out: list[object] = []
        for piece in [found for character in text for found in scanner.push(character)] + scanner.finish():
            if isinstance(piece, CallBegun):
                out.append(ReadCall(piece.name, ""))
            elif isinstance(piece, CallArguments):
                assert isinstance(out[-1], ReadCall)
                out[-1] = ReadCall(out[-1].name, out[-1].arguments + piece.text)
            elif isinstance(piece, str) and out and isinstance(out[-1], str):
                out[-1] += piece
            else:
                out.append(piece)
        return out

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('{"name": "f", "arguments": {"a": "x\ny\\n\t"}}', [ReadCall("f", '{"a": "x\\ny\\n\\t"}')]),
            ('{"name": "f", "arguments": {"a": 1}', [ReadCall("f", '{"a": 1}')]),
            ('{"name": "f", "arguments": {"a": 1}}}', [ReadCall("f", '{"a": 1}')]),
            ('{"name": "f", "arguments": {"a": 1}} or so', [ReadCall("f", '{"a": 1}'), "} or so"]),
            ('[{"name": "f", "arguments": {}}, {"name": "g"}]', [ReadCall("f", "{}"), ReadCall("g", "{}")]),
            (
                '[{"name": "f", "arguments": {}, "id": "x"}, {"name": "f", "arguments": {"a": 1}}]',
                [ReadCall("f", "{}"), ReadCall("f", '{"a": 1}')],
            ),
        ],
    )
    def test_good_calls_in_odd_frames(self, text: str, told: list[object]) -> None:
        scanner = ToolScanner(tool_dialect_for("hermes"), TOOLS.values())
        assert self.told(scanner, f"<tool_call>{text}</tool_call>") == told
        assert (scanner.broken, scanner.malformed) == ([], [])
        assert scanner.num_calls == sum(isinstance(each, ReadCall) for each in told)

    def test_arguments_that_stand_twice_are_said(self) -> None:
        scanner = ToolScanner(tool_dialect_for("hermes"), TOOLS.values())
        text = '<tool_call>{"name": "f", "arguments": {"a": 1}, "arguments": {"a": 2}}</tool_call>'
        assert self.told(scanner, text) == [ReadCall("f", '{"a": 1}')]
        assert scanner.broken == ["f: it has its arguments twice"]

    def test_an_end_inside_open_arguments_ends_them(self) -> None:
        scanner = ToolScanner(tool_dialect_for("hermes"), TOOLS.values())
        text = '<tool_call>{"name": "f", "arguments": {"a": </tool_call> so'
        assert self.told(scanner, text) == [ReadCall("f", '{"a": '), " so"]
        assert len(scanner.broken) == 1

    @pytest.mark.parametrize(
        ("name", "text", "told", "broken"),
        [
            ("qwen-xml", "{1}</function>", [ReadCall("f", '{"text": "a"}')], False),
            ("qwen-xml", "{1}{2}</function> so", [ReadCall("f", '{"text": "a", "count": 2}'), " so"], False),
            ("qwen-xml", "{1}{2}", [ReadCall("f", '{"text": "a", "count": 2')], True),
            ("qwen-xml", "{1}<parameter=count>2</function>", ["<parameter=count>2"], True),
            ("qwen-xml", "{1}{1}</function>", ["<parameter=text>a</parameter>"], True),
            ("qwen-xml", "{1} or so</function>", [" or so"], True),
            ("gemma", "{1}}<tool_call|>", [ReadCall("f", '{"text": "a"}')], False),
            ("gemma", "{1},{2}}<tool_call|> so", [ReadCall("f", '{"text": "a", "count": 2}'), " so"], False),
            ("gemma", "{1},{2} }", [ReadCall("f", '{"text": "a", "count": 2}')], False),
            ("gemma", "{1},{2}", ["count:2"], True),
            ("gemma", "{1},{1}}<tool_call|>", ['text:<|"|>a<|"|>}'], True),
            ("gemma", "{1},}<tool_call|>", [], True),
            ("gemma", "{1}} or so<tool_call|>", [" or so"], True),
            ("gemma", "{1},count:<tool_call|>", ["count:"], True),
        ],
    )
    def test_arguments_that_come_one_by_one(self, name: str, text: str, told: list[object], broken: bool) -> None:
        """What was said before something else came is kept, what else came is text."""
        written = {
            "qwen-xml": ("<function=f>", "<parameter=text>a</parameter>", "<parameter=count>2</parameter>"),
            "gemma": ("<|tool_call>call:f{", 'text:<|"|>a<|"|>', "count:2"),
        }[name]
        whole = written[0] + text.replace("{1}", written[1]).replace("{2}", written[2])
        scanner = ToolScanner(tool_dialect_for(name), TOOLS.values())
        first = [] if told and isinstance(told[0], ReadCall) else [ReadCall("f", '{"text": "a"')]
        assert self.told(scanner, whole) == [*first, *told]
        assert (bool(scanner.broken), scanner.malformed) == (broken, [])

    def test_each_argument_comes_as_soon_as_it_is_complete(self) -> None:
        scanner = ToolScanner(tool_dialect_for("qwen-xml"), TOOLS.values())
        assert scanner.push("<function=f><parameter=text>a</parameter") == []
        assert scanner.push(">") == [CallBegun("f"), CallArguments('{"text": "a"')]
        assert scanner.push("<parameter=count>2</parameter>") == [CallArguments(', "count": 2')]
        assert scanner.push("</function>") == [CallArguments("}")]

    def test_a_head_that_is_too_long_begins_nothing_early(self) -> None:
        scanner = ToolScanner(tool_dialect_for("hermes"), TOOLS.values())
        text = '{"name": "f",' + " " * MAX_HEAD + '"arguments": {"a": 1}}'
        assert scanner.push(f"<tool_call>{text}") == []
        assert scanner.push("</tool_call>") == [ReadCall("f", '{"a": 1}')]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qwen-xml", "<function=f>\n<parameter=text>\na\n"),
        ("qwen-xml", "<function=f>\n"),
        ("deepseek", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>"),
        ("harmony", "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>"),
    ],
)
def test_a_call_that_may_lack_arguments_is_none(name: str, text: str) -> None:
    """It was cut off: to make it with some of its arguments, or none, is not what the model asked for."""
    dialect = tool_dialect_for(name)
    scanner = ToolScanner(dialect, TOOLS.values())
    assert "".join(map(str, scanner.push(text) + scanner.finish())) == text
    assert len(scanner.malformed) == 1
    whole = ToolScanner(dialect, TOOLS.values())
    complete = text + ("</parameter>" if "<parameter" in text else "") + dialect.extent().ends[0]
    assert isinstance(whole.push(complete)[0], CallBegun if "<parameter" in text else ReadCall)


HOSTILE = {
    "hermes": ("<tool_call>", '"</tool_call>'),
    "mistral": ("[TOOL_CALLS]", "abc "),
    "qwen-xml": ("<function=", "<function="),
    "deepseek": ("<｜tool▁call▁begin｜>", "<｜tool▁call▁begin｜>"),
    "gemma": ("<|tool_call>", "call:f{"),
    "harmony": ("<|start|>assistant", "to=functions.f "),
    "llama": ("{", '{"a":1},'),
    "granite": ("", " " * 80 + "\n"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_call_without_end_costs_little_and_is_text(name: str) -> None:
    opening, filling = HOSTILE[name]
    text = opening + filling * (200_000 // len(filling))
    scanner = ToolScanner(tool_dialect_for(name), TOOLS.values())
    out = [piece for start in range(0, len(text), 4) for piece in scanner.push(text[start : start + 4])]
    out += scanner.finish()
    assert all(isinstance(piece, str) for piece in out)
    assert "".join(map(str, out)) == text


def test_a_call_that_is_too_long_is_text_and_others_are_still_seen() -> None:
    scanner = ToolScanner(tool_dialect_for("hermes"), TOOLS.values())
    long = '<tool_call>{"arguments": {"a": "' + "x" * MAX_UNIT
    call = '<tool_call>{"name": "f"}</tool_call>'
    out = [*scanner.push(long), *scanner.push(call), *scanner.finish()]
    assert out[-1] == ReadCall("f", "{}")
    assert "".join(piece for piece in out if isinstance(piece, str)) == long
