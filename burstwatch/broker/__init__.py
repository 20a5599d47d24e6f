"""One machine's stand-in for Kafka: a single-node broker on plain files, speaking Kafka's own protocol.

Its behaviour is pinned by tests/kafka, which runs against this broker and against Apache Kafka.
What it is not: replicated, authenticated, transactional, or meant for more than one machine.
"""
