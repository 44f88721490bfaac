//! Processes below those that started them. Pure.

use std::collections::BTreeMap;

use crate::ps::{Process, sorted};

/// Each process behind its parent, with how deep it stands; those of one parent by their ids. A process whose parent is not among them stands
/// at the top, and so does the first of a circle, which no honest host tells of.
pub(crate) fn ordered(processes: Vec<Process>) -> Vec<(u64, Process)> {
    let processes = sorted(processes, |process| process.pid);
    let mut children: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut tops = Vec::new();
    let ids: Vec<u64> = processes.iter().map(|process| process.pid).collect();
    for (at, process) in processes.iter().enumerate() {
        match process.parent.filter(|parent| *parent != process.pid && ids.binary_search(parent).is_ok()) {
            Some(parent) => children.entry(parent).or_default().push(at),
            None => tops.push(at),
        }
    }
    let mut left: Vec<Option<Process>> = processes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(left.len());
    // Behind the tops all of them: what is not taken yet is in a circle, or below one.
    let all = 0..left.len();
    for top in tops.into_iter().chain(all) {
        let mut next = vec![(0, top)];
        while let Some((depth, at)) = next.pop() {
            let Some(process) = left.get_mut(at).and_then(Option::take) else { continue };
            let below = children.get(&process.pid).into_iter().flatten().rev();
            next.extend(below.map(|child| (depth + 1, *child)));
            ordered.push((depth, process));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::ordered;
    use crate::ps::Process;

    fn tree(pairs: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let process = |(pid, parent): &(u64, u64)| Process { pid: *pid, parent: Some(*parent), ..Process::default() };
        ordered(pairs.iter().map(process).collect()).into_iter().map(|(depth, process)| (depth, process.pid)).collect()
    }

    #[test]
    fn a_process_stands_below_its_parent() {
        let found = tree(&[(30, 9), (1, 0), (2, 0), (9, 1), (20, 9), (10, 2), (77, 55)]);
        assert_eq!(found, [(0, 1), (1, 9), (2, 20), (2, 30), (0, 2), (1, 10), (0, 77)]);
    }

    #[test]
    fn circles_and_ids_that_are_there_twice_end() {
        assert_eq!(tree(&[(1, 2), (2, 3), (3, 1), (4, 2)]), [(0, 1), (1, 3), (2, 2), (3, 4)]);
        assert_eq!(tree(&[(5, 5), (6, 5), (5, 6)]).len(), 3);
        let deep: Vec<_> = (1..50_000).map(|pid| (pid, pid - 1)).collect();
        assert_eq!(tree(&deep).last(), Some(&(49_998, 49_999)));
    }
}
