"""Objects in an S3-compatible store, or files in a folder, that hold logs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from stepway_tracking.record.errors import LogStoreAway

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

SCHEMES = ("s3://", "file:///")

TIMEOUT = timedelta(seconds=60)
"""For one request; an object has some megabytes."""

CONNECT_TIMEOUT = timedelta(seconds=5)

RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


class LogBlobs:
    """The objects below `s3://BUCKET/PREFIX` or `file:///FOLDER`.

    Credentials, region and endpoint come from the standard variables `AWS_ACCESS_KEY_ID`,
    `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, … Methods raise LogStoreAway if the
    store does not answer or refuses.
    """

    def __init__(self, url: str) -> None:
        """Raises ImportError without the package obstore, ValueError for another URL or a folder
        that does not exist.
        """
        import obstore  # noqa: PLC0415 - an optional dependency

        check_url(url)
        self._obstore = obstore
        self._folder = _Folder(url) if url.startswith("file:") else None
        self._store = _open(url)

    async def put(self, path: str, content: bytes) -> None:
        """Write an object as a whole."""
        await self._require_folder()
        try:
            await self._obstore.put_async(self._store, path, content)
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise _away(error) from error

    async def read(self, path: str, start: int, length: int) -> bytes | None:
        """A part of an object that was written; None if the store answers that it is gone."""
        try:
            found = await self._obstore.get_range_async(
                self._store, path, start=start, length=length
            )
        except (FileNotFoundError, self._obstore.exceptions.NotFoundError) as error:
            _require_bucket(error)
            await self._require_folder(filled=True)
            return None
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise _away(error) from error
        return bytes(found)

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; it is no error if some are gone."""
        await self._require_folder()
        for path in paths:
            try:
                await self._obstore.delete_async(self._store, path)
            except (FileNotFoundError, self._obstore.exceptions.NotFoundError) as error:
                _require_bucket(error)
            except (self._obstore.exceptions.BaseError, OSError) as error:
                raise _away(error) from error

    async def below(self, folder: str) -> list[str]:
        """The paths of all objects in a folder."""
        await self._require_folder()
        try:
            return [
                each["path"]
                async for some in self._obstore.list(self._store, prefix=folder)
                for each in some
            ]
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise _away(error) from error

    async def _require_folder(self, *, filled: bool = False) -> None:
        """Raise LogStoreAway if the folder is away, or if it is empty and must be `filled`.

        Otherwise the driver would make the folder, on the disk below a mount.
        """
        if self._folder is not None:
            try:
                # The folder may be on another machine, which may be slow.
                await asyncio.to_thread(self._folder.require, filled)
            except OSError as error:
                raise _away(error) from error


class _Folder:
    """The folder of a `file:` URL, and which one it was at the start."""

    def __init__(self, url: str) -> None:
        self._path = Path(url2pathname(urlsplit(url).path))
        if not self._path.is_dir():
            raise ValueError(f"the folder {self._path} does not exist; create it, or mount it")
        self._identity = self._identify()

    def require(self, filled: bool) -> None:
        """Raise OSError if the folder is gone, or is now the empty place of a mount."""
        replaced = self._identify() != self._identity
        if (filled or replaced) and not any(self._path.iterdir()):
            raise FileNotFoundError(f"{self._path} is empty; is it mounted?")

    def _identify(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino


def check_url(url: str) -> None:
    """Raise ValueError for a URL that is of no kind of store, ImportError without obstore."""
    import obstore  # noqa: F401, PLC0415 - an optional dependency

    if not url.startswith(SCHEMES):
        raise ValueError(f"must begin with {' or '.join(SCHEMES)}")


def _require_bucket(error: BaseException) -> None:
    """Raise LogStoreAway if not the object but its bucket is missing; the driver has one error."""
    if "<Code>NoSuchBucket</Code>" in str(error):
        raise _away(error) from error


def _open(url: str) -> LocalStore | S3Store:
    from obstore.store import LocalStore, S3Store  # noqa: PLC0415 - an optional dependency

    if url.startswith("file://"):
        return LocalStore.from_url(url)
    # Only an endpoint that the deployment names may be without TLS.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    more: Any = {"endpoint": endpoint} if endpoint else {}
    return S3Store.from_url(
        url,
        **more,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "timeout": TIMEOUT,
            "connect_timeout": CONNECT_TIMEOUT,
        },
        retry_config=RETRIES,
    )


def _away(error: BaseException) -> LogStoreAway:
    # The driver's text tells addresses and answers of the store; it is for the process' log.
    return LogStoreAway("The store of old logs cannot be reached now; try again later.", error)
