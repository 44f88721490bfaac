//! The lists of resources and of their templates as a client is given them: Scout's own first, then those of plugins.

use rmcp::ErrorData;
use rmcp::model::{ListResourceTemplatesResult, Resource, ResourceTemplate};
use scout_machine::visible;
use scout_runtime::ListedResource;
use sha2::{Digest as _, Sha256};

use super::tool_list::Fingerprint;
use crate::plugins::{Catalog, TemplateShown, digest_of_templates};
use crate::router::ResourceList;
use crate::target::{HOSTS_URI, PATH_URI_TEMPLATE};

/// Templates of one page: more than most servers have.
const PAGE: usize = 500;
/// What a resource takes in a list beside its texts, in bytes.
const RESOURCE: usize = 1 << 10;

/// What there is without any plugin.
fn hosts() -> Resource {
    Resource::new(HOSTS_URI, "hosts")
        .with_title("Hosts")
        .with_description("The hosts, at most the first 200, and whether they answer")
        .with_mime_type("text/plain")
}

/// Likewise.
fn paths() -> ResourceTemplate {
    ResourceTemplate::new(PATH_URI_TEMPLATE, "path").with_title("File or directory").with_description(
        "A file's content or a directory's listing; bytes that are not UTF-8 are percent-encoded; `~/` begins a path below the home directory",
    )
}

/// What a page takes in memory at most, in bytes, about: while it is made, this is held.
pub(super) const PAGE_BYTES: usize = 2 << 20;

/// Resources as clients see them, and what they take in memory, in bytes, about. Of Scout's own where the page is the first.
pub(super) fn page(list: ResourceList, is_first: bool) -> (Vec<Resource>, usize) {
    let mut all: Vec<Resource> = is_first.then(hosts).into_iter().collect();
    all.extend(list.resources.iter().map(|(listed, template)| resource(listed, template)));
    let texts = |(listed, template): &(ListedResource, TemplateShown)| {
        RESOURCE + 4 * listed.uri.len() + template.description.len() + template.title.as_ref().map_or(0, String::len)
    };
    let weight = RESOURCE + list.resources.iter().map(texts).sum::<usize>();
    (all, weight)
}

/// Its name says which of its template it is; a description would be said as often as there are hosts.
fn resource(listed: &ListedResource, template: &TemplateShown) -> Resource {
    let which: Vec<&str> =
        std::iter::once(template.name.as_str()).chain(listed.values.iter().map(String::as_str)).collect();
    let mut resource =
        Resource::new(listed.uri.clone(), visible(&which.join(" "))).with_mime_type(template.media_type.clone());
    if template.is_fixed {
        resource = resource.with_description(template.description.clone());
        resource.title.clone_from(&template.title);
    }
    resource
}

/// Templates from the one that the cursor names, or all, as far as they fit a page.
///
/// # Errors
/// A cursor that was never given.
pub(super) fn templates(catalog: &Catalog, cursor: Option<&str>) -> Result<ListResourceTemplatesResult, ErrorData> {
    let theirs = || {
        let all = catalog.resources().iter().flat_map(|resources| &resources.templates);
        all.filter(|template| !template.is_fixed)
    };
    let from = match cursor {
        None => 0,
        Some(cursor) => theirs().position(|template| template.uri == cursor).ok_or_else(|| {
            let message = "`cursor` is not one of this list: it may have changed; ask without one";
            ErrorData::invalid_params(message, None)
        })?,
    };
    let own = cursor.is_none().then(paths);
    let page = theirs().skip(from).take(PAGE).map(|shown| {
        let mut template = ResourceTemplate::new(shown.uri.clone(), shown.name.clone())
            .with_description(shown.description.clone())
            .with_mime_type(shown.media_type.clone());
        template.title.clone_from(&shown.title);
        template
    });
    let mut result = ListResourceTemplatesResult::with_all_items(own.into_iter().chain(page).collect());
    result.next_cursor = theirs().nth(from + PAGE).map(|template| template.uri.clone());
    Ok(result)
}

/// What tells two lists apart: the templates, and where there are some the configuration, for most list hosts.
pub(super) fn fingerprint(catalog: &Catalog, revision: u64) -> Fingerprint {
    let templates = digest_of_templates(catalog.resources().iter().flat_map(|resources| &resources.templates));
    let number = if catalog.resources().is_empty() { 0 } else { revision };
    Sha256::new().chain_update(templates).chain_update(number.to_be_bytes()).finalize().into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn template(name: &str, uri: &str, is_fixed: bool) -> TemplateShown {
        TemplateShown {
            name: name.to_owned(),
            uri: uri.to_owned(),
            is_fixed,
            is_of_each_host: false,
            title: Some("Title".to_owned()),
            description: "what it is".to_owned(),
            media_type: "text/plain".to_owned(),
        }
    }

    #[test]
    fn what_is_listed_for_each_host_says_no_more_than_which_it_is() {
        let listed = ListedResource {
            template: "containers".to_owned(),
            values: vec!["web1".to_owned()],
            uri: "docker://web1".to_owned(),
        };
        let shown = resource(&listed, &template("containers", "docker://{host}", false));
        let shown = serde_json::to_value(shown).unwrap();
        assert_eq!(
            shown,
            serde_json::json!({"uri": "docker://web1", "name": "containers web1", "mimeType": "text/plain"})
        );
        let fixed = ListedResource { values: Vec::new(), ..listed };
        let shown = serde_json::to_value(resource(&fixed, &template("all", "notes://all", true))).unwrap();
        assert_eq!(shown.get("description").and_then(|text| text.as_str()), Some("what it is"));
    }
}
