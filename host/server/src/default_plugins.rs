//! stub
use scout_runtime::{Grants, Subject};
pub(crate) struct DefaultPlugin {
    pub(crate) name: &'static str,
    pub(crate) subject: Subject,
    pub(crate) component: &'static [u8],
    pub(crate) grants: Grants,
}
pub(crate) const DEFAULT_PLUGINS: &[DefaultPlugin] = &[];
