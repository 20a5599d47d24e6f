"""Grafana boards as Python: panels from the metric catalogue, with fixed uids and ids."""

from dashboards.boards.overview import overview
from dashboards.boards.panels import Board

BOARDS: dict[str, Board] = {"overview": overview()}
