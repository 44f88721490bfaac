"""The tool `os_release`: which operating system a host runs."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.tools import Effect, Tool
from wit_world.imports import files
from wit_world.imports.answers import Answer, Content_Text
from wit_world.imports.types import Error, ErrorKind

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
        return [
            Tool(
                name="os_release",
                title=None,
                description="Tells which operating system a host runs, and which version",
                input_schema=json.dumps(ARGUMENTS),
                output_schema=json.dumps(ANSWER),
                effect=Effect.READ,
            )
        ]

    def call(self, name, arguments):
        # Scout has checked the arguments against the schema.
        host = json.loads(arguments)["host"]
        with files.open(host, b"/etc/os-release") as entry:
            content = entry.content()
            if content is None:
                raise Err(Error(ErrorKind.INVALID, "/etc/os-release is no file", None))
            text = content.read(0, 64 * 1024).decode(errors="replace")
        system = field(text, "NAME")
        if system is None:
            raise Err(Error(ErrorKind.INVALID, "/etc/os-release names no system", None))
        version = field(text, "VERSION_ID")
        return Answer(
            content=[Content_Text(f"{system} {version or ''}".rstrip())],
            structured=json.dumps({"name": system, "version": version}),
            attachments=[],
            is_error=False,
        )
