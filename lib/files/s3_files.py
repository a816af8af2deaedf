"""Shared files in a bucket that speaks S3. Loaded only where a bucket is named: botocore takes 20 MB of a process.

botocore itself, and not a storage class over boto3: one client serves all threads, where boto3's resources are one a thread.
No object gets an ACL, so it is private, and no address of one is ever made: the desk hands out what its own rules allow.
The calls are PutObject, GetObject, HeadObject, DeleteObject and ListObjectsV2 of
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import errno
import io
import mimetypes
import secrets
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from django.core.files.storage import Storage

from lib.files.buckets import Bucket, Refused, Unreachable

CONNECT_SECONDS, READ_SECONDS = 2, 10
# After a failure nobody asks again for so long: a page that wants a file says so at once.
BACK_OFF_SECONDS = 15.0
_BLOCK_BYTES = 1 << 16
_BUSY = {408, 425, 429}  # beside all from 500 on


@lru_cache
def client(bucket: Bucket) -> Any:
    """Return the client of this process for a bucket. It opens a connection with its first call."""
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.key or None,
        aws_secret_access_key=bucket.secret or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},  # a kept connection may have been closed meanwhile
            # What botocore adds of its own is not known to every service that speaks S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class _Pause:
    """Until when nobody asks, by the monotonic clock, and why; one a process."""

    until, reason = 0.0, ""


@contextmanager
def _asking(name: str = "") -> Iterator[None]:
    """Turn botocore's errors into ours: `FileNotFoundError`, `Unreachable`, `Refused`. After one of the latter two, each
    later block fails at once for `BACK_OFF_SECONDS`."""
    if time.monotonic() < _Pause.until:
        raise Unreachable(_Pause.reason)
    problem: Unreachable
    try:
        yield
        return
    except ClientError as error:
        status = int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))
        code = str(error.response["Error"].get("Code", status))
        if status == 404 and code != "NoSuchBucket":
            raise FileNotFoundError(errno.ENOENT, "there is no such file", name) from None
        problem = (Unreachable if status >= 500 or status in _BUSY else Refused)(code)
    except BotoCoreError as error:
        problem = Unreachable(type(error).__name__)
    _Pause.until, _Pause.reason = time.monotonic() + BACK_OFF_SECONDS, str(problem)
    raise problem from None


class S3Files(Storage):
    """The files of a bucket whose names begin with `folder`. A file that is saved takes the place of one with its name.

    Each method raises `Unreachable` within half a minute, `open` and `size` also `FileNotFoundError`.
    """

    files_grow = False  # there is no file before it is whole

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket, self._prefix = bucket, f"{bucket.prefix}{folder}/"

    @property
    def is_away(self) -> bool:
        """Whether it failed a moment ago, so that nobody asks now."""
        return time.monotonic() < _Pause.until

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": f"{self._prefix}{name}"}

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # each is named after its row or by chance, so it is the same file or none

    def _save(self, name: str, content: "File[Any]") -> str:
        content.seek(0)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with _asking(name):
            client(self._bucket).put_object(**self._object(name), Body=content.file, ContentType=kind)
        return name

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        reader = _Reader(self._bucket, self._object(name), self.size(name))
        return File(io.BufferedReader(reader, _BLOCK_BYTES), name)

    def size(self, name: str) -> int:
        with _asking(name):
            return int(client(self._bucket).head_object(**self._object(name))["ContentLength"])

    def exists(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def delete(self, name: str) -> None:
        with _asking(name):
            client(self._bucket).delete_object(**self._object(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        folder = f"{path}/".lstrip("/")
        folders: list[str] = []
        for page in self._pages(folder, Delimiter="/"):
            folders += [each["Prefix"].rstrip("/").rpartition("/")[2] for each in page.get("CommonPrefixes", [])]
        return folders, [name.removeprefix(folder) for name in self.modified(path)]

    def modified(self, folder: str) -> dict[str, datetime]:
        """Return when each file of a folder was written, by its name."""
        start = f"{folder}/".lstrip("/")
        return {
            each["Key"].removeprefix(self._prefix): each["LastModified"]
            for page in self._pages(start, Delimiter="/")
            for each in page.get("Contents", [])
        }

    def _pages(self, folder: str, **options: str) -> Iterator[Any]:
        with _asking(folder):
            pages = client(self._bucket).get_paginator("list_objects_v2")
            yield from pages.paginate(Bucket=self._bucket.name, Prefix=f"{self._prefix}{folder}", **options)


class _Reader(io.RawIOBase):
    """An object as a file that is read from any place on. The request leaves with the first read after a `seek`."""

    def __init__(self, bucket: Bucket, place: dict[str, str], size: int) -> None:
        self._bucket, self._place, self._size = bucket, place, size
        self._at = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset != self._at:
            self._end()
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        with _asking(self._place["Key"]):
            if self._body is None:
                self._body = client(self._bucket).get_object(**self._place, Range=f"bytes={self._at}-")["Body"]
            part: bytes = self._body.read(len(buffer))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _end(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        self._end()
        super().close()


def examine(bucket: Bucket) -> None:
    """Write a file to a bucket, read it, and ask for it without a key, then delete it.

    Raises `Unreachable`, and `Refused` where the bucket does not take it or hands it to everybody.
    """
    files = S3Files(bucket, "media")
    name = f"try-{secrets.token_hex(8)}"
    _Pause.until = 0.0
    try:
        files.save(name, File(io.BytesIO(b"try")))
        with files.open(name) as file:
            file.read()
        is_public = _is_public(f"{bucket.shown}/{files._object(name)['Key']}")
        files.delete(name)
        if is_public:
            raise Refused("anybody may read what is in it: take its public access away")
    except FileNotFoundError:
        raise Refused("what was written to it is not there") from None
    finally:
        client(bucket).close()  # no connection outlives a fork
        client.cache_clear()


def _is_public(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=READ_SECONDS) as answer:  # noqa: S310 - the scheme is ours
            return bool(answer.status == 200)
    except OSError:  # such as a refusal
        return False
