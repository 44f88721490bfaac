//! The listing of hosts: what is configured, and what answers right now.

use std::cmp::Ordering;

use scout_plugin::inventory::{self, Host, Page, Property, Reachability};
use scout_plugin::json::Object;
use scout_plugin::{
    Answer, Arguments, Description, Error, ErrorKind, Handler, Query, Subject, cursors, register, text,
};

struct Hosts;
register!(Hosts: handler);

/// How long a host has to accept a TCP connection, in milliseconds: long enough for another continent, short enough
/// for a person who waits.
const PROBE_TIMEOUT_MS: u32 = 1000;

/// Hosts of one answer, where no other number is asked for: no more are asked whether they answer. Some 20,000 tokens; clients refuse
/// answers of 25,000.
const SHOWN: u32 = 200;
/// Hosts of one answer at most: as many as one call may ask.
const MOST: u32 = 1_000;

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
        let asked = Asked::read(query.command.as_deref().unwrap_or_default(), query.arguments())?;
        let found = asked.find()?;
        let rows = found.rows;
        let shown = rows.get(..fitting(&rows)).unwrap_or_default();
        let next = rows.get(shown.len()).map(|row| row.host.name.as_str()).or(found.next.as_deref());
        let next = next.map(|next| {
            Ok::<_, Error>(Next { read_on: asked.selection.beginning_with(next), cursor: cursors::seal(next)? })
        });
        let next = next.transpose()?;
        let note = note(shown.len(), found.selected, found.granted, next.as_ref());
        let unasked = found.unasked.map(|count| {
            format!(
                "{count} hosts are more than are asked at once, so none was: their status is what was seen within half a minute. \
                 Narrow the query to {} of them, and all are asked", asked.most_asked()
            )
        });
        let note = match (note, unasked) {
            (Some(note), Some(unasked)) => Some(format!("{note}. {unasked}")),
            (note, unasked) => note.or(unasked),
        };
        let mut answer = Answer::new();
        for text in [Some(as_text(shown)), note.clone()].into_iter().flatten().filter(|text| !text.is_empty()) {
            answer = answer.text(text);
        }
        Ok(answer.structured(as_json(shown, found.selected, note.as_deref(), next.as_ref())))
    }
}

/// How to go on.
struct Next {
    /// The query for the others.
    read_on: String,
    cursor: String,
}

/// What a query asks for.
struct Asked<'a> {
    selection: Selection<'a>,
    order: Vec<String>,
    limit: u32,
    refresh: bool,
    /// The host that the list begins with, as a cursor has it.
    start: Option<String>,
}

/// Hosts that were found.
struct Found {
    rows: Vec<Row>,
    /// The first host behind them.
    next: Option<String>,
    /// These and those behind them.
    selected: u32,
    granted: u32,
    /// Of how many hosts it would have to be asked whether they answer, where those are too many.
    unasked: Option<u32>,
}

impl<'a> Asked<'a> {
    fn read(query: &'a str, arguments: &Arguments) -> Result<Self, Error> {
        let sort = arguments.text("sort").unwrap_or_default();
        let order: Vec<String> = sort.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if let Some(word) = order.iter().find(|word| !ORDERS.contains(&word.trim_start_matches('-'))) {
            let word = text::clipped(word, MAX_NAME);
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("hosts are sorted by name, status or latency, not by `{word}`"),
            )
            .hint("with `-` before it the other way round, and several with commas between them"));
        }
        let limit = match arguments.number("limit") {
            None => SHOWN,
            Some(limit) => u32::try_from(limit).ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                Error::new(ErrorKind::Invalid, format!("`limit` is {limit}; of hosts at most {MOST} are shown at once"))
            })?,
        };
        let start = arguments.text("cursor").map(cursors::open).transpose()?;
        let refresh = arguments.is_set("refresh");
        Ok(Self { selection: Selection::read(query), order, limit, refresh, start })
    }

    /// Whether it depends on what hosts answer which are meant, or in what order.
    fn asks_for_status(&self) -> bool {
        let by = |word: &String| matches!(word.trim_start_matches('-'), "status" | "latency");
        self.selection.words.iter().any(|word| word.starts_with(STATUS)) || self.order.iter().any(by)
    }

    /// Of how many hosts it is asked whether they answer, where which are shown depends on that: as many as may be shown.
    fn most_asked(&self) -> u32 {
        self.limit.max(SHOWN)
    }

    fn start(&self) -> Option<&str> {
        self.start.as_deref().or(self.selection.from)
    }

    fn find(&self) -> Result<Found, Error> {
        if self.asks_for_status() {
            let words = self.selection.words(|word| !word.starts_with(STATUS));
            let page = inventory::select(&words, None, self.most_asked())?;
            if page.next.is_some() {
                let unasked = Some(page.selected);
                let page = self.page()?;
                let rows = rows(page.machines, &[], &mut properties);
                return Ok(Found {
                    rows: rows?,
                    next: page.next,
                    selected: page.selected,
                    granted: page.granted,
                    unasked,
                });
            }
            let probes = self.probe(&page.machines)?;
            let rows = rows(page.machines, &probes, &mut properties)?;
            return self.choose(rows, page.granted);
        }
        let page = self.page()?;
        let probes = self.probe(&page.machines)?;
        let rows = rows(page.machines, &probes, &mut properties)?;
        Ok(Found { rows, next: page.next, selected: page.selected, granted: page.granted, unasked: None })
    }

    /// The first of the hosts that are meant, by what is known of them.
    fn page(&self) -> Result<Page, Error> {
        let words = self.selection.words(|_| true);
        let page = match self.order.is_empty() {
            true => inventory::select(&words, self.start(), self.limit),
            false => inventory::ordered(&words, &self.order, self.start(), self.limit),
        };
        page.map_err(|error| match self.start() {
            Some(name) if error.kind == ErrorKind::NotFound => no_host(name),
            _ => error,
        })
    }

    /// Asks hosts whether they answer. One that cannot be used as configured may have no address worth a packet.
    fn probe(&self, hosts: &[Host]) -> Result<Vec<Reachability>, Error> {
        let names: Vec<String> =
            hosts.iter().filter(|host| host.trouble.is_none()).map(|host| host.name.clone()).collect();
        match self.refresh {
            true => inventory::probe_anew(&names, PROBE_TIMEOUT_MS),
            false => inventory::probe(&names, PROBE_TIMEOUT_MS),
        }
    }

    /// Of hosts that were all asked those that have the status that is meant, in the order that is meant.
    fn choose(&self, mut rows: Vec<Row>, granted: u32) -> Result<Found, Error> {
        let statuses: Vec<&str> = self.selection.words.iter().filter_map(|word| word.strip_prefix(STATUS)).collect();
        if let Some(status) = statuses.iter().find(|status| !STATUSES.contains(status)) {
            let status = text::clipped(status, MAX_NAME);
            return Err(Error::new(ErrorKind::Invalid, format!("no status is named `{status}`"))
                .hint(format!("there are {}", STATUSES.join(", "))));
        }
        rows.retain(|row| statuses.iter().all(|status| row.status == *status));
        rows.sort_by(|one, other| {
            let orders = self.order.iter().map(|word| {
                let order = match word.trim_start_matches('-') {
                    "name" => one.host.name.cmp(&other.host.name),
                    "status" => rank(one.status).cmp(&rank(other.status)),
                    _ => match (one.latency, other.latency) {
                        (Some(one), Some(other)) => one.cmp(&other),
                        // Last, whichever way round.
                        (one, other) => return other.is_some().cmp(&one.is_some()),
                    },
                };
                if word.starts_with('-') { order.reverse() } else { order }
            });
            orders.fold(Ordering::Equal, Ordering::then)
        });
        if let Some(start) = self.start() {
            let first = rows.iter().position(|row| row.host.name == start).ok_or_else(|| no_host(start))?;
            rows.drain(..first);
        }
        let selected = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let next = rows.get(self.limit as usize).map(|row| row.host.name.clone());
        rows.truncate(self.limit as usize);
        Ok(Found { rows, next, selected, granted, unasked: None })
    }
}

/// Before a status, in a word that selects.
const STATUS: &str = "status:";
/// What a status may be, those that answer first.
const STATUSES: [&str; 5] = ["connected", "reachable", "unknown", "unreachable", "misconfigured"];
/// What hosts are sorted by.
const ORDERS: [&str; 3] = ["name", "status", "latency"];

fn rank(status: &str) -> usize {
    STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len())
}

/// What is known of these hosts beside their addresses.
fn properties(names: &[String]) -> Result<Vec<Vec<Property>>, Error> {
    inventory::properties(names)
}

/// A host with what its probe saw, or what is known of it.
struct Row {
    host: Host,
    status: &'static str,
    /// Tenths of a millisecond.
    latency: Option<u64>,
    trouble: Option<String>,
    tags: Vec<String>,
    groups: Vec<String>,
    /// Whether nothing is told of where it is.
    is_hidden: bool,
}

/// Joins hosts with the probes of their names and with what is known of them.
fn rows(
    hosts: Vec<Host>,
    probes: &[Reachability],
    properties: &mut impl FnMut(&[String]) -> Result<Vec<Vec<Property>>, Error>,
) -> Result<Vec<Row>, Error> {
    let names: Vec<String> = hosts.iter().map(|host| host.name.clone()).collect();
    let mut known = properties(&names)?.into_iter();
    // Probes come in the order asked, so that one pass finds each.
    let mut waiting = probes.iter().peekable();
    let row = |host: Host| {
        let mut row = Row {
            status: "unknown",
            latency: None,
            trouble: host.trouble.clone(),
            tags: Vec::new(),
            groups: Vec::new(),
            is_hidden: false,
            host,
        };
        for Property { name, value } in known.next().into_iter().flatten() {
            match name.as_str() {
                "tag" => row.tags.push(value),
                "group" => row.groups.push(value),
                "status" => row.status = STATUSES.iter().find(|known| **known == value).unwrap_or(&row.status),
                "latency-ms" => row.latency = value.parse().ok().map(in_tenths),
                "failure" => row.trouble = row.trouble.or(Some(value)),
                "hidden" => row.is_hidden |= value == "address",
                _ => {}
            }
        }
        if row.host.trouble.is_some() {
            row.status = "misconfigured";
        } else if let Some(probe) = waiting.next_if(|probe| probe.name == row.host.name) {
            row.latency = probe.latency_ms.map(in_tenths);
            row.trouble.clone_from(&probe.failure);
            row.status = match (probe.connected, row.latency, &row.trouble) {
                (true, ..) => "connected",
                (false, Some(_), _) => "reachable",
                (false, None, Some(_)) => "unreachable",
                // Behind a jump host: nobody has asked it.
                (false, None, None) => "unknown",
            };
        }
        row
    };
    Ok(hosts.into_iter().map(row).collect())
}

/// Milliseconds as whole tenths. A negative or absurd number becomes the nearest that fits.
fn in_tenths(milliseconds: f64) -> u64 {
    (milliseconds * 10.0).round() as u64
}

/// How many rows an answer takes.
fn fitting(rows: &[Row]) -> usize {
    let widest = |cell: fn(&Row) -> usize| rows.iter().map(cell).max().unwrap_or(0);
    // Columns are as wide as their widest cell.
    let padding = widest(|row| row.host.name.len())
        + widest(|row| row.host.address.len())
        + widest(|row| row.host.user.len())
        + widest(|row| row.tags.iter().map(|tag| tag.len() + 1).sum())
        + widest(|row| row.groups.iter().map(|group| group.len() + 1).sum());
    let mut written = 0;
    let fits = rows.iter().take_while(|row| {
        let Host { name, address, user, .. } = &row.host;
        let said = [name, address, user].into_iter().chain(&row.trouble).chain(&row.tags).chain(&row.groups);
        let labels = row.tags.len() + row.groups.len();
        written += ROW + padding + 4 * labels + 2 * said.map(|said| text::written(said.as_bytes())).sum::<usize>();
        written <= MAX_WRITTEN
    });
    fits.count()
}

/// Which hosts are meant: those whose names match each pattern (`web*`) and hold each part of a name, that have each tag (`tag:prod`), are
/// in each group (`@front`) and have the status (`status:unreachable`), and of those the ones after `from NAME`, that one included.
struct Selection<'a> {
    /// Patterns and parts of names, tags, groups, statuses.
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

    /// The words that are wanted here.
    fn words(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.words.iter().filter(|word| is_wanted(word)).map(|word| (*word).to_owned()).collect()
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

/// What there is to say beside the rows that are shown, of so many that were meant, of so many. `next`: how to go on to
/// those that are not shown.
fn note(shown: usize, meant: u32, all: u32, next: Option<&Next>) -> Option<String> {
    match (shown, meant, next) {
        (_, 0, _) if all == 0 => Some(NONE.to_owned()),
        (_, 0, _) => Some(format!(
            "this query matches none of the {all} hosts: give a pattern such as `web*`, a part of a name, `@GROUP` or `tag:NAME`"
        )),
        (shown, meant, Some(Next { read_on, cursor })) => Some(format!(
            "{shown} of {meant} hosts; the query `{read_on}` goes on, or `cursor` {cursor}, and a pattern such as `web*` selects. \
             Those that are not shown answer under their names as well (`host:/path`)"
        )),
        _ => None,
    }
}

/// Where hosts come from, if there are none.
const NONE: &str = "no hosts are configured: Scout lists the `Host` entries of ~/.ssh/config that are not patterns";

fn as_json(rows: &[Row], total: u32, note: Option<&str>, next: Option<&Next>) -> Object {
    let object = Object::new()
        .integer("total", u64::from(total))
        .boolean("truncated", rows.len() < total as usize)
        .text("note", note)
        .text("read_on", next.map(|next| next.read_on.as_str()));
    let object = match next {
        Some(next) => object.text("cursor", next.cursor.as_str()),
        None => object,
    };
    object.each("hosts", rows, |object, row| {
        let object = object.text("name", row.host.name.as_str());
        let object = match row.is_hidden {
            true => object,
            false => object
                .text("address", row.host.address.as_str())
                .integer("port", u64::from(row.host.port))
                .text("user", row.host.user.as_str()),
        };
        let object =
            object.text("status", row.status).tenths("latency_ms", row.latency).text("trouble", row.trouble.as_deref());
        let labels = [("tags", &row.tags), ("groups", &row.groups)];
        labels
            .into_iter()
            .filter(|(_, labels)| !labels.is_empty())
            .fold(object, |object, (name, labels)| object.texts(name, labels))
    })
}

fn as_text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    type Write = fn(&Row, &mut String);
    let shows_addresses = rows.iter().any(|row| !row.is_hidden);
    let columns: [(&str, bool, bool, Write); 8] = [
        ("NAME", true, false, |row, out| out.push_str(&row.host.name)),
        ("ADDRESS", shows_addresses, false, |row, out| match row.is_hidden {
            true => out.push('-'),
            false => address(&row.host.address, row.host.port, out),
        }),
        ("USER", shows_addresses, false, |row, out| out.push_str(if row.is_hidden { "-" } else { &row.host.user })),
        ("STATUS", true, false, |row, out| out.push_str(row.status)),
        ("LATENCY", true, true, |row, out| match row.latency {
            Some(latency) => {
                out.push_str(&text::tenths(latency));
                out.push_str(" ms");
            }
            None => out.push('-'),
        }),
        ("TAGS", rows.iter().any(|row| !row.tags.is_empty()), false, |row, out| joined(&row.tags, out)),
        ("GROUPS", rows.iter().any(|row| !row.groups.is_empty()), false, |row, out| joined(&row.groups, out)),
        ("", true, false, |row, out| out.push_str(row.trouble.as_deref().unwrap_or_default())),
    ];
    let columns: Vec<_> = columns.into_iter().filter(|(_, is_shown, ..)| *is_shown).collect();
    let mut table = text::Table::new(columns.iter().map(|(_, _, is_number, _)| *is_number).collect::<Vec<_>>());
    columns.iter().for_each(|(head, ..)| table.cell(|out| out.push_str(head)));
    for row in rows {
        columns.iter().for_each(|(.., write)| table.cell(|out| write(row, out)));
    }
    table.finish(String::new())
}

/// Labels with commas between them.
fn joined(labels: &[String], out: &mut String) {
    for (at, label) in labels.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        out.push_str(label);
    }
}

/// Where is dialled, if anything is; an IPv6 address in brackets.
fn address(address: &str, port: u16, out: &mut String) {
    let (open, close) = if port != 0 && address.contains(':') { ("[", "]") } else { ("", "") };
    [open, address, close].into_iter().for_each(|part| out.push_str(part));
    if port != 0 {
        out.push(':');
        text::decimal(out, u64::from(port));
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::{Asked, Next, Row, Selection, as_json, as_text, fitting, no_host, note};
    use scout_plugin::inventory::{Host, Property, Reachability};
    use scout_plugin::{Arguments, Error, ErrorKind};

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

    /// What is known of each host: its words, of which `tag=prod` is one.
    fn rows_of(hosts: &[Host], probes: &[Reachability], known: &[&str]) -> Vec<Row> {
        let property = |word: &str| {
            let (name, value) = word.split_once('=').expect("a word and what it says");
            Property { name: name.to_owned(), value: value.to_owned() }
        };
        let mut properties = |names: &[String]| {
            let known = (0..names.len()).map(|at| known.get(at).copied().unwrap_or_default());
            Ok(known.map(|words| words.split_whitespace().map(property).collect()).collect())
        };
        super::rows(hosts.to_vec(), probes, &mut properties).expect("they are known")
    }

    fn rows(hosts: &[Host], probes: &[Reachability]) -> Vec<Row> {
        rows_of(hosts, probes, &[])
    }

    fn next(read_on: &str) -> Next {
        Next { read_on: read_on.to_owned(), cursor: "c".to_owned() }
    }

    fn asked<'a>(query: &'a str, arguments: &str) -> Result<Asked<'a>, Error> {
        Asked::read(query, &Arguments::new(arguments))
    }

    #[test]
    fn tags_groups_and_what_is_known_are_shown_and_hidden_addresses_are_not() {
        let hosts = [host("web", "10.0.0.1", None), host("db", "10.0.0.2", None), host("old", "10.0.0.3", None)];
        let known = [
            "tag=prod tag=eu group=front status=connected latency-ms=0.260 later=word",
            "status=unreachable failure=timed",
            "",
        ];
        let rows = rows_of(&hosts, &[], &known);
        assert_eq!(
            as_text(&rows),
            "NAME  ADDRESS      USER  STATUS       LATENCY  TAGS     GROUPS\n\
             web   10.0.0.1:22  ann   connected     0.3 ms  prod,eu  front\n\
             db    10.0.0.2:22  ann   unreachable        -                   timed\n\
             old   10.0.0.3:22  ann   unknown            -\n"
        );
        let json = as_json(&rows, 3, None, None).finish();
        assert!(json.contains(r#""trouble":null,"tags":["prod","eu"],"groups":["front"]},{"name":"db""#), "{json}");
        let nowhere = |name| Host { port: 0, user: String::new(), ..host(name, "", None) };
        let hidden = rows_of(&[nowhere("web"), nowhere("db")], &[], &["hidden=address", "hidden=address tag=x"]);
        assert_eq!(
            as_text(&hidden),
            "NAME  STATUS   LATENCY  TAGS\nweb   unknown        -\ndb    unknown        -  x\n"
        );
        let json = as_json(&hidden, 2, None, None).finish();
        assert!(!json.contains("address") && !json.contains("user") && !json.contains("port"), "{json}");
    }

    #[test]
    fn hosts_that_were_all_asked_are_chosen_and_sorted_by_what_they_answered() {
        let hosts: Vec<Host> = ["a", "b", "c", "d"].map(|name| host(name, "10.0.0.1", None)).to_vec();
        let probes = [
            probe("a", false, None, Some("timed out")),
            probe("b", false, Some(12.0), None),
            probe("c", true, None, None),
            probe("d", false, Some(3.0), None),
        ];
        let chosen = |query: &str, arguments: &str| {
            let asked = asked(query, arguments)?;
            let found = asked.choose(rows(&hosts, &probes), 4)?;
            Ok::<_, Error>(found.rows.iter().map(|row| row.host.name.clone()).collect::<Vec<_>>().join(""))
        };
        for (query, arguments, names) in [
            ("status:reachable", "{}", "bd"),
            ("status:unreachable", "{}", "a"),
            ("status:reachable status:connected", "{}", ""),
            ("", r#"{"sort":"status"}"#, "cbda"),
            ("", r#"{"sort":"-status,name"}"#, "abdc"),
            ("", r#"{"sort":"latency"}"#, "dbac"),
            ("", r#"{"sort":"-latency name"}"#, "bdac"),
            ("from b", r#"{"sort":"latency"}"#, "bac"),
            ("", r#"{"sort":"latency","cursor":"a-unsealed"}"#, "ac"),
        ] {
            assert!(asked(query, arguments).expect("it can be asked").asks_for_status(), "{query} {arguments}");
            assert_eq!(chosen(query, arguments).as_deref(), Ok(names), "{query} {arguments}");
        }
        let limited = asked("", r#"{"sort":"latency","limit":2}"#).expect("it can be asked");
        let found = limited.choose(rows(&hosts, &probes), 4).expect("they are chosen");
        assert_eq!((found.rows.len(), found.next.as_deref(), found.selected), (2, Some("a"), 4));
        assert_eq!(
            (limited.most_asked(), asked("", r#"{"limit":900}"#).expect("it can be asked").most_asked()),
            (200, 900)
        );
        for (query, arguments, says) in [
            ("status:up", "{}", "no status is named `up`"),
            ("", r#"{"sort":"size"}"#, "not by `size`"),
            ("", r#"{"limit":1001}"#, "at most 1000"),
            ("", r#"{"cursor":"x"}"#, "`cursor`"),
            ("", r#"{"sort":"latency","cursor":"gone-unsealed"}"#, "no host is named `gone`"),
        ] {
            let error = chosen(query, arguments).expect_err(query);
            assert!(error.message.contains(says), "{error}");
        }
        assert!(!asked("web* tag:x @y", r#"{"sort":"name"}"#).expect("it can be asked").asks_for_status());
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
        let said = note(2, 4, 9, Some(&next("web* from web3")));
        assert!(said.is_some_and(|said| {
            said.starts_with("2 of 4 hosts; the query `web* from web3` goes on, or `cursor` c, and")
        }));
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
        let next = next("next");
        let note = note(shown.len(), 10_000, 10_000, Some(&next));
        let (text, json) = (as_text(shown), as_json(shown, 10_000, note.as_deref(), Some(&next)).finish());
        assert!(text.len() + json.len() <= 4 << 20 && shown.len() > 1000, "{} {}", text.len(), json.len());
        assert!(json.starts_with(r#"{"total":10000,"truncated":true,"note":""#), "{}", &json[..100]);
        let hosts = of(10_000, 10);
        assert_eq!(fitting(&rows(&hosts, &[])), 10_000);
    }
}
