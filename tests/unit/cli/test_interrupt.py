"""An interrupt ends the block, even if Python loses the first one."""

from __future__ import annotations

import gc
import os
import signal
import time

import pytest

from stepway.cli.run.signals import persistent_interrupts

PATIENCE = 30.0


class InterruptedWhenFreed:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            """Let Python handle the signal here, where exceptions are dropped."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupt_in_a_destructor_is_raised_again() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), persistent_interrupts():
        freed = InterruptedWhenFreed()
        del freed
        gc.collect()
        time.sleep(PATIENCE)
        pytest.fail("the interrupt was lost")
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
