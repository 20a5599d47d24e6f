"""The contract between all parts: events, codec, topics, trace rows. Stdlib and orjson only."""
