"""What goes wrong between a push and a Grafana: one clear line each, exit code 2, and no secret in it."""

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from burstwatch.cli import main
from dashboards.grafana.client import Grafana
from tests.support.fake_grafana import FakeGrafana, fake_grafana

SETTINGS = "GET /api/frontend/settings"


def page(status: int, kind: str = "text/html", **headers: str):
    return lambda handler: handler.answer(status, "<!DOCTYPE html><html>Sign in</html>", kind, **headers)


def error(capsys) -> str:
    text = capsys.readouterr().err
    assert text.startswith("burstwatch dashboards: ")
    assert text.count("\n") == 1
    assert "Traceback" not in text
    return text


def test_a_wrong_token_is_said_without_the_token(grafana: FakeGrafana, push, token: Path, capsys):
    token.write_text("glsa_very_secret")
    assert push() == 2
    text = error(capsys)
    assert "does not accept the credentials (401: Invalid API key)" in text
    assert "glsa" not in text
    assert grafana.writes == []


RIGHTS = (
    ("viewer", (), "folders:create (the Editor role has it)"),
    ("editor", ("--datasource-url", "http://p:9090"), "datasources:read (the Admin role has it)"),
    ("editor", ("--contact-point-webhook", "http://h"), "alert.provisioning:read (the Admin role has it)"),
)


@pytest.mark.parametrize("case", RIGHTS)
def test_too_few_rights_are_named(push, token: Path, capsys, case):
    role, options, right = case
    token.write_text(role)
    assert push(*options) == 2
    text = error(capsys)
    assert "(403: " in text
    assert f"the service account needs {right}" in text


def test_an_editor_can_push_folder_and_boards(grafana: FakeGrafana, push, token: Path):
    token.write_text("editor")
    assert push() == 0


@pytest.mark.parametrize("version", ["9.5.21", "10.3.0", "8.0.0-beta1"])
def test_a_grafana_that_is_too_old_is_told_what_is_needed(grafana: FakeGrafana, push, capsys, version):
    grafana.version = version
    assert push() == 2
    text = error(capsys)
    assert f"is version {version}" in text
    assert "need 10.4 or newer" in text
    assert grafana.writes == []


@pytest.mark.parametrize("version", ["10.4.19", "11.6.0-pre", "13.3.1+security-01", None, ""])
def test_a_grafana_that_is_new_enough_or_hides_its_version_is_fine(grafana: FakeGrafana, push, version):
    grafana.version = version
    assert push() == 0


def test_nobody_there(push, capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert push(url=url) == 2
    assert f"no Grafana answers at {url}" in error(capsys)
    assert push(url="http://no-such-host.invalid") == 2
    assert "no Grafana answers at http://no-such-host.invalid" in error(capsys)


def test_trouble_that_passes_is_waited_for_and_other_is_said(grafana: FakeGrafana, push, capsys):
    grafana.fail(SETTINGS, 503)
    grafana.fail(SETTINGS, 500)
    assert push() == 0
    grafana.fail("GET /api/dashboards", 502, 3)
    assert push() == 2
    assert "is in trouble, reading board" in error(capsys)
    assert grafana.failing == []


def test_who_asks_too_often_waits_and_asks_again(grafana: FakeGrafana, push, capsys):
    grafana.fail("GET /api/dashboards", 429, 2, message="Too many requests")
    assert push() == 0
    grafana.fail("GET /api/dashboards", 429, 3, message="Too many requests")
    assert push() == 2
    assert "is asked too often, reading board" in error(capsys)
    assert grafana.failing == []


def test_what_is_refused_is_not_asked_again(grafana: FakeGrafana, push):
    grafana.fail(SETTINGS, 401, 2)
    assert push() == 2
    assert len(grafana.failing) == 1


def test_a_creation_that_may_have_happened_is_not_repeated_blindly(grafana: FakeGrafana, push, capsys):
    grafana.fail("POST /api/folders", 504, 2)
    assert push() == 2
    assert len(grafana.failing) == 1
    assert "is in trouble, creating folder" in error(capsys)


def test_a_grafana_that_does_not_answer_is_asked_three_times(grafana: FakeGrafana, push, capsys):
    grafana.stall(SETTINGS, 3)
    assert push("--timeout", "0.2") == 2
    assert "did not answer in time" in error(capsys)
    assert grafana.asked == [SETTINGS] * 3


def test_between_the_tries_there_are_pauses_that_grow():
    from grafana_client.client import GrafanaTimeoutError

    slept = []
    answers = iter([GrafanaTimeoutError(0, None, ""), GrafanaTimeoutError(0, None, ""), {"fine": 1}])

    def call(_api):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    assert Grafana(None, "http://x", slept.append).ask("asking", call, right="none") == {"fine": 1}
    assert slept == [0.5, 2.0]


def test_a_board_saved_behind_a_proxy_that_lost_patience_is_saved_again_to_the_same_effect(grafana: FakeGrafana, push):
    push()
    uid = min(grafana.boards)
    grafana.edit_board(uid, lambda board: board.update(title="Mine"))
    grafana.fail("POST /api/dashboards/db", 504, done=True)
    assert push() == 0
    assert push("--check") == 0


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_a_page_instead_of_json_is_told_apart(grafana: FakeGrafana, push, capsys, kind):
    grafana.failing.append((SETTINGS, page(200, kind)))
    assert push() == 2
    assert "a page instead of JSON: a proxy or a login page" in error(capsys)


@pytest.mark.parametrize("answer", [{}, [], {"buildInfo": None}, 5])
def test_another_server_that_speaks_json_is_no_grafana(grafana: FakeGrafana, push, capsys, answer):
    grafana.failing.append((SETTINGS, lambda handler: handler.answer(200, answer)))
    assert push() == 2
    assert "is no Grafana; correct --url" in error(capsys)


def test_a_redirect_is_not_followed_as_it_would_lose_what_is_sent(grafana: FakeGrafana, push, capsys):
    grafana.failing.append((SETTINGS, page(301, Location="https://grafana.example/api/frontend/settings")))
    assert push() == 2
    assert "sends callers on to https://grafana.example/" in error(capsys)
    assert grafana.writes == []


def test_a_path_prefix_has_to_be_in_the_address(grafana: FakeGrafana, push, capsys):
    bare = grafana.url
    grafana.prefix = "/grafana"
    assert push(url=bare) == 2
    assert "--url must name it" in error(capsys)
    assert push() == 0
    assert push(url=grafana.url + "/") == 0


def test_tls_troubles_are_told_apart(grafana: FakeGrafana, push, tmp_path: Path, capsys):
    assert push(url=grafana.url.replace("http://", "https://")) == 2
    assert "no TLS with https://" in error(capsys)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with fake_grafana() as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        url = secure.url.replace("http://", "https://")
        assert push(url=url) == 2
        assert "is not trusted; --ca-file names the authority" in error(capsys)
        assert push("--ca-file", str(certificate), url=url) == 0
    assert push("--ca-file", str(tmp_path / "none"), url=url) == 2
    assert "there is no such file" in error(capsys)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:3000", "give an address such as http://HOST:3000"),
        ("ftp://x", "give an address such as"),
        ("http://", "give an address such as"),
        ("http://x:99999", "Port out of range"),
        ("http://admin:topsecret@x:3000", "--password-file"),
        ("http://admin:topsecret@x:99999", "--password-file"),
        ("http://admin:topsecret@[x", "--password-file"),
        ("admin:topsecret@x:3000", "--password-file"),
        ("ftp://x/?token=topsecret", "give an address such as"),
        ("http://x:3000/?verify=false", "what follows the ?"),
    ],
)
def test_addresses_that_are_none(push, capsys, url, words):
    assert push(url=url) == 2
    text = error(capsys)
    assert words in text
    assert "topsecret" not in text


@pytest.mark.parametrize("option", ["--datasource-url", "--contact-point-webhook", "--runbook-url"])
def test_other_addresses_are_looked_at_before_anything_is_written(grafana: FakeGrafana, push, capsys, option):
    assert push("--rules", option, "prometheus:9090") == 2
    assert option in error(capsys)
    assert grafana.asked == []


@pytest.fixture
def bare(grafana: FakeGrafana, monkeypatch):
    """Run a push without any credentials but those given."""
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    return lambda *options: main(["dashboards", "push", "--url", grafana.url, *map(str, options)])


def test_who_one_is_comes_from_a_file_the_environment_or_a_user(bare, token: Path, tmp_path: Path, monkeypatch, capsys):
    assert bare() == 2
    assert "GRAFANA_TOKEN" in error(capsys)
    monkeypatch.setenv("GRAFANA_TOKEN", "wrong")
    assert bare("--token-file", token) == 0  # what is given wins over what is set
    monkeypatch.setenv("GRAFANA_TOKEN", " s3cret\n")
    assert bare() == 0
    monkeypatch.delenv("GRAFANA_TOKEN")
    password = tmp_path / "password"
    for secret in ("pa:ss\n", "пароль"):
        password.write_text(secret)
        assert bare("--user", "admin", "--password-file", password) == 0
    password.write_text("wrong")
    assert bare("--user", "admin", "--password-file", password) == 2


def test_secrets_that_are_missing_or_misplaced(bare, token: Path, tmp_path: Path, capsys):
    empty, two_lines, binary, words = (tmp_path / name for name in ("empty", "two", "binary", "words"))
    words.write_text("glsa_пароль")
    empty.write_text("\n")
    two_lines.write_text("glsa_a\nglsa_b")
    binary.write_bytes(b"\xff\xfe")
    for options, expected in (
        (("--token-file", words), "that is no token"),
        (("--token-file", tmp_path / "none"), "cannot read --token-file"),
        (("--token-file", empty), "is empty"),
        (("--token-file", binary), "is no text"),
        (("--token-file", two_lines), "on one line"),
        (("--token-file", token, "--user", "admin"), "give one of them"),
        (("--user", "admin"), "--user needs --password-file"),
        (("--password-file", token), "--password-file needs --user"),
        (("--token-file", token, "--timeout", "0"), "--timeout 0"),
    ):
        assert bare(*options) == 2
        text = error(capsys)
        assert expected in text
        assert "glsa_" not in text.replace("glsa_...", "")


def test_without_the_extra_push_says_how_to_get_it(token: Path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "grafana_client", None)
    assert main(["dashboards", "push", "--url", "http://127.0.0.1:1", "--token-file", str(token)]) == 2
    assert "pip install --no-binary urllib3-future 'burstwatch[grafana]'" in error(capsys)


def test_the_help_and_other_verbs_do_without_the_extra():
    """grafana-client brings an HTTP library that replaces urllib3 where it is: only a push loads it."""
    code = (
        "import sys, burstwatch.cli as c\n"
        "try: c.main(['dashboards', 'push', '--help'])\n"
        "except SystemExit: pass\n"
        "c.main(['dashboards', 'generate', '--check'])\n"
        "assert not {'grafana_client', 'niquests', 'urllib3_future'} & set(sys.modules), 'loaded'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "service account" in done.stdout.lower()
