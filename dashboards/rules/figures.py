"""How numbers are written in summaries: as people say them, where ``humanize`` would write "19.73" or "169.2ms". Pure.

Prometheus and Grafana both understand them; there is no arithmetic in either, so a percentage has to stay as it comes.
"""

# What is counted. Kafka's messages and failed requests come whole, though ``increase`` extrapolates.
COUNT = '{{ $value | printf "%.0f" }}'
# A ratio or a rate, of which small values need a digit more.
FIGURE = f'{{{{ if lt $value 10.0 }}}}{{{{ $value | printf "%.1f" }}}}{{{{ else }}}}{COUNT}{{{{ end }}}}'
# Seconds of any size.
DURATION = f"{{{{ if lt $value 60.0 }}}}{COUNT} s{{{{ else }}}}{{{{ $value | humanizeDuration }}}}{{{{ end }}}}"


def unless_now(later: str, now: str) -> str:
    """Return ``later``, which says in how many seconds something happens, or ``now`` for less than one second."""
    return f"{{{{ if lt $value 1.0 }}}}{now}{{{{ else }}}}{later}{{{{ end }}}}"
