"""An analysis in sentences: what to know of a trace before any table. Pure; the same on the terminal and on a page."""

from collections.abc import Iterator

from workload.report.analysis_parts import Facts
from workload.report.numbers import count, duration, known, number, percent

_FAMILIES = {"exponential": "exponential", "gamma": "Gamma", "weibull": "Weibull", "lognormal": "log-normal"}
_RHYTHM = 0.5  # autocorrelation from which a daily rhythm is called one
_WEAK = 0.2
_CALM, _BURSTY = 0.8, 1.2  # CV: below regular, between about Poisson
_CUT_PER_S = 2  # rate from which whole seconds hide most gaps: as ``streams.stats.gamma_fit``


def findings(facts: Facts) -> list[str]:
    """Return the sentences, most important first; of an empty trace, one."""
    if not facts["file"]["rows"]:
        return ["The trace has no requests."]
    parts = (_volume, _burstiness, _family, _dispersion, _rhythm, _bursts, _lengths, _sessions, _failures)
    return [sentence for part in parts for sentence in part(facts)]


def _volume(facts: Facts) -> Iterator[str]:
    rate, told = facts["rate"], facts["file"]
    volume = f"{count(told['rows'], 'request')} in {duration(told['span_s'])}"
    if known(rate["mean_per_s"]):
        peak = rate["peak_minute_per_s"]
        busiest = f", {number(peak)}/s in the busiest minute" if known(peak) else ""
        yield f"{volume}: {number(rate['mean_per_s'])}/s on average{busiest}."
    else:
        yield f"{volume}."
    yield from back_in_time(told)


def back_in_time(told: Facts) -> Iterator[str]:
    """Return what to know of a file (``facts["file"]``) whose rows are not in order of time, if it is one."""
    if told["steps_back"]:
        yield (
            f"The file goes back in time at {count(told['steps_back'], 'row')}, by {duration(told['step_back_max_s'])} "
            "at most; here its rows are in order of time. If it is several traces one after the other, analyse them "
            "one by one."
        )


def _burstiness(facts: Facts) -> Iterator[str]:
    found = facts["burstiness"]
    middle = (found["quantiles"].get("cv") or {}).get("p50")
    if not known(middle):
        yield f"Burstiness by window is not known: no window of {duration(found['window_s'])} has enough requests."
        return
    word = "More regular than Poisson" if middle < _CALM else "About Poisson" if middle <= _BURSTY else "Bursty"
    alpha = (found["quantiles"].get("alpha") or {}).get("p50")
    if cut_gaps(facts):
        yield _by_counts(facts, middle, alpha)
        return
    yield (
        f"{word}: the median CV of the gaps in windows of {duration(found['window_s'])} is {number(middle)} (α "
        f"{number(alpha)}); {percent(found['cv_above_one_ratio'])} of the windows are above 1, which is Poisson."
    )


def cut_gaps(facts: Facts) -> bool:
    """Return whether the gaps' CV means nothing: stamps are whole seconds, and most gaps are shorter."""
    rate = (facts["burstiness"]["quantiles"].get("rate_per_s") or {}).get("p50")
    return bool(facts["file"]["whole_seconds"]) and known(rate) and rate > _CUT_PER_S


def _by_counts(facts: Facts, cv: float, alpha: object) -> str:
    rate = facts["burstiness"]["quantiles"]["rate_per_s"]["p50"]
    verdict = "α is not known"
    if known(alpha):
        calm, bursty = _CALM**-2, _BURSTY**-2
        word = "more regular than Poisson" if alpha > calm else "about Poisson" if alpha >= bursty else "bursty"
        verdict = (
            f"by their counts the requests are {word}: the median α of windows is {number(alpha)}, from counts, not "
            "comparable with an α or a CV of gaps"
        )
    return (
        f"Stamps are whole seconds at {number(rate)} requests/s, so most gaps are cut to 0 and the CV of the gaps "
        f"(median {number(cv)}) means little; {verdict}."
    )


def _family(facts: Facts) -> Iterator[str]:
    wins = {name: share for name, share in facts["burstiness"]["wins"].items() if known(share)}
    if facts["burstiness"]["fitted"] and wins:
        best = max(wins, key=lambda name: wins[name])
        yield (
            f"Of the four families, {_FAMILIES.get(best, best)} describes the gaps best in {of_windows(facts, best)}."
        )


def of_windows(facts: Facts, family: str) -> str:
    """Return in how many windows a family is the best, of how many that were fitted, of how many there are."""
    found = facts["burstiness"]
    fitted, every = found["fitted"], len(found["windows"]["n"])
    rest = f" ({count(every - fitted, 'other has', 'others have')} too few gaps or too many in a second)"
    told = f"{number(round(found['wins'][family] * fitted))} of {count(fitted, 'window')}"
    return told + (rest if every > fitted else "")


def _dispersion(facts: Facts) -> Iterator[str]:
    idc = facts["burstiness"]["overall"]["idc"]
    scale = next((scale for scale in ("60", "10", "1") if known(idc.get(scale))), None)
    if scale is not None:
        yield f"Counts per {scale} s vary {number(idc[scale])} times as much as Poisson’s would."


def _rhythm(facts: Facts) -> Iterator[str]:
    day = facts["rate"]["day_autocorrelation"]
    if not known(day):
        return
    word = "A daily rhythm" if day >= _RHYTHM else "A weak daily rhythm" if day >= _WEAK else "No daily rhythm"
    ratio = facts["rate"]["peak_over_trough"]
    hours = (
        f"; the busiest hour of the day has {number(ratio)} times the requests of the quietest" if known(ratio) else ""
    )
    yield f"{word} (autocorrelation {number(day)} a day apart){hours}."


def _bursts(facts: Facts) -> Iterator[str]:
    found = facts["bursts"]
    if found["n"]:
        yield (
            f"{count(found['n'], 'burst')} ({number(found['per_day'])} a day): {percent(found['time_ratio'])} of the "
            f"time, {percent(found['arrivals_ratio'])} of the requests; half of them over "
            f"{number(found['factor'].get('p50'))} times the base rate and over "
            f"{duration(found['duration_s'].get('p50'))}.{_learning(found)}"
        )
    else:
        yield no_bursts(found)


def no_bursts(found: Facts) -> str:
    """Return why an analysis (``facts["bursts"]``) has no bursts: none was there, or none was looked for."""
    if found["n"] is None:
        learning = duration(found["warmup_s"])
        return f"Bursts were not looked for: the trace is no longer than the {learning} in which the detector learns."
    return f"No burst was found.{_learning(found)}"


def _learning(found: Facts) -> str:
    warmup_s = found["warmup_s"]
    return f" The first {duration(warmup_s)}, in which the detector learns, were not searched." if warmup_s else ""


def _lengths(facts: Facts) -> Iterator[str]:
    request, response = facts["lengths"]["request"], facts["lengths"]["response"]
    told = [
        f"{side} median {number(of['quantiles'].get('p50'))}, p99 {number(of['quantiles'].get('p99'))}"
        for side, of in (("request", request), ("response", response))
        if of["n"]
    ]
    if told:
        correlation = facts["relation"]["spearman"]
        related = f"; rank correlation {number(correlation)}" if known(correlation) else ""
        yield f"Tokens: {', '.join(told)}{related}."


def _sessions(facts: Facts) -> Iterator[str]:
    found = facts["sessions"]
    if found["sessions"]:
        yield (
            f"{count(found['sessions'], 'session')}: {percent(found['single_ratio'])} have one turn, mean "
            f"{number(found['turns']['mean'])}; {percent(found['later_turn_ratio'])} of their requests carry a history."
        )


def _failures(facts: Facts) -> Iterator[str]:
    found = facts["failures"]
    if told := facts["file"].get("outcomes_told"):
        shown = ", ".join(f"{n:,} {name}" for name, n in told.items() if known(n))
        yield f"The file has no column for how requests ended but 0 response tokens; the manifest beside it: {shown}."
    if not found["failed"]:
        if found["n"]:
            yield "No request is marked as failed."
        return
    load, cv = found["rate_correlation"], found["cv_correlation"]
    related = f"; rank correlation with the rate {number(load)}, with the CV {number(cv)}" if known(load) else ""
    yield (
        f"{percent(found['ratio'])} of the requests failed (95 %: {percent(found['lower'])} to "
        f"{percent(found['upper'])}){related}."
    )
