//! Sorts places of a list.

use std::cmp::Ordering;

/// Sorts these places by what stands there; those that are equal stay in their order. Time grows as `n log n`, whatever the order is.
///
/// Merges runs from small to large. The standard library's sort is faster, and 5 KB of code for each type that is sorted: more than all else that a
/// small tool does with its rows.
pub fn stable(places: &mut Vec<usize>, order: &dyn Fn(usize, usize) -> Ordering) {
    let mut merged = Vec::with_capacity(places.len());
    let mut run = 1;
    while run < places.len() {
        for pair in places.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at_checked(run).unwrap_or((pair, &[]));
            while let (Some((one, rest)), Some((other, others))) = (left.split_first(), right.split_first()) {
                if order(*one, *other).is_le() {
                    merged.push(*one);
                    left = rest;
                } else {
                    merged.push(*other);
                    right = others;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(places, &mut merged);
        merged.clear();
        run *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::stable;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        for length in 0..200_usize {
            let keys: Vec<usize> = (0..length).map(|at| at * 7919 % 31).collect();
            let key = |at: usize| keys.get(at).copied();
            let mut places: Vec<usize> = (0..length).collect();
            let mut expected = places.clone();
            expected.sort_by_key(|at| key(*at));
            stable(&mut places, &|one, other| key(one).cmp(&key(other)));
            assert_eq!(places, expected, "{length}");
        }
    }
}
