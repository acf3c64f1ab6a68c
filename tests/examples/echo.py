#!/usr/bin/env python3
"""echo.py PROGRAM: the echo server as its clients meet it.

A hundred connections at once, lines in pieces and two in one, one too long, a peer that breaks off,
one that ends half way, a port in use. Exit status 1 if an answer is not what it should be.
"""
import re
import signal
import socket
import struct
import subprocess
import sys

program = sys.argv[1]
server = subprocess.Popen([program, "tcp://127.0.0.1:0"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
url = re.match(r"listening at (tcp://127\.0\.0\.1:(\d+))$", server.stdout.readline())
port = int(url[2])


def dial():
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def read(peer, n):
    got = b""
    while len(got) < n:
        part = peer.recv(n - len(got))
        if not part:
            break
        got += part
    return got


def expect(got, wanted):
    if got != wanted:
        print(f"FAIL: got {got!r}, not {wanted!r}")
        sys.exit(1)


try:
    peers = [dial() for _ in range(100)]
    for turn in range(3):
        for i, peer in enumerate(peers):
            peer.sendall(b"line %d of %d\n" % (turn, i))
        for i, peer in enumerate(peers):
            wanted = b"line %d of %d\n" % (turn, i)
            expect(read(peer, len(wanted)), wanted)

    peers[0].sendall(b"in pi")
    peers[0].sendall(b"eces\r\ntwo\n")
    expect(read(peers[0], 14), b"in pieces\ntwo\n")

    peers[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peers[1].close()
    peers[2].sendall(b"x" * 5000)
    try:
        expect(read(peers[2], 1), b"")  # too long a line: it hangs up
    except ConnectionResetError:
        pass
    peers[3].sendall(b"last words")
    peers[3].shutdown(socket.SHUT_WR)
    expect(read(peers[3], 100), b"last words\n")

    second = subprocess.run([program, url[1]], capture_output=True, text=True, timeout=10)
    expect(second.returncode, 1)
    expect("somebody listens there already" in second.stderr, True)

    peers[4].sendall(b"still here\n")
    expect(read(peers[4], 11), b"still here\n")
finally:
    server.send_signal(signal.SIGKILL)
    server.wait()
print("echo: all as it should be")
