//! Reading only what truly lies in certain directories, whatever links lead to: the directories are asked about in the round trip
//! that opens the path.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use scout_machine::within::{TrueRoots, is_about_the_path, outside};
use scout_machine::{Attributes, Call, HostError, Opened, RemotePath, TruePath, Within};

use crate::Lease;

impl Lease {
    /// As [`Lease::open_placed`], a file from `offset` on, if what was opened truly lies within. The directories are asked about in
    /// the same round trip.
    ///
    /// # Errors
    /// As [`Lease::open_placed`], Unsupported also without SFTP; Outside if it lies elsewhere, also if it could not be opened there.
    pub async fn open_within(
        &self,
        within: &Within,
        path: &RemotePath,
        offset: u64,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, TruePath), HostError> {
        let (opened, roots) =
            join(self.open_over_sftp(path, offset, cap, max_entries, call), self.true_roots(within, call)).await;
        self.held(opened, &roots?, path, call).await
    }

    /// As [`Lease::stat_placed`], if it truly lies within.
    ///
    /// # Errors
    /// As [`Lease::open_within`].
    pub async fn stat_within(
        &self,
        within: &Within,
        path: &RemotePath,
        call: &Call,
    ) -> Result<(Attributes, TruePath), HostError> {
        let (found, roots) = join(self.stat_placed(path, call), self.true_roots(within, call)).await;
        self.held(found, &roots?, path, call).await
    }

    /// What was found, if it lies in the directories.
    async fn held<T>(
        &self,
        found: Result<(T, TruePath), HostError>,
        roots: &TrueRoots,
        path: &RemotePath,
        call: &Call,
    ) -> Result<(T, TruePath), HostError> {
        match found {
            Ok((_, place)) if !roots.hold(&place.path) => Err(outside(path)),
            Ok(found) => Ok(found),
            Err(error) => Err(self.blame(error, roots, path, call).await),
        }
    }

    /// Where the directories truly lie.
    async fn true_roots(&self, within: &Within, call: &Call) -> Result<TrueRoots, HostError> {
        let aside = aside(call);
        let lists = within.roots.iter().map(|list| join_all(list.iter().map(|root| self.real_path(root, &aside))));
        let mut roots = Vec::new();
        for list in join_all(lists).await {
            let mut there = Vec::new();
            for root in list {
                match root {
                    Ok(root) => there.push(root),
                    Err(error) if is_about_the_path(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            roots.push(there);
        }
        Ok(TrueRoots(roots))
    }

    /// What may be told of a path that could not be opened: an error from elsewhere would tell what is there.
    async fn blame(&self, error: HostError, roots: &TrueRoots, path: &RemotePath, call: &Call) -> HostError {
        if !is_about_the_path(&error) {
            return error;
        }
        let aside = aside(call);
        let aside = &aside;
        let places = path.parents().map(async |parent| self.real_path(&parent, aside).await);
        let places = join_all(places).await;
        call.cost.add_round_trips(1);
        match places.into_iter().flatten().next() {
            Some(deepest) if roots.hold(&deepest) => error,
            Some(_) | None => outside(path),
        }
    }
}

/// For requests that travel beside others, in the same round trip: it is counted once.
fn aside(call: &Call) -> Call {
    Call { cost: Arc::default(), ..call.clone() }
}
