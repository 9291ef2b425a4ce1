"""A real S3 server on this machine, and a bucket of a test's own in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from mlops_assets_tests.servers import free_port, wait_for

# What a user sets for a store that is not Amazon's own.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Address of an S3 server that keeps its objects in memory."""
    port = free_port()
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/moto-api/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def s3(tmp_path_factory) -> Iterator[str]:
    """Address of an S3 server; the environment names it and holds the keys, as a user's would."""
    pytest.importorskip("moto", reason="the package moto is not installed")
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    with s3_server(tmp_path_factory.mktemp("s3")) as address, pytest.MonkeyPatch.context() as patch:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": address}).items():
            patch.setenv(name, value)
        yield address


@pytest.fixture
def bucket(s3) -> str:
    """URL of an empty bucket."""
    return new_bucket()


def new_bucket() -> str:
    import boto3

    name = f"bucket-{uuid4().hex}"
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.create_bucket(Bucket=name)
    client.close()
    return f"s3://{name}"
