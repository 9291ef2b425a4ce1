"""A swap under load: no request fails, and none is answered by another model than it names."""

import asyncio

import orjson
import pytest

from mlops_assets_tests.serving.served import another, promote, serving


class Caller:
    """A client on a connection of its own that asks again and again, and keeps what was answered."""

    def __init__(self, url, row):
        self.host, self.port = url.removeprefix("http://").split(":")
        body = orjson.dumps(row)
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n"
        self.request = f"{head}\r\n".encode() + body
        self.row = row
        self.answers = []

    async def ask(self, done):
        reader, writer = await asyncio.open_connection(self.host, int(self.port))
        while not done.is_set():
            writer.write(self.request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            self.answers.append((head[9:12], await reader.readexactly(length)))
        writer.close()


def test_under_load_no_swap_fails_a_request_or_mixes_two_models(copy):
    with serving(copy) as served:
        swap_under_load(served)


def swap_under_load(served):
    first, second = served.champion.number, another(served)
    models = {number: served.project.registry.load(number) for number in (first, second)}

    async def load():
        callers = [Caller(served.url, {"zone": 1 + place % 5, "size": 10.0 + place}) for place in range(64)]
        done = asyncio.Event()
        asking = [asyncio.create_task(caller.ask(done)) for caller in callers]
        for number in (second, first) * 3:
            counts = [len(caller.answers) for caller in callers]
            await asyncio.to_thread(promote, served, number)
            await asyncio.to_thread(served.predictor.check_registry)
            while any(len(caller.answers) < count + 3 for caller, count in zip(callers, counts, strict=True)):
                await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*asking)
        return callers

    callers = asyncio.run(load())
    seen = set()
    for caller in callers:
        expected = {number: model.answer_rows([caller.row]).prediction[0] for number, model in models.items()}
        for status, body in caller.answers:
            assert status == "200", body
            answer = orjson.loads(body)
            seen.add(answer["model"]["version"])
            assert answer["prediction"] == pytest.approx(expected[answer["model"]["version"]], rel=1e-12)
    assert seen == {first, second}
    assert sum(len(caller.answers) for caller in callers) > 64 * 18
