//! Numbers for tests that try many cases.

/// Numbers that look random and are the same on every run (xorshift64*). The seed must not be zero.
#[derive(Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one, below `bound`.
    ///
    /// # Panics
    /// When nothing is below it.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound as u64;
        usize::try_from(number).expect("it is below a usize")
    }

    /// One of these, as the next number has it.
    ///
    /// # Panics
    /// When there is none.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of.get(self.below(of.len())).copied().expect("it is below their number")
    }
}
