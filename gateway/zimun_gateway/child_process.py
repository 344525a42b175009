"""Child processes: their command line, their end, and the ports that they listen on."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from . import parent_death


def ending_with_parent(command: Sequence[str]) -> list[str]:
    """The command line of a child that is killed when this process ends, however it ends.

    Start the child from the main thread: the end of the thread that started it counts.
    """
    return [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *command]


async def stop(process: asyncio.subprocess.Process, seconds: float) -> None:
    """End a process with SIGTERM, and with SIGKILL if it runs on after some seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()


def address_family(host: str) -> socket.AddressFamily:
    """IPv6 for an address with colons, else IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def endpoint(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port_problem(host: str, port: int) -> str:
    """Why a port cannot be listened on, "is in use" for one; empty where it can.

    A listener that shares its port (SO_REUSEPORT) counts, too.
    """
    with socket.socket(address_family(host)) as probe:
        # Connections of an ended server linger (TIME_WAIT), without a process.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            return "is in use" if is_taken else f"cannot be used at {host}: {error.strerror}"
        return ""


async def wait_for_any(*waiting: Coroutine[Any, Any, object]) -> None:
    """Wait until one coroutine has finished, and cancel the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
