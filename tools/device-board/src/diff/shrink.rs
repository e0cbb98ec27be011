//! Makes a case that differs as short as it can be made by leaving things out.

use super::run::replay;
use super::{Difference, Operation, Run};
use anyhow::Result;

/// Most replays: each starts both sides anew.
const MOST_REPLAYS: usize = 250;

/// Leaves out what does not matter to a difference. Any difference counts, not only the same one.
///
/// # Errors
/// If a side does not start, ends, or refuses a command.
pub fn shrink(run: &Run, found: Difference) -> Result<Difference> {
    let mut replays = 0;
    minimize(found, |operations| {
        replays += 1;
        if replays > MOST_REPLAYS {
            return Ok(None);
        }
        replay(run, operations)
    })
}

/// Zeller's minimizing delta debugging, after the end of the case alone was tried.
fn minimize(
    mut best: Difference,
    mut attempt: impl FnMut(&[Operation]) -> Result<Option<Difference>>,
) -> Result<Difference> {
    let mut tail = 4;
    while tail < best.operations.len() {
        let start = best.operations.len() - tail;
        if let Some(shorter) = attempt(&best.operations[start..])? {
            best = shorter;
            break;
        }
        tail *= 4;
    }
    let mut pieces = 2;
    while best.operations.len() > 1 {
        let size = best.operations.len().div_ceil(pieces);
        let mut shorter = None;
        for start in (0..best.operations.len()).step_by(size) {
            let end = (start + size).min(best.operations.len());
            let rest = [&best.operations[..start], &best.operations[end..]].concat();
            shorter = attempt(&rest)?;
            if shorter.is_some() {
                break;
            }
        }
        match shorter {
            Some(found) => {
                best = found;
                pieces = 2.max(pieces - 1);
            }
            None if size == 1 => break,
            None => pieces *= 2,
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Response;

    fn case(operations: Vec<Operation>) -> Difference {
        Difference {
            operations,
            board: Response::default(),
            qemu: Response::default(),
        }
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let operations: Vec<Operation> = (0..1000).map(Operation::read).collect();
        let needed = [
            Operation::read(17),
            Operation::read(400),
            Operation::read(999),
        ];
        let mut replays = 0;
        let found = minimize(case(operations), |operations| {
            replays += 1;
            let differs = needed.iter().all(|it| operations.contains(it));
            Ok(differs.then(|| case(operations.to_vec())))
        });
        assert_eq!(found.unwrap().operations, needed);
        assert!(replays <= MOST_REPLAYS, "{replays}");
    }
}
