"""A simulated engine: OpenAI-compatible HTTP over a paged KV cache, with no GPU and no model behind it."""
