"""run_command with real processes."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.command.run_command import WAITING, RunCommandInput
from stepway.activities.project import ProjectRef, working_tree_path
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushTemplateInput

PATIENCE = 20.0
ROOT = Path(__file__).parents[3]


@pytest.fixture
def project() -> ProjectRef:
    return ProjectRef(str(uuid4()), "shop", "local")


@pytest.fixture
def run(worker, project):
    async def run(*command: object, **more: object):
        return await worker.run("run_command", RunCommandInput(project, list(command), **more))

    return run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_command_runs_in_an_empty_folder_while_there_is_no_repository(run):
    ran = await run(*python("import os; print(os.listdir('.'))"))
    assert (ran.exit_code, ran.output) == (0, "[]")


async def test_a_command_runs_in_a_checkout_of_main(run, worker, project, git, tmp_path):
    await run("touch", "built-before")
    repository = await worker.run("create_repository", CreateRepositoryInput(project))
    await worker.run("push_template", PushTemplateInput(project, "web-service"))
    ran = await run(sys.executable, "-m", "unittest")
    assert "OK" in ran.output
    git("clone", repository.url, tmp_path / "clone")
    (tmp_path / "clone" / "new.txt").write_text("new")
    git("rm", "README.md", cwd=tmp_path / "clone")
    git("add", ".", cwd=tmp_path / "clone")
    git("commit", "-m", "New", cwd=tmp_path / "clone")
    git("push", "origin", "main", cwd=tmp_path / "clone")
    names = (await run("ls")).output.splitlines()
    assert {"new.txt", "built-before", "service"} <= set(names)
    assert "README.md" not in names
    assert git("status", "--porcelain", cwd=working_tree_path(worker.data_dir, project)) == (
        "?? built-before"
    )


async def test_nothing_is_checked_out_while_another_command_runs(
    run, worker, project, git, tmp_path
):
    repository = await worker.run("create_repository", CreateRepositoryInput(project))
    await worker.run("push_template", PushTemplateInput(project, "web-service"))
    code = f"""
import os, pathlib, time
readme = pathlib.Path("README.md")
readme.write_text("mine")
pathlib.Path({str(tmp_path / "runs")!r}).touch()
while not os.path.exists({str(tmp_path / "go")!r}): time.sleep(0.02)
print(readme.read_text())
"""
    first = asyncio.create_task(run(*python(code)))
    await until((tmp_path / "runs").exists)
    assert "README.md" in (await asyncio.wait_for(run("ls"), PATIENCE)).output
    git("clone", repository.url, tmp_path / "clone")
    (tmp_path / "clone" / "README.md").write_text("theirs")
    git("commit", "-am", "New", cwd=tmp_path / "clone")
    git("push", "origin", "main", cwd=tmp_path / "clone")
    second = asyncio.create_task(run("cat", "README.md"))
    await until(lambda: WAITING in [beat.message for beat in worker.heartbeats])
    (tmp_path / "go").touch()
    assert (await first).output == "mine"
    assert (await second).output == "theirs"


async def test_commands_run_side_by_side_once_the_working_tree_is_current(
    run, worker, project, tmp_path
):
    await worker.run("create_repository", CreateRepositoryInput(project))
    await worker.run("push_template", PushTemplateInput(project, "web-service"))
    code = f"""
import os, pathlib, sys, time
folder = pathlib.Path({str(tmp_path)!r})
(folder / f"at-{{sys.argv[1]}}").touch()
while len(list(folder.glob("at-*"))) < 3: time.sleep(0.02)
"""
    runs = [run(*python(code), number) for number in range(3)]
    await asyncio.wait_for(asyncio.gather(*runs), PATIENCE)


async def test_no_lock_files_stay(run, worker, project):
    await worker.run("create_repository", CreateRepositoryInput(project))
    await worker.run("push_template", PushTemplateInput(project, "web-service"))
    await asyncio.gather(*(run("ls") for _ in range(5)))
    assert [str(path) for path in worker.data_dir.rglob("*.lock")] == []


async def test_a_repository_of_somebody_else_is_not_checked_out(run, worker):
    other = ProjectRef(str(uuid4()), "shop", "local")
    await worker.run("create_repository", CreateRepositoryInput(other))
    await worker.run("push_template", PushTemplateInput(other, "web-service"))
    assert (await run("ls")).output == ""


async def test_a_command_gets_a_clean_environment_and_what_is_given(run, monkeypatch):
    monkeypatch.setenv("STEPWAY_API_TOKEN", "hunter2")
    ran = await run("env", environment={"COLOR": "red", "COUNT": 3})
    variables = dict(line.split("=", 1) for line in ran.output.splitlines())
    assert (variables["COLOR"], variables["COUNT"]) == ("red", "3")
    assert set(variables) - {"PWD", "SHLVL", "_"} == {"PATH", "HOME", "LANG", "COLOR", "COUNT"}


async def test_values_become_text_as_they_do_in_references_among_text(run):
    values = {"NO": False, "LIST": ["a", "é"], "MAP": {"x": None}, "NONE": None, "HALF": 0.5}
    ran = await run("env", environment=values)
    variables = dict(line.split("=", 1) for line in ran.output.splitlines())
    assert "NONE" not in variables
    assert variables["NO"] == "false"
    assert variables["LIST"] == '["a", "é"]'
    assert variables["MAP"] == '{"x": null}'
    assert (await run("echo", True, ["a"], 0.5)).output == 'true ["a"] 0.5'


async def test_an_argument_that_nobody_gave_is_named(run, refusal):
    with pytest.raises(ApplicationError) as caught:
        await run("echo", "--tag", absent_references={"command.2": "parameters.tag"})
    assert "`command` refers to parameters.tag, which has no value" in refusal(caught.value)


async def test_arguments_are_never_read_by_a_shell(run):
    ran = await run("echo", "$HOME; rm -rf / `id` && $(id)", 7)
    assert ran.output == "$HOME; rm -rf / `id` && $(id) 7"


async def test_a_failed_command_shows_the_end_of_its_output(run):
    code = "import sys\nfor n in range(5000): print('line', n, flush=True)\nsys.exit('it broke')"
    with pytest.raises(ApplicationError) as caught:
        await run(*python(code))
    details = caught.value.details[0]["details"]
    assert details["output"].endswith("line 4999\nit broke")
    assert "line 4900" not in details["output"]
    assert len(details["output"]) < 10_000
    assert not caught.value.non_retryable


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('compiling'); sys.exit('manifest unknown')", "manifest unknown"),
        # What comes on standard output afterwards is not the cause.
        (
            "import sys; print('no space', file=sys.stderr, flush=True); print('bye'); sys.exit(1)",
            "no space",
        ),
        ("import sys; print('all is lost'); print(); sys.exit(1)", "all is lost"),
    ],
)
async def test_an_error_leads_with_its_cause_and_has_command_and_output_apart(run, code, message):
    with pytest.raises(ApplicationError) as caught:
        await run(*python(code), "it's a long story")
    assert caught.value.message == f"{message} (exit status 1)"
    assert "shown in the output" in caught.value.details[0]["remedy"]
    details = caught.value.details[0]["details"]
    assert details["command"] == shlex.join([*python(code), "it's a long story"])
    assert details["exit_status"] == 1
    assert message in details["output"]


async def test_a_command_that_fails_without_a_word_has_its_status(run):
    with pytest.raises(ApplicationError) as caught:
        await run("sh", "-c", "exit 7")
    assert caught.value.message == "The command ended with exit status 7"
    assert caught.value.details[0]["remedy"].startswith("The command wrote no output. Run it by")


async def test_a_long_last_line_keeps_its_beginning_and_its_end(run):
    code = "import sys; sys.exit('pull failed: ' + 'x' * 5000 + ': manifest unknown')"
    with pytest.raises(ApplicationError) as caught:
        await run(*python(code))
    assert caught.value.message.startswith("pull failed: xxx")
    assert caught.value.message.endswith("xxx: manifest unknown (exit status 1)")
    assert len(caught.value.message) < 250


async def test_a_command_ended_by_a_signal_says_which(run):
    with pytest.raises(ApplicationError, match="signal SIGKILL") as caught:
        await run(*python("import os; os.kill(os.getpid(), 9)"))
    assert caught.value.details[0]["details"]["signal"] == "SIGKILL"


async def test_endless_output_stays_within_bounds(run):
    ran = await run(*python("import sys; sys.stdout.write('x' * 50_000_000)"))
    assert len(ran.output) < 10_000


async def test_output_that_postgres_would_refuse_is_made_harmless(run):
    ran = await run(*python(r"import os; os.write(1, b'a\x00b\xff \x1b[31mred\x1b[0m')"))
    assert ran.output == "a\ufffdb\ufffd red"


async def test_the_last_line_is_seen_while_the_command_runs(run, worker, tmp_path):
    code = f"""
import os, time
print('half way', flush=True)
while not os.path.exists({str(tmp_path / "go")!r}): time.sleep(0.02)
"""
    running = asyncio.create_task(run(*python(code)))
    await until(lambda: "half way" in [beat.message for beat in worker.heartbeats])
    (tmp_path / "go").touch()
    assert (await running).output == "half way"


@pytest.mark.parametrize("stubborn", [False, True])
async def test_the_whole_process_group_ends_on_cancel(
    worker, project, tmp_path, monkeypatch, stubborn
):
    monkeypatch.setattr("stepway.activities.command.process.TERM_GRACE", 0.5)
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if stubborn else ""
    child = f"""{ignore}
import os, pathlib, time
pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
time.sleep(600)
"""
    parent = f"{ignore}import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    environment = worker.environment()
    running = asyncio.create_task(
        environment.run(worker.steps["run_command"], RunCommandInput(project, python(parent)))
    )
    await until(lambda: [p for p in tmp_path.iterdir() if p.name.isdecimal()])
    (pid,) = [int(p.name) for p in tmp_path.iterdir() if p.name.isdecimal()]
    group = os.getpgid(pid)
    assert group not in (pid, os.getpgid(0))
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not is_running(pid) and not is_running(group))


async def test_what_a_command_left_in_the_background_ends_with_it(run):
    code = "import subprocess, sys\nprint(subprocess.Popen(['sleep', '600']).pid)"
    ran = await asyncio.wait_for(run(*python(code)), PATIENCE)
    await until(lambda: not is_running(int(ran.output)))


@pytest.mark.parametrize("directory", ["..", "/", "a/../..", "link", "none", "file", "./.."])
async def test_a_directory_outside_the_working_tree_is_refused(
    run, worker, project, refusal, tmp_path, directory
):
    tree = working_tree_path(worker.data_dir, project)
    tree.mkdir(parents=True)
    (tree / "a").mkdir()
    (tree / "link").symlink_to(tmp_path)
    (tree / "file").touch()
    with pytest.raises(ApplicationError) as caught:
        await run("pwd", directory=directory)
    assert "not a folder in the project's working tree" in refusal(caught.value)


async def test_a_directory_in_the_working_tree_is_used(run, worker, project):
    folder = working_tree_path(worker.data_dir, project) / "a" / "b"
    folder.mkdir(parents=True)
    assert Path((await run("pwd", directory="a/b")).output) == folder.resolve()


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-file", "/etc/passwd"])
async def test_a_program_that_cannot_be_started_is_not_retried(run, refusal, program):
    with pytest.raises(ApplicationError) as caught:
        await run(program)
    assert program in refusal(caught.value)


@pytest.mark.parametrize("command", [[], [""], [None], [["a"]], ["a\x00b"], ["a", None]])
async def test_a_command_that_is_no_list_of_texts_is_refused(run, refusal, command):
    with pytest.raises(ApplicationError) as caught:
        await run(*command)
    assert "`command`" in refusal(caught.value)


@pytest.mark.parametrize("environment", [{"A=B": "1"}, {"": "1"}, {"A": "\x00"}])
async def test_variables_that_a_process_cannot_have_are_refused(run, refusal, environment):
    with pytest.raises(ApplicationError) as caught:
        await run("env", environment=environment)
    assert "`environment`" in refusal(caught.value)


INHERITING = '''
import os, sys
from pathlib import Path
import uvloop
from stepway.activities.command.process import OutputTail, run_in_group

read, write = os.pipe()
os.set_inheritable(read, True)  # as one is that a shell has left open
output = OutputTail()

async def main():
    code = """
import os
from contextlib import suppress
own = {os.readlink(f'/dev/fd/{n}') for n in range(3)}
for fd in os.listdir('/dev/fd'):
    with suppress(OSError):  # the listing's own is closed by now
        if os.readlink(f'/dev/fd/{fd}') not in own:
            print('inherited', fd)
"""
    await run_in_group(
        [sys.executable, "-c", code], directory=Path("/"), environment={}, output=output
    )

uvloop.run(main())
print(output.text)
'''


def test_a_command_inherits_no_descriptor_but_the_standard_ones() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INHERITING],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == ""
