"""The families' formats, in small: templates in their form (written here), and how their models write a turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from limpide.backends.fake import FakeBackend
from limpide.core.messages import Tool

THOUGHT = "One thing, then another."
ANSWER = "Paris, of course."
WEATHER = Tool("weather", "tells it", {"type": "object", "properties": {"city": {"type": "string"}}})
ADD = Tool("add", "adds", {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})
CALLS = (("weather", {"city": 'Łódź </tool_call> " {x}'}), ("add", {"a": 1, "b": 2}))

Written = Sequence[tuple[str, dict[str, Any]]]


def chatml(generation: str = "<|im_start|>assistant\n", tools: str = "tools") -> str:
    return (
        "{% if " + tools + " %}<|im_start|>system\n{{ " + tools + "|tojson }}<|im_end|>\n{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% for c in m.tool_calls %}<tool_call>{{ c.function|tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}" + generation + "{% endif %}"
    )


def roles(before: str, after: str, end: str, generation: str, call: str = "{{ c.function|tojson }}") -> str:
    """A template of turns between markers, which shows tools as JSON and calls as they are given."""
    return (
        "{% if tools %}{{ tools|tojson }}{% endif %}{% for m in messages %}"
        f"{before}{{{{ m.role }}}}{after}{{{{ m.content or '' }}}}"
        f"{{% for c in m.tool_calls %}}{call}{{% endfor %}}{end}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{generation}{{% endif %}}"
    )


@dataclass(frozen=True)
class Family:
    """One format."""

    name: str
    dialect: str
    template: str
    start: str
    """What the template writes last, before a turn is opened."""
    end: str
    close: str
    """What ends the thinking, up to where the answer begins."""
    thinks: Callable[[str], str]
    calls: Callable[[Written], str] | None = None
    tool_dialect: str = "prompted"
    broken: str = ""
    """A call that is none."""
    answers: Callable[[str], str] = lambda text: text
    special: tuple[str, ...] = ()
    ends: tuple[str, ...] | None = None

    @property
    def native(self) -> bool:
        """Whether its models were tuned for tools."""
        return self.tool_dialect != "prompted"

    def backend(
        self, body: str, *, thought: str = THOUGHT, says: Callable[[str], str] | None = None, **options: Any
    ) -> FakeBackend:
        """A model that thinks `thought` if its turn is opened so, and then writes `body`.

        says: in place of both, what follows in the turn of the assistant, given what stands there.
        """
        made: list[FakeBackend] = []

        def script(history: Sequence[int]) -> int:
            tokenizer = made[0].tokenizer
            _, found, written = b"".join(map(tokenizer.token_bytes, history)).partition(self.start.encode())
            rest = says(written.decode(errors="replace")).encode() if says else self._rest(written, thought, body)
            if not found or not rest:
                return 0  # still reading what was written for it: nobody asks
            special = {text.encode(): token for text, token in tokenizer.special_tokens.items()}
            return next((token for text, token in special.items() if rest.startswith(text)), rest[0])

        special = tuple(dict.fromkeys((*self.special, self.end)))
        ends = (self.end,) if self.ends is None else self.ends
        made.append(
            FakeBackend(
                script=script,
                dialect=self.dialect,
                tool_dialect=self.tool_dialect,
                template=self.template,
                special=special if ends else self.special,
                ends=ends,
                **options,
            )
        )
        return made[0]

    def _rest(self, written: bytes, thought: str, body: str) -> bytes:
        """What a well-trained model goes on with, wherever its thinking was closed for it."""
        lines = [line.encode() for line in (body + self.end, self.thinks(thought) + body + self.end)]
        rest = next((line[len(written) :] for line in lines if line.startswith(written)), b"")
        if not rest and self.close.encode() in written:
            after = written.partition(self.close.encode())[2]
            after = after if lines[0].startswith(after) else after.lstrip()
            rest = lines[0][len(after) :] if lines[0].startswith(after) else b""
        return rest


def tags(opening: str = "<think>\n", closing: str = "</think>") -> Callable[[str], str]:
    return lambda thought: f"{opening}{thought}{closing}\n\n"


def hermes(calls: Written) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps({'name': n, 'arguments': a})}\n</tool_call>" for n, a in calls)


def qwen_xml(calls: Written) -> str:
    def value(given: Any) -> str:
        return given if isinstance(given, str) else json.dumps(given)

    return "\n".join(
        f"<tool_call>\n<function={name}>\n"
        + "".join(f"<parameter={key}>\n{value(given)}\n</parameter>\n" for key, given in arguments.items())
        + "</function>\n</tool_call>"
        for name, arguments in calls
    )


def deepseek(calls: Written) -> str:
    inside = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{n}\n```json\n{json.dumps(a)}\n```<｜tool▁call▁end｜>"
        for n, a in calls
    )
    return f"<｜tool▁calls▁begin｜>{inside}<｜tool▁calls▁end｜>"


def deepseek_v31(calls: Written) -> str:
    inside = "".join(f"<｜tool▁call▁begin｜>{n}<｜tool▁sep｜>{json.dumps(a)}<｜tool▁call▁end｜>" for n, a in calls)
    return f"<｜tool▁calls▁begin｜>{inside}<｜tool▁calls▁end｜>"


def harmony(calls: Written) -> str:
    def one(number: int, name: str, arguments: dict[str, Any]) -> str:
        header = (
            f"<|channel|>commentary to=functions.{name} <|constrain|>json"
            if number == 0
            else f" to=functions.{name}<|channel|>commentary json"
        )
        return f"{header}<|message|>{json.dumps(arguments)}"

    return "<|end|><|start|>assistant".join(one(i, name, arguments) for i, (name, arguments) in enumerate(calls))


def llama(calls: Written) -> str:
    return "; ".join(json.dumps({"name": n, "parameters": a}) for n, a in calls)


def mistral_list(calls: Written) -> str:
    return "[TOOL_CALLS]" + json.dumps([{"name": n, "arguments": a, "id": "abcdef123"} for n, a in calls])


def mistral_named(calls: Written) -> str:
    return "".join(f"[TOOL_CALLS]{n}[ARGS]{json.dumps(a)}" for n, a in calls)


def granite(calls: Written) -> str:
    return "<|tool_call|>" + json.dumps([{"name": n, "arguments": a} for n, a in calls])


def gemma(calls: Written) -> str:
    def value(given: Any) -> str:
        return f'<|"|>{given}<|"|>' if isinstance(given, str) else json.dumps(given)

    return "".join(
        f"<|tool_call>call:{n}{{{','.join(f'{key}:{value(given)}' for key, given in a.items())}}}<tool_call|>"
        for n, a in calls
    )


_DEEPSEEK_TOKENS = tuple(f"<｜tool▁{word}｜>" for word in ("calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep"))
_DEEPSEEK = roles("<｜", "｜>", "", "<｜Assistant｜>{}", "<｜tool▁call▁begin｜>{{ c.function|tojson }}")
_MISTRAL = roles("[INST]", ":", "[/INST]", "[/A]", "[TOOL_CALLS]{{ c.function|tojson }}")
_GEMMA_2 = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate, and none is a system') }}{% endif %}"
    "<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_HARMONY_TOKENS = ("<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|return|>", "<|call|>")

FAMILIES = (
    Family(
        "qwen3",
        "think-tags",
        chatml(
            "<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
            "<think>\n\n</think>\n\n{% endif %}"
        ),
        start="<|im_start|>assistant\n",
        end="<|im_end|>",
        close="</think>",
        thinks=tags(),
        calls=hermes,
        tool_dialect="hermes",
        broken='<tool_call>\n{"name": "weather", "arguments": {city: "Paris"}}\n</tool_call>',
    ),
    Family(
        "qwen3.5",
        "think-tags-opened",
        chatml("<|im_start|>assistant\n{% if enable_thinking %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}"),
        start="<|im_start|>assistant\n",
        end="<|im_end|>",
        close="</think>",
        thinks=tags(),
        calls=qwen_xml,
        tool_dialect="qwen-xml",
        broken="<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</function>\n</tool_call>",
    ),
    Family(
        "qwen2.5",
        "prompted",
        chatml(),
        start="<|im_start|>assistant\n",
        end="<|im_end|>",
        close="\n\nFinal answer:",
        thinks=tags("Let's think step by step.\n\n", "\n\nFinal answer:"),
        calls=hermes,
        tool_dialect="hermes",
        broken='<tool_call>\n["weather", "Paris"]\n</tool_call>',
    ),
    Family(
        "qwq",
        "think-tags-always-opened",
        chatml("<|im_start|>assistant\n<think>\n"),
        start="<|im_start|>assistant\n",
        end="<|im_end|>",
        close="</think>",
        thinks=tags(),
        calls=hermes,
        tool_dialect="hermes",
        broken='<tool_call>\n{"name": "weather", "arguments": "Paris"}\n</tool_call>',
    ),
    Family(
        "smollm3",
        "think-tags",
        chatml(
            "<|im_start|>assistant\n{% if not enable_thinking %}<think>\n\n</think>\n{% endif %}", tools="xml_tools"
        ),
        start="<|im_start|>assistant\n",
        end="<|im_end|>",
        close="</think>",
        thinks=tags(),
        calls=hermes,
        tool_dialect="hermes",
        broken='<tool_call>{"name": "", "arguments": {}}</tool_call>',
    ),
    Family(
        "deepseek-r1",
        "think-tags-always-opened",
        _DEEPSEEK.replace("<｜Assistant｜>{}", "<｜Assistant｜><think>\n"),
        start="<｜Assistant｜>",
        end="<｜end▁of▁sentence｜>",
        close="</think>",
        thinks=tags(),
        calls=deepseek,
        tool_dialect="deepseek",
        broken="<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function weather {}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        special=_DEEPSEEK_TOKENS,
    ),
    Family(
        "deepseek-v3.1",
        "deepseek-v3.1",
        _DEEPSEEK.replace(
            "<｜Assistant｜>{}", "<｜Assistant｜>{% if thinking %}<think>{% else %}<think></think>{% endif %}"
        ),
        start="<｜Assistant｜>",
        end="<｜end▁of▁sentence｜>",
        close="</think>",
        thinks=tags("<think>"),
        calls=deepseek_v31,
        tool_dialect="deepseek",
        broken="<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        special=_DEEPSEEK_TOKENS,
    ),
    Family(
        "gpt-oss",
        "harmony",
        "<|start|>system<|message|>Reasoning: {{ reasoning_effort }}{{ tools|tojson if tools else '' }}<|end|>"
        "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.thinking or '' }}{{ m.content }}"
        "{% for c in m.tool_calls %}{{ c.function|tojson }}{% endfor %}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant{% endif %}",
        start="<|start|>assistant",
        end="<|return|>",
        close="<|end|><|start|>assistant",
        thinks=lambda thought: f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant",
        answers=lambda text: f"<|channel|>final<|message|>{text}",
        calls=harmony,
        tool_dialect="harmony",
        broken="<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{city: Paris",
        special=_HARMONY_TOKENS,
        ends=("<|return|>", "<|call|>"),
    ),
    Family(
        "gemma-4",
        "gemma-4",
        roles(
            "<|turn>",
            "\n",
            "<turn|>\n",
            "<|turn>model\n{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}",
        ),
        start="<|turn>model\n",
        end="<turn|>",
        close="<channel|>",
        thinks=tags("<|channel>thought\n", "<channel|>"),
        calls=gemma,
        tool_dialect="gemma",
        broken='<|tool_call>call:weather{city:<|"|>Paris<|"|><tool_call|>',
        special=("<|turn>", "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", '<|"|>'),
    ),
    Family(
        "gemma-2",
        "prompted",
        _GEMMA_2,
        start="<start_of_turn>model\n",
        end="<end_of_turn>",
        close="\n\nFinal answer:",
        thinks=tags("Let's think step by step.\n\n", "\n\nFinal answer:"),
        calls=hermes,
        broken='<tool_call>\n{"name": "weather", "arguments": {city}}\n</tool_call>',
    ),
    Family(
        "llama3",
        "prompted",
        roles(
            "<|start_header_id|>",
            "<|end_header_id|>\n\n",
            "<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        start="<|start_header_id|>assistant<|end_header_id|>\n\n",
        end="<|eot_id|>",
        close="\n\nFinal answer:",
        thinks=tags("Let's think step by step.\n\n", "\n\nFinal answer:"),
        calls=llama,
        tool_dialect="llama",
        broken='{"name": "weather", "parameters": ["Paris"]}',
        special=("<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|python_tag|>"),
        ends=("<|eot_id|>", "<|eom_id|>"),
    ),
    Family(
        "mistral-v3",
        "prompted",
        _MISTRAL,
        start="[/A]",
        end="</s>",
        close="\n\nFinal answer:",
        thinks=tags("Let's think step by step.\n\n", "\n\nFinal answer:"),
        calls=mistral_list,
        tool_dialect="mistral",
        broken='[TOOL_CALLS][{"name": "weather", "arguments": 7}]',
        special=("[INST]", "[/INST]", "[TOOL_CALLS]"),
    ),
    Family(
        "magistral-2506",
        "think-tags-always",
        _MISTRAL,
        start="[/A]",
        end="</s>",
        close="</think>",
        thinks=tags(),
        calls=mistral_list,
        tool_dialect="mistral",
        broken="[TOOL_CALLS]weather Paris",
        special=("[INST]", "[/INST]", "[TOOL_CALLS]"),
    ),
    Family(
        "magistral-2507",
        "mistral-think",
        _MISTRAL,
        start="[/A]",
        end="</s>",
        close="[/THINK]",
        thinks=tags("[THINK]", "[/THINK]"),
        calls=mistral_named,
        tool_dialect="mistral",
        broken="[TOOL_CALLS]weather[ARGS]{city: Paris}",
        special=("[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"),
    ),
    Family(
        "mistral-small-4",
        "mistral-effort",
        "{{ reasoning_effort }}" + _MISTRAL,
        start="[/A]",
        end="</s>",
        close="[/THINK]",
        thinks=tags("[THINK]", "[/THINK]"),
        calls=mistral_named,
        tool_dialect="mistral",
        broken='[TOOL_CALLS][ARGS]{"city": "Paris"}',
        special=("[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"),
    ),
    Family(
        "granite-3.2",
        "granite-3.2",
        roles(
            "<|start_of_role|>",
            "<|end_of_role|>",
            "<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>{{ '' if thinking else '' }}",
        ),
        start="<|start_of_role|>assistant<|end_of_role|>",
        end="<|end_of_text|>",
        close="Here is my response:",
        thinks=tags("Here is my thought process:\n", "Here is my response:"),
        calls=granite,
        tool_dialect="granite",
        broken='<|tool_call|>[{"arguments": {}}]',
        special=("<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
    ),
    Family(
        "granite-3.3",
        "granite-3.3",
        roles(
            "<|start_of_role|>",
            "<|end_of_role|>",
            "<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>{{ '' if thinking else '' }}",
        ),
        start="<|start_of_role|>assistant<|end_of_role|>",
        end="<|end_of_text|>",
        close="</think>",
        thinks=tags(),
        calls=granite,
        tool_dialect="granite",
        broken='<|tool_call|>{"name": "weather", "city": "Paris"}',
        special=("<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
    ),
    Family(
        "granite-4",
        "prompted",
        roles(
            "<|start_of_role|>",
            "<|end_of_role|>",
            "<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>",
        ),
        start="<|start_of_role|>assistant<|end_of_role|>",
        end="<|end_of_text|>",
        close="\n\nFinal answer:",
        thinks=tags("Let's think step by step.\n\n", "\n\nFinal answer:"),
        calls=hermes,
        tool_dialect="hermes",
        broken='<tool_call>{"name": "weather", "args": {"city": "Paris"}}</tool_call>',
        special=("<|start_of_role|>", "<|end_of_role|>"),
    ),
    Family(
        "reka",
        "reka",
        "{% for m in messages %}{{ 'human' if m.role == 'user' else m.role }}: {{ m.content }} <sep> {% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}",
        start="assistant:",
        end="<sep>",
        close="</reasoning>",
        thinks=tags(" <reasoning>\n", "</reasoning>"),
        calls=hermes,
        broken='<tool_call>\n{"name": "weather", "arguments": ["Paris"]}\n</tool_call>',
        ends=(),
    ),
    Family(
        "phi",
        "prompted",
        roles("<|", "|>\n", "<|end|>\n", "<|assistant|>\n"),
        start="<|assistant|>\n",
        end="<|end|>",
        close="\n\nFinal answer:",
        thinks=tags("Let's think step by step.\n\n", "\n\nFinal answer:"),
        calls=hermes,
        broken='<tool_call>\n{"name": "weather", "arguments": "Paris"}\n</tool_call>',
    ),
)
