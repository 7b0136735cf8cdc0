"""What it costs to take secrets out of a megabyte."""

from __future__ import annotations

import time

from benchmarks.measure import Comparison, Target
from benchmarks.stage import Stage
from stepway.vault.redaction import Redactor

ABOUT = (
    "CPU time to redact texts of 1,000,000 characters in a process that knows 100 secrets, against "
    "a limit of 50 ms each: output of git, Kubernetes and Terraform, base64, and texts that begin "
    "a secret again and again without being one."
)
SIZE = 1_000_000
LIMIT = 50.0
TEXTS = {
    "output": (
        "remote: Enumerating objects: 512, done.\ncommit 0123456789abcdef0123456789abcdef01234567\n"
        "deployment.apps/basic-gateway-v2 configured\naws_instance.web: Still creating... [10s]\n"
        '+ arn = "arn:aws:iam::123456789012:role/shop-deploy"\nDigest: sha256:'
        + "9f86d081884c7d65" * 4
        + "\n"
    ),
    "base64": "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24s\n",
    "parts of JWTs": "eyJ-",
    "addresses": "https://a:b/",
    "keys": "-----BEGIN PRIVATE KEY",
    "headers": "Authorization: Bearer x ",
    "tokens": "ghp_glpat-xoxb-sk_live_",
    "nearly known": "secret number 0000 of man! ",
}


async def run(stage: Stage) -> list[Comparison]:
    """Milliseconds of CPU, a text each."""
    redactor = Redactor()
    for number in range(100):
        redactor.learn(f"secret number {number:04} of many")
    redactor.text("")
    rounds = stage.sized(7, 1)
    size = stage.sized(SIZE, SIZE // 50)
    found = []
    for name, unit in TEXTS.items():
        text = (unit * (size // len(unit) + 1))[:size]
        pairs = [(_milliseconds(redactor, text), LIMIT) for _ in range(rounds)]
        found.append(Comparison(name, "ms", "the limit", pairs, Target(1.0), limit=True))
    return found


def _milliseconds(redactor: Redactor, text: str) -> float:
    started = time.process_time()
    redactor.text(text)
    return (time.process_time() - started) * 1000
