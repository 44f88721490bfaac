//! What LVM tells of its groups, volumes and devices, as JSON. Pure.

use scout_plugin::json::Value;

use crate::part::{Health, Part, Told};

pub(crate) const GROUPS: &[&str] = &[
    "vgs",
    "--reportformat",
    "json",
    "--units",
    "b",
    "--nosuffix",
    "-o",
    "vg_name,vg_size,vg_free,vg_attr,vg_missing_pv_count",
];
pub(crate) const VOLUMES: &[&str] = &[
    "lvs",
    "--reportformat",
    "json",
    "--units",
    "b",
    "--nosuffix",
    "-o",
    "lv_name,vg_name,lv_size,lv_attr,lv_health_status,data_percent,metadata_percent,pool_lv,origin",
];

/// What it says to an account that is no administrator, and then tells of nothing.
pub(crate) const NOT_ROOT: &str = "Running as a non-root user";

/// Of a thin pool or a snapshot that is as full, it soon takes no more.
const FULL_PERCENT: f64 = 90.0;

/// The parts of a report, or nothing if it is none.
pub(crate) fn parts(output: &[u8]) -> Option<Told> {
    let report = Value::parse(&String::from_utf8_lossy(output))?;
    let Value::Array(reports) = report.get("report")? else { return None };
    let mut told = Told::default();
    for report in reports {
        for (list, read) in [("vg", group as fn(&Value) -> Option<Part>), ("lv", volume)] {
            let Some(Value::Array(items)) = report.get(list) else { continue };
            for item in items {
                match read(item) {
                    Some(part) => told.parts.push(part),
                    None => told.unread += 1,
                }
            }
        }
    }
    Some(told)
}

/// A field that says something.
fn text<'a>(item: &'a Value, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_text).map(str::trim).filter(|text| !text.is_empty())
}

fn number(item: &Value, name: &str) -> Option<u64> {
    text(item, name)?.parse().ok()
}

fn group(item: &Value) -> Option<Part> {
    let attributes = text(item, "vg_attr")?;
    let (size, free) = (number(item, "vg_size"), number(item, "vg_free"));
    let mut group = Part {
        kind: "vg",
        name: text(item, "vg_name")?.to_owned(),
        health: Health::Ok,
        state: Some(attributes.to_owned()),
        size,
        used: size.zip(free).and_then(|(size, free)| size.checked_sub(free)),
        free,
        details: Vec::new(),
    };
    let missing = number(item, "vg_missing_pv_count").unwrap_or(0);
    // The fourth of its attributes: devices of it are missing.
    if missing > 0 || attributes.chars().nth(3) == Some('p') {
        group.details.push(format!("{missing} of its devices are missing"));
        group.at_best(Health::Warning);
    }
    Some(group)
}

fn volume(item: &Value) -> Option<Part> {
    let attributes = text(item, "lv_attr")?;
    let size = number(item, "lv_size");
    let percent = |name: &str| text(item, name)?.parse::<f64>().ok().filter(|percent| percent.is_finite());
    let mut volume = Part {
        kind: "lv",
        name: format!("{}/{}", text(item, "vg_name")?, text(item, "lv_name")?),
        health: Health::Ok,
        state: Some(attributes.to_owned()),
        size,
        ..Part::default()
    };
    if let Some(status) = text(item, "lv_health_status") {
        // lvs(8): partial, refresh needed, mismatches exist, writemostly; of pools failed, out_of_data, metadata_read_only.
        let is_failed = ["failed", "out_of_data", "metadata_read_only"].contains(&status);
        volume.details.push(status.to_owned());
        if status != "writemostly" {
            volume.at_best(if is_failed { Health::Failed } else { Health::Warning });
        }
    }
    // The fifth: it is suspended, or was not found; the ninth: parts of it are missing.
    match attributes.chars().nth(4) {
        Some('I' | 'S') => {
            volume.details.push("the snapshot is not valid any more".to_owned());
            volume.at_best(Health::Failed);
        }
        Some('s' | 'd' | 'i') => volume.details.push("suspended, or without tables of the kernel".to_owned()),
        Some('-') => volume.details.push("not active".to_owned()),
        _ => {}
    }
    for (name, what) in [("data_percent", "data"), ("metadata_percent", "metadata")] {
        let Some(percent) = percent(name) else { continue };
        volume.details.push(format!("{what} {percent}% full"));
        // Of mirrors it is how much of them is in step.
        let fills = matches!(attributes.chars().next(), Some('t' | 'V' | 's' | 'S'));
        if fills && percent >= FULL_PERCENT && (what == "metadata" || attributes.starts_with(['t', 's', 'S'])) {
            volume.at_best(Health::Warning);
        }
    }
    if let Some(pool) = text(item, "pool_lv") {
        volume.details.push(format!("in {pool}"));
    }
    if let Some(origin) = text(item, "origin") {
        volume.details.push(format!("of {origin}"));
    }
    Some(volume)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::parts;
    use crate::part::{Health, Told};

    const DEBIAN_12: &[u8] = include_bytes!("../tests/fixtures/lvm2.03.16-vgs.txt");
    const DEBIAN_13: &[u8] = include_bytes!("../tests/fixtures/lvm2.03.31-vgs.txt");
    const WRITTEN: &[u8] = include_bytes!("../tests/fixtures/lvs-written.txt");

    #[test]
    fn groups_are_told_by_several_versions() {
        for output in [DEBIAN_12, DEBIAN_13] {
            let Told { parts, unread } = parts(output).expect("a report");
            assert_eq!((parts.len(), unread), (1, 0));
            assert_eq!((parts[0].name.as_str(), parts[0].health), ("vg0", Health::Ok));
            assert_eq!((parts[0].size, parts[0].used, parts[0].free), (Some(205_520_896), Some(0), Some(205_520_896)));
        }
    }

    #[test]
    fn volumes_are_as_well_as_they_say() {
        let told = parts(WRITTEN).expect("a report");
        let shown: Vec<_> =
            told.parts.iter().map(|part| (part.name.as_str(), part.health, part.details.join("; "))).collect();
        assert_eq!(
            shown,
            [
                ("vg0/data", Health::Ok, String::new()),
                ("vg0/mirror", Health::Warning, "partial; data 100% full".to_owned()),
                ("vg0/thin", Health::Warning, "data 93.1% full; metadata 12.5% full".to_owned()),
                ("vg0/full", Health::Failed, "out_of_data; data 100% full; metadata 20% full".to_owned()),
                ("vg0/vm", Health::Ok, "data 99.9% full; in thin".to_owned()),
                ("vg0/old", Health::Failed, "the snapshot is not valid any more; data 100% full; of data".to_owned()),
                ("vg0/idle", Health::Ok, "not active".to_owned()),
            ]
        );
        assert_eq!((told.unread, told.parts[0].size), (1, Some(21_474_836_480)));
    }

    #[test]
    fn what_is_no_report_is_none() {
        for odd in ["", "x", "{}", "{\"report\":1}", "[]", "{\"report\":[{\"vg\":[{]}]}"] {
            assert!(parts(odd.as_bytes()).is_none(), "{odd}");
        }
        let empty = parts(b"{\"report\":[{\"vg\":[]},{\"vg\":1},2]}").expect("a report");
        assert_eq!((empty.parts.len(), empty.unread), (0, 0));
        for end in 0..WRITTEN.len() {
            assert!(parts(&WRITTEN[..end]).is_none_or(|told| told.parts.len() <= 8));
        }
    }
}
