//! What clients are told of the tool.

pub(crate) const DESCRIPTION: &str = "The newest entries of a host's log that fit, the oldest of them first: time (UTC), program, process, \
priority and message. From systemd's journal, and where there is none from /var/log/syslog or /var/log/messages; with `path` from that \
file, rotated ones as /var/log/syslog.1 too. Narrow it with `unit`, `since`, `until`, `grep` and `priority`. For trouble of the last hour: \
{\"since\": \"1h\", \"priority\": \"warning\"}. In files `unit` is the program's name and most entries have no priority; times that are \
written there without zone or year are read with the host's clock and zone.";

pub(crate) const INPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string", "minLength": 1, "maxLength": 255, "description": "name of a configured host"},
    "unit": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9:_.@\\\\-]+$",
      "description": "unit of systemd, as nginx or nginx.service"},
    "user_unit": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9:_.@\\\\-]+$",
      "description": "unit of the manager of any user, instead"},
    "since": {"type": "string", "maxLength": 40,
      "pattern": "^([0-9]{1,8}[smhdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)$",
      "description": "from then on: an age (15m, 2h, 7d), RFC 3339, or a date or time of the host's zone (2026-11-21 14:00)"},
    "until": {"type": "string", "maxLength": 40,
      "pattern": "^([0-9]{1,8}[smhdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)$",
      "description": "up to then, written as `since`"},
    "grep": {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": "^[^\\u0000-\\u001f]*$",
      "description": "extended regular expression that the message (in files, the line) must match"},
    "ignore_case": {"type": "boolean", "default": false, "description": "for `grep`"},
    "priority": {"enum": ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"],
      "description": "only entries at least so urgent"},
    "lines": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100, "description": "how many entries at most"},
    "whole": {"type": "boolean", "default": false,
      "description": "messages whole, not their first 2000 bytes; with few `lines`, or `since` and `until` both the time of an entry"},
    "path": {"type": "string", "minLength": 2, "maxLength": 4096, "pattern": "^(/|~/)[^\\u0000]*$", "description": "a log file instead"},
    "source": {"enum": ["auto", "journal", "files"], "default": "auto",
      "description": "`files` saves a round trip on hosts that have no journal"}
  },
  "required": ["host"],
  "additionalProperties": false
}"#;

pub(crate) const OUTPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string"},
    "source": {"enum": ["journal", "file"]},
    "path": {"type": ["string", "null"], "description": "the file"},
    "entries": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "time": {"type": ["string", "null"], "format": "date-time"},
          "host": {"type": ["string", "null"], "description": "as the log names it"},
          "unit": {"type": ["string", "null"]},
          "program": {"type": ["string", "null"]},
          "pid": {"type": ["integer", "null"], "minimum": 0},
          "priority": {"enum": ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", null]},
          "message": {"type": "string"},
          "message_base64": {"type": "string", "description": "its bytes, only where they are not UTF-8"},
          "message_cut": {"type": "boolean", "description": "true where the message is only a beginning"}
        },
        "required": ["time", "host", "unit", "program", "pid", "priority", "message"],
        "additionalProperties": false
      }
    },
    "truncated": {"type": "boolean", "description": "whether older entries may fit as well"},
    "notes": {"type": "array", "items": {"type": "string"}, "description": "what else a reader must know"}
  },
  "required": ["host", "source", "path", "entries", "truncated", "notes"],
  "additionalProperties": false
}"#;
