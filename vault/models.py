"""The table of credentials."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from stepway_tracking.record.models import Base


class Credential(Base):
    """An encrypted secret of an owner; `account` is the account that it signs in to.

    `kind`, `url`, `ca` and `options` are those of its Target (vault/kinds.py).
    """

    __tablename__ = "credentials"
    __table_args__ = (UniqueConstraint("owner", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    owner: Mapped[str]
    name: Mapped[str]
    account: Mapped[str]
    key_id: Mapped[str]
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    kind: Mapped[str | None]
    url: Mapped[str | None]
    ca: Mapped[str | None]
    options: Mapped[dict[str, Any] | None]
