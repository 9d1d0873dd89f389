"""The same image for people with a Docker daemon and a package index: a Dockerfile beside what it copies."""

from __future__ import annotations

import json

from homeostat.core.version import VERSION

REQUIREMENTS = "requirements.txt"
ENVIRONMENT = "environment.txt"


def dockerfile(python: str, command: list[str], environment: str | None = None) -> str:
    """The Dockerfile for a folder that holds `requirements.txt` and `models/`. `python` is such as "3.11".

    With `environment`, the folder holds `environment.txt` too, and a virtual environment with it is made there.
    """
    words = ["python", *command[1:]]
    second = (
        ""
        if environment is None
        else f"""\
COPY {ENVIRONMENT} /tmp/{ENVIRONMENT}
RUN python -m venv --without-pip {environment} && pip --python {environment}/bin/python install --no-cache-dir \\
    --no-deps -r /tmp/{ENVIRONMENT}
"""
    )
    return f"""\
FROM python:{python}-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY {REQUIREMENTS} /tmp/{REQUIREMENTS}
RUN pip install --no-cache-dir -r /tmp/{REQUIREMENTS}
{second}COPY models /models
USER 65532:65532
EXPOSE 8080
ENTRYPOINT {json.dumps(words)}
CMD ["--open"]
"""


def requirements(locked: dict[str, str], roots: list[str]) -> str:
    """What that image installs: this Homeostat, and what the model needs in the versions that its environment had."""
    listed = [f"{name}=={locked[name]}" if name in locked else name for name in roots]
    return "\n".join([f"homeostat=={VERSION}", *sorted(listed)]) + "\n"
