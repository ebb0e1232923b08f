"""What each fault does. Every one returns when events get through again."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
from confluent_kafka import TopicPartition

from tests.chaos.drivers import Driver
from tests.chaos.reader import Reader
from tests.chaos.rollouts import begin, end, widen
from tests.chaos.scene import FENCED_EXIT, PARTITIONS, TRANSACTION_SECONDS, Scene, StalledError
from tests.chaos.schedule import PLANNED, Kind, Return, Step
from tests.support.eventually import SLOWEST, eventually

_SETTLE_SECONDS = 30.0
_UNREAD = 300


def strike(scene: Scene, step: Step) -> None:
    """Let ``step`` happen, and wait until the job has got over it."""
    _FAULTS[step.kind](scene, step)
    if step.kind not in PLANNED:  # the next fault is to fall into it
        scene.await_progress()


def swap(scene: Scene, _: Step) -> None:
    scene.swap()


def writer_failpoint(scene: Scene, step: Step) -> None:
    """A worker dies at a step of the writer's recipe; Spark tries the task again."""
    scene.arm(step.point, "kill")
    scene.hit(step.point)
    scene.tally.kills += 1


def kill_worker(scene: Scene, _: Step) -> None:
    """Whatever it is doing."""
    leader = scene.leader()
    victim = eventually(lambda: next(iter(leader.workers()), None), timeout=SLOWEST)
    victim.kill()
    scene.tally.kills += 1


def zombie_worker(scene: Scene, step: Step) -> None:
    """A worker sleeps in its transaction until the broker has ended that, then goes on as if nothing had been."""
    scene.arm(step.point, "stop")
    sleeper = psutil.Process(scene.hit(step.point))
    time.sleep(TRANSACTION_SECONDS)  # the fault itself: sleeping past the transaction's time
    with suppress(AssertionError):  # a transaction that had not reached the broker has nothing to settle
        reader = Reader(scene.rig.broker.address)
        eventually(lambda: _settled(scene, reader), timeout=_SETTLE_SECONDS, every=0.5)
    sleeper.resume()


def _settled(scene: Scene, reader: Reader) -> bool:
    return all(reader.settled(f"{scene.topic}.{kind}") for kind in ("out", "dlq"))


def speculation(scene: Scene, step: Step) -> None:
    """A worker sleeps until Spark has had its task done by a second one, then wakes up beside it."""
    before = scene.marks()
    scene.arm(step.point, "stop")
    sleeper = psutil.Process(scene.hit(step.point))
    scene.wait_for(lambda: all(now > before[p] for p, now in scene.marks().items()), "the second attempt")
    with suppress(psutil.NoSuchProcess):  # Spark may have ended it by now
        sleeper.resume()


def kill_broker(scene: Scene, _: Step) -> None:
    """For a random few seconds."""
    scene.rig.broker.kill()
    scene.tally.kills += 1
    time.sleep(scene.chance.uniform(0.0, 4.0))
    scene.rig.broker.come_back()


def kill_registry(scene: Scene, _: Step) -> None:
    """In the middle of a swap, which is to succeed once it is back."""
    scene.swap()
    time.sleep(scene.chance.uniform(0.0, 1.0))
    scene.rig.registry.kill()
    scene.tally.kills += 1
    scene.await_progress()
    scene.rig.registry.come_back()


def disk_full(scene: Scene, _: Step) -> None:
    """In the model cache, while a swap needs it."""
    leader = scene.leader()
    before = leader.text().count("CACHE_FULL")
    filler = leader.fill_disk()
    scene.swap()
    scene.wait_for(lambda: not leader.running or leader.text().count("CACHE_FULL") > before, "the full disk to be seen")
    scene.await_progress()
    with suppress(FileNotFoundError):
        filler.unlink()


def driver_failpoint(scene: Scene, step: Step) -> None:
    """The driver dies at a step of a batch, and leaves its JVM and workers to themselves."""
    scene.arm(step.point, "kill")
    pid = scene.hit(step.point)
    dead = next(d for d in scene.drivers if d.process.pid == pid)
    dead.process.wait(30)
    _gone(scene, dead, step)


def kill_driver(scene: Scene, step: Step) -> None:
    """With all its processes, as a lost machine."""
    time.sleep(scene.chance.uniform(0.0, 2.0))
    leader = scene.leader()
    leader.kill()
    _gone(scene, leader, step)


def _gone(scene: Scene, dead: Driver, step: Step) -> None:
    scene.drivers.remove(dead)
    scene.tally.kills += 1
    if step.back is Return.STANDBY:
        _taken_over(scene)
        return
    if step.back is not Return.RESTART:
        dead.kill()  # what it left behind might still write below what is about to be removed
    if step.back is Return.NO_CHECKPOINT:
        shutil.rmtree(scene.checkpoint)
    if step.back is Return.GAP:
        _remove_unread(scene)
    scene.start_driver(*(["--on-gap", "skip"] if step.back is Return.GAP else []))


def _taken_over(scene: Scene) -> None:
    since, marks = time.monotonic(), scene.marks()
    scene.wait_for(lambda: any(now > marks[p] for p, now in scene.marks().items()), "the standby to take over")
    scene.tally.takeovers.append(round(time.monotonic() - since, 2))


def _remove_unread(scene: Scene) -> None:
    """Do what retention does to a topic whose job is down for too long."""
    marks = scene.marks()
    eventually(lambda: all(scene.bounds(p)[1] > marks[p] + _UNREAD for p in marks), timeout=SLOWEST)
    for p in range(PARTITIONS):
        before = marks[p] + scene.chance.randrange(1, _UNREAD)
        scene.removed[p].append(range(before))
        scene.admin.delete_records([TopicPartition(scene.topic, p, before)])
    eventually(lambda: all(scene.bounds(p)[0] == scene.removed[p][-1].stop for p in marks), timeout=SLOWEST)


def freeze_driver(scene: Scene, step: Step) -> None:
    """A driver sleeps in the middle of a transaction, is replaced, wakes up, and must see that it is not needed."""
    scene.arm(step.point, "stop")
    sleeper = scene.hit(step.point)
    frozen = next(d for d in scene.drivers if sleeper in [p.pid for p in d.processes()])
    frozen.send(signal.SIGSTOP)
    scene.drivers.remove(frozen)
    _taken_over(scene)
    frozen.send(signal.SIGCONT)
    code = frozen.process.wait(120)
    if code != FENCED_EXIT:
        raise StalledError(
            f"the driver that was replaced ended with {code}, not {FENCED_EXIT}: {frozen.text()[-3000:]}"
        )
    scene.tally.exits.append(code)


_FAULTS: dict[Kind, Callable[[Scene, Step], None]] = {
    Kind.SWAP: swap,
    Kind.ROLLOUT_BEGINS: begin,
    Kind.ROLLOUT_WIDENS: widen,
    Kind.ROLLOUT_ENDS: end,
    Kind.WRITER_FAILPOINT: writer_failpoint,
    Kind.DRIVER_FAILPOINT: driver_failpoint,
    Kind.KILL_DRIVER: kill_driver,
    Kind.FREEZE_DRIVER: freeze_driver,
    Kind.KILL_WORKER: kill_worker,
    Kind.ZOMBIE_WORKER: zombie_worker,
    Kind.KILL_BROKER: kill_broker,
    Kind.KILL_REGISTRY: kill_registry,
    Kind.DISK_FULL: disk_full,
    Kind.SPECULATION: speculation,
}
