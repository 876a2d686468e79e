"""What schemathesis does beside generating: aim at what exists, end watches, and write down every answer."""

import json
import os
import random
import re
import threading
import time

import schemathesis

random_choice = random.Random(os.environ.get("FUZZ_SEED", "1"))
report = open(os.environ["FUZZ_REPORT"], "a", buffering=1)
lock = threading.Lock()
started = threading.local()

# Go's own answers, and therefore ours: to an applied object that its schema does not know
# (k8s.io/apimachinery pkg/util/managedfields/internal), and to a revision that is still to come.
LISTED = {
    500: re.compile(r"^failed to create typed patch object \(.*\): ", re.S),
    504: re.compile(r"^Timeout: Too large resource version: \d+, current: \d+$"),
}
NAMES = ["acme", "a", "b", "web"]


def likely(chance):
    return random_choice.random() < chance


@schemathesis.serializer("application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json")
def patches(context, value):
    # JSON is YAML.
    return {"data": value if isinstance(value, bytes) else json.dumps(value)}


@schemathesis.hook
def before_call(context, case, kwargs):
    started.at = time.monotonic()
    parameters = case.path_parameters or {}
    for name in ("name", "namespace"):
        if name in parameters and likely(0.7):
            parameters[name] = random_choice.choice(NAMES)
    settle(case)
    # A watch ends when its time is over, and its time may be hours.
    query = case.query if isinstance(case.query, dict) else {}
    if "/watch/" in case.operation.path or "watch" in query:
        query["timeoutSeconds"] = 1
        case.query = query
    if isinstance(case.body, dict) and likely(0.8):
        aim(case, case.body, parameters)


# What a random text is hardly ever; without it, nothing comes past the options.
OPTIONS = {
    "dryRun": ["All"],
    "fieldValidation": ["Strict", "Warn", "Ignore"],
    "propagationPolicy": ["Foreground", "Background", "Orphan"],
    "resourceVersionMatch": ["Exact", "NotOlderThan"],
    "fieldManager": ["one", "other"],
    "labelSelector": ["a=b", "a in (b,c)", "!a"],
    "fieldSelector": ["metadata.name=acme", "status.phase!=Ready"],
    "resourceVersion": ["0", "1"],
    "limit": ["1", "2"],
}


def settle(case):
    """Makes most options sound ones, or leaves them out."""
    query = case.query if isinstance(case.query, dict) else {}
    for name in list(query):
        if likely(0.4):
            del query[name]
        elif name in OPTIONS and likely(0.7):
            query[name] = random_choice.choice(OPTIONS[name])
    if case.media_type == "application/apply-patch+yaml" and likely(0.9):
        query["fieldManager"] = random_choice.choice(OPTIONS["fieldManager"])
        query["force"] = random_choice.choice(["true", "false"])
    case.query = query


def aim(case, body, parameters):
    """Makes a random object one that may pass the first checks."""
    match = re.match(r"/apis/([^/]+/[^/]+)/.*(organizations|projects)", case.operation.path)
    if match is None or case.method.upper() == "DELETE":
        return
    if likely(0.5):
        body.pop("status", None)
    body["apiVersion"] = match[1]
    body["kind"] = match[2][:-1].capitalize()
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) and likely(0.5) else {}
    metadata["name"] = parameters.get("name") or random_choice.choice(NAMES)
    for wrong in ("resourceVersion", "uid", "namespace", "managedFields"):
        if likely(0.9):
            metadata.pop(wrong, None)
    body["metadata"] = metadata
    if likely(0.5):
        owner = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "alice"}
        body["spec"] = {"owners": [owner]} if likely(0.7) or not isinstance(body.get("spec"), dict) else body["spec"] | {"owners": [owner]}


def write(case, code, **more):
    line = {"request": f"{case.method} {case.operation.path}", "code": code, "seconds": time.monotonic() - started.at}
    with lock:
        report.write(json.dumps(line | more) + "\n")


@schemathesis.hook
def after_call(context, case, response):
    code = response.status_code
    if code < 500:
        return write(case, code)
    try:
        message = response.json().get("message", "")
    except ValueError:
        message = ""
    if code in LISTED and LISTED[code].match(message):
        return write(case, code, listed=True)
    sent = response.request
    write(case, code, why=f"{code} {response.content[:500]!r} for {sent.url} {sent.headers} {sent.body!r:.2000}")


@schemathesis.hook
def after_network_error(context, case, request):
    write(case, 0, why=f"no answer for {request.url} {request.headers} {request.body!r:.2000}")
