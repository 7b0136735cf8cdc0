"""Secrets are removed from the lines of logs, also where lines, rows and escapes divide them."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepway.vault.redaction import REDACTED, Redactor
from stepway_tracking.logs.assembler import HALF
from stepway_tracking.logs.attempt_log import AttemptKey, AttemptLog
from stepway_tracking.logs.line import LONGEST_LINE
from stepway_tracking.logs.redacting import COLOUR, LineRedactor, secrets_of

KEY = AttemptKey("11111111-1111-4111-8111-111111111111", "step", "run", "1", 1)
SECRET = "Tr0ub4dor-canary-9f8e7d6c5b4a"
LINES = "alpha-one-11\nmiddle-two\nfinal-three33"
BODY = [f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA{number:020}" for number in range(26)]
PEM = ["-----BEGIN PRIVATE KEY-----", *BODY, "-----END PRIVATE KEY-----"]


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.learn(SECRET)
    redactor.learn(LINES)
    return redactor


def shown(redactor: Redactor, log: AttemptLog, most: int = 10**9) -> list[str]:
    lines = LineRedactor(redactor)
    found: list[str] = []
    while (batch := log.take(most)) and not batch.ends:
        kept = lines.redacted(batch.lines)
        assert [line.seq for line in kept] == [line.seq for line in batch.lines]
        found += [line.text for line in kept]
    return found


def printed(redactor: Redactor, *chunks: str) -> list[str]:
    log = AttemptLog(KEY)
    for chunk in chunks:
        log.output("stdout", chunk.encode())
    log.close()
    return shown(redactor, log)


def test_a_key_that_nobody_knows_is_redacted_in_all_its_lines(redactor: Redactor) -> None:
    log = AttemptLog(KEY)
    log.log("info", "\n".join(["made key:", *PEM, "and used " + SECRET]))
    assert shown(redactor, log) == ["made key:", *[REDACTED] * len(PEM), f"and used {REDACTED}"]


@pytest.mark.parametrize("most", [1, 300, 1000])
def test_a_key_is_redacted_where_rows_divide_it(redactor: Redactor, most: int) -> None:
    log = AttemptLog(KEY)
    log.output("stdout", "\n".join(["before", *PEM, "after", *PEM, "end", ""]).encode())
    hidden = [REDACTED] * len(PEM)
    assert shown(redactor, log, most) == ["before", *hidden, "after", *hidden, "end"]


def test_a_key_that_never_ends_does_not_hide_the_whole_log(redactor: Redactor) -> None:
    log = AttemptLog(KEY)
    log.output("stdout", "\n".join([PEM[0], *["more words"] * 10_000, "last", ""]).encode())
    texts = shown(redactor, log, 300)
    assert texts[0] == texts[100] == REDACTED
    assert texts[-1] == "last"


def test_another_stream_does_not_end_a_key(redactor: Redactor) -> None:
    log = AttemptLog(KEY)
    for line in PEM:
        log.output("stdout", f"{line}\n".encode())
        log.output("stderr", b"-----\n")
    assert shown(redactor, log) == [REDACTED, "-----"] * len(PEM)


@pytest.mark.parametrize("most", [10**9, 1])
def test_short_lines_of_a_secret_are_redacted(redactor: Redactor, most: int) -> None:
    log = AttemptLog(KEY)
    log.output("stdout", f"{LINES}\nmiddle-two\nx {LINES} y\n".encode())
    hidden = [REDACTED] * 3
    texts = shown(redactor, log, most)
    assert texts == [*hidden, "middle-two", f"x {REDACTED}", REDACTED, f"{REDACTED} y"]


@pytest.mark.parametrize(
    "redact",
    [
        lambda text: str(text).replace(LINES, "***").replace(SECRET, "***"),
        lambda text: str(text).replace(LINES, "").replace(SECRET, ""),
    ],
)
def test_a_function_that_redacts_hides_secrets_of_several_lines(redact) -> None:  # type: ignore[no-untyped-def]
    log = AttemptLog(KEY)
    log.log("info", f"one\n{LINES}\ntwo {SECRET} three")
    batch = log.take(10**9)
    assert batch is not None
    texts = [line.text for line in LineRedactor(secrets_of(redact)).redacted(batch.lines)]
    assert len(texts) == 5
    assert texts[0] == "one"
    assert not [part for part in (SECRET, *LINES.split("\n")) if part in "\n".join(texts)]


RED, PLAIN = "\x1b[01;31m\x1b[K", "\x1b[m\x1b[K"


@pytest.mark.parametrize(
    "written",
    [
        f"a {RED}b{PLAIN} {SECRET[:6]}{RED}{SECRET[6:12]}{PLAIN}{SECRET[12:]} c",
        "".join(f"\x1b[32m{each}" for each in SECRET) + "\x1b[0m",
        f"x\x1b[1m{SECRET}\x1b[0m",
        "ghp_" + "a1B2" * 4 + RED + "a1B2" * 5,
        "word\x1b[32mghp_" + "a1B2" * 9,
    ],
)
def test_a_secret_that_colours_divide_is_redacted(redactor: Redactor, written: str) -> None:
    log = AttemptLog(KEY)
    log.output("stdout", f"{written}\n".encode())
    log.log("info", written)
    for line in shown(redactor, log):
        plain = COLOUR.sub("", line)
        assert REDACTED in plain
        assert SECRET[6:12] not in plain
        assert "a1B2" not in plain


def test_colours_outside_a_secret_stay(redactor: Redactor) -> None:
    (text,) = printed(redactor, f"a \x1b[31mb {SECRET[:6]}\x1b[32m{SECRET[6:]}\x1b[0m c\n")
    assert text == f"a \x1b[31mb {REDACTED}\x1b[0m c"


def test_a_coloured_key_is_redacted_in_all_its_lines(redactor: Redactor) -> None:
    lines = [f"\x1b[32m{line}\x1b[0m\n" for line in PEM]
    log = AttemptLog(KEY)
    log.output("stdout", "".join(lines).encode())
    assert {COLOUR.sub("", line) for line in shown(redactor, log, 300)} == {REDACTED}


TOKEN = "ghp_" + "a1B2" * 9
SPELT = b64encode(SECRET.encode()).decode().rstrip("=")


@pytest.mark.parametrize("size", [1, 2, 7, 11])
@pytest.mark.parametrize(
    "secret",
    [SECRET, TOKEN, SPELT, f"\x1b[31m{SECRET[:5]}\x1b[0m{SECRET[5:]}"],
    ids=["plain", "token", "base64", "coloured"],
)
def test_a_secret_that_is_written_slowly_is_redacted(
    redactor: Redactor, secret: str, size: int
) -> None:
    log, lines = AttemptLog(KEY), LineRedactor(redactor)
    written = f"part {secret} used"
    for place in range(0, len(written), size):
        log.output("stdout", written[place : place + size].encode())
        log.flush_partial(lines.begun, bars=True)
    log.close()
    text = COLOUR.sub("", "".join(shown(redactor, log)))
    assert text.replace(" ", "") == f"part{REDACTED}used"


def test_a_key_that_is_written_slowly_is_redacted(redactor: Redactor) -> None:
    log, lines = AttemptLog(KEY), LineRedactor(redactor)
    for line in PEM:
        for place in range(0, len(line), 5):
            log.output("stdout", line[place : place + 5].encode())
            log.flush_partial(lines.begun, bars=True)
        log.output("stdout", b"\n")
    assert not [text for text in shown(redactor, log) if text and text in "".join(BODY)]


def test_a_prompt_is_shown_but_what_may_begin_a_secret(redactor: Redactor) -> None:
    log, lines = AttemptLog(KEY), LineRedactor(redactor)
    for prompt in ("Continue? [y/N] ", "Downloading......", "Password: " + SECRET[:3]):
        log.output("stdout", prompt.encode())
        log.flush_partial(lines.begun, bars=True)
        log.flush_partial(lines.begun, bars=True)
    assert shown(redactor, log) == ["Continue? [y/N]", "Downloading......", "Password:"]
    log.close()
    assert shown(redactor, log) == [SECRET[:3]]


@pytest.mark.parametrize("inside", [1, 7, 20])
def test_no_part_of_a_secret_is_shown_at_a_cut(redactor: Redactor, inside: int) -> None:
    before = "-" * (HALF - inside) + SECRET + "-" * LONGEST_LINE
    after = "-" * LONGEST_LINE + SECRET + "-" * (HALF - inside)
    for line in printed(redactor, before + "\n", after + "\n"):
        head, tail = line.split(" characters left out ")
        assert {*head.removesuffix(REDACTED + " … 16").strip("… 0123456789")} <= {*"-[redacted] …"}
        assert {*tail} <= {*"-[redacted] …"}


def test_the_beginning_of_a_secret_is_found_in_linear_time() -> None:
    redactor = Redactor()
    redactor.learn("a" * 600 + "b")
    began = time.process_time()
    for text in ("a" * 16_000 + " ", "a-" * 8_000, "-" * 16_000, "\x1b[1m" * 4_000):
        LineRedactor(redactor).begun(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("indent", ["", "    "])
@pytest.mark.parametrize("width", [40, 76])
def test_a_secret_that_is_wrapped_is_redacted(width: int, indent: str) -> None:
    redactor = Redactor()
    secret = "L0ng" + "".join(f"{number * 7919:05x}" for number in range(40))
    redactor.learn(secret)
    for spelt in (secret, b64encode(secret.encode()).decode().rstrip("=")):
        parts = [spelt[place : place + width] for place in range(0, len(spelt), width)]
        lines = [f"{indent}{part}\n" for part in parts]
        texts = printed(redactor, "before\n", *lines, "after\n")
        assert not [part for part in parts if part in "\n".join(texts)]
        assert (texts[0], texts[-1]) == ("before", "after")


PARTS = [
    "\n",
    " ",
    "word",
    SECRET,
    SECRET[:10],
    SECRET[-10:],
    "ghp_" + "a1B2" * 9,
    *PEM[:2],
    PEM[-1],
]


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_spans_are_what_is_replaced(text: str) -> None:
    redactor = Redactor()
    redactor.learn(SECRET)
    spans: Sequence[tuple[int, int]] = redactor.spans(text)
    assert [*spans] == sorted(spans)
    parts, place = [], 0
    for start, stop in spans:
        parts += [text[place:start], REDACTED]
        place = stop
    assert "".join((*parts, text[place:])) == redactor.text(text)
