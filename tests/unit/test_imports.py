"""Imports point down, and workflow code loads nothing that talks to a server."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LIBRARY = "stepway_tracking"

ALLOWED = {
    LIBRARY: {LIBRARY},
    "vault": {"vault", LIBRARY},
    "runtime": {"runtime", "vault", LIBRARY},
    "embedded": {"embedded", "runtime", LIBRARY},
    "net": {"net"},
    "clusters": {"clusters", "net", LIBRARY},
    "hosts": {"hosts", "net", LIBRARY},
    "workflows": {"workflows", LIBRARY},
    "blueprints": {"blueprints", "hosts", "workflows", LIBRARY},
    "activities": {
        "activities",
        "blueprints",
        "clusters",
        "hosts",
        "net",
        "runtime",
        "vault",
        "workflows",
        LIBRARY,
    },
    "api": {"api", "blueprints", "migrations", "net", "runtime", "vault", "workflows", LIBRARY},
    "migrations": {"migrations", LIBRARY},
    "worker": {"activities", "cli", "runtime", "vault", "workflows", LIBRARY},
    "cli": {
        "activities",
        "api",
        "blueprints",
        "cli",
        "clusters",
        "embedded",
        "hosts",
        "migrations",
        "runtime",
        "vault",
        "worker",
        "workflows",
        LIBRARY,
    },
}
"""The rooms that each room may import."""

SANDBOXED = {
    "stepway_tracking.record.changes",
    "stepway_tracking.record.facts",
    "stepway_tracking.record.progress",
    "stepway_tracking.record.sentences",
    "stepway_tracking.record.shortening",
    "stepway_tracking.workflow.marks",
    "stepway_tracking.workflow.recording",
    "stepway_tracking.workflow.search_attributes",
}
"""The parts of the library that workflow code may use."""

OUTSIDE = {"alembic", "asyncpg", "fastapi", "httpx", "psutil", "redis", "sqlalchemy", "uvicorn"}
"""Packages that talk to servers; workflow code must not load them."""


def room_files(room: str) -> list[Path]:
    folder = ROOT / ("tracking/stepway_tracking" if room == LIBRARY else room)
    if not folder.is_dir():
        return [ROOT / f"{room}.py"]
    return [
        file
        for file in folder.rglob("*.py")
        if not {"template", "node_modules"} & set(file.relative_to(ROOT).parts)
    ]


def room_of(name: str) -> str:
    """The room that a dotted name belongs to; empty for a package that is not ours."""
    first, _, rest = name.partition(".")
    return rest.partition(".")[0] if first == "stepway" else first if first == LIBRARY else ""


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "tracking" else ("stepway", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, *, at_load: bool = False) -> Iterator[str]:
    """The modules that a file imports, dotted; `at_load` leaves those inside functions out."""
    tree = ast.parse(file.read_text(), str(file))
    for node in statements(tree) if at_load else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from statements(child)


def module_file(name: str) -> Path | None:
    """The file of one of our modules, also for a name inside of it."""
    while room_of(name):
        parts = name.split(".")
        path = (
            ROOT.joinpath("tracking", *parts) if parts[0] == LIBRARY else ROOT.joinpath(*parts[1:])
        )
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        name = name.rpartition(".")[0]
    return None


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_point_down(room: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in room_files(room)
        for name in imports(file)
        if (other := room_of(name)) and other not in ALLOWED[room] and other != "steps"
    ]
    assert not wrong, "\n".join(wrong)


def test_every_folder_has_its_rule() -> None:
    folders = {
        folder.name
        for folder in ROOT.iterdir()
        if folder.is_dir() and (folder / "__init__.py").exists()
    }
    assert folders - {"tests", "benchmarks", "scripts", "stepway"} <= set(ALLOWED)


def test_our_own_modules_have_one_name_only() -> None:
    """A bare `import api` would load a second copy of `stepway.api`."""
    rooms = set(ALLOWED) - {LIBRARY}
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for folder in (*ALLOWED, "tests", "benchmarks")
        for file in room_files(folder)
        for name in imports(file)
        if name.partition(".")[0] in rooms
    ]
    assert not wrong, "\n".join(wrong)


def test_the_import_name_links_to_every_folder() -> None:
    for room in set(ALLOWED) - {LIBRARY}:
        name = "worker.py" if room == "worker" else room
        assert (ROOT / "stepway" / name).resolve() == ROOT / name


def test_workflows_use_only_the_sandboxed_part_of_the_record() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in room_files("workflows")
        for name in imports(file)
        if room_of(name) == LIBRARY and module_name(module_file(name) or ROOT) not in SANDBOXED
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_talks_to_a_server_is_loaded_with_the_workflows() -> None:
    waiting = [module_name(file) for file in room_files("workflows")]
    reached: dict[str, str] = dict.fromkeys(waiting, "")
    wrong = []
    while waiting:
        module = waiting.pop()
        for name in imports(module_file(module) or ROOT, at_load=True):
            file = module_file(name)
            if name.partition(".")[0] in OUTSIDE:
                wrong.append(f"{reached[module]} {module} imports {name}")
            elif file is not None:
                found = module_name(file)
                if found not in reached:
                    reached[found] = f"{reached[module]} {module} >"
                    waiting.append(found)
    assert not wrong, "\n".join(wrong)
    assert "stepway_tracking.workflow.recording" in reached, (
        "the walk has found what workflows import"
    )


def test_packages_load_nothing_by_themselves() -> None:
    for room in set(ALLOWED) - {"worker", "blueprints"}:
        for file in room_files(room):
            if file.name == "__init__.py":
                code = [node for node in ast.parse(file.read_text()).body if not is_text(node)]
                assert not code, file


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_only_the_standard_library_and_temporal_are_loaded_with_workflows() -> None:
    known = {*sys.stdlib_module_names, "stepway", LIBRARY, "temporalio"}
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in room_files("workflows")
        for name in imports(file, at_load=True)
        if name.partition(".")[0] not in known
    ]
    assert not wrong, "\n".join(wrong)
