"""A Kafka consumer of kafka-python that leaves nothing behind where no broker answers."""

from typing import Any

from kafka import KafkaConsumer


def open_consumer(*topics: str, **settings: Any) -> KafkaConsumer:  # noqa: ANN401 - as KafkaConsumer takes them
    """Return ``KafkaConsumer(*topics, **settings)``. Raises what that raises: ``KafkaError`` if no broker answers.

    kafka-python 3.0 starts a thread before it asks for a broker, and leaves it running with its sockets when none
    answers: whoever tries again until Kafka is back would run out of file descriptors in half an hour.
    """
    make_client = settings.pop("kafka_client", KafkaConsumer.DEFAULT_CONFIG["kafka_client"])
    made: list[Any] = []

    def client(**given: Any) -> Any:  # noqa: ANN401 - untyped upstream
        made.append(make_client(**given))
        return made[-1]

    try:
        return KafkaConsumer(*topics, kafka_client=client, **settings)
    except BaseException:
        for one in made:
            one.close()
        raise
