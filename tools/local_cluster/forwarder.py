"""Lets programs outside of a network namespace reach an address inside: the listening socket it is given
belongs to the namespace that made it, the connections it makes belong to its own.

    forwarder.py DESCRIPTOR HOST PORT
"""

import asyncio
import socket
import sys


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source has no more, which the sink is told; its other direction goes on."""
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:  # one of them went away
        sink.transport.abort()


async def forward(outer: tuple, host: str, port: int) -> None:
    try:
        inner = await asyncio.open_connection(host, port)
    except OSError:
        outer[1].transport.abort()
        return
    await asyncio.gather(pour(outer[0], inner[1]), pour(inner[0], outer[1]))
    for _, writer in (outer, inner):
        writer.close()


async def main(descriptor: int, host: str, port: int) -> None:
    listener = socket.socket(fileno=descriptor)
    server = await asyncio.start_server(lambda *outer: forward(outer, host, port), sock=listener, backlog=128)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
