"""The worker's end of the channel: any thread sends, one thread receives, threads that asked wait for their answers."""

import itertools
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence

from npuserve.execution.python_model.channel import Buffer, Channel, Message, receive

Handler = Callable[[Message], None]


class WorkerLink:
    """The worker's messages to and from the server.

    The process ends with the connection: whatever it does then, nobody is left to do it for.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._channel = Channel()
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._handlers: dict[str, Handler] = {}
        self.work: queue.SimpleQueue[Message] = queue.SimpleQueue()
        """What the main thread has to do."""

    def start(self) -> None:
        """Receive from now on, in a thread of its own."""
        threading.Thread(target=self._receive, name="npuserve-link", daemon=True).start()

    def handle(self, kind: str, handler: Handler) -> None:
        """Have messages of a kind handled by the receiving thread; others are the main thread's work."""
        self._handlers[kind] = handler

    def send(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> None:
        """Send a message. Blocks while the server does not take it."""
        with self._sending:
            content, descriptors = self._channel.encode(kind, value, tensors)
            try:
                sent = socket.send_fds(self._connection, [content], descriptors)
                self._connection.sendall(memoryview(content)[sent:])
            except OSError:
                os._exit(0)
            for descriptor in descriptors:
                os.close(descriptor)

    def ask(self, kind: str, value: object, tensors: Sequence[Buffer] = ()) -> queue.SimpleQueue[Message]:
        """Send a question; its answers, `("answer", (number, ...))`, come through the queue that is returned."""
        number = next(self._numbers)
        answers = self._answers[number] = queue.SimpleQueue()
        self.send(kind, (number, value), tensors)
        return answers

    def _receive(self) -> None:
        while True:
            messages = receive(self._connection, self._channel)
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
            self.work.put(message)
