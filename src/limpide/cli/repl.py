"""The loop behind `limpide chat`: turns, commands, and an interrupt that ends an answer and not the chat."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, cast

from limpide.cli import transcript
from limpide.cli.lines import Lines
from limpide.cli.opening import Choice, open_model
from limpide.cli.options import read_parameter
from limpide.cli.running import report
from limpide.cli.terminal import is_terminal, note
from limpide.cli.writing import AnswerWriter, remarks, summary
from limpide.core.errors import BadRequest, ChatUnsupported, InvalidParameter, LimpideError
from limpide.core.events import ThinkingDelta
from limpide.core.messages import Message
from limpide.core.thinking import Thinking
from limpide.model import SAMPLING_NAMES, Model


class Repl:
    """One conversation, and what it is held with."""

    def __init__(self, choice: Choice, *, thinking: Thinking, system: str | None, sampling: dict[str, Any]) -> None:
        from limpide.core.places import state_dir

        self._choice = choice
        self._thinking = thinking
        self._system = system
        self._sampling = sampling
        self._turns: list[Message] = []
        self._leaving = False
        self._model = _open_for_chat(choice)
        self._lines = Lines(state_dir() / "chat_history")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._model.close()

    def run(self) -> None:
        """Take turns until the end of the input or /quit. An error ends a turn, never the chat."""
        if is_terminal(sys.stdin):
            note(f"{self._model.info.name}, {self._model.info.numerics} · /help for help, Ctrl-D to leave")
        while not self._leaving:
            try:
                text = self._lines.next()
            except EOFError:
                break
            except KeyboardInterrupt:  # at the prompt: the line is dropped
                sys.stdout.write("\n")
                continue
            except LimpideError as error:
                report(error)
                continue
            try:
                self._turn(text)
            except LimpideError as error:
                report(error)
        if is_terminal(sys.stdin):
            sys.stdout.write("\n")

    def _turn(self, text: str) -> None:
        if not text.strip():
            return
        if text.startswith("/"):
            self._command(text)
        else:
            self._answer(text)

    def _answer(self, text: str) -> None:
        asked = [*self._turns, Message("user", text)]
        writer, thoughts, interrupted = AnswerWriter(), [], False
        events = self._model.stream(asked, think=self._thinking, system=self._system, **self._sampling)
        with _soft_interrupt() as wanted, closing(cast("Any", events)):
            try:
                for event in events:
                    writer.feed(event)
                    if isinstance(event, ThinkingDelta):
                        thoughts.append(event.text)
                    if wanted():
                        interrupted = True
                        break
            except KeyboardInterrupt:
                interrupted = True
            finally:
                writer.close()
        self._turns = [*asked, Message("assistant", "".join(writer.text), "".join(thoughts) or None)]
        if interrupted:
            note("interrupted")
        elif writer.finished is not None:
            for line in (
                *remarks(writer.finished),
                summary(self._model.info, writer.finished, writer.first_token_seconds),
            ):
                note(line)

    def _command(self, text: str) -> None:
        word, _, rest = text[1:].partition(" ")
        commands = _COMMANDS
        if word not in commands:
            near = get_close_matches(word, commands, n=1)
            raise InvalidParameter(
                "command", f"/{word}", "/" + ", /".join(commands), hint=f"did you mean /{near[0]}?" if near else "/help"
            )
        try:
            commands[word](self, rest.strip())
        except KeyboardInterrupt:  # a model that takes too long to load: the present one stays
            note("interrupted")

    def help(self, rest: str) -> None:
        """/help: what can be typed here."""
        for command in dict.fromkeys(_COMMANDS.values()):
            note(f"  {(command.__doc__ or '').rstrip('.')}")
        note('  A line that ends in \\ goes on in the next; """ opens and closes a block. Ctrl-C ends an answer.')

    def think(self, rest: str) -> None:
        """/think [VALUE]: how long to reason first (off, minimal, low, medium, high, max, a number of tokens)."""
        if rest:
            self._thinking = Thinking.parse(rest)
        note(f"think {self._thinking} · {self._model.info.name} can: {self._model.info.thinking}")

    def model(self, rest: str) -> None:
        """/model [NAME]: show or change the model; the conversation stays."""
        if rest:
            choice = replace(self._choice, reference=rest)
            opened = _open_for_chat(choice)
            self._model.close()
            self._model, self._choice = opened, choice
        info = self._model.info
        note(f"{info.name} · {info.architecture} · context {info.context} · thinking {info.thinking} · {info.numerics}")

    def set(self, rest: str) -> None:
        """/set [NAME VALUE]: show or change sampling (temperature, top_p, max_tokens, seed, …)."""
        if rest:
            name, _, value = rest.replace("=", " ", 1).partition(" ") if " " not in rest else rest.partition(" ")
            field, parsed = chat_parameter(name, value.strip())
            self._sampling[field] = parsed
        note(" · ".join(f"{name} {value}" for name, value in self._sampling.items()) or "everything at its default")

    def unset(self, rest: str) -> None:
        """/unset NAME: put a sampling parameter back to its default."""
        field = rest.replace("-", "_")
        if field not in SAMPLING_NAMES:
            raise InvalidParameter("parameter", rest, f"one of {', '.join(SAMPLING_NAMES)}")
        self._sampling.pop(field, None)
        self.set("")

    def system(self, rest: str) -> None:
        """/system [TEXT]: what the model should keep to; without text: nothing more."""
        self._system = rest or None
        note(f"system: {self._system or 'none'}")

    def save(self, rest: str) -> None:
        """/save FILE: write the conversation, as Markdown (.md) or JSON (.json)."""
        path = _path(rest)
        system = [Message("system", self._system)] if self._system else []
        about = {"model": self._model.info.name, "think": str(self._thinking), "sampling": dict(self._sampling)}
        transcript.save(path, [*system, *self._turns], about)
        note(f"saved {len(self._turns)} messages to {path}")

    def load(self, rest: str) -> None:
        """/load FILE: go on with a conversation that was saved as JSON."""
        messages = transcript.load(_path(rest))
        self._system = next((message.content for message in messages if message.role == "system"), None)
        self._turns = [message for message in messages if message.role != "system"]
        note(f"{len(self._turns)} messages")

    def clear(self, rest: str) -> None:
        """/clear: forget the conversation."""
        self._turns = []
        note("a new conversation")

    def quit(self, rest: str) -> None:
        """/quit: leave, like Ctrl-D."""
        self._leaving = True


_COMMANDS: dict[str, Callable[[Repl, str], None]] = {
    "help": Repl.help,
    "think": Repl.think,
    "model": Repl.model,
    "set": Repl.set,
    "unset": Repl.unset,
    "system": Repl.system,
    "save": Repl.save,
    "load": Repl.load,
    "clear": Repl.clear,
    "quit": Repl.quit,
    "exit": Repl.quit,
}


def chat_parameter(name: str, text: str) -> tuple[str, Any]:
    """A sampling parameter that makes sense in a chat. Raises InvalidParameter."""
    field, value = read_parameter(name, text)
    if field in ("n", "logprobs"):
        raise InvalidParameter(field, text, "nothing in a chat, which shows one answer", hint=f"limpide ask --{field}")
    return field, value


def _open_for_chat(choice: Choice) -> Model:
    model = open_model(choice)
    if not model.info.chat:
        name = model.info.name
        model.close()
        raise ChatUnsupported(
            f"{name} is a base model: it has no chat template",
            expected="a model that was taught to converse",
            hint=f"limpide ask -m {choice.reference} to continue a text, or limpide models list",
        )
    return model


def _path(text: str) -> Path:
    if not text:
        raise BadRequest("no file was named", expected="a file name after the command")
    return Path(text).expanduser()


@contextmanager
def _soft_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C sets a flag that is looked at between tokens; a second one is a KeyboardInterrupt at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
