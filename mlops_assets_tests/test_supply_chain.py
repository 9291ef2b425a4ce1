"""Packages are pinned by version and digest, and what is installed can be listed."""

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = (ROOT / "constraints.txt").read_text()
DIGEST = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def test_every_package_is_pinned_by_version_and_digest_and_by_no_address():
    lines = [line for line in PINNED.splitlines() if not line.startswith("#")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith(" "):
            assert re.fullmatch(r"[a-z0-9._-]+==[^ ]+( ; .+)? \\", line), line
            assert DIGEST.fullmatch(following), line
        else:
            assert DIGEST.fullmatch(line), line
    assert "://" not in PINNED


def test_the_installer_takes_the_digests_of_uv_for_pip():
    script = (ROOT / "scripts" / "install.sh").read_text()
    [command] = re.findall(r"sed -n '[^']+' constraints.txt", script)
    block = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    first, *digests = block.splitlines()
    assert first.startswith("uv==") and digests and all(map(DIGEST.fullmatch, digests))
    assert not digests[-1].endswith("\\")
    assert command in (ROOT / "Dockerfile").read_text()


def test_the_bill_of_materials_has_every_package_that_is_installed():
    command = [sys.executable, ROOT / "scripts" / "sbom.py"]
    bill = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    components = [bill["metadata"]["component"], *bill["components"]]
    assert {(c["name"], c["version"]) for c in components} == {(d.metadata["Name"], d.version) for d in distributions()}
    known = {component["bom-ref"] for component in components}
    assert len(known) == len(components)
    assert all({item["ref"], *item["dependsOn"]} <= known for item in bill["dependencies"])
    [ours] = [item for item in bill["dependencies"] if item["ref"].startswith("pkg:pypi/mlops-assets@")]
    assert any(name.startswith("pkg:pypi/fastapi@") for name in ours["dependsOn"])
