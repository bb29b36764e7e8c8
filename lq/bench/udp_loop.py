"""The ceiling: a server that copies five fields of a query into 300 octets and sends them back.

`python -m lq.bench.udp_loop ADDRESS` runs it on port 67 until it is ended.
"""

import socket
import sys


def main(address: str) -> None:
    """Serve for ever."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.bind((address, 67))
    print("ready", flush=True)
    reply = bytearray(300)
    reply[236:244] = b"\x63\x82\x53\x63\x35\x01\x0d\xff"
    while True:
        query, source = udp.recvfrom(2048)
        reply[1:3] = query[1:3]
        reply[4:8] = query[4:8]
        reply[12:16] = query[12:16]
        reply[24:28] = query[24:28]
        reply[28:44] = query[28:44]
        udp.sendto(reply, source)


if __name__ == "__main__":
    main(sys.argv[1])
