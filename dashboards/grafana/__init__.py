"""What push and annotate do to a Grafana: plans that are pure, and one door to the server (``client``)."""
