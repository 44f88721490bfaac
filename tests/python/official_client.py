"""Lists and calls Scout's tool with the official Python MCP client, in both eras of the protocol.

Usage: official_client.py SCOUT CONFIG DIRECTORY
  SCOUT      the scout binary
  CONFIG     a scout.toml that knows a host `box`, or the URL of a Scout that does, with its key in SCOUT_KEY
  DIRECTORY  a directory on that host with a file `greeting.txt` that holds "hello"
"""

import asyncio
import os
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

PATIENCE_SECONDS = 60.0
MODES = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28", "auto": "2026-07-28"}
"""How the client connects, and the revision that must come of it."""


class Wrong(Exception):
    """Scout did not answer as it must."""


def check(holds: bool, what: str, seen: object) -> None:
    if not holds:
        raise Wrong(f"{what}; seen: {seen}")


def server(scout: str, config: str):
    """What the client is given to connect with."""
    if config.startswith("http"):
        headers = {"Authorization": os.environ["SCOUT_KEY"]}
        return streamable_http_client(config, http_client=httpx2.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS))
    # The client hands on only a few variables; this one says where compiled plugins are kept.
    env = {name: os.environ[name] for name in ["XDG_CACHE_HOME"] if name in os.environ}
    return StdioServerParameters(command=scout, args=["--config", config, "serve"], env=env)


async def converse(mode: str, scout: str, config: str, directory: str) -> None:
    async with Client(server(scout, config), mode=mode, read_timeout_seconds=PATIENCE_SECONDS) as client:
        check(client.protocol_version == MODES[mode], f"the revision must be {MODES[mode]}", client.protocol_version)

        tools = await client.list_tools()
        check("scout" in [tool.name for tool in tools.tools], "the tool `scout` must be listed", tools)

        async def call(**arguments: str) -> dict:
            """A call that must succeed; gives the structured answer. The client checks it against the tool's schema."""
            result = await client.call_tool("scout", arguments)
            check(not result.is_error, f"{arguments} must succeed", result)
            check(bool(result.content), f"{arguments} must have text", result)
            check(isinstance(result.structured_content, dict), f"{arguments} must have a structured answer", result)
            return result.structured_content

        async def refuse(**arguments: str) -> str:
            """A call that must fail; gives the text."""
            result = await client.call_tool("scout", arguments)
            check(result.is_error, f"{arguments} must be an error", result)
            return "\n".join(part.text for part in result.content)

        hosts = await call(target="hosts")
        check([host["name"] for host in hosts["hosts"]] == ["box"], "the one host must be `box`", hosts)
        file = await call(target=f"box:{directory}/greeting.txt")
        check(file["content"] == "hello", "the file must hold `hello`", file)
        listing = await call(target=f"box:{directory}")
        names = [entry["name"] for entry in listing["entries"]]
        check("greeting.txt" in names, "the directory must list greeting.txt", listing)
        command = await call(target=f"box:{directory}", query="cat greeting.txt")
        check(command["stdout"] == "hello" and command["exit"] == 0, "the command must print `hello`", command)

        unknown = await refuse(target="bax:/etc/hostname")
        check("box" in unknown, "an unknown host must be answered with the near name `box`", unknown)
        await refuse(target=f"box:{directory}/missing")
        await refuse(target=f"box:{directory}", query="rm greeting.txt")

        resources = await client.list_resources()
        check(str(resources.resources[0].uri) == "hosts://list", "the resource hosts://list must be listed", resources)
        read = await client.read_resource("hosts://list")
        check("box" in read.contents[0].text, "hosts://list must name `box`", read)
        read = await client.read_resource(f"scout://box{directory}/greeting.txt")
        check(read.contents[0].text == "hello", "the file must be a resource", read)
    print(f"official Python client, {mode}: ok")


def reasons(error: BaseException) -> list[BaseException]:
    """The errors in a group: anyio's task groups wrap what went wrong."""
    nested = getattr(error, "exceptions", None)
    return [leaf for inner in nested for leaf in reasons(inner)] if nested else [error]


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    scout, config, directory = sys.argv[1:]
    for mode in MODES:
        try:
            asyncio.run(converse(mode, scout, config, directory))
        except BaseException as error:
            for reason in reasons(error):
                print(f"official Python client, {mode}: {type(reason).__name__}: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
