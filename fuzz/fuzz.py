"""Starts `bulward dev`, lets schemathesis send what its OpenAPI documents describe, and says what came of it.

It fails on a 5xx other than apply's own (see hooks.py), a request without an answer, a panic in the log, a server that is
not ready afterwards, and on memory that grew beyond what a log of some minutes explains.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import requests

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parent / "target" / "fuzz"
MAIN = re.compile(r"^apis/[^/]+/[^/]+$")
# MiB; the log of the last minutes and pages that the allocator keeps are no leak.
GROWTH = 200


class Server:
    """`bulward dev` in a new folder."""

    def __init__(self, binary):
        self.folder = WORK / "data"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log = open(WORK / "server.log", "wb")
        command = [binary, "dev", "--secure-port", "0", "--data-dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = next(found[1] for line in self.process.stdout if (found := re.search(r"serves on (\S+?);", line)))

    def certificate(self, user):
        folder = self.folder / "certificates"
        return str(folder / f"{user}.crt"), str(folder / f"{user}.key")

    @property
    def authority(self):
        return str(self.folder / "certificates" / "ca.crt")

    def get(self, path):
        return requests.get(self.url + path, cert=self.certificate("admin"), verify=self.authority, timeout=60)

    def memory(self):
        """Resident, in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) // 1024

    def panics(self):
        return [line for line in (WORK / "server.log").read_text(errors="replace").splitlines() if "panicked at" in line]


class Pulse(threading.Thread):
    """Asks for /readyz once a second, and writes down memory and the longest silence."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.memory, self.slowest, self.failures = server, [], 0.0, []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(1):
            begun = time.monotonic()
            try:
                code = self.server.get("/readyz").status_code
                if code != 200:
                    self.failures.append(f"/readyz answered {code}")
                self.memory.append(self.server.memory())
            except Exception as error:
                self.failures.append(f"/readyz: {error}")
            self.slowest = max(self.slowest, time.monotonic() - begun)


def with_patches(document):
    """Says what a patch looks like: Kubernetes' documents call all of them an object without properties."""
    operation = {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"enum": ["", "/spec", "/spec/owners/0", "/spec/owners/-", "/metadata/labels", "/metadata/finalizers/0", "/status"]},
            "from": {"enum": ["", "/spec", "/spec/owners", "/metadata"]},
            "value": {},
        },
    }
    for item in document["paths"].values():
        patch = item.get("patch")
        if patch is None:
            continue
        content = patch["requestBody"]["content"]
        content["application/json-patch+json"]["schema"] = {"type": "array", "items": operation}
        for kind in ("application/apply-patch+yaml", "application/merge-patch+json"):
            content[kind]["schema"] = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return document


def fuzz(server, name, user, seconds, seed):
    """One run over one document as one user."""
    label = re.sub(r"[^a-z0-9]+", "-", name)
    report = WORK / f"requests-{label}-{user}.jsonl"
    report.unlink(missing_ok=True)
    certificate, key = server.certificate(user)
    command = [
        str(WORK / "venv" / "bin" / "schemathesis"), "--no-color", "run", str(WORK / f"{label}.json"),
        "--url", server.url, "--tls-verify", server.authority,
        "--request-cert", certificate, "--request-cert-key", key, "--request-timeout", "60",
        "--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--mode", "all", "--continue-on-failure",
        "--seed", str(seed), "--max-time", str(seconds), "--no-shrink", "--suppress-health-check", "all",
        "--generation-database", "none", "--warnings", "off",
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"), "FUZZ_REPORT": str(report), "FUZZ_SEED": f"{seed}-{name}-{user}",
    }
    log = WORK / f"schemathesis-{label}-{user}.log"
    with open(log, "wb") as out:
        code = subprocess.run(command, env=environment, stdout=out, stderr=out, cwd=WORK).returncode
    if code not in (0, 1):
        raise SystemExit(f"schemathesis ended with {code}; see {log}")
    lines = report.read_text().splitlines() if report.exists() else []
    return [json.loads(line) for line in lines]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", default=str(HERE.parent / "target" / "debug" / "bulward"))
    options = parser.parse_args()
    server = Server(options.binary)
    try:
        sys.exit(run(server, options))
    finally:
        server.process.terminate()
        server.process.wait(60)


def run(server, options):
    links = server.get("/openapi/v3").json()["paths"]
    for name, link in links.items():
        document = with_patches(server.get(link["serverRelativeURL"]).json())
        (WORK / (re.sub(r"[^a-z0-9]+", "-", name) + ".json")).write_text(json.dumps(document))
    runs = [(name, user) for name in links for user in ("admin", "alice")]
    small = [one for one in runs if not MAIN.match(one[0])]
    big = [one for one in runs if MAIN.match(one[0])]
    total = options.minutes * 60
    seconds = {one: max(10, total * 0.05 / len(small)) for one in small}
    seconds |= {one: (total - sum(seconds.values())) / len(big) for one in big}

    pulse = Pulse(server)
    pulse.start()
    begun, before, answers = time.monotonic(), server.memory(), []
    for (name, user), share in seconds.items():
        got = fuzz(server, name, user, max(1, int(share)), options.seed)
        print(f"{name} as {user}: {len(got)} requests, {server.memory()} MiB", flush=True)
        answers += got
    pulse.ended.set()
    pulse.join()

    codes = collections.Counter(str(one["code"]) for one in answers)
    problems = [f"{one['request']}: {one['why']}" for one in answers if one.get("why")]
    problems += pulse.failures + server.panics()
    ready = server.get("/readyz").status_code
    if ready != 200:
        problems.append(f"/readyz answers {ready} at the end")
    after = server.memory()
    if after - before > GROWTH:
        problems.append(f"memory grew from {before} to {after} MiB")
    listed = sum(1 for one in answers if one.get("listed"))
    print(f"{len(answers)} requests in {time.monotonic() - begun:.0f} s, seed {options.seed}")
    print("codes:", ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())))
    print(f"listed 500 and 504: {listed}; slowest answer {max((one['seconds'] for one in answers), default=0):.1f} s, of /readyz {pulse.slowest:.1f} s")
    print(f"memory: {before} MiB before, {max(pulse.memory, default=0)} at most, {after} after")
    for problem in problems[:50]:
        print("PROBLEM", problem)
    print(f"{len(problems)} problems")
    return 1 if problems or not answers else 0


if __name__ == "__main__":
    main()
