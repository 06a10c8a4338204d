"""Who receives in a worker: the main thread, or another while it executes; no message waits for one that sleeps."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from npuserve.execution.python_model.channel import RECEIVED_BYTES, Channel, Message, receive

SECONDS = 60
ROUNDS = 20

# A process of its own: it ends with the connection. On "look" and "ask" another thread than the main one receives, is
# held while it does, until the main thread waits for what others receive, and then has nothing more to receive.
WORKER = """
import queue, socket, sys, threading
from npuserve.execution.python_model.worker_link import WorkerLink

link = WorkerLink(socket.socket(fileno=int(sys.argv[1])))
holds, waits = threading.Event(), threading.Event()

def watch(frame, event, called):
    if event == "c_call" and called.__name__ == "get" and isinstance(called.__self__, queue.SimpleQueue):
        waits.set()

def hold(message):
    holds.set()
    waits.wait()
    link.send("held", None)

def look():
    while not holds.is_set():
        link.look()

def ask():
    answer = link.ask("question", None).get()
    link.send("answered", answer.value[2])

link.handle("hold", hold)
link.start()
while True:
    message = link.next_work()
    link.send("took", message.kind)
    if message.kind in ("look", "ask"):
        holds.clear()
        threading.Thread(target={"look": look, "ask": ask}[message.kind], daemon=True).start()
        holds.wait()
        waits.clear()
        sys.setprofile(watch)
"""


class Worker:
    """The server's end of the channel to such a process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._channel = Channel()
        self._heard: list[Message] = []

    def say(self, kind: str, value: object = None) -> None:
        self._connection.sendall(self._channel.encode(kind, value)[0])

    def hear(self) -> tuple[str, object]:
        """Return what it says next."""
        while not self._heard:
            messages = receive(self._connection, self._channel, bytearray(RECEIVED_BYTES))
            assert messages is not None, "the worker has ended"
            self._heard += messages
        message = self._heard.pop(0)
        return message.kind, message.value


@pytest.fixture
def worker() -> Iterator[Worker]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours:
        ours.settimeout(SECONDS)
        with theirs:
            command = [sys.executable, "-c", WORKER, str(theirs.fileno())]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        try:
            yield Worker(ours)
        finally:
            process.kill()
            process.wait()


def test_the_main_thread_receives_after_a_thread_that_looked(worker: Worker) -> None:
    for _ in range(ROUNDS):
        worker.say("look")
        assert worker.hear() == ("took", "look")
        worker.say("hold")
        assert worker.hear() == ("held", None)
        worker.say("work")
        assert worker.hear() == ("took", "work")


def test_the_main_thread_receives_after_the_thread_that_received_answers(worker: Worker) -> None:
    for number in range(ROUNDS):
        worker.say("ask")
        assert worker.hear() == ("took", "ask")
        kind, question = worker.hear()
        assert kind == "question" and isinstance(question, tuple)
        worker.say("hold")
        assert worker.hear() == ("held", None)
        worker.say("answer", (question[0], True, number))
        assert worker.hear() == ("answered", number)
        worker.say("work")
        assert worker.hear() == ("took", "work")


def test_work_that_comes_while_answers_are_awaited_reaches_the_main_thread(worker: Worker) -> None:
    worker.say("ask")
    assert worker.hear() == ("took", "ask")
    _, question = worker.hear()
    worker.say("hold")
    assert worker.hear() == ("held", None)
    for number in range(ROUNDS):
        worker.say(f"work {number}")
        assert worker.hear() == ("took", f"work {number}")
    assert isinstance(question, tuple)
    worker.say("answer", (question[0], True, "late"))
    assert worker.hear() == ("answered", "late")
