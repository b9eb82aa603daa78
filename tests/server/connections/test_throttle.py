"""A few pass in each turn of the loop, all pass in the end, in order."""

import asyncio

from tapestry_backend.server.connections.throttle import Throttle


def test_few_pass_in_one_turn() -> None:
    """Ten come at once, three may pass each time: first come, first served."""
    passed: list[tuple[int, int]] = []

    async def main() -> None:
        throttle, turn = Throttle(3), 0

        async def come(number: int) -> None:
            await throttle.enter()
            passed.append((turn, number))

        people = asyncio.gather(*(come(number) for number in range(10)))
        while not people.done():
            await asyncio.sleep(0)
            turn += 1
        await people

    asyncio.run(main())
    assert [number for _, number in passed] == list(range(10))
    turns = [turn for turn, _ in passed]
    assert max(turns.count(turn) for turn in turns) == 3


def test_whoever_comes_alone_does_not_wait() -> None:
    """Also when many have passed before, turns ago."""

    async def main() -> int:
        throttle, waited = Throttle(1), 0
        for _ in range(5):
            entering = throttle.enter()
            try:
                while True:
                    entering.send(None)
                    waited += 1
            except StopIteration:
                await asyncio.sleep(0)
        return waited

    assert asyncio.run(main()) == 0
