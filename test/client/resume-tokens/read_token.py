"""Reads the vectors of docs/reference/resume-tokens.md by its rules alone, and prints the results."""

import json
import sys


def read(text, expected):
    """Returns (name, request id or None), or None for a token that a reader refuses."""
    try:
        token = json.loads(text)
    except ValueError:
        return None
    if not isinstance(token, dict):
        return None
    version = token.get("v")
    if isinstance(version, bool) or not isinstance(version, (int, float)) or version != 1:
        return None
    name = token.get("name")
    if not isinstance(name, str) or name == "":
        return None
    if any(token.get(member) != expected[member] for member in ("method", "response", "metadata")):
        return None
    if "requestId" in token and not isinstance(token["requestId"], str):
        return None
    return name, token.get("requestId")


given = json.load(sys.stdin)
results = []
for text in given["tokens"]:
    result = read(text, given)
    if result is None:
        results.append({"valid": False})
    else:
        name, request_id = result
        found = {"valid": True, "name": name}
        if request_id is not None:
            found["requestId"] = request_id
        results.append(found)
json.dump(results, sys.stdout)
