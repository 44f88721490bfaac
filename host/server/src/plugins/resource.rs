//! A plugin's resources as clients meet them: the schemes of their URIs, which are each one's alone, and what is shown of them.

use std::fmt;
use std::sync::Arc;

use scout_machine::{Principal, visible};
use scout_runtime::{
    Answer, CallContext, CallError, Called, Fleet, HostPage, ListedResource, Plugin, Receipt, ResourcePage,
    ResourceRequest, Subject, TemplateDescription,
};
use sha2::{Digest as _, Sha256};

use super::Loaded;
use super::names::{alike, as_name};

/// Schemes that no plugin may have, nor one that is [`alike`].
const RESERVED: [&str; 2] = ["scout", "hosts"];
/// What is read where a template does not say.
const TEXT: &str = "text/plain";

/// The resources of one plugin that are offered.
pub struct Resources {
    /// In the plugin's order.
    pub templates: Vec<TemplateShown>,
    plugin: Arc<Loaded>,
}

/// What is shown of a template. What is hidden in its texts is made visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateShown {
    /// Its name within its plugin.
    pub name: String,
    /// Which URIs it stands for.
    pub uri: String,
    /// Whether it stands for one.
    pub is_fixed: bool,
    /// Whether it is listed for each host.
    pub is_of_each_host: bool,
    /// For people.
    pub title: Option<String>,
    /// One line.
    pub description: String,
    /// Of what is read.
    pub media_type: String,
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").field("plugin", self.plugin().id()).finish_non_exhaustive()
    }
}

impl TemplateShown {
    fn new(described: &TemplateDescription) -> Self {
        Self {
            name: described.name.clone(),
            uri: described.uri.text().to_owned(),
            is_fixed: described.uri.is_fixed(),
            is_of_each_host: described.is_of_each_host,
            title: described.title.as_deref().map(|title| visible(title).into_owned()),
            description: visible(&described.description).into_owned(),
            media_type: described.media_type.clone().unwrap_or_else(|| TEXT.to_owned()),
        }
    }
}

impl Resources {
    /// Those of a plugin, if it has some.
    ///
    /// # Errors
    /// Why they cannot be offered, whatever other plugins offer.
    pub(super) fn of(loaded: &Arc<Loaded>) -> Result<Option<Arc<Self>>, String> {
        let described = loaded.plugin().templates();
        if described.is_empty() {
            return Ok(None);
        }
        for template in described {
            let scheme = template.uri.scheme();
            if let Some(reserved) = RESERVED.into_iter().find(|reserved| alike(reserved, scheme)) {
                return Err(format!(
                    "it has resources `{scheme}://`, which are too much like Scout's own `{reserved}://`"
                ));
            }
        }
        let templates = described.iter().map(TemplateShown::new).collect();
        Ok(Some(Arc::new(Self { templates, plugin: Arc::clone(loaded) })))
    }

    /// The plugin whose resources these are.
    pub fn plugin(&self) -> &Plugin {
        self.plugin.plugin()
    }

    /// The same with the breaker round its calls.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.plugin
    }

    /// The names under which its schemes are its own.
    pub(super) fn names(&self) -> Vec<String> {
        names_of(self.plugin().templates())
    }

    /// What is shown of a template.
    pub fn template(&self, name: &str) -> Option<&TemplateShown> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// As [`Loaded::handle`].
    pub(crate) async fn read(
        &self,
        context: CallContext,
        request: ResourceRequest,
    ) -> Result<(Answer, Receipt), CallError> {
        self.plugin.read_resource(context, request).await
    }

    /// A page of the resources that there are now.
    ///
    /// # Errors
    /// As [`Loaded::handle`], and a cursor that is none of the plugin's.
    pub(crate) async fn list(
        &self,
        context: CallContext,
        cursor: Option<&str>,
    ) -> Result<(ResourcePage, Receipt), CallError> {
        self.plugin.list_resources(context, cursor).await
    }

    /// Those of each host, from the first or from this one on, of so many hosts that they are about `most`; and the next host. None: there is no such host.
    pub(crate) fn of_hosts(
        &self,
        fleet: &Fleet,
        principal: &Principal,
        start: Option<&str>,
        most: usize,
    ) -> Option<(Vec<ListedResource>, Option<Arc<str>>)> {
        let templates = || self.plugin().templates().iter().filter(|template| template.is_of_each_host);
        if templates().next().is_none() {
            return start.is_none().then(|| (Vec::new(), None));
        }
        let rights = self.plugin().rights(fleet.access(), principal, Called::Listing);
        let most = (most / templates().count()).max(1);
        let HostPage { names: hosts, next } = fleet.listed(principal, Subject::Hosts.name(), &rights, start, most)?;
        // A host whose name is none for a URI is left out, and so is one whose URI is another template's: it has no resource.
        let resource = |host: &Arc<str>, template: &TemplateDescription| {
            let values = vec![host.to_string()];
            let listed = ListedResource { template: template.name.clone(), uri: template.uri.uri(&values)?, values };
            self.plugin().is_read_as(&listed).then_some(listed)
        };
        let resources = hosts.iter().flat_map(|host| templates().filter_map(move |template| resource(host, template)));
        Some((resources.collect(), next))
    }

    /// The resources that are always there.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = ListedResource> {
        self.templates.iter().filter(|template| template.is_fixed).map(|template| ListedResource {
            template: template.name.clone(),
            values: Vec::new(),
            uri: template.uri.clone(),
        })
    }
}

/// The names under which the schemes of templates are a plugin's own, each once.
pub(super) fn names_of(templates: &[TemplateDescription]) -> Vec<String> {
    let mut names: Vec<String> = templates.iter().map(|template| as_name(template.uri.scheme())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What tells two sets of templates apart.
pub(crate) fn digest<'a>(all: impl Iterator<Item = &'a TemplateShown>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for TemplateShown { name, uri, is_fixed: _, is_of_each_host, title, description, media_type } in all {
        digest.update([u8::from(*is_of_each_host)]);
        for text in [name, uri, title.as_ref().unwrap_or(name), description, media_type] {
            digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(text);
        }
    }
    digest.finalize().into()
}
