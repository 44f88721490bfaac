//! Captured outputs with wrongs in them, for the tests of the bundled tools.

/// The captured output with one to eight wrongs in it, pieces among them, the same for the same seed.
pub(super) fn mutant(captured: &[u8], pieces: &[&[u8]], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % bound.max(1)
    };
    let mut bytes = captured.to_vec();
    for _ in 0..=below(8) {
        let at = below(bytes.len());
        let end = (at + below(12)).min(bytes.len());
        let piece = pieces.get(below(pieces.len())).copied().unwrap_or_default();
        bytes.splice(at..end, piece.repeat(1 + below(3)));
    }
    bytes
}
