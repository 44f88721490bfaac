//! What clients are told of the tools.

pub(crate) const SERVICES: &str = "The services of a host, one row each: whether it is loaded, active and enabled, its main process, its \
memory, since when it is in its state, and what it is. Those that run or have failed, unless a `pattern`, a `state` or \
`enabled` asks for others, or `all`. With `type` it shows timers, sockets, mounts and other units of systemd as well. For what has \
failed: {\"state\": [\"failed\"]}. Where there is no systemd it shows the services of OpenRC. For one unit, the tool `service` tells more.";

pub(crate) const SERVICES_INPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string", "minLength": 1, "maxLength": 255, "description": "name of a configured host"},
    "pattern": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9:_.@\\\\*?-]+$",
      "description": "only units whose whole name, with its type, fits, loaded or only installed; `*` and `?` are wildcards: *ssh*, nginx.service"},
    "type": {"enum": ["service", "socket", "timer", "mount", "automount", "swap", "target", "path", "slice", "scope", "device", "all"],
      "default": "service"},
    "state": {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "string", "pattern": "^[a-z-]{1,40}$"},
      "description": "only units in one of these load, active or sub states: failed, active, inactive, running, exited, dead, not-found, masked"},
    "enabled": {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "string", "pattern": "^[a-z-]{1,40}$"},
      "description": "only units whose file is in one of these states: enabled, disabled, static, masked"},
    "all": {"type": "boolean", "default": false, "description": "units that are not running, not loaded or not there, too"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 2000, "default": 300}
  },
  "required": ["host"],
  "additionalProperties": false
}"#;

pub(crate) const SERVICES_OUTPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string"},
    "manager": {"enum": ["systemd", "openrc"]},
    "units": {
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "name": {"type": "string"},
          "load": {"type": ["string", "null"], "description": "loaded, not-found, masked, error; null for one that is not loaded"},
          "active": {"type": ["string", "null"], "description": "active, inactive, failed, activating, deactivating, reloading"},
          "sub": {"type": ["string", "null"], "description": "running, exited, dead, listening, waiting; of OpenRC its own word"},
          "enabled": {"type": ["string", "null"], "description": "enabled, disabled, static, masked, generated, indirect"},
          "main_pid": {"type": ["integer", "null"], "minimum": 1},
          "memory_bytes": {"type": ["integer", "null"], "minimum": 0},
          "since": {"type": ["string", "null"], "format": "date-time", "description": "when the clock of then said so"},
          "description": {"type": ["string", "null"]}
        },
        "required": ["name", "load", "active", "sub", "enabled", "main_pid", "memory_bytes", "since", "description"],
        "additionalProperties": false
      }
    },
    "found": {"type": "integer", "minimum": 0, "description": "how many fit, with those that were cut"},
    "truncated": {"type": "boolean"},
    "notes": {"type": "array", "items": {"type": "string"}, "description": "what else a reader must know"}
  },
  "required": ["host", "manager", "units", "found", "truncated", "notes"],
  "additionalProperties": false
}"#;

pub(crate) const SERVICE: &str = "One unit of a host in detail: state and since when, how it last ended, how often it was restarted, process, \
memory, tasks and processor time, its file and drop-ins, and what triggers it. Its log is in the tool `logs`. Of OpenRC only its state.";

pub(crate) const SERVICE_INPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string", "minLength": 1, "maxLength": 255, "description": "name of a configured host"},
    "unit": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9:_.@\\\\-]+$",
      "description": "name of the unit; without a type it is a service"}
  },
  "required": ["host", "unit"],
  "additionalProperties": false
}"#;

pub(crate) const SERVICE_OUTPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string"},
    "manager": {"enum": ["systemd", "openrc"]},
    "name": {"type": "string"},
    "load": {"type": ["string", "null"]},
    "active": {"type": ["string", "null"]},
    "sub": {"type": ["string", "null"]},
    "enabled": {"type": ["string", "null"]},
    "main_pid": {"type": ["integer", "null"], "minimum": 1},
    "memory_bytes": {"type": ["integer", "null"], "minimum": 0},
    "since": {"type": ["string", "null"], "format": "date-time", "description": "when the clock of then said so"},
    "description": {"type": ["string", "null"]},
    "names": {"type": "array", "items": {"type": "string"}, "description": "with aliases"},
    "result": {"type": ["string", "null"], "description": "success, exit-code, signal, oom-kill, timeout, start-limit-hit"},
    "load_error": {"type": ["string", "null"]},
    "last_exit": {"enum": ["exited", "killed", "dumped", null], "description": "how the last main process ended, if one has"},
    "last_exit_status": {"type": ["integer", "null"], "description": "its status, or the number of the signal"},
    "restart": {"type": ["string", "null"], "description": "when it is restarted: no, always, on-failure"},
    "restarts": {"type": ["integer", "null"], "minimum": 0},
    "tasks": {"type": ["integer", "null"], "minimum": 0},
    "cpu_ns": {"type": ["integer", "null"], "minimum": 0},
    "control_group": {"type": ["string", "null"]},
    "file": {"type": ["string", "null"]},
    "drop_ins": {"type": "array", "items": {"type": "string"}},
    "documentation": {"type": "array", "items": {"type": "string"}},
    "triggers": {"type": "array", "items": {"type": "string"}},
    "triggered_by": {"type": "array", "items": {"type": "string"}},
    "needs_reload": {"type": "boolean", "description": "whether its files changed on disk since they were loaded"}
  },
  "required": ["host", "manager", "name", "load", "active", "sub", "enabled", "main_pid", "memory_bytes", "since", "description", "needs_reload"],
  "additionalProperties": false
}"#;
