"""What a process remembers of secrets, and the parts of them at the ends of a text."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable

import pytest

from stepway.vault import known
from stepway.vault.known import KnownSecrets, Piece, SecretName

SECRET = "my-own-secret-of-today"
NAME = SecretName("alice", "token")


def knowing(*secrets: str) -> KnownSecrets:
    found = KnownSecrets()
    for secret in secrets:
        found.learn(secret)
    return found


def shown(secrets: KnownSecrets, text: str) -> str:
    return secrets.replaced(text, lambda _: "[]")


def test_name_is_learned_also_later_and_is_kept() -> None:
    secrets = knowing(SECRET)
    assert secrets.name_of(SECRET) is None
    secrets.learn(SECRET, NAME)
    assert secrets.name_of(SECRET) == NAME
    secrets.learn(SECRET)
    assert secrets.name_of(SECRET) == NAME
    secrets.learn(SECRET, SecretName("bob", "token"))
    assert secrets.name_of(SECRET) == SecretName("bob", "token")


def test_secret_is_found_also_after_others_have_been_searched() -> None:
    secrets = knowing("another-secret")
    assert shown(secrets, f"x {SECRET} y") == f"x {SECRET} y"
    secrets.learn(SECRET)
    assert shown(secrets, f"x {SECRET} y") == "x [] y"


def test_secret_that_was_learned_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 2)
    secrets = knowing("secret number one", "secret number two", "secret number one")
    assert shown(secrets, "x secret number two y") == "x [] y"
    secrets.learn("secret number three")
    text = "x secret number one, secret number two, secret number three y"
    assert shown(secrets, text) == "x [], secret number two, [] y"


@pytest.mark.parametrize("before", ["", "…", "\n", "… ", "…\n", " …\n "])
def test_end_of_a_secret_at_the_beginning_of_a_text_is_found(before: str) -> None:
    assert shown(knowing(SECRET), f"{before}{SECRET[-9:]} y") == f"{before}[] y"


@pytest.mark.parametrize("after", ["", "…", "\n", " …", "\n…", " \n… "])
def test_beginning_of_a_secret_at_the_end_of_a_text_is_found(after: str) -> None:
    assert shown(knowing(SECRET), f"x {SECRET[:9]}{after}") == f"x []{after}"


def test_text_that_is_nothing_but_a_part_is_found() -> None:
    assert shown(knowing(SECRET), SECRET[:8]) == "[]"
    assert shown(knowing(SECRET), SECRET[-8:]) == "[]"


def test_part_that_begins_or_ends_with_a_line_is_found_with_its_break() -> None:
    secrets = knowing("the first\nthe second")
    assert shown(secrets, "…\nthe second y") == "…[] y"
    assert shown(secrets, "x the first\n…") == "x []…"


def test_secret_that_is_too_short_is_found_in_no_spelling() -> None:
    assert shown(knowing("1234567"), f"x {b'1234567'.hex()} y") == "x 31323334353637 y"


def test_part_that_begins_or_ends_with_dots_is_found_with_them() -> None:
    secrets = knowing("the first…the second…the third")
    assert shown(secrets, "…the third y") == "[] y"
    assert shown(secrets, "x the first…") == "x []"


def test_parts_at_both_ends_are_told_with_their_places_in_the_secret() -> None:
    pieces: list[Piece] = []

    def told(piece: Piece) -> str:
        pieces.append(piece)
        return "[]"

    text = f"{SECRET[-9:]} x {SECRET} y {SECRET[:10]}"
    assert knowing(SECRET).replaced(text, told) == "[] x [] y []"
    assert pieces == [
        Piece(SECRET, "plain", -9),
        Piece(SECRET, "plain"),
        Piece(SECRET, "plain", 0, 10),
    ]


def test_part_that_is_too_short_or_in_the_middle_of_a_text_stays() -> None:
    secrets = knowing(SECRET)
    for text in (f"{SECRET[-7:]} y", f"x {SECRET[:7]}", f"x {SECRET[:12]} y", SECRET[3:14]):
        assert shown(secrets, text) == text


def test_part_of_a_secret_that_repeats_itself_is_found() -> None:
    ends, begins = knowing("a" * 12 + "b-end"), knowing("begin-b" + "a" * 12)
    for count in (8, 9, 10, 11):
        assert shown(ends, "a" * count + "b-end y") == "[] y"
        assert shown(begins, "x begin-b" + "a" * count) == "x []"


@pytest.mark.parametrize("order", [1, -1])
def test_longest_part_is_found_where_parts_of_several_secrets_overlap(order: int) -> None:
    at_start = knowing(*["A: the shared end", "B: the shared end and more"][::order])
    assert shown(at_start, "he shared end and more y") == "[] y"
    at_end = knowing(*["the shared begin: A", "more, the shared begin: B"][::order])
    assert shown(at_end, "x more, the shared begin") == "x []"


@pytest.mark.parametrize(
    "text",
    [
        "x alpha-beta-gamma-delta-epsilon",
        "beta-gamma-delta-epsi",
        "beta-gamma and gamma-delta-e",
        "x alpha-beta-gamma and alpha-beta-gamma-delta",
    ],
)
def test_text_whose_secrets_are_replaced_by_themselves_is_the_same(text: str) -> None:
    secrets = knowing("alpha-beta-gamma", "gamma-delta-epsilon-zeta")

    def itself(piece: Piece) -> str:
        return dict(known.spellings(piece.secret))[piece.spelling][piece.start : piece.stop]

    assert secrets.replaced(text, itself) == text
    assert shown(secrets, text) != text


def test_secret_is_found_in_both_alphabets_of_base64() -> None:
    secret = "~~~???>>>ÿÿÿ"
    standard, safe = (
        b64encode(secret.encode()).decode(),
        urlsafe_b64encode(secret.encode()).decode(),
    )
    assert standard != safe
    for encoded in (standard, safe):
        assert shown(knowing(secret), f"x {encoded} y") == "x [] y"


def test_one_text_that_ends_two_secrets_is_found_once() -> None:
    secrets = knowing("one-and-the-same-end", "two-and-the-same-end")
    assert shown(secrets, "the-same-end y") == "[] y"


def test_secret_beside_half_a_surrogate_pair_is_found() -> None:
    assert shown(knowing(SECRET), f"\ud800 {SECRET} y") == "\ud800 [] y"
    assert shown(knowing("half \ud800 a pair"), "x half \ud800 a pair y") == "x [] y"


def test_lines_of_a_secret_are_found_without_the_white_space_around_them() -> None:
    secrets = knowing("  a line of sixteen \n\ta line too short\n")
    assert shown(secrets, "(a line of sixteen)") == "([])"
    assert shown(secrets, "(a line too short)") == "([])"
    assert shown(knowing("  fifteen letters \nb\n"), "(fifteen letters)") == "(fifteen letters)"


def test_secret_of_two_lines_is_found_by_line_and_one_of_one_line_is_not() -> None:
    assert shown(knowing("the first long line\nthe second long line"), "(the first long line)") == (
        "([])"
    )
    assert dict(known.spellings("a secret of one line\n")).keys().isdisjoint({"line-0", "line-1"})


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("user", ["x-access-token", "oauth2", "stepway", "bot", "erin", ""])
@pytest.mark.parametrize("secret", ["glpat-1a2B3c4D5e6F", "12345678", "pass?word>~ü", "x" * 41])
@pytest.mark.parametrize("after", ["", "\n", "@host"])
def test_secret_is_found_in_base64_after_any_user_name(
    encode: Callable[[bytes], bytes], user: str, secret: str, after: str
) -> None:
    before = f"{user}:"
    encoded = encode(f"{before}{secret}{after}".encode()).decode()
    start, _, end = shown(knowing(secret), f"Basic {encoded}").partition("[]")
    # At most the characters that also hold bits of what is around the secret.
    assert len(start) <= len("Basic ") + len(encode(before.encode()))
    assert len(end) <= 4 + len(encode(after.encode()))


def test_what_is_found_in_base64_can_be_put_back() -> None:
    text = b64encode(f"oauth2:{SECRET}".encode()).decode()
    [piece] = [each for _, _, each in knowing(SECRET).whole(text)]
    spelt = dict(known.spellings(piece.secret))[piece.spelling]
    assert spelt in text
    assert len(spelt) >= len(SECRET)
