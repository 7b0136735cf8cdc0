"""Finds texts that look like secrets: tokens in known formats, keys, passwords.

To add a format, put its prefix and the rest into `_TOKENS`, or a whole pattern into `_PATTERNS`,
and add an example to tests/unit/security/corpus. Every pattern begins with a literal character, so
that the search skips all others, and fails after few characters. So the time is linear, which
tests/unit/security/test_redaction_cost.py checks.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import re2

_TOKENS: dict[str, str] = {
    "stepway_": r"(?<!-stepway_)(?=[\w-]{43}(?![\w-]))(?=[a-z0-9_-]{0,42}[A-Z])[\w-]{43}",
    # Git hosts
    "ghp_|gho_|ghu_|ghs_|ghr_": r"[A-Za-z0-9]{36,255}",
    "github_pat_": r"\w{22,255}",
    "glpat-|gldt-|glrt-|gloas-|glptt-|glft-|glimt-|glagent-|glsoat-|glcbt-|glffct-": (
        r"[\w.-]{20,300}"
    ),
    "GR1348941": r"[\w-]{20}",
    "ATATT3|ATCTT3": r"[\w=-]{24,500}",
    "ATBB": r"[A-Za-z0-9]{24,60}(?!\w)",
    # Clouds
    "AKIA|ASIA|ABIA|ACCA": r"[A-Z2-7]{16}(?!\w)",
    "AIza": r"[\w-]{35}",
    "GOCSPX-": r"[\w-]{28}",
    "ya29.": r"[\w-]{30,2000}",
    "1//0": r"[\w-]{40,200}",
    "dop_v1_|doo_v1_|dor_v1_": r"[a-f0-9]{64}",
    "hvs.|hvb.|hvr.": r"[\w-]{24,300}",
    "pul-": r"[a-f0-9]{40}",
    "tskey-auth-|tskey-api-|tskey-client-": r"[\w-]{16,100}",
    "dapi": r"[a-f0-9]{32}(?!\w)",
    "pscale_tkn_|pscale_pw_|pscale_oauth_": r"[\w.=-]{32,64}",
    "sbp_": r"[a-f0-9]{40}",
    "nfp_": r"[A-Za-z0-9]{36,40}",
    # Packages and images
    "npm_": r"[A-Za-z0-9]{36}",
    "pypi-AgE": r"[\w-]{50,2000}",
    "rubygems_": r"[a-f0-9]{48}",
    "cio": r"[A-Za-z0-9]{32}(?!\w)",
    "oy2": r"[a-z0-9]{43}(?!\w)",
    "dckr_pat_|dckr_oat_": r"[\w-]{27,60}",
    # Services
    "xoxa-|xoxb-|xoxe-|xoxe.xoxb-|xoxe.xoxp-|xoxo-|xoxp-|xoxr-|xoxs-|xapp-": r"[\w-]{20,400}",
    "sk_live_|sk_test_|rk_live_|rk_test_": r"[A-Za-z0-9]{16,255}",
    "whsec_": r"[\w+/=]{32,100}",
    "sk-ant-|sk-proj-|sk-svcacct-|sk-or-v1-": r"[\w-]{24,300}",
    "sk-": r"[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
    "hf_": r"[A-Za-z]{34}(?!\w)",
    "SG.": r"[\w-]{22}\.[\w-]{43}",
    "SK": r"[0-9a-f]{32}(?!\w)",
    "key-": r"[0-9a-f]{32}(?!\w)",
    "shpat_|shpca_|shppa_|shpss_": r"[a-fA-F0-9]{32}",
    "sq0atp-|sq0csp-": r"[\w-]{22,43}",
    "glsa_": r"[A-Za-z0-9]{32}_[a-f0-9]{8}",
    "glc_": r"eyJ[\w+/=]{32,400}",
    "sntrys_|sntryu_": r"[\w+/=-]{40,400}",
    "lin_api_": r"[A-Za-z0-9]{40}",
    "NRAK-": r"[A-Z0-9]{27}",
    "PMAK-": r"[a-f0-9]{24}-[a-f0-9]{34}",
    "dp.pt.|dp.st.|dp.ct.|dp.sa.": r"[\w.-]{40,100}",
    "ntn_": r"[A-Za-z0-9]{43,50}",
    "figd_": r"[\w-]{40}",
    "AGE-SECRET-KEY-1": r"[0-9A-Z]{58}",
}
"""Prefixes of tokens, and the pattern of the rest. No letter, digit or `_` precedes a token."""

_ESCAPES = r"(?<=\\[nrt]{0})|(?<=[\[;][0-9]m{0})|(?<=[\[;][0-9]{{2}}m{0})|(?<=%[0-9A-Fa-f]{{2}}{0})"
_BOUNDARY = rf"(?:(?<![A-Za-z0-9_]{{0}})|{_ESCAPES})"
"""Follows a prefix: the prefix begins a word, possibly after a JSON, colour or URL escape."""

_BETWEEN = r"""["']?\s{0,3}(?::|=>|={1,2})\s{0,3}["']?"""
_HEADER_VALUE = r"[\w.~+/=:-]{8,8000}"

_JWT = (
    rf"eyJ(?:(?<![\w-]eyJ)|{_ESCAPES.format('eyJ')})"
    r"[\w-]{5,8000}+\.eyJ[\w-]{2,8000}+\.[\w-]{0,8000}+"
)
"""A JSON Web Token: three parts in base64, of which the first two are JSON."""

_PATTERNS: tuple[str, ...] = (
    # The secret begins at `()`; the text before it stays visible.
    r"""://(?<=[A-Za-z0-9+.-]://)[^\s/@:"'<>?\#]{0,200}:()"""
    r"""[^\s/"'<>?\#]{3,4000}(?=@)""",
    # A secret of the vault on its way to another step (vault/references.py).
    r"stepway-secret:(?<=\[stepway-secret:)[\w.-]{0,32}:[\w-]{20,200000}\]",
    r"BEGIN[ ](?<=-----BEGIN[ ])(?:[A-Z0-9]{1,12}[ ]){0,3}?PRIVATE[ ]KEY(?:[ ]BLOCK)?-----"
    # Not possessive as a group: Python before 3.11.5 matches too much then.
    r"(?:[^-]++|-(?!----)){0,400}"
    r"(?:-----END[ ](?:[A-Z0-9]{1,12}[ ]){0,3}?PRIVATE[ ]KEY(?:[ ]BLOCK)?-----)?",
    # The same in base64, as in Kubernetes' manifests.
    r"LS0tLS1CRUdJTi(?:BSU0EgUFJJVkFURS|BQUklWQVRFIEtFWS|BFQyBQUklWQVRFIEtFWS|BPUEVOU1NIIFBSSVZB"
    r"VEUgS0VZ|BFTkNSWVBURUQgUFJJVkFURS)[A-Za-z0-9+/=]{20,20000}",
    rf"""[Aa](?i:uthorization){_BETWEEN}(?i:bearer|token|bot|apikey|geniekey|sso-key|negotiate)"""
    rf"""\s{{1,3}}(){_HEADER_VALUE}""",
    r"[Bb](?<!\w[Bb])(?i:earer)\s{1,3}()[A-Za-z_.~+/=-]{0,2000}+[0-9][\w.~+/=-]{0,8000}",
    r"[Bb](?<!\w[Bb])(?i:asic)\s{1,3}()[A-Za-z0-9+/]{12,2000}={0,2}(?![\w-])",
    rf"[Pp](?i:rivate-token){_BETWEEN}(){_HEADER_VALUE}",
    rf"[Xx]-(?i:api-key|auth-token|vault-token|gitlab-token|jfrog-art-api|access-token)"
    rf"{_BETWEEN}(){_HEADER_VALUE}",
    # Amazon
    rf"[Ss](?i:ecret[_-]?(?:access[_-]?)?key|ession[_-]?token){_BETWEEN}()[A-Za-z0-9/+=]{{40,4000}}",
    r"X(?<=[?&]X)-(?:Amz-Signature|Amz-Security-Token|Goog-Signature)=()[\w%.+/=-]{40,4000}",
    # Azure
    r"AccountKey=()[A-Za-z0-9+/]{40,100}={0,2}",
    r"SharedAccessKey=()[A-Za-z0-9+/]{40,100}={0,2}",
    r"sig(?<=[?&]sig)=()[\w%.+/=-]{40,200}",
    r"Q~(?<=[\w.~-]{3}[0-9]Q~)[\w.~-]{31,34}",
    # Packages, images, machines
    r"auth(?<=_auth)(?:Token)?=()[\w.+/=-]{16,500}",
    r"password(?<=_password)=()[\w.+/=-]{16,500}",
    r"""auth"\s{0,3}:\s{0,3}"()[A-Za-z0-9+/]{12,4000}={0,2}(?=")""",
    r"login[ ](?<![\w-]login[ ])[^\s]{1,200}[ ]password[ ]()[^\s]{4,500}",
    r"atlasv1\.(?<=[A-Za-z0-9]{14}\.atlasv1\.)[\w=-]{60,80}",
    # Addresses that work as passwords
    r"hooks\.slack\.com/(?:services|workflows|triggers)/()[\w/]{20,200}",
    r"discord(?:app)?\.com/api/webhooks/[0-9]{5,25}/()[\w-]{50,100}",
    r"webhook\.office\.com/webhookb2/()[\w@/-]{40,300}",
    r":AA(?<=[0-9]{8}:AA)[\w-]{33}(?![\w-])",
)


_REACHES_BACK = {"Q~": 4, "atlasv1.": 15, "BEGIN ": 5, "stepway-secret:": 1}
"""Number of a secret's characters before the literal that the search finds."""

SHORTEST_BEARER = 16
"""Minimum length of a bearer token outside a header."""

FEW = 1_000
"""Maximum number of candidates in a text that are matched one by one."""

_RUN = re.compile(r"[A-Za-z0-9]{10,}")
_TURN = re.compile(r"[0-9][A-Za-z]")
_PLACEHOLDER = re.compile(r"\$[{(].*|\$[A-Z_]+|%[sdv]|%\(.*|[{].*|[*]+|[xX]+|\[redacted\]")
_PLAIN_WORD = re.compile(r"[a-z.:/_-]+")


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each text that looks like a secret, in order, without overlaps."""
    end = 0
    for match in _matches(text):
        start, stop = match.span()
        if match.lastindex:
            start = match.end(match.lastindex)
            if not _means_it(text[match.start() : start].lower(), text[start:stop]):
                continue
        else:
            start = max(end, start - _reach(text, start))
        yield start, stop
        end = stop


def begun(text: str) -> int:
    """How many characters at the end of the text may be the beginning of a token or key."""
    key = _KEY_BEGUN.search(text[-_LONGEST_BEGIN:])
    if key:
        return len(key[0])
    # Backwards, so that the time is linear.
    after = len(text) - len(_NO_SPACE.match(text[::-1])[0])  # type: ignore[index]
    for word in _WORD_BEGINS.finditer(text, after):
        rest = len(text) - word.start()
        if text.startswith(_PREFIXES, word.start()) or (
            rest < _LONGEST_PREFIX and _is_prefix_begun(text[-rest:])
        ):
            return rest
    return 0


def _is_prefix_begun(word: str) -> bool:
    return any(prefix.startswith(word) for prefix in _PREFIXES)


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Yield the matches of `_SHAPES.finditer`, in a tenth of its time if there are few."""
    # One byte per character keeps the offsets; the patterns are ASCII.
    encoded = text.encode("latin-1", "replace")
    place = origin = 0
    for _ in range(FEW):
        suspect = _SUSPECTS.search(encoded, origin)
        if suspect is None:
            return
        origin = suspect.start()
        # A candidate may begin with the boundary before the word.
        starts = range(max(origin, place), origin + _LONGEST_BEFORE + 1)
        match = next(filter(None, (_SHAPES.match(text, start) for start in starts)), None)
        origin += 1
        if match:
            yield match
            place = match.end()
            origin = max(origin, place - _LONGEST_BEFORE)
    yield from _SHAPES.finditer(text, max(place, origin))


def _reach(text: str, start: int) -> int:
    for mark, before in _REACHES_BACK.items():
        if text.startswith(mark, start):
            return before
    return 0


def _means_it(before: str, secret: str) -> bool:
    """Return whether a secret follows words that also occur in ordinary sentences."""
    if before.startswith("://"):
        return not _PLACEHOLDER.fullmatch(secret)
    if before.startswith("basic"):
        return _is_account(secret)
    if before.startswith("bearer"):
        random = any(map(_is_random, _RUN.findall(secret))) or _is_uuid(secret)
        return random and len(secret) >= SHORTEST_BEARER
    if before.startswith(("authorization", "x-", "private-token")):
        return not _PLAIN_WORD.fullmatch(secret)
    return True


def _is_random(run: str) -> bool:
    """Return whether letters and digits alternate more than in a name."""
    turns = len(_TURN.findall(run))
    mixed = run.upper() != run != run.lower()
    return turns > 1 or (turns == 1 and mixed)


def _is_account(encoded: str) -> bool:
    """Return whether this is NAME:PASSWORD in base64."""
    if encoded.islower():
        return False
    try:
        decoded = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in decoded and decoded.isprintable()


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _compiled() -> re.Pattern[str]:
    """Compile one pattern with a branch per first character, so that `re` skips all others."""
    tokens: dict[str, list[tuple[str, str]]] = {}
    for prefixes, rest in _TOKENS.items():
        for prefix in prefixes.split("|"):
            whole = _BOUNDARY.format(re.escape(prefix)) + rest
            tokens.setdefault(prefix[0], []).append((prefix[1:], whole))
    branches: dict[str, list[str]] = {}
    for pattern in (each for one in (_JWT, *_PATTERNS) for each in _with_literal_first(one)):
        branches.setdefault(pattern[0], []).append(pattern[1:])
    for first, ends in tokens.items():
        branches.setdefault(first, []).append(_tree(ends))
    parts = (f"{first}(?:{'|'.join(ends)})" for first, ends in branches.items())
    return re.compile("|".join(parts), re.ASCII | re.VERBOSE)


def _tree(ends: Iterable[tuple[str, str]]) -> str:
    """Return a pattern for the ends of words that reads each character once."""
    branches: dict[str, list[tuple[str, str]]] = {}
    whole = []
    for prefix, rest in ends:
        if prefix:
            branches.setdefault(prefix[0], []).append((prefix[1:], rest))
        else:
            whole.append(rest)
    parts = [re.escape(first) + _tree(more) for first, more in branches.items()]
    return f"(?:{'|'.join([*parts, *whole])})"


def _with_literal_first(pattern: str) -> Iterator[str]:
    """Split `[Aa]x` into `Ax` and `ax`."""
    if pattern.startswith("["):
        yield from (first + pattern[4:] for first in pattern[1:3])
    else:
        yield pattern


def _loosened(pattern: str) -> str:
    """Return a pattern for RE2 that matches wherever this one does, and rarely elsewhere.

    RE2 has no lookaround and counts to 1,000. "?" replaces all characters outside Latin-1.
    """
    pattern = pattern.replace("(?=@)", "@").replace("<>?", "<>")
    without = _CONDITION.sub("", pattern)
    while without != pattern:
        pattern, without = without, _CONDITION.sub("", without)
    lazy = _RANGE.sub(r"{\1,}?", pattern)
    return lazy.replace("++", "+")


_BEFORE = r"(?:^|[^A-Za-z0-9_]|\\[nrt]|[\[;][0-9]m|[\[;][0-9]{2}m|%[0-9A-Fa-f]{2})"
_LONGEST_BEFORE = 4
_CONDITION = re.compile(r"\(\?<?[=!][^()]*\)")
_RANGE = re.compile(r"\{([0-9]+),[0-9]*\}[+?]?")

_SHAPES = _compiled()

_PREFIXES = ("eyJ", *(prefix for prefixes in _TOKENS for prefix in prefixes.split("|")))
_LONGEST_PREFIX = max(map(len, _PREFIXES))
_LONGEST_BEGIN = 80
_KEY_BEGUN = re.compile(r"-{1,5}\Z|-----B[A-Z0-9 ]*-{0,5}\Z")
_NO_SPACE = re.compile(r"[\w.~+/=-]*")
_WORD_BEGINS = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z0-9]")


def _suspects() -> Any:
    prefixed = (
        _BEFORE + re.escape(prefix) + rest
        for prefixes, rest in _TOKENS.items()
        for prefix in prefixes.split("|")
    )
    # Only the beginning: RE2 would search the rest of the text for a second part each time.
    jwt = _BEFORE.replace("[^A-Za-z0-9_]", r"[^\w-]") + r"eyJ[\w-]{5}"
    return re2.compile("|".join((jwt, *map(_loosened, (*_PATTERNS, *prefixed)))).encode())


_SUSPECTS = _suspects()
