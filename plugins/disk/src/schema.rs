//! What clients are told of the tool.

pub(crate) const DESCRIPTION: &str = "How full the file systems of a host are: one row each with its type, size, used and \
available bytes, percent in use and mount point, as `df` on the host says. Without `path` it shows all that have storage; \
pseudo file systems (proc, sysfs, devtmpfs, memory below /run, /dev and /sys, read-only images) only with `all`. With `path` it \
shows the one that holds the path. Nothing is mounted by it; file systems of other machines are asked last, and those that do not answer are named. `threshold` shows only those at least so full. `inodes` adds how many files there are and may be: a \
file system without free inodes is full whatever its bytes say. Sizes count in KiB steps.";

pub(crate) const INPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string", "minLength": 1, "maxLength": 255, "description": "name of a configured host"},
    "path": {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[/~][^\\u0000]*$",
      "description": "absolute, or ~ or ~/x: only the file system that holds it"},
    "threshold": {"type": "integer", "minimum": 0, "maximum": 100, "default": 0,
      "description": "only file systems of which at least this percentage is in use (of bytes, or with `inodes` of either)"},
    "inodes": {"type": "boolean", "default": false, "description": "inodes as well; mostly one more round trip"},
    "all": {"type": "boolean", "default": false, "description": "pseudo file systems too"}
  },
  "required": ["host"],
  "additionalProperties": false
}"#;

pub(crate) const OUTPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string"},
    "filesystems": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "filesystem": {"type": "string", "description": "device, pool or share"},
          "filesystem_base64": {"type": "string", "description": "its bytes, only where they are not UTF-8"},
          "type": {"type": ["string", "null"]},
          "size_bytes": {"type": ["integer", "null"], "minimum": 0},
          "used_bytes": {"type": ["integer", "null"], "minimum": 0},
          "available_bytes": {"type": ["integer", "null"], "minimum": 0, "description": "for ordinary accounts"},
          "used_percent": {"type": ["integer", "null"], "minimum": 0},
          "inodes": {"type": ["integer", "null"], "minimum": 0},
          "inodes_used": {"type": ["integer", "null"], "minimum": 0},
          "inodes_free": {"type": ["integer", "null"], "minimum": 0},
          "inodes_used_percent": {"type": ["integer", "null"], "minimum": 0},
          "mount_point": {"type": "string"},
          "mount_point_base64": {"type": "string", "description": "its bytes, only where they are not UTF-8"}
        },
        "required": ["filesystem", "type", "size_bytes", "used_bytes", "available_bytes", "used_percent", "mount_point"],
        "additionalProperties": false
      }
    },
    "pseudo_left_out": {"type": "integer", "minimum": 0},
    "below_threshold": {"type": "integer", "minimum": 0},
    "truncated": {"type": "boolean", "description": "whether there are more file systems than these"},
    "unanswered": {
      "type": "array",
      "description": "file systems of other machines or programs that did not tell how full they are",
      "items": {
        "type": "object",
        "properties": {
          "filesystem": {"type": "string"},
          "filesystem_base64": {"type": "string"},
          "type": {"type": "string"},
          "mount_point": {"type": "string"},
          "mount_point_base64": {"type": "string"},
          "why": {"type": "string"}
        },
        "required": ["filesystem", "type", "mount_point", "why"],
        "additionalProperties": false
      }
    },
    "warnings": {"type": "array", "items": {"type": "string"}, "description": "what df complained about"}
  },
  "required": ["host", "filesystems", "pseudo_left_out", "below_threshold", "truncated", "unanswered", "warnings"],
  "additionalProperties": false
}"#;
