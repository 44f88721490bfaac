//! The listing of hosts: what is configured, and what answers right now.

use scout_plugin::inventory::{self, Host, Page, Reachability};
use scout_plugin::json::Object;
use scout_plugin::{Answer, Description, Error, ErrorKind, Handler, Query, Subject, register, text};

struct Hosts;
register!(Hosts: handler);

/// How long a host has to accept a TCP connection, in milliseconds: long enough for another continent, short enough
/// for a person who waits.
const PROBE_TIMEOUT_MS: u32 = 1000;

/// Hosts of one answer: no more are asked whether they answer. Some 20,000 tokens; clients refuse answers of 25,000.
const SHOWN: u32 = 200;

/// The most characters of a name that an error repeats.
const MAX_NAME: usize = 255;

/// What all rows may take in an answer as it is written, in bytes: text and fields. Scout takes 4 MiB of a plugin's own text.
const MAX_WRITTEN: usize = 7 << 19;
/// What a row takes beside what it says of its host, in bytes, at most: in the table, and as an object.
const ROW: usize = 220;

impl Handler for Hosts {
    fn describe() -> Description {
        Description::new("lists the configured hosts and whether they answer", &[Subject::Hosts])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let selection = Selection::read(query.command.as_deref().unwrap_or_default());
        let page = selection.page()?;
        // A host that cannot be used as configured may have no address worth a packet.
        let names: Vec<String> =
            page.machines.iter().filter(|host| host.trouble.is_none()).map(|host| host.name.clone()).collect();
        let probes = inventory::probe(&names, PROBE_TIMEOUT_MS)?;
        let rows = rows(&page.machines, &probes);
        let shown = rows.get(..fitting(&rows)).unwrap_or_default();
        let next = rows.get(shown.len()).map(|row| row.host.name.as_str()).or(page.next.as_deref());
        let read_on = next.map(|next| selection.beginning_with(next));
        let note = note(shown.len(), page.selected, page.granted, read_on.as_deref());
        let mut answer = Answer::new();
        for text in [Some(as_text(shown)), note.clone()].into_iter().flatten().filter(|text| !text.is_empty()) {
            answer = answer.text(text);
        }
        Ok(answer.structured(as_json(shown, page.selected, note.as_deref(), read_on.as_deref())))
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

/// How many rows an answer takes.
fn fitting(rows: &[Row<'_>]) -> usize {
    let widest = |cell: fn(&Host) -> &str| rows.iter().map(|row| cell(row.host).len()).max().unwrap_or(0);
    // Columns are as wide as their widest cell.
    let padding = widest(|host| &host.name) + widest(|host| &host.address) + widest(|host| &host.user);
    let mut written = 0;
    let fits = rows.iter().take_while(|row| {
        let Host { name, address, user, .. } = row.host;
        let said = [name, address, user].into_iter().map(String::as_str).chain(row.trouble);
        written += ROW + padding + 2 * said.map(|said| text::written(said.as_bytes())).sum::<usize>();
        written <= MAX_WRITTEN
    });
    fits.count()
}

/// What a query asks for: hosts whose names match each pattern (`web*`) and hold each part of a name, and of those the ones
/// after `from NAME`, that one included.
struct Selection<'a> {
    /// Patterns and parts of names.
    words: Vec<&'a str>,
    from: Option<&'a str>,
}

impl<'a> Selection<'a> {
    fn read(query: &'a str) -> Self {
        let mut words: Vec<&str> = query.split_whitespace().collect();
        // The last one: a word in front, and a host, may be called `from` as well.
        let at = words.windows(2).rposition(|two| two.first() == Some(&"from"));
        let from = at.and_then(|at| words.drain(at..at + 2).nth(1));
        Self { words, from }
    }

    /// The first of the hosts that are meant.
    fn page(&self) -> Result<Page, Error> {
        let words: Vec<String> = self.words.iter().map(|word| (*word).to_owned()).collect();
        inventory::select(&words, self.from, SHOWN).map_err(|error| match self.from {
            Some(name) if error.kind == ErrorKind::NotFound => no_host(name),
            _ => error,
        })
    }

    /// The query for those of them that begin with this host.
    fn beginning_with(&self, name: &str) -> String {
        let words: Vec<&str> = self.words.iter().copied().chain(["from", name]).collect();
        words.join(" ")
    }
}

/// The error of a list that is to begin with a host that there is none of: the first hosts again would be taken for the next.
fn no_host(name: &str) -> Error {
    let name = text::clipped(name, MAX_NAME);
    Error::new(ErrorKind::NotFound, format!("no host is named `{name}`, so the list cannot begin with it"))
        .hint("a query without `from` begins with the first host")
}

/// What there is to say beside the rows that are shown, of so many that were meant, of so many. `read_on`: the query for
/// those that are not shown.
fn note(shown: usize, meant: u32, all: u32, read_on: Option<&str>) -> Option<String> {
    match (shown, meant, read_on) {
        (_, 0, _) if all == 0 => Some(NONE.to_owned()),
        (_, 0, _) => Some(format!(
            "this query matches none of the {all} hosts: give a pattern such as `web*`, or a part of a name"
        )),
        (shown, meant, Some(query)) => Some(format!(
            "{shown} of {meant} hosts; the query `{query}` goes on, and a pattern such as `web*` selects. Those that are \
             not shown answer under their names as well (`host:/path`)"
        )),
        _ => None,
    }
}

/// Where hosts come from, if there are none.
const NONE: &str = "no hosts are configured: Scout lists the `Host` entries of ~/.ssh/config that are not patterns";

fn as_json(rows: &[Row<'_>], total: u32, note: Option<&str>, read_on: Option<&str>) -> Object {
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
    Object::new()
        .integer("total", u64::from(total))
        .boolean("truncated", rows.len() < total as usize)
        .text("note", note)
        .text("read_on", read_on)
        .objects("hosts", hosts)
}

fn as_text(rows: &[Row<'_>]) -> String {
    if rows.is_empty() {
        return String::new();
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

/// Where is dialled, if anything is; an IPv6 address in brackets.
fn address(address: &str, port: u16) -> String {
    if port == 0 {
        return address.to_owned();
    }
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::{Selection, as_json, as_text, fitting, no_host, note, rows};
    use scout_plugin::ErrorKind;
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
        let json = as_json(&rows, 5, None, None).finish();
        assert!(json.starts_with(
            r#"{"total":5,"truncated":false,"note":null,"read_on":null,"hosts":[{"name":"web","address":"10.0.0.1","port":22,"user":"ann","status":"connected","latency_ms":0.3,"trouble":null},"#
        ));
        assert!(json.ends_with(r#""status":"unreachable","latency_ms":null,"trouble":"timed out"}]}"#), "{json}");
    }

    #[test]
    fn a_query_is_words_and_a_place() {
        for (query, words, from) in [
            ("", &[][..], None),
            ("web*", &["web*"], None),
            ("from db1", &[], Some("db1")),
            (" *b*  corp from web2 ", &["*b*", "corp"], Some("web2")),
        ] {
            let selection = Selection::read(query);
            assert_eq!((&*selection.words, selection.from), (words, from), "{query}");
        }
        assert!(note(0, 0, 9, None).is_some_and(|said| said.contains("none of the 9 hosts")));
    }

    #[test]
    fn reading_on_keeps_what_was_selected() {
        for (query, next, on) in [
            ("", "b2", "from b2"),
            ("a*", "a3", "a* from a3"),
            ("a* from a1", "a3", "a* from a3"),
            ("  a   from a1 1 ", "a3", "a 1 from a3"),
            ("from", "from-a", "from from from-a"),
            ("from", "from", "from from from"),
        ] {
            let on_query = Selection::read(query).beginning_with(next);
            assert_eq!(on_query, on, "{query}");
            let (before, after) = (Selection::read(query), Selection::read(&on_query));
            assert_eq!((after.words, after.from), (before.words, Some(next)), "{query}");
        }
        let said = note(2, 4, 9, Some("web* from web3"));
        assert!(said.is_some_and(|said| said.starts_with("2 of 4 hosts; the query `web* from web3` goes on")));
    }

    #[test]
    fn a_list_that_cannot_begin_says_which_can() {
        let error = no_host("web0");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::NotFound, "no host is named `web0`, so the list cannot begin with it")
        );
        assert!(error.hint.is_some());
    }

    #[test]
    fn an_empty_inventory_says_where_hosts_come_from() {
        let note = note(0, 0, 0, None);
        assert!(note.as_ref().is_some_and(|note| note.contains("~/.ssh/config")));
        assert_eq!((as_text(&[]).as_str(), fitting(&[])), ("", 0));
        assert!(
            as_json(&[], 0, note.as_deref(), None)
                .finish()
                .ends_with(r#"are not patterns","read_on":null,"hosts":[]}"#)
        );
    }

    #[test]
    fn hosts_that_are_too_many_for_an_answer_are_cut_and_counted() {
        let of = |count: usize, length: usize| -> Vec<Host> {
            let name = "x".repeat(length);
            (0..count).map(|n| host(&format!("{n:05}{name}"), &format!("{n:05}{name}.example.org"), None)).collect()
        };
        let hosts = of(10_000, 200);
        let all = rows(&hosts, &[]);
        let shown = &all[..fitting(&all)];
        let note = note(shown.len(), 10_000, 10_000, Some("next"));
        let (text, json) = (as_text(shown), as_json(shown, 10_000, note.as_deref(), Some("next")).finish());
        assert!(text.len() + json.len() <= 4 << 20 && shown.len() > 1000, "{} {}", text.len(), json.len());
        assert!(json.starts_with(r#"{"total":10000,"truncated":true,"note":""#), "{}", &json[..100]);
        let hosts = of(10_000, 10);
        assert_eq!(fitting(&rows(&hosts, &[])), 10_000);
    }
}
