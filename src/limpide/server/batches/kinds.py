"""What a batch can be made of: endpoints and the form of their bodies."""

from __future__ import annotations

from collections.abc import Mapping

from limpide.server.wire.base import Ask
from limpide.server.wire.chat_request import ChatCompletionRequest
from limpide.server.wire.completion_request import CompletionRequest
from limpide.server.wire.embeddings import EmbeddingRequest
from limpide.server.wire.message_request import MessageRequest
from limpide.server.wire.responses import ResponseRequest

BODIES: Mapping[str, type[Ask]] = {
    "/v1/chat/completions": ChatCompletionRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/v1/responses": ResponseRequest,
    "/v1/messages": MessageRequest,
}
