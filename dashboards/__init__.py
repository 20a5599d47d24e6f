"""How people see it: boards, rules and alerts as code."""
