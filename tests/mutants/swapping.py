"""Puts a Python mutant into this process, in which the module is imported already."""

from __future__ import annotations

import ast
import gc
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import re2

from tests.mutants.mutant import Unusable

PLAIN = (int, float, str, bytes, tuple, frozenset, re.Pattern, re2._Regexp)


def swap(file: Path, text: str, mutated: ast.Module) -> None:
    """Give all functions of the module at `file`, with source `text`, the code of the mutated tree.

    Constants that come out otherwise replace the old ones wherever these were imported, and
    attributes of classes are set. Raises Unusable if nothing changes.
    """
    module = _imported(file)
    before = compile(text, str(module.__file__), "exec", dont_inherit=True)
    try:
        after = compile(mutated, str(module.__file__), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Unusable(f"it is no Python: {error}") from error
    new = dict(_functions(after))
    changed = {key: new[key] for key, code in _functions(before) if new.get(key, code) != code}
    swapped = _swap_functions(str(module.__file__), changed)
    try:
        apart = _run_apart(module, after)
    except Exception as error:
        if swapped and not _can_run_again(module, before):
            return
        raise Unusable(f"it cannot be imported: {error}") from error
    carried = [_carry(name, vars(module).get(name), new) for name, new in vars(apart).items()]
    if not swapped and True not in carried:
        raise Unusable("nothing of it is in the imported module")


def _imported(file: Path) -> ModuleType:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and Path(path).resolve() == file.resolve():
            return module
    raise Unusable(f"no test imports {file}")


def _functions(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """All code in a module's or class's code, by name and line."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield (constant.co_qualname, constant.co_firstlineno), constant
            yield from _functions(constant)


def _swap_functions(file: str, changed: dict[tuple[str, int], CodeType]) -> bool:
    swapped = False
    for each in gc.get_objects():
        if not isinstance(each, FunctionType) or each.__code__.co_filename != file:
            continue
        old = each.__code__
        code = changed.get((old.co_qualname, old.co_firstlineno))
        if code is None:
            continue
        if code.co_freevars != old.co_freevars:
            raise Unusable("the function needs other variables")
        each.__code__ = code
        swapped = True
    return swapped


def _run_apart(module: ModuleType, code: CodeType) -> ModuleType:
    """Run a module's code once more, into another module."""
    apart = ModuleType(module.__name__)
    apart.__file__ = module.__file__
    try:
        sys.modules[module.__name__] = apart
        exec(code, vars(apart))
    finally:
        sys.modules[module.__name__] = module
    return apart


def _can_run_again(module: ModuleType, code: CodeType) -> bool:
    """Whether a module that is imported can be run once more: one that registers metrics cannot."""
    try:
        _run_apart(module, code)
    except Exception:
        return False
    return True


def _carry(name: str, old: Any, new: Any) -> bool:
    """Replace an old value by the new one of the same name; return whether they differ."""
    gone = new is None and isinstance(old, PLAIN)
    if name.startswith("__") or not (type(old) is type(new) or gone):
        return False
    if isinstance(old, dict | set) and repr(old) != repr(new):
        old.clear()
        old.update(new)
        return True
    if isinstance(old, list) and repr(old) != repr(new):
        old[:] = new
        return True
    if isinstance(old, PLAIN) and _said(old) != _said(new):
        for module in list(sys.modules.values()):
            if vars(module).get(name) is old:
                setattr(module, name, new)
        return True
    if isinstance(old, type):
        carried = [_carry_attribute(old, key, value) for key, value in vars(new).items()]
        return _carry_defaults(old, new) or True in carried
    return False


def _said(value: Any) -> str:
    """A value as text; the `repr` of a pattern would be cut."""
    return str(value.pattern) if hasattr(value, "pattern") else repr(value)


def _carry_defaults(old: type, new: type) -> bool:
    """A dataclass has its defaults in its `__init__`."""
    if not is_dataclass(old) or not is_dataclass(new):
        return False
    before, after = old.__init__.__defaults__, new.__init__.__defaults__
    if repr(before) == repr(after):
        return False
    old.__init__.__defaults__ = after
    return True


def _carry_attribute(owner: type, name: str, new: Any) -> bool:
    old = vars(owner).get(name)
    if not isinstance(new, PLAIN) or name.startswith("__") or repr(old) == repr(new):
        return False
    setattr(owner, name, new)
    return True
