//! What lies below a directory: as a tree, searched for names, and compared with another. A file is compared too.

mod compare;
mod find;
mod lines;
mod tree;
mod walk;

use scout_plugin::{Answer, Description, Error, ErrorKind, Handler, Query, Subject, register};

struct Walker;
register!(Walker: handler);

/// The home directory, where a query names no path.
const HOME: &[u8] = b"~";

impl Handler for Walker {
    fn describe() -> Description {
        Description::new("shows trees, finds names, compares", &[Subject::Tree, Subject::Find, Subject::Diff])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let Some(host) = query.host.clone() else {
            return Err(Error::new(ErrorKind::Invalid, "a directory needs a host"));
        };
        let path = query.path.clone().unwrap_or_else(|| HOME.to_vec());
        match query.subject {
            Subject::Tree => tree::answer(&host, &path, query.arguments()),
            Subject::Find => find::answer(&host, &path, query.arguments()),
            _ => compare::answer(&host, &path, query.arguments()),
        }
    }
}
