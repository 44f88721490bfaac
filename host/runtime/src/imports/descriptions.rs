//! `descriptions`: what a plugin says of itself, as it says it.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::wit::descriptions;
use crate::Effect;
use crate::budget::HostMemory;
use crate::state::CallState;

/// What a handler says of itself. Untrusted.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
#[derive(Debug)]
pub struct HandlerDescription {
    pub(crate) summary: String,
    pub(crate) subjects: Vec<String>,
    _memory: Arc<HostMemory>,
}

/// What a plugin says of a tool. Untrusted.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
#[derive(Debug)]
pub struct Tool {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: String,
    pub(crate) input_schema: String,
    pub(crate) output_schema: Option<String>,
    pub(crate) effect: Effect,
    holds: Vec<Arc<HostMemory>>,
}

impl Tool {
    /// One of which nothing more is said.
    pub(crate) fn new(name: String, description: String, input_schema: String, effect: Effect) -> Self {
        Self { name, title: None, description, input_schema, output_schema: None, effect, holds: Vec::new() }
    }
}

/// What a plugin says of a template of resources. Untrusted.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
#[derive(Debug)]
pub struct Template {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) uri: String,
    pub(crate) description: String,
    pub(crate) media_type: Option<String>,
    pub(crate) is_of_each_host: bool,
    pub(crate) effect: Effect,
    holds: Vec<Arc<HostMemory>>,
}

impl Template {
    /// One of which nothing more is said.
    pub(crate) fn new(name: String, uri: String, description: String, effect: Effect) -> Self {
        Self {
            name,
            title: None,
            uri,
            description,
            media_type: None,
            is_of_each_host: false,
            effect,
            holds: Vec::new(),
        }
    }
}

impl CallState {
    /// What a handler said of itself.
    pub(crate) fn said(&mut self, of: Resource<HandlerDescription>) -> wasmtime::Result<HandlerDescription> {
        Ok(self.table.delete(of)?)
    }

    /// What a plugin said of its tools.
    pub(crate) fn said_of(&mut self, tools: Vec<Resource<Tool>>) -> wasmtime::Result<Vec<Tool>> {
        tools.into_iter().map(|tool| Ok(self.table.delete(tool)?)).collect()
    }

    /// What a plugin said of its templates of resources.
    pub(crate) fn said_of_templates(&mut self, templates: Vec<Resource<Template>>) -> wasmtime::Result<Vec<Template>> {
        templates.into_iter().map(|template| Ok(self.table.delete(template)?)).collect()
    }
}

impl descriptions::Host for CallState {}

impl descriptions::HostHandlerDescription for CallState {
    fn new(&mut self, summary: String, subjects: Vec<String>) -> wasmtime::Result<Resource<HandlerDescription>> {
        self.budget.host_call()?;
        let bytes = summary.len() + subjects.iter().map(|subject| size_of::<String>() + subject.len()).sum::<usize>();
        let memory = self.keep(bytes)?;
        self.own(HandlerDescription { summary, subjects, _memory: memory })
    }

    fn drop(&mut self, description: Resource<HandlerDescription>) -> wasmtime::Result<()> {
        self.table.delete(description)?;
        Ok(())
    }
}

impl descriptions::HostTool for CallState {
    fn new(
        &mut self,
        name: String,
        description: String,
        input_schema: String,
        effect: descriptions::Effect,
    ) -> wasmtime::Result<Resource<Tool>> {
        self.budget.host_call()?;
        let hold = self.keep(name.len() + description.len() + input_schema.len())?;
        let effect = effect.into();
        self.own(Tool { holds: vec![hold], ..Tool::new(name, description, input_schema, effect) })
    }

    fn title(&mut self, tool: Resource<Tool>, title: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let hold = self.keep(title.len())?;
        let tool = self.table.get_mut(&tool)?;
        (tool.title, _) = (Some(title), tool.holds.push(hold));
        Ok(())
    }

    fn output_schema(&mut self, tool: Resource<Tool>, schema: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let hold = self.keep(schema.len())?;
        let tool = self.table.get_mut(&tool)?;
        (tool.output_schema, _) = (Some(schema), tool.holds.push(hold));
        Ok(())
    }

    fn drop(&mut self, tool: Resource<Tool>) -> wasmtime::Result<()> {
        self.table.delete(tool)?;
        Ok(())
    }
}

impl descriptions::HostTemplate for CallState {
    fn new(
        &mut self,
        name: String,
        uri_template: String,
        description: String,
        effect: descriptions::Effect,
    ) -> wasmtime::Result<Resource<Template>> {
        self.budget.host_call()?;
        let hold = self.keep(name.len() + uri_template.len() + description.len())?;
        self.own(Template { holds: vec![hold], ..Template::new(name, uri_template, description, effect.into()) })
    }

    fn title(&mut self, template: Resource<Template>, title: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let hold = self.keep(title.len())?;
        let template = self.table.get_mut(&template)?;
        (template.title, _) = (Some(title), template.holds.push(hold));
        Ok(())
    }

    fn media_type(&mut self, template: Resource<Template>, media_type: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let hold = self.keep(media_type.len())?;
        let template = self.table.get_mut(&template)?;
        (template.media_type, _) = (Some(media_type), template.holds.push(hold));
        Ok(())
    }

    fn each_host(&mut self, template: Resource<Template>) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        self.table.get_mut(&template)?.is_of_each_host = true;
        Ok(())
    }

    fn drop(&mut self, template: Resource<Template>) -> wasmtime::Result<()> {
        self.table.delete(template)?;
        Ok(())
    }
}

impl From<descriptions::Effect> for Effect {
    fn from(effect: descriptions::Effect) -> Self {
        match effect {
            descriptions::Effect::Read => Self::Read,
            descriptions::Effect::Exec => Self::Exec,
            descriptions::Effect::Write => Self::Write,
        }
    }
}
