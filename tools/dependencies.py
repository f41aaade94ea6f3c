"""A look at what we depend on: licences and known vulnerabilities of the locked packages.

``python -m tools.dependencies`` from the repository's root. Exit status 1 when a runtime
dependency has a licence that pyproject.toml neither allows nor lists as reviewed, or when a
package of the development lock (a superset of the runtime lock) has a known vulnerability. An
advisory service that cannot be reached is said in one line and fails nothing.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
RUNTIME_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
AUDIT_SECONDS_MAX = 300

# Packages without an SPDX expression name their licence by a trove classifier.
CLASSIFIER_LICENCES = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

# How pip-audit's last words read when nobody answered.
UNREACHABLE = re.compile(r"connect|resolve|timed? ?out|proxy|ssl|http|service", re.IGNORECASE)


def main() -> int:
    with (ROOT / "pyproject.toml").open("rb") as file:
        policy = tomllib.load(file)["tool"]["meterhouse"]["dependencies"]
    faults = [*licence_faults(policy), *vulnerability_faults(policy)]
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults else 0


def licence_faults(policy: Mapping[str, Any]) -> Iterator[str]:
    """Hold each locked runtime package that is meant for this platform to the policy."""
    allowed = frozenset(policy["licences"])
    reviewed = policy["reviewed-licences"]
    names = list(locked_names(RUNTIME_LOCK))
    for name in names:
        licence = licence_of(name)
        if is_allowed(licence, allowed):
            continue
        if name in reviewed and reviewed[name]["licence"] == licence:
            print(f"licences: {name} is {licence}, reviewed: {reviewed[name]['reason']}")
            continue
        yield f"{name}: licence {licence!r} is neither allowed nor reviewed (see pyproject.toml)"
    print(f"licences: looked at {len(names)} locked runtime packages")


def locked_names(lock: Path) -> Iterator[str]:
    """The lock's packages whose markers hold here."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name


def licence_of(name: str) -> str:
    """The licence that a package declares: SPDX expression, classifier, or short free text."""
    try:
        declared = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "unknown: not installed"
    if expressions := declared.get_all("License-Expression", []):
        return str(expressions[0])
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in declared.get_all("Classifier", [])
        if classifier.startswith("License ::") and classifier != "License :: OSI Approved"
    ]
    if classifiers:
        return " AND ".join(CLASSIFIER_LICENCES.get(name, name) for name in classifiers)
    return str(declared.get_all("License", ["unknown: not declared"])[0])


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Whether an SPDX expression can be met by allowed licences alone.

    AND binds stronger than OR. Parentheses and WITH are left to a review by a person.
    """
    if "(" in expression:
        return False
    return any(
        all(licence in allowed for licence in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def vulnerability_faults(policy: Mapping[str, Any]) -> Iterator[str]:
    """Ask the advisory service for each locked package, development tools too."""
    accepted = policy["accepted-advisories"]
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(DEV_LOCK)]
    command += ["--disable-pip", "--require-hashes", "--format=json", "--desc=off"]
    command += ["--progress-spinner=off"]
    try:
        audit = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        print("vulnerabilities: NOT LOOKED AT: the advisory service did not answer in time")
        return
    try:
        packages = json.loads(audit.stdout)["dependencies"]
    except json.JSONDecodeError:
        reason = (audit.stderr.strip().splitlines() or ["no message"])[-1]
        if not UNREACHABLE.search(reason):
            yield f"pip-audit failed: {reason}"
        else:
            print("vulnerabilities: NOT LOOKED AT: the advisory service cannot be reached")
        return

    # An index without advisories answers "not found" for each package, and pip-audit is content.
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        print("vulnerabilities: NOT LOOKED AT: this package index serves no advisories")
        return
    if unknown:
        print(f"vulnerabilities: not known to the advisory service: {', '.join(unknown)}")
    for package in packages:
        for advisory in package.get("vulns", []):
            if not accepted.keys().isdisjoint({advisory["id"], *advisory.get("aliases", [])}):
                continue
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}"
    print(f"vulnerabilities: looked at {len(packages) - len(unknown)} locked packages")


if __name__ == "__main__":
    sys.exit(main())
