"""The conversation with Python's package websockets."""

import asyncio
import json
import sys

import websockets


async def closed(ws):
    """Wait for the close and return its code and reason."""
    try:
        while True:
            await ws.recv()
    except websockets.ConnectionClosed:
        return ws.close_code, ws.close_reason


def connect(addr, path, **options):
    return websockets.connect(f"ws://{addr}{path}", max_size=None, **options)


async def conversation(addr):
    async with connect(addr, "/echo", subprotocols=["foo", "lab.v1"]) as ws:
        assert ws.subprotocol == "lab.v1", ws.subprotocol
        for message in ["hello", "", "grüß dich, κόσμε 😀", "x" * (1 << 20), b"", b"\xff\x00", bytes(1 << 20)]:
            await ws.send(message)
            got = await ws.recv()
            assert got == message, (len(got), len(message))
        await ws.send(["in ", "three ", "fragments"])
        assert await ws.recv() == "in three fragments"
        await asyncio.wait_for(await ws.ping(), 5)
        for i in range(200):
            await ws.send(f"burst {i}")
        for i in range(200):
            assert await ws.recv() == f"burst {i}"
        await ws.close(4001, "done")
        assert ws.close_code == 4001, ws.close_code
    async with connect(addr, "/hello") as ws:
        assert await ws.recv() == "welcome"
    async with connect(addr, "/verdict") as ws:
        await ws.send('{"code":4002,"reason":"grüß"}')
        assert await closed(ws) == (4002, "grüß"), (ws.close_code, ws.close_reason)
    async with connect(addr, "/panic") as ws:
        await ws.send("now")
        assert (await closed(ws))[0] == 1011, ws.close_code
    async with connect(addr, "/rate") as ws:
        await ws.send("x" * 70000)
        assert (await closed(ws))[0] == 1009, ws.close_code
    async with connect(addr, "/info/7?x=8") as ws:
        await ws.send("who")
        assert json.loads(await ws.recv())["parameters"]["x"] == "7"
    # Without a bound on its queue, or it would not read on to the close frame.
    async with connect(addr, "/flood", max_queue=None) as ws:
        for _ in range(500):
            assert len(await ws.recv()) == 4096
    try:
        async with connect(addr, "/nothing"):
            raise AssertionError("a path without a route opened")
    except websockets.InvalidHandshake as refused:
        assert "404" in str(refused), refused


asyncio.run(asyncio.wait_for(conversation(sys.argv[1]), 60))
print("ok")
