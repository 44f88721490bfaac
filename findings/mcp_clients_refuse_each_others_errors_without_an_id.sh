#!/usr/bin/env bash
# An MCP server has no way to write "your line was not JSON" that the official SDKs of both languages take.
#
# The answer to a line whose id nobody could read has, by JSON-RPC 2.0 (section 5), the id null; by MCP's own schema since
# 2025-11-25, no id at all (`id?: string | number`). One expects clients to take both, for both are in use. They do not:
#   mcp 2.3.0 (PyPI, Python)                          takes null, refuses the answer without the field
#   @modelcontextprotocol/sdk 1.32.2 (npm)            refuses null, takes the answer without the field
#   @modelcontextprotocol/client 2.4.0 (npm)          refuses null, takes the answer without the field
# What is refused is logged or told to `onerror`, and the connection goes on; the code -32700 reaches nobody.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
null='{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}'
none='{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}'

python3 -m venv python
timeout 300 python/bin/pip install --quiet --disable-pip-version-check mcp==2.3.0
cat >take.py <<'PY'
import sys
from mcp_types.jsonrpc import jsonrpc_message_adapter
for line in sys.argv[1:]:
    try:
        jsonrpc_message_adapter.validate_json(line)
        print("takes  ", line)
    except ValueError:
        print("refuses", line)
PY
cat >take.mjs <<'JS'
import { parseJSONRPCMessage } from "@modelcontextprotocol/client";
import { JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";
const [version, ...lines] = process.argv.slice(2);
for (const line of lines) {
  let taken = true;
  try {
    version === "sdk" ? JSONRPCMessageSchema.parse(JSON.parse(line)) : parseJSONRPCMessage(JSON.parse(line));
  } catch {
    taken = false;
  }
  console.log(taken ? "takes  " : "refuses", line);
}
JS
echo '{"private": true}' >package.json
timeout 300 npm install --silent --no-audit --no-fund @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0 >/dev/null

python/bin/pip list 2>/dev/null | grep -E '^mcp '
npm ls --depth=0 2>/dev/null | grep modelcontextprotocol
check() {
  local name=$1 expected=$2 seen
  shift 2
  seen=$(timeout 60 "$@" "$null" "$none")
  printf '%s:\n%s\n' "$name" "$seen"
  [ "$(cut -c1-7 <<<"$seen" | tr -d ' ' | paste -sd ' ')" = "$expected" ] || { echo "$name behaves otherwise now" >&2; exit 1; }
}
check "Python, mcp" "takes refuses" python/bin/python take.py
check "TypeScript, sdk" "refuses takes" node take.mjs sdk
check "TypeScript, client" "refuses takes" node take.mjs client
