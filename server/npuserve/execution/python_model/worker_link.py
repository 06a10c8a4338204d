"""The worker's end of the channel: any thread sends, and threads that asked wait for their answers.

One thread at a time receives. Mostly that is the main thread, which so gets its work without another thread's help.
While it executes, nobody receives, unless a model's thread waits for an answer: then the answering thread does, until
no answer is awaited any more. A model that asks whether it is cancelled looks for itself.
"""

import itertools
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence

from npuserve.execution.python_model.channel import RECEIVED_BYTES, Buffer, Channel, Message, receive, transmit

Handler = Callable[[Message], None]


class WorkerLink:
    """The worker's messages to and from the server.

    The process ends with the connection: whatever it does then, nobody is left to do it for.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._channel = Channel()
        self._received = bytearray(RECEIVED_BYTES)
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._main_waits = False
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._awaited = threading.Semaphore(0)
        self._handlers: dict[str, Handler] = {}
        # None says that nobody receives any more: who waits here has to.
        self._work: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Start the thread that receives answers while the main thread is busy."""
        threading.Thread(target=self._receive_answers, name="npuserve-answers", daemon=True).start()

    def handle(self, kind: str, handler: Handler) -> None:
        """Have messages of a kind handled by whichever thread receives them; others are the main thread's work."""
        self._handlers[kind] = handler

    def next_work(self) -> Message:
        """Return the main thread's next message. Blocks."""
        while True:
            message = self._receive_work() if self._work.empty() else self._work.get()
            if message is not None:
                return message

    def look(self) -> None:
        """Take what has arrived, if nobody else does. Does not block."""
        if self._receiving.acquire(blocking=False):
            try:
                self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            finally:
                self._stop_receiving()

    def send(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> None:
        """Send a message. Blocks while the server does not take it."""
        with self._sending:
            content, descriptors = self._channel.encode(kind, value, tensors)
            try:
                sent = transmit(self._connection, content, descriptors)
                if sent < len(content):
                    self._connection.sendall(memoryview(content)[sent:])
            except OSError:
                os._exit(0)
            for descriptor in descriptors:
                os.close(descriptor)

    def ask(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> queue.SimpleQueue[Message]:
        """Send a question; its answers, `("answer", (number, is_last, ...))`, come through the returned queue."""
        number = next(self._numbers)
        answers = self._answers[number] = queue.SimpleQueue()
        self.send(kind, (number, value), tensors)
        self._awaited.release()
        return answers

    def _receive_work(self) -> Message | None:
        """Receive until there is work; wait for it if another thread receives."""
        # Set before the lock is tried: who has it then, sees this after giving it back.
        self._main_waits = True
        try:
            if self._receiving.acquire(blocking=False):
                try:
                    while self._work.empty():
                        self._receive()
                finally:
                    self._receiving.release()
            return self._work.get()
        finally:
            self._main_waits = False

    def _stop_receiving(self) -> None:
        """Give the receiving lock back; the main thread takes over if it waits."""
        self._receiving.release()
        if self._main_waits:
            self._work.put(None)

    def _receive_answers(self) -> None:
        while True:
            self._awaited.acquire()
            self._receiving.acquire()
            while self._answers:
                self._receive()
            self._stop_receiving()

    def _receive(self, flags: int = 0) -> None:
        """Receive once. REQUIRES: the receiving lock."""
        messages = receive(self._connection, self._channel, self._received, flags)
        if messages is None:
            os._exit(0)
        for message in messages:
            self._dispatch(message)

    def _dispatch(self, message: Message) -> None:
        if message.kind == "answer":
            number, is_last = message.value[0], message.value[1]  # type: ignore[index]  # the server's form
            answers = self._answers.pop(number) if is_last else self._answers[number]
            answers.put(message)
        elif message.kind in self._handlers:
            self._handlers[message.kind](message)
        else:
            self._work.put(message)
