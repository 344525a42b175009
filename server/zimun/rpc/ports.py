"""Ports that a server cannot listen on."""

from zimun_gateway.child_process import port_problem


class PortTaken(Exception):
    """A port that is in use, or a host that is no address of this machine.

    `name` is what the port is for, empty if it is one of several.
    """

    def __init__(self, name: str, host: str, port: int) -> None:
        problem = port_problem(host, port) or "is in use"
        super().__init__(f"{name} port {port} {problem}".lstrip())
