"""What a checkpoint has beside its weights: tokenizer, chat template, a hash."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from limpide.core.errors import CorruptModelFile
from limpide.formats import Checkpoint
from limpide.text import ChatTemplate, Tokenizer

MAX_CONFIG_BYTES = 1 << 24
_TEMPLATE_FILES = ("chat_template.json", "tokenizer_config.json")
_HINT = "get the file again from its publisher"


def read_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """The checkpoint's tokenizer. Raises TokenizerUnavailable if it has none that we can read, CorruptModelFile."""
    if checkpoint.kind == "gguf":
        return Tokenizer.from_gguf(checkpoint.config)
    return Tokenizer.from_folder(_folder(checkpoint))


def read_template(checkpoint: Checkpoint, tokenizer: Tokenizer) -> ChatTemplate | None:
    """The checkpoint's chat template, if it has one."""
    source = template_source(checkpoint)
    if source is None:
        return None
    names = {token: text for text, token in tokenizer.special_tokens.items()}
    bos = "" if tokenizer.bos_id is None else names.get(tokenizer.bos_id, "")
    eos = "" if tokenizer.eos_id is None else names.get(tokenizer.eos_id, "")
    return ChatTemplate(source, bos_token=bos, eos_token=eos)


def template_source(checkpoint: Checkpoint) -> str | None:
    """Source of the chat template: in a GGUF's metadata, or a folder's chat_template.jinja, chat_template.json (where
    processors keep it) or tokenizer_config.json, the first of them that has one.

    Raises CorruptModelFile if what should be a template is something else.
    """
    if checkpoint.kind == "gguf":
        return _template(checkpoint.config.get("tokenizer.chat_template"), checkpoint.path.name)
    folder = _folder(checkpoint)
    source = _read(folder / "chat_template.jinja")
    if source is not None:
        return source
    for name in _TEMPLATE_FILES:
        found = _template(_default(_settings(folder / name).get("chat_template")), name)
        if found is not None:
            return found
    return None


def _default(found: object) -> object:
    """Of several templates by name the one for all purposes."""
    if not isinstance(found, list):
        return found
    return {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}.get("default")


def _settings(path: Path) -> dict[str, Any]:
    text = _read(path)
    if text is None:
        return {}
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptModelFile(f"{path.name} is no JSON: {error}", hint=_HINT) from None
    return settings if isinstance(settings, dict) else {}


def _template(found: object, where: str) -> str | None:
    if found is None or isinstance(found, str):
        return found
    raise CorruptModelFile(f"the chat template in {where} is no text", hint=_HINT)


def _read(path: Path) -> str | None:
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CorruptModelFile(f"{path.name} has {path.stat().st_size} bytes", expected=f"at most {MAX_CONFIG_BYTES}")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptModelFile(f"{path.name} is not UTF-8: {error.reason}", hint=_HINT) from None


class BackgroundHash:
    """A checkpoint's hash, computed while the model is already answering, and waited for when it is needed.

    Lets go of the checkpoint as soon as it is known: the weights stay mapped without it, and its metadata holds a
    vocabulary, which the tokenizer has too.
    """

    def __init__(self, checkpoint: Checkpoint, known: str | None = None) -> None:
        self._checkpoint: Checkpoint | None = checkpoint
        self._result = known
        if known is not None:
            self.close()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin in a thread of its own, unless it is known."""
        if self._result is None:
            threading.Thread(target=self, name="limpide-hash", daemon=True).start()

    def __call__(self) -> str | None:
        """The hash; None if the file can't be read any more."""
        with self._lock:
            checkpoint = self._checkpoint
            if self._result is None and checkpoint is not None:
                try:
                    self._result = checkpoint.sha256
                except OSError:
                    return None
                self.close()
            return self._result

    def close(self) -> None:
        """Close the checkpoint, if it is still held."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is not None:
            checkpoint.close()


def _folder(checkpoint: Checkpoint) -> Path:
    return checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
