"""The agent's configuration: everything that is wrong is said at once, by key."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from collector import cli
from collector.config import ConfigProblems, ProxyConfig, TraceConfig, VllmConfig, parse_config
from collector.schema.codec import Encoding
from collector.schema.errors import OperatorError

ROOT = Path(cli.__file__).parents[1]
BASE = Path("/etc/agent")
GOOD = """
[agent]
id = "a1"
spool_dir = "spool"
[kafka]
bootstrap_servers = ["k1:9092", "k2:9092"]
[[sources]]
type = "trace"
service = "s"
path = "t.csv"
"""
TRACE = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,1,2,ChatGPT,10,20,30,API log\n"
)


def problems_of(text):
    with pytest.raises(ConfigProblems) as found:
        parse_config(tomllib.loads(text), BASE)
    return found.value.problems


def test_defaults_and_paths_relative_to_the_file():
    config = parse_config(tomllib.loads(GOOD), BASE)
    assert config.agent.spool_dir == BASE / "spool"
    assert (config.agent.linger_ms, config.agent.batch_max, config.agent.spool_max_bytes) == (200, 1_000, 2**30)
    assert config.agent.encoding is Encoding.BINARY
    assert (config.kafka.bootstrap_servers, config.kafka.partitions) == ("k1:9092,k2:9092", 4)
    [source] = config.sources
    assert source == TraceConfig(name="trace-0", service="s", path=BASE / "t.csv", speed=1.0, origin=None)


def test_all_problems_are_named_at_once():
    problems = problems_of(
        """
surprise = 1
[agent]
id = "two words"
linger_ms = "fast"
batch_max = 0
encoding = "arrow"
colour = "red"
[kafka]
bootstrap_servers = "nowhere"
security_protocol = "TLS"
sasl_username = "u"
[[sources]]
type = "trace"
speed = -1
origin = "yesterday"
[[sources]]
type = "proxy"
service = "s"
listen = "8080"
upstream = "http://user:secret@host"
[[sources]]
type = "log"
[[sources]]
service = "x"
"""
    )
    named = [problem.split(" ")[0] for problem in problems]
    assert sorted(named) == sorted(
        [
            "agent.id",
            "agent.linger_ms",
            "agent.batch_max",
            "agent.encoding",
            "agent.spool_dir",
            "agent.colour",
            "kafka.bootstrap_servers",
            "kafka.security_protocol",
            "kafka.security_protocol",
            "sources[0].service",
            "sources[0].path",
            "sources[0].speed",
            "sources[0].origin",
            "sources[1].listen",
            "sources[1].upstream",
            "sources[2].type",
            "sources[3].type",
            "surprise",
        ]
    )
    assert not any("secret" in problem for problem in problems)


@pytest.mark.parametrize("text", ["", "agent = 3", "sources = 3", "[agent]\nspool_dir = true", "[[sources]]\ntype = 1"])
def test_wrong_shapes_are_problems_too(text):
    assert problems_of(text)


def test_an_unknown_key_is_told_what_is_known():
    [problem] = problems_of(GOOD.replace("path", "speed = 2\nfile = 'x'\npath"))
    assert problem.startswith("sources[0].file is not known here; known: name, origin, path")


def test_one_name_for_two_sources_is_a_problem():
    again = '[[sources]]\nname = "trace-0"\ntype = "trace"\nservice = "s"\npath = "u.csv"\n'
    assert problems_of(GOOD + again) == ["sources: name 'trace-0' is used twice"]


def test_credentials_that_would_travel_openly_or_not_at_all_are_refused():
    assert "set SASL_SSL" in problems_of(GOOD.replace("[kafka]", '[kafka]\nsasl_username = "u"'))[0]
    assert "SASL needs" in problems_of(GOOD.replace("[kafka]", '[kafka]\nsecurity_protocol = "SASL_SSL"'))[0]


def test_the_example_file_passes_its_check_as_it_is_and_shows_every_source(capsys):
    example = ROOT / "collector" / "agent.example.toml"
    assert cli.main(["-c", str(example), "--check"]) == 0
    assert capsys.readouterr().out == "agent.example.toml: ok, 2 sources\n"
    first, trace = example.read_text().split("# [[sources]]")
    shown = first + "[[sources]]" + trace.replace("\n# ", "\n")
    config = parse_config(tomllib.loads(shown), BASE)
    assert [type(source) for source in config.sources] == [ProxyConfig, VllmConfig, TraceConfig]


def test_check_says_ok_and_starts_nothing(tmp_path, capsys):
    file, trace = tmp_path / "agent.toml", tmp_path / "t.csv"
    file.write_text(GOOD)
    trace.write_text(TRACE)
    assert cli.main(["-c", str(file), "--check"]) == 0
    assert capsys.readouterr().out == "agent.toml: ok, 1 source\n"
    assert sorted(tmp_path.iterdir()) == [file, trace]


def test_check_lists_a_trace_that_cannot_be_played_among_the_other_problems(tmp_path):
    file = tmp_path / "agent.toml"
    file.write_text(GOOD)
    with pytest.raises(OperatorError, match=r"agent\.toml: sources\[0\]\.path cannot be played.*t\.csv: No such file"):
        cli.main(["-c", str(file), "--check"])
    (tmp_path / "t.csv").write_text("when,how\n")
    file.write_text(GOOD.replace('"a1"', '"a 1"'))
    with pytest.raises(OperatorError) as found:
        cli.main(["-c", str(file), "--check"])
    head, *listed = str(found.value).split("\n  ")
    assert head.endswith("agent.toml: 2 problems")
    assert [line.split(" ")[0] for line in listed] == ["agent.id", "sources[0].path"]


@pytest.mark.parametrize("sources", ["sources = 5", "sources = [5]", '[[sources]]\ntype = "trace"\npath = 5'])
def test_check_of_sources_that_are_none_tells_what_the_configuration_lacks(tmp_path, sources):
    file = tmp_path / "agent.toml"
    file.write_text(sources)
    with pytest.raises(OperatorError, match="problems"):
        cli.main(["-c", str(file), "--check"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read"),
        ("[[", "is not TOML"),
        ("[agent]\n", "problems"),
        (GOOD.replace('"a1"', '"a 1"'), "agent.id"),
    ],
)
def test_the_operator_is_told_what_to_mend(tmp_path, content, said):
    file = tmp_path / "agent.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OperatorError, match=said):
        cli.main(["-c", str(file), "--check"])


def test_a_taken_port_names_the_option(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "agent.toml"
        proxy = f'[[sources]]\ntype="proxy"\nservice="s"\nlisten="127.0.0.1:{port}"\nupstream="http://h"\n'
        file.write_text(GOOD + proxy)
        with pytest.raises(OperatorError, match=rf"sources\[1\]\.listen = \"127\.0\.0\.1:{port}\""):
            cli.main(["-c", str(file)])


def test_the_agent_loads_neither_the_stream_side_nor_the_parts_of_its_children():
    heavy = "{'faust', 'numpy', 'aiokafka', 'rich', 'kafka', 'aiohttp', 'streams', 'workload'}"
    code = f"import sys, collector.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_children_load_only_what_the_agents_requirements_bring():
    listed = {
        line.split(">")[0].strip().replace("-", "_").replace("kafka_python", "kafka")
        for line in (ROOT / "requirements-agent.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    modules = "collector.sidecar, collector.shipper, collector.sources.proxy, collector.sources.vllm"
    code = f"import sys, {modules}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"faust", "mode", "numpy", "aiokafka", "rich", "streams", "workload", "burstwatch"}
    assert {"kafka", "aiohttp", "orjson", "prometheus_client"} <= loaded & listed
