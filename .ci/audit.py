"""Known vulnerabilities of what is installed in a virtual environment: `python .ci/audit.py [ENVIRONMENT]`.

pip-audit asks the package index for its advisories, from an environment of its own that is thrown away. Exit status 1
where there is a known vulnerability, 0 where there is none. Where it cannot be known (no network, an index without
advisories) it says so; that is exit status 2 in CI (CI=true), else 0.

OPENDIFF_AUDIT=offline   for a CI whose machines reach no advisories: what cannot be known passes there too
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TIMEOUT_S = 300
PIP_AUDIT = "pip-audit==2.10.1"
UNKNOWN = 2  # exit status in CI


def unknown() -> int:
    """Exit status where it cannot be known whether there is a vulnerability."""
    required = os.environ.get("CI") == "true" and os.environ.get("OPENDIFF_AUDIT") != "offline"
    return UNKNOWN if required else 0


def judge(report: dict) -> tuple[int, str]:
    """Exit status and text for pip-audit's JSON."""
    every = report.get("dependencies", [])
    faulty = [d for d in every if d.get("vulns")]
    skipped = sum("skip_reason" in d for d in every)
    lines = [
        f"  {d['name']} {d.get('version', '')}: {v.get('id', '')}, mended in "
        f"{', '.join(v.get('fix_versions') or ['none yet'])}"
        for d in faulty
        for v in d["vulns"]
    ]
    if faulty:
        return 1, "\n".join([f"{len(faulty)} packages have known vulnerabilities:", *lines])
    if 2 * skipped >= len(every):
        return unknown(), (
            f"Dependencies could not be audited: the package index here gives no advisories for {skipped} of "
            f"{len(every)} packages."
        )
    return (
        0,
        f"{len(every) - skipped} packages audited, none with a known vulnerability; {skipped} unknown to the index.",
    )


def main() -> int:
    environment = Path(sys.argv[1] if len(sys.argv) > 1 else ".venv")
    installed = next(iter(sorted(environment.glob("[Ll]ib/**/site-packages"))), None)
    if installed is None:
        print(f"Dependencies could not be audited: {environment} holds no packages.")
        return unknown()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "bin" if sys.platform != "win32" else "Scripts")
        steps = (
            [sys.executable, "-m", "venv", folder],
            [str(own / "python"), "-m", "pip", "install", "--quiet", PIP_AUDIT],
            [
                str(own / "pip-audit"),
                "--path",
                str(installed),
                "--format",
                "json",
                "--progress-spinner",
                "off",
            ],
        )
        try:
            for step in steps:
                answer = subprocess.run(step, capture_output=True, text=True, timeout=TIMEOUT_S)
            report = json.loads(answer.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            print(f"Dependencies could not be audited ({type(error).__name__}); is there a network?")
            return unknown()
    status, text = judge(report)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
