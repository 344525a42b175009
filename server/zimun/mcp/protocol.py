"""The protocol, as the package `mcp` speaks it: the only module that imports the package.

Streamable HTTP without sessions and with JSON answers, of version 2026-07-28 and of those before
it, which begin with `initialize`. Any server answers any request.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import jsonschema
import mcp_types as types
from jsonschema.exceptions import best_match
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from zimun.domain.catalog.entries import McpAccess
from zimun.domain.errors import InvalidRequest, McpAccessDenied, ZimunError
from zimun.mcp import tools
from zimun.mcp.asgi import Application
from zimun.mcp.tools import Agent
from zimun.rpc import error_status
from zimun.rpc.local_calls import CallRefused, LocalCalls

LIST_TIME = 60_000
"""Milliseconds for which agents may keep the list of tools: mcp_access may change."""

_INSTRUCTIONS = """\
Books appointments of one organization. Find a service with list_services and a time with \
find_next_available or get_availability; keep it with create_hold and confirm it with \
create_booking. Times are RFC 3339. Give every change an idempotency_key of its own, and the same \
one when you repeat it. An error has a reason and a message that says what to do."""


Context = ServerRequestContext[Any, Any]


class Protocol:
    """The ASGI application; the state of its scope has the Agent of a request as `agent`."""

    def __init__(self, calls: LocalCalls) -> None:
        # It logs what callers send.
        logging.getLogger("mcp").setLevel(logging.ERROR)
        self._calls = calls
        self._tools = {tool.name: tool for tool in tools.load()}
        self._listed = {
            name: types.Tool.model_validate(tool.definition) for name, tool in self._tools.items()
        }
        server: Server[Any] = Server(
            "zimun",
            version=version("zimun"),
            title="Zimun",
            instructions=_INSTRUCTIONS,
            cache_hints={"tools/list": CacheHint(LIST_TIME)},
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )
        server.middleware.clear()  # the calls are traced as any others are
        self._manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
        self._running: asyncio.Task[None] | None = None

    @property
    def application(self) -> Application:
        """The ASGI application, once it is started."""
        return self._manager.handle_request

    async def start(self) -> None:
        """Begin to serve; the task group of the package belongs to one task.

        Raises what keeps the package from starting.
        """
        started = asyncio.Event()
        self._running = asyncio.create_task(self._run(started))
        self._running.add_done_callback(lambda _: started.set())
        try:
            await started.wait()
        except asyncio.CancelledError:
            self._running.cancel()
            raise
        if self._running.done():
            self._running.result()

    async def close(self) -> None:
        """Cancel the running requests."""
        if self._running:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def _run(self, started: asyncio.Event) -> None:
        async with self._manager.run():
            started.set()
            await asyncio.Event().wait()

    def _input_schema(self, name: str) -> Any:
        tool = self._tools.get(name)
        return tool.definition["inputSchema"] if tool else None

    async def _list(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """The tools that the token may call."""
        agent = _agent(context)
        scopes = agent.caller.scopes
        return types.ListToolsResult(
            tools=[
                self._listed[tool.name]
                for tool in self._tools.values()
                if tool.is_open_to(scopes, agent.access)
            ]
        )

    async def _call(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, "there is no such tool")
        agent, arguments = _agent(context), params.arguments or {}
        return await _result(lambda: self._answer(agent, tool, arguments))

    async def _answer(self, agent: Agent, tool: tools.Tool, arguments: tools.Json) -> tools.Json:
        if tool.changes and agent.access is not McpAccess.READ_WRITE:
            raise McpAccessDenied(agent.access)
        _check(arguments, tool.definition["inputSchema"])
        return await tools.call(tool, arguments, agent, self._calls)


def _agent(context: Context) -> Agent:
    request: Any = context.request
    agent: Agent = request.scope["state"]["agent"]
    return agent


def _check(arguments: tools.Json, schema: tools.Json) -> None:
    """Raises InvalidRequest where the arguments are not what the tool says."""
    missing = [name for name in schema.get("required", ()) if name not in arguments]
    unknown = [name for name in arguments if name not in schema["properties"]]
    violations = dict.fromkeys(missing, "is required")
    if unknown:
        violations["arguments"] = (
            f"has {len(unknown)} that this tool does not have, such as {unknown[0]!r}"
        )
    if violations:
        raise InvalidRequest(violations)
    error = best_match(jsonschema.Draft202012Validator(schema).iter_errors(arguments))
    if error:
        raise InvalidRequest({".".join(map(str, error.absolute_path)): error.message})


async def _result(answer: Callable[[], Awaitable[tools.Json]]) -> types.CallToolResult:
    """The result of a tool; an error has the shape of all errors of the API, as text."""
    try:
        content = await answer()
    except CallRefused as error:
        return _failed(tools.as_json(error.status))
    except ZimunError as error:
        return _failed(tools.as_json(error_status.status_of(error)))
    except Exception as error:
        return _failed(tools.as_json(error_status.internal_error(error)))
    return types.CallToolResult(content=[_text(content)], structured_content=content)


def _failed(status: tools.Json) -> types.CallToolResult:
    """The result of an error, without the note of an override or of time off."""
    for detail in status["details"]:
        detail.get("metadata", {}).pop("note", None)
    return types.CallToolResult(content=[_text(status)], is_error=True)


def _text(value: tools.Json) -> types.TextContent:
    return types.TextContent(text=json.dumps(value, ensure_ascii=False))
