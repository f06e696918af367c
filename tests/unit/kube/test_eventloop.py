"""A connection that fails leaves nothing behind that could close another one."""

import asyncio
import gc
import os
import socket
import ssl
import struct

import pytest

from extender.kube.eventloop import new_event_loop

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: to close is to reset."""


def connected_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setblocking(False)
    return ours, theirs


@pytest.mark.parametrize("end", ["reset", "close", "plain"])
def test_a_descriptor_is_closed_once(end: str) -> None:
    async def play() -> None:
        ours, theirs = connected_pair()
        number = ours.fileno()
        if end == "reset":
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if end == "plain":
            theirs.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        else:
            theirs.close()
        trusting = ssl.create_default_context()
        with pytest.raises((OSError, ssl.SSLError)):
            await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=ours, ssl=trusting, server_hostname="localhost"
            )
        await asyncio.sleep(0.01)
        # Somebody else's, which has the number now.
        reader, writer = os.pipe()
        if number not in (reader, writer):
            os.dup2(reader, number)
        del ours
        gc.collect()
        os.fstat(number)
        for each in {reader, writer, number}:
            os.close(each)
        theirs.close()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(play())


def test_a_connection_that_is_made_works() -> None:
    async def play() -> None:
        ours, theirs = connected_pair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            theirs.sendall(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.write(b"you too")
            await writer.drain()
            assert theirs.recv(7) == b"you too"
            writer.close()
            await writer.wait_closed()
            assert theirs.recv(1) == b""

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(play())
