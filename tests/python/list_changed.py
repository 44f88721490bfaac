"""Is told by Scout that the list of tools has changed, with the official Python MCP client, in both eras of the protocol.

Usage: list_changed.py SCOUT CONFIG
  SCOUT   the scout binary
  CONFIG  a scout.toml with a plugin whose one tool is named by the line `tool = "one"`
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.subscriptions import ToolsListChanged
from mcp.types import ToolListChangedNotification

PATIENCE_SECONDS = 60.0


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


def rename(config: Path, old: str, new: str) -> None:
    """Gives the tool another name, as an editor does: beside the file, then in its place."""
    text = config.read_text()
    assert f'tool = "{old}"' in text, text
    beside = config.with_suffix(".new")
    beside.write_text(text.replace(f'tool = "{old}"', f'tool = "{new}"'))
    beside.rename(config)


async def legacy(server: StdioServerParameters, config: Path) -> None:
    told = asyncio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            told.set()

    async with Client(server, mode="legacy", message_handler=on_message, read_timeout_seconds=PATIENCE_SECONDS) as client:
        assert client.server_capabilities.tools.list_changed
        assert await names(client) == ["scout", "one"]
        rename(config, "one", "two")
        await asyncio.wait_for(told.wait(), PATIENCE_SECONDS)
        assert await names(client) == ["scout", "two"]


async def modern(server: StdioServerParameters, config: Path) -> None:
    async with Client(server, mode="2026-07-28", read_timeout_seconds=PATIENCE_SECONDS) as client:
        assert await names(client) == ["scout", "two"]
        async with client.listen(tools_list_changed=True) as changes:
            rename(config, "two", "three")
            event = await asyncio.wait_for(anext(aiter(changes)), PATIENCE_SECONDS)
            assert isinstance(event, ToolsListChanged), event
            assert await names(client) == ["scout", "three"]


async def main() -> None:
    scout, config = sys.argv[1], Path(sys.argv[2])
    env = {name: os.environ[name] for name in ["XDG_CACHE_HOME", "XDG_STATE_HOME"] if name in os.environ}
    server = StdioServerParameters(command=scout, args=["--config", str(config), "serve"], env=env)
    for follow in (legacy, modern):
        await follow(server, config)
        print(f"official Python client, {follow.__name__}: told")


asyncio.run(main())
