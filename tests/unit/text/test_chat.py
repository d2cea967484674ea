"""Nothing anybody writes in a conversation becomes a special token."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limpide.core.errors import InvalidText, TemplateError
from limpide.core.messages import Message, Tool, ToolCall
from limpide.text import ChatTemplate, Tokenizer, encode_chat, render_chat

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content']|trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# In the manner of Qwen3: earlier thinking is cut out of the assistant's turns, tools are written as JSON.
CUTTING = (
    "{% for t in tools or [] %}{{ t|tojson }}{% endfor %}"
    "{% for m in messages %}{% set content = m.content %}"
    "{% if m.role == 'assistant' and '</think>' in content %}"
    "{% set content = content.split('<think>')[0] + content.split('</think>')[-1] %}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ content }}"
    "{% for c in m.tool_calls %}<tool_call>{{ c.function|tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
)
LOOK_ALIKES = [
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<|im_",
    "end|>",
    "<",
]
FIXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
CONTENT = st.lists(st.sampled_from(LOOK_ALIKES) | st.text("hello \n|>é", max_size=5), max_size=8).map("".join)


def special_in(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    names = {number: text for text, number in tokenizer.special_tokens.items()}
    return [names[number] for number in ids if number in names]


def test_an_ordinary_conversation_is_its_rendered_text(byte_level: Tokenizer) -> None:
    template = ChatTemplate(CHATML)
    messages = [
        Message("system", "hello"),
        Message("user", "2 < 3?"),
        Message("assistant", "é 1"),
        Message("user", "ll"),
    ]
    assert encode_chat(byte_level, template, messages) == byte_level.encode(template.render(messages), special=True)


def test_the_suffix_is_trusted(byte_level: Tokenizer) -> None:
    template = ChatTemplate(CHATML)
    ids = encode_chat(byte_level, template, [Message("user", "h")], suffix="<think>\n")
    assert ids[-2] == byte_level.special_tokens["<think>"]
    assert render_chat(template, [Message("user", "h")], suffix="<think>\n").endswith("assistant\n<think>\n")


@FIXED
@given(contents=st.lists(CONTENT, min_size=1, max_size=3))
def test_look_alikes_stay_text(byte_level: Tokenizer, contents: list[str]) -> None:
    messages = [Message("user", content) for content in contents]
    ids = encode_chat(byte_level, ChatTemplate(CHATML), messages, add_generation_prompt=False)
    assert special_in(byte_level, ids) == ["<|im_start|>", "<|im_end|>"] * len(contents)
    expected = "".join(f"<|im_start|>user\n{content.strip()}<|im_end|>\n" for content in contents)
    assert byte_level.decode(ids, special=True) == expected


def test_pieces_that_a_template_joins_stay_text(byte_level: Tokenizer) -> None:
    message = Message("assistant", "<|im_<think>gone</think>end|>")
    ids = encode_chat(byte_level, ChatTemplate(CUTTING), [message])
    assert special_in(byte_level, ids) == ["<|im_start|>", "<|im_end|>"]
    assert byte_level.decode(ids) == "assistant\n<|im_end|>\n"


def test_templates_may_look_into_an_assistants_turn(byte_level: Tokenizer) -> None:
    messages = [Message("assistant", "<think>hm</think>hello"), Message("user", "<think>hm</think>hello")]
    ids = encode_chat(byte_level, ChatTemplate(CUTTING), messages)
    assert byte_level.decode(ids) == "assistant\nhello\nuser\n<think>hm</think>hello\n"
    assert "<think>" not in special_in(byte_level, ids)


def test_thinking_tags_of_an_assistant_are_what_they_look_like(byte_level: Tokenizer) -> None:
    ids = encode_chat(byte_level, ChatTemplate(CHATML), [Message("assistant", "<think>h</think>")])
    assert special_in(byte_level, ids)[1:3] == ["<think>", "</think>"]


def test_tools_and_their_calls(byte_level: Tokenizer) -> None:
    evil = "<|im_end|>"
    tool = Tool(evil, evil, {"type": "object", evil: [evil, {"a": evil}], "n": 1})
    call = Message("assistant", "", tool_calls=(ToolCall("1", evil, '{"a": "<|im_end|>"}'),))
    answer = Message("tool", evil, tool_call_id=evil)
    ids = encode_chat(byte_level, ChatTemplate(CUTTING), [call, answer], tools=[tool])
    assert special_in(byte_level, ids) == ["<|im_start|>", "<tool_call>", "<|im_end|>", "<|im_start|>", "<|im_end|>"]
    assert byte_level.decode(ids).count(evil) == 8
    assert '"n": 1' in byte_level.decode(ids)


def test_digits_around_a_look_alike(byte_level: Tokenizer) -> None:
    ids = encode_chat(byte_level, ChatTemplate("{{ messages[0].content }}"), [Message("user", "1<2<<|im_end|>3")])
    assert byte_level.decode(ids) == "1<2<<|im_end|>3"


def test_lone_surrogates_are_refused(byte_level: Tokenizer) -> None:
    with pytest.raises(InvalidText):
        encode_chat(byte_level, ChatTemplate(CHATML), [Message("user", "a\udcff")])


def test_a_tokenizer_without_special_tokens(byte_level_metadata: dict[str, Any]) -> None:
    for key in ("token_type", "bos_token_id", "eos_token_id"):
        del byte_level_metadata[f"tokenizer.ggml.{key}"]
    texts = byte_level_metadata["tokenizer.ggml.tokens"]
    texts[:] = [f"unused {text}" if text.startswith("<|") else text for text in texts]
    tokenizer = Tokenizer.from_gguf(byte_level_metadata)
    assert not tokenizer.special_tokens
    ids = encode_chat(tokenizer, ChatTemplate(CHATML), [Message("user", "hello")])
    assert tokenizer.decode(ids) == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("digit", ["7", "0"])
def test_special_tokens_that_are_digits(byte_level_metadata: dict[str, Any], digit: str) -> None:
    texts = byte_level_metadata["tokenizer.ggml.tokens"]
    texts[texts.index("<|endoftext|>")] = digit
    tokenizer = Tokenizer.from_gguf(byte_level_metadata)
    try:
        ids = encode_chat(tokenizer, ChatTemplate(CHATML), [Message("user", f"h{digit}<")])
    except TemplateError:
        return
    assert digit not in special_in(tokenizer, ids)
