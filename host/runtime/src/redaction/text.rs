//! A text as it is looked at: any bytes, without a place that is not there.

#[cfg(test)]
use std::cell::Cell;
use std::ops::Range;

/// A text. In tests it counts how many of its bytes are looked at.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    #[cfg(test)]
    pub(super) looked_at: Cell<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            #[cfg(test)]
            looked_at: Cell::new(0),
        }
    }

    /// Tells that so many bytes are looked at.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "counted in tests alone"))]
    pub(super) fn count(&self, bytes: usize) {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + bytes);
        #[cfg(not(test))]
        let _ = bytes;
    }

    /// A byte; behind the end, 0, which ends a line as well.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.count(1);
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// A part, as far as it is there.
    pub(super) fn span(&self, span: Range<usize>) -> &'a [u8] {
        let end = span.end.min(self.bytes.len());
        self.bytes.get(span.start.min(end)..end).unwrap_or_default()
    }

    pub(super) fn starts_with(&self, at: usize, with: &[u8]) -> bool {
        self.count(with.len());
        self.span(at..at + with.len()) == with
    }

    /// The first place from one on with a byte of a kind, or the end.
    pub(super) fn until(&self, at: usize, ends: impl Fn(u8) -> bool) -> usize {
        self.until_or(at, usize::MAX, ends)
    }

    /// The same, and no further than so many bytes.
    pub(super) fn until_or(&self, at: usize, most: usize, ends: impl Fn(u8) -> bool) -> usize {
        let rest = self.span(at..at.saturating_add(most));
        let length = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        self.count(length + 1);
        at + length
    }

    /// Whether a word can begin here: behind no letter, figure or `_`, but for those that stand for something else, as `\n` in a string,
    /// `%20` in a URL, and the end of a colour of a terminal.
    pub(super) fn begins(&self, at: usize) -> bool {
        let back = |by: usize| at.checked_sub(by).map_or(0, |at| self.byte(at));
        let before = back(1);
        if !is_word(before) {
            return true;
        }
        let is_hex = |by: usize| back(by).is_ascii_hexdigit();
        let escape = b"nrtbf".contains(&before) && back(2) == b'\\';
        let encoded = is_hex(1)
            && is_hex(2)
            && (back(3) == b'%' || is_hex(3) && is_hex(4) && back(5) == b'u' && back(6) == b'\\');
        let coloured = || {
            let digits = (2..14).take_while(|by| back(*by).is_ascii_digit() || back(*by) == b';').count();
            back(digits + 2) == b'[' && matches!(back(digits + 3), 0x1b | 0x9b)
        };
        escape || encoded || before == b'm' && coloured()
    }

    /// Whether a text was cut here: it ends, or says so.
    pub(super) fn is_cut(&self, at: usize) -> bool {
        let rest = self.span(at..at + 3);
        rest.is_empty() || rest == "…".as_bytes() || rest == b"..."
    }
}

/// A letter, a digit or `_`.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
