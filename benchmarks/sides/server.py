"""Runs a server program as a side; it ends with the bench."""

from __future__ import annotations

import asyncio
import signal
import sys

from benchmarks.sides.answering import answer

PATIENCE = 60.0


async def main(port: int, command: list[str]) -> None:
    """Run the command, print `ready` when its port answers, and stop it when the bench ends."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr
    )
    try:
        await asyncio.wait_for(_answers(port), PATIENCE)
        await answer({}, port=port)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
