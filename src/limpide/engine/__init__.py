"""The engine: continuous batching over a paged cache, sampling, and the thinking budget."""
