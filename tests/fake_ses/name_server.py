"""A name server, over UDP, that knows the IPv4 addresses of a few names; all others do not exist.

name_server.py ADDRESS PORT NAME=IPV4 …
"""

import socket
import sys
from collections.abc import Mapping

QUERY, A = 12, b"\0\1"  # where the question begins, and what it asks for


def answer(query: bytes, addresses: Mapping[str, str]) -> bytes:
    end = query.index(b"\0", QUERY) + 1
    name, rest = "", query[QUERY:end]
    while rest[0]:
        label, rest = rest[1 : rest[0] + 1], rest[rest[0] + 1 :]
        name += label.decode().lower() + "."
    address = addresses.get(name.removesuffix("."))
    records = b""
    if address and query[end : end + 2] == A:
        records = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address)
    head = query[:2] + (b"\x81\x80" if address else b"\x81\x83")
    counts = b"\0\1" + len(records[:1]).to_bytes(2) + b"\0\0\0\0"
    return head + counts + query[QUERY : end + 4] + records


def main(address: str, port: str, *known: str) -> None:
    addresses = dict(one.split("=") for one in known)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, int(port)))
        print("serving", flush=True)
        while True:
            query, client = server.recvfrom(512)
            server.sendto(answer(query, addresses), client)


if __name__ == "__main__":
    main(*sys.argv[1:])
