"""The kafka-lag exporter side by side with kafka_exporter and KMinion on one Kafka: `python -m benchmarks.lag`."""
