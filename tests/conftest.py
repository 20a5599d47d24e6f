"""Fixtures every suite may ask for, and a loud word when real Kafka was left out."""

import pytest

from tests.support.broker import REAL_KAFKA, kafka

__all__ = ["kafka"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ran = [
        report
        for reports in (terminalreporter.stats.get("passed", []), terminalreporter.stats.get("failed", []))
        for report in reports
        if "kafka" in getattr(report, "keywords", {})
    ]
    if not ran:
        return
    if REAL_KAFKA:
        terminalreporter.write_line(f"Kafka tests ran against BURSTWATCH_TEST_KAFKA={REAL_KAFKA}", green=True)
    else:
        terminalreporter.write_sep("!", "REAL KAFKA WAS SKIPPED: embedded broker only", yellow=True, bold=True)
        terminalreporter.write_line(
            "Kafka tests ran against the embedded broker. `make test-kafka` runs them against Apache Kafka; "
            "BURSTWATCH_TEST_KAFKA=host:port names any other broker.",
            yellow=True,
        )
