//! The listing of hosts: what is configured, and what answers right now.

use scout_plugin::inventory::{self, Host, Reachability};
use scout_plugin::json::Object;
use scout_plugin::{Answer, Description, Error, Handler, Query, Subject, register, text};

struct Hosts;
register!(Hosts: handler);

/// How long a host has to accept a TCP connection, in milliseconds: long enough for another continent, short enough
/// for a person who waits.
const PROBE_TIMEOUT_MS: u32 = 1000;

/// The most names that one call of `inventory.probe` takes.
const NAMES_PER_PROBE: usize = 1000;

impl Handler for Hosts {
    fn describe() -> Description {
        Description::new("lists the configured hosts and whether they answer", &[Subject::Hosts])
    }

    fn handle(_query: Query) -> Result<Answer, Error> {
        let hosts = inventory::hosts();
        // A host that cannot be used as configured may have no address worth a packet.
        let names: Vec<String> =
            hosts.iter().filter(|host| host.trouble.is_none()).map(|host| host.name.clone()).collect();
        let mut probes = Vec::with_capacity(names.len());
        for chunk in names.chunks(NAMES_PER_PROBE) {
            probes.extend(inventory::probe(chunk, PROBE_TIMEOUT_MS)?);
        }
        let rows = rows(&hosts, &probes);
        Ok(Answer::new().text(as_text(&rows)).structured(as_json(&rows)))
    }
}

/// A host with what its probe saw.
struct Row<'a> {
    host: &'a Host,
    status: &'static str,
    /// Tenths of a millisecond.
    latency: Option<u64>,
    trouble: Option<&'a str>,
}

/// Joins hosts with the probes of their names.
fn rows<'a>(hosts: &'a [Host], probes: &'a [Reachability]) -> Vec<Row<'a>> {
    // Probes come in the order asked, so that one pass finds each.
    let mut waiting = probes.iter().peekable();
    let row = |host: &'a Host| {
        if let Some(trouble) = &host.trouble {
            return Row { host, status: "misconfigured", latency: None, trouble: Some(trouble) };
        }
        let probe = waiting.next_if(|probe| probe.name == host.name);
        let latency = probe.and_then(|probe| probe.latency_ms).map(in_tenths);
        let connected = probe.is_some_and(|probe| probe.connected);
        let trouble = probe.and_then(|probe| probe.failure.as_deref());
        let status = match (connected, latency, trouble) {
            (true, ..) => "connected",
            (false, Some(_), _) => "reachable",
            (false, None, Some(_)) => "unreachable",
            // Behind a jump host: nobody has asked it.
            (false, None, None) => "unknown",
        };
        Row { host, status, latency, trouble }
    };
    hosts.iter().map(row).collect()
}

/// Milliseconds as whole tenths. A negative or absurd number becomes the nearest that fits.
fn in_tenths(milliseconds: f64) -> u64 {
    (milliseconds * 10.0).round() as u64
}

fn as_json(rows: &[Row<'_>]) -> Object {
    let hosts = rows.iter().map(|row| {
        Object::new()
            .text("name", row.host.name.as_str())
            .text("address", row.host.address.as_str())
            .integer("port", u64::from(row.host.port))
            .text("user", row.host.user.as_str())
            .text("status", row.status)
            .tenths("latency_ms", row.latency)
            .text("trouble", row.trouble)
    });
    Object::new().objects("hosts", hosts)
}

fn as_text(rows: &[Row<'_>]) -> String {
    if rows.is_empty() {
        return "no hosts are configured: Scout lists the `Host` entries of ~/.ssh/config that are no patterns"
            .to_owned();
    }
    let head = ["NAME", "ADDRESS", "USER", "STATUS", "LATENCY", ""].map(str::to_owned);
    let body = rows.iter().map(|row| {
        [
            row.host.name.clone(),
            address(&row.host.address, row.host.port),
            row.host.user.clone(),
            row.status.to_owned(),
            row.latency.map_or_else(|| "-".to_owned(), |latency| format!("{} ms", text::tenths(latency))),
            row.trouble.unwrap_or_default().to_owned(),
        ]
    });
    let table: Vec<_> = std::iter::once(head).chain(body).collect();
    text::table(&table, [false, false, false, false, true, false])
}

/// Where is dialled; an IPv6 address in brackets.
fn address(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::{as_json, as_text, rows};
    use scout_plugin::inventory::{Host, Reachability};

    fn host(name: &str, address: &str, trouble: Option<&str>) -> Host {
        Host {
            name: name.to_owned(),
            address: address.to_owned(),
            port: 22,
            user: "ann".to_owned(),
            trouble: trouble.map(str::to_owned),
        }
    }

    fn probe(name: &str, connected: bool, latency_ms: Option<f64>, failure: Option<&str>) -> Reachability {
        Reachability { name: name.to_owned(), connected, latency_ms, failure: failure.map(str::to_owned) }
    }

    #[test]
    fn each_host_has_its_own_probe_and_one_with_trouble_has_none() {
        let hosts = [
            host("web", "10.0.0.1", None),
            host("odd", "", Some("config:3: ProxyJump")),
            host("db", "fe80::1", None),
            host("far", "10.9.9.9", None),
            host("old", "10.0.0.9", None),
        ];
        let probes = [
            probe("web", true, Some(0.26), None),
            probe("db", false, Some(12.0), None),
            probe("far", false, None, None),
            probe("old", false, None, Some("timed out")),
        ];
        let rows = rows(&hosts, &probes);
        assert_eq!(
            as_text(&rows),
            "NAME  ADDRESS       USER  STATUS         LATENCY\n\
             web   10.0.0.1:22   ann   connected       0.3 ms\n\
             odd   :22           ann   misconfigured        -  config:3: ProxyJump\n\
             db    [fe80::1]:22  ann   reachable      12.0 ms\n\
             far   10.9.9.9:22   ann   unknown              -\n\
             old   10.0.0.9:22   ann   unreachable          -  timed out\n"
        );
        let json = as_json(&rows).finish();
        assert!(json.starts_with(
            r#"{"hosts":[{"name":"web","address":"10.0.0.1","port":22,"user":"ann","status":"connected","latency_ms":0.3,"trouble":null},"#
        ));
        assert!(json.ends_with(r#""status":"unreachable","latency_ms":null,"trouble":"timed out"}]}"#), "{json}");
    }

    #[test]
    fn an_empty_inventory_says_where_hosts_come_from() {
        assert!(as_text(&[]).contains("~/.ssh/config"));
        assert_eq!(as_json(&[]).finish(), r#"{"hosts":[]}"#);
    }
}
