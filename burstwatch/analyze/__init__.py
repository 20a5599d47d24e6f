"""`burstwatch analyze`: a trace file through the live processors, without Kafka and without waiting."""
