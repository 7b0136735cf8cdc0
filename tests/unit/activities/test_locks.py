"""Locks whose file is removed when the last holder releases it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from stepway.activities.locks import try_lock, unlock


def test_many_share_it_and_one_has_it_alone(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    first, second = (try_lock(file, exclusive=False) for _ in range(2))
    assert first is not None
    assert second is not None
    assert try_lock(file, exclusive=True) is None
    unlock(file, first)
    assert file.exists()
    assert try_lock(file, exclusive=True) is None
    unlock(file, second)
    assert not file.exists()
    alone = try_lock(file, exclusive=True)
    assert alone is not None
    assert try_lock(file, exclusive=False) is None
    unlock(file, alone)
    assert list(tmp_path.iterdir()) == []


def test_never_two_at_once_though_the_file_comes_and_goes(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(100):
            while (held := try_lock(file, exclusive=True)) is None:
                time.sleep(0.0005)
            inside.append(number)
            most.append(len(inside))
            time.sleep(0)
            inside.remove(number)
            unlock(file, held)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert list(tmp_path.iterdir()) == []
