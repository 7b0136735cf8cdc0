"""Mutants of a file of SQL functions, made from its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.mutant import Mutant, difference

Edit = tuple[int, int, str]
"""Replace the text from one position to another."""

SWAPS = {
    r" = ": (" <> ",),
    r" <> ": (" = ",),
    r" > ": (" >= ", " < "),
    r" <= ": (" < ", " > "),
    r" IS NULL": (" IS NOT NULL",),
    r" IS NOT NULL": (" IS NULL",),
    r" IS DISTINCT FROM ": (" IS NOT DISTINCT FROM ",),
    r" IS NOT DISTINCT FROM ": (" IS DISTINCT FROM ",),
    r" NOT IN ": (" IN ",),
    r"(?<!NOT) IN (?=\()": (" NOT IN ",),
    r" AND ": (" OR ",),
    r" OR ": (" AND ",),
    r"NOT EXISTS": ("EXISTS",),
    r"\bgreatest\(": ("least(",),
    r"\bleast\(": ("greatest(",),
    r"\btrue\b": ("false",),
    r"\bfalse\b": ("true",),
    r"(?<=\S) \+ (?=\S)": (" - ",),
    r"(?<=\S) - (?=\S)": (" + ",),
    r" \* ": (" / ",),
    r" FOR NO KEY UPDATE": ("",),
    r" ON CONFLICT DO NOTHING": ("",),
    r" DESC\b": ("",),
    r"(?<=ORDER BY )[\w.]+": (r"\g<0> DESC",),
    r"\b(PERFORM [^;]+|RETURN);": ("NULL;",),
}

OPERAND = re.compile(r"\b(?:AND|OR|WHERE|IF|ELSIF|WHEN)\s+(?=\S)")
OPERAND_ENDS = re.compile(r"\b(?:AND|OR|THEN|LOOP|RETURNING|ORDER|GROUP|LIMIT|ON|FOR|UNION)\b|[;,]")
ARGUMENTS = re.compile(r"\b(?:coalesce|greatest|least|nullif)\(|\bARRAY\[|\bIN \(")
ASSIGNMENTS = re.compile(r"\bSET\s+(?=\w+ = )")
ASSIGNMENTS_END = re.compile(r"\b(?:WHERE|RETURNING)\b|;")
NUMBER = re.compile(r"(?<![\w'.$])\d+(?![\w'.])")
FUNCTION = re.compile(r"^CREATE FUNCTION (\w+).*?AS (\$\$.*?\$\$);", re.DOTALL | re.MULTILINE)


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All mutants of a file of `CREATE FUNCTION … AS $$ … $$` statements."""
    text = file.read_text()
    for found in FUNCTION.finditer(text):
        statement = found[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
        shift = len(statement) - len(found[0])
        first = found.start(2) - found.start() + shift
        seen = set()
        for start, end, new in sorted(edits(_blanked(statement), first)):
            changed = statement[:start] + new + statement[end:]
            if changed in seen or changed == statement:
                continue
            seen.add(changed)
            line = text.count("\n", 0, found.start() + start - shift) + 1
            was, becomes = difference(statement, changed)
            yield Mutant(file, line, found[1], was, becomes, changed)


def _blanked(text: str) -> str:
    """The text with comments as spaces, so that positions stay."""
    return re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), text)


def edits(text: str, first: int) -> Iterator[Edit]:
    """All edits of the text from position `first` on."""
    for pattern, replacements in SWAPS.items():
        for found in re.compile(pattern).finditer(text, first):
            for replacement in replacements:
                if not _assigns(text, found.start()) or replacement != " <> ":
                    yield *found.span(), found.expand(replacement)
    for found in NUMBER.finditer(text, first):
        yield *found.span(), str(int(found[0]) + 1)
    for found in OPERAND.finditer(text, first):
        end = _end(text, found.end(), OPERAND_ENDS)
        if not re.fullmatch(r"\s*'\w*'\s*", text[found.end() : end]):
            yield found.end(), end, "true "
            yield found.end(), end, "false "
    for found in ARGUMENTS.finditer(text, first):
        parts = _parts(text, found.end(), re.compile(r"(?!)"))
        if len(parts) < 2:
            continue
        if found[0].endswith(("[", "IN (")):
            yield from _dropped(text, parts)
        else:
            closing = parts[-1][1] + 1
            for start, end in parts:
                yield found.start(), closing, f"({text[start:end].strip()})"
    for found in ASSIGNMENTS.finditer(text, first):
        yield from _dropped(text, _parts(text, found.end(), ASSIGNMENTS_END))


def _assigns(text: str, position: int) -> bool:
    """Whether the ` = ` at this position is an assignment in a SET list."""
    for found in ASSIGNMENTS.finditer(text):
        for start, end in _parts(text, found.end(), ASSIGNMENTS_END):
            if start <= position < end and re.fullmatch(r"\s*\w+", text[start:position]):
                return True
    return False


def _dropped(text: str, parts: list[tuple[int, int]]) -> Iterator[Edit]:
    """Leave out one part of a list, and the comma after or before it."""
    for index, (start, end) in enumerate(parts):
        if index + 1 < len(parts):
            yield start, parts[index + 1][0], " "
        elif index:
            yield parts[index - 1][1], end, " "


def _parts(text: str, start: int, ends: re.Pattern[str]) -> list[tuple[int, int]]:
    """The spans between commas, up to the end of the list."""
    parts = []
    while True:
        end = _end(text, start, re.compile(f"{ends.pattern}|,"))
        parts.append((start, end))
        if text[end] != ",":
            return parts
        start = end + 1


def _end(text: str, start: int, ends: re.Pattern[str]) -> int:
    """Where a match of `ends`, or a closing bracket, is outside all brackets, texts and CASEs."""
    depth, position = 0, start
    skipped = re.compile(r"'[^']*'|\bCASE\b|\bEND\b|[([]|[)\]]|\$\$")
    while True:
        inner, outer = skipped.search(text, position), ends.search(text, position)
        if depth == 0 and outer and (inner is None or outer.start() <= inner.start()):
            return outer.start()
        assert inner, "the text ends inside brackets"
        if inner[0] in ("CASE", "(", "["):
            depth += 1
        elif inner[0] in ("END", ")", "]", "$$"):
            if depth == 0:
                return inner.start()
            depth -= 1
        position = inner.end()
