//! What lies at a path that a query names: looked at before a plugin is chosen, in the name of the plugin that is handed it.

use scout_machine::{ErrorKind, HostError, Opened, RemotePath, Within};

use crate::grants::CallRights;
use crate::imports::{failed, from_refusal, from_ssh, unknown_host};
use crate::policy::Refusal;
use crate::steps::{Admitted, Found, HostAccess, HostRequest, amiss};
use crate::{CallContext, CallError, Grants, Interface, Subject};

/// The plugins of which one is handed what is found, by their names.
#[derive(Clone, Copy, Debug)]
pub struct Readers<'a> {
    /// Whoever answers for a file, and for what is neither file nor directory.
    pub file: &'a str,
    /// Whoever answers for a directory.
    pub directory: &'a str,
}

/// What was found, for a handler of this subject.
#[derive(Clone, Debug)]
pub struct Looked {
    /// [`Subject::File`] or [`Subject::Directory`].
    pub subject: Subject,
    /// What is there.
    pub opened: Opened,
}

/// Why nothing is handed over.
enum LookError {
    /// Nobody whom this call may name is called so.
    Unknown(HostError),
    /// The reader may not look there.
    Refused(Refusal),
    /// What is there truly lies where the reader may not look; the audit trail has it.
    Outside(HostError),
    /// It cannot be looked at.
    Failed(HostError),
}

impl CallContext {
    /// Looks at a path with the rights of the reader that is handed what is there: one round trip, unless the operator confines the
    /// two to different directories. What neither may look at is not touched.
    ///
    /// # Errors
    /// A host that is unknown to the call, what may not be looked at, and what
    /// [`Machine::perform`](scout_machine::Machine::perform) gives; each as a failed call without a receipt.
    /// # Cancel safety
    /// Dropping the future gives it up.
    pub async fn look(&self, host: &str, path: &RemotePath, readers: Readers<'_>) -> Result<Looked, CallError> {
        let mut stop = None;
        // Most paths are files.
        for reader in [readers.file, readers.directory] {
            let found = match self.judge(host, path, reader).await {
                Ok(admitted) => open(admitted).await,
                Err(why) => Err(why),
            };
            match found {
                Ok((within, opened)) => return self.hand(host, path, readers, reader, &within, opened).await,
                Err(LookError::Failed(error)) => return Err(failed(from_ssh(&error))),
                Err(why) => stop = stop.or(Some((reader, why))),
            }
        }
        Err(match stop {
            Some((reader, why)) => self.refuse(host, path, reader, why).await,
            None => failed(from_ssh(&amiss())),
        })
    }

    /// Hands over what this reader found, if it is the one that answers for such things; the other has to be allowed to look as well.
    async fn hand(
        &self,
        host: &str,
        path: &RemotePath,
        readers: Readers<'_>,
        by: &str,
        within: &Within,
        opened: Opened,
    ) -> Result<Looked, CallError> {
        let (subject, reader) = match &opened {
            Opened::Directory { .. } => (Subject::Directory, readers.directory),
            Opened::File { .. } | Opened::Other { .. } => (Subject::File, readers.file),
        };
        if reader == by {
            return Ok(Looked { subject, opened });
        }
        let found = match self.judge(host, path, reader).await {
            Ok(admitted) if admitted.permit().within == *within => return Ok(Looked { subject, opened }),
            Ok(admitted) => open(admitted).await,
            Err(why) => Err(why),
        };
        match found {
            Ok((_, opened)) => Ok(Looked { subject, opened }),
            Err(why) => Err(self.refuse(host, path, reader, why).await),
        }
    }

    /// Whether a reader may look there.
    async fn judge(&self, host: &str, path: &RemotePath, reader: &str) -> Result<Admitted, LookError> {
        let rights = self.rights_of(reader);
        let access = HostAccess::new(self, host, &rights).map_err(LookError::Unknown)?;
        access
            .admit(reader, &rights, HostRequest::Open { path: path.clone(), most: usize::MAX })
            .await
            .map_err(LookError::Refused)
    }

    /// What a reader may do with a path. It may not run scripts, which could read secrets.
    fn rights_of(&self, reader: &str) -> CallRights {
        let access = self.fleet.access();
        let (operator, tenant) = (access.plugin(reader), access.principal(&self.principal));
        CallRights { operator, tenant, ..CallRights::unlimited(Grants::ALL.without(Interface::Shell)) }
    }

    /// Why nothing is handed over, in words; a refusal is recorded.
    async fn refuse(&self, host: &str, path: &RemotePath, reader: &str, why: LookError) -> CallError {
        match why {
            LookError::Unknown(error) => failed(unknown_host(&error)),
            LookError::Outside(error) | LookError::Failed(error) => failed(from_ssh(&error)),
            LookError::Refused(refusal) => {
                if let Ok(access) = HostAccess::new(self, host, &self.rights_of(reader)) {
                    access
                        .record_refusal(reader, &HostRequest::Open { path: path.clone(), most: usize::MAX }, &refusal)
                        .await;
                }
                failed(from_refusal(&refusal))
            }
        }
    }
}

/// Looks, and says within which directories that was.
async fn open(admitted: Admitted) -> Result<(Within, Opened), LookError> {
    let within = admitted.permit().within.clone();
    match admitted.go().await {
        Ok(Found::Opened(opened)) => Ok((within, opened)),
        Ok(_) => Err(LookError::Failed(amiss())),
        Err(error) if error.kind() == ErrorKind::Outside => Err(LookError::Outside(error)),
        Err(error) => Err(LookError::Failed(error)),
    }
}
