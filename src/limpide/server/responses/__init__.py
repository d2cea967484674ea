"""OpenAI's Responses: from a request and what is stored to a conversation, from a model's events to items."""
