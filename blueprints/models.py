"""The schema of blueprint files. A blueprint is one type of project."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from stepway.workflows.model.queues import RESERVED

DAY = 86_400.0
_CLOSED_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": False}


def _by_language(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError("must be text, or a mapping from language to text")
    return {"en": value} if isinstance(value, str) else value


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Text = Annotated[dict[Language, NonEmpty], BeforeValidator(_by_language), Field(min_length=1)]
StepName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
BlueprintName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]
QueueName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Retry(_Model):
    """As Temporal's RetryPolicy: 0 attempts means no limit, intervals are seconds."""

    maximum_attempts: int = Field(
        default=3, ge=0, description="Attempts that may fail; 0 is without limit."
    )
    initial_interval: Seconds = Field(
        default=1.0, description="Seconds between the first and the second attempt."
    )
    backoff_coefficient: float = Field(
        default=2.0, ge=1, allow_inf_nan=False, description="Each interval is this times longer."
    )
    maximum_interval: Seconds | None = Field(
        default=None,
        description="Seconds of the longest interval; 100 times the initial one by default.",
    )

    @property
    def longest_interval(self) -> float:
        """The maximum interval; by default 100 times the initial one, as in Temporal."""
        return self.maximum_interval or 100 * self.initial_interval

    @model_validator(mode="after")
    def _intervals_agree(self) -> "Retry":
        if self.longest_interval < self.initial_interval:
            raise ValueError("maximum_interval is shorter than initial_interval")
        return self


class Undo(_Model):
    """The activity that rolls a step back; without `with` it gets the step's arguments."""

    uses: NonEmpty = Field(description="The type of the activity that rolls the step back.")
    arguments: dict[str, Any] | None = Field(
        default=None, alias="with", description="Its arguments; those of the step by default."
    )
    partial: bool = Field(
        default=False,
        description=(
            "Also roll back a step that failed or was stopped. Its `result` is null then: the "
            "activity must recognize what the project has made."
        ),
    )


class Step(_Model):
    """One step: an activity, its arguments and its dependencies."""

    step: StepName = Field(
        description="Identifier, unique in the file: `a-z`, `0-9` and `_`, a letter first."
    )
    display_name: Text = Field(
        default_factory=dict,
        description="Text, or texts by language; made from `step` by default.",
    )
    uses: NonEmpty = Field(description="The type of the activity that runs.")
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="The activity's arguments: the fields of its input dataclass but `project`.",
    )
    needs: list[str] = Field(
        default_factory=list,
        description="Steps that must complete first. If one is skipped, this step is skipped too.",
    )
    after: list[str] = Field(
        default_factory=list,
        description="Steps that must end first, completed or skipped.",
    )
    optional: bool = Field(
        default=False, description="Whether a person may skip the step after it has failed."
    )
    weight: int = Field(
        default=1, ge=0, description="Share of the whole progress, a whole number from 0."
    )
    timeout: Seconds = Field(default=600.0, description="Seconds that one attempt may run.")
    heartbeat: Seconds | None = Field(
        default=None,
        description=(
            "Seconds that one attempt may be silent. Without it, a silent attempt ends at its "
            "timeout."
        ),
    )
    retry: Retry = Field(default=Retry(), description="When failed attempts are repeated; below.")
    undo: Undo | None = Field(default=None, description="How the step is rolled back; below.")
    queue: QueueName | None = Field(
        default=None,
        description=(
            "The queue of the workers that run the step, `STEPWAY_STEP_QUEUES` there; any worker "
            "that runs initializations by default."
        ),
    )

    @field_validator("queue")
    @classmethod
    def _is_not_reserved(cls, value: str | None) -> str | None:
        if value in RESERVED:
            raise ValueError(f"{value!r} is reserved; choose another name for the queue")
        return value

    @model_validator(mode="after")
    def _name_for_people(self) -> "Step":
        self.display_name = self.display_name or {"en": _humanized(self.step)}
        return self


class Blueprint(_Model):
    """One type of project.

    `parameters` is a JSON Schema (2020-12) of an object; `additionalProperties` defaults to false.
    `editable` are the parameters that a retry may change; None for all. `time_limit` is seconds
    for the whole initialization, including waits for a person.
    """

    name: BlueprintName = Field(
        description="Unique over all folders: `a-z`, `0-9` and `-`, a letter first."
    )
    title: Text = Field(
        default_factory=dict,
        description="Text, or texts by language: `{en: …, zh: …}`; made from `name` by default.",
    )
    description: Text | None = Field(default=None, description="As `title`.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="The JSON Schema of an object: what people may choose."
    )
    steps: list[Step] = Field(
        min_length=1, description="At least one; their weights must not all be 0."
    )
    time_limit: Seconds = Field(
        default=7 * DAY,
        description="Seconds for the whole initialization, including waits for a person.",
    )
    editable: list[str] | None = Field(
        default=None,
        description="The parameters that a retry may change; all by default, none if `[]`.",
    )

    @property
    def parameter_names(self) -> list[str]:
        """The properties in the schema of the parameters."""
        return list(self.parameters.get("properties", {}))

    @model_validator(mode="after")
    def _defaults(self) -> "Blueprint":
        self.title = self.title or {"en": _humanized(self.name)}
        self.parameters = _CLOSED_OBJECT | self.parameters
        if not any({"needs", "after"} & step.model_fields_set for step in self.steps):
            for before, step in zip(self.steps, self.steps[1:], strict=False):
                step.after = [before.step]
        return self


def _humanized(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").capitalize()
