"""Input and output of an attempt: the next attempt gets references, and people see no secret."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import AnyUrl, BaseModel, Field, SecretStr
from temporalio import activity
from temporalio.common import RawValue
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
)

from stepway.activities.step_inputs import step_payload_converter
from stepway.runtime.data_converter import data_converter
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.known import KnownSecrets, SecretName
from stepway.vault.redacting_interceptor import RedactingInterceptor, redacted_error
from stepway.vault.redaction import LONG, PROCESS, REDACTED
from stepway.vault.references import References
from stepway.vault.vault import Secret
from stepway_tracking.record.progress import Progress, Skipped
from stepway_tracking.workflow.marks import HEADER, StepMark

CONVERTER = DataConverter.default.payload_converter
SECRET = "correct-horse-battery"
STEP = StepMark("p", "build")
Step = Callable[..., Awaitable[Any]]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(PROCESS, "known", KnownSecrets())
    PROCESS.learn(SECRET, SecretName("alice", "token"))
    yield


async def find(owner: str, name: str) -> Secret | None:
    return Secret("bot", SECRET) if (owner, name) == ("alice", "token") else None


REFERENCES = References(Keyring(parse_keys(new_key("k"))), find)


@dataclass
class Outside(ActivityOutboundInterceptor):
    """Temporal's side: the details that the attempt before has left, and the heartbeats of this
    one.
    """

    details: list[Any] = field(default_factory=list)
    beats: list[Any] = field(default_factory=list)

    def info(self) -> activity.Info:
        return replace(ActivityEnvironment.default_info(), heartbeat_details=self.details)

    def heartbeat(self, *details: Any) -> None:
        self.beats.append(details)


class Inside(ActivityInboundInterceptor):
    """The step's side: runs its code in the context of an activity."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self.outbound = outbound

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await self._step(self.outbound, *input.args)


IN_ACTIVITY = data_converter(None, payloads=step_payload_converter({})).with_context(
    ActivitySerializationContext("default", "1", "build", "queue", "w", "Workflow", False)
)


async def given(value: Any, hint: Any = None) -> Any:
    """An argument or heartbeat details as the interceptor receives them."""
    [made] = await IN_ACTIVITY.decode([CONVERTER.to_payload(value)], [hint] if hint else None)
    return made


async def run(
    step: Step, *args: Any, mark: StepMark | None = STEP, outside: Outside | None = None
) -> Any:
    """Run a step behind the interceptor; return the result that Temporal receives."""
    inbound = RedactingInterceptor(REFERENCES).intercept_activity(Inside(step))
    inbound.init(outside or Outside())
    headers = {HEADER: CONVERTER.to_payload(asdict(mark))} if mark else {}
    input = ExecuteActivityInput(fn=step, args=args, executor=None, headers=headers)
    return await ActivityEnvironment().run(inbound.execute_activity, input)


def decoded(value: Any) -> Any:
    """A value that Temporal has received, as the next attempt receives it."""
    return CONVERTER.from_payload(value.payload) if isinstance(value, RawValue) else value


async def returning(outbound: ActivityOutboundInterceptor, value: Any) -> Any:
    return value


async def test_result_goes_out_with_references_and_comes_in_without() -> None:
    sent = decoded(await run(returning, {"url": f"https://{SECRET}@x"}))
    assert SECRET not in sent["url"] and "[stepway-secret:k:" in sent["url"]
    seen: list[Any] = []

    async def noting(outbound: ActivityOutboundInterceptor, value: Any) -> None:
        seen.append(value)

    await run(noting, await given(sent))
    assert seen == [{"url": f"https://{SECRET}@x"}]
    await run(noting, await given(sent), mark=replace(STEP, project_id="another"))
    await run(noting, await given(sent), mark=None)
    assert seen[1:] == [sent, sent]
    await run(noting, await given(sent, RawValue))
    assert isinstance(seen[3], RawValue) and decoded(seen[3]) == seen[0]


class Typed(BaseModel):
    """An input that a reference does not fit."""

    token: SecretStr
    short: str = Field(max_length=len(SECRET))
    url: AnyUrl


async def sent_on(value: Any) -> Any:
    return decoded(await run(returning, value))


async def test_typed_input_is_made_from_the_secret() -> None:
    url = f"https://bot:{SECRET}@git.example/x"
    sent = await sent_on({"token": SECRET, "short": SECRET, "url": url})
    seen: list[Any] = []

    async def noting(outbound: ActivityOutboundInterceptor, value: Any) -> None:
        seen.append(value)

    await run(noting, await given(sent, Typed))
    [typed] = seen
    assert typed.token.get_secret_value() == typed.short == SECRET
    assert str(typed.url) == url


async def test_secret_that_does_not_fit_fails_finally_and_is_not_shown_in_part() -> None:
    text = "x" * 15 + SECRET + "y" * 40
    sent = await sent_on({"token": 1, "short": text, "url": "none"})
    with pytest.raises(ApplicationError) as caught:
        await run(returning, await given(sent, Typed))
    assert caught.value.non_retryable and caught.value.__cause__ is None
    assert "another value of the parameter" in caught.value.details[0]["remedy"]
    assert caught.value.message == (
        "The arguments in `with` do not fit the step's input: "
        "token: Input should be a valid string; "
        f"short: String should have at most {len(SECRET)} characters; "
        "url: Input should be a valid URL, relative URL without a base"
    )


async def test_lost_credential_fails_an_attempt_that_is_retried() -> None:
    PROCESS.learn("another secret", SecretName("alice", "gone"))
    sent = await sent_on("another secret")
    for hint in (None, SecretStr):
        with pytest.raises(ApplicationError, match="'gone' no longer exists") as caught:
            await run(returning, await given(sent, hint))
        assert not caught.value.non_retryable
        assert "restore" in caught.value.details[0]["remedy"]


async def test_heartbeat_of_the_attempt_before_is_repeated_as_it_came() -> None:
    sent = await sent_on({"at": SECRET})
    [payload] = await IN_ACTIVITY.encode([await given(sent)])
    assert payload == CONVERTER.to_payload(sent)


async def test_payload_of_a_workflow_or_without_a_reference_is_decoded_at_once() -> None:
    sent = await sent_on({"at": SECRET})
    converter = data_converter(None, payloads=step_payload_converter({}))
    for context in (None, WorkflowSerializationContext("default", "w")):
        used = converter.with_context(context) if context else converter
        assert await used.decode([CONVERTER.to_payload(sent)]) == [sent]
    assert await given({"at": 1}) == {"at": 1}


async def test_result_without_a_secret_is_the_very_same() -> None:
    value = {"a": [1]}
    assert await run(returning, value) is value


async def test_activity_that_is_no_step_is_left_alone_but_for_its_errors() -> None:
    assert await run(returning, SECRET, mark=None) == SECRET

    async def failing(outbound: ActivityOutboundInterceptor) -> None:
        raise RuntimeError(SECRET)

    with pytest.raises(ApplicationError, match=r"RuntimeError: \[redacted\]"):
        await run(failing, mark=None)


async def test_reason_of_a_skip_is_for_people() -> None:
    skipped = await run(returning, Skipped(f"has {SECRET}"))
    assert skipped == Skipped(f"has {REDACTED}")


@pytest.mark.parametrize(("length", "aside"), [(10, False), (LONG, True)])
async def test_long_result_keeps_the_event_loop_free(
    monkeypatch: pytest.MonkeyPatch, length: int, aside: bool
) -> None:
    threads: list[threading.Thread] = []
    put_into = References.put_into

    def noted(self: References, *args: Any) -> Any:
        threads.append(threading.current_thread())
        return put_into(self, *args)

    monkeypatch.setattr(References, "put_into", noted)
    await run(returning, "x" * length)
    assert [each is not threading.main_thread() for each in threads] == [aside]


async def test_heartbeats_hand_on_references_and_show_progress_without_secrets() -> None:
    outside = Outside()
    unfit = object()

    async def beating(outbound: ActivityOutboundInterceptor) -> None:
        outbound.heartbeat(Progress(50, SECRET), {"at": SECRET}, "plain", unfit)

    await run(beating, outside=outside)
    [(progress, details, plain, other)] = outside.beats
    assert progress == Progress(50, REDACTED)
    assert "[stepway-secret:k:" in decoded(details)["at"]
    assert plain == "plain" and other is unfit


async def test_next_attempt_finds_the_secret_in_what_the_one_before_left() -> None:
    outside = Outside()

    async def beating(outbound: ActivityOutboundInterceptor) -> Any:
        outbound.heartbeat({"at": SECRET})
        return outbound.info().heartbeat_details

    assert await run(beating, outside=outside) == []
    left = Outside(details=[await given(decoded(outside.beats[0][0])), "plain"])

    async def resuming(outbound: ActivityOutboundInterceptor) -> bool:
        return list(outbound.info().heartbeat_details) == [{"at": SECRET}, "plain"]

    assert await run(resuming, outside=left) is True


async def test_error_is_told_without_the_secret_and_with_its_cause() -> None:
    async def failing(outbound: ActivityOutboundInterceptor) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ApplicationError(
                f"no {SECRET}",
                {"remedy": f"say {SECRET}"},
                type="Odd",
                non_retryable=True,
                next_retry_delay=timedelta(seconds=3),
                category=ApplicationErrorCategory.BENIGN,
            ) from cause

    with pytest.raises(ApplicationError) as caught:
        await run(failing)
    error = caught.value
    assert (error.message, error.details) == (f"no {REDACTED}", ({"remedy": f"say {REDACTED}"},))
    assert (error.type, error.non_retryable) == ("Odd", True)
    assert error.next_retry_delay == timedelta(seconds=3)
    assert error.category == ApplicationErrorCategory.BENIGN
    assert isinstance(error.__cause__, ApplicationError)
    assert error.__cause__.type == "KeyError" and SECRET not in str(error.__cause__)


async def test_error_that_says_nothing_secret_is_the_very_same() -> None:
    error = ValueError("nothing to hide")

    async def failing(outbound: ActivityOutboundInterceptor) -> None:
        raise error

    with pytest.raises(ValueError) as caught:
        await run(failing)
    assert caught.value is error


@pytest.mark.parametrize("length", [10, LONG])
async def test_error_of_any_length_is_redacted(length: int) -> None:
    async def failing(outbound: ActivityOutboundInterceptor) -> None:
        raise RuntimeError("x" * length + SECRET)

    with pytest.raises(ApplicationError) as caught:
        await run(failing)
    assert SECRET not in str(caught.value) and str(caught.value).endswith(REDACTED)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_secret_of_the_context_is_found_and_of_a_suppressed_one_dropped() -> None:
    error = raised(RuntimeError("outer"))
    error.__context__ = raised(KeyError(SECRET))
    clean = redacted_error(error)
    assert isinstance(clean, ApplicationError) and clean.message == "RuntimeError: outer"
    assert isinstance(clean.__cause__, ApplicationError) and clean.__cause__.type == "KeyError"
    assert clean.__traceback__ is error.__traceback__
    hidden = raised(RuntimeError(SECRET))
    hidden.__context__ = raised(KeyError("x"))
    hidden.__suppress_context__ = True
    assert redacted_error(hidden).__cause__ is None


def test_secret_in_the_details_alone_is_found() -> None:
    error = ApplicationError("outer", {"remedy": SECRET})
    clean = redacted_error(error)
    assert isinstance(clean, ApplicationError)
    assert (clean.message, clean.details) == ("outer", ({"remedy": REDACTED},))
