//! Sizes and times as people write them.

use std::str::FromStr;
use std::time::Duration;

use scout_runtime::MAX_MESSAGE;
use serde::Deserialize;

/// The longest time that can be set.
const MAX_SECONDS: f64 = 24.0 * 3600.0;

/// A number of bytes from 1 to `MIB` MiB: `65536`, `"64 KiB"`, `"1MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct ByteCount<const MIB: u64>(u64);

/// What is answered of a file: twice, as text and as a field.
pub type FileSize = ByteCount<4>;
/// What is answered of each of a command's two streams: twice, too.
pub type OutputSize = ByteCount<2>;

// The largest of what can be set fits into a message twice, plain text at least; of a command there are two streams.
const _: () = assert!((2 * 4) << 20 < MAX_MESSAGE);

impl<const MIB: u64> ByteCount<MIB> {
    /// The number.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIB: u64> FromStr for ByteCount<MIB> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        bytes(text).filter(|bytes| (1..=MIB << 20).contains(bytes)).map(Self).ok_or_else(|| {
            format!(
                "not a size from 1 to {MIB} MiB, such as 65536, 64KiB or 1MiB; an answer holds it twice, and clients end \
                 a connection on which an answer of 10 MiB comes"
            )
        })
    }
}

/// Memory from 128 MiB to 1 TiB: `"1 GiB"`. 1 GiB unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct MemorySize(u64);

impl MemorySize {
    /// The number of bytes.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Default for MemorySize {
    fn default() -> Self {
        Self(1 << 30)
    }
}

impl TryFrom<Raw> for MemorySize {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        bytes(&raw.text())
            .filter(|bytes| (128 << 20..=1 << 40).contains(bytes))
            .map(Self)
            .ok_or_else(|| "not a size from 128 MiB to 1 TiB, such as 512MiB or 2GiB".to_owned())
    }
}

/// What one transfer may copy: 1 MiB to 16 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct TransferSize(pub(crate) u64);

impl TryFrom<Raw> for TransferSize {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let size = bytes(&raw.text()).filter(|bytes| (1 << 20..=1 << 44).contains(bytes));
        size.map(Self).ok_or_else(|| "not a size from 1 MiB to 16 TiB, such as 512MiB or 2GiB".to_owned())
    }
}

/// A time from 1 ms to a day: `30` (seconds), `"30s"`, `"500ms"`, `"2m"`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Seconds(f64);

impl Seconds {
    /// The time.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs_f64(self.0)
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let factor = match unit {
            "" | "s" => Some(1.0),
            "ms" => Some(0.001),
            "m" | "min" => Some(60.0),
            "h" => Some(3600.0),
            _ => None,
        };
        let seconds = factor.and_then(|factor| Some(number.parse::<f64>().ok()? * factor));
        seconds
            .filter(|seconds| (0.001..=MAX_SECONDS).contains(seconds))
            .map(Self)
            .ok_or_else(|| "not a time from 1ms to 24h, such as 30, 30s, 500ms or 2m".to_owned())
    }
}

/// Memory of a command's process: 16 MiB to 1024 GiB, or `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct CommandMemory(pub(crate) Option<u64>);

/// A file that a command writes: 1 KiB to 1024 GiB, or `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct CommandFileSize(pub(crate) Option<u64>);

/// CPU time of a command's process in whole seconds, up to a day, or `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct CommandCpu(pub(crate) Option<u64>);

/// Processes of a command's account: 16 to 4194304, or `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct CommandProcesses(pub(crate) Option<u64>);

/// A bound, or none.
fn bound(
    raw: Raw,
    read: impl FnOnce(&str) -> Option<u64>,
    range: std::ops::RangeInclusive<u64>,
    expected: &str,
) -> Result<Option<u64>, String> {
    match raw.text().as_str() {
        "none" => Ok(None),
        text => match read(text).filter(|bound| range.contains(bound)) {
            Some(bound) => Ok(Some(bound)),
            None => Err(format!("not {expected}, and not \"none\"")),
        },
    }
}

impl TryFrom<Raw> for CommandMemory {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        // Below it no shell starts.
        bound(raw, bytes, 16 << 20..=1 << 40, "a size from 16 MiB to 1024 GiB").map(Self)
    }
}

impl TryFrom<Raw> for CommandFileSize {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        bound(raw, bytes, 1 << 10..=1 << 40, "a size from 1 KiB to 1024 GiB").map(Self)
    }
}

impl TryFrom<Raw> for CommandCpu {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let seconds = |text: &str| {
            let time = text.parse::<Seconds>().ok()?.as_duration();
            (time.subsec_nanos() == 0).then_some(time.as_secs())
        };
        bound(raw, seconds, 1..=86_400, "whole seconds from 1s to 24h").map(Self)
    }
}

impl TryFrom<Raw> for CommandProcesses {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        bound(raw, |text| text.parse().ok(), 16..=1 << 22, "a number from 16 to 4194304").map(Self)
    }
}

/// How many connections the pool may hold: 1 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct PoolSize(pub(crate) u32);

impl TryFrom<i64> for PoolSize {
    type Error = String;

    fn try_from(size: i64) -> Result<Self, String> {
        match u32::try_from(size) {
            Ok(size @ 1..=10_000) => Ok(Self(size)),
            _ => Err("not a number from 1 to 10000".to_owned()),
        }
    }
}

/// How many connections of clients there may be: 16 to 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct ConnectionCount(pub(crate) u32);

impl TryFrom<i64> for ConnectionCount {
    type Error = String;

    fn try_from(count: i64) -> Result<Self, String> {
        match u32::try_from(count) {
            Ok(count @ 16..=100_000) => Ok(Self(count)),
            _ => Err("not a number from 16 to 100000".to_owned()),
        }
    }
}

/// What is put before the names of a plugin's tools: up to 32 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Prefix(pub(crate) String);

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if (1..=32).contains(&text.len()) && text.chars().all(good) {
            Ok(Self(text))
        } else {
            Err("not a prefix: 1 to 32 of A-Z a-z 0-9 _ -".to_owned())
        }
    }
}

/// A number, or text with a unit.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or text with a unit")]
enum Raw {
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Raw {
    fn text(self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl<const MIB: u64> TryFrom<Raw> for ByteCount<MIB> {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        raw.text().parse()
    }
}

impl TryFrom<Raw> for Seconds {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        raw.text().parse()
    }
}

/// A number of bytes with its unit.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" | "kb" => 1 << 10,
        "m" | "mib" | "mb" => 1 << 20,
        "g" | "gib" | "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The number and the unit behind it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_unit() {
        for (text, bytes) in [("1", 1), ("64KiB", 65536), ("1 MiB", 1 << 20), ("2m", 2 << 20), ("4MiB", 4 << 20)] {
            assert_eq!(text.parse(), Ok(ByteCount::<4>(bytes)), "{text}");
        }
        for text in ["", "0", "-1", "1.5", "5MiB", "4194305", "1 GiB", "MiB", "99999999999999999999"] {
            assert!(text.parse::<FileSize>().is_err(), "{text}");
        }
        assert!("2MiB".parse::<OutputSize>().is_ok() && "2097153".parse::<OutputSize>().is_err());
    }

    #[test]
    fn memory_is_read_within_its_bounds() {
        for (text, bytes) in [("128MiB", 128 << 20), ("2 GiB", 2 << 30), ("1024g", 1 << 40)] {
            assert_eq!(MemorySize::try_from(Raw::Text(text.to_owned())), Ok(MemorySize(bytes)), "{text}");
        }
        for text in ["127MiB", "1025GiB", "1 TiB", "much", ""] {
            assert!(MemorySize::try_from(Raw::Text(text.to_owned())).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_of_commands_are_read_within_theirs_or_are_none() {
        let text = |text: &str| Raw::Text(text.to_owned());
        assert_eq!(CommandMemory::try_from(text("2 GiB")), Ok(CommandMemory(Some(2 << 30))));
        assert_eq!(CommandFileSize::try_from(text("1KiB")), Ok(CommandFileSize(Some(1024))));
        assert_eq!(CommandCpu::try_from(text("2m")), Ok(CommandCpu(Some(120))));
        assert_eq!(CommandProcesses::try_from(Raw::Integer(64)), Ok(CommandProcesses(Some(64))));
        assert_eq!(CommandMemory::try_from(text("none")), Ok(CommandMemory(None)));
        for wrong in ["15 MiB", "2000 GiB", "much", "-1", "0"] {
            assert!(CommandMemory::try_from(text(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["500ms", "1.5s", "25h", "0"] {
            assert!(CommandCpu::try_from(text(wrong)).is_err(), "{wrong}");
        }
        assert!(CommandFileSize::try_from(text("1023")).is_err());
        assert!(CommandProcesses::try_from(Raw::Integer(15)).is_err());
    }

    #[test]
    fn times_are_read_with_and_without_unit() {
        for (text, seconds) in [("30", 30.0), ("30s", 30.0), ("500ms", 0.5), ("2m", 120.0), ("1.5 h", 5400.0)] {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
        for text in ["", "0", "-1", "soon", "25h", "1d", "1.2.3"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
