// Lists and calls Scout's tool with the official TypeScript clients, in both eras of the protocol, asks for more than they
// take in one message, and goes away.
//
// Usage: node official_clients.mjs SCOUT CONFIG DIRECTORY
//   SCOUT      the scout binary
//   CONFIG     a scout.toml that knows a host `box`, whose commands are a shell's and which allows the largest answers, or the URL of a
//              Scout with such a one, with its key in SCOUT_KEY
//   DIRECTORY  a directory on that host with what the test has put there

import { Client as Latest, StreamableHTTPClientTransport as LatestHttp } from "@modelcontextprotocol/client";
import { StdioClientTransport as LatestStdio } from "@modelcontextprotocol/client/stdio";
import { Client as Stable } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StableStdio } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as StableHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [scout, config, directory] = process.argv.slice(2);
const CLIENTS = [
  ["sdk 1.32.2", () => new Stable({ name: "t", version: "0" }), StableStdio, StableHttp],
  ["client 2.4.0", () => new Latest({ name: "t", version: "0" }), LatestStdio, LatestHttp],
  [
    "client 2.4.0, 2026-07-28",
    () => new Latest({ name: "t", version: "0" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } }),
    LatestStdio,
    LatestHttp,
  ],
];

function check(holds, what, seen) {
  if (!holds) throw new Error(`${what}; seen: ${JSON.stringify(seen)?.slice(0, 2000)}`);
}

/** Every field that is answered must be in the schema, at every depth. */
function declared(schema, value, place) {
  for (const kind of schema.anyOf ?? [schema]) {
    if (Array.isArray(value) && kind.items) value.forEach((item) => declared(kind.items, item, `${place}[]`));
    if (value === null || Array.isArray(value) || typeof value !== "object" || !kind.properties) continue;
    for (const [name, field] of Object.entries(value)) {
      check(kind.properties[name], `${place}.${name} must be in the output schema`, value);
      declared(kind.properties[name], field, `${place}.${name}`);
    }
  }
}

/** How a client reaches Scout. */
function transport(Stdio, Http) {
  if (config.startsWith("http")) {
    return new Http(new URL(config), { requestInit: { headers: { Authorization: process.env.SCOUT_KEY } } });
  }
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => /^(XDG_|HOME|PATH|USER|TMPDIR)/.test(key)));
  return new Stdio({ command: scout, args: ["--config", config, "serve"], env, stderr: "inherit" });
}

async function converse(name, make, Stdio, Http) {
  const client = make();
  let lost;
  client.onerror = (error) => (lost ??= error);
  await client.connect(transport(Stdio, Http));
  const { tools } = await client.listTools();
  const { outputSchema } = tools.find((tool) => tool.name === "scout");
  // The client holds what is answered against the output schema.
  const call = async (args) => {
    const result = await client.callTool({ name: "scout", arguments: args });
    declared(outputSchema, result.structuredContent ?? {}, JSON.stringify(args));
    return result;
  };
  const good = async (args) => {
    const result = await call(args);
    check(!result.isError && result.structuredContent, `${JSON.stringify(args)} must succeed`, result);
    return result.structuredContent;
  };
  check((await good({ target: "hosts" })).hosts[0].name === "box", "the host must be listed");
  check((await good({ target: `box:${directory}/greeting.txt` })).content === "hello", "the file must be read");
  const odd = await good({ target: `box:${directory}/odd` });
  check(odd.entries.some((entry) => entry.name_base64), "a name that is no text must be listed", odd);
  const binary = await good({ target: `box:${directory}/binary` });
  check(binary.content === undefined && binary.note.includes("base64"), "a binary file must be described", binary);
  const bytes = await good({ target: `box:${directory}/binary`, base64: true });
  check(bytes.content === "AP8b", "the bytes must be given to who asks", bytes);
  const ran = await good({ target: `box:${directory}`, query: "cat greeting.txt; exit 3" });
  check(ran.stdout === "hello" && ran.exit === 3, "the command must run", ran);
  for (const args of [{ target: "bax:/etc" }, { target: `box:${directory}/missing` }, { target: "box", query: "" }]) {
    const { isError, structuredContent } = await call(args);
    check(isError && structuredContent.error.message, "a failure must say why", structuredContent);
  }
  // None of these ends the connection, nor the call beside it.
  for (const file of ["plain", "quotes", "hidden", "control", "lines"]) {
    const [large, beside] = await Promise.all([good({ target: `box:${directory}/${file}` }), good({ target: "hosts" })]);
    check(large.content.length > 500_000 && beside.hosts.length === 1, `${file} must be answered`, large.content?.length);
    check(large.truncated ? large.read_on.startsWith("tail -c +") : large.content.length === large.size, "how to read on", {
      ...large,
      content: large.content.length,
    });
  }
  const print = `head -c 1900000 ${directory}/hidden`;
  const both = await good({ target: "box", query: `${print}; ${print} >&2` });
  check(both.stdout_truncated && both.stderr_truncated && both.stderr.length > 500_000, "both streams must be printed");
  const long = await good({ target: `box:${directory}/long` });
  check(long.truncated && long.total === 10_000 && long.entries.length > 1000, "long names must be listed", long.note);
  check(lost === undefined, "no error may come", String(lost));
  await client.close();
  console.log(`${name}: ok`);
}

for (const [name, make, Stdio, Http] of CLIENTS) {
  try {
    await converse(name, make, Stdio, Http);
  } catch (error) {
    console.error(`${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
}
