"""Several worker processes of one model: each computes a batch at a time, all of them at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from homeostat.core.errors import Unavailable
from homeostat.serving.runtimes.process import ProcessRuntime
from homeostat.serving.runtimes.runtime import Runtime
from homeostat.serving.tensors import Array


class Replicas(Runtime):
    """Starts with one worker that `make` gives; `scale` starts and ends others. More batches at once than there are
    replicas wait for one."""

    name = "python"
    in_loop = False

    def __init__(self, make: Callable[[], ProcessRuntime]) -> None:
        self._make = make
        self._scaling = threading.Lock()
        self._closed = False
        self._all = [make()]
        # The worker that was used last is asked first: its memory is warm, and the others can be ended.
        self._free: queue.LifoQueue[ProcessRuntime] = queue.LifoQueue()
        self._free.put(self._all[0])

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self._all]

    def run(self, arrays: list[Array]) -> list[Array]:
        worker = self._free.get()
        try:
            worker.answer_s = self.answer_s
            return worker.run(arrays)
        finally:
            self._free.put(worker)

    def scale(self, wanted: int) -> None:
        with self._scaling:
            while len(self._all) < wanted:
                worker = self._make()
                if self._closed:
                    worker.close()
                    raise Unavailable("the model is being unloaded")
                self._all.append(worker)
                self._free.put(worker)
                self.replicas = len(self._all)
            while len(self._all) > max(1, wanted):
                self.replicas = len(self._all) - 1  # before one is taken away: nobody should wait for it
                worker = self._free.get()
                self._all.remove(worker)
                worker.close()

    def memory(self) -> int:
        return sum(worker.memory() for worker in self._all)

    def close(self) -> None:
        self._closed = True
        with self._scaling:
            for worker in self._all:
                worker.close()
