//! What a plugin says of itself, and what it is asked.

use crate::Effect;
use crate::Entry;
use crate::bindings::imports::scout::plugin::descriptions;
use crate::bindings::imports::scout::plugin::queries;

/// What a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The listing of hosts.
    Hosts,
    /// A path that is a regular file, or neither file nor directory.
    File,
    /// A path that is a directory.
    Directory,
    /// A command, in a directory or the home directory.
    Command,
}

impl Subject {
    const ALL: [Self; 4] = [Self::Hosts, Self::File, Self::Directory, Self::Command];

    /// As the contract calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::File => "file",
            Self::Directory => "directory",
            Self::Command => "command",
        }
    }
}

/// Who a handler is.
#[derive(Clone, Debug)]
pub struct Description {
    summary: String,
    subjects: Vec<Subject>,
}

impl Description {
    /// A handler of these subjects, with one line about it.
    #[must_use]
    pub fn new(summary: &str, subjects: &[Subject]) -> Self {
        Self { summary: summary.to_owned(), subjects: subjects.to_vec() }
    }

    pub(crate) fn give(self) -> descriptions::HandlerDescription {
        let subjects: Vec<String> = self.subjects.into_iter().map(|subject| subject.word().to_owned()).collect();
        descriptions::HandlerDescription::new(&self.summary, &subjects)
    }
}

/// A query, taken apart by Scout's router.
#[derive(Debug)]
pub struct Query {
    /// What it is about: one of the subjects that the handler describes.
    pub subject: Subject,
    /// Absent only for [`Subject::Hosts`].
    pub host: Option<String>,
    /// Absent: the home directory.
    pub path: Option<Vec<u8>>,
    /// The command line, for [`Subject::Command`]; words that choose, for [`Subject::Hosts`].
    pub command: Option<String>,
    /// What Scout found at the path, for [`Subject::File`] and [`Subject::Directory`].
    pub entry: Option<Entry>,
}

impl Query {
    pub(crate) fn read(query: &queries::Query) -> Self {
        let word = query.subject();
        // Scout asks about nothing that was not described.
        let subject = Subject::ALL.into_iter().find(|subject| subject.word() == word).unwrap_or(Subject::File);
        Self { subject, host: query.host(), path: query.path(), command: query.command(), entry: query.entry() }
    }
}

/// A tool as clients see it.
#[derive(Clone, Debug)]
pub struct Tool {
    name: String,
    title: Option<String>,
    description: String,
    input_schema: String,
    output_schema: Option<String>,
    effect: Effect,
}

impl Tool {
    /// A tool that only reads, of this name, with this description and this JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: &str, description: &str, input_schema: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: None,
            description: description.to_owned(),
            input_schema: input_schema.to_owned(),
            output_schema: None,
            effect: Effect::Read,
        }
    }

    /// With a name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// With the JSON Schema of its structured answer.
    #[must_use]
    pub fn output_schema(mut self, schema: &str) -> Self {
        self.output_schema = Some(schema.to_owned());
        self
    }

    /// With the most that it does to a host.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    pub(crate) fn give(self) -> descriptions::Tool {
        let tool = descriptions::Tool::new(&self.name, &self.description, &self.input_schema, self.effect);
        if let Some(title) = &self.title {
            tool.title(title);
        }
        if let Some(schema) = &self.output_schema {
            tool.output_schema(schema);
        }
        tool
    }
}
