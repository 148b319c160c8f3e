"""A hub on loopback, in a process of its own: as much of huggingface.co as its client speaks, with faults on request.

``python hub_server.py FOLDER`` prints two ports, that of the hub and that of the host where large files lie. FOLDER has
``hub.json``, read anew at each request: what is served, and what goes wrong. It gets ``asked.jsonl``, a line a request.
Large files (``.safetensors``, ``tokenizer.json``) are kept as Git LFS keeps them: the hub leads to a signed address.
"""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz0123"
SIGNATURE = "Q2hvY29sYXRl"
_PAGE = 7
"""Files a page of a listing."""


@lru_cache
def _sha256(path: Path, _size: int, _time: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sha256(path: Path) -> str:
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


def git_digest(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", "/tokenizer.json", ".bin"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, elsewhere: list[int], *rest) -> None:
        self.folder, self.elsewhere = folder, elsewhere
        super().__init__(*rest)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.state = json.loads((self.folder / "hub.json").read_text())
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.note(path)
        if path.startswith("/files/"):
            self.large(path.removeprefix("/files/"), parse_qs(parts.query))
        elif fault := self.fault("answer", path):
            self.answer(fault["status"], fault.get("body", "").encode(), {"Content-Type": "text/html"})
        elif path.startswith("/api/models/"):
            self.api(path.removeprefix("/api/models/"), parse_qs(parts.query))
        elif path.count("/") >= 5:
            self.resolve(path.lstrip("/"))
        else:  # the client also asks for lists of its own
            self.error(404, "", "no such route")

    def note(self, path: str) -> None:
        headers = {"range": self.headers.get("Range"), "authorization": self.headers.get("Authorization")}
        line = {"method": self.command, "path": path, "port": self.server.server_port, **headers}
        with (self.folder / "asked.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def fault(self, kind: str, path: str) -> dict | None:
        """A fault of that kind that names an end of ``path``; ``times`` of it, where it says so."""
        for number, fault in enumerate(self.state.get("faults", [])):
            if fault["kind"] == kind and path.endswith(fault["of"]):
                marks = self.folder / f"fault-{number}-{fault.get('name', '')}"
                seen = marks.stat().st_size if marks.exists() else 0
                with marks.open("ab") as stream:
                    stream.write(b".")
                if seen < fault.get("times", 10**9):
                    return fault
        return None

    def allowed(self, repo: dict, content: bool) -> bool:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        who = self.state["tokens"].get(token)
        if token and who is None:
            return self.error(401, "", "Invalid credentials in Authorization header")
        if repo.get("private") and who not in repo["readers"]:
            return self.error(404 if who else 401, "RepoNotFound" if who else "", "Repository not found")
        if repo.get("gated") and content and who not in repo["readers"]:
            what = "Access to model is restricted. You must have access to it and be authenticated to access it."
            return self.error(403 if who else 401, "GatedRepo", what)
        return True

    def error(self, status: int, code: str, message: str, **headers: str) -> bool:
        codes = {"X-Error-Code": code} if code else {}
        body = json.dumps({"error": message}).encode()
        self.answer(status, body, {"Content-Type": "application/json", "X-Error-Message": message, **codes, **headers})
        return False

    def found(self, name: str) -> dict | None:
        repo = self.state["repos"].get(name)
        if repo is None:
            known = bool(self.headers.get("Authorization"))
            self.error(404 if known else 401, "RepoNotFound" if known else "", "Repository not found")
        return repo

    def commit(self, repo: dict, revision: str) -> str | None:
        commit = revision if revision in repo["commits"] else repo["refs"].get(revision)
        if commit is None:
            self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def api(self, path: str, query: dict) -> None:
        owner, name, *rest = path.split("/", 3)
        repo = self.found(f"{owner}/{name}")
        if repo is None or not self.allowed(repo, content=False):
            return
        kind, revision = [*rest, "", "main"][:2] if rest else ("", "main")
        commit = self.commit(repo, revision)
        if commit is None:
            return
        if kind == "tree":
            self.listing(repo, commit, int(query.get("cursor", ["0"])[0]))
        elif kind in ("", "revision"):
            self.json({"id": f"{owner}/{name}", "modelId": f"{owner}/{name}", "sha": commit, "siblings": []})
        else:
            self.error(404, "", "no such route")

    def listing(self, repo: dict, commit: str, first: int) -> None:
        folder = Path(repo["commits"][commit])
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        entries = [self.entry(path, path.relative_to(folder).as_posix()) for path in files]
        folders = sorted({path.parent.relative_to(folder).as_posix() for path in files} - {"."})
        entries += [{"type": "directory", "path": name, "size": 0, "oid": "0" * 40} for name in folders]
        headers = {}
        if first + _PAGE < len(entries):
            here = f"http://127.0.0.1:{self.server.server_port}{urlsplit(self.path).path}"
            headers["Link"] = f'<{here}?recursive=True&cursor={first + _PAGE}>; rel="next"'
        self.json(entries[first : first + _PAGE], headers)

    def entry(self, path: Path, name: str) -> dict:
        size = path.stat().st_size
        if not is_large(name):
            return {"type": "file", "path": name, "size": size, "oid": git_digest(path)}
        lfs = {"oid": sha256(path), "size": size, "pointerSize": 134}
        xet = {"xetHash": "e" * 64} if self.state.get("xet") else {}
        return {"type": "file", "path": name, "size": size, "oid": "a" * 40, "lfs": lfs, **xet}

    def resolve(self, path: str) -> None:
        owner, name, _, revision, file = path.split("/", 4)
        repo = self.found(f"{owner}/{name}")
        if repo is None or not self.allowed(repo, content=True):
            return
        commit = self.commit(repo, revision)
        if commit is None:
            return
        place = Path(repo["commits"][commit]) / file
        headers = {"X-Repo-Commit": commit}
        if not place.is_file():
            self.error(404, "EntryNotFound", "Entry not found", **headers)
        elif is_large(file):
            digest = sha256(place)
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(place.stat().st_size), "ETag": '"x"'}
            if self.state.get("xet"):
                headers |= {"X-Xet-Hash": "e" * 64, "X-Xet-Refresh-Route": "/api/models/x/xet-read-token/y"}
            where = f"http://127.0.0.1:{self.elsewhere[0]}/files/{commit}/{digest}/{file}?Signature={SIGNATURE}"
            self.answer(302, b"", headers | {"Location": where})
        else:
            self.stored(place, {**headers, "ETag": f'"{git_digest(place)}"'}, f"/{path}")

    def large(self, path: str, query: dict) -> None:
        """On the other host: no token may arrive there, and the address must be signed."""
        commit, _, file = path.split("/", 2)
        if self.headers.get("Authorization") or query.get("Signature") != [SIGNATURE]:
            self.answer(400, b"this address takes no token", {})
            return
        folder = next(repo["commits"][commit] for repo in self.state["repos"].values() if commit in repo["commits"])
        self.stored(Path(folder) / file, {"ETag": '"y"'}, f"/files/{path}")

    def stored(self, place: Path, headers: dict[str, str], path: str) -> None:
        content = place.read_bytes()
        if self.fault("corrupt", path):
            content = bytes([content[0] ^ 255]) + content[1:]
        if fault := self.fault("cut", path):  # a file that ends early and says so
            content = content[: fault["after"]]
        first = 0
        if (asked := self.headers.get("Range")) and not self.fault("no range", path):
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            headers = headers | {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
        if first >= len(content) > 0:
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        body = content[first:]
        if self.command == "GET" and (fault := self.fault("stall", path) or self.fault("hang up", path)):
            self.start(206 if first else 200, len(body), headers)
            self.wfile.write(body[: fault["after"]])
            self.wfile.flush()
            if fault["kind"] == "stall":
                while fault in json.loads((self.folder / "hub.json").read_text())["faults"]:
                    time.sleep(0.05)
            self.close_connection = True
            self.connection.close()
            return
        self.answer(206 if "Content-Range" in headers else 200, body, headers)

    def json(self, value: object, headers: dict[str, str] | None = None) -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def start(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(length)} | headers).items():
            self.send_header(key, value)
        self.end_headers()

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.start(status, len(body), headers)
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        return


def serve(folder: Path) -> None:
    elsewhere: list[int] = []
    handler = partial(Handler, folder, elsewhere)
    hub, files = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2))
    elsewhere.append(files.server_port)
    threading.Thread(target=files.serve_forever, daemon=True).start()
    print(hub.server_port, files.server_port, flush=True)
    hub.serve_forever()


class Hub:
    """The process, as a test holds it."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        self.folder, (self.port, self.files_port) = folder, ports
        self.state: dict = {"repos": {}, "tokens": {TOKEN: "reader", "hf_stranger_token": "stranger"}, "faults": []}
        self.write()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> None:
        place = self.folder / "hub.json.tmp"
        place.write_text(json.dumps(self.state))
        place.replace(self.folder / "hub.json")

    def publish(self, repo: str, commit: str, content: Path, branch: str = "main", **rest) -> None:
        """Make ``content`` the newest commit of ``repo``."""
        known = self.state["repos"].setdefault(repo, {"refs": {}, "commits": {}, "readers": ["reader"]})
        known["commits"][commit] = str(content)
        known["refs"][branch] = commit
        known.update(rest)
        self.write()

    def faults(self, *faults: dict) -> None:
        """What goes wrong from now on."""
        for mark in self.folder.glob("fault-*"):
            mark.unlink()
        self.state["faults"] = list(faults)
        self.write()

    def asked(self) -> list[dict]:
        """What was asked since the last call."""
        log = self.folder / "asked.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@contextmanager
def hub_server(folder: Path) -> Iterator[Hub]:
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        one, two = process.stdout.readline().split()
        yield Hub(folder, (int(one), int(two)))
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
