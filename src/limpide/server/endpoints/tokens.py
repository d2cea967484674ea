"""`/tokenize`, `/detokenize`, `/apply-template`: what a model is really given."""

from __future__ import annotations

from fastapi import APIRouter, Request

from limpide.server.context import host_of, settings_of
from limpide.server.wire.chat_request import ChatCompletionRequest, read_chat
from limpide.server.wire.tokens import DetokenizeRequest, PromptReply, TextReply, TokenizeRequest, TokensReply

router = APIRouter(tags=["tokens"])


@router.post("/tokenize")
async def tokenize(request: Request, asked: TokenizeRequest) -> TokensReply:
    """A text as tokens."""
    async with host_of(request).use(asked.model) as model:
        tokens = await model.tokenize(asked.text, special=bool(asked.special), bos=bool(asked.bos))
        return TokensReply(model=model.info.name, tokens=tokens, count=len(tokens))


@router.post("/detokenize")
async def detokenize(request: Request, asked: DetokenizeRequest) -> TextReply:
    """Tokens as text."""
    async with host_of(request).use(asked.model) as model:
        return TextReply(model=model.info.name, text=await model.detokenize(asked.tokens))


@router.post("/apply-template")
async def apply_template(request: Request, asked: ChatCompletionRequest) -> PromptReply:
    """The prompt that a chat completion with this very body would have, and how many tokens it costs."""
    chat, _ = read_chat(asked, settings_of(request).default_think)
    async with host_of(request).use(asked.model) as model:
        rendered = await model.render(chat)
        tokens = list(rendered.tokens)
        return PromptReply(model=model.info.name, prompt=rendered.text, tokens=tokens, count=len(tokens))
