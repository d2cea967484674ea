"""The real SmolLM2 through engine, template and thinking dialect; and models that lack a part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limpide.backends.local import LocalBackend
from limpide.backends.memory import plan_batch, plan_cache
from limpide.core.errors import (
    ChatUnsupported,
    ContextExceeded,
    CorruptModelFile,
    EmptyPrompt,
    InvalidParameter,
    ModelFileMissing,
    OutOfMemory,
    TokenizerUnavailable,
)
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta
from limpide.core.messages import conversation
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Capability, Thinking

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def smollm2(smollm2_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend.open(smollm2_path, name="smollm2-135m", numerics="exact", licence="Apache-2.0")
    yield backend
    backend.engine.check_integrity()
    assert not backend.engine.has_work
    backend.close()


def request(prompt: str = QUESTION, think: Any = "off", **sampling: Any) -> ChatRequest:
    return ChatRequest(conversation(prompt), Sampling(**{"max_tokens": 24, **sampling}), Thinking.parse(think))


def read(events: list[Event]) -> tuple[str, str, Finished]:
    end = events[-1]
    assert isinstance(end, Finished)
    thinking = "".join(e.text for e in events if isinstance(e, ThinkingDelta))
    return thinking, "".join(e.text for e in events if isinstance(e, TextDelta)), end


def test_it_knows_the_capital_of_france(smollm2: LocalBackend, smollm2_path: Path) -> None:
    _, answer, end = read(list(smollm2.stream(request())))
    assert answer == "The capital of France is Paris."
    assert (end.reason, end.usage.answer_tokens) == ("stop", 8)
    assert end.receipt.weights_sha256 == hashlib.sha256(smollm2_path.read_bytes()).hexdigest()
    assert end.receipt.numerics == "exact"
    assert smollm2.info.context == 8192
    assert smollm2.info.thinking is Capability.PROMPTED


def test_decoding_and_batching_give_the_tokens_of_plain_passes(smollm2: LocalBackend) -> None:
    prompts = [QUESTION, "Écris une phrase sur la mer.", "def fibonacci(n):", QUESTION + " Answer in French."]
    streams = [smollm2.stream(request(p, max_tokens=8, logprobs=0, ignore_eos=True)) for p in prompts]
    for prompt, stream in zip(prompts, streams, strict=True):
        chosen = [p.token_id for e in stream if isinstance(e, TextDelta) for p in e.logprobs]
        tokens = [*smollm2.prepare(request(prompt)).prompt, *chosen]
        best = smollm2.logits(tokens).argmax(1).tolist()
        first = len(tokens) - len(chosen)
        assert best[first - 1 : -1][: len(chosen)] == chosen


@pytest.mark.parametrize("budget", [1, 5, 17])
def test_the_thinking_budget_holds_on_a_real_model(smollm2: LocalBackend, budget: int) -> None:
    thinking, answer, end = read(list(smollm2.stream(request(think=budget, max_tokens=64))))
    assert end.usage.thinking_truncated
    assert len(smollm2.tokenizer.encode(thinking)) <= budget
    assert "Paris" in answer
    assert "Final answer" not in thinking + answer


def test_seeds_repeat_whatever_else_runs(smollm2: LocalBackend) -> None:
    asked = request("Tell me a story.", temperature=0.9, top_p=0.95, seed=7, max_tokens=12)
    alone = read(list(smollm2.stream(asked)))[1]
    stream = smollm2.stream(asked)
    others = [smollm2.stream(request(f"Count to {i}.", temperature=1.0, max_tokens=9)) for i in range(3)]
    assert read(list(stream))[1] == alone
    for other in others:
        list(other)


def test_scores_are_the_log_softmax_of_plain_logits(smollm2: LocalBackend) -> None:
    context, words = "The capital of France is", [" Paris", " London, of course", "…"]
    scored = smollm2.score(context, words)
    assert [s.greedy for s in scored] == [True, False, False]
    before = smollm2.tokenizer.encode(context)
    for word, s in zip(words, scored, strict=True):
        tokens = smollm2.tokenizer.encode(context + word)
        assert tokens[: len(before)] == before
        logprobs = torch.log_softmax(torch.from_numpy(smollm2.logits(tokens)), -1)
        wanted = [float(logprobs[i - 1, tokens[i]]) for i in range(len(before), len(tokens))]
        assert s.logprobs == pytest.approx(wanted, abs=1e-3)


def test_raw_text_keeps_its_spaces(smollm2: LocalBackend) -> None:
    _, text, end = read(list(smollm2.complete("The capital of France is", Sampling(max_tokens=2))))
    assert text == " Paris."
    assert end.reason == "length"


def test_a_long_prompt_is_a_clear_error(smollm2: LocalBackend) -> None:
    with pytest.raises(ContextExceeded, match="8192"):
        smollm2.stream(request("word " * 9000))
    with pytest.raises(EmptyPrompt):
        smollm2.complete("")


def test_a_base_model_continues_text_and_refuses_to_chat(gemma3_path: Path) -> None:
    with_text = LocalBackend.open(gemma3_path, name="gemma3-270m", numerics="exact", cache_bytes=1 << 26)
    try:
        assert (with_text.info.chat, with_text.info.thinking) == (False, Capability.NONE)
        with pytest.raises(ChatUnsupported, match="base model"):
            with_text.stream(request())
        text = read(list(with_text.complete("The capital of France is", Sampling(max_tokens=3))))[1]
        assert text == " the capital of"
    finally:
        with_text.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A random Llama checkpoint with weights and config and nothing else."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    with torch.inference_mode():
        np.save(tmp_path / "wanted.npy", model(torch.arange(20)[None]).logits[0].numpy())
    return tmp_path


def test_logits_need_no_tokenizer(folder: Path) -> None:
    backend = LocalBackend.open(folder, numerics="exact")
    np.testing.assert_allclose(backend.logits(range(20)), np.load(folder / "wanted.npy"), atol=1e-4)
    assert not backend.info.chat
    for use in (lambda: backend.stream(request()), lambda: backend.complete("a"), lambda: backend.score("a", ["b"])):
        with pytest.raises(TokenizerUnavailable):
            use()
    backend.close()


def test_a_folders_template_is_found_wherever_it_is(folder: Path) -> None:
    from limpide.backends.parts import template_source
    from limpide.formats import open_checkpoint

    def source() -> str | None:
        with open_checkpoint(folder) as checkpoint:
            return template_source(checkpoint)

    settings = folder / "tokenizer_config.json"
    assert source() is None
    settings.write_text(json.dumps({"chat_template": "one"}))
    assert source() == "one"
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "two"}]
    settings.write_text(json.dumps({"chat_template": named}))
    assert source() == "two"
    (folder / "chat_template.jinja").write_text("three")
    assert source() == "three"
    (folder / "chat_template.jinja").unlink()
    for bad in ('{"chat_template": 7}', "{", "[" * 100_000):
        settings.write_text(bad)
        with pytest.raises(CorruptModelFile):
            source()
    settings.write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptModelFile):
        source()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileMissing):
        LocalBackend.open(tmp_path / "nothing.gguf")


LAYERS = [(8, 128, 128)] * 32  # 2 MB per block in fp16: a model of 8 billion parameters


@pytest.mark.parametrize(
    ("asked", "context", "blocks"),
    [
        ({"available": 64 << 30}, 131072, 8192),
        ({"available": 8 << 30}, 2048 * 16, 2048),  # half of what is free is 2,048 blocks
        ({"available": 64 << 30, "context": 1000}, 1000, 256),  # what is useful beyond it: 512 MB
        ({"available": 64 << 30, "cache_bytes": 100 << 20}, 800, 50),
    ],
)
def test_the_cache_is_bounded_by_memory(asked: dict[str, Any], context: int, blocks: int) -> None:
    asked = {"context": None, "cache_bytes": None, **asked}
    assert plan_cache(LAYERS, torch.float16, model_context=131072, **asked) == (context, blocks)


def test_a_context_that_can_not_be_held_is_refused() -> None:
    with pytest.raises(OutOfMemory, match="4096"):
        plan_cache(LAYERS, torch.float16, model_context=8192, context=4096, cache_bytes=None, available=1 << 28)
    with pytest.raises(OutOfMemory):
        plan_cache(LAYERS, torch.float16, model_context=8192, context=None, cache_bytes=1000)
    with pytest.raises(InvalidParameter):
        plan_cache(LAYERS, torch.float16, model_context=8192, context=8193, cache_bytes=None)


def test_fewer_sequences_run_at_once_where_their_states_are_large() -> None:
    layer = ((3, 8448), (16, 8576), (128, 64, 128))  # of a large hybrid: 9.6 MB in two sides
    assert plan_batch([()] * 4, 32, available=1 << 30) == 32
    assert plan_batch([layer, ()] * 36, 32, available=64 << 30) == 32
    assert plan_batch([layer, ()] * 36, 32, available=8 << 30) == 6
    assert plan_batch([layer, ()] * 36, 32, available=1 << 20) == 1
