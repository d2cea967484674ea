"""Chat templates: the dialect of Jinja they are written in, and what hostile ones get."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from limpide.core.errors import InvalidParameter, TemplateError
from limpide.core.messages import Message, Tool, ToolCall
from limpide.text import ChatTemplate
from limpide.text.confined import WALL_SECONDS
from limpide.text.template import _renderer

HELLO = [Message("user", "hello")]
NESTED = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


def rendered(source: str, messages: list[Message] | None = None, **kwargs: object) -> str:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(messages or HELLO, **kwargs)


class TestDialect:
    def test_what_templates_are_given(self) -> None:
        source = (
            "{{ bos_token }}{{ messages[0].role }}{{ messages[0]['content'] }}{{ add_generation_prompt }}{{ tools }}"
        )
        assert rendered(source) == "<s>userhelloTrueNone"
        assert rendered("{{ enable_thinking }}{{ eos_token }}", enable_thinking=False) == "False</s>"

    def test_blocks_are_trimmed(self) -> None:
        assert rendered("  {% if true %}\n  a\n  {% endif %}\nb\n") == "  a\nb"

    def test_loop_controls_and_generation_blocks(self) -> None:
        source = "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"
        assert rendered(source) == "01"
        assert rendered("{% generation %}{{ messages[0].content }}{% endgeneration %}!") == "hello!"

    def test_json_is_not_escaped_for_html(self) -> None:
        assert rendered("{{ {'b': '<é>', 'a': [1]}|tojson }}") == '{"b": "<é>", "a": [1]}'
        assert rendered("{{ {'a': 1}|tojson(indent=2) }}") == '{\n  "a": 1\n}'

    def test_filters_that_load_modules_late(self) -> None:
        """The worker can open no file any more."""
        assert rendered("{{ '<b>a b</b>'|striptags|wordwrap(1) }}") == "a\nb"

    def test_dates(self) -> None:
        assert len(rendered("{{ strftime_now('%Y-%m-%d') }}")) == 10

    def test_tool_calls_and_thinking(self) -> None:
        message = Message("assistant", "", thinking="hm", tool_calls=(ToolCall("1", "f", '{"a": [1]}'),))
        source = "{{ messages[0].reasoning_content }}{{ messages[0].tool_calls[0].function|tojson }}"
        assert rendered(source, [message]) == 'hm{"name": "f", "arguments": {"a": [1]}}'
        broken = Message("assistant", "", tool_calls=(ToolCall("1", "f", "{no json"),))
        assert rendered("{{ messages[0].tool_calls[0].function.arguments }}", [broken]) == "{no json"

    def test_tools(self) -> None:
        tool = Tool("f", "does f", {"type": "object"})
        source = "{{ tools[0].type }} {{ tools[0].function.name }} {{ tools[0].function.parameters.type }}"
        assert rendered(source, tools=[tool]) == "function f object"

    def test_refusals_carry_the_templates_words(self) -> None:
        with pytest.raises(TemplateError, match="only users may speak"):
            rendered("{{ raise_exception('only users may speak') }}")

    def test_the_hash_is_of_the_source(self) -> None:
        assert ChatTemplate("a").sha256 == ChatTemplate("a", bos_token="x").sha256 != ChatTemplate("b").sha256


class TestHostile:
    @pytest.mark.parametrize(
        "source",
        [
            "{% for i in range(10**9) %}x{% endfor %}",
            NESTED,
            "{{ 'a' * 10**12 }}",
            "{{ 'a' * 10**9 }}",
            "{{ 'a'|center(10**10) }}",
            "{{ '{:>10000000000}'.format(1) }}",
            "{{ '%10000000000d' % 1 }}",
            "{{ (7 ** 9999999) ** 9999999 }}",
            "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
            "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
            "{% set n = namespace(a='xx') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}",
            "{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a }}",
            "{{ messages.append(messages) }}{{ messages }}",
            "{% for i in range(99999) %}{{ 'a' * 999 }}{% endfor %}",
            "{{ ''.join(range(99999)|map('string')|list * 5000)|length }}",
            "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
            "{% if %}",
            "{{ 1 / 0 }}",
            "{% include '/etc/passwd' %}",
            "{{ messages.__class__.__mro__ }}",
            "{{ cycler.__init__.__globals__.os.system('true') }}",
            "{{ raise_exception.__globals__ }}",
            "{{ ''.format.__self__.__class__.__subclasses__() }}",
            "{{ '{0.__class__.__init__}'.format(messages) }}",
            "{{ strftime_now.__globals__['sys'] }}",
            "{{ undefined.attribute }}",
            "{{ raise_exception('x' * 10**7) }}",
            "{{ [raise_exception]|map(attribute='__globals__')|list }}",
            "{{ '{a.__class__}'.format_map({'a': 1}) }}",
            "{{ self._TemplateReference__context }}",
            "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
            "{{ [1]|tojson(indent=10**9) }}",
            "{% block a %}{{ self.a() }}{% endblock %}",
        ],
    )
    def test_ends_soon_with_an_error(self, source: str) -> None:
        begin = time.monotonic()
        with pytest.raises(TemplateError) as raised:
            rendered(source)
        assert time.monotonic() - begin < WALL_SECONDS
        assert len(str(raised.value)) < 2000
        assert rendered("{{ messages[0].content }}") == "hello"

    def test_from_another_thread(self) -> None:
        errors: list[Exception] = []

        def run() -> None:
            try:
                rendered(NESTED)
            except TemplateError as error:
                errors.append(error)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(errors) == 2

    def test_a_long_source(self) -> None:
        with pytest.raises(TemplateError, match="1048577 characters"):
            ChatTemplate("a" * ((1 << 20) + 1))

    def test_looking_at_all_earlier_messages_for_each_is_no_attack(self) -> None:
        """Gemma 4's template does."""
        source = (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% for k in range(loop.index0) %}"
            "{% if messages[k].role == 'user' %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{% endfor %}{{ ns.n }}"
        )
        assert rendered(source, HELLO * 800) == "319600"
        with pytest.raises(TemplateError, match="too long"):
            rendered(source.replace("range(loop.index0)", "range(99999)").replace("[k]", "[0]"), HELLO * 50)

    def test_long_conversations_are_no_attack(self) -> None:
        text = "é\n" * 500_000
        assert rendered("{{ messages[0].content }}", [Message("user", text)]) == text


def test_a_lost_worker_is_replaced() -> None:
    assert rendered("a") == "a"
    process = _renderer.worker._process
    assert process is not None
    process.kill()
    process.wait()
    assert rendered("b") == "b"


def test_switches_that_are_no_json() -> None:
    with pytest.raises(InvalidParameter):
        rendered("a", switch=object())


def test_ordinary_templates_are_quick() -> None:
    source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    template = ChatTemplate(source)
    template.render(HELLO)
    times = []
    for _ in range(20):
        begin = time.monotonic()
        template.render(HELLO)
        times.append(time.monotonic() - begin)
    assert min(times) < 0.005


def test_the_worker_goes_with_its_parent() -> None:
    code = (
        "from limpide.text import ChatTemplate; from limpide.core.messages import Message\n"
        "from limpide.text.template import _renderer\n"
        "print(ChatTemplate('{{ messages[0].content }}').render([Message('user', 'hello')]))\n"
        "print(_renderer.worker._process.pid, flush=True)\n"
        "import os; os._exit(1)\n"  # as if killed: no clean-up runs
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said, pid = result.stdout.split()
    assert said == "hello"
    process = _wait_for_end(int(pid))
    assert process, "the worker outlives its parent"


def _wait_for_end(pid: int) -> bool:
    import psutil

    try:
        psutil.Process(pid).wait(timeout=10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True
