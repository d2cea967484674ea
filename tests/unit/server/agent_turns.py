"""What coding agents send, turn by turn: the fields and shapes that were seen on the wire, with words of our own.

Recorded from Codex CLI 0.169.0, Claude Code 2.1.197 and opencode 1.18.33 in the environment that `limpide launch`
prints. `after` makes the next request as the agent does, out of the answer that it got and the result of its call.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

Json = dict[str, Any]
COMMAND: Json = {"type": "string", "description": "What to run."}
PROMPT = "You are a coding agent. Call tools to look at files and to run commands."


class Agent:
    """One agent in one conversation."""

    path: ClassVar[str]
    headers: ClassVar[dict[str, str]] = {}
    call: ClassVar[str]
    """A call of a tool of its, as the model writes it."""
    refused: ClassVar[set[str]] = set()
    """What the receipt of its first answer lists as refused."""

    def first(self) -> Json:
        """What it begins with."""
        raise NotImplementedError

    def after(self, request: Json, events: list[Json], result: str) -> Json:
        """What it goes on with."""
        raise NotImplementedError


class Codex(Agent):
    """Responses, not stored: items go back as they came, without their status and with what it keeps of its own."""

    path = "/v1/responses"
    headers: ClassVar = {"originator": "codex_exec", "session-id": "01a2", "x-codex-turn-metadata": "{}"}
    call = '<tool_call>{"name": "exec_command", "arguments": {"cmd": "ls"}}</tool_call>'
    refused: ClassVar = {
        "client_metadata",
        "include reasoning.encrypted_content",
        "prompt_cache_key",
        "reasoning.summary",
        "tools[2]",
    }

    def first(self) -> Json:
        """A developer's message, one of the environment, and what the user said."""
        command = {"cmd": COMMAND, "yield_time_ms": {"type": "number"}, "prefix_rule": {"items": {"type": "string"}}}
        target = {"target": {"type": "string"}}
        said = [("developer", PROMPT), ("user", "<environment_context>\n  <cwd>/p</cwd>"), ("user", "Look around.")]
        return {
            "model": "fake",
            "input": [self._message(number, *each) for number, each in enumerate(said)],
            "tools": [
                self._function("exec_command", command, ["cmd"]),
                {
                    "type": "namespace",
                    "name": "multi_agent_v1",
                    "description": "Agents below this one.",
                    "tools": [self._function("close_agent", target, ["target"])],
                },
                {"type": "web_search", "external_web_access": False},
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "low", "summary": "auto"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "01a2",
            "client_metadata": {"turn_id": "01a3", "x-codex-turn-metadata": "{}"},
        }

    def after(self, request: Json, events: list[Json], result: str) -> Json:
        """The items that were done, and one more for each call."""
        items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        for item in items:
            if item["type"] == "reasoning":
                del item["status"]
                item["encrypted_content"] = None
        calls = [item["call_id"] for item in items if item["type"] == "function_call"]
        outputs = [{"type": "function_call_output", "id": f"fco_{c}", "call_id": c, "output": result} for c in calls]
        return {**request, "input": [*request["input"], *items, *outputs]}

    @staticmethod
    def _message(number: int, role: str, text: str) -> Json:
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "id": f"msg_01a2-{number}", "role": role, "content": content}

    @staticmethod
    def _function(name: str, properties: Json, required: list[str]) -> Json:
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        return {"type": "function", "name": name, "description": "A tool.", "strict": False, "parameters": schema}


class ClaudeCode(Agent):
    """Messages: blocks go back as they came."""

    path = "/v1/messages?beta=true"
    headers: ClassVar = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,effort-2025-11-24",
        "x-app": "cli",
    }
    call = '<tool_call>{"name": "Bash", "arguments": {"command": "ls"}}</tool_call>'
    refused: ClassVar = {
        "anthropic-beta",
        "context_management",
        "metadata.user_id",
        "system[0].cache_control",
        "system[1].cache_control",
    }
    EPHEMERAL: ClassVar = {"cache_control": {"type": "ephemeral"}}

    def first(self) -> Json:
        """A system prompt of two blocks, a reminder, what the user said, and a system turn."""
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "command": COMMAND,
                "timeout": {"type": "number", "default": 5, "exclusiveMinimum": 0, "maximum": 600000},
                "env": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}},
            },
            "required": ["command"],
            "additionalProperties": False,
        }
        reminder = {"type": "text", "text": "<system-reminder>\nThe date.\n</system-reminder>"}
        return {
            "model": "fake",
            "messages": [
                {"role": "user", "content": [reminder, {"type": "text", "text": "Look around."}]},
                {"role": "system", "content": "Kinds of agents: one."},
            ],
            "system": [
                {"type": "text", "text": "You are an agent.", **self.EPHEMERAL},
                {"type": "text", "text": PROMPT, **self.EPHEMERAL},
            ],
            "tools": [{"name": "Bash", "description": "Runs a command.", "input_schema": schema}],
            "metadata": {"user_id": '{"session_id":"7795"}'},
            "max_tokens": 32000,
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "output_config": {"effort": "high"},
            "stream": True,
        }

    def after(self, request: Json, events: list[Json], result: str) -> Json:
        """The blocks that were written, and the results of their calls."""
        blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
        written = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
        inputs = [""] * len(blocks)
        for event in events:
            if event["type"] == "content_block_delta":
                delta, at = event["delta"], event["index"]
                if delta["type"] == "input_json_delta":
                    inputs[at] += delta["partial_json"]
                else:
                    blocks[at][written[delta["type"]]] += delta[written[delta["type"]]]
        results = []
        for block, given in zip(blocks, inputs, strict=True):
            if block["type"] == "tool_use":
                block["input"] = json.loads(given)
                answer = {"tool_use_id": block["id"], "type": "tool_result", "content": result, "is_error": False}
                results.append({**answer, **self.EPHEMERAL})
        turns = [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
        return {**request, "messages": [*request["messages"], *turns]}


class OpenCode(Agent):
    """Chat completions: one message of the assistant, one for each result."""

    path = "/v1/chat/completions"
    headers: ClassVar = {"x-session-id": "ses_1"}
    call = '<tool_call>{"name": "bash", "arguments": {"command": "ls"}}</tool_call>'

    def first(self) -> Json:
        """A system prompt and what the user said."""
        schema = {"type": "object", "properties": {"command": COMMAND}, "required": ["command"]}
        bash = {"name": "bash", "description": "Runs a command.", "parameters": schema}
        return {
            "model": "fake",
            "max_tokens": 32000,
            "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": '"Look around."'}],
            "tools": [{"type": "function", "function": bash}],
            "tool_choice": "auto",
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def after(self, request: Json, events: list[Json], result: str) -> Json:
        """The calls, whose arguments it writes anew, and their results."""
        content, calls = "", list[Json]()
        for event in events:
            for choice in event["choices"]:
                content += choice["delta"].get("content") or ""
                for call in choice["delta"].get("tool_calls", ()):
                    if "id" in call:
                        begun = {"name": call["function"]["name"], "arguments": ""}
                        calls.append({"id": call["id"], "type": "function", "function": begun})
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        for call in calls:
            arguments = json.loads(call["function"]["arguments"])
            call["function"]["arguments"] = json.dumps(arguments, separators=(",", ":"))
        results = [{"role": "tool", "tool_call_id": call["id"], "content": result} for call in calls]
        turns = [{"role": "assistant", "content": content, "tool_calls": calls}, *results]
        return {**request, "messages": [*request["messages"], *turns]}


AGENTS = (Codex(), ClaudeCode(), OpenCode())
