"""Things that can answer: a model in this process, and a scripted one for tests and demonstrations."""
