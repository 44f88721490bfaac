//! Cursors: where an answer was cut, sealed for a client to bring back.
//!
//! Owns the key, what a cursor is bound to and how it is written. Knows not what is sealed: that is a plugin's. A cursor is
//! authenticated and not secret: whoever has it may read where it goes on, and nobody can write or change one.

use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::{CallContext, Query, ResourceRequest};

/// The longest text that is sealed, in bytes: a cursor is an argument of at most 8 KiB.
pub(crate) const MAX_STATE: usize = 4 << 10;
/// Bytes of a seal: half of an HMAC-SHA256, as RFC 2104 §5 has it at least.
const SEAL: usize = 16;
/// What no cursor is bound to: where it goes on, and how far.
const FREE: [&str; 2] = ["cursor", "limit"];

/// What seals cursors, read or made when the first one is sealed.
pub struct CursorKey(Source);

/// The key; absent: there are no random numbers.
type Source = LazyLock<Option<[u8; CursorKey::BYTES]>, Box<dyn FnOnce() -> Option<[u8; CursorKey::BYTES]> + Send>>;

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey")
    }
}

impl CursorKey {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// The key that this gives when it is first needed. May block; without a key no cursor is sealed or opened.
    pub fn from_fn(find: impl FnOnce() -> Option<[u8; Self::BYTES]> + Send + 'static) -> Self {
        Self(LazyLock::new(Box::new(find)))
    }

    /// A key that nobody else has.
    pub fn random() -> Option<[u8; Self::BYTES]> {
        let mut key = [0; Self::BYTES];
        getrandom::fill(&mut key).ok().map(|()| key)
    }

    /// A key for another purpose, which says nothing of this one. May block, as the first cursor may.
    pub fn derived(&self, purpose: &str) -> Option<[u8; Self::BYTES]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&(*self.0)?).ok()?;
        mac.update(b"derived:");
        mac.update(purpose.as_bytes());
        Some(mac.finalize().into_bytes().into())
    }

    /// That of this process, for whoever has no other.
    pub(crate) fn of_process() -> Arc<Self> {
        static KEY: LazyLock<Arc<CursorKey>> = LazyLock::new(|| Arc::new(CursorKey::from_fn(CursorKey::random)));
        Arc::clone(&KEY)
    }
}

/// What a call was asked, as far as its cursors are bound to it.
#[derive(Clone)]
pub(crate) enum Asked {
    Query(Arc<Query>),
    Tool {
        name: Arc<str>,
        arguments: Arc<str>,
    },
    /// Of this URI, as far as it matters which.
    Resource(Arc<ResourceRequest>),
    /// The resources that there are.
    Listing,
}

/// That a text is no cursor of this call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotSealed;

/// The seal of one call's cursors.
pub(crate) struct Seal(Hmac<Sha256>);

impl Seal {
    /// Of what is asked of a plugin. A call that is recorded or played has the seal of every other that asks the same, whoever asks:
    /// what a cassette holds is played anywhere. Absent: there is no key.
    pub(crate) fn new(context: &CallContext, plugin: &str, asked: &Asked) -> Option<Self> {
        let principal = &context.principal;
        let (key, who) = match &context.tape {
            Some(_) => ([0; CursorKey::BYTES], ["", "", ""]),
            None => ((*context.cursors.0)?, [principal.tenant().as_str(), principal.name(), plugin]),
        };
        let mut seal = Self(Hmac::new_from_slice(&key).ok()?);
        for part in who {
            seal.part(b's', part.as_bytes());
        }
        match asked {
            Asked::Query(query) => {
                let Query { subject, host, path, command, arguments, found: _ } = &**query;
                // A file that was cut is read on as a part.
                seal.part(b'q', subject.main().name().as_bytes());
                for part in [host.as_deref().map(str::as_bytes), path.as_deref(), command.as_deref().map(str::as_bytes)]
                {
                    seal.part(if part.is_some() { b's' } else { b'n' }, part.unwrap_or_default());
                }
                seal.arguments(arguments);
            }
            Asked::Tool { name, arguments } => {
                seal.part(b't', name.as_bytes());
                seal.arguments(&serde_json::from_str(arguments).unwrap_or_default());
            }
            Asked::Resource(request) => {
                seal.part(b'r', request.template.as_bytes());
                request.values.iter().for_each(|value| seal.part(b's', value.as_bytes()));
            }
            Asked::Listing => seal.part(b'l', b""),
        }
        Some(seal)
    }

    /// Where one part ends and the next begins is a part of what is sealed.
    fn part(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update(&[kind]);
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn arguments(&mut self, arguments: &Map<String, Value>) {
        let bound = arguments.iter().filter(|(name, value)| !FREE.contains(&name.as_str()) && !value.is_null());
        self.fields(bound.collect());
    }

    /// In whatever order they were written.
    fn fields(&mut self, mut fields: Vec<(&String, &Value)>) {
        fields.sort_unstable_by_key(|(name, _)| name.as_str());
        self.part(b'o', &(fields.len() as u64).to_be_bytes());
        for (name, value) in fields {
            self.part(b'k', name.as_bytes());
            self.value(value);
        }
    }

    /// As deep as JSON is read.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.part(b'n', b""),
            Value::Bool(is) => self.part(b'b', &[u8::from(*is)]),
            Value::Number(number) => self.part(b'0', number.to_string().as_bytes()),
            Value::String(text) => self.part(b's', text.as_bytes()),
            Value::Array(items) => {
                self.part(b'a', &(items.len() as u64).to_be_bytes());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(fields) => self.fields(fields.iter().collect()),
        }
    }

    fn of(&self, state: &[u8]) -> Hmac<Sha256> {
        let mut seal = Self(self.0.clone());
        seal.part(b'c', state);
        seal.0
    }

    /// The cursor that stands for a text.
    pub(crate) fn seal(&self, state: &str) -> String {
        let seal = self.of(state.as_bytes()).finalize().into_bytes();
        let sealed: Vec<u8> = seal.iter().take(SEAL).copied().chain(state.bytes()).collect();
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The text that a cursor stands for.
    ///
    /// # Errors
    /// It is none of this seal.
    pub(crate) fn open(&self, cursor: &str) -> Result<String, NotSealed> {
        /// The longest cursor, in characters.
        const LONGEST: usize = (SEAL + MAX_STATE).div_ceil(3) * 4;
        if cursor.len() > LONGEST {
            return Err(NotSealed);
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| NotSealed)?;
        let (seal, state) = sealed.split_at_checked(SEAL).ok_or(NotSealed)?;
        self.of(state).verify_truncated_left(seal).map_err(|_| NotSealed)?;
        String::from_utf8(state.to_vec()).map_err(|_| NotSealed)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::{Call, Principal};
    use scout_ssh::{Pool, PoolConfig};
    use serde_json::json;

    use super::*;
    use crate::{Fleet, Limits, Subject};

    fn context(tenant: &str, principal: &str, key: u8) -> CallContext {
        let fleet = Fleet::new(Vec::new(), Pool::new(PoolConfig::default()));
        let call = Call::until(tokio::time::Instant::now());
        let (principal, limits) = (Principal::new(tenant, principal), Arc::new(Limits::default()));
        let mut context = CallContext::new(principal, Arc::new(fleet), limits, call);
        context.cursors = Arc::new(CursorKey::from_fn(move || Some([key; CursorKey::BYTES])));
        context
    }

    fn tool(name: &str, arguments: &str) -> Asked {
        Asked::Tool { name: name.into(), arguments: arguments.into() }
    }

    fn query(subject: Subject, host: &str, path: &str, command: Option<&str>, arguments: Value) -> Asked {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        let (host, path) = (Some(host.to_owned()), Some(path.as_bytes().to_vec()));
        let command = command.map(str::to_owned);
        Asked::Query(Arc::new(Query { subject, host, path, command, arguments, found: None }))
    }

    #[tokio::test]
    async fn a_cursor_is_opened_by_whoever_asks_the_same_again_and_by_nobody_else() {
        let asked = r#"{"host":"web1","sort":"-size","where":"a = 1","nested":{"b":[1,null],"a":2}}"#;
        let seal = |context: &CallContext, plugin, asked: &Asked| Seal::new(context, plugin, asked).unwrap();
        let own = context("team", "ann", 1);
        let cursor = seal(&own, "disk", &tool("disk", asked)).seal("40");
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{cursor}");
        let again = r#"{"limit":7,"nested":{"a":2,"b":[1,null]},"where":"a = 1","cursor":"x","sort":"-size","host":"web1","columns":null}"#;
        for same in [asked, again] {
            assert_eq!(seal(&own, "disk", &tool("disk", same)).open(&cursor), Ok("40".to_owned()), "{same}");
        }
        let other_arguments = [
            asked.replace("web1", "web2"),
            asked.replace("-size", "size"),
            asked.replace("a = 1", "a = 2"),
            asked.replace("[1,null]", "[null,1]"),
            asked.replace("[1,null]", "[1]"),
            asked.replace("\"b\":", "\"c\":"),
            asked.replace("\"sort\":\"-size\",", ""),
            String::new(),
        ];
        let others = [
            (context("team", "bob", 1), "disk", tool("disk", asked)),
            (context("other", "ann", 1), "disk", tool("disk", asked)),
            (context("team", "ann", 2), "disk", tool("disk", asked)),
            (context("teama", "nn", 1), "disk", tool("disk", asked)),
            (own.clone(), "mine", tool("disk", asked)),
            (own.clone(), "disk", tool("disks", asked)),
        ];
        let others = others.into_iter().chain(other_arguments.map(|asked| (own.clone(), "disk", tool("disk", &asked))));
        for (at, (context, plugin, asked)) in others.enumerate() {
            assert_eq!(seal(&context, plugin, &asked).open(&cursor), Err(NotSealed), "{at}");
        }
    }

    #[tokio::test]
    async fn a_cursor_of_a_file_goes_on_as_a_part_of_the_same_file_on_the_same_host() {
        let own = context("team", "ann", 1);
        let seal = |asked: &Asked| Seal::new(&own, "file", asked).unwrap();
        let cursor = seal(&query(Subject::File, "web1", "/a", None, json!({}))).seal("9");
        let part = |host, path, arguments| query(Subject::Part, host, path, None, arguments);
        for (asked, opens) in [
            (part("web1", "/a", json!({"cursor": cursor})), true),
            (part("web1", "/a", json!({"lines": 3})), false),
            (part("web2", "/a", json!({})), false),
            (part("web1", "/ab", json!({})), false),
            (query(Subject::Part, "web1", "/a", Some(""), json!({})), false),
            (query(Subject::Tree, "web1", "/a", None, json!({})), false),
        ] {
            assert_eq!(seal(&asked).open(&cursor).is_ok(), opens);
        }
    }

    #[tokio::test]
    async fn where_a_list_goes_on_is_told_to_who_asked_for_it_alone() {
        let own = context("team", "ann", 1);
        let seal = |context: &CallContext, plugin, asked: &Asked| Seal::new(context, plugin, asked).unwrap();
        let cursor = seal(&own, "notes", &Asked::Listing).seal("40");
        assert_eq!(seal(&own, "notes", &Asked::Listing).open(&cursor), Ok("40".to_owned()));
        let (template, values) = ("all".to_owned(), vec!["40".to_owned()]);
        for (context, plugin, asked) in [
            (context("team", "bob", 1), "notes", Asked::Listing),
            (context("other", "ann", 1), "notes", Asked::Listing),
            (own.clone(), "mine", Asked::Listing),
            (own.clone(), "notes", tool("all", "{}")),
            (own.clone(), "notes", Asked::Resource(Arc::new(ResourceRequest { template, values }))),
        ] {
            assert_eq!(seal(&context, plugin, &asked).open(&cursor), Err(NotSealed), "{plugin}");
        }
    }

    #[tokio::test]
    async fn a_recorded_call_has_the_same_cursors_whoever_asks_and_they_open_nothing_else() {
        let recorder = crate::cassette::Recorder::new(0, 0);
        let asked = tool("disk", r#"{"host":"web1"}"#);
        let seal = |context: &CallContext, plugin| Seal::new(context, plugin, &asked).unwrap();
        let [mut one, mut other] = [context("team", "ann", 1), context("else", "bob", 2)];
        let live = seal(&one, "disk").seal("40");
        recorder.attach(&mut one);
        recorder.attach(&mut other);
        let recorded = seal(&one, "disk").seal("40");
        assert_eq!(seal(&other, "mine").seal("40"), recorded);
        assert_eq!(seal(&one, "disk").open(&live), Err(NotSealed));
        assert_eq!(seal(&context("team", "ann", 0), "disk").open(&recorded), Err(NotSealed));
    }

    #[tokio::test]
    async fn what_was_not_sealed_is_not_opened() {
        let own = context("team", "ann", 1);
        let seal = Seal::new(&own, "disk", &tool("disk", "{}")).unwrap();
        let long = "x".repeat(MAX_STATE);
        let cursor = seal.seal(&long);
        assert_eq!(seal.open(&cursor), Ok(long));
        let (first, rest) = cursor.split_at(1);
        let changed = format!("{}{rest}", if first == "A" { "B" } else { "A" });
        let shorter = cursor.get(..cursor.len() - 4).unwrap();
        for forged in ["", "x", "====", "4-0123456789abcdef", &changed, shorter, &cursor.repeat(2), &"A".repeat(22)] {
            assert_eq!(seal.open(forged), Err(NotSealed), "{forged}");
        }
        assert_eq!(seal.open(&seal.seal("")), Ok(String::new()));
    }

    #[tokio::test]
    async fn without_a_key_nothing_is_sealed() {
        let mut own = context("team", "ann", 1);
        own.cursors = Arc::new(CursorKey::from_fn(|| None));
        assert!(Seal::new(&own, "disk", &tool("disk", "{}")).is_none());
    }
}
