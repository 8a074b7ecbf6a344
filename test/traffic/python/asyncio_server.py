"""Raw asyncio server of the traffic generator (see ../README.md), answers in three writes: asyncio_server.py HOST PORT"""

import asyncio
import json
import os
import ssl
import sys
from urllib.parse import parse_qsl, urlsplit

DECOY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n"


async def read_body(reader, headers):
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        while await reader.readline() not in (b"\r\n", b""):
            pass
    else:
        await reader.readexactly(int(headers.get(b"content-length", 0)))


async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        first, *fields = head[:-4].split(b"\r\n")
        method, target, _ = first.split(b" ")
        headers = {name.lower(): value.strip() for name, value in (field.split(b":", 1) for field in fields)}
        await read_body(reader, headers)
        query = dict(parse_qsl(urlsplit(target.decode()).query))
        await asyncio.sleep(int(query.get("delay", 0)) / 1000)
        status, size = int(query.get("status", 200)), int(query.get("size", 0))
        body = (DECOY * (size // len(DECOY) + 1))[:size]
        length = b"" if status == 204 else b"Content-Length: %d\r\n" % size
        answer = b"HTTP/1.1 %d Status\r\nServer-Pid: %d\r\n%b\r\n" % (status, os.getpid(), length)
        if method != b"HEAD" and status not in (204, 304):
            answer += body
        third = len(answer) // 3
        for part in (answer[:third], answer[third : 2 * third], answer[2 * third :]):
            writer.write(part)
            await writer.drain()
    writer.close()


async def main():
    context = None
    if "TLS_CERTIFICATE" in os.environ:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.environ["TLS_CERTIFICATE"], os.environ["TLS_KEY"])
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]), ssl=context)
    print(json.dumps({"kind": "listening", "pid": os.getpid(), "port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # idle keep-alive connections would hold the loop


asyncio.run(main())
