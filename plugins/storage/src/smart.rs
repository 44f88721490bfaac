//! What smartctl tells of disks, as JSON (smartmontools 7.0 and newer). Pure.

use scout_plugin::json::Value;

use crate::part::{Health, Part};

pub(crate) const SCAN: &[&str] = &["smartctl", "--scan", "-j"];

/// What is asked of one disk, in front of its name.
pub(crate) const ASK: &[&str] = &["smartctl", "-i", "-H", "-A", "-j"];

/// Attributes of ATA that count what goes wrong before a disk does, with names for people.
const COUNTS: [(u64, &str); 4] = [
    (5, "reallocated sectors"),
    (187, "uncorrectable errors"),
    (197, "pending sectors"),
    (198, "sectors that cannot be read"),
];

/// Bits of the exit status (smartctl(8)): what it said of the disk.
const FAILING: u64 = 1 << 3;
const PREFAIL: u64 = 1 << 4;

/// The names of the disks that there are, and how many stand behind a controller, where a name alone does not say which.
pub(crate) fn disks(output: &[u8]) -> Option<(Vec<String>, usize)> {
    let told = Value::parse(&String::from_utf8_lossy(output))?;
    told.get("smartctl")?;
    let Some(Value::Array(devices)) = told.get("devices") else { return Some((Vec::new(), 0)) };
    let (mut disks, mut behind) = (Vec::new(), 0);
    for device in devices {
        let text = |name: &str| device.get(name).and_then(Value::as_text).unwrap_or_default();
        let (name, kind) = (text("name"), text("type"));
        if kind.contains(',') || !is_disk(name) {
            behind += 1;
        } else if !disks.iter().any(|known| known == name) {
            disks.push(name.to_owned());
        }
    }
    Some((disks, behind))
}

/// A plain name of a device that the command policy takes for a disk.
fn is_disk(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    name.strip_prefix("/dev/").is_some_and(|name| {
        ["sd", "hd", "vd", "nvme"].iter().any(|known| name.starts_with(known)) && name.bytes().all(is_plain)
    })
}

/// A disk, as it tells of itself; and what smartctl says where it told nothing.
pub(crate) fn disk(name: &str, output: &[u8]) -> Result<Part, String> {
    let told = Value::parse(&String::from_utf8_lossy(output)).ok_or_else(|| "nothing that can be read".to_owned())?;
    let at = |path: &[&str]| path.iter().try_fold(&told, |value, name| value.get(name));
    let number = |path: &[&str]| at(path).and_then(Value::as_integer);
    let mut disk = Part { kind: "disk", name: name.to_owned(), ..Part::default() };
    let messages = match at(&["smartctl", "messages"]) {
        Some(Value::Array(messages)) => messages.as_slice(),
        _ => &[],
    };
    let said: Vec<&str> = messages.iter().filter_map(|message| message.get("string")?.as_text()).collect();
    let passed = at(&["smart_status", "passed"]).and_then(Value::as_boolean);
    match passed {
        Some(true) => (disk.health, disk.state) = (Health::Ok, Some("passed".to_owned())),
        Some(false) => (disk.health, disk.state) = (Health::Failed, Some("failing".to_owned())),
        None if said.iter().any(|said| said.contains("STANDBY") || said.contains("SLEEP")) => {
            disk.state = Some("asleep".to_owned());
            disk.details.push("it was not woken to be asked".to_owned());
            return Ok(disk);
        }
        None if at(&["model_name"]).is_none() => {
            return Err(if said.is_empty() { "nothing that can be read".to_owned() } else { said.join("; ") });
        }
        None => {}
    }
    disk.size = number(&["user_capacity", "bytes"]);
    let bits = number(&["smartctl", "exit_status"]).unwrap_or(0);
    if bits & FAILING != 0 {
        disk.at_best(Health::Failed);
    }
    if bits & PREFAIL != 0 {
        disk.details.push("an attribute has passed its threshold".to_owned());
        disk.at_best(Health::Warning);
    }
    disk.details.extend(at(&["model_name"]).and_then(Value::as_text).map(str::to_owned));
    if let Some(Value::Array(attributes)) = at(&["ata_smart_attributes", "table"]) {
        for attribute in attributes {
            let id = attribute.get("id").and_then(Value::as_integer);
            let raw = attribute.get("raw").and_then(|raw| raw.get("value")).and_then(Value::as_integer).unwrap_or(0);
            if let Some((_, what)) = COUNTS.iter().find(|(known, _)| Some(*known) == id)
                && raw > 0
            {
                disk.details.push(format!("{raw} {what}"));
                disk.at_best(Health::Warning);
            }
        }
    }
    nvme(&mut disk, &|name| number(&["nvme_smart_health_information_log", name]));
    let facts = [(number(&["temperature", "current"]), "°C"), (number(&["power_on_time", "hours"]), "hours on")];
    disk.details.extend(facts.iter().filter_map(|(value, unit)| Some(format!("{} {unit}", (*value)?))));
    Ok(disk)
}

/// The health log of an NVMe disk.
fn nvme(disk: &mut Part, number: &dyn Fn(&str) -> Option<u64>) {
    for (name, what) in [("critical_warning", "critical warning"), ("media_errors", "media errors")] {
        if let Some(count) = number(name).filter(|count| *count > 0) {
            disk.details.push(format!("{what}: {count}"));
            disk.at_best(Health::Warning);
        }
    }
    if let Some(percent) = number("percentage_used") {
        disk.details.push(format!("{percent}% of its life used"));
        if percent >= 100 {
            disk.at_best(Health::Warning);
        }
    }
    if let (Some(spare), Some(threshold)) = (number("available_spare"), number("available_spare_threshold"))
        && spare < threshold
    {
        disk.details.push(format!("{spare}% spare, less than {threshold}%"));
        disk.at_best(Health::Warning);
    }
}

#[cfg(test)]
#[path = "smart_tests.rs"]
mod tests;
