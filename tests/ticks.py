"""A plugin of the tests, written into apps as ``functions/ticks.py``: a trigger that ticks, and an output that keeps.

It is what a user's own plugin looks like: kinds in a module of the app, found by ``@edgefn.hookimpl``.
"""

PLUGIN = """
import asyncio
import logging
import edgefn
from edgefn.contracts import Event, Feed
from edgefn.function import Options
from edgefn.workers import work

class Ticks(Options):
    count: int = 3
    in_flight: int = 1
    endless: bool = False

class TicksListener:
    def __init__(self, options):
        self.options, self.next, self.outcomes = options, 0, []
        self.feed = Feed.ENDLESS if options.endless else Feed.FINITE
    async def listen(self, emit):
        async def take():
            await asyncio.sleep(0)
            if self.next >= self.options.count:
                if self.options.endless:
                    await asyncio.Event().wait()
                raise StopAsyncIteration
            self.next += 1
            return self.next - 1
        async def handle(number):
            self.outcomes.append((number, await emit(Event(number, reason=f"tick {number}"))))
        await work(self.options.in_flight, take, handle)
    def status(self):
        return {"ticks": self.next, "outcomes": self.outcomes}

class TicksKind:
    type, options, level = "ticksTrigger", Ticks, logging.INFO
    def check(self, binding): ...
    def convert(self, binding): return None
    def listener(self, binding): return TicksListener(binding.options)
    async def close(self): ...

class Keep(Options):
    fail_on: int = -1

class KeepOutput:
    def __init__(self, options):
        self.options, self.kept = options, []
    def encode(self, value):
        if isinstance(value, set):
            raise TypeError("a set can not be kept")
        return value
    async def send(self, encoded, event):
        if event.value == self.options.fail_on:
            raise OSError("the shelf is full")
        self.kept.append(encoded)
    def status(self):
        return {"kept": self.kept}
    async def close(self): ...

class KeepKind:
    type, options = "keep", Keep
    def check(self, binding): ...
    async def open(self, binding): return KeepOutput(binding.options)
    async def close(self): ...

@edgefn.hookimpl
def edgefn_triggers(services):
    return [TicksKind()]

@edgefn.hookimpl
def edgefn_outputs(services):
    return [KeepKind()]
"""

HEAD = """
import asyncio, logging, threading, time
import edgefn
app = edgefn.FunctionApp()
"""
