"""Imports point down, and nothing that talks to a server gets into the workflows' sandbox."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "tracking": {"tracking"},
    "embedded": {"embedded", "tracking"},
    "migrations": {"migrations", "tracking", "activities"},
    "blueprints": {"blueprints", "workflows", "tracking"},
    "workflows": {"workflows", "tracking"},
    "activities": {"activities", "tracking", "blueprints"},
    "api": {"api", "blueprints", "workflows", "tracking"},
    "cli": {
        "activities",
        "api",
        "blueprints",
        "cli",
        "embedded",
        "migrations",
        "tracking",
        "worker",
        "workflows",
    },
    "worker": {"activities", "cli", "tracking", "workflows"},
}
"""Which of our packages each may import."""

SANDBOXED = {"tracking.changes", "tracking.marks", "tracking.progress", "tracking.recording"}
"""What workflows may use of the record."""

OUTSIDE = {"alembic", "asyncpg", "fastapi", "httpx", "psutil", "redis", "sqlalchemy", "uvicorn"}
"""What talks to servers and must not be loaded by workflow code."""


def package_files(package: str) -> list[Path]:
    folder = ROOT / package
    if not folder.is_dir():
        return [ROOT / f"{package}.py"]
    return [
        file
        for file in folder.rglob("*.py")
        if not {"template", "node_modules"} & set(file.relative_to(ROOT).parts)
    ]


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
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
    """What runs when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from statements(child)


def module_file(name: str) -> Path | None:
    """The file of one of our modules, also for a name inside of it."""
    while name:
        path = ROOT / Path(*name.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        name = name.rpartition(".")[0]
    return None


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_down(package: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in package_files(package)
        for name in imports(file)
        if (top := name.partition(".")[0]) in ALLOWED and top not in ALLOWED[package]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_package_has_its_rule() -> None:
    packages = {
        folder.name
        for folder in ROOT.iterdir()
        if folder.is_dir() and (folder / "__init__.py").exists()
    }
    assert packages - {"tests", "benchmarks", "scripts"} <= set(ALLOWED)


def test_workflows_use_only_the_sandboxed_part_of_the_record() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in package_files("workflows")
        for name in imports(file)
        if name.startswith("tracking.") and module_name(module_file(name) or ROOT) not in SANDBOXED
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_talks_to_a_server_is_loaded_with_the_workflows() -> None:
    waiting = [module_name(file) for file in package_files("workflows")]
    reached: dict[str, str] = dict.fromkeys(waiting, "")
    wrong = []
    while waiting:
        module = waiting.pop()
        for name in imports(module_file(module) or ROOT, at_load=True):
            file = module_file(name)
            if name.partition(".")[0] in OUTSIDE:
                wrong.append(f"{reached[module]} {module} imports {name}")
            elif file is not None and name.partition(".")[0] in ALLOWED:
                found = module_name(file)
                if found not in reached:
                    reached[found] = f"{reached[module]} {module} >"
                    waiting.append(found)
    assert not wrong, "\n".join(wrong)
    assert "tracking.recording" in reached, "the walk has found what workflows import"


def test_the_packages_of_the_record_load_nothing_by_themselves() -> None:
    for package in ("tracking", "workflows"):
        assert not (ROOT / package / "__init__.py").read_text().strip()


def test_only_the_standard_library_and_temporal_are_loaded_with_workflows() -> None:
    known = {*sys.stdlib_module_names, *ALLOWED, "temporalio"}
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in package_files("workflows")
        for name in imports(file, at_load=True)
        if name.partition(".")[0] not in known
    ]
    assert not wrong, "\n".join(wrong)
