"""The servers: how each is started, and what it has used."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
OUR = [sys.executable, "-m", "glyph_fast", "serve", "{app}", "--port", "{port}"]
UVICORN = [
    sys.executable, "-m", "uvicorn", "{app}", "--port", "{port}", "--http", "httptools", "--loop",
    "uvloop", "--ws", "websockets-sansio", "--no-access-log", "--log-level", "warning",
]  # fmt: skip
COMMANDS = {
    "glyph-fast": [*OUR, "--log-level", "warning", "--max-room-members", "100000"],
    "uvicorn": UVICORN,
    "granian": [
        sys.executable, "-m", "granian", "{app}", "--port", "{port}", "--interface", "asgi",
        "--loop", "uvloop", "--log-level", "warning",
    ],
    "nginx": ["nginx", "-c", "{configuration}", "-g", "daemon off;"],
}  # fmt: skip
NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; location / {{ root {folder}; }} }}
}}
"""


class Running:
    """One server in processes of its own."""

    def __init__(self, name: str, app: str, folder: Path, cpu: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=self.port))
        words = {"app": app, "port": self.port, "configuration": configuration}
        command = [each.format(**words) for each in COMMANDS[name]]
        if shutil.which("taskset"):
            command = ["taskset", "-c", str(cpu), *command]
        self._log = (folder / "log").open("w+")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "BENCH_FILE": str(folder / "file")},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    self._log.seek(0)
                    raise RuntimeError(f"it does not listen:\n{self._log.read()}") from None
                time.sleep(0.05)

    def processes(self) -> list[int]:
        """The ids of its processes: all of the session that it began."""
        found = []
        for each in Path("/proc").iterdir():
            try:
                fields = (each / "stat").read_text().rpartition(")")[2].split()
            except (OSError, IndexError):
                continue
            if int(fields[3]) == self._process.pid:
                found.append(int(each.name))
        return found

    def cpu_s(self) -> float:
        """Processor time, user and system, of all its processes."""
        total = 0  # nanoseconds; ticks of 10 ms would be too coarse
        for pid in self.processes():
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def peak_mib(self) -> float:
        """The most memory of its largest process."""
        peaks = []
        for pid in self.processes():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) / 1024)
        return max(peaks)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # the session is its own
            self._process.wait()
        self._log.close()


@contextmanager
def running(name: str, app: str, folder: Path, cpu: int) -> Iterator[Running]:
    """A server for the length of a `with`."""
    server = Running(name, app, folder, cpu)
    try:
        yield server
    finally:
        server.stop()
