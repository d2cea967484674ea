"""`limpide ask`: one question, one answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from limpide.cli.opening import Choice, open_model, open_nearby, seconds_since_start
from limpide.cli.options import (
    SAMPLING,
    ContextOption,
    HereOption,
    LicenceOption,
    ModelOption,
    NumericsChoice,
    NumericsOption,
    OfflineOption,
    SpeculateOption,
    SystemOption,
    ThinkOption,
    ThreadsOption,
    given,
    parse_bias,
)
from limpide.cli.prompting import gather
from limpide.cli.running import PanelCommand
from limpide.cli.shapes import read_shape
from limpide.cli.terminal import note, write
from limpide.cli.tools import read_tools
from limpide.cli.writing import AnswerWriter, call_line, remarks, summary, tokens_per_second
from limpide.core.answers import collect
from limpide.core.errors import EngineStopped, InvalidParameter
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta, TokenProbability
from limpide.core.messages import Tool
from limpide.core.ports import Answer
from limpide.core.results import to_json
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape
from limpide.core.thinking import Thinking
from limpide.model import Model, refuse_thinking

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PanelCommand)
def ask(
    question: Annotated[
        str | None, typer.Argument(metavar="[QUESTION]", help="What to ask; - reads it from the standard input.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="PATH", help="Put this file before the question. Repeatable; - is stdin."),
    ] = None,
    system: SystemOption = None,
    think: ThinkOption = "off",
    tools: Annotated[
        Path | None,
        typer.Option(
            "--tools", metavar="FILE", help="Functions that the model may call: a JSON list as OpenAI has it."
        ),
    ] = None,
    json_schema: Annotated[
        Path | None,
        typer.Option("--json-schema", metavar="FILE", help="Answer with JSON that this schema accepts."),
    ] = None,
    regex: Annotated[
        str | None,
        typer.Option("--regex", metavar="PATTERN", help="Answer with text that this expression matches as a whole."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Continue the text without a chat template; base models always do.")
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object: text, thinking, tool calls, usage, receipt, model, timings."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The answer alone: no thinking, no final line.")] = False,
    model: ModelOption = "smollm2-135m",
    numerics: NumericsOption = NumericsChoice.FAST,
    context: ContextOption = None,
    threads: ThreadsOption = None,
    speculate: SpeculateOption = "auto",
    offline: OfflineOption = False,
    here: HereOption = False,
    accept_licence: LicenceOption = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="0 takes the most likely token; higher is freer.", rich_help_panel=SAMPLING),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Keep the likeliest tokens that make up this share.", rich_help_panel=SAMPLING),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Keep so many tokens; 0 keeps all.", rich_help_panel=SAMPLING)
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(help="Keep tokens at least this share as likely as the best.", rich_help_panel=SAMPLING),
    ] = None,
    repetition_penalty: Annotated[
        float | None,
        typer.Option(help="Above 1: avoid tokens of prompt and answer.", rich_help_panel=SAMPLING),
    ] = None,
    frequency_penalty: Annotated[
        float | None, typer.Option(help="Avoid a token more, the more often it came.", rich_help_panel=SAMPLING)
    ] = None,
    presence_penalty: Annotated[
        float | None, typer.Option(help="Avoid tokens that came at all.", rich_help_panel=SAMPLING)
    ] = None,
    logit_bias: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKEN=BIAS", help="Add to a token's logit. Repeatable.", rich_help_panel=SAMPLING),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End the answer before this text. Repeatable.", rich_help_panel=SAMPLING),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Limit of thinking and answer together.", rich_help_panel=SAMPLING)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same answer.", rich_help_panel=SAMPLING)
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="So many answers to the same question.", rich_help_panel=SAMPLING)
    ] = None,
    logprobs: Annotated[
        int | None,
        typer.Option(help="Report so many alternatives beside each token (with --json).", rich_help_panel=SAMPLING),
    ] = None,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Go on after the end of turn; for measuring.", rich_help_panel=SAMPLING)
    ] = False,
) -> None:
    """Ask a question and read the answer as it comes.

    The answer goes to stdout; the thinking and a final line with tokens, tokens/s and time to first token go to stderr.

    \b
    Examples:
      limpide ask "What is the capital of France?"
      limpide ask --think low --max-tokens 300 "Is 91 a prime number?"
      cat report.txt | limpide ask --file - "Sum this up in one sentence."
      limpide ask --json --seed 7 --temperature 0.8 "Name a colour." > answer.json
      limpide ask --regex "yes|no" "Is 91 a prime number?"
      LIMPIDE_API_KEY=… limpide ask -m https://api.example.com/v1#some-model "Why?"
      limpide ask -m gemma3-270m --accept-licence gemma --raw "The sea is"
    """
    parameters = given(
        {
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
            "frequency_penalty": frequency_penalty,
            "presence_penalty": presence_penalty,
            "logit_bias": dict(parse_bias(entry) for entry in logit_bias) if logit_bias else None,
            "stop": tuple(stop) if stop else None,
            "max_tokens": max_tokens,
            "seed": seed,
            "n": n,
            "logprobs": logprobs,
            "ignore_eos": ignore_eos or None,
        }
    )
    # What can be known to be wrong is said before a model is loaded.
    Sampling(**parameters)
    thinking = Thinking.parse(think)
    if logprobs is not None and not json:
        raise InvalidParameter("logprobs", logprobs, "--json beside it: plain text has no place for them")
    callable_tools = read_tools(tools) if tools else ()
    shape = read_shape(json_schema, regex)
    prompt = gather(question, file or ())
    choice = Choice(model, numerics, offline, tuple(accept_licence or ()), context, threads, speculate=speculate)
    # A server is asked for one answer at a time.
    alone = here or parameters.get("n", 1) > 1
    with open_model(choice) if alone else open_nearby(choice, quiet=quiet) as opened:
        asked = time.perf_counter()
        events = _ask(opened, prompt, thinking, system, callable_tools, raw=raw, shape=shape, parameters=parameters)
        if json:
            _print_json(opened, events, asked)
        elif parameters.get("n", 1) > 1:
            _print_choices(opened, collect(events), quiet=quiet)
        else:
            _print_stream(opened, events, quiet=quiet)


def _ask(
    model: Model,
    prompt: str,
    thinking: Thinking,
    system: str | None,
    tools: Sequence[Tool],
    *,
    raw: bool,
    shape: Shape | None,
    parameters: dict[str, Any],
) -> Iterator[Event]:
    if model.info.chat and not raw:
        return model.stream(prompt, think=thinking, system=system, tools=tools, shape=shape, **parameters)
    if tools:
        raise InvalidParameter(
            "tools", [tool.name for tool in tools], "nothing here: raw text has no place for tools", hint="a chat model"
        )
    if system:
        raise InvalidParameter(
            "system", system, "nothing here: raw text has no system turn", hint="put it into the text"
        )
    if raw:
        refuse_thinking(model.info, thinking)
    elif thinking.enabled:
        return model.stream(prompt, think=thinking, **parameters)  # the backend knows best why it can't
    else:
        note(f"{model.info.name} is a base model: it continues the text instead of answering")
    return model.complete(prompt, shape=shape, **parameters)


def _print_stream(model: Model, events: Iterator[Event], *, quiet: bool) -> None:
    writer = AnswerWriter(show_thinking=not quiet)
    with closing(cast("Any", events)):
        try:
            for event in events:
                writer.feed(event)
        finally:
            writer.close()
    if writer.finished is None:
        raise EngineStopped("the answer broke off before its end", hint="ask again")
    if not quiet:
        for line in (*remarks(writer.finished), summary(model.info, writer.finished, writer.first_token_seconds)):
            note(line)


def _print_choices(model: Model, answers: Sequence[Answer], *, quiet: bool) -> None:
    for number, answer in enumerate(answers, start=1):
        heading = f"--- {number} of {len(answers)} ---\n"
        if answer.thinking and not quiet:
            write(f"{heading}{answer.thinking}\n\n", sys.stderr, style="dim")
        calls = "".join(f"{call_line(call.name, call.arguments)}\n" for call in answer.tool_calls)
        write(f"{heading}{answer.text}\n{calls}", sys.stdout)
    if not quiet:
        for line in remarks(answers[0].finished):
            note(line)
        note(" | ".join(summary(model.info, answer.finished, None) for answer in answers[:1]))


def _print_json(model: Model, events: Iterator[Event], asked: float) -> None:
    kept: list[Event] = []
    first: float | None = None
    since_start: float | None = None
    with closing(cast("Any", events)):
        for event in events:
            if first is None and not isinstance(event, Finished):
                first = time.perf_counter() - asked
                since_start = seconds_since_start()
            kept.append(event)
    total = time.perf_counter() - asked
    answers = [
        _choice(answer, [event for event in kept if event.index == answer.finished.index]) for answer in collect(kept)
    ]
    usage = answers[0]["usage"]
    record = {
        **answers[0],
        "model": model.info,
        "timings": {
            "load_seconds": model.load_seconds,
            "process_to_first_token_seconds": since_start,
            "time_to_first_token_seconds": first,
            "total_seconds": total,
            "tokens_per_second": tokens_per_second(usage),
        },
    }
    if len(answers) > 1:
        record["choices"] = answers
    sys.stdout.write(to_json(record) + "\n")


def _choice(answer: Answer, events: Sequence[Event]) -> dict[str, Any]:
    finished = answer.finished
    tokens: list[TokenProbability] = []
    for event in events:
        if isinstance(event, ThinkingDelta | TextDelta):
            tokens.extend(event.logprobs)
    return {
        "text": answer.text,
        "thinking": answer.thinking,
        "tool_calls": answer.tool_calls,
        "finish_reason": finished.reason,
        "stop": finished.stop,
        "usage": finished.usage,
        "receipt": finished.receipt,
        **({"logprobs": tokens} if tokens else {}),
    }
