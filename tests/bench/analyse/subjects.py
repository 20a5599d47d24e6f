"""Who analyses a trace, and how: run as a script, in a process of its own, prints what it found and what that cost.

    python subjects.py pandas trace.csv

The basic questions (read the CSV; CV of the gaps per 20-minute window and class; failures per hour and class; ten
quantiles of both lengths per class) are answered by all; only Burstwatch's ``everything`` goes further.
"""

import contextlib
import io
import json
import resource
import sys
import time
from pathlib import Path

PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)
COLUMNS = ["Timestamp", "Model", "Log Type", "Request tokens", "Response tokens"]


def pandas(path):
    import pandas as pd

    frame = pd.read_csv(path, usecols=COLUMNS, dtype={"Model": "category", "Log Type": "category"})
    one = frame.groupby(["Model", "Log Type"], observed=True)
    frame["window"] = (frame["Timestamp"] // 1200).astype("int32")
    key = ["Model", "Log Type", "window"]
    frame["gap"] = frame.groupby(key, observed=True)["Timestamp"].diff()
    gaps = frame.groupby(key, observed=True)["gap"].agg(["count", "mean", "std"])
    cv = (gaps["std"] / gaps["mean"])[gaps["count"] >= 30]
    frame["failed"] = frame["Response tokens"] == 0
    frame["hour"] = (frame["Timestamp"] // 3600).astype("int32")
    failed = frame.groupby(["Model", "Log Type", "hour"], observed=True)["failed"].agg(["size", "sum"])
    fine = frame[~frame["failed"]].groupby(["Model", "Log Type"], observed=True)
    quantiles = fine[["Request tokens", "Response tokens"]].quantile([p / 100 for p in PERCENTS])
    return len(frame), one.ngroups, float(cv.sum()), int(failed["sum"].sum()), float(quantiles.to_numpy().sum())


def duckdb(path):
    import duckdb as db

    connection = db.connect()
    connection.execute("set threads = 2")
    connection.execute(
        """create table t as select "Timestamp" as ts, "Model" as model, "Log Type" as kind,
        "Request tokens" as request, "Response tokens" as response from read_csv(?)""",
        [path],
    )
    rows, classes = connection.execute("select count(*), count(distinct (model, kind)) from t").fetchone()
    (cv,) = connection.execute(
        """select sum(s / m) from (select count(gap) as n, avg(gap) as m, stddev_samp(gap) as s from (
        select model, kind, ts // 1200 as w, ts - lag(ts) over (partition by model, kind, ts // 1200 order by ts) as gap
        from t) group by model, kind, w) where n >= 30"""
    ).fetchone()
    hours = connection.execute(
        "select model, kind, ts // 3600, count(*), sum((response = 0)::int) from t group by all"
    ).fetchall()
    shares = [p / 100 for p in PERCENTS]
    quantiles = connection.execute(
        """select quantile_cont(request, $shares), quantile_cont(response, $shares) from t where response > 0
        group by model, kind""",
        {"shares": shares},
    ).fetchall()
    return rows, classes, cv, sum(row[4] for row in hours), sum(sum(q) for row in quantiles for q in row)


def basic(path):
    import numpy as np

    from workload.analyse.arrivals import Arrivals
    from workload.analyse.classes import leaves
    from workload.analyse.rates import counts
    from workload.analyse.tallies import response_width, tallies
    from workload.analyse.windows import gap_windows
    from workload.trace.read import read_trace

    trace = read_trace(Path(path))
    parts, width = leaves(trace, 12), response_width(trace)
    cv, failed, quantiles = 0.0, 0, 0.0
    for leaf in range(parts.count):
        rows = parts.rows((leaf,))
        windows, _ = gap_windows(Arrivals.of(trace.submitted_us[rows], trace.resolution_us), 1200)
        kept = windows.gaps >= 30
        n, mean = windows.gaps[kept], windows.total[kept] / windows.gaps[kept]
        cv += float(np.sqrt((windows.squares[kept] - n * mean**2) / (n - 1) / mean**2).sum())
        bad = trace.submitted_us[rows & trace.failed]
        failed += int(counts(Arrivals.of(bad, trace.resolution_us), 3600)[1].sum())
        known = tallies(trace, rows, width)
        quantiles += sum(sum(column.percentiles(PERCENTS).values()) for column in (known.request, known.response))
    return len(trace), parts.count, cv, failed, quantiles


def read(path):
    from workload.trace.read import read_trace

    trace = read_trace(Path(path))
    return len(trace), None, None, int(trace.failed.sum()), None


def everything(path):
    from workload.analyse.analysis import analyse
    from workload.trace.read import read_trace

    found = analyse(read_trace(Path(path)))
    leaves = [one for one in found.classes if one.model is not None]
    return found.file.rows, len(leaves), None, found.failures.failed, None


def command(path):
    """`burstwatch trace analyze FILE` as typed: with its burst search in a process beside it."""
    from workload.report.analyze_cli import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = main([path])
    return code, text.getvalue().count("\n") > 30, None, None, None


def make(path):
    """Write a trace of the size and the classes of BurstGPT_3, a million rows at a time."""
    import numpy as np

    from workload.trace.columns import Labels, Trace
    from workload.trace.write import write_trace

    rows, rng = int(sys.argv[3]), np.random.default_rng(3)
    seconds = 9_503_873 * rows / 5_344_021
    rate = 1 + 0.5 * np.sin(np.arange(int(seconds) // 60 + 1) / 1440 * 2 * np.pi)
    rate *= rng.gamma(1.0, 1.0, len(rate))  # minutes differ: bursts of all sizes
    minute = np.repeat(np.arange(len(rate)), rng.multinomial(rows, rate / rate.sum()))
    times = np.sort(minute * 60 + rng.integers(0, 60, rows)) + 19_440_110
    talk = rng.random(rows) < 0.0437
    failed = rng.random(rows) < np.where(talk, 0.0079, 0.0756)
    response = np.minimum(rng.lognormal(np.where(talk, 5.2, 2.7), 1.4, rows) + 1, 5000).astype(np.int32)
    request = np.minimum(rng.lognormal(np.where(talk, 6.2, 5.8), 0.9, rows) + 1, 120_000).astype(np.int32)
    session = np.where(talk, rng.integers(0, 55_920, rows), -1).astype(np.int32)
    trace = Trace.build(
        times.astype(np.int64) * 1_000_000,
        elapsed_us=rng.geometric(0.3, rows).astype(np.int64) * 1_000_000,
        request_tokens=np.where(failed, 0, request).astype(np.int32),
        response_tokens=np.where(failed, 0, response).astype(np.int32),
        model=Labels((rng.random(rows) < 0.148).astype(np.int32), ("ChatGPT", "GPT-4")),
        log_type=Labels(talk.astype(np.int32), ("API log", "Conversation log")),
        session=Labels(session, tuple(f"{i:08x}-0a46-4bf0-aa08-89794e7a2b3f" for i in range(55_920))),
    )
    write_trace(trace, Path(path))
    return rows, None, None, int(failed.sum()), None


if __name__ == "__main__":
    began = time.perf_counter() - time.process_time()  # the interpreter's start counts, too
    answer = globals()[sys.argv[1]](sys.argv[2])
    wall_s, cpu_s = time.perf_counter() - began, time.process_time()
    used, beside = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu_s += beside.ru_utime + beside.ru_stime
    cost = {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": (used.ru_maxrss + beside.ru_maxrss) / 1024}
    print(json.dumps({"answer": answer, **cost}))
