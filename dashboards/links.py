"""Where links in alerts lead: Grafana and the runbook. Users render rules with their own addresses."""

from dataclasses import dataclass

GRAFANA_URL = "http://127.0.0.1:3000"
RUNBOOK_URL = "http://127.0.0.1:8321/runbook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses without a slash at their end; one given with it loses it.

    Attributes:
        grafana_url: the Grafana that has the boards.
        runbook_url: the page that shows ``dashboards/runbook.md``; the live page does.
    """

    grafana_url: str = GRAFANA_URL
    runbook_url: str = RUNBOOK_URL

    def runbook(self, alert: str) -> str:
        """Return the address of an alert's heading.

        >>> Links().runbook("LLMBurstActive")
        'http://127.0.0.1:8321/runbook#llmburstactive'
        """
        return f"{self.runbook_url.rstrip('/')}#{alert.lower()}"

    def dashboard(self, uid: str, *, by_service: bool) -> str:
        """Return the address of a board, at the alert's service if it has one: a template for Prometheus.

        >>> Links(grafana_url="https://g.example/").dashboard("burstwatch-bursts", by_service=False)
        'https://g.example/d/burstwatch-bursts'
        """
        chosen = "?var-service={{ $labels.service }}" if by_service else ""
        return f"{self.grafana_url.rstrip('/')}/d/{uid}{chosen}"


LINKS = Links()
