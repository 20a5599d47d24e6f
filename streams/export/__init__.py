"""From state to the outside: the metric catalogue and Prometheus."""
