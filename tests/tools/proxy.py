"""Stands between pingd and a server, and cuts connections."""
import contextlib
import socket
import threading


class Proxy:
    """Cuts one connection where it is told to."""

    def __init__(self, port):
        self.target, self.cut_at, self.forward, self.cuts = port, None, False, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self, text, forward):
        """The next request with the text: not passed on, or (forward) passed on and its answer not."""
        self.forward, self.cut_at = forward, text

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:  # it is not there just now
                    client.close()
                    continue
                unheard = threading.Event()  # the client is to hear no more
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self.pump, args=(*pair, unheard), daemon=True).start()

    def pump(self, source, target, is_request, unheard):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_request and self.cut_at and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    if not self.forward:
                        break
                    unheard.set()
                elif not is_request and unheard.is_set():
                    break
                target.sendall(data)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
