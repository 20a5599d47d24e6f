"""`burstwatch dashboards annotate`: episodes of topic llm.episodes as annotations in a Grafana."""
