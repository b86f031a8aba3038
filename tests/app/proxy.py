"""A small reverse proxy with Basic authentication, as nginx or Caddy would stand before the app: one base path, the
user's name in a header, websockets passed on."""

import base64
import socket
import threading
from contextlib import suppress

USER_HEADER = "X-Forwarded-User"


class Proxy:
    """Use as a context manager. people: password by name; address: what a browser would be given."""

    def __init__(self, upstream_port, base, people):
        self.upstream_port, self.base = upstream_port, base
        self.allowed = {
            base64.b64encode(f"{name}:{word}".encode()).decode(): name for name, word in people.items()
        }
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}{base}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with suppress(OSError), client:
            head, rest = b"", b""
            while b"\r\n\r\n" not in head:
                part = client.recv(65_536)
                if not part:
                    return
                head += part
            head, _, rest = head.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            user = self.allowed.get(headers.get("Authorization", "").removeprefix("Basic "))
            if user is None:
                client.sendall(b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="plans"\r\n'
                               b"Content-Length: 0\r\nConnection: close\r\n\r\n")  # fmt: skip
                return
            if not first.split()[1].startswith(self.base):
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            kept = {
                k: v for k, v in headers.items() if k.lower() not in ("authorization", USER_HEADER.lower())
            }
            if kept.get("Upgrade", "").lower() != "websocket":
                kept["Connection"] = "close"  # one request a connection is enough here
            kept |= {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", USER_HEADER: user}
            sent = "\r\n".join([first, *(f"{k}: {v}" for k, v in kept.items())])
            with socket.create_connection(("127.0.0.1", self.upstream_port)) as upstream:
                upstream.sendall(sent.encode("latin-1") + b"\r\n\r\n" + rest)
                back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
                back.start()
                _pump(client, upstream)
                back.join(60)


def _pump(source, target):
    with suppress(OSError):
        while part := source.recv(65_536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def logged_in(name, word):
    """The header of a browser that has logged in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}
