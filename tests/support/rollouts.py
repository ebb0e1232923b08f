"""A rollout by the command line: somebody who orders and watches, and the processes that run beside the job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

from schemas.shadow_prediction import ShadowPrediction, read_shadow
from streaming.rollout.intervals import CANDIDATE
from tests.support.commands import ROOT, command, environment, penstock
from tests.support.engine import committed
from tests.support.eventually import eventually
from tests.support.job import PATIENCE, Job


class Operator:
    """Somebody at the command line."""

    def __init__(self, job: Job) -> None:
        self.config = str(job.config)

    def __call__(self, verb: str, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
        done = penstock("rollout", verb, *arguments, "--config", self.config, "--json", "-")
        assert done.returncode == exit_code, done.stderr
        status: dict[str, Any] = json.loads(done.stdout) if exit_code == 0 else {"problem": done.stderr}
        return status

    def waits_for(self, phase: str, step: int, why: str = "") -> None:
        def is_there() -> bool:
            status = self("status")
            return (status["phase"], status["step"]) == (phase, step) and why in status["why"]

        eventually(is_there, timeout=PATIENCE, every=1.0)

    def sees_more_answers_than(self, status: dict[str, Any]) -> None:
        """Wait until the candidate has answered more events than by then."""
        answered = status["answered"][CANDIDATE]["events"]
        eventually(lambda: self("status")["answered"][CANDIDATE]["events"] > answered, timeout=PATIENCE, every=1.0)


class BesideTheJob:
    """A verb of ``penstock`` in a process of its own, with the job's settings and ``changes`` laid over them."""

    def __init__(self, job: Job, name: str, *arguments: str, changes: tuple[str, ...] = ()) -> None:
        self.job = job
        own = [word for change in changes for word in ("--set", change)]
        self._command = command(*arguments, "--config", str(job.config), *own)
        self._path = job.home / f"{name}.log"
        self._log = self._path.open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=environment(), stdout=self._log, stderr=self._log, start_new_session=True
        )

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        assert self.process.poll() is None, self._path.read_text()[-5_000:]
        return self.process

    def kill(self) -> None:
        process = self.running
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def stop(self) -> int:
        process = self.running
        process.terminate()
        return process.wait(60)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._log.close()


class ShadowProcess(BesideTheJob):
    """``penstock shadow run``."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, "shadow", "shadow", "run", changes=(f"model.cache_dir={job.home}/own",))

    def pairs(self) -> list[ShadowPrediction]:
        """Return what it has written by now, if it still runs."""
        assert self.running
        listed = committed({"bootstrap.servers": self.job.servers}, f"{self.job.topic}.out.shadow")
        return [pair for message in listed if (pair := read_shadow(message.value()))]
