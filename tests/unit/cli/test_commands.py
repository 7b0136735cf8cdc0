"""The client commands in scripts, against a fake API."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from stepway.cli.client import events
from stepway.cli.client.errors import ClientError
from stepway.cli.main import COMMANDS, app, load_command, main

ID = "0b0e8a3c-6c1a-5f0e-9d3f-0c4b5a697887"
INITIALIZATION = f"/api/projects/{ID}/initialization"
EVENTS = f"{INITIALIZATION}/events"
AT = "2025-03-01T12:00:00+00:00"


class Server(ThreadingHTTPServer):
    """Returns prepared responses and records the requests.

    An answer is (status, JSON); a stream's is (200, text), which is sent and then cut off.
    A list of answers is given out one by one, its last again and again.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, call: str) -> list[Any]:
        return [body for asked, _, body in self.asked if asked == call]

    def headers(self, call: str) -> list[dict[str, str]]:
        return [headers for asked, headers, _ in self.asked if asked == call]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = f"{self.command} {self.path}"
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((call, headers, json.loads(body) if body else None))
        answer = self.server.answers.get(call.partition("?")[0])
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            answer = (404, {"title": "Not Found", "detail": f"nothing at {self.path}"})
        if answer == "hang up":
            return
        status, content = answer
        streamed = isinstance(content, str)
        self.send_response(status)
        kind = "text/event-stream" if streamed else "application/problem+json"
        self.send_header("Content-Type", kind)
        self.end_headers()
        if status != 204:
            text = content if streamed else json.dumps(content)
            self.wfile.write(str(text).encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(events, "_FIRST_PAUSE", 0.001)
    with Server() as server:
        monkeypatch.setenv("STEPWAY_API_URL", server.url)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def project(**changed: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "shop",
        "owner": "local",
        "blueprint": "web-service",
        "status": "initializing",
        "progress": 0,
        "initialization_started_at": AT,
        "initialization_completed_at": None,
        "initialization_error": None,
        "created_at": AT,
        "updated_at": AT,
        **changed,
    }


def step(name: str, status: str = "pending", **changed: Any) -> dict[str, Any]:
    return {
        "step": name,
        "display_name": name.capitalize(),
        "sequence": 1,
        "status": status,
        "progress": 0,
        "started_at": None if status == "pending" else AT,
        "completed_at": None,
        "duration": None,
        "error": None,
        "metadata": {},
        "parent_step": None,
        "attempt": 1,
        "message": None,
        "undone_at": None,
        "updated_at": AT,
        **changed,
    }


def initialization(*steps: dict[str, Any], version: int = 1, **changed: Any) -> dict[str, Any]:
    return {"project": project(**changed), "steps": list(steps), "progress": 0, "version": version}


def event(kind: str, version: int, **data: Any) -> str:
    body = json.dumps({"version": version, "progress": 0, **data})
    return f"event: {kind}\nid: {version}\ndata: {body}\n\n"


def page(*items: Any, next_cursor: str | None = None) -> tuple[int, Any]:
    return 200, {"items": list(items), "next_cursor": next_cursor}


# create


def test_create_sends_name_blueprint_parameters_and_a_key_of_its_own(server: Server) -> None:
    server.answers["POST /api/projects"] = (201, initialization(step("push")))
    arguments = ("create", "shop", "--blueprint", "web-service", "--param", "port=80")
    first, second = run(*arguments), run(*arguments)
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    sent = {"name": "shop", "blueprint": "web-service", "parameters": {"port": 80}}
    assert server.bodies("POST /api/projects") == [sent, sent]
    keys = {headers["idempotency-key"] for headers in server.headers("POST /api/projects")}
    assert len(keys) == 2
    assert ID in first.stdout
    assert "stepway watch shop" in first.stdout


def test_create_shows_each_bad_parameter_by_name(server: Server) -> None:
    problem = {
        "title": "Unprocessable Content",
        "detail": "2 parameters are not as the blueprint asks",
        "errors": [
            {"name": "port", "pointer": "/parameters/port", "detail": "must be an integer"},
            {"name": "tags.0", "pointer": "/parameters/tags/0", "detail": "must be text"},
        ],
    }
    server.answers["POST /api/projects"] = (422, problem)
    result = run("create", "shop")
    assert str(result.exception).splitlines() == [
        "2 parameters are not as the blueprint asks",
        "  port: must be an integer",
        "  tags.0: must be text",
    ]


def test_detail_that_names_its_one_part_already_is_not_said_twice(server: Server) -> None:
    wrong = {"name": "blueprint", "pointer": "/blueprint", "detail": "there is no blueprint x"}
    problem = {"detail": "there is no blueprint x", "errors": [wrong]}
    server.answers["POST /api/projects"] = (422, problem)
    assert str(run("create", "shop").exception) == "there is no blueprint x"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("hang up", "was lost before the response arrived"),
        ((503, {"detail": "no worker answers"}), "not confirmed in time: no worker answers"),
    ],
)
def test_start_without_an_answer_says_how_to_find_it(
    server: Server, answer: Any, said: str
) -> None:
    server.answers["POST /api/projects"] = answer
    result = run("create", "shop", "--idempotency-key", "k1")
    assert isinstance(result.exception, ClientError)
    assert said in str(result.exception)
    assert "--idempotency-key k1" in str(result.exception)


def test_created_and_watched_leaves_with_the_status_of_the_watch(server: Server) -> None:
    server.answers["POST /api/projects"] = (201, initialization(step("push")))
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(step("push")))
    server.answers[f"GET {EVENTS}"] = (200, event("end", 2, status="cancelled"))
    assert run("create", "shop", "--watch").exit_code == 2


# watch


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("active", 0, "shop is active"),
        ("failed", 1, "shop failed"),
        ("cancelled", 2, "shop was cancelled"),
    ],
)
def test_watch_after_the_end_exits_with_the_status(
    server: Server, status: str, code: int, said: str
) -> None:
    ended = initialization(step("push"), status=status, initialization_completed_at=AT)
    server.answers[f"GET {INITIALIZATION}"] = (200, ended)
    result = run("watch", ID)
    assert result.exit_code == code
    assert said in result.stdout


def test_watch_resumes_after_a_lost_connection_by_the_last_id(server: Server) -> None:
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(step("push"), version=4))
    running = step("push", "running")
    done = step("push", "completed", duration=1500, completed_at=AT)
    server.answers[f"GET {EVENTS}"] = [
        (200, "retry: 700\n\n" + event("step", 5, step=running) + ": still here\n\n"),
        "hang up",
        (503, {"detail": "starting"}),
        (200, event("step", 6, step=done) + event("end", 7, status="active")),
    ]
    result = run("watch", ID)
    assert result.exit_code == 0, result.output
    ids = [headers["last-event-id"] for headers in server.headers(f"GET {EVENTS}")]
    assert ids == ["4", "5", "5", "5"]
    assert result.stdout.count("connection lost, reconnecting") == 1
    assert result.stdout.count("reconnected") == 1
    log = [" ".join(line.split()[1:]) for line in result.stdout.splitlines()]
    assert "push running" in log
    assert "push completed 1.5 s" in log


def test_watch_that_comes_after_the_end_reads_how_it_ended(server: Server) -> None:
    ended = initialization(step("push"), status="failed", initialization_completed_at=AT)
    server.answers[f"GET {INITIALIZATION}"] = [(200, initialization(step("push"))), (200, ended)]
    server.answers[f"GET {EVENTS}"] = (204, None)
    assert run("watch", ID).exit_code == 1


def test_watch_leaves_at_a_failure_that_waits_and_follow_stays(server: Server) -> None:
    waiting = initialization(step("push", "failed", error="no space"), status="failed")
    server.answers[f"GET {INITIALIZATION}"] = (200, waiting)
    left = run("watch", ID)
    assert left.exit_code == 1
    assert "stepway retry shop push" in left.stdout
    again = event("project", 2, project={"status": "initializing"})
    server.answers[f"GET {EVENTS}"] = (200, again + event("end", 3, status="active"))
    assert run("watch", ID, "--follow").exit_code == 0


def test_help_of_the_demo_names_its_script() -> None:
    module = "stepway.cli.commands.demo"
    said = subprocess.run([sys.executable, "-m", module, "-h"], capture_output=True, check=True)
    assert "Usage: scripts/demo [OPTIONS]" in said.stdout.decode()


def test_watch_stays_at_a_failure_that_is_being_cancelled(server: Server) -> None:
    cancelling = {"status": "failed", "cancel_requested_at": AT}
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(step("push"), **cancelling))
    server.answers[f"GET {EVENTS}"] = (200, event("end", 2, status="cancelled"))
    watched = run("watch", ID)
    assert watched.exit_code == 2
    assert "cancelling" in watched.output


def test_list_and_steps_say_that_a_project_is_being_cancelled(server: Server) -> None:
    cancelling = project(cancel_requested_at=AT)
    server.answers["GET /api/projects"] = page(cancelling)
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(**cancelling))
    for command in (["list"], ["steps", ID]):
        said = run(*command).stdout
        assert "cancelling" in said
        assert "initializing" not in said


def test_watch_of_a_project_deleted_meanwhile_ends_with_its_error(server: Server) -> None:
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(step("push")))
    server.answers[f"GET {EVENTS}"] = (404, {"detail": "no such project"})
    result = run("watch", ID)
    assert isinstance(result.exception, ClientError)
    assert str(result.exception) == "no such project"


def test_interrupted_watch_says_that_the_initialization_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[events.Event]:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepway.cli.commands.watch.follow_events", interrupted)
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(step("push")))
    result = run("watch", ID)
    assert result.exit_code == 130
    assert "continues" in result.stdout
    assert "stepway watch shop" in result.stdout


# listings


def test_list_goes_on_page_by_page_up_to_its_limit(server: Server) -> None:
    pages = [page(*[project(name=f"p{i}{j}") for j in range(3)], next_cursor="c") for i in range(3)]
    server.answers["GET /api/projects"] = pages
    result = run("list", "--limit", "5", "--status", "failed", "--json")
    assert [p["name"] for p in json.loads(result.stdout)] == ["p00", "p01", "p02", "p10", "p11"]
    queries = [parse_qs(urlsplit(asked.split()[1]).query) for asked, _, _ in server.asked]
    assert [q["status"] for q in queries] == [["failed"], ["failed"]]
    assert [q.get("cursor") for q in queries] == [None, ["c"]]


def test_list_is_a_table_and_says_so_when_there_is_nothing(server: Server) -> None:
    server.answers["GET /api/projects"] = page(project())
    assert "shop" in run("list").stdout
    server.answers["GET /api/projects"] = page()
    assert "stepway create" in run("list").stdout


def test_unknown_status_is_a_usage_error(server: Server) -> None:
    assert run("list", "--status", "done").exit_code == 2
    assert server.asked == []


def test_project_is_found_by_name_on_a_later_page(server: Server) -> None:
    others = page(project(name="other", id="x"), next_cursor="c")
    server.answers["GET /api/projects"] = [others, page(project())]
    server.answers[f"GET {INITIALIZATION}/steps"] = (200, [step("push")])
    result = run("steps", "shop", "--json")
    assert [s["step"] for s in json.loads(result.stdout)] == ["push"]


def test_unknown_name_is_refused(server: Server) -> None:
    server.answers["GET /api/projects"] = page(project(name="shop-2"))
    assert "no project named 'shop'" in str(run("steps", "shop").exception)


def test_name_of_several_owners_is_refused_with_their_ids(server: Server) -> None:
    other = project(owner="eve", id="1b0e8a3c-6c1a-5f0e-9d3f-0c4b5a697887")
    server.answers["GET /api/projects"] = page(project(), other)
    said = str(run("steps", "shop").exception)
    assert f"{ID}  owner local" in said
    assert f"{other['id']}  owner eve" in said


def test_steps_are_a_table_with_sub_steps_below_their_parent(server: Server) -> None:
    rows = [step("push", "running"), step("push.render", "running", parent_step="push")]
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(*rows))
    lines = run("steps", ID).stdout.splitlines()
    assert [line.split()[1] for line in lines if "running" in line] == ["Push", "Push.render"]


def test_attempts_of_all_rounds_are_counted(server: Server) -> None:
    rows = [step("push", "completed", round=2, attempt=1), step("make", "completed", round=1)]
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(*rows))
    numbers = [(1, 1), (1, 2), (1, 3), (2, 1)]
    tries = [{"round": number, "attempt": attempt} for number, attempt in numbers]
    server.answers[f"GET {INITIALIZATION}/steps/push/attempts"] = (200, tries)
    table = run("steps", ID).stdout.splitlines()
    (push,) = [line.split() for line in table if "Push" in line]
    (make,) = [line.split() for line in table if "Make" in line]
    assert (push[-1], make[-1]) == ("4", "1")


def test_watch_names_the_parameter_that_the_error_speaks_of(server: Server) -> None:
    failed = step("push", "failed", error="Credential acme not found")
    waiting = initialization(failed, status="failed", parameters={"credential": "acme"})
    server.answers[f"GET {INITIALIZATION}"] = (200, waiting)
    preview = {"runs": ["push"], "keeps": [], "parameters": ["credential", "size"]}
    server.answers[f"GET {INITIALIZATION}/steps/push/retry"] = (200, preview)
    said = run("watch", ID).stdout
    assert "stepway retry shop push\n" in said
    assert "To change a parameter, add: --param credential=CREDENTIAL" in said


def test_history_reads_every_page_and_says_who_did_what_and_why(server: Server) -> None:
    row = {"version": 3, "type": "step", "action": "skipped", "step": "push", "actor": "eve"}
    row |= {"at": AT, "payload": {"step": step("push", metadata={"reason": "not needed"})}}
    pages = [(200, {"items": [row], "next_after": 3}), (200, {"items": [], "next_after": None})]
    server.answers[f"GET {INITIALIZATION}/history"] = [*pages]
    output = run("history", ID).stdout
    for said in ("eve", "skipped", "push", "not needed"):
        assert said in output
    server.answers[f"GET {INITIALIZATION}/history"] = [*pages]
    assert json.loads(run("history", ID, "--json").stdout) == [row]


def history_row(action: str, **changed: Any) -> dict[str, Any]:
    row = {"version": 3, "type": "step", "action": action, "step": "push", "actor": "eve"}
    return {**row, "at": AT, "payload": {"step": step("push", **changed)}}


def test_history_says_which_parameters_a_retry_changed(server: Server) -> None:
    changed = {
        "region": {"from": "us", "to": "eu"},
        "size": {"from": None, "to": 3},
        "token": {"from": "[redacted]", "to": "[redacted]"},
    }
    retry = {"actor": "eve", "parameters": changed}
    # The step has it until its next round, so later events have it too.
    rows = [history_row(action, metadata={"retry": retry}) for action in ("retried", "started")]
    server.answers[f"GET {INITIALIZATION}/history"] = (200, {"items": rows, "next_after": None})
    retried, started = run("history", ID).stdout.splitlines()[-2:]
    assert "region: us → eu, size: none → 3, token: [redacted] → [redacted]" in retried
    assert "region" not in started


def test_history_says_why_a_rollback_failed(server: Server) -> None:
    undo = {"status": "failed", "error": "somebody pushed to it"}
    rows = [history_row("undo_failed", status="completed", metadata={"undo": undo})]
    server.answers[f"GET {INITIALIZATION}/history"] = (200, {"items": rows, "next_after": None})
    assert "somebody pushed to it" in run("history", ID).stdout


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (step("push", "failed", error="size: does not fit"), "No attempts: size: does not fit"),
        (step("push"), "No attempts yet."),
        (step("push", parent_step="all"), "No attempts: it is a part of all, which has the"),
    ],
)
def test_step_without_attempts_says_why(server: Server, row: dict[str, Any], said: str) -> None:
    server.answers[f"GET {INITIALIZATION}/steps/push/attempts"] = (200, [])
    server.answers[f"GET {INITIALIZATION}/steps"] = (200, [row])
    result = run("attempts", ID, "push")
    assert result.exit_code == 0
    assert result.stdout.startswith(said)


def test_statistics_are_a_table_of_runs_failures_and_durations(server: Server) -> None:
    counts = {"runs": 4, "failures": 1, "skipped": 3, "cancelled": 2, "attempts": 9}
    names = {"blueprint": "web-service", "step": "push", "display_name": "Push"}
    times = {"average": 1600, "p50": 1500, "p95": 12_000, "max": 13_000}
    row = {**names, **counts, "first_try_rate": 0.6667, **times}
    never = {**row, "display_name": "Rest", "first_try_rate": None, "p50": None, "p95": None}
    server.answers["GET /api/analytics/steps"] = (200, [row, never])
    lines = [line.split() for line in run("statistics", "-b", "web-service").stdout.splitlines()]
    assert lines[1] == [
        "web-service",
        "Push",
        "4",
        "1",
        "3",
        "2",
        "9",
        "67%",
        "1.5",
        "s",
        "12",
        "s",
    ]
    assert lines[2] == ["web-service", "Rest", "4", "1", "3", "2", "9"]
    ((asked, _, _),) = server.asked
    assert parse_qs(urlsplit(asked.split()[1]).query) == {"blueprint": ["web-service"]}
    assert json.loads(run("statistics", "--json").stdout) == [row, never]
    server.answers["GET /api/analytics/steps"] = (200, [])
    assert "No step has ended" in run("statistics").stdout


# controls


def test_retry_of_a_step_shows_what_would_run_and_sends_changed_parameters(server: Server) -> None:
    path = f"{INITIALIZATION}/steps/push/retry"
    server.answers[f"GET {path}"] = (200, {"runs": ["push", "finalize"], "keeps": ["create"]})
    server.answers[f"POST {path}"] = (202, {})
    server.answers[f"GET /api/projects/{ID}"] = (200, {"blueprint": "typed"})
    schema = {"properties": {"port": {"type": "integer"}, "version": {"type": "string"}}}
    server.answers["GET /api/blueprints/typed"] = (200, {"parameters": schema})
    result = run("retry", ID, "push", "--param", "port=80", "--param", "version=1.10")
    assert result.exit_code == 0, result.output
    assert "push, finalize" in result.stdout
    assert server.bodies(f"POST {path}") == [{"parameters": {"port": 80, "version": "1.10"}}]


def test_retry_without_a_step_is_of_all_that_failed(server: Server) -> None:
    path = f"{INITIALIZATION}/retry"
    server.answers[f"GET {path}"] = (200, {"runs": ["push", "finalize"], "keeps": ["create"]})
    server.answers[f"POST {path}"] = (202, {})
    result = run("retry", ID)
    assert result.exit_code == 0
    assert "Will run: push, finalize" in result.stdout
    assert "Kept:     create" in result.stdout
    assert len(server.bodies(f"POST {path}")) == 1
    assert run("retry", ID, "--param", "port=80").exit_code == 2


def test_skip_needs_a_reason_and_sends_it(server: Server) -> None:
    path = f"{INITIALIZATION}/steps/push/skip"
    server.answers[f"POST {path}"] = (202, {})
    assert run("skip", ID, "push").exit_code == 2
    assert run("skip", ID, "push", "--reason", "not needed").exit_code == 0
    assert server.bodies(f"POST {path}") == [{"reason": "not needed"}]


@pytest.mark.parametrize("undo", [False, True])
def test_cancel_says_what_it_stops_and_what_it_rolls_back(server: Server, undo: bool) -> None:
    done = [step(name, "completed") for name in ("plain", "one", "two")]
    rows = [*done, step("three", "running"), step("four")]
    server.answers[f"GET {INITIALIZATION}"] = (200, initialization(*rows))
    preview = {"rolls_back": ["two", "one"], "keeps": ["plain", "three"]}
    server.answers[f"GET {INITIALIZATION}/cancel"] = (200, preview)
    server.answers[f"POST {INITIALIZATION}/cancel"] = (202, {})
    result = run("cancel", ID, "--yes", *(["--undo"] if undo else []))
    assert result.exit_code == 0, result.output
    assert server.bodies(f"POST {INITIALIZATION}/cancel") == [{"undo": undo}]
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert said[:2] == ["Will stop: three", "Will skip: four"]
    if undo:
        assert said[2:4] == ["Will roll back: two, one", "Kept: plain"]
    else:
        assert said[2] == "Kept: plain, one, two"


@pytest.mark.parametrize("more", [[], ["--undo"]])
def test_cancel_without_a_terminal_requires_yes(server: Server, more: list[str]) -> None:
    result = run("cancel", ID, *more)
    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert server.asked == []


def test_cancel_after_the_end_is_refused_without_a_question(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "stepway.cli.commands.controls.confirmed", lambda question, yes: pytest.fail(question)
    )
    monkeypatch.setattr("stepway.cli.commands.controls.can_ask", lambda: True)
    server.answers[f"GET {INITIALIZATION}/cancel"] = (409, {"detail": "it has ended"})
    assert str(run("cancel", ID).exception) == "it has ended"


def test_refused_control_says_why(server: Server) -> None:
    path = f"{INITIALIZATION}/steps/push/skip"
    server.answers[f"POST {path}"] = (409, {"detail": "push is running"})
    result = run("skip", ID, "push", "--reason", "x")
    assert str(result.exception) == "push is running"


@pytest.mark.parametrize(("answer", "calls"), [(False, 0), (True, 1)])
def test_person_at_a_terminal_is_asked_first(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: bool, calls: int
) -> None:
    monkeypatch.setattr(
        "stepway.cli.commands.controls.confirmed", lambda question, yes: yes or answer
    )
    server.answers[f"GET {INITIALIZATION}/retry"] = (200, {"runs": ["push"], "keeps": []})
    server.answers[f"POST {INITIALIZATION}/retry"] = (202, {})
    assert run("retry", ID).exit_code == (0 if answer else 1)
    assert len(server.bodies(f"POST {INITIALIZATION}/retry")) == calls
    assert run("retry", ID, "--yes").exit_code == 0


# the program as a whole


def test_token_goes_with_every_call(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWAY_API_TOKEN", "t0ken")
    server.answers["GET /api/projects"] = page()
    run("list")
    ((_, headers, _),) = server.asked
    assert headers["authorization"] == "Bearer t0ken"


def test_answer_that_is_not_the_apis_asks_for_the_address(server: Server) -> None:
    server.answers["GET /api/projects"] = (200, "<html>")
    assert "not a Stepway API; check STEPWAY_API_URL" in str(run("list").exception)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STEPWAY_API_URL", "http://127.0.0.1:9", "no Stepway API responds at http://127.0.0.1:9"),
        ("STEPWAY_API_URL", "ftp://x", "STEPWAY_API_URL: must start with http://"),
        ("STEPWAY_API_ULR", "http://x", "STEPWAY_API_ULR: unknown setting"),
    ],
)
def test_error_that_people_can_mend_is_one_line_and_exit_status_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["stepway", "list"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--help"], ["retry", "--help"]])
def test_help_and_client_commands_import_no_server_and_no_temporal(arguments: list[str]) -> None:
    program = f"""
import sys
from stepway.cli.main import main
try:
    main({arguments})
finally:
    print({{"temporalio", "sqlalchemy", "asyncpg", "fastapi", "uvicorn"}} & set(sys.modules))
"""
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert seen.stdout.splitlines()[-1] == "set()", seen.stderr


def test_help_names_every_command() -> None:
    shown = run("--help").stdout
    assert all(f" {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_help_is_the_first_of_the_commands_own(name: str) -> None:
    described = inspect.cleandoc(load_command(name).help or "").partition("\n")[0]
    assert described == COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_of_its_own(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert f" {name} [OPTIONS]" in result.stdout


def test_version_is_said() -> None:
    assert run("--version").stdout.startswith("stepway 0.")


def test_unknown_command_is_a_usage_error() -> None:
    result = run("lsit")
    assert result.exit_code == 2
    assert "Did you mean 'list'?" in result.output
