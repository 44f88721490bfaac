//! Signatures of files with SSH keys, as `ssh-keygen -Y sign` makes them and `ssh-keygen -Y verify` checks them
//! (OpenSSH's PROTOCOL.sshsig).
//!
//! Owns who may sign ([`AllowedSigners`]) and how a signature is made ([`sign`]). Knows nothing of what is signed.

mod sign;
mod signers;

pub use sign::sign;
pub(crate) use sign::{Signing, private_of};
pub use signers::{AllowedSigners, Signer};
