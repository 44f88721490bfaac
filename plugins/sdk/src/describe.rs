//! What a plugin says of itself, and what it is asked.

use crate::Effect;
use crate::Entry;
use crate::bindings::imports::scout::plugin::descriptions;
use crate::bindings::imports::scout::plugin::queries;
use crate::json::Value;

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
    /// A part of a file: by `offset`, `lines`, `tail` or `grep`.
    Part,
    /// What lies below a directory, as a tree.
    Tree,
    /// What lies below a directory and is looked for.
    Find,
    /// How two files or directories differ.
    Diff,
    /// A path or a command on many hosts.
    Targets,
    /// A copy from one machine to another.
    Transfer,
}

impl Subject {
    const ALL: [Self; 10] = [
        Self::Hosts,
        Self::File,
        Self::Directory,
        Self::Command,
        Self::Part,
        Self::Tree,
        Self::Find,
        Self::Diff,
        Self::Targets,
        Self::Transfer,
    ];

    /// As the contract calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::File => "file",
            Self::Directory => "directory",
            Self::Command => "command",
            Self::Part => "part",
            Self::Tree => "tree",
            Self::Find => "find",
            Self::Diff => "diff",
            Self::Targets => "targets",
            Self::Transfer => "transfer",
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
    /// Absent for [`Subject::Hosts`] and [`Subject::Targets`], and where the arguments of a [`Subject::Transfer`] name both ends.
    pub host: Option<String>,
    /// Absent: the home directory.
    pub path: Option<Vec<u8>>,
    /// The command line, for [`Subject::Command`] and [`Subject::Targets`]; words that choose, for [`Subject::Hosts`].
    pub command: Option<String>,
    /// What Scout found at the path, for [`Subject::File`] and [`Subject::Directory`].
    pub entry: Option<Entry>,
    arguments: Arguments,
}

/// The arguments of a query beside its target and command, of which Scout has checked types and bounds.
#[derive(Clone, Debug, Default)]
pub struct Arguments(Option<Value>);

impl Arguments {
    /// Those of a JSON object.
    #[must_use]
    pub fn new(json: &str) -> Self {
        Self(Value::parse(json))
    }

    /// All of them as one object with these texts besides, as [`crate::rows::Shape::ask`] takes them.
    #[must_use]
    pub fn beside(&self, texts: &[(&str, &str)]) -> Value {
        let mut fields = match &self.0 {
            Some(Value::Object(fields)) => fields.clone(),
            _ => Vec::new(),
        };
        fields.extend(texts.iter().map(|(name, text)| ((*name).to_owned(), Value::Text((*text).to_owned()))));
        Value::Object(fields)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// A string, if it was given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Whether a flag was given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    /// A whole number, if it was given.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_integer()
    }

    /// Whether a flag was given, and is set.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    /// A list of strings; empty if it was not given.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        match self.get(name) {
            Some(Value::Array(values)) => values.as_slice(),
            _ => &[],
        }
        .iter()
        .filter_map(Value::as_text)
    }
}

impl Query {
    pub(crate) fn read(query: &queries::Query) -> Self {
        let word = query.subject();
        // Scout asks about nothing that was not described.
        let subject = Subject::ALL.into_iter().find(|subject| subject.word() == word).unwrap_or(Subject::File);
        let arguments = match subject {
            Subject::File | Subject::Directory | Subject::Command => Arguments::default(),
            _ => Arguments::new(&query.arguments()),
        };
        let (host, path, command, entry) = (query.host(), query.path(), query.command(), query.entry());
        Self { subject, host, path, command, entry, arguments }
    }

    /// The arguments beside these, of subjects that have some.
    #[must_use]
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
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

/// A template of resources, as clients see it.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    title: Option<String>,
    uri: String,
    description: String,
    media_type: Option<String>,
    is_of_each_host: bool,
    effect: Effect,
}

impl Template {
    /// A template of resources that reading only reads, of this name, these URIs and this description. `docker://{host}/{container}` stands
    /// for `docker://web1/db`; `{+path}`, as the last part, for several parts. One without variables is a resource of its own.
    #[must_use]
    pub fn new(name: &str, uri: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: None,
            uri: uri.to_owned(),
            description: description.to_owned(),
            media_type: None,
            is_of_each_host: false,
            effect: Effect::Read,
        }
    }

    /// With a name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// With the media type of what is read; `application/json`: the structured answer is.
    #[must_use]
    pub fn media_type(mut self, media_type: &str) -> Self {
        self.media_type = Some(media_type.to_owned());
        self
    }

    /// With the most that reading does to a host.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Listed for each host that there is for who asks. Its only variable is the host.
    #[must_use]
    pub fn each_host(mut self) -> Self {
        self.is_of_each_host = true;
        self
    }

    pub(crate) fn give(self) -> descriptions::Template {
        let template = descriptions::Template::new(&self.name, &self.uri, &self.description, self.effect);
        if let Some(title) = &self.title {
            template.title(title);
        }
        if let Some(media_type) = &self.media_type {
            template.media_type(media_type);
        }
        if self.is_of_each_host {
            template.each_host();
        }
        template
    }
}
