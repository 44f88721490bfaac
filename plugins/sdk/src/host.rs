//! What a plugin may ask of Scout.

/// Remote files and directories, over SFTP. Needs the grant `files`.
pub mod files {
    use crate::bindings::imports::scout::plugin::files;
    use crate::{Attributes, Blob, Entry, Error};

    pub use crate::bindings::imports::scout::plugin::files::Place;

    /// [`open`] at many places at once, in the order given; of each file at most the first `most` bytes. All end while there is time
    /// left to answer.
    ///
    /// # Errors
    /// More than 1,000 places, and a path with a NUL byte. What a host or Scout has against one place is that place's error.
    pub fn open_each(places: &[Place], most: u64) -> Result<Vec<Result<Entry, Error>>, Error> {
        Ok(files::open_each(places, most)?.into_iter().map(|opened| opened.map_err(Error::from)).collect())
    }

    /// Looks at a path: attributes, and content or entries.
    ///
    /// # Errors
    /// Whatever the host or Scout has against it.
    pub fn open(host: &str, path: &[u8]) -> Result<Entry, Error> {
        Ok(files::open(host, path)?)
    }

    /// Bytes of a regular file from `offset` on, at most `length` and at most the file size limit.
    ///
    /// # Errors
    /// As [`open`].
    pub fn read(host: &str, path: &[u8], offset: u64, length: u64) -> Result<Blob, Error> {
        Ok(files::read(host, path, offset, length)?)
    }

    /// A path's attributes, following symbolic links.
    ///
    /// # Errors
    /// As [`open`].
    pub fn stat(host: &str, path: &[u8]) -> Result<Attributes, Error> {
        Ok(files::stat(host, path)?)
    }
}

/// Commands on remote hosts. Needs the grant `exec`.
pub mod exec {
    use crate::Error;
    use crate::bindings::imports::scout::plugin::exec;

    pub use crate::bindings::imports::scout::plugin::exec::{
        Ending, Outcome, Pipeline, RemoteState, Stage, StderrTo, Word,
    };
    pub use crate::output::{Output, output, output_of};
    pub use crate::privileged::{Ran, RanAs, output_as_root};

    /// Whether the operator lets a program run as root on a host with exactly these words, and this call may: then [`run`] sends it with
    /// `sudo` in front. Nobody is asked. [`output_as_root`] does both.
    ///
    /// # Errors
    /// A host that the call may not name.
    pub fn as_root(host: &str, words: &[String]) -> Result<bool, Error> {
        Ok(exec::as_root(host, words)?)
    }

    /// Runs a pipeline, if every word of it is allowed.
    ///
    /// # Errors
    /// Whatever the host or Scout has against it; `Refused` says what is allowed instead.
    pub fn run(host: &str, pipeline: &Pipeline) -> Result<Outcome, Error> {
        Ok(exec::run(host, pipeline)?)
    }

    /// [`run`] on many hosts at once, in the order given; of each stream at most the first `most` bytes. All end while there is time
    /// left to answer.
    ///
    /// # Errors
    /// More than 1,000 hosts, and one that is named twice. What one host or Scout has against the command there is that host's error.
    pub fn run_each(hosts: &[String], pipeline: &Pipeline, most: u64) -> Result<Vec<Result<Outcome, Error>>, Error> {
        Ok(exec::run_each(hosts, pipeline, most)?.into_iter().map(|outcome| outcome.map_err(Error::from)).collect())
    }

    /// [`shell`] on many hosts at once, as [`run_each`].
    ///
    /// # Errors
    /// As [`run_each`].
    pub fn shell_each(
        hosts: &[String],
        directory: Option<&[u8]>,
        script: &str,
        most: u64,
    ) -> Result<Vec<Result<Outcome, Error>>, Error> {
        let ran = exec::shell_each(hosts, directory, script, most)?;
        Ok(ran.into_iter().map(|outcome| outcome.map_err(Error::from)).collect())
    }

    /// Runs a script with the host's `/bin/sh`. Needs a grant of its own, and a host whose command policy is `shell`.
    ///
    /// # Errors
    /// As [`run`].
    pub fn shell(host: &str, directory: Option<&[u8]>, script: &str) -> Result<Outcome, Error> {
        Ok(exec::shell(host, directory, script)?)
    }
}

/// The hosts that this call may name. Needs the grant `inventory`.
pub mod inventory {
    use crate::Error;
    use crate::bindings::imports::scout::plugin::inventory;

    pub use crate::bindings::imports::scout::plugin::inventory::{
        Machine as Host, Page, Property, Reachability, hosts,
    };

    /// Of the hosts whose names fit each word at most `most`, in order, from the host `start` on or from the first: a word with `*`
    /// or `?` is a pattern, `tag:NAME`, `@GROUP` and `status:WORD` mean hosts of which that is known, any other is a part of a name. Only what is answered is looked up and held, however many hosts there are.
    ///
    /// # Errors
    /// A `start` that the call may not use, more than 1,000 hosts or 100 words.
    pub fn select(words: &[String], start: Option<&str>, most: u32) -> Result<Page, Error> {
        Ok(inventory::select(words, start, most)?)
    }

    /// [`select`] in another order: by `name`, `status` or `latency`, with `-` before it the other way round, the first word first.
    ///
    /// # Errors
    /// As [`select`], another word, and a `start` that is not selected.
    pub fn ordered(words: &[String], order: &[String], start: Option<&str>, most: u32) -> Result<Page, Error> {
        Ok(inventory::ordered(words, order, start, most)?)
    }

    /// What is known of the named hosts, in the order asked: `tag`, `group`, `status`, `latency-ms`, `failure`, `hidden`. Nobody is
    /// asked for it.
    ///
    /// # Errors
    /// Names that the call may not use, and too many of them.
    pub fn properties(names: &[String]) -> Result<Vec<Vec<Property>>, Error> {
        Ok(inventory::properties(names)?)
    }

    /// What the connection to a host was agreed on, by words: `identification`, `key-exchange`, `post-quantum`, `strict-key-exchange`,
    /// `host-key`, `cipher`, and more that `inventory.wit` lists. One is made where there is none.
    ///
    /// # Errors
    /// Whatever the host or Scout has against it; `Unsupported` for a host that is not reached over SSH.
    pub fn handshake(host: &str) -> Result<Vec<Property>, Error> {
        Ok(inventory::handshake(host)?)
    }

    /// [`probe`], where what was seen more than a second ago does not count.
    ///
    /// # Errors
    /// As [`probe`].
    pub fn probe_anew(names: &[String], timeout_ms: u32) -> Result<Vec<Reachability>, Error> {
        Ok(inventory::probe_anew(names, timeout_ms)?)
    }

    /// Whether the named hosts can be reached, asked all at once; answers in the order asked.
    ///
    /// # Errors
    /// Names that the call may not use, and too many of them.
    pub fn probe(names: &[String], timeout_ms: u32) -> Result<Vec<Reachability>, Error> {
        Ok(inventory::probe(names, timeout_ms)?)
    }
}

/// Files that are copied from one machine to another. Needs the grant `transfer`, a tool that says [`Write`](crate::Effect::Write), and
/// directories that the operator has opened.
pub mod transfer {
    use crate::bindings::imports::scout::plugin::transfer;
    use crate::{Attributes, Error};

    pub use crate::bindings::imports::scout::plugin::transfer::{Failure, Place, Report};

    /// What is at a place, behind every link; absent: nothing.
    ///
    /// # Errors
    /// As [`copy`].
    pub fn look(place: &Place) -> Result<Option<Attributes>, Error> {
        Ok(transfer::look(place)?)
    }

    /// Copies a regular file, or a directory with what is below it. A file that exists is replaced only if that is asked for; what an
    /// interrupted copy has left is gone on with.
    ///
    /// # Errors
    /// Whatever one of the two machines or Scout has against it. Of a directory what is below it fails by itself.
    pub fn copy(source: &Place, target: &Place, replace: bool) -> Result<Report, Error> {
        Ok(transfer::copy(source, target, replace)?)
    }
}

/// What a plugin keeps of a host from one call to the next, to tell later what has changed. Needs the grant `baselines`.
///
/// Nobody sees it but calls of the same plugin for the same principal, which may name the host. It is no place for secrets.
pub mod baselines {
    use crate::Error;
    use crate::bindings::imports::scout::plugin::baselines;

    pub use crate::bindings::imports::scout::plugin::baselines::Baseline;

    /// What was kept of a host under a name of `a-z`, `0-9` and `-`; absent: nothing.
    ///
    /// # Errors
    /// Whatever Scout has against it.
    pub fn load(host: &str, name: &str) -> Result<Option<Baseline>, Error> {
        Ok(baselines::load(host, name)?)
    }

    /// Keeps this in the place of what was there, at most 1 MiB; when, in seconds since 1970.
    ///
    /// # Errors
    /// Too much of it, and too much that is kept already.
    pub fn store(host: &str, name: &str, content: &[u8]) -> Result<u64, Error> {
        Ok(baselines::store(host, name, content)?)
    }
}

/// The plugin's own configuration: `[plugins.NAME.settings]` in scout.toml.
pub mod settings {
    pub use crate::bindings::imports::scout::plugin::settings::get;
}

/// Where an answer was cut, sealed for the client to bring back as the argument `cursor`.
///
/// A cursor is opened only by a call that asks the same of the same plugin, for the same principal: every argument but `cursor` and
/// `limit` counts. Natively, where there is nobody to seal it, it is opened by every call.
pub mod cursors {
    use crate::Error;

    /// A cursor that stands for this text, of at most 4 KiB. It is no place for secrets.
    ///
    /// # Errors
    /// A longer text.
    #[cfg(target_family = "wasm")]
    pub fn seal(state: &str) -> Result<String, Error> {
        Ok(crate::bindings::imports::scout::plugin::cursors::seal(state)?)
    }

    /// The text that was sealed.
    ///
    /// # Errors
    /// What is no cursor, or belongs to another call: its message says so, and what to do instead.
    #[cfg(target_family = "wasm")]
    pub fn open(cursor: &str) -> Result<String, Error> {
        Ok(crate::bindings::imports::scout::plugin::cursors::open(cursor)?)
    }

    /// What stands where a seal would.
    #[cfg(not(target_family = "wasm"))]
    const UNSEALED: &str = "-unsealed";

    /// A cursor that stands for this text, and is sealed by nobody.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_family = "wasm"))]
    pub fn seal(state: &str) -> Result<String, Error> {
        Ok(format!("{state}{UNSEALED}"))
    }

    /// The text that stands in a cursor.
    ///
    /// # Errors
    /// What is no cursor.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(cursor: &str) -> Result<String, Error> {
        let state = cursor.strip_suffix(UNSEALED);
        state
            .map(str::to_owned)
            .ok_or_else(|| Error::new(crate::ErrorKind::Invalid, "`cursor` belongs to another call"))
    }
}

/// Progress of a long call, for clients that asked for it.
pub mod progress {
    pub use crate::bindings::imports::scout::plugin::progress::report;
}

/// Lines in Scout's log; they never reach the client.
pub mod log {
    use crate::bindings::imports::scout::plugin::log::{Level, write};

    /// What only a developer wants to know.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// What happened.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// What is odd.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// What failed.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }
}
