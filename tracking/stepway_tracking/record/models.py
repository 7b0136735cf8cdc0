"""The tables of the record; docs/reference/data-model.md describes each column and its writer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from stepway_tracking.record.facts import PROJECT_STATUSES, STEP_STATUSES


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Base(DeclarativeBase):
    """Base of every table; times are timestamptz, JSON is jsonb."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy defines this attribute
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        str: Text,
    }


class Project(Base):
    """A project and the state of its initialization."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("owner", "name"),
        CheckConstraint(_one_of("status", PROJECT_STATUSES), name="projects_status_check"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="projects_progress_check"),
        Index("projects_newest", text("created_at DESC"), text("id DESC")),
        Index("projects_newest_of_owner", "owner", text("created_at DESC"), text("id DESC")),
        Index(
            "projects_unfinished_of_owner",
            "owner",
            postgresql_where=text("initialization_completed_at IS NULL"),
        ),
        Index("projects_newest_of_blueprint", "blueprint", text("created_at DESC")),
        Index("projects_newest_of_status", "status", text("created_at DESC"), text("id DESC")),
        Index(
            "projects_not_ended",
            "updated_at",
            postgresql_where=text("initialization_completed_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner: Mapped[str]
    blueprint: Mapped[str]
    parameters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    status: Mapped[str] = mapped_column(server_default="initializing")
    progress: Mapped[int] = mapped_column(server_default="0")
    workflow_id: Mapped[str]
    run_id: Mapped[str | None]
    version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    initialization_started_at: Mapped[datetime | None]
    initialization_completed_at: Mapped[datetime | None]
    initialization_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    points: Mapped[int] = mapped_column(BigInteger, server_default="0")
    points_total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    fence: Mapped[datetime | None]
    definition: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    request_hash: Mapped[str | None]
    waited: Mapped[int] = mapped_column(BigInteger, server_default="0")
    waiting_since: Mapped[datetime | None]
    rollback: Mapped[dict[str, Any] | None]
    cancel_requested_at: Mapped[datetime | None]
    task_queue: Mapped[str | None]


class Step(Base):
    """A step or sub-step of a project's initialization."""

    __tablename__ = "project_initialization_steps"
    __table_args__ = (
        UniqueConstraint("project_id", "step"),
        CheckConstraint(
            _one_of("status", STEP_STATUSES), name="project_initialization_steps_status_check"
        ),
        CheckConstraint(
            "progress BETWEEN 0 AND 100", name="project_initialization_steps_progress_check"
        ),
        Index(
            "project_initialization_steps_durations",
            "completed_at",
            postgresql_include=["project_id", "step", "status", "duration"],
            postgresql_where=text("parent_step IS NULL AND completed_at IS NOT NULL"),
        ),
        Index(
            "project_initialization_steps_queued",
            "queue",
            postgresql_where=text("queue IS NOT NULL AND status IN ('pending', 'running')"),
        ),
        Index(
            "project_initialization_steps_awaiting",
            "project_id",
            postgresql_where=text("metadata ? 'waiting_for_worker'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    step: Mapped[str]
    display_name: Mapped[str]
    sequence: Mapped[int]
    status: Mapped[str] = mapped_column(server_default="pending")
    progress: Mapped[int] = mapped_column(server_default="0")
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    duration: Mapped[int | None]
    error: Mapped[str | None]
    error_stack: Mapped[str | None]
    # SQLAlchemy reserves the attribute name `metadata`.
    details: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    parent_step: Mapped[str | None]
    message: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(server_default="0")
    round: Mapped[int] = mapped_column(server_default="0")
    weight: Mapped[int] = mapped_column(server_default="1")
    optional: Mapped[bool] = mapped_column(server_default=text("false"))
    undone_at: Mapped[datetime | None]
    points: Mapped[int] = mapped_column(BigInteger, server_default="0")
    fence: Mapped[datetime | None]
    run_id: Mapped[str | None]
    activity_id: Mapped[str | None]
    waited: Mapped[int] = mapped_column(BigInteger, server_default="0")
    queue: Mapped[str | None]


class Attempt(Base):
    """One attempt at a step: inserted at its start, updated once at its end."""

    __tablename__ = "project_initialization_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "step"],
            ["project_initialization_steps.project_id", "project_initialization_steps.step"],
            ondelete="CASCADE",
        ),
        Index(
            "project_initialization_attempts_kept",
            "project_id",
            "step",
            "run_id",
            "activity_id",
            unique=True,
            postgresql_where=text("result IS NOT NULL"),
        ),
        Index(
            "project_initialization_attempts_not_completed",
            "ended_at",
            postgresql_where=text("outcome <> 'completed'"),
        ),
    )

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str | None]
    activity_id: Mapped[str | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[str | None]
    error_stack: Mapped[str | None]
    worker: Mapped[str | None]
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
    error_details: Mapped[dict[str, Any] | None]


class Event(Base):
    """One change, as it is streamed. Rows are never updated."""

    __tablename__ = "project_initialization_events"
    __table_args__ = (
        Index(
            "project_initialization_events_change",
            "project_id",
            "change_id",
            unique=True,
            postgresql_where=text("change_id IS NOT NULL"),
        ),
    )

    project_id: Mapped[UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    type: Mapped[str]
    action: Mapped[str]
    step: Mapped[str | None]
    actor: Mapped[str | None]
    payload: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    change_id: Mapped[str | None]
