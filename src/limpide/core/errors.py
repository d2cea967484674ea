"""Every error a person can meet, one class each.

A message says what happened, what was expected and what to do. Each class has a page in docs/errors/, named by `slug`.
"""

from __future__ import annotations

import re
from typing import ClassVar


class LimpideError(Exception):
    """Base of all errors that are the caller's to see. Never raised itself."""

    exit_code: ClassVar[int] = 1
    """What the command line exits with."""
    http_status: ClassVar[int] = 500
    """What the server answers with."""
    retry_after: float | None = None
    """Seconds after which the same request may do better; None if waiting does not help."""

    def __init__(self, what: str, *, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.hint = hint

    @property
    def slug(self) -> str:
        """Name of the error's page in docs/errors/, for example `unknown-model`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(self).__name__).lower()

    def __str__(self) -> str:
        lines = [self.what]
        if self.expected:
            lines.append(f"Expected: {self.expected}")
        if self.hint:
            lines.append(f"Try: {self.hint}")
        return "\n".join(lines)


class BadRequest(LimpideError):
    """What was asked for can't be done as asked; asking differently helps."""

    exit_code = 2
    http_status = 400


class InvalidParameter(BadRequest):
    """A parameter is out of range, of the wrong kind or unknown."""

    def __init__(self, parameter: str, value: object, expected: str, *, hint: str | None = None) -> None:
        super().__init__(f"{parameter} can't be {value!r}", expected=expected, hint=hint)
        self.parameter = parameter
        self.value = value


class EmptyPrompt(BadRequest):
    """There is nothing to answer."""


class InvalidText(BadRequest):
    """Input that should be text is not valid UTF-8."""


class ContextExceeded(BadRequest):
    """The prompt (plus what was asked for) is longer than the context. Nothing is ever cut off in silence."""

    def __init__(self, prompt_tokens: int, limit: int, *, hint: str | None = None) -> None:
        super().__init__(
            f"the prompt has {prompt_tokens} tokens, the context holds {limit}",
            expected=f"at most {limit - 1} prompt tokens, so that at least one can be answered",
            hint=hint or "shorten the prompt, or use a model with a longer context",
        )
        self.prompt_tokens = prompt_tokens
        self.limit = limit


class ThinkingUnsupported(BadRequest):
    """This model can't think (or can't stop) the way it was asked to."""


class ChatUnsupported(BadRequest):
    """Messages were sent to a model that has no chat template."""


class UnknownModel(BadRequest):
    """No model goes by this name; the nearest names are in the hint."""

    http_status = 404


class LicenceNotAccepted(BadRequest):
    """The model's terms are not permissive and must be accepted once."""

    http_status = 403


class OfflineError(LimpideError):
    """Something would have to be downloaded, and `--offline` forbids it."""

    exit_code = 3
    http_status = 403


class DownloadFailed(LimpideError):
    """Every source of a model was tried and none delivered."""

    exit_code = 3


class ChecksumMismatch(LimpideError):
    """A file is not the one its publisher described."""

    exit_code = 4


class DiskFull(LimpideError):
    """There is not enough room to write what is needed."""

    exit_code = 5


class ModelFileMissing(BadRequest):
    """The path does not exist or holds no model."""

    http_status = 404


class CorruptModelFile(LimpideError):
    """A model file is damaged, truncated, or not what its name says."""

    exit_code = 4


class UnsupportedArchitecture(LimpideError):
    """The checkpoint's architecture is not among those we can compute."""

    exit_code = 6


class UnsupportedFormat(LimpideError):
    """A tensor is stored in a way that we can't read."""

    exit_code = 6


class UnsupportedConfig(LimpideError):
    """The checkpoint's configuration asks for something that changes the result and that we can't do."""

    exit_code = 6


class TokenizerUnavailable(LimpideError):
    """The checkpoint has no tokenizer that we can read."""

    exit_code = 6


class TemplateError(LimpideError):
    """A chat template failed, took too long, wrote too much or reached for what it may not touch."""

    exit_code = 4


class OutOfMemory(LimpideError):
    """The model, or its cache for this request, does not fit in memory."""

    exit_code = 5
    http_status = 503


class EndpointFailed(LimpideError):
    """A model behind an address can't be reached, can't answer now, or answers what can't be understood."""

    exit_code = 3
    http_status = 502

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        worth_another_try: bool = False,
    ) -> None:
        super().__init__(what, expected=expected, hint=hint)
        self.retry_after = retry_after
        self.worth_another_try = worth_another_try


class EndpointRefused(BadRequest):
    """A model behind an address was asked for something that it does not do, or by somebody whom it does not know."""

    def __init__(self, what: str, *, hint: str | None = None, status: int = 400) -> None:
        super().__init__(what, hint=hint)
        self.status = status
        """What it answered with."""


class EngineStopped(LimpideError):
    """The engine was closed, or failed, while the request was waiting."""

    http_status = 503


class KeyRefused(BadRequest):
    """The server wants a key, and none came, or one that it does not know, that was revoked or that has expired."""

    http_status = 401


class NotAllowed(BadRequest):
    """Who asks is known, or need not be, but may not do this here."""

    http_status = 403


class LimitReached(BadRequest):
    """A key has used up what it may use for now; `retry_after` says when it may go on."""

    http_status = 429

    def __init__(self, what: str, *, retry_after: float, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, expected=expected, hint=hint)
        self.retry_after = retry_after


class RequestTooLarge(BadRequest):
    """A request has more bytes, headers or parts than the server reads."""

    http_status = 413


class RequestTooSlow(BadRequest):
    """A request's body did not arrive within the time that it may take."""

    http_status = 408


class NotFound(BadRequest):
    """Nothing goes by this id: it never did, or it is over and gone."""

    http_status = 404


class StoreUnavailable(LimpideError):
    """The database of responses, files and batches can't be used: damaged, locked, not ours or not writable."""

    exit_code = 5
    http_status = 503


class Overloaded(LimpideError):
    """More is asked for than can be answered soon. The same request succeeds later."""

    http_status = 503

    def __init__(self, what: str, *, retry_after: int, hint: str | None = None) -> None:
        super().__init__(what, hint=hint or f"ask again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds after which it is worth asking again, at least 1."""


class InvalidShape(BadRequest):
    """A schema, expression or grammar for the answer is not valid, can't be enforced, or costs too much."""

    parameter: str = "shape"
    """What of the request has it: `shape` or `tools`."""


class UnknownTask(BadRequest):
    """No task goes by this name; the nearest names are in the hint."""

    http_status = 404


class InvalidDataset(BadRequest):
    """A file of the user's questions has something in it that can't be asked or graded."""

    def __init__(
        self, what: str, *, line: int | None = None, column: int | None = None, expected: str, hint: str | None = None
    ) -> None:
        where = "" if line is None else f"line {line}: " if column is None else f"line {line}, column {column}: "
        super().__init__(f"{where}{what}", expected=expected, hint=hint)
        self.line = line
        self.column = column


class RunMismatch(BadRequest):
    """A run was to be resumed with something that would give its records another meaning."""


class RunInUse(BadRequest):
    """Another process writes to this run's folder."""

    http_status = 409


class CorruptRun(LimpideError):
    """A run's manifest or records are damaged, or not what their names say."""

    exit_code = 4


class NotComparable(BadRequest):
    """Two runs did not ask the same, so that no difference between them means anything."""
