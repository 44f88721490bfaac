//! Step 2: whether somebody has to be asked first. Nobody is, so far: what the policy allows is let through.

use super::{HostAccess, HostRequest};
use crate::grants::Permit;
use crate::policy::Refusal;

/// Waits until whoever has to approve what is asked has done so.
///
/// # Errors
/// That it was not approved.
#[expect(clippy::unused_async, reason = "who has to be asked is waited for")]
pub(super) async fn approve(_access: &HostAccess, _request: &HostRequest, _permit: &Permit) -> Result<(), Refusal> {
    Ok(())
}
