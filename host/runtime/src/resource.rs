//! A plugin's resources in host types: what is asked for, and what is listed.

use crate::imports::Listing;
use crate::state::shown;
use crate::{Plugin, TemplateDescription};

/// One resource of a plugin, asked for by its URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRequest {
    /// The name of the template that it belongs to.
    pub template: String,
    /// What its URI has in the place of each variable, in order.
    pub values: Vec<String>,
}

/// A resource that a plugin has listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedResource {
    /// The name of the template that it belongs to.
    pub template: String,
    /// What its URI has in the place of each variable, in order.
    pub values: Vec<String>,
    /// Its URI, which belongs to the plugin.
    pub uri: String,
}

/// Where in the list of a plugin's resources a page begins. The default is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListingPlace {
    /// How many pages there were before.
    pub(crate) pages: usize,
    /// Where the plugin goes on, in its own words.
    pub(crate) next: Option<String>,
}

/// Some of the resources that there are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePage {
    /// In the plugin's order.
    pub resources: Vec<ListedResource>,
    /// The cursor of the next ones, if there are more.
    pub next: Option<String>,
}

impl Plugin {
    /// The resource of this URI, if it belongs to one of the plugin's templates.
    pub fn resource(&self, uri: &str) -> Option<ResourceRequest> {
        let fits = |template: &TemplateDescription| {
            let values = template.uri.values(uri)?;
            Some((template.uri.rank(), ResourceRequest { template: template.name.clone(), values }))
        };
        let (_, request) = self.templates().iter().filter_map(fits).min_by(|(one, _), (other, _)| one.cmp(other))?;
        Some(request)
    }
}

/// What a guest has listed, as URIs of its own templates.
///
/// # Errors
/// What belongs to none, as the rest of a sentence that begins with the plugin's name.
pub(crate) fn listed(listing: Listing, templates: &[TemplateDescription]) -> Result<Vec<ListedResource>, String> {
    let resource = |(template, values): (String, Vec<String>)| {
        let described = templates.iter().find(|described| described.name == template);
        let Some(described) = described else {
            return Err(format!("listed a resource of the template `{}`, which it does not have", shown(&template)));
        };
        let Some(uri) = described.uri.uri(&values) else {
            return Err(format!("listed a resource of the template `{template}` by values that no URI has"));
        };
        Ok(ListedResource { template, values, uri })
    };
    listing.resources.into_iter().map(resource).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Effect, UriTemplate};

    fn templates() -> Vec<TemplateDescription> {
        let template = |name: &str, uri: &str| TemplateDescription {
            name: name.to_owned(),
            title: None,
            description: String::new(),
            uri: Arc::new(UriTemplate::parse(uri).expect("a template")),
            media_type: None,
            is_of_each_host: false,
            effect: Effect::Read,
        };
        vec![template("pool", "zfs://{host}/{pool}"), template("all", "zfs://all")]
    }

    fn list(template: &str, values: &[&str]) -> Result<Vec<String>, String> {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        let mut listing = Listing::default();
        listing.resources.push((template.to_owned(), values));
        Ok(listed(listing, &templates())?.into_iter().map(|resource| resource.uri).collect())
    }

    #[test]
    fn what_is_listed_has_a_uri_of_its_template() {
        assert_eq!(list("pool", &["nas", "a b"]), Ok(vec!["zfs://nas/a%20b".to_owned()]));
        assert_eq!(list("all", &[]), Ok(vec!["zfs://all".to_owned()]));
    }

    #[test]
    fn what_no_template_has_is_not_listed() {
        for (template, values) in [("pools", &["nas"][..]), ("scout\u{1b}", &[]), ("", &[])] {
            assert!(list(template, values).is_err_and(|why| why.contains("which it does not have")), "{template:?}");
        }
        for values in [&["nas"][..], &["nas", ""], &["nas", "a", "b"], &["nas", "\u{1b}"]] {
            assert!(list("pool", values).is_err_and(|why| why.contains("that no URI has")), "{values:?}");
        }
    }
}
