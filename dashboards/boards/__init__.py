"""Grafana boards as Python: panels over the metric catalogue, with uids and panel ids that are for ever."""

from dashboards.boards.bursts import bursts
from dashboards.boards.failures import failures
from dashboards.boards.memory import memory
from dashboards.boards.overview import overview
from dashboards.boards.panels import Board
from dashboards.boards.pipeline import pipeline
from dashboards.boards.traffic import traffic

BOARDS: dict[str, Board] = {
    "overview": overview(),
    "bursts": bursts(),
    "failures": failures(),
    "memory": memory(),
    "traffic": traffic(),
    "pipeline": pipeline(),
}
