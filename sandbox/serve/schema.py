"""/verify for the OpenAPI page. What a job may be, sandbox/verify.py decides; this only describes it."""

from __future__ import annotations

from typing import Any

from sandbox.compare import RULES
from sandbox.job import Status
from sandbox.verify import KEYS

TEXT = {"type": "string"}
TEST = {"type": "object", "required": ["input", "output"], "properties": {"input": TEXT, "output": TEXT}}
PROPERTIES: dict[str, Any] = {
    "id": TEXT,
    "program": TEXT | {"description": "the program's text; or else `completion`"},
    "completion": TEXT | {"description": "a model's answer, of which the code block is taken"},
    "tests": {"type": "array", "items": TEST, "minItems": 1},
    "compare": {"type": "object", "properties": {"rule": {"enum": list(RULES)}, "tolerance": {"type": "number"}}},
    "limits": {"type": "object", "description": 'any field of base.limits.Limits, e.g. {"test_s": 2}'},
    "all_tests": {"type": "boolean", "description": "run every test even after one has failed"},
    "language": TEXT | {"description": "default: the first of those that are served"},
}
assert set(PROPERTIES) == set(KEYS)
JOB = {"type": "object", "required": ["id", "tests"], "properties": PROPERTIES}
VERDICT = {
    "type": "object",
    "required": ["id", "status", "tests"],
    "properties": {
        "id": TEXT,
        "status": {"enum": [str(status) for status in Status]},
        "tests": {"type": "array", "items": {"type": "object"}},
        "compile": {"type": "object"},
        "message": TEXT,
    },
}


def _contents(row: dict[str, Any], line: str) -> dict[str, Any]:
    one_or_many = {"oneOf": [row, {"type": "array", "items": row}]}
    return {
        "application/json": {"schema": one_or_many},
        "application/x-ndjson": {"schema": TEXT | {"description": line}},
    }


JOBS = {"required": True, "content": _contents(JOB, "one job a line")}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "verdicts in the order of the jobs; lines come as they are known, each with its job's number",
        "content": _contents(VERDICT, "{line, id, status, ...}, or {line, error} for a line that is no job"),
    },
    401: {"description": "without the token"},
    413: {"description": "the request is too large, or has more jobs than the queue holds"},
    415: {"description": "neither JSON nor JSON lines"},
    422: {"description": "no job; one sentence says why"},
    429: {"description": "the queue is full; try again later"},
}
