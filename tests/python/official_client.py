"""Lists and calls Scout's tool with the official Python MCP client.

Usage: official_client.py SCOUT CONFIG DIRECTORY
  SCOUT      the scout binary
  CONFIG     a scout.toml that knows a host `box`
  DIRECTORY  a directory on that host with a file `greeting.txt` that holds "hello"
"""

import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(scout: str, config: str, directory: str) -> None:
    parameters = StdioServerParameters(command=scout, args=["--config", config, "serve"])
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = await session.list_tools()
        assert [tool.name for tool in tools.tools] == ["scout"], tools

        async def call(**arguments: str):
            return await session.call_tool("scout", arguments)

        hosts = await call(target="hosts")
        assert not hosts.isError and hosts.structuredContent["hosts"][0]["name"] == "box", hosts
        file = await call(target=f"box:{directory}/greeting.txt")
        assert not file.isError and file.structuredContent["content"] == "hello", file
        listing = await call(target=f"box:{directory}")
        names = [entry["name"] for entry in listing.structuredContent["entries"]]
        assert not listing.isError and "greeting.txt" in names, listing
        command = await call(target=f"box:{directory}", query="wc -c greeting.txt")
        assert not command.isError and command.structuredContent["stdout"].split()[0] == "5", command
        refused = await call(target=f"box:{directory}", query="rm greeting.txt")
        assert refused.isError, refused
        missing = await call(target=f"box:{directory}/missing")
        assert missing.isError, missing

        resources = await session.list_resources()
        assert str(resources.resources[0].uri) == "hosts://list", resources
        read_back = await session.read_resource(f"scout://box{directory}/greeting.txt")
        assert read_back.contents[0].text == "hello", read_back
    print("official Python client: 1 tool, 6 calls, 2 resources")


asyncio.run(main(*sys.argv[1:]))
