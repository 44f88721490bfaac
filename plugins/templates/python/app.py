"""The tool `os_release`: which operating system a host runs."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import files
from wit_world.imports.answers import Answer
from wit_world.imports.descriptions import Effect, Tool
from wit_world.imports.types import Error

from os_release import field

ARGUMENTS = {
    "type": "object",
    "properties": {"host": {"type": "string", "description": "A host's name, as the target `hosts` lists it"}},
    "required": ["host"],
    "additionalProperties": False,
}
ANSWER = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "version": {"type": ["string", "null"]}},
    "required": ["name", "version"],
}


class Tools(exports.Tools):
    def describe(self):
        tool = Tool(
            name="os_release",
            description="Tells which operating system a host runs, and which version",
            input_schema=json.dumps(ARGUMENTS),
            effect=Effect.READ,
        )
        tool.output_schema(json.dumps(ANSWER))
        return [tool]

    def call(self, name, arguments):
        # Scout has checked the arguments against the schema.
        host = json.loads(arguments)["host"]
        with files.open(host, b"/etc/os-release") as entry:
            content = entry.content()
            if content is None:
                raise Err(Error("invalid", "/etc/os-release is not a file", None))
            text = content.read(0, 64 * 1024).decode(errors="replace")
        system = field(text, "NAME")
        if system is None:
            raise Err(Error("invalid", "/etc/os-release names no system", None))
        version = field(text, "VERSION_ID")
        answer = Answer()
        answer.text(f"{system} {version or ''}".rstrip())
        answer.structured(json.dumps({"name": system, "version": version}))
        return answer
