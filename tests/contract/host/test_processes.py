"""What ``/proc`` says of processes that are dying."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

from stationmaster.host import processes

# The first thread ends and takes the program's name with it; the other goes on listening.
_HALF_DEAD = """
import ctypes, socket, threading, time
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=time.sleep, args=(60,)).start()
print(listening.getsockname()[1], flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_whose_first_thread_is_dead_has_not_ended_while_it_listens() -> None:
    looked_at = processes.Processes()
    dying = subprocess.Popen([sys.executable, "-c", _HALF_DEAD], stdout=subprocess.PIPE, text=True)
    try:
        assert dying.stdout is not None
        port = int(dying.stdout.readline())
        end = time.monotonic() + 10
        while looked_at.program(dying.pid) is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert looked_at.program(dying.pid) is None
        assert looked_at.listening_sockets(port)
        assert not looked_at.has_ended(dying.pid)
        dying.send_signal(signal.SIGKILL)
        while not looked_at.has_ended(dying.pid) and time.monotonic() < end:
            time.sleep(0.01)
        # Nobody has collected it yet: a zombie holds nothing, its port can be had.
        assert looked_at.has_ended(dying.pid)
        socket.create_server(("127.0.0.1", port)).close()
    finally:
        dying.kill()
        dying.communicate()
    assert looked_at.has_ended(dying.pid)
