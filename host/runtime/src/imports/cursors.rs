//! `cursors`: where an answer was cut, sealed.

use super::types::{self, Kind};
use super::wit::cursors;
use super::{Failure, wit};
use crate::cursor::{MAX_STATE, NotSealed, Seal};
use crate::state::CallState;

/// What to do about a cursor that is refused.
const ANEW: &str = "leave `cursor` out to begin anew";

impl cursors::Host for CallState {
    fn seal(&mut self, state: String) -> Result<String, Failure> {
        self.budget.host_call()?;
        if state.len() > MAX_STATE {
            let message = format!("{} bytes are to be sealed; {MAX_STATE} are allowed", state.len());
            return Err(types::error(Kind::Invalid, &message, None).into());
        }
        Ok(self.sealer()?.seal(&state))
    }

    fn open(&mut self, cursor: String) -> Result<String, Failure> {
        self.budget.host_call()?;
        let opened = self.sealer()?.open(&cursor);
        Ok(opened.map_err(|NotSealed| {
            let message = "`cursor` belongs to another call: it goes with the host and the arguments of the answer that told it, \
                           and with who asked";
            types::error(Kind::Invalid, message, Some(ANEW))
        })?)
    }
}

impl CallState {
    /// What seals the cursors of this call.
    fn sealer(&mut self) -> Result<&Seal, wit::types::Error> {
        if self.seal.is_none() {
            let (Some(context), Some(asked)) = (&self.context, &self.asked) else {
                return Err(types::error(Kind::Refused, "there is no cursor while a plugin describes itself", None));
            };
            let seal = Seal::new(context, self.plugin.as_str(), asked);
            let why = "no cursor can be sealed: no random numbers are available";
            self.seal = Some(seal.ok_or_else(|| types::error(Kind::Internal, why, None))?);
        }
        self.seal.as_ref().ok_or_else(|| types::error(Kind::Internal, "no cursor can be sealed", None))
    }
}
