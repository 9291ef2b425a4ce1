"""A real S3 server on this machine, and buckets in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

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


def new_bucket() -> str:
    """URL of an empty bucket of the server that the environment names."""
    import boto3

    name = f"bucket-{uuid4().hex}"
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.create_bucket(Bucket=name)
    client.close()
    return f"s3://{name}"
