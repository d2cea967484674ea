"""What a checkpoint's tokenizer and template become together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpide.backends.parts import read_template, template_source
from limpide.core.errors import CorruptModelFile
from limpide.core.messages import Message
from limpide.formats import TensorInfo
from limpide.text import Tokenizer
from limpide.text.vocabulary import byte_alphabet

ENDS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"


class Metadata:
    """A checkpoint without tensors."""

    path = Path("model.gguf")
    kind = "gguf"
    tensors: Mapping[str, TensorInfo] = {}
    sha256 = ""

    def __init__(self, **given: Any) -> None:
        texts = [*byte_alphabet(), *ENDS]
        self.config: dict[str, Any] = {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "gpt-2",
            "tokenizer.ggml.tokens": texts,
            "tokenizer.ggml.token_type": np.array([1] * 256 + [3] * len(ENDS), np.int32),
            "tokenizer.ggml.merges": [],
            "tokenizer.ggml.bos_token_id": texts.index("<|im_start|>"),
            "tokenizer.chat_template": TEMPLATE,
            **{f"tokenizer.ggml.{name}_token_id": texts.index(text) for name, text in given.items()},
        }


def rendered(checkpoint: Any) -> str:
    tokenizer = Tokenizer.from_gguf(checkpoint.config)
    assert len(tokenizer.eos_ids) > 1  # otherwise nothing has to be chosen
    template = read_template(checkpoint, tokenizer)
    assert template is not None
    return template.render([Message("user", "hi")])


@pytest.mark.parametrize("end", ["<|endoftext|>", "<|im_end|>"])
def test_the_template_is_given_the_end_token_that_the_file_names(end: str) -> None:
    assert rendered(Metadata(eos=end)) == f"<|im_start|>hi{end}"


def test_without_a_named_end_token_it_is_given_none() -> None:
    assert rendered(Metadata()) == "<|im_start|>hi"


def test_a_model_without_a_template_has_none() -> None:
    checkpoint: Any = Metadata(eos="<|im_end|>")
    del checkpoint.config["tokenizer.chat_template"]
    assert read_template(checkpoint, Tokenizer.from_gguf(checkpoint.config)) is None


class Folder(Metadata):
    """A checkpoint in a folder."""

    kind = "safetensors"

    def __init__(self, path: Path) -> None:
        self.path = path


def test_a_folder_s_template_is_the_first_that_is_there(tmp_path: Path) -> None:
    named = [{"name": "rag", "template": "no"}, {"name": "default", "template": "of several"}]
    files = {
        "tokenizer_config.json": (json.dumps({"chat_template": named}), "of several"),
        "chat_template.json": (json.dumps({"chat_template": "of a processor"}), "of a processor"),
        "chat_template.jinja": ("alone", "alone"),
    }
    checkpoint: Any = Folder(tmp_path)
    assert template_source(checkpoint) is None
    for name, (content, source) in files.items():
        (tmp_path / name).write_text(content, "utf-8")
        assert template_source(checkpoint) == source


@pytest.mark.parametrize("content", ["{", '{"chat_template": 7}'])
def test_a_folder_s_template_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "chat_template.json").write_text(content, "utf-8")
    checkpoint: Any = Folder(tmp_path)
    with pytest.raises(CorruptModelFile, match=r"chat_template\.json"):
        template_source(checkpoint)
