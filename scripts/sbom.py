"""Print a bill of materials (CycloneDX 1.6, JSON) of what is installed where this runs: `make sbom`."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any

OURS = "mlops-assets"


def bill() -> dict[str, Any]:
    """The document: this project, every package beside it, and who depends on whom as far as it is installed."""
    installed = {_name(package.metadata["Name"]): package for package in distributions()}
    others = [_component(package) for name, package in sorted(installed.items()) if name != OURS]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component(installed[OURS]) | {"type": "application"}},
        "components": others,
        "dependencies": [
            {"ref": _reference(package), "dependsOn": sorted(_needed(package, installed))}
            for _, package in sorted(installed.items())
        ],
    }


def _component(package: Distribution) -> dict[str, Any]:
    metadata = package.metadata
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(package),
        "name": metadata["Name"],
        "version": package.version,
        "purl": _reference(package),
    }
    if "License-Expression" in metadata:
        component["licenses"] = [{"expression": metadata["License-Expression"]}]
    elif "License" in metadata and "\n" not in metadata["License"]:  # else it is the whole text
        component["licenses"] = [{"license": {"name": metadata["License"]}}]
    return component


def _needed(package: Distribution, installed: dict[str, Distribution]) -> set[str]:
    names = (_name(match[0]) for line in package.requires or () if (match := re.match(r"[A-Za-z0-9._-]+", line)))
    return {_reference(installed[name]) for name in names if name in installed} - {_reference(package)}


def _reference(package: Distribution) -> str:
    return f"pkg:pypi/{_name(package.metadata['Name'])}@{package.version}"


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=1)
